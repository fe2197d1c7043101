//! SQLite's write-ahead log: folds it into the file, and knows a file whose log was lost.
//!
//! Beside a running program the newest part of a database is in its `-wal` file alone. So the file
//! says *open* as long as there is more in its log, and the log says *whole*: together they read
//! *whole*, the file alone reads *open*. Whoever folds the log completely, a polite end or SQLite
//! itself when the last connection closes, folds *whole* in with it.
//!
//! Only here is the log folded in mid-life. Between *open* and *whole* nothing may end: these steps
//! have a thread and a connection of their own, which no dropped task and no ended runtime reaches.
//! A process killed in between leaves a log that is not empty, and that is as good.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use sqlx::{AnyConnection, Connection, Executor, Row, query};
use tokio::sync::oneshot;

use super::{mark::MarkFile, open::OpenError, sql, sqlite};
use crate::id::SaleId;

/// A log of that many bytes is folded: what reading it costs grows with it.
const LONG: u64 = 40 << 20;

/// How often to look how long it is, in groups that were written.
const LOOK_EVERY: u32 = 64;

/// Writing *whole* is tried this often, a second apart.
const TRIES: u32 = 60;

const OPEN: &str = "\"open\"";
const WHOLE: &str = "\"whole\"";

/// The log of a file that only this program writes.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Kept until nothing touches the file any more.
    lock: Arc<File>,
    mark: MarkFile,
    /// Which file it was when it was opened.
    file: Option<FileId>,
    groups: u32,
}

/// What tells a file from another of the same name: its device and number.
type FileId = (u64, u64);

#[cfg(unix)]
fn file_id(path: &std::path::Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Elsewhere a file that is open can be neither moved nor removed.
#[cfg(not(unix))]
fn file_id(_path: &std::path::Path) -> Option<FileId> {
    None
}

impl Log {
    pub(super) fn new(path: PathBuf, lock: Arc<File>) -> Self {
        let mut mark = MarkFile::new(&path, lock.clone());
        mark.ends(false);
        let file = file_id(&path);
        Self { path, lock, mark, file, groups: 0 }
    }

    /// Whether the file still has its name: what is written to one that was moved away or
    /// replaced would be missing from where everybody looks.
    pub(super) fn is_in_place(&self) -> bool {
        file_id(&self.path) == self.file
    }

    /// Notes what was committed last.
    pub(super) fn note(&mut self, (sale, revision): (SaleId, u64)) {
        self.mark.note(sale, revision);
    }

    /// Whether there is anything in the log of that file.
    pub(super) fn is_there(path: &std::path::Path) -> bool {
        std::fs::metadata(sqlite::beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0)
    }

    /// Folds it now and then.
    pub(super) async fn fold_if_long(&mut self) {
        self.groups += 1;
        if self.groups < LOOK_EVERY {
            return;
        }
        self.groups = 0;
        let wal = sqlite::beside(&self.path, "-wal");
        if std::fs::metadata(wal).is_ok_and(|meta| meta.len() > LONG)
            && let Err(error) = self.fold().await
        {
            tracing::warn!(%error, "the database's log could not be folded into its file");
        }
    }

    /// Folds everything into the file, which then says that there will be more in the log.
    pub(super) async fn fold(&self) -> Result<(), sqlx::Error> {
        let (path, lock) = (self.path.clone(), self.lock.clone());
        let (tell, told) = oneshot::channel();
        std::thread::Builder::new().name("fold".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let done = match runtime {
                Ok(runtime) => runtime.block_on(fold(&path)),
                Err(error) => Err(error.into()),
            };
            drop(lock);
            // Whoever waited may be gone; it was done all the same.
            let _ = tell.send(done);
        })?;
        told.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }

    /// Folds everything into the file at a polite end. Every other connection is closed by now.
    pub(super) async fn end(&mut self, db: &mut AnyConnection) -> Result<(), sqlx::Error> {
        say(db, WHOLE).await?;
        let row = query("pragma wal_checkpoint(truncate)").fetch_one(db).await?;
        match row.try_get::<i64, _>("busy")? {
            0 => {
                self.mark.ends(true);
                Ok(())
            }
            _ => Err(sqlx::Error::Protocol("somebody else reads it".to_owned())),
        }
    }
}

async fn fold(path: &std::path::Path) -> Result<(), sqlx::Error> {
    let mut db = sqlite::writer(path).await?;
    // Without room for a word in the log, room is made: it is folded all the same.
    let said = say(&mut db, OPEN).await;
    let folded = db.execute("pragma wal_checkpoint(passive)").await;
    if said.is_ok() {
        let mut tries = 0;
        while let Err(error) = say(&mut db, WHOLE).await {
            tries += 1;
            if tries == TRIES {
                return Err(error);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    db.close().await?;
    folded?;
    said
}

async fn say(db: &mut AnyConnection, word: &str) -> Result<(), sqlx::Error> {
    query(sql::UPSERT_LOG).bind(word).execute(db).await?;
    Ok(())
}

/// What a file is, as far as its tables tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Everything is there.
    Whole,
    /// A program was killed at an unlucky moment; everything is there.
    Unsaid,
    /// There are no tables yet.
    Empty,
}

/// Whether everything is there.
///
/// # Errors
/// If the log that belongs to the file is gone.
pub(super) async fn look(
    path: &std::path::Path,
    db: &mut AnyConnection,
) -> Result<State, OpenError> {
    let explain = |error: sqlx::Error| sqlite::explain(path, &error);
    let lost = || OpenError::LogLost(path.display().to_string());
    let tables =
        "select count(*) as n from sqlite_master where type = 'table' and name = 'document'";
    let row = query(tables).fetch_one(&mut *db).await.map_err(explain)?;
    if row.try_get::<i64, _>("n").map_err(explain)? == 0 {
        // There is a log only after there were tables.
        let lacks = sqlite::has_log(path) && !Log::is_there(path);
        return if lacks { Err(lost()) } else { Ok(State::Empty) };
    }
    let row = query(sql::SELECT_LOG).fetch_optional(db).await.map_err(explain)?;
    let Some(row) = row else { return Ok(State::Whole) };
    match row.try_get::<String, _>("body").map_err(explain)?.as_str() {
        OPEN if Log::is_there(path) => Ok(State::Unsaid),
        OPEN => Err(lost()),
        _ => Ok(State::Whole),
    }
}

/// Says that everything is there: where a program was killed before it could.
pub(super) async fn mend(path: &std::path::Path) -> Result<(), sqlx::Error> {
    let mut db = sqlite::writer(path).await?;
    say(&mut db, WHOLE).await?;
    db.close().await
}
