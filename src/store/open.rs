//! Opens a database, and says plainly why it cannot.

use std::{
    borrow::Cow,
    fs::{File, OpenOptions, TryLockError},
    io::Read,
    path::{Path, PathBuf},
};

use sqlx::{
    AnyConnection, Connection, Executor, SqlStr,
    any::{AnyPoolOptions, install_default_drivers},
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    query,
};

use super::{
    group::Writer,
    sqlstore::{SqlStore, sqlite_path},
};

/// The files of `migrations/`, in order. Listed here instead of gathered by a macro, which would
/// compile SQLite a second time for the compiler's own use; a test compares list and folder.
pub const MIGRATIONS: &[(i64, &str, &str)] =
    &[(1, "start", include_str!("../../migrations/0001_start.sql"))];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Marks a SQLite file as ours (`LTIL`), in its header at offset 68.
const APPLICATION_ID: u32 = 0x4C54_494C;

/// Connections for reading.
const READERS: u32 = 4;

/// Why a database cannot be used. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address we know.
    #[error("store.url = \"{0}\": write sqlite:PATH")]
    Url(String),
    /// Another program holds the file.
    #[error("{0} is in use by another livetill. Stop that one, or give this one its own store.url")]
    Busy(PathBuf),
    /// The folder or file cannot be written.
    #[error(
        "cannot write {path}: {why}. Check the folder's permissions and free space, or set store.url"
    )]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not a database of ours.
    #[error(
        "{0} is not a livetill database. Set store.url to another file; this one was not touched"
    )]
    Foreign(PathBuf),
    /// The file was written by a newer program.
    #[error("{0} was written by a newer livetill. Update this program; the file was not touched")]
    Newer(PathBuf),
    /// There is no such file, and reading needs one.
    #[error("{0} does not exist. Start livetill once, or set store.url")]
    Missing(PathBuf),
    /// Anything else.
    #[error("cannot open {path}: {why}")]
    Other {
        /// The file.
        path: PathBuf,
        /// The database's words.
        why: String,
    },
}

/// What the store will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By the one program that writes.
    Write,
    /// Beside it, looking only.
    Read,
}

/// Opens the database at `url`; for writing, brings its tables up to date.
///
/// # Errors
/// Each says what is wrong and what to do; nothing is damaged.
pub async fn open(url: &str, access: Access) -> Result<SqlStore, OpenError> {
    install_default_drivers();
    let path = sqlite_path(url).filter(|path| !path.as_os_str().is_empty());
    let path = path.ok_or_else(|| OpenError::Url(url.to_owned()))?.to_owned();
    let lock = match access {
        Access::Write => Some(lock(&path)?),
        Access::Read if !path.exists() => return Err(OpenError::Missing(path)),
        Access::Read => None,
    };
    check_header(&path)?;
    let other = |error: sqlx::Error| explain(&path, &error);
    let writer = match access {
        Access::Write => Some(Writer::start(open_writer(&path).await?)),
        Access::Read => None,
    };
    let pool = AnyPoolOptions::new()
        .max_connections(READERS)
        .after_connect(|db, _| {
            Box::pin(async move {
                db.execute("pragma busy_timeout = 5000").await?;
                db.execute("pragma query_only = 1").await?;
                Ok(())
            })
        })
        .connect(&address(&path, "rw"))
        .await
        .map_err(other)?;
    if access == Access::Read {
        check_version(&pool, &path).await?;
    }
    Ok(SqlStore { pool, writer, _lock: lock })
}

/// One program per file: an operating system's lock, gone with the process however it ends.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let unwritable = |error: std::io::Error| OpenError::Unwritable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&name).map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Busy(path.to_owned())),
        Err(TryLockError::Error(error)) => Err(unwritable(error)),
    }
}

/// Looks at the file before SQLite does, so that nothing foreign is touched.
fn check_header(path: &Path) -> Result<(), OpenError> {
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
    if ours && id == APPLICATION_ID { Ok(()) } else { Err(OpenError::Foreign(path.to_owned())) }
}

async fn open_writer(path: &Path) -> Result<AnyConnection, OpenError> {
    let fresh = std::fs::metadata(path).map_or(true, |meta| meta.len() == 0);
    let other = |error: sqlx::Error| explain(path, &error);
    let mut db = AnyConnection::connect(&address(path, "rwc")).await.map_err(other)?;
    if fresh {
        // Before the write-ahead log exists, so that the mark is in the file itself: a crash right
        // after this must not make our own file look foreign.
        db.execute("pragma application_id = 1280592204").await.map_err(other)?;
    }
    for pragma in [
        "pragma busy_timeout = 5000",
        "pragma journal_mode = wal",
        "pragma synchronous = full",
        "pragma wal_autocheckpoint = 10000",
        "pragma foreign_keys = on",
    ] {
        db.execute(pragma).await.map_err(other)?;
    }
    migrator().run(&mut db).await.map_err(|error| match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            OpenError::Newer(path.to_owned())
        }
        MigrateError::Execute(error) => explain(path, &error),
        error => OpenError::Other { path: path.to_owned(), why: error.to_string() },
    })?;
    Ok(db)
}

async fn check_version(pool: &sqlx::AnyPool, path: &Path) -> Result<(), OpenError> {
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    let row =
        query("select cast(coalesce(max(version), 0) as bigint) as version from _sqlx_migrations")
            .fetch_one(pool)
            .await
            .map_err(|error| explain(path, &error))?;
    let have: i64 = sqlx::Row::try_get(&row, "version").map_err(|error| explain(path, &error))?;
    if have > newest { Err(OpenError::Newer(path.to_owned())) } else { Ok(()) }
}

fn explain(path: &Path, error: &sqlx::Error) -> OpenError {
    let path = path.to_owned();
    let sqlx::Error::Database(db) = error else {
        return OpenError::Other { path, why: error.to_string() };
    };
    let why = db.message().to_owned();
    // The lowest byte of SQLite's extended code is its primary one.
    match db.code().and_then(|code| code.parse::<i32>().ok()).map(|code| code & 0xff) {
        Some(5 | 6) => OpenError::Busy(path),
        Some(8 | 10 | 13 | 14) => OpenError::Unwritable { path, why },
        Some(26) => OpenError::Foreign(path),
        _ => OpenError::Other { path, why },
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
