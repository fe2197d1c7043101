//! Why a store did not do as asked.

/// Why a store did not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused the data: it breaks a rule of the schema.
    #[error("the database refused it: {0}")]
    Refused(String),
    /// A stored row makes no sense.
    #[error("a damaged row in {table}, {id}: {what}")]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row.
        id: String,
        /// What is wrong.
        what: String,
    },
    /// The disk is full.
    #[error("the disk is full: free some space, nothing was lost")]
    Full,
    /// Another writer was in the way, again and again.
    #[error("others wrote at the same time: {0}")]
    Conflict(String),
    /// The database does not answer, or not now. Nothing was stored.
    #[error("the database is out of reach: {0}")]
    Away(String),
    /// The connection broke at the very end: it may be stored or not. Telling it again is safe.
    #[error("the connection broke while it was being stored: {0}")]
    Unsure(String),
}
