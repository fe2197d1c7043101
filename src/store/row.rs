//! Between rows and the domain. An impossible row is an error that names table, row and reason.

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, any::AnyRow};

use super::{SaleLine, StoreError};
use crate::{
    id::{HoldId, SaleId},
    sale::Head,
};

/// What most holds and payments need as text; a text that grows is copied each time it does.
const BODY_USUAL: usize = 768;

/// A domain value as the text of a `body` column.
pub(super) fn json<T: Serialize>(value: &T) -> String {
    let mut text = Vec::with_capacity(BODY_USUAL);
    serde_json::to_writer(&mut text, value).expect("our own types serialise: maps have text keys");
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// Reads a `body` column.
pub(super) fn read<T: DeserializeOwned>(
    table: &'static str,
    id: &str,
    text: &str,
) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| damaged(table, id, error))
}

pub(super) fn damaged(table: &'static str, id: impl ToString, what: impl ToString) -> StoreError {
    StoreError::Damaged { table, id: id.to_string(), what: what.to_string() }
}

pub(super) fn text(row: &AnyRow, column: &str) -> Result<String, StoreError> {
    Ok(row.try_get(column)?)
}

pub(super) fn number(row: &AnyRow, column: &str) -> Result<i64, StoreError> {
    Ok(row.try_get(column)?)
}

/// A count that must not be negative.
pub(super) fn count(row: &AnyRow, table: &'static str, column: &str) -> Result<u32, StoreError> {
    let n = number(row, column)?;
    u32::try_from(n).map_err(|_| damaged(table, column, format!("{n} is out of range")))
}

pub(super) fn sale_id(row: &AnyRow, column: &str) -> Result<SaleId, StoreError> {
    let id = text(row, column)?;
    id.parse().map_err(|error| damaged("sale", &id, error))
}

pub(super) fn hold_id(row: &AnyRow) -> Result<HoldId, StoreError> {
    Ok(HoldId { sale: sale_id(row, "sale")?, n: count(row, "hold", "n")? })
}

pub(super) fn sale_line(row: &AnyRow) -> Result<SaleLine, StoreError> {
    let head: Head = read("sale", "?", &text(row, "body")?)?;
    Ok(SaleLine { id: head.id, number: head.number, head })
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default();
                let says = db.message().to_owned();
                match code.as_ref() {
                    // SQLITE_FULL; PostgreSQL's disk_full.
                    "13" | "53100" => return Self::Full,
                    // PostgreSQL's serialization_failure and deadlock_detected.
                    "40001" | "40P01" => return Self::Conflict(says),
                    _ => {}
                }
                let refused = db.is_unique_violation()
                    || db.is_check_violation()
                    || db.is_foreign_key_violation()
                    // PostgreSQL's class "data exception", like a NUL in a text.
                    || (code.len() == 5 && code.starts_with("22"));
                if refused { Self::Refused(says) } else { Self::Away(says) }
            }
            sqlx::Error::ColumnDecode { index, source } => {
                Self::Damaged { table: "?", id: index.clone(), what: source.to_string() }
            }
            sqlx::Error::PoolTimedOut => {
                Self::Away("no connection is free: too few are left, or it is too busy".to_owned())
            }
            _ => Self::Away(error.to_string()),
        }
    }
}
