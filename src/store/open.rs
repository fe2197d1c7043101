//! Opens a database, and says plainly why it cannot.

use std::{borrow::Cow, fs::File, path::Path, sync::Arc};

use sqlx::{
    AnyConnection, AnyPool, Connection, SqlStr,
    any::install_default_drivers,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    query,
};

use super::{
    group::Writer,
    listener::Speaker,
    log::{self, Log},
    place::Place,
    postgres, sqlite,
    sqlstore::{Shared, SqlStore},
};

/// The files of `migrations/`, in order; one text serves both engines. Listed here instead of
/// gathered by a macro, which would compile SQLite a second time for the compiler's own use; a
/// test compares list and folder.
pub const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "start", include_str!("../../migrations/0001_start.sql")),
    (2, "plain_checks", include_str!("../../migrations/0002_plain_checks.sql")),
];

fn migrator() -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = SqlStr::from_static(sql);
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Why a database cannot be used. Every message says what to do; none holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address we know.
    #[error("store.url = \"{0}\": write sqlite:PATH or postgres://USER@HOST/DATABASE")]
    Url(String),
    /// Another program holds the file.
    #[error("{0} is in use by another livetill. Stop that one, or give this one its own store.url")]
    Busy(String),
    /// The folder or file cannot be written.
    #[error(
        "cannot write {place}: {why}. Check the folder's permissions and free space, or set store.url"
    )]
    Unwritable {
        /// The file.
        place: String,
        /// The system's words.
        why: String,
    },
    /// The database is not ours.
    #[error(
        "{0} is not a livetill database. Set store.url to another one; this one was not touched"
    )]
    Foreign(String),
    /// The newest part of the database is not there.
    #[error(
        "{0} is not whole: what was written last is in {0}-wal, and that is not here. Put that \
         file back beside it, or restore a whole backup; nothing was touched. Without either: \
         sqlite3 {0} \"delete from document where kind = 'store' and id = 'log'\" has livetill go \
         on from an older state, and a file without any table can be removed"
    )]
    LogLost(String),
    /// The database was written by a newer program.
    #[error("{0} was written by a newer livetill. Update this program; nothing was touched")]
    Newer(String),
    /// There is no such file, or no table in it, and reading needs one.
    #[error("{0} does not exist. Start livetill once, or set store.url")]
    Missing(String),
    /// The server has no such database.
    #[error("there is no database {0}. Make it with createdb, or set store.url")]
    NoDatabase(String),
    /// The server does not let us in.
    #[error(
        "{place} does not let us in: {why}. Check user, password and rights in LIVETILL_STORE__URL"
    )]
    Denied {
        /// The database.
        place: String,
        /// The server's words.
        why: String,
    },
    /// The server does not answer.
    #[error("cannot reach {place}: {why}. Start the database, or set store.url")]
    Unreachable {
        /// The database.
        place: String,
        /// The system's words.
        why: String,
    },
    /// Anything else.
    #[error("cannot open {place}: {why}")]
    Other {
        /// The file or database.
        place: String,
        /// The database's words.
        why: String,
    },
}

/// What the store will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By a program that writes: with SQLite the only one, with PostgreSQL one of several.
    Write,
    /// Beside it, for rows that it reads anew each time it needs them.
    Beside,
    /// Beside it, looking only.
    Read,
}

/// Opens the database at `url`; for writing, brings its tables up to date.
///
/// # Errors
/// Each says what is wrong and what to do; nothing is damaged.
pub async fn open(url: &str, access: Access) -> Result<SqlStore, OpenError> {
    install_default_drivers();
    let place = Place::parse(url)?;
    let explain = |error: sqlx::Error| place.explain(&error);
    let mut lock = None;
    if let Place::File(path) = &place {
        match access {
            Access::Write => lock = Some(Arc::new(sqlite::lock(path)?)),
            Access::Read | Access::Beside if !path.exists() => {
                return Err(OpenError::Missing(place.to_string()));
            }
            Access::Read | Access::Beside => {}
        }
        sqlite::check_header(path)?;
        if access == Access::Write {
            sqlite::create(path).await.map_err(explain)?;
        }
    }
    let shared = match &place {
        Place::File(_) => None,
        Place::Server(url) => Some(Shared { url: url.clone(), speaker: Arc::default() }),
    };
    let writer = match access {
        Access::Write => {
            let speaker = shared.as_ref().map(|shared| shared.speaker.clone());
            let (db, log) = match (&place, &lock) {
                (Place::File(path), Some(lock)) => {
                    let (db, log) = open_file(&place, path, lock).await?;
                    (db, Some(log))
                }
                _ => (open_server(&place, speaker.as_deref()).await?, None),
            };
            Some(Writer::start(place.clone(), db, speaker, log))
        }
        Access::Beside | Access::Read => {
            if let Place::File(path) = &place {
                look_at_file(path).await?;
            }
            if access == Access::Beside {
                let db = place.writer().await.map_err(explain)?;
                Some(Writer::start(place.clone(), db, None, None))
            } else {
                None
            }
        }
    };
    let pool = place.readers().await.map_err(explain)?;
    if access != Access::Write {
        check_version(&pool, &place).await?;
    }
    Ok(SqlStore { pool, writer, shared, place, _lock: lock })
}

/// Opens a file that is ours alone: everything is there, the tables are up to date, and what a
/// crash left in the log is folded in.
async fn open_file(
    place: &Place,
    path: &Path,
    lock: &Arc<File>,
) -> Result<(AnyConnection, Log), OpenError> {
    let explain = |error: sqlx::Error| place.explain(&error);
    let mut db = sqlite::plain(path).await.map_err(explain)?;
    // A log comes after the tables: a file without tables that has one has lost it.
    log::look(path, &mut db).await?;
    migrate(&mut db, place).await?;
    db.close().await.map_err(explain)?;
    let db = sqlite::writer(path).await.map_err(explain)?;
    let log = Log::new(path.to_owned(), lock.clone());
    if let Err(error) = log.fold().await {
        tracing::warn!(%error, "the database's log could not be folded into its file");
    }
    sqlite::keep_private(path);
    Ok((db, log))
}

async fn open_server(place: &Place, speaker: Option<&Speaker>) -> Result<AnyConnection, OpenError> {
    let explain = |error: sqlx::Error| place.explain(&error);
    let mut db = place.writer().await.map_err(explain)?;
    migrate(&mut db, place).await?;
    postgres::check_durability(&mut db).await.map_err(explain)?;
    if let Some(speaker) = speaker {
        speaker.introduce(&mut db).await.map_err(explain)?;
    }
    Ok(db)
}

/// Looks whether a file is whole before somebody reads it, beside a running program or not.
async fn look_at_file(path: &Path) -> Result<(), OpenError> {
    let explain = |error: sqlx::Error| sqlite::explain(path, &error);
    let mut db = sqlite::plain(path).await.map_err(explain)?;
    let state = log::look(path, &mut db).await?;
    // Where no program runs, nobody else will say it.
    if state == log::State::Unsaid
        && let Ok(_lock) = sqlite::lock(path)
    {
        log::mend(path).await.map_err(explain)?;
    }
    db.close().await.map_err(explain)
}

/// Brings the tables up to date. Several programs may try at the same time: the migrator takes a
/// lock on the database first.
async fn migrate(db: &mut AnyConnection, place: &Place) -> Result<(), OpenError> {
    migrator().run(db).await.map_err(|error| match error {
        MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => {
            OpenError::Newer(place.to_string())
        }
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            place.explain(&error)
        }
        error => OpenError::Other { place: place.to_string(), why: error.to_string() },
    })
}

async fn check_version(pool: &AnyPool, place: &Place) -> Result<(), OpenError> {
    let newest = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    let row =
        query("select cast(coalesce(max(version), 0) as bigint) as version from _sqlx_migrations")
            .fetch_one(pool)
            .await
            .map_err(|error| place.explain(&error))?;
    let have: i64 = sqlx::Row::try_get(&row, "version").map_err(|error| place.explain(&error))?;
    if have > newest { Err(OpenError::Newer(place.to_string())) } else { Ok(()) }
}
