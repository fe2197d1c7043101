//! What the provider said about money, and what becomes of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::{CheckoutId, HoldId, PaymentId},
    money::Money,
};

/// The provider's statement that money moved (or is about to): a fact, never an inference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFact {
    /// The provider's id.
    pub id: PaymentId,
    /// Our own reference, where the provider carried it back.
    pub hold: Option<HoldId>,
    /// The page it was made on, where known.
    pub checkout: Option<CheckoutId>,
    /// The provider's order, where known.
    pub order: Option<String>,
    /// How much, a tip included.
    pub amount: Money,
    /// What of it is a tip: nobody asked for it, and it is no part of a page's total.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tip: i64,
    /// What the shop's own discount took off the page's total.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discount: i64,
    /// What of it the provider says was given back so far, in minor units.
    pub refunded: i64,
    /// How far it got.
    pub status: PaymentStatus,
    /// When the provider says it happened.
    pub at: Timestamp,
    /// Where the seller finds it at the provider.
    pub link: Option<String>,
    /// What the provider keeps of it, once it says so: often some time after the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fee: Option<Fee>,
    /// As of when the provider says so, by its own clock: what is older than the known is no news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

/// What a provider keeps of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// All of it; a refund may make it less or more.
    pub money: Money,
    /// When the provider said so: of two, the later one counts.
    pub as_of: Timestamp,
}

/// How far a payment got. It moves down this list; one that moves up again is put before a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Authorised or confirmed, not yet money.
    Pending,
    /// It came to nothing.
    Failed,
    /// Money.
    Completed,
}

/// A payment as we keep it, with its fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// What the provider said last.
    pub fact: PaymentFact,
    /// When we first heard of it.
    pub seen_at: Timestamp,
    /// The hold it was joined to.
    pub hold: Option<HoldId>,
    /// What became of it.
    pub fate: Fate,
    /// Paid after the buyer's time or the sale was over.
    pub late: bool,
    /// Paid when nothing was left.
    pub surplus: bool,
    /// The provider's own running total of what was given back, as last told; none for payments
    /// stored before it was kept apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<i64>,
    /// Every refund that was heard of, by the provider's id of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refunds: BTreeMap<String, RefundSeen>,
    /// As of when the provider last moved money back or forth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_as_of: Option<Timestamp>,
    /// What the provider took back, so that a person must look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reversed: Option<Reversed>,
    /// Units that it stands for, once its hold is archived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<u32>,
}

/// One refund, as last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundSeen {
    /// How far it got.
    pub status: RefundStatus,
    /// How much, in minor units.
    pub amount: i64,
    /// As of when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

/// What a provider first said was done, and then that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reversed {
    /// A refund: the money is with the shop again.
    Refund,
    /// The payment itself; the buyer had been promised the goods for it.
    KeptPayment,
    /// The payment itself, before it bought anything.
    Payment,
}

/// What becomes of a payment. Every completed one ends *kept*, *refunded* or before a *person*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Fate {
    /// Not money yet, or never.
    Pending,
    /// Money, but less than its page asks for: the rest may come as a payment of its own.
    Part,
    /// The buyer gets the goods.
    Kept,
    /// The money goes back.
    Refund {
        /// Why.
        why: RefundReason,
        /// How far.
        status: RefundStatus,
        /// The provider's id of the refund, once known.
        refund: Option<String>,
    },
    /// Somebody must look at it.
    Person {
        /// What about.
        why: String,
    },
}

/// Why money goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundReason {
    /// Paid when nothing was left.
    Surplus,
    /// A second payment for one hold.
    Double,
    /// Refunded at the provider by somebody else.
    Elsewhere,
    /// A part of the price whose rest never came.
    Incomplete,
    /// More than one person may have, or paid with a code that another order has.
    Limit,
}

/// How far a refund got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// Asked for.
    Requested,
    /// The money went back.
    Done,
    /// The provider said no.
    Failed,
    /// Nobody knows; a person must look.
    Unknown,
}

/// News of a refund.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFact {
    /// The payment it belongs to.
    pub payment: PaymentId,
    /// The provider's id of the refund.
    pub refund: Option<String>,
    /// How far it got.
    pub status: RefundStatus,
    /// How much of the payment went back, in minor units, where told.
    pub amount: Option<i64>,
    /// The provider's words, for a person.
    pub says: Option<String>,
    /// As of when the provider says so, by its own clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<Timestamp>,
}

// serde hands over a reference.
fn is_zero(n: &i64) -> bool {
    *n == 0
}

/// Whether `one` is certainly older than `other`.
pub(crate) fn is_older(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    one.zip(other).is_some_and(|(one, other)| one < other)
}

impl PaymentFact {
    /// What is known of the fee once `self` is heard after `before`: news may come out of order.
    pub(crate) fn fee_after(&self, before: Option<Fee>) -> Option<Fee> {
        self.fee.into_iter().chain(before).max_by_key(|fee| fee.as_of)
    }
}

impl Payment {
    /// One that was just heard of.
    pub(crate) fn new(fact: PaymentFact, seen_at: Timestamp) -> Self {
        Self {
            told: Some(fact.refunded),
            moved_as_of: None,
            seen_at,
            hold: None,
            fate: Fate::Pending,
            late: false,
            surplus: false,
            refunds: BTreeMap::new(),
            reversed: None,
            units: None,
            fact,
        }
    }

    /// Whether nothing more will happen by itself: its fate is final, or it never was money.
    pub fn is_settled(&self) -> bool {
        let failed = self.fate == Fate::Pending && self.fact.status == PaymentStatus::Failed;
        failed || self.fate.is_final()
    }
}

impl RefundReason {
    /// The word in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Surplus => "surplus",
            Self::Double => "double",
            Self::Elsewhere => "elsewhere",
            Self::Incomplete => "incomplete",
            Self::Limit => "limit",
        }
    }
}

impl Fate {
    /// The word in reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pending | Self::Part => "pending",
            Self::Kept => "kept",
            Self::Refund { status: RefundStatus::Done, .. } => "refunded",
            Self::Refund { .. } => "refunding",
            Self::Person { .. } => "person",
        }
    }

    /// Whether nothing more will happen by itself.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Kept | Self::Person { .. } => true,
            Self::Refund { status, .. } => *status == RefundStatus::Done,
            Self::Pending | Self::Part => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fee(minor: i64, as_of: i64) -> Fee {
        let usd = "USD".parse().expect("a currency");
        Fee { money: Money::new(minor, usd), as_of: Timestamp::from_millis(as_of) }
    }

    #[test]
    fn payments_stored_before_there_were_fees_are_read() {
        let stored = r#"{"fact":{"id":"P1","hold":null,"checkout":null,"order":"O1",
            "amount":{"amount":1800,"currency":"USD"},"refunded":0,"status":"completed",
            "at":1767225600000,"link":null},"seen_at":1767225600000,"hold":null,
            "fate":{"is":"kept"},"late":false,"surplus":false}"#;
        let payment: Payment = serde_json::from_str(stored).expect("it reads");
        assert_eq!((payment.fact.fee, &payment.fate), (None, &Fate::Kept));
        let again = serde_json::to_string(&payment).expect("it serialises");
        assert!(!again.contains("fee"), "{again}");
    }

    #[test]
    fn of_two_fees_the_later_one_counts_however_they_come() {
        let stored = r#"{"id":"P1","hold":null,"checkout":null,"order":null,"link":null,
            "amount":{"amount":1800,"currency":"USD"},"refunded":0,"status":"completed","at":0}"#;
        let fact: PaymentFact = serde_json::from_str(stored).expect("it reads");
        let told = PaymentFact { fee: Some(fee(82, 5)), ..fact.clone() };
        assert_eq!(told.fee_after(None), Some(fee(82, 5)));
        assert_eq!(fact.fee_after(Some(fee(82, 5))), Some(fee(82, 5)));
        assert_eq!(told.fee_after(Some(fee(40, 9))), Some(fee(40, 9)));
        assert_eq!(told.fee_after(Some(fee(90, 1))), Some(fee(82, 5)));
    }
}
