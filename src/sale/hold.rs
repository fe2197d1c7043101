//! A buyer's claim on units, and the provider's pages it comes to have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{Buyer, CheckoutId, HoldId, PaymentId},
    money::Money,
    sale::{offer::Extras, template::Ask},
};

/// One buyer's time-limited claim on `units`; or, before it has a buyer, a page kept warm for one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Which one.
    pub id: HoldId,
    /// Who claims. `None` while warm, and for ever if nobody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<Buyer>,
    /// What chat calls them, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer_name: Option<String>,
    /// A keyed hash of the address the claim came from; none for trusted ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// In the waitlist: the first few holds that its address is allowed, which an offer must fit in.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub per_address: u32,
    /// Held for a shorter time: stock runs short, and its network has much of it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub brief: bool,
    /// Units claimed.
    pub units: u32,
    /// Name of the delivery choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// What was chosen beside units and delivery.
    #[serde(default, skip_serializing_if = "Extras::is_empty")]
    pub extras: Extras,
    /// What the page must ask for, see [`crate::sale::offer`].
    pub amount: Money,
    /// What the buyer answered on our page.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub answers: BTreeMap<Ask, String>,
    /// Which showing of the page it was claimed from; the buyer's own count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub form: Option<u32>,
    /// When it was claimed (or, warm, ordered).
    pub claimed_at: Timestamp,
    /// When its page was handed over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_at: Option<Timestamp>,
    /// Where it stands.
    pub state: HoldState,
    /// Pages that exist for it; more than one after an unknown outcome or a dead page.
    pub checkouts: Vec<Checkout>,
    /// Pages ordered so far.
    pub ordered: u32,
    /// Which of them have no outcome yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub making: Vec<u32>,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn is_false(is: &bool) -> bool {
    !is
}

/// Where a hold stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum HoldState {
    /// No buyer yet: a page made ahead. Counts as nothing.
    Warm,
    /// In line for what may come free. Counts as nothing.
    Waiting {
        /// Since when.
        since: Timestamp,
    },
    /// Something came free and is kept for this buyer, if they still want it.
    Offered {
        /// Until when.
        until: Timestamp,
    },
    /// Claimed, waiting for a proven page.
    Opening {
        /// When waiting is given up.
        until: Timestamp,
    },
    /// The buyer has their page.
    Open {
        /// The page.
        checkout: CheckoutId,
        /// When it is closed, unless the sale's end comes first.
        deadline: Timestamp,
    },
    /// No longer offered; the provider is asked to close the page.
    Closing {
        /// Why.
        why: Lapse,
        /// Since when.
        since: Timestamp,
    },
    /// Paid, and the payment kept.
    Paid {
        /// The payment.
        payment: PaymentId,
        /// When.
        at: Timestamp,
    },
    /// Its pages are certainly closed; the units went back.
    Released {
        /// Why.
        why: Lapse,
        /// When.
        at: Timestamp,
    },
    /// Its page cannot be closed: the units are taken for ever.
    Lapsed {
        /// Why.
        why: Lapse,
        /// When.
        at: Timestamp,
    },
    /// A warm page that is no longer wanted and is being closed. Counts as nothing.
    Discarding,
}

/// Why a hold ended without being paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lapse {
    /// The buyer's time ran out.
    TimeUp,
    /// The buyer let go.
    LetGo,
    /// The sale ended.
    SaleEnded,
    /// The buyer left the line, or the offer.
    LeftLine,
    /// An offer was not taken in time.
    NotTaken,
    /// The provider made no page, or none that could be paid.
    NoPage,
    /// A payment of another amount lies on it.
    WrongAmount,
    /// It never had a buyer.
    Unwanted,
}

/// The provider's payment page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkout {
    /// The provider's id of the page.
    pub id: CheckoutId,
    /// Which of the hold's orders made it, counted from 1.
    pub nth: u32,
    /// The provider's id of the order behind it, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<String>,
    /// Where the buyer goes.
    pub url: String,
    /// What the provider will ask for.
    pub total: Money,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether it was seen to be payable.
    pub proven: bool,
    /// Whether the provider said it can no longer be paid.
    pub closed: bool,
}

impl HoldState {
    /// The word for it in tables, reports and the journal.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Warm => "warm",
            Self::Waiting { .. } => "waiting",
            Self::Offered { .. } => "offered",
            Self::Opening { .. } => "opening",
            Self::Open { .. } => "open",
            Self::Closing { .. } => "closing",
            Self::Paid { .. } => "paid",
            Self::Released { .. } => "released",
            Self::Lapsed { .. } => "lapsed",
            Self::Discarding => "discarding",
        }
    }
}

impl Hold {
    /// Whether its units count as taken.
    pub fn is_taken(&self) -> bool {
        match self.state {
            HoldState::Offered { .. }
            | HoldState::Opening { .. }
            | HoldState::Open { .. }
            | HoldState::Closing { .. }
            | HoldState::Paid { .. }
            | HoldState::Lapsed { .. } => true,
            HoldState::Warm
            | HoldState::Waiting { .. }
            | HoldState::Released { .. }
            | HoldState::Discarding => false,
        }
    }

    /// Whether the buyer still waits, for a unit or for a page, or has a page.
    pub fn is_live(&self) -> bool {
        matches!(
            self.state,
            HoldState::Waiting { .. }
                | HoldState::Offered { .. }
                | HoldState::Opening { .. }
                | HoldState::Open { .. }
        )
    }

    /// Whether nothing is left to do about it.
    pub fn is_settled(&self) -> bool {
        matches!(
            self.state,
            HoldState::Paid { .. } | HoldState::Released { .. } | HoldState::Lapsed { .. }
        )
    }

    /// Its own deadline, before the sale's end is looked at.
    pub fn deadline(&self) -> Option<Timestamp> {
        match self.state {
            HoldState::Offered { until } | HoldState::Opening { until } => Some(until),
            HoldState::Open { deadline, .. } => Some(deadline),
            HoldState::Warm
            | HoldState::Waiting { .. }
            | HoldState::Closing { .. }
            | HoldState::Paid { .. }
            | HoldState::Released { .. }
            | HoldState::Lapsed { .. }
            | HoldState::Discarding => None,
        }
    }

    /// The page in the buyer's hands.
    pub fn page(&self) -> Option<&Checkout> {
        match &self.state {
            HoldState::Open { checkout, .. } => self.checkout(checkout),
            _ => None,
        }
    }

    /// The page called `id`.
    pub fn checkout(&self, id: &CheckoutId) -> Option<&Checkout> {
        self.checkouts.iter().find(|c| c.id == *id)
    }

    /// A page that is proven and not closed.
    pub fn proven(&self) -> Option<&Checkout> {
        self.checkouts.iter().find(|c| c.proven && !c.closed)
    }

    /// Whether a page of it may still be payable, or may yet come to be.
    pub fn may_be_payable(&self) -> bool {
        !self.making.is_empty() || self.checkouts.iter().any(|c| !c.closed)
    }
}
