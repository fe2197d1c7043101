//! Several programs on one store: how they hear of each other, and whose turn it is.

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::StoreError;
use crate::{clock::Timestamp, id::SaleId};

/// What a store that several programs share offers beside [`super::Store`].
#[async_trait]
pub trait Peers: Send + Sync + 'static {
    /// The stored revision of a sale: whether a copy in memory is still the newest.
    async fn revision(&self, sale: SaleId) -> Result<Option<u64>, StoreError>;

    /// The revisions of all sales that are not closed, and of the newest `last` sales.
    async fn revisions(&self, last: u32) -> Result<Vec<(SaleId, u64)>, StoreError>;

    /// Takes or keeps a turn; see [`Holding`].
    async fn take_turn(&self, turn: Turn) -> Result<Holding, StoreError>;

    /// The store's own clock.
    async fn now(&self) -> Result<Timestamp, StoreError>;

    /// What the other programs change from now on. Begins with [`Change::Anything`]; so does
    /// every new connection after one was lost.
    fn changes(&self) -> mpsc::Receiver<Change>;
}

/// A request for a turn: for some time only `owner` does what `name` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// What is done in turns, like sending to an account.
    pub name: String,
    /// Who asks.
    pub owner: String,
    /// Now; a turn that ended before is free.
    pub now: Timestamp,
    /// Until when it is to last.
    pub until: Timestamp,
}

/// Who has a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// We do, as before.
    Kept,
    /// We do, since now: somebody else may have had it before.
    Taken,
    /// Somebody else does.
    Others,
}

/// What other programs changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// One commit.
    Known {
        /// Sales and their revisions.
        sales: Vec<(SaleId, u64)>,
        /// Whether effects were queued or done.
        work: bool,
        /// Whether the shop's row changed.
        shop: bool,
    },
    /// Nobody knows what was missed.
    Anything,
}
