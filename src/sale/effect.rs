//! What the bot must now do to the outside world.

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    money::Money,
    notice::Notice,
    room::Room,
};

/// One thing to do. Small: the adapter reads the rest from the sale when the effect is first run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Make the listing.
    Provision,
    /// Change the listing's stock.
    Restock {
        /// Positive adds.
        units: i64,
    },
    /// Make a page.
    OpenCheckout {
        /// For which hold.
        hold: HoldId,
        /// Which of its orders this is, counted from 1.
        nth: u32,
    },
    /// Look whether a page can be paid.
    Probe {
        /// For which hold.
        hold: HoldId,
        /// Which page.
        checkout: CheckoutId,
    },
    /// Close a page.
    CloseCheckout {
        /// Of which hold.
        hold: HoldId,
        /// Which of its orders.
        nth: u32,
        /// Which page; `None` for one whose making ended unknown.
        checkout: Option<CheckoutId>,
    },
    /// Remove what was made for the sale.
    Retire,
    /// Give money back.
    Refund {
        /// Of which payment.
        payment: PaymentId,
        /// How much.
        amount: Money,
    },
    /// Say something in a room.
    Announce {
        /// Where.
        room: Room,
        /// What.
        notice: Notice,
    },
}

/// An effect with the moment before which it need not be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Due {
    /// What to do.
    pub effect: Effect,
    /// Not before.
    pub at: Timestamp,
}

/// Who goes first when a provider's rate is the bottleneck; lower is sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Chat: not under a provider's rate at all.
    Say = 0,
    /// Money going back.
    Refund = 1,
    /// A sale being made ready.
    Prepare = 2,
    /// Pages to close of a sale that is over.
    Ending = 3,
    /// Buyers waiting for their page.
    Buyer = 4,
    /// Pages to close while the sale goes on.
    Close = 5,
    /// Pages made ahead.
    Warm = 6,
}

impl Class {
    /// The class stored as that number.
    pub fn from_number(n: i64) -> Option<Self> {
        const ALL: [Class; 7] = [
            Class::Say,
            Class::Refund,
            Class::Prepare,
            Class::Ending,
            Class::Buyer,
            Class::Close,
            Class::Warm,
        ];
        ALL.into_iter().find(|class| *class as i64 == n)
    }
}

impl Effect {
    /// Effects of one lane run in order, one at a time.
    pub fn lane(&self, sale: SaleId) -> String {
        match self {
            Self::Provision | Self::Restock { .. } | Self::Retire => format!("sale:{sale}"),
            Self::OpenCheckout { hold, .. }
            | Self::Probe { hold, .. }
            | Self::CloseCheckout { hold, .. } => format!("hold:{hold}"),
            Self::Refund { payment, .. } => format!("payment:{sale}:{payment}"),
            Self::Announce { room, .. } => format!("room:{room}"),
        }
    }

    /// What of the sale it is about, in words; none if it is the sale itself.
    pub fn about(&self) -> Option<String> {
        match self {
            Self::Provision | Self::Restock { .. } | Self::Retire => None,
            Self::OpenCheckout { hold, .. }
            | Self::Probe { hold, .. }
            | Self::CloseCheckout { hold, .. } => Some(format!("hold {}", hold.n)),
            Self::Refund { payment, amount } => Some(format!("{amount} of payment {payment}")),
            Self::Announce { room, .. } => Some(room.to_string()),
        }
    }

    /// The word in logs and tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Provision => "provision",
            Self::Restock { .. } => "restock",
            Self::OpenCheckout { .. } => "open_checkout",
            Self::Probe { .. } => "probe",
            Self::CloseCheckout { .. } => "close_checkout",
            Self::Retire => "retire",
            Self::Refund { .. } => "refund",
            Self::Announce { .. } => "announce",
        }
    }
}
