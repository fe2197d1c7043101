//! What is PostgreSQL's own: settings of a session, and its words for what goes wrong.

use std::{borrow::Cow, io::ErrorKind, time::Duration};

use sqlx::{
    AnyConnection, AnyPool, Connection, Executor, PgConnection, Row, any::AnyPoolOptions, query,
};

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

/// Nothing that would hinder whoever gets the connection after us, should somebody keep it.
const FOR_READING: &str = "\
    set application_name = 'livetill reader'; \
    set statement_timeout = '8s'";

/// Two connections and some questions: a busy server takes its time.
const POOLER_WITHIN: Duration = Duration::from_secs(20);

/// How often to look whether a session keeps its connection to the server.
const POOLER_LOOKS: u32 = 3;

/// The connection for writing.
pub(super) async fn writer(url: &str) -> Result<AnyConnection, sqlx::Error> {
    let connect = async {
        let mut db = AnyConnection::connect(&dialled(url)).await?;
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
        .connect(&dialled(url))
        .await
}

/// The address as the driver dials it: a bracketed IPv6 address it would look up as a name.
pub(super) fn dialled(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, place)) => (format!("{user}@"), place),
        None => (String::new(), authority),
    };
    let Some((host, port)) = place.strip_prefix('[').and_then(|place| place.split_once(']')) else {
        return url.into();
    };
    let and = if path.contains('?') { '&' } else { '?' };
    format!("{scheme}://{user}localhost{port}{path}{and}host={}", host.replace('%', "%25")).into()
}

/// Whether something on the way hands each transaction to whichever connection is free. Asked in
/// plain words that leave nothing behind: on such a connection a setting would be somebody else's.
pub(super) async fn is_pooled(url: &str) -> Result<bool, sqlx::Error> {
    let url = dialled(url);
    let look = async {
        let mut ours = PgConnection::connect(&url).await?;
        let Ok(mut other) = PgConnection::connect(&url).await else {
            // There is no room for two: then nobody shares, as far as we can tell.
            return Ok(false);
        };
        let first = backend(&mut ours).await?;
        for _ in 0..POOLER_LOOKS {
            let here = backend(&mut ours).await?;
            if let Err(error) = other.execute("begin").await {
                return if is_of_a_pooler(&error) { Ok(true) } else { Err(error) };
            }
            let there = backend(&mut other).await?;
            // Two open sessions never have the same server process. Should there be only one, the
            // next question would wait for ever.
            if here != first || there == here || backend(&mut ours).await? != here {
                return Ok(true);
            }
            other.execute("commit").await?;
        }
        other.close().await?;
        ours.close().await?;
        Ok(false)
    };
    tokio::time::timeout(POOLER_WITHIN, look).await.unwrap_or_else(|_| Err(too_late()))
}

async fn backend(db: &mut PgConnection) -> Result<i32, sqlx::Error> {
    sqlx::raw_sql("select pg_backend_pid() as pid").fetch_one(db).await?.try_get("pid")
}

fn is_of_a_pooler(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.message().contains("pooling mode"))
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
        sqlx::Error::PoolTimedOut => {
            let why = "it has no connection left for us, or is too busy to let us in".to_owned();
            return OpenError::Unreachable { place, why };
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => {
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
        // Starting up, shutting down, too many connections.
        "57P03" | "57P01" | "57P02" | "53300" => OpenError::Unreachable { place, why },
        // Read only, like a standby; full.
        "25006" | "53100" => OpenError::ReadsOnly { place, why },
        _ if why.contains("unsupported startup parameter") => {
            let mend = "in pgbouncer.ini: ignore_startup_parameters = extra_float_digits";
            OpenError::Other { place, why: format!("{why} ({mend})") }
        }
        _ => OpenError::Other { place, why },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bracketed_address_is_dialled_as_one() {
        for (url, dials) in [
            ("postgres://u:p@h:5432/d?sslmode=disable", None),
            ("postgres:///d?host=/run", None),
            ("postgres://u:p@[::1]:5432/d", Some("postgres://u:p@localhost:5432/d?host=::1")),
            ("postgres://[fe80::1%eth0]/d", Some("postgres://localhost/d?host=fe80::1%25eth0")),
            (
                "postgres://u@[2001:db8::7]/d?sslmode=require",
                Some("postgres://u@localhost/d?sslmode=require&host=2001:db8::7"),
            ),
        ] {
            assert_eq!(dialled(url), dials.unwrap_or(url));
        }
    }
}
