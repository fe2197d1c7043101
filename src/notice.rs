//! What the bot says, as data. [`text`] turns it into words.

pub mod text;
pub mod visible;

use serde::{Deserialize, Serialize};

use crate::{
    clock::{Span, Timestamp},
    money::Money,
    sale::PauseReason,
};

/// Something the bot will say because the sale changed. Delivered once per room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The sale is open.
    Opened {
        /// What is sold.
        title: String,
        /// Price of one.
        price: Money,
        /// Units to be had.
        left: u32,
        /// Until when.
        ends_at: Timestamp,
        /// For how long.
        length: Span,
    },
    /// The sale is paused.
    Paused {
        /// What is sold.
        title: String,
        /// Units to be had.
        left: u32,
        /// Units for sale.
        stock: u32,
        /// Why.
        why: PauseReason,
    },
    /// The sale goes on.
    Resumed {
        /// What is sold.
        title: String,
        /// Units to be had.
        left: u32,
        /// Units for sale.
        stock: u32,
        /// Selling time left.
        time_left: Span,
    },
    /// Every unit is paid.
    SoldOut {
        /// What was sold.
        title: String,
        /// Units sold.
        sold: u32,
        /// In which time.
        took: Span,
    },
    /// The clock ended it.
    Ended {
        /// What was sold.
        title: String,
        /// Units paid.
        sold: u32,
        /// Units for sale.
        stock: u32,
        /// Buyers who may still pay.
        paying: u32,
    },
    /// A moderator ended it.
    Cancelled {
        /// What was sold.
        title: String,
        /// Units paid.
        sold: u32,
        /// Units for sale.
        stock: u32,
    },
    /// It is ready and waits to be opened. For moderators.
    Armed {
        /// Its number.
        number: u32,
        /// What will be sold.
        title: String,
        /// How long it waits.
        for_up_to: Span,
    },
    /// It could not be started.
    NotStarted {
        /// Its number.
        number: u32,
        /// What would have been sold.
        title: String,
        /// The reason; left out where viewers read.
        why: Option<String>,
    },
    /// Something needs a moderator. Private.
    Trouble {
        /// The sale's number.
        number: u32,
        /// What is sold.
        title: String,
        /// What it is.
        trouble: Trouble,
    },
}

/// What needs a moderator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "trouble", rename_all = "snake_case")]
pub enum Trouble {
    /// A payment that a person must decide.
    Payment {
        /// The provider's id.
        payment: String,
        /// How much.
        amount: Money,
        /// What about it.
        why: String,
        /// Whether no unit is kept for it.
        #[serde(default)]
        unreserved: bool,
    },
    /// An effect was given up.
    Parked {
        /// What it was to do.
        what: String,
        /// Why it was given up.
        why: String,
    },
    /// The provider does not answer, or not well, while a sale is made ready.
    Delayed {
        /// What is wrong.
        why: String,
    },
    /// The provider refuses to make pages.
    NoPage {
        /// Its words.
        why: String,
    },
    /// More was promised than is there.
    Short {
        /// Units missing.
        units: u32,
    },
    /// A page cannot be closed; its units stay reserved.
    CannotClose {
        /// The hold's number.
        hold: u32,
        /// The provider's words.
        why: String,
    },
    /// The provider took back what it had said of a payment.
    Reversed {
        /// The provider's id of the payment.
        payment: String,
        /// How much.
        amount: Money,
        /// What it took back.
        why: String,
    },
    /// A payment has been under way for long.
    StillPaying {
        /// The hold's number; 0 for the page that a whole sale shares.
        hold: u32,
        /// For how long it was waited for.
        waited: Span,
    },
    /// Money goes back, and why.
    Refunding {
        /// The provider's id of the payment.
        payment: String,
        /// How much.
        amount: Money,
        /// Why.
        why: String,
        /// Whether people at the provider decide.
        #[serde(default)]
        asked: bool,
    },
}
