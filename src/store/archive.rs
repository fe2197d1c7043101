//! Removes what an archived sale left, a little at a time: whoever sells meanwhile does not wait.
//!
//! That a sale is archived stands in its head, written in one commit with everything that stays of
//! it. From then on its details are not read any more; a program that is killed while they are being
//! removed leaves rows that the next sweep takes.

use sqlx::{AnyConnection, query};

use super::{
    StoreError,
    row::{number, read, text},
    sql,
};
use crate::{
    id::SaleId,
    sale::{Head, hold::Hold},
};

/// Removes some of it; `false` if nothing is left, or the sale is not archived.
pub(super) async fn clear(db: &mut AnyConnection, sale: SaleId) -> Result<bool, StoreError> {
    let key = sale.to_string();
    let row = query(sql::LOCK_SALE).bind(&key).fetch_optional(&mut *db).await?;
    let Some(row) = row else { return Ok(false) };
    let head: Head = read("sale", &key, &text(&row, "body")?)?;
    let Some(archived) = &head.archived else { return Ok(false) };
    if clear_holds(db, &key, &head).await? {
        return Ok(true);
    }
    let until = i64::try_from(archived.revision).unwrap_or(i64::MAX);
    let lines = query(sql::DELETE_JOURNAL).bind(&key).bind(until).execute(&mut *db).await?;
    if lines.rows_affected() > 0 {
        return Ok(true);
    }
    let first = query(sql::DELETE_FIRST_LINE).bind(&key).execute(db).await?;
    Ok(first.rows_affected() > 0)
}

/// Removes some holds, each with its pages.
async fn clear_holds(db: &mut AnyConnection, key: &str, head: &Head) -> Result<bool, StoreError> {
    let rows = query(sql::SELECT_SOME_HOLDS).bind(key).fetch_all(&mut *db).await?;
    let Some(last) = rows.last() else { return Ok(false) };
    let (last, provider) = (number(last, "n")?, &head.template.provider);
    for row in &rows {
        let id = format!("{key}-{}", number(row, "n")?);
        let hold: Hold = read("hold", &id, &text(row, "body")?)?;
        for page in hold.checkouts {
            let page = query(sql::DELETE_CHECKOUT).bind(provider).bind(page.id.to_string());
            page.bind(key).execute(&mut *db).await?;
        }
    }
    query(sql::DELETE_HOLDS).bind(key).bind(last).execute(db).await?;
    Ok(true)
}
