//! What is SQLite's own: one file, one program that writes, pragmas.

use std::{
    fs::{File, TryLockError},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
};

use sqlx::{AnyConnection, AnyPool, Connection, Executor, any::AnyPoolOptions, query};

use super::open::OpenError;
use crate::file;

/// Marks a SQLite file as ours (`LTIL`), in its header at offset 68.
const APPLICATION_ID: u32 = 0x4C54_494C;

/// Connections for reading.
const READERS: u32 = 4;

/// The file behind a `sqlite:` address; `None` for other engines, and for what is no file's name
/// but an option of other programs (`:memory:`, `?mode=ro`).
pub(super) fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let odd = path.starts_with(':') || path.contains(['?', '#']) || path.trim() != path;
    (!odd).then(|| Path::new(path))
}

/// What SQLite, or we, keep beside a file.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The file that a link leads to: what SQLite and we keep beside a file stands beside that one.
pub(super) fn resolved(path: &Path) -> PathBuf {
    if !path.is_symlink() {
        return path.to_owned();
    }
    std::fs::canonicalize(path).unwrap_or_else(|_| match std::fs::read_link(path) {
        Ok(to) => path.parent().map_or(to.clone(), |folder| folder.join(&to)),
        Err(_) => path.to_owned(),
    })
}

/// Buyers' names and addresses are nobody else's business. What SQLite makes beside the file gets
/// the file's own mode.
pub(super) fn keep_private(path: &Path) {
    for end in ["", "-wal", "-shm", "-lock"] {
        let file = beside(path, end);
        if let Err(error) = file::close_to_others(&file) {
            let file = file.display();
            tracing::warn!(%error, "{file} can be read by others: chmod 600 {file}");
        }
    }
}

/// One program per file: an operating system's lock, gone with the process however it ends.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let name = beside(path, "-lock");
    let is_there = name.symlink_metadata().is_ok();
    let file = file::open_private(&name).map_err(|error| {
        let why = error.to_string();
        let is_its_own = is_there && error.kind() != ErrorKind::ReadOnlyFilesystem;
        match folder_of(path) {
            _ if is_its_own => OpenError::Lock { lock: name.display().to_string(), why },
            folder if !folder.exists() => no_folder(path),
            _ => OpenError::Unwritable { place: path.display().to_string(), why },
        }
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(path.display().to_string())),
        Err(TryLockError::Error(error)) => {
            Err(OpenError::Lock { lock: name.display().to_string(), why: error.to_string() })
        }
    }
}

/// Whether a file that is not there may be made. `known`: its lock knows of sales in it.
pub(super) fn could_make(path: &Path, known: bool) -> Result<(), OpenError> {
    if !folder_of(path).exists() {
        return Err(no_folder(path));
    }
    if known { Err(OpenError::Gone(path.display().to_string())) } else { Ok(()) }
}

/// Tries whether a file that is not there could be made, and leaves nothing behind.
pub(super) fn try_to_make(path: &Path) -> Result<(), OpenError> {
    if beside(path, "-lock").symlink_metadata().is_ok() {
        match lock(path) {
            // Another program is about to make it.
            Err(OpenError::Busy(_)) => return Ok(()),
            locked => locked.map(drop)?,
        }
    }
    let unwritable = |error: std::io::Error| OpenError::Unwritable {
        place: path.display().to_string(),
        why: error.to_string(),
    };
    file::can_replace(path).map_err(unwritable)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn no_folder(path: &Path) -> OpenError {
    let (place, folder) = (path.display().to_string(), folder_of(path).display().to_string());
    OpenError::NoFolder { place, folder }
}

/// The file itself is locked as well: it may have another name, or its lock file be removed.
/// SQLite's own locks are of another kind, and are not in the way.
#[cfg(unix)]
pub(super) fn lock_itself(path: &Path) -> Result<Option<File>, OpenError> {
    let Ok(file) = File::open(path) else { return Ok(None) };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(path.display().to_string())),
        // Where the file system knows no such locks, the lock file has to do.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(file)),
    }
}

/// Elsewhere a lock on the file would keep SQLite out.
#[cfg(not(unix))]
pub(super) fn lock_itself(_path: &Path) -> Result<Option<File>, OpenError> {
    Ok(None)
}

/// Looks at the file before SQLite does, so that nothing foreign is touched.
pub(super) fn check_header(path: &Path) -> Result<(), OpenError> {
    let Ok(mut file) = File::open(path) else { return Ok(()) };
    let mut header = [0; 72];
    let mut have = 0;
    while let Ok(n) = file.read(&mut header[have..]) {
        if n == 0 {
            break;
        }
        have += n;
    }
    // A new, still empty database.
    if have == 0 {
        return Ok(());
    }
    let id = u32::from_be_bytes([header[68], header[69], header[70], header[71]]);
    let ours = have == header.len() && header.starts_with(b"SQLite format 3\0");
    if ours && id == APPLICATION_ID {
        Ok(())
    } else {
        Err(OpenError::Foreign(path.display().to_string()))
    }
}

/// Whether SQLite keeps a log beside that file, by its header: a new one has none yet.
pub(super) fn has_log(path: &Path) -> bool {
    let mut header = [0; 20];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    read.is_ok() && header[18] == 2
}

/// Makes the file if there is none, and marks it as ours.
pub(super) async fn create(path: &Path) -> Result<(), sqlx::Error> {
    if std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
        return Ok(());
    }
    drop(file::open_private(path)?);
    let mut db = AnyConnection::connect(&address(path, "rw")).await?;
    // Before the write-ahead log exists, so that the mark is in the file itself: a crash right
    // after this must not make our own file look foreign.
    db.execute("pragma application_id = 1280592204").await?;
    db.close().await
}

/// The connection for writing.
pub(super) async fn writer(path: &Path) -> Result<AnyConnection, sqlx::Error> {
    let mut db = plain(path).await?;
    db.execute("pragma journal_mode = wal").await?;
    // Names and addresses that are deleted or written over do not stay in the file.
    db.execute("pragma secure_delete = on").await?;
    // A file that has just got its log is let go until it is read: whoever closes it meanwhile
    // would be the last, and fold everything.
    query("select count(*) from sqlite_master").fetch_one(&mut db).await?;
    Ok(db)
}

/// A connection for writing that leaves the file as it is until something is written.
pub(super) async fn plain(path: &Path) -> Result<AnyConnection, sqlx::Error> {
    let mut db = AnyConnection::connect(&address(path, "rw")).await?;
    for pragma in [
        "pragma busy_timeout = 5000",
        "pragma synchronous = full",
        // When the log is folded is our own business, see `log`.
        "pragma wal_autocheckpoint = 0",
        "pragma foreign_keys = on",
        // What a statement of many rows may have to take back is kept in memory, not in a file.
        "pragma temp_store = memory",
        "pragma cache_size = -16384",
    ] {
        db.execute(pragma).await?;
    }
    Ok(db)
}

/// A connection that changes nothing, not even by being closed.
pub(super) async fn looker(path: &Path) -> Result<AnyConnection, sqlx::Error> {
    let address = still(path).await.unwrap_or_else(|| address(path, "ro"));
    let mut db = AnyConnection::connect(&address).await?;
    db.execute("pragma busy_timeout = 5000").await?;
    Ok(db)
}

/// A connection for reading beside a program, or where none runs.
pub(super) async fn beside_a_program(path: &Path) -> Result<AnyConnection, sqlx::Error> {
    if still(path).await.is_some() { looker(path).await } else { plain(path).await }
}

/// How to read a file that nobody writes, in a folder where nobody can, like a backup on a disk that
/// is for reading only: SQLite would make a log beside it even so. `None` for any other file.
async fn still(path: &Path) -> Option<String> {
    if ["-wal", "-shm"].iter().any(|end| beside(path, end).exists()) {
        return None;
    }
    let read = async {
        let mut db = AnyConnection::connect(&address(path, "rw")).await?;
        query("select count(*) from sqlite_master").fetch_one(&mut db).await?;
        db.close().await
    };
    let refused = matches!(&read.await, Err(error) if is_unwritable(error));
    (refused && path.exists()).then(|| address(path, "ro&immutable=1"))
}

/// Whether SQLite could not write where it wanted to.
fn is_unwritable(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| matches!(code, 8 | 10 | 13 | 14))
}

/// The lowest byte of SQLite's extended code.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

/// Connections for reading.
pub(super) async fn readers(path: &Path) -> Result<AnyPool, sqlx::Error> {
    let address = still(path).await.unwrap_or_else(|| address(path, "rw"));
    AnyPoolOptions::new()
        .max_connections(READERS)
        .after_connect(|db, _| {
            Box::pin(async move {
                db.execute("pragma busy_timeout = 5000").await?;
                db.execute("pragma query_only = 1").await?;
                Ok(())
            })
        })
        .connect(&address)
        .await
}

pub(super) fn explain(path: &Path, error: &sqlx::Error) -> OpenError {
    let place = path.display().to_string();
    let sqlx::Error::Database(db) = error else {
        return OpenError::Other { place, why: error.to_string() };
    };
    let why = db.message().to_owned();
    match primary_code(error) {
        Some(5 | 6) => OpenError::Busy(place),
        _ if is_unwritable(error) => OpenError::Unwritable { place, why },
        Some(26) => OpenError::Foreign(place),
        _ => OpenError::Other { place, why },
    }
}

/// An address for the driver; the path is escaped as its URL parser wants it.
fn address(path: &Path, mode: &str) -> String {
    let mut escaped = String::new();
    for byte in path.to_string_lossy().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                escaped.push(char::from(byte));
            }
            other => escaped.push_str(&format!("%{other:02X}")),
        }
    }
    format!("sqlite:{escaped}?mode={mode}")
}
