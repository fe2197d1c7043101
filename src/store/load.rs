//! Puts a stored sale together, and reads its journal. Of an archived sale, details that are still
//! there are passed over.

use sqlx::{AnyConnection, query};

use super::{
    JournalLine, StoreError,
    row::{damaged, number, read, text},
    sql,
};
use crate::{
    id::SaleId,
    sale::{Head, Sale, hold::Hold, payment::Payment},
};

/// A sale with its holds and payments.
pub(super) async fn load(db: &mut AnyConnection, sale: SaleId) -> Result<Option<Sale>, StoreError> {
    let Some(head) = head(db, sale).await? else { return Ok(None) };
    let key = sale.to_string();
    let rows = match head.archived {
        // Some may not be removed yet.
        Some(_) => Vec::new(),
        None => query(sql::SELECT_HOLDS).bind(&key).fetch_all(&mut *db).await?,
    };
    let mut holds = Vec::new();
    for row in rows {
        let id = format!("{key}-{}", number(&row, "n")?);
        holds.push(read::<Hold>("hold", &id, &text(&row, "body")?)?);
    }
    let mut payments = Vec::new();
    for row in query(sql::SELECT_PAYMENTS).bind(&key).fetch_all(&mut *db).await? {
        let id = text(&row, "id")?;
        payments.push(read::<Payment>("payment", &id, &text(&row, "body")?)?);
    }
    let sale = Sale::assemble(head, holds, payments);
    sale.audit().map_err(|broken| damaged("sale", &key, broken))?;
    Ok(Some(sale))
}

pub(super) async fn head(db: &mut AnyConnection, sale: SaleId) -> Result<Option<Head>, StoreError> {
    let key = sale.to_string();
    let row = query(sql::SELECT_SALE).bind(&key).fetch_optional(&mut *db).await?;
    row.map(|row| read("sale", &key, &text(&row, "body")?)).transpose()
}

/// The revision that a sale's journal begins with.
pub(super) fn first_line(head: &Head) -> u64 {
    head.archived.as_ref().map_or(0, |archived| archived.revision)
}

pub(super) async fn journal(
    db: &mut AnyConnection,
    sale: SaleId,
    first: u64,
) -> Result<Vec<JournalLine>, StoreError> {
    let key = sale.to_string();
    let first = i64::try_from(first).unwrap_or(i64::MAX);
    let mut lines = Vec::new();
    for row in query(sql::SELECT_JOURNAL).bind(&key).bind(first).fetch_all(db).await? {
        let id = format!("{key}@{}", number(&row, "revision")?);
        lines.append(&mut read::<Vec<JournalLine>>("journal", &id, &text(&row, "body")?)?);
    }
    Ok(lines)
}
