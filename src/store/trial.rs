//! Proves that the database takes what a sale writes: by a row that is written, and by a row in
//! every table that is taken back.

use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Connection, Row, query};

use super::{StoreError, sql};

/// How much is written to prove it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// Next to nothing: nothing went wrong so far.
    Little = 1,
    /// As much as a claim writes: where the room ran out, a small row may still fit.
    Claim = 64 * 1024,
}

/// Writes a row, and reads back that it is there.
pub(super) async fn prove_row(
    db: &mut AnyConnection,
    begin: &'static str,
    room: Room,
) -> Result<(), StoreError> {
    let mut transaction = db.begin_with(begin).await?;
    let written = write_row(&mut transaction, room).await?;
    transaction.commit().await?;
    let row = query(sql::SELECT_PROOF).fetch_one(db).await?;
    let read: i64 = row.try_get("version")?;
    // Another program may have proven its own since.
    if read < written {
        return Err(StoreError::Away("a written row is not there".to_owned()));
    }
    Ok(())
}

/// The same, after a row in every table that is taken back: one of them may refuse alone.
pub(super) async fn prove_tables(
    db: &mut AnyConnection,
    begin: &'static str,
    room: Room,
) -> Result<(), StoreError> {
    let mut transaction = db.begin_with(begin).await?;
    try_tables(&mut transaction).await?;
    write_row(&mut transaction, room).await?;
    transaction.commit().await?;
    Ok(())
}

/// Tries every table, and leaves nothing.
pub(super) async fn try_tables(db: &mut AnyConnection) -> Result<(), StoreError> {
    let mut trial = db.begin().await?;
    for text in sql::TRIAL {
        query(*text).execute(&mut *trial).await?;
    }
    trial.rollback().await?;
    Ok(())
}

async fn write_row(db: &mut AnyConnection, room: Room) -> Result<i64, StoreError> {
    let body = format!("\"{}\"", filler(room as usize));
    let row = query(sql::UPSERT_PROOF).bind(body).fetch_one(db).await?;
    Ok(row.try_get("version")?)
}

/// A text that no database can make shorter.
fn filler(bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    let mut n = 0_u64;
    while text.len() < bytes {
        text.push_str(&hex::encode(Sha256::digest(n.to_be_bytes())));
        n += 1;
    }
    text.truncate(bytes);
    text
}
