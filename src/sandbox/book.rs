//! What the sandbox's books hold.

use serde::{Deserialize, Serialize};

use crate::{clock::Timestamp, money::Money, store::StoreError};

/// What is for sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SandboxListing {
    pub(super) sale: String,
    pub(super) title: String,
    pub(super) stock: i64,
    pub(super) retired: bool,
}

/// An order for a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct PageOrder {
    pub(super) listing: String,
    /// The hold's id.
    pub(super) reference: String,
    pub(super) nth: u32,
    pub(super) title: String,
    pub(super) units: u32,
    pub(super) delivery: Option<String>,
    pub(super) ask_address: bool,
    /// What else is paid for, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<String>,
    pub(super) total: Money,
    /// Whether it may be paid more than once.
    pub(super) shared: bool,
    pub(super) return_url: String,
}

/// A payment page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SandboxPage {
    pub(super) order: PageOrder,
    pub(super) state: PageState,
    pub(super) made_at: Timestamp,
    /// Never comes up.
    pub(super) dead: bool,
    /// Payments made on it.
    pub(super) payments: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageState {
    Open,
    Paid,
    Closed,
}

/// A payment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SandboxPayment {
    pub(super) page: String,
    pub(super) reference: String,
    pub(super) amount: Money,
    pub(super) refunded: i64,
    /// What the sandbox keeps, where it takes a fee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fee: Option<Money>,
    pub(super) at: Timestamp,
    pub(super) name: Option<String>,
    pub(super) address: Option<String>,
}

/// A webhook still to be delivered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Hook {
    pub(super) event: serde_json::Value,
    pub(super) due_at: Timestamp,
    pub(super) attempts: u32,
}

/// What a buyer finds at a page's address.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shown {
    /// Not there, or not yet.
    Missing,
    /// It answers, and says that it is out of stock.
    OutOfStock(Box<SandboxPage>),
    /// It can be paid.
    Payable(Box<SandboxPage>),
    /// It was paid.
    Paid(Box<SandboxPage>),
    /// It was closed.
    Closed(Box<SandboxPage>),
}

/// How a payment fared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payed {
    Yes { return_url: String },
    No(Shown),
}

/// How closing fared.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CloseState {
    Closed,
    Paid(Vec<(String, SandboxPayment)>),
    Refused,
}

/// Why the sandbox does not do as asked.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum LedgerError {
    #[error("{0}")]
    Invalid(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}
