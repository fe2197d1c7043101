//! Work on its way to a provider or a chat: queued, leased, put off, given up.

use crate::{
    clock::Timestamp,
    id::{EffectId, SaleId},
    sale::effect::{Class, Effect},
};

/// An effect on its way into the outbox.
#[derive(Clone, Debug)]
pub struct QueuedEffect {
    /// Its id.
    pub id: EffectId,
    /// The sale it belongs to.
    pub sale: SaleId,
    /// Effects of one lane run in order.
    pub lane: String,
    /// Who carries it out: a provider's or a platform's name.
    pub target: String,
    /// How urgent it is.
    pub class: Class,
    /// Not before.
    pub due_at: Timestamp,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// What to do.
    pub effect: Effect,
    /// The request as it will be sent, frozen before the first attempt.
    pub body: serde_json::Value,
}

/// A request for work.
#[derive(Clone, Debug)]
pub struct LeaseAsk {
    /// For whom.
    pub target: String,
    /// Now.
    pub now: Timestamp,
    /// How long the lease lasts.
    pub until: Timestamp,
    /// A name for this attempt.
    pub token: String,
    /// A class that goes first this time.
    pub first: Option<Class>,
}

/// An effect leased to a worker.
#[derive(Clone, Debug)]
pub struct Leased {
    /// Its id.
    pub id: EffectId,
    /// The sale it belongs to.
    pub sale: SaleId,
    /// How urgent it is.
    pub class: Class,
    /// What to do.
    pub effect: Effect,
    /// The frozen request.
    pub body: serde_json::Value,
    /// How often the body was changed; part of the idempotency key.
    pub generation: u32,
    /// How often it was leased, this time included.
    pub attempts: u32,
    /// When it was queued.
    pub queued_at: Timestamp,
    /// This attempt's name.
    pub token: String,
}

/// A leased effect put off.
#[derive(Clone, Debug)]
pub struct PutOff {
    /// Which one.
    pub id: EffectId,
    /// The attempt that gives it back.
    pub token: String,
    /// Not before.
    pub due_at: Timestamp,
    /// Why; shown to moderators.
    pub why: String,
    /// A changed request: counts the generation up.
    pub body: Option<serde_json::Value>,
    /// Whether the attempt counts; being asked to slow down does not.
    pub counts: bool,
}

/// How the outbox stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCount {
    /// Effects waiting or under way.
    pub waiting: u64,
    /// Effects given up.
    pub parked: u64,
}

/// An effect that was given up.
#[derive(Clone, Debug)]
pub struct ParkedEffect {
    /// Its id.
    pub id: EffectId,
    /// The sale it belongs to.
    pub sale: SaleId,
    /// What it was to do.
    pub effect: Effect,
    /// Why it was given up.
    pub why: String,
    /// When it was queued.
    pub queued_at: Timestamp,
}

/// A piece of work of a sale.
#[derive(Clone, Debug, PartialEq)]
pub struct Work {
    /// Its id.
    pub id: EffectId,
    /// What is to be done.
    pub effect: Effect,
    /// When it is tried next.
    pub due_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it was given up.
    pub parked: bool,
    /// What the last try came to.
    pub why: String,
}
