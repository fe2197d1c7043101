//! Documents of whoever lives inside this program.

use sqlx::{AnyConnection, query};

use super::{DocChange, StoreError, sql};

/// Writes documents; `false` if a version was not as expected.
pub(super) async fn put_all(
    db: &mut AnyConnection,
    docs: &[DocChange],
) -> Result<bool, StoreError> {
    for DocChange { kind, id, parent, expected, body } in docs {
        let change = match (body, *expected) {
            (Some(body), 0) => {
                query(sql::INSERT_DOC).bind(*kind).bind(id).bind(parent).bind(body.to_string())
            }
            (Some(body), version) => query(sql::UPDATE_DOC)
                .bind(*kind)
                .bind(id)
                .bind(parent)
                .bind(body.to_string())
                .bind(version),
            (None, version) => query(sql::DELETE_DOC).bind(*kind).bind(id).bind(version),
        };
        if change.execute(&mut *db).await?.rows_affected() != 1 {
            return Ok(false);
        }
    }
    Ok(true)
}
