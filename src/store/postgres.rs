//! What is PostgreSQL's own: settings of a session, and its words for what goes wrong.

use std::{io::ErrorKind, time::Duration};

use sqlx::{AnyConnection, AnyPool, Connection, Executor, Row, any::AnyPoolOptions, query};

use super::open::OpenError;

/// What programs on the same database tell each other goes through here.
pub(super) const CHANNEL: &str = "livetill";

/// Connections for reading.
const READERS: u32 = 8;

/// A server that has not let us in by then is away.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Whoever wants to read waits this long for a connection.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// A transaction that takes longer is lost. Above the limits that the server is told below, so
/// that usually the server says what was wrong.
pub(super) const TRANSACTION_WITHIN: Duration = Duration::from_secs(12);

/// Whoever else holds a row, a transaction of ours does not wait for ever, and none that lost its
/// program keeps rows for long. What is acknowledged is on disk, whatever the server's default.
const FOR_WRITING: &str = "\
    set application_name = 'livetill writer'; \
    set default_transaction_isolation = 'read committed'; \
    set lock_timeout = '4s'; \
    set statement_timeout = '8s'; \
    set idle_in_transaction_session_timeout = '8s'; \
    select set_config('synchronous_commit', 'on', false) \
        where current_setting('synchronous_commit') = 'off'";

/// Several statements of one transaction read the same state.
const FOR_READING: &str = "\
    set application_name = 'livetill reader'; \
    set default_transaction_isolation = 'repeatable read'; \
    set default_transaction_read_only = on; \
    set statement_timeout = '8s'";

/// The connection for writing.
pub(super) async fn writer(url: &str) -> Result<AnyConnection, sqlx::Error> {
    let connect = async {
        let mut db = AnyConnection::connect(url).await?;
        db.execute(FOR_WRITING).await?;
        Ok(db)
    };
    tokio::time::timeout(CONNECT_WITHIN, connect).await.unwrap_or_else(|_| Err(too_late()))
}

/// Connections for reading.
pub(super) async fn readers(url: &str) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(READERS)
        .acquire_timeout(READ_WITHIN)
        .after_connect(|db, _| {
            Box::pin(async move {
                db.execute(FOR_READING).await?;
                Ok(())
            })
        })
        .connect(url)
        .await
}

fn too_late() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(ErrorKind::TimedOut, "it does not answer"))
}

/// Warns of a server that forgets what it acknowledged when its power fails.
pub(super) async fn check_durability(db: &mut AnyConnection) -> Result<(), sqlx::Error> {
    let row = query("select current_setting('fsync') as fsync").fetch_one(db).await?;
    if row.try_get::<String, _>("fsync")? != "on" {
        tracing::warn!("the database runs with fsync off: a power cut can lose paid orders");
    }
    Ok(())
}

pub(super) fn explain(place: String, error: &sqlx::Error) -> OpenError {
    let db = match error {
        sqlx::Error::Database(db) => db,
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::PoolTimedOut => {
            let mut why = error.to_string();
            if why.contains("certificate") {
                why.push_str(" (sslrootcert=FILE names the authority that signed it)");
            }
            return OpenError::Unreachable { place, why };
        }
        sqlx::Error::Configuration(_) => {
            let mend = "in a password % / ? # @ : are written %25 %2F %3F %23 %40 %3A";
            return OpenError::Other { place, why: format!("{error} ({mend})") };
        }
        _ => return OpenError::Other { place, why: error.to_string() },
    };
    let why = db.message().to_owned();
    match db.code().as_deref().unwrap_or_default() {
        // Wrong password, no such role, no right to it.
        "28P01" | "28000" | "42501" => OpenError::Denied { place, why },
        "3D000" => OpenError::NoDatabase(place),
        // Our tables are not there, or somebody else's of the same name are.
        "42P01" => OpenError::Missing(place),
        "42P07" => OpenError::Foreign(place),
        // Starting up, shutting down, too many connections, a standby.
        "57P03" | "57P01" | "57P02" | "53300" | "25006" => OpenError::Unreachable { place, why },
        _ => OpenError::Other { place, why },
    }
}
