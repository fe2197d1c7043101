//! What happened: the only thing that changes a sale.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Span, Timestamp},
    id::{Buyer, CheckoutId, HoldId, SaleId},
    room::{Room, User},
    sale::{
        archive::Archiving,
        effect::Effect,
        hold::Checkout,
        offer::Extras,
        payment::{PaymentFact, RefundFact},
        template::{Ask, Capabilities, Template},
    },
};

/// One thing that happened. Past tense; ids and limits ride in on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A moderator started or armed a sale.
    Started(Box<Start>),
    /// A moderator opened the armed sale.
    Opened,
    /// A buyer claimed units.
    Claimed(Box<Claim>),
    /// A viewer joined the line for what may come free.
    Joined(Box<Claim>),
    /// A viewer took what they were offered.
    Accepted {
        /// Which hold.
        hold: HoldId,
    },
    /// A buyer let go of their hold.
    LetGo {
        /// Which one.
        hold: HoldId,
    },
    /// A moderator moved the end, in milliseconds; negative is earlier.
    Extended {
        /// By how much.
        by_ms: i64,
    },
    /// A moderator paused the sale.
    Paused,
    /// A moderator resumed it.
    Resumed,
    /// A moderator changed the stock by that many units.
    Restocked {
        /// Positive adds.
        units: i64,
    },
    /// A moderator stopped the sale.
    Stopped,
    /// Time passed.
    Ticked,
    /// The provider made the listing.
    Provisioned {
        /// What it made, as its adapter wants it back.
        listing: Listing,
    },
    /// The provider refused to make the listing: nothing was made.
    ProvisionRejected {
        /// The provider's words.
        says: String,
    },
    /// The provider changed the stock by that many units.
    StockSet {
        /// Positive added.
        units: i64,
    },
    /// The provider made a page.
    CheckoutOpened {
        /// For which hold.
        hold: HoldId,
        /// The page.
        checkout: Checkout,
    },
    /// The provider refused to make a page: none was made.
    CheckoutRejected {
        /// For which hold.
        hold: HoldId,
        /// Which of its orders.
        nth: u32,
        /// The provider's words.
        says: String,
    },
    /// Somebody looked whether a page can be paid.
    Probed {
        /// For which hold.
        hold: HoldId,
        /// Which page.
        checkout: CheckoutId,
        /// What was seen.
        verdict: Verdict,
    },
    /// The provider answered a request to close a page.
    CheckoutClosed {
        /// Of which hold.
        hold: HoldId,
        /// Which of its orders.
        nth: u32,
        /// Which page; `None` for "whatever that order made".
        checkout: Option<CheckoutId>,
        /// The answer.
        answer: CloseAnswer,
    },
    /// The provider said something about a payment.
    PaymentSeen(Box<PaymentFact>),
    /// The provider said something about a refund.
    RefundMoved(RefundFact),
    /// The provider counted its stock.
    Counted {
        /// Units it has.
        count: i64,
        /// As of when.
        at: Timestamp,
    },
    /// Somebody set or cleared a *sold out* mark at the provider.
    SoldOutMarked {
        /// Set or cleared.
        set: bool,
    },
    /// Somebody set or cleared a *sold out* mark on a delivery choice at the provider.
    ChoiceMarked {
        /// The choice's name.
        delivery: String,
        /// Set or cleared.
        set: bool,
    },
    /// The provider does not answer while the sale is made ready, or not well; it is tried again.
    Delayed {
        /// What is wrong.
        says: String,
    },
    /// The sale is so old that its details go.
    Archived(Box<Archiving>),
    /// The listing is gone from the provider.
    Retired,
    /// An effect was given up; it lies before a person now.
    Parked {
        /// Which effect.
        effect: Effect,
        /// Why.
        why: String,
    },
    /// An effect is done (or not wanted any more) and there is nothing to tell of it.
    Done,
}

/// A start, with everything the sale needs to know for the rest of its life.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The new sale's id.
    pub id: SaleId,
    /// Its short number.
    pub number: u32,
    /// Its own copy of the template, overrides applied.
    pub template: Arc<Template>,
    /// What the provider can do.
    pub capabilities: Capabilities,
    /// Rooms that hear of it.
    pub rooms: Vec<Room>,
    /// Rooms that hear of money and trouble.
    pub mod_rooms: Vec<Room>,
    /// Who asked.
    pub by: User,
    /// Where they asked.
    pub asked_in: Room,
    /// Wait, armed, until told to open.
    pub arm: bool,
}

/// A claim.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// Who.
    pub buyer: Buyer,
    /// What chat calls them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer_name: Option<String>,
    /// A keyed hash of where the claim came from; `None` exempts it from the bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Units wanted.
    pub units: u32,
    /// Delivery choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// Answers to what the template asks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<Ask, String>,
    /// What was chosen beside units and delivery, and what was checked.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// Which showing of the page it was sent from, so that one form counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<u32>,
    /// Bounds on greed.
    pub limits: ClaimLimits,
}

/// Bounds on greed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimLimits {
    /// Live or closing holds per address.
    pub per_address: u32,
    /// Holds one buyer may let lapse in a sale.
    pub tries: u32,
}

/// What the provider holds for one sale: its adapter's own notes, opaque to everybody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Listing(pub serde_json::Value);

/// Whether a page can be paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Verdict {
    /// It can.
    Payable,
    /// Not yet; look again after a while.
    NotYet {
        /// What was seen instead.
        says: String,
        /// When to look again.
        again_after: Span,
    },
}

/// A provider's answer to "close this page".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum CloseAnswer {
    /// It can no longer be paid.
    Closed,
    /// It was paid already.
    AlreadyPaid {
        /// The payment.
        payment: Box<PaymentFact>,
        /// The others that make up the price with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        more: Vec<PaymentFact>,
    },
    /// A payment is under way: ask again.
    PaymentPending,
    /// It cannot be closed.
    CannotClose {
        /// The provider's words.
        says: String,
    },
}
