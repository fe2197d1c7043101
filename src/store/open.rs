//! Opens a database, and says plainly why it cannot.

use std::{fs::File, path::Path, sync::Arc};

use secrecy::ExposeSecret;
use sqlx::{AnyConnection, Connection, any::install_default_drivers};

use super::{
    StoreError,
    group::Writer,
    listener::Speaker,
    log::{self, Log},
    mark,
    place::Place,
    postgres, sqlite,
    sqlstore::{Shared, SqlStore},
    tables::{applied, check_version, migrate, newest},
    trial::{Room, prove_row, try_tables},
};

/// Why a database cannot be used. Every message says what to do; none holds a password.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not an address we know.
    #[error(
        "store.url = \"{0}\": write sqlite:PATH, without options, or \
             postgres://USER@HOST/DATABASE"
    )]
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
    /// The file that keeps a second program out cannot be written.
    #[error(
        "cannot write {lock}: {why}. Give it to the user that livetill runs as, or remove it while \
         no livetill runs"
    )]
    Lock {
        /// That file.
        lock: String,
        /// The system's words.
        why: String,
    },
    /// There is no such folder.
    #[error("there is no folder {folder} for {place}: make it, or set store.url")]
    NoFolder {
        /// The file.
        place: String,
        /// Its folder.
        folder: String,
    },
    /// The file was there, and is gone.
    #[error(
        "{0} is gone, while {0}-lock still knows of sales in it. Put it back, or remove {0}-lock to \
         begin with an empty shop"
    )]
    Gone(String),
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
    /// The log belongs to another state of the file.
    #[error(
        "{0} ended with everything in the one file, and now there is {0}-wal with a log in it, \
         which is not of that state. Move {0}-wal and {0}-shm away; nothing was touched"
    )]
    StrayLog(String),
    /// There is a log, and nothing that it belongs to: SQLite would remove it.
    #[error(
        "{0} is empty or not there, and its log {0}-wal is. Put the file back beside its log, or \
         restore a whole backup and move the log away; nothing was touched"
    )]
    LogAlone(String),
    /// File and log are older than what was committed.
    #[error(
        "{0} is not what was written last: its log {0}-wal was cut, damaged or replaced by an \
         older one. Put the right files back, or restore a whole backup without a -wal file; \
         nothing was touched. Removing {0}-lock has livetill go on from the older state"
    )]
    Older(String),
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
    /// It can be read, and not written.
    #[error(
        "{place} cannot be written: {why}. Set store.url to one that can: not a standby, with \
         room, and with rights on its tables"
    )]
    ReadsOnly {
        /// The database.
        place: String,
        /// The server's words.
        why: String,
    },
    /// Each transaction goes to another session of the server.
    #[error(
        "{0} is a pooler in transaction mode, which cannot carry LISTEN and the settings of a \
         session. Set store.url to the server itself, or to a pool with pool_mode = session"
    )]
    Pooler(String),
    /// The database belongs to another shop.
    #[error(
        "{place} belongs to the shop \"{theirs}\", and this is \"{ours}\". Give this one its own \
         store.url. If the shop was renamed, set shop.id = \"{theirs}\""
    )]
    OtherShop {
        /// The database.
        place: String,
        /// Whose it is.
        theirs: String,
        /// Who asks.
        ours: String,
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
    let (mut lock, mut itself) = (None, None);
    if let Place::File(path) = &place {
        if Log::is_alone(path) {
            return Err(OpenError::LogAlone(place.to_string()));
        }
        match access {
            Access::Write => lock = Some(Arc::new(sqlite::lock(path)?)),
            Access::Read | Access::Beside => {}
        }
        if !path.exists() {
            sqlite::could_make(path, mark::is_noted(path))?;
            if access != Access::Write {
                return Err(OpenError::Missing(place.to_string()));
            }
        }
        sqlite::check_header(path)?;
        mark::look(path).await?;
        if access == Access::Write {
            sqlite::create(path).await.map_err(explain)?;
            itself = sqlite::lock_itself(path)?;
        }
    }
    if let Place::Server(url) = &place
        && postgres::is_pooled(url.expose_secret()).await.map_err(explain)?
    {
        return Err(OpenError::Pooler(place.to_string()));
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
                if let Place::File(path) = &place {
                    mark::goes_on(path);
                }
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
    Ok(SqlStore { pool, writer, shared, place, _locks: (lock, itself) })
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
    prove(&mut db, place).await?;
    postgres::check_durability(&mut db).await.map_err(explain)?;
    if let Some(speaker) = speaker {
        speaker.introduce(&mut db).await.map_err(explain)?;
    }
    Ok(db)
}

/// A row is written before anything is promised.
async fn prove(db: &mut AnyConnection, place: &Place) -> Result<(), OpenError> {
    let proof = prove_row(db, place.begin(), Room::Little).await;
    proof.map_err(|why| reads_only(place, &why))
}

fn reads_only(place: &Place, why: &StoreError) -> OpenError {
    let why = match why {
        StoreError::Away(why) => why.clone(),
        why => why.to_string(),
    };
    OpenError::ReadsOnly { place: place.to_string(), why }
}

/// Whether a program could begin to write to the database at `url`, found out without leaving
/// anything in it. A file that a running program holds is that program's to judge.
///
/// # Errors
/// What opening it for writing would answer.
pub async fn could_write(url: &str) -> Result<(), OpenError> {
    install_default_drivers();
    let place = Place::parse(url)?;
    let explain = |error: sqlx::Error| place.explain(&error);
    let _lock = match &place {
        // It is made at the first start.
        Place::File(path) if !path.exists() => {
            sqlite::could_make(path, mark::is_noted(path))?;
            return sqlite::try_to_make(path);
        }
        Place::File(path) => match sqlite::lock(path) {
            Err(OpenError::Busy(_)) => return Ok(()),
            locked => Some(locked?),
        },
        Place::Server(url) => {
            if postgres::is_pooled(url.expose_secret()).await.map_err(explain)? {
                return Err(OpenError::Pooler(place.to_string()));
            }
            None
        }
    };
    let mut db = place.plain().await.map_err(explain)?;
    let mut trial = db.begin_with(place.begin()).await.map_err(explain)?;
    match applied(&mut trial).await {
        Some(version) if version >= newest() => {
            try_tables(&mut trial).await.map_err(|why| reads_only(&place, &why))?;
        }
        _ => {
            let table = "create table livetill_trial (x bigint)";
            sqlx::Executor::execute(&mut *trial, table).await.map_err(explain)?;
        }
    }
    trial.rollback().await.map_err(explain)?;
    db.close().await.map_err(explain)
}

/// Looks whether a file is whole before somebody reads it, beside a running program or not.
async fn look_at_file(path: &Path) -> Result<(), OpenError> {
    let explain = |error: sqlx::Error| sqlite::explain(path, &error);
    let mut db = sqlite::beside_a_program(path).await.map_err(explain)?;
    let state = log::look(path, &mut db).await?;
    // Where no program runs, nobody else will say it.
    if state == log::State::Unsaid
        && let Ok(_lock) = sqlite::lock(path)
    {
        log::mend(path).await.map_err(explain)?;
    }
    db.close().await.map_err(explain)
}
