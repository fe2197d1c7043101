//! The tables of a database: brings them up to date.

use std::borrow::Cow;

use sqlx::{
    AnyConnection, AnyPool, Database, Row, SqlStr, Sqlite,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    query,
};

use super::{open::OpenError, place::Place};

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

/// Brings the tables up to date. Several programs may try at the same time: the migrator takes a
/// lock on the database first.
pub(super) async fn migrate(db: &mut AnyConnection, place: &Place) -> Result<(), OpenError> {
    // Where there is nothing to do, no right to make tables is needed.
    if place.is_server() && applied(db).await == Some(newest()) {
        return Ok(());
    }
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

/// The version that this program writes.
pub(super) fn newest() -> i64 {
    MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0)
}

const SELECT_VERSION: &str =
    "select cast(coalesce(max(version), 0) as bigint) as version from _sqlx_migrations";

/// The version of the tables, if there are any.
pub(super) async fn applied(db: &mut AnyConnection) -> Option<i64> {
    let there = match db.backend_name() {
        Sqlite::NAME => "select count(*) as n from sqlite_master where name = '_sqlx_migrations'",
        _ => "select count(to_regclass('_sqlx_migrations')) as n",
    };
    let row = query(there).fetch_one(&mut *db).await.ok()?;
    if row.try_get::<i64, _>("n").ok()? == 0 {
        return None;
    }
    query(SELECT_VERSION).fetch_one(db).await.ok()?.try_get("version").ok()
}

/// Refuses tables that a newer program wrote.
pub(super) async fn check_version(pool: &AnyPool, place: &Place) -> Result<(), OpenError> {
    let explain = |error: sqlx::Error| place.explain(&error);
    let row = query(SELECT_VERSION).fetch_one(pool).await.map_err(explain)?;
    let have: i64 = row.try_get("version").map_err(explain)?;
    if have > newest() { Err(OpenError::Newer(place.to_string())) } else { Ok(()) }
}
