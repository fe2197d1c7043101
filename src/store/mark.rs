//! What was committed last, noted beside the file: an older state is known as one.
//!
//! SQLite takes a log that was cut, damaged or put back from another day for what it is, and reads
//! the state before it. So the newest change of a sale is noted in the `-lock` file after each
//! commit, before anybody hears of it. No sync: a process that is killed loses nothing, and after
//! a power cut the note is at most older than the database, which does no harm.
//!
//! A backup that is put in the file's place has no log beside it, and is taken for what it is.

use std::{fs::File, path::Path, sync::Arc};

use sqlx::{Connection, Row, query};

use super::{log::Log, open::OpenError, sql, sqlite};
use crate::{file, id::SaleId};

/// A note is one line: `2 <sale> <revision> <open|ended> <sum>`, its numbers of fixed width.
const VERSION: &str = "2";

/// The newest change of a sale that was committed, and whether the program ended after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    sale: SaleId,
    revision: u64,
    ended: bool,
}

/// Where marks are noted.
#[derive(Clone, Debug)]
pub(super) struct MarkFile {
    file: Arc<File>,
    last: Option<Mark>,
}

impl Mark {
    fn line(&self) -> String {
        let ends = if self.ended { "ended" } else { "open " };
        let line = format!("{VERSION} {} {:020} {ends}", self.sale, self.revision);
        format!("{line} {}\n", sum(&line))
    }

    fn parse(text: &str) -> Option<Self> {
        let (line, theirs) = text.lines().next()?.rsplit_once(' ')?;
        if sum(line) != theirs {
            return None;
        }
        let mut words = line.split_whitespace();
        if words.next() != Some(VERSION) {
            return None;
        }
        let sale = words.next()?.parse().ok()?;
        let revision = words.next()?.parse().ok()?;
        Some(Self { sale, revision, ended: words.next()? == "ended" })
    }
}

/// Tells a torn line (FNV-1a): each commit pays for it, and nobody is to be kept from forging one.
fn sum(line: &str) -> String {
    let add = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", line.bytes().fold(0xcbf2_9ce4_8422_2325, add))
}

fn noted(path: &Path) -> Option<Mark> {
    std::fs::read_to_string(sqlite::beside(path, "-lock")).ok().as_deref().and_then(Mark::parse)
}

/// Whether something was committed once.
pub(super) fn is_noted(path: &Path) -> bool {
    noted(path).is_some()
}

impl MarkFile {
    /// The marks of the file that is locked by `lock`.
    pub(super) fn new(path: &Path, lock: Arc<File>) -> Self {
        Self { file: lock, last: noted(path) }
    }

    /// Notes what was committed last.
    pub(super) fn note(&mut self, sale: SaleId, revision: u64) {
        self.put(Mark { sale, revision, ended: false });
    }

    /// Notes that the program goes on, or that everything is in the one file.
    pub(super) fn ends(&mut self, ended: bool) {
        if let Some(last) = self.last {
            self.put(Mark { ended, ..last });
        }
    }

    fn put(&mut self, mark: Mark) {
        self.last = Some(mark);
        if let Err(error) = write_at_start(&self.file, mark.line().as_bytes()) {
            tracing::debug!(%error, "what was committed last could not be noted");
        }
    }
}

/// Notes that there will be a log again: somebody writes beside a program, or where none runs.
pub(super) fn goes_on(path: &Path) {
    if noted(path).is_some_and(|mark| mark.ended)
        && let Ok(lock) = file::open_private(&sqlite::beside(path, "-lock"))
    {
        MarkFile::new(path, Arc::new(lock)).ends(false);
    }
}

#[cfg(unix)]
fn write_at_start(file: &File, text: &[u8]) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, text, 0)
}

#[cfg(not(unix))]
fn write_at_start(mut file: &File, text: &[u8]) -> std::io::Result<()> {
    use std::io::{Seek, Write};
    file.rewind()?;
    file.write_all(text)
}

/// Whether file and log are what was committed last. Opens them for reading only: whoever closes
/// a log that belongs to another state would fold it into the file.
///
/// # Errors
/// If they are older, or the log is not this file's.
pub(super) async fn look(path: &Path) -> Result<(), OpenError> {
    // Before the file, so that a program that is writing can only be ahead of it.
    let Some(mark) = noted(path) else { return Ok(()) };
    let place = path.display().to_string();
    let log_is_there = Log::is_there(path);
    if mark.ended && log_is_there && noted(path) == Some(mark) {
        return Err(OpenError::StrayLog(place));
    }
    let explain = |error: sqlx::Error| sqlite::explain(path, &error);
    let mut db = sqlite::looker(path).await.map_err(explain)?;
    let find = query(sql::SELECT_REVISION).bind(mark.sale.to_string());
    let row = find.fetch_optional(&mut db).await;
    let have = match row {
        Ok(Some(row)) => row.try_get::<i64, _>("revision").map_err(explain)?.unsigned_abs(),
        Ok(None) => 0,
        // Without that table there is less than was noted.
        Err(sqlx::Error::Database(error)) if error.message().contains("no such table") => 0,
        Err(error) => return Err(explain(error)),
    };
    db.close().await.map_err(explain)?;
    if have >= mark.revision {
        return Ok(());
    }
    if log_is_there {
        return Err(OpenError::Older(place));
    }
    tracing::warn!(
        sale = %mark.sale, have, noted = mark.revision,
        "this database is older than what was written here last, like a backup that was put back"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written_and_a_torn_one_is_none() {
        let sale = SaleId::new(crate::clock::Timestamp::from_millis(7), [9; 16]);
        for mark in [
            Mark { sale, revision: 1, ended: false },
            Mark { sale, revision: u64::MAX, ended: true },
        ] {
            let line = mark.line();
            assert_eq!(Mark::parse(&line), Some(mark));
            assert_eq!(Mark::parse(&line.replacen('0', "1", 1).replacen("9", "8", 1)), None);
            assert_eq!(Mark::parse(&line[..line.len() - 2]), None);
        }
        assert_eq!(Mark::parse(""), None);
        let short = Mark { sale, revision: 5, ended: true }.line();
        let long = Mark { sale, revision: u64::MAX, ended: false }.line();
        assert_eq!(short.len(), long.len(), "a shorter line would leave the end of a longer one");
    }
}
