//! Where sales live: the port. Every method is one whole transaction, in the domain's words.
//!
//! A store knows no provider, no platform and no rule of the sale; it knows that a commit is all
//! or nothing, that a version is a guard, and that what it acknowledged is on disk.

mod archive;
pub mod bulk;
mod document;
mod error;
mod group;
mod listener;
mod load;
mod log;
mod mark;
mod news;
mod open;
mod outbox;
mod owner;
mod peers;
mod place;
mod postgres;
mod pulse;
mod row;
pub mod sql;
mod sqlite;
mod sqlstore;
mod tables;
#[cfg(test)]
mod tests;
mod together;
mod trial;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{CheckoutId, EffectId, HoldId, SaleId},
    sale::{
        Head, Move, Sale,
        event::Event,
        hold::Hold,
        payment::{Payment, PaymentFact},
    },
    shop::Shop,
};

pub use self::{
    error::StoreError,
    open::{Access, OpenError, could_write, open},
    outbox::{LeaseAsk, Leased, OutboxCount, ParkedEffect, PutOff, QueuedEffect, Work},
    peers::{Change, Holding, Peers, Turn},
    place::shown,
    sqlstore::SqlStore,
    tables::MIGRATIONS,
};

/// Where sales live.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Writes everything of `commit`, or nothing. Once it answers `Applied`, it is on disk.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// A sale with its holds and payments.
    async fn load(&self, sale: SaleId) -> Result<Option<Sale>, StoreError>;

    /// One line for every sale, newest first, `limit` at most.
    async fn sales(&self, limit: u32) -> Result<Vec<SaleLine>, StoreError>;

    /// Sales that are not closed.
    async fn live_sales(&self) -> Result<Vec<SaleId>, StoreError>;

    /// The sale with that short number.
    async fn sale_numbered(&self, number: u32) -> Result<Option<SaleId>, StoreError>;

    /// The shop's own row.
    async fn shop(&self) -> Result<Shop, StoreError>;

    /// The shop's secret key, made from `fresh` bytes at the first call ever.
    async fn secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError>;

    /// The shop's id, see [`crate::shop::id_of`]; `None` before the first start. No secret, and
    /// the same for as long as the database lives.
    async fn shop_id(&self) -> Result<Option<String>, StoreError>;

    /// The hold whose page, or whose order at the provider, that is.
    async fn hold_of(&self, provider: &str, page: &PageRef) -> Result<Option<HoldId>, StoreError>;

    /// The sale a payment was joined to, if it is known at all.
    async fn sale_of_payment(
        &self,
        provider: &str,
        payment: &str,
    ) -> Result<Option<SaleId>, StoreError>;

    /// Sales whose deadline has come.
    async fn due_sales(&self, now: Timestamp) -> Result<Vec<SaleId>, StoreError>;

    /// The earliest deadline of any sale.
    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Notes that a message was heard; `false` if it was heard before.
    async fn hear(&self, seen: Seen, at: Timestamp) -> Result<bool, StoreError>;

    /// Forgets some of what was heard before then; `false` if there was nothing to forget. A code
    /// that was used up stays used up.
    async fn forget(&self, before: Timestamp) -> Result<bool, StoreError>;

    /// Leases the head of a lane, if one is due.
    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Leased>, StoreError>;

    /// Puts a leased effect off; a lease that was lost meanwhile changes nothing.
    async fn postpone(&self, put_off: PutOff) -> Result<(), StoreError>;

    /// Makes every lease of `target` end now: the process that held them is gone.
    async fn end_leases(&self, target: &str, now: Timestamp) -> Result<(), StoreError>;

    /// When the next effect of `target` is due, leases included.
    async fn next_effect(&self, target: &str) -> Result<Option<Timestamp>, StoreError>;

    /// How the outbox stands.
    async fn outbox(&self) -> Result<OutboxCount, StoreError>;

    /// Effects that were given up, oldest first.
    async fn parked(&self) -> Result<Vec<ParkedEffect>, StoreError>;

    /// Everything still to be done for a sale, what was given up included.
    async fn work_of(&self, sale: SaleId) -> Result<Vec<Work>, StoreError>;

    /// Takes up again what was given up; `false` if there is no such work.
    async fn retry(&self, id: EffectId, now: Timestamp) -> Result<bool, StoreError>;

    /// Payments that belong to no sale so far.
    async fn unmatched(&self) -> Result<Vec<(String, PaymentFact)>, StoreError>;

    /// Closed sales that began before then, have a number above `after` and still have details,
    /// archived ones included; by their numbers, `limit` at most. A damaged one has its number.
    async fn old_sales(
        &self,
        before: Timestamp,
        after: u32,
        limit: u32,
    ) -> Result<Vec<OldSale>, StoreError>;

    /// How many sales are archived.
    async fn archived(&self) -> Result<u64, StoreError>;

    /// Removes some of the details of an archived sale; `false` if none are left.
    async fn clear_archived(&self, sale: SaleId) -> Result<bool, StoreError>;

    /// The journal of one sale, oldest first; of an archived one, since it is that.
    async fn journal(&self, sale: SaleId) -> Result<Vec<JournalLine>, StoreError>;

    /// Reads one of a provider's own documents.
    async fn doc(&self, kind: &str, id: &str) -> Result<Option<Doc>, StoreError>;

    /// All documents of a kind, with `parent` if given.
    async fn docs(&self, kind: &str, parent: Option<&str>) -> Result<Vec<Doc>, StoreError>;

    /// Writes documents, all or none; `false` if a version was not as expected.
    async fn put_docs(&self, docs: Vec<DocChange>) -> Result<bool, StoreError>;

    /// A sale with its holds and payments, and its journal: both as of the same moment.
    async fn books(&self, sale: SaleId) -> Result<Option<(Sale, Vec<JournalLine>)>, StoreError>;

    /// Why nothing can be written at present, as far as is known; costs next to nothing where all
    /// is well.
    fn trouble(&self) -> Option<StoreError> {
        None
    }

    /// Whether what a sale writes can be written. Known from what was written lately; else it is
    /// tried, now and then, however often this is asked.
    async fn ready(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Writes what waits, and leaves everything in one place: whoever copies it then has it all.
    /// Nothing can be written or read after that.
    async fn close(&self) {}

    /// Where other programs may write, too: what is needed to get along with them.
    fn peers(&self) -> Option<&dyn Peers> {
        None
    }
}

/// Everything one step writes.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The sale's change.
    pub sale: Option<SaleChange>,
    /// The shop's change; its version is one more than the stored one.
    pub shop: Option<Shop>,
    /// A sale that does not change, and the revision at which it was decided so.
    pub guard: Option<(SaleId, u64)>,
    /// Effects to be done.
    pub effects: Vec<QueuedEffect>,
    /// Effects that are done, with the token of the attempt.
    pub done: Vec<(EffectId, String)>,
    /// Effects given up, with the token of the attempt and the reason.
    pub parked: Vec<(EffectId, String, String)>,
    /// What this step was caused by, so that it happens once.
    pub seen: Vec<Seen>,
    /// What counts as never having come: it may come again.
    pub freed: Vec<Seen>,
    /// Payments that belong to no sale, with their provider.
    pub unmatched: Vec<(String, PaymentFact)>,
    /// Such payments that turned out to be none of ours: provider and payment.
    pub foreign: Vec<(String, String)>,
    /// When.
    pub at: Timestamp,
}

/// What changes of a sale.
#[derive(Clone, Debug)]
pub struct SaleChange {
    /// The new head.
    pub head: Head,
    /// The revision that must be stored; `None` for a new sale.
    pub expected: Option<u64>,
    /// When the timer must look at it.
    pub wake_at: Option<Timestamp>,
    /// New or changed holds.
    pub holds: Vec<Arc<Hold>>,
    /// New pages: hold, page, the provider's order.
    pub pages: Vec<(HoldId, CheckoutId, Option<String>)>,
    /// New or changed payments.
    pub payments: Vec<Payment>,
    /// What happened.
    pub journal: Vec<JournalLine>,
}

/// How a commit ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Committed {
    /// It is on disk.
    Applied,
    /// Somebody else changed the sale or the shop first: load and decide again.
    Stale,
    /// Some of it happened before: leave these out and decide again.
    Duplicate(Vec<Seen>),
}

/// Something that came from outside and must count once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Seen {
    /// Who gave it its id: `square`, `discord`, …
    pub source: String,
    /// The id.
    pub id: String,
}

/// A sale in one line.
#[derive(Clone, Debug, Serialize)]
pub struct SaleLine {
    /// Its id.
    pub id: SaleId,
    /// Its number.
    pub number: u32,
    /// Its head.
    #[serde(skip)]
    pub head: Head,
}

/// An old sale: its number, and what can be read of it.
pub type OldSale = (u32, Result<SaleLine, StoreError>);

/// A page at a provider, by one of the names it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PageRef {
    /// The page's id.
    Checkout(CheckoutId),
    /// The id of the order behind it.
    Order(String),
}

/// One thing that happened, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalLine {
    /// The sale's revision afterwards.
    pub revision: u64,
    /// When.
    pub at: Timestamp,
    /// Who or what caused it.
    pub by: String,
    /// Units for sale afterwards.
    pub stock: u32,
    /// What happened; none if it was set aside.
    pub event: Option<Arc<Event>>,
    /// How holds moved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moves: Vec<Move>,
    /// Why an event was set aside instead of worked off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantined: Option<String>,
}

/// A document of a provider that lives inside this program.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    /// What it is.
    pub kind: String,
    /// Its id among its kind.
    pub id: String,
    /// What it belongs to.
    pub parent: String,
    /// Counts changes.
    pub version: i64,
    /// The document.
    pub body: serde_json::Value,
}

/// A document to be written.
#[derive(Clone, Debug)]
pub struct DocChange {
    /// What it is.
    pub kind: &'static str,
    /// Its id among its kind.
    pub id: String,
    /// What it belongs to.
    pub parent: String,
    /// The version that must be stored; 0 for a new one.
    pub expected: i64,
    /// The new body; `None` removes it.
    pub body: Option<serde_json::Value>,
}
