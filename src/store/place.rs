//! Where a database is, and how to come by connections to it.

use std::{fmt, path::PathBuf, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyConnection, AnyPool};

use super::{
    open::OpenError,
    postgres,
    sqlite::{self, sqlite_path},
};

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// A file of SQLite's.
    File(PathBuf),
    /// A PostgreSQL server's; the address may hold a password.
    Server(SecretString),
}

impl Place {
    pub(super) fn parse(url: &str) -> Result<Self, OpenError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Ok(Self::Server(SecretString::from(url)));
        }
        let path = sqlite_path(url).filter(|path| !path.as_os_str().is_empty());
        path.map(|path| Self::File(sqlite::resolved(path)))
            .ok_or_else(|| OpenError::Url(shown(url)))
    }

    /// A connection for writing to tables that are there already.
    pub(super) async fn writer(&self) -> Result<AnyConnection, sqlx::Error> {
        match self {
            Self::File(path) => sqlite::writer(path).await,
            Self::Server(url) => postgres::writer(url.expose_secret()).await,
        }
    }

    /// A connection for writing that changes nothing by itself.
    pub(super) async fn plain(&self) -> Result<AnyConnection, sqlx::Error> {
        match self {
            Self::File(path) => sqlite::plain(path).await,
            Self::Server(url) => postgres::writer(url.expose_secret()).await,
        }
    }

    pub(super) fn is_server(&self) -> bool {
        matches!(self, Self::Server(_))
    }

    /// A small pool for reading.
    pub(super) async fn readers(&self) -> Result<AnyPool, sqlx::Error> {
        match self {
            Self::File(path) => sqlite::readers(path).await,
            Self::Server(url) => postgres::readers(url.expose_secret()).await,
        }
    }

    /// How long a transaction may take; without an end where it cannot get lost on the way.
    pub(super) fn patience(&self) -> Duration {
        match self {
            Self::File(_) => Duration::MAX,
            Self::Server(_) => postgres::TRANSACTION_WITHIN,
        }
    }

    /// How a transaction that writes begins. In words of our own: the driver then refuses to
    /// begin one within another, as it would where an error left the two of different minds.
    pub(super) fn begin(&self) -> &'static str {
        match self {
            Self::File(_) => "begin immediate",
            Self::Server(_) => "begin",
        }
    }

    /// How a transaction begins whose reads all see the same state.
    pub(super) fn begin_reading(&self) -> &'static str {
        match self {
            Self::File(_) => "begin",
            Self::Server(_) => "begin isolation level repeatable read, read only",
        }
    }

    /// Says why a database cannot be used.
    pub(super) fn explain(&self, error: &sqlx::Error) -> OpenError {
        match self {
            Self::File(path) => sqlite::explain(path, error),
            Self::Server(_) => postgres::explain(self.to_string(), error),
        }
    }
}

/// The place for people: without its password.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Server(url) => f.write_str(&shown(url.expose_secret())),
        }
    }
}

/// A store's address as it may be shown: without a password, and without what follows a `?`,
/// where one may stand as well. Where a password was not written as it must be, nobody can tell
/// where it ends: then nothing is shown.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (who_and_where, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if path.contains('@') {
        return format!("{scheme}://…");
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    match who_and_where.rsplit_once('@') {
        Some((who, place)) => {
            let user = who.split(':').next().unwrap_or_default();
            format!("{scheme}://{user}@{place}{path}")
        }
        None => format!("{scheme}://{who_and_where}{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_is_a_file() {
        for good in ["sqlite:x.db", "sqlite://a/b c.db", "sqlite:/var/lib/x.db", "sqlite:C:/x.db"] {
            assert!(matches!(Place::parse(good), Ok(Place::File(_))), "{good}");
        }
        for bad in
            ["sqlite::memory:", "sqlite:x.db?mode=ro", "sqlite:x#y", "sqlite: x.db", "sqlite:"]
        {
            assert!(matches!(Place::parse(bad), Err(OpenError::Url(_))), "{bad}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        for (url, seen) in [
            ("sqlite:livetill.db", "sqlite:livetill.db"),
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://u:p@h:5432/d", "postgres://u@h:5432/d"),
            ("postgres://u:p@q@h/d?sslmode=require&password=x", "postgres://u@h/d"),
            ("postgresql:///d?user=u&password=x", "postgresql:///d"),
            ("postgres://u:p/q@h/d", "postgres://…"),
            ("postgres://u:p?q@h/d", "postgres://…"),
            ("postgres://u:p#q@h/d", "postgres://…"),
            ("postgres://u:p@q/r@h/d", "postgres://…"),
            ("postgres://h/d?password=p@q", "postgres://…"),
        ] {
            assert_eq!(shown(url), seen);
        }
        let place = Place::parse("postgres://u:secret@h/d").expect("an address");
        assert!(!format!("{place} {place:?}").contains("secret"));
    }
}
