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
    /// The log as it was after the last commit.
    written: Option<Written>,
    /// What was in a log that was removed is in the file.
    saved: bool,
    groups: u32,
}

/// A log as it was after a commit. It is only ever written on: begun anew, its salt counts on.
#[derive(Debug)]
struct Written {
    wal: File,
    id: Option<FileId>,
    len: u64,
    salt: u32,
}

/// Between two commits a log is begun anew so often at the most.
const ANEW_MAX: u32 = 1000;

/// What became of file or log under a running program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Displaced {
    /// The file was moved, removed or replaced.
    File,
    /// The log was moved or removed.
    LogRemoved,
    /// The log was cut, or another one put in its place.
    LogChanged,
}

impl Displaced {
    /// What was done to the database at `place`, and the fix.
    pub(super) fn explain(self, place: &impl std::fmt::Display) -> String {
        match self {
            Self::File => format!("{place} was moved, removed or replaced: put it back"),
            Self::LogRemoved => format!(
                "{place}-wal was removed while livetill runs. What was written is in {place} now: \
                 start livetill again"
            ),
            Self::LogChanged => format!(
                "{place}-wal was cut or replaced while livetill runs. Put the right one back, or \
                 stop livetill and restore a whole backup"
            ),
        }
    }
}

impl Written {
    /// The log of that file as it is now; `None` if there is none yet.
    fn now(path: &std::path::Path) -> Option<Self> {
        let wal = File::open(sqlite::beside(path, "-wal")).ok()?;
        let meta = wal.metadata().ok()?;
        let salt = salt(&wal)?;
        Some(Self { wal, id: id_of(&meta), len: meta.len(), salt })
    }

    /// Notes how far it is written; false if it is not the one that was written before.
    fn look_again(&mut self) -> bool {
        let Ok(meta) = self.wal.metadata() else { return false };
        match salt(&self.wal).filter(|salt| self.goes_on(*salt, meta.len())) {
            Some(salt) => {
                (self.len, self.salt) = (meta.len(), salt);
                true
            }
            None => false,
        }
    }

    /// Whether a log with that salt and length is this one, written on or begun anew.
    fn goes_on(&self, salt: u32, len: u64) -> bool {
        match salt.wrapping_sub(self.salt) {
            0 => len >= self.len,
            times => times <= ANEW_MAX,
        }
    }

    /// What became of it, if anything.
    fn displaced(&self, path: &std::path::Path) -> Option<Displaced> {
        let Ok(meta) = std::fs::metadata(sqlite::beside(path, "-wal")) else {
            return Some(Displaced::LogRemoved);
        };
        let is_it = id_of(&meta) == self.id
            && salt(&self.wal).is_some_and(|salt| self.goes_on(salt, meta.len()));
        (!is_it).then_some(Displaced::LogChanged)
    }
}

/// The first salt of a log: bytes 16 to 19 of its header (SQLite's file format, section 4.1).
#[cfg(unix)]
fn salt(wal: &File) -> Option<u32> {
    use std::os::unix::fs::FileExt;
    let mut salt = [0; 4];
    wal.read_exact_at(&mut salt, 16).ok()?;
    Some(u32::from_be_bytes(salt))
}

/// Elsewhere a file that is open can be neither moved nor removed.
#[cfg(not(unix))]
fn salt(_wal: &File) -> Option<u32> {
    None
}

/// What tells a file from another of the same name: its device and number.
type FileId = (u64, u64);

fn file_id(path: &std::path::Path) -> Option<FileId> {
    std::fs::metadata(path).ok().as_ref().and_then(id_of)
}

#[cfg(unix)]
fn id_of(meta: &std::fs::Metadata) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    Some((meta.dev(), meta.ino()))
}

#[cfg(not(unix))]
fn id_of(_meta: &std::fs::Metadata) -> Option<FileId> {
    None
}

impl Log {
    pub(super) fn new(path: PathBuf, lock: Arc<File>) -> Self {
        let mut mark = MarkFile::new(&path, lock.clone());
        mark.ends(false);
        let file = file_id(&path);
        Self { path, lock, mark, file, written: None, saved: false, groups: 0 }
    }

    /// What became of file or log since the last commit, if anything: what is written to one that
    /// was moved away or replaced would be missing from where everybody looks, and a log that is
    /// another one must not be folded into the file.
    pub(super) fn displaced(&self) -> Option<Displaced> {
        if file_id(&self.path) != self.file {
            return Some(Displaced::File);
        }
        self.written.as_ref().and_then(|written| written.displaced(&self.path))
    }

    /// Notes what was committed last.
    ///
    /// # Errors
    /// If the log was cut or replaced while it was written on.
    pub(super) fn note(&mut self, (sale, revision): (SaleId, u64)) -> Result<(), Displaced> {
        match &mut self.written {
            Some(written) => {
                if !written.look_again() {
                    return Err(Displaced::LogChanged);
                }
            }
            None => self.written = Written::now(&self.path),
        }
        self.mark.note(sale, revision);
        Ok(())
    }

    /// Folds a log that was removed into the file: a connection that has it open still reads it.
    pub(super) async fn save_removed(&mut self, db: &mut AnyConnection) {
        if self.saved {
            return;
        }
        match self.end(db).await {
            Ok(()) => self.saved = true,
            Err(error) => {
                tracing::warn!(%error, "what is in the removed log could not be saved yet");
            }
        }
    }

    /// Whether there is anything in the log of that file.
    pub(super) fn is_there(path: &std::path::Path) -> bool {
        std::fs::metadata(sqlite::beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0)
    }

    /// Whether there is a log beside a file that is empty or not there.
    pub(super) fn is_alone(path: &std::path::Path) -> bool {
        std::fs::metadata(path).map_or(0, |meta| meta.len()) == 0 && Self::is_there(path)
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
            && self.displaced().is_none()
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
