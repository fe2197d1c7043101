//! Names of things: every id its own type, so that none is taken for another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;

/// Where randomness comes from.
pub trait Entropy: Send + Sync + 'static {
    /// Sixteen unpredictable bytes.
    fn bytes(&self) -> [u8; 16];
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws random numbers")]
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        bytes
    }
}

/// A sale: time-ordered and unique across shops and databases (UUID version 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaleId(Uuid);

/// A hold: the sale and a number counted up inside it.
///
/// Printed as `<sale>-<n>`, at most 40 characters for any sale of up to ten million holds, which
/// is what the tightest provider (Square's order `reference_id`) takes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldId {
    /// The sale it belongs to.
    pub sale: SaleId,
    /// Its number; 0 is the page that a whole sale shares.
    pub n: u32,
}

/// A row of the outbox.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectId(String);

/// Who claims: a browser's cookie (`web:…`) or a chat user (`discord:…`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Buyer(String);

/// A provider's own id of a payment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(String);

/// A provider's own id of a checkout page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckoutId(String);

/// A text that is not the id it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id: {0}")]
pub struct IdError(String);

impl SaleId {
    /// Characters of its text.
    const LENGTH: usize = uuid::fmt::Simple::LENGTH;

    /// A new id from a time and sixteen random bytes.
    pub fn new(at: Timestamp, random: [u8; 16]) -> Self {
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[..10]);
        let millis = u64::try_from(at.millis()).unwrap_or(0);
        Self(uuid::Builder::from_unix_timestamp_millis(millis, &tail).into_uuid())
    }

    /// The sixteen bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From its sixteen bytes.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl HoldId {
    /// The page shared by the whole of `sale`.
    pub fn shared(sale: SaleId) -> Self {
        Self { sale, n: 0 }
    }

    /// Whether this is the page shared by the whole sale.
    pub fn is_shared(self) -> bool {
        self.n == 0
    }
}

impl EffectId {
    /// The `position`-th effect of a sale's `revision`: order follows commits, not clocks.
    pub fn of_sale(sale: SaleId, revision: u64, position: usize) -> Self {
        Self(format!("{sale}-{revision:08}-{position:04}"))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_simple())
    }
}

impl fmt::Debug for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SaleId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError(text.chars().take(48).collect());
        if text.len() != 32 {
            return Err(bad());
        }
        Uuid::try_parse(text).map(Self).map_err(|_| bad())
    }
}

impl fmt::Display for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.sale, self.n)
    }
}

impl fmt::Debug for HoldId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for HoldId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError(text.chars().take(48).collect());
        let (sale, n) = text.split_once('-').ok_or_else(bad)?;
        if n.is_empty() || !n.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad());
        }
        Ok(Self { sale: sale.parse()?, n: n.parse().map_err(|_| bad())? })
    }
}

// Every stored hold and journal line has some of these: written without the formatting machinery.

impl Serialize for SaleId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_simple().encode_lower(&mut [0; SaleId::LENGTH]))
    }
}

impl Serialize for HoldId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(SaleId::LENGTH + 11);
        text.push_str(self.sale.0.as_simple().encode_lower(&mut [0; SaleId::LENGTH]));
        text.push('-');
        text.push_str(&self.n.to_string());
        serializer.serialize_str(&text)
    }
}

macro_rules! read_as_shown {
    ($($name:ident),*) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
read_as_shown!(SaleId, HoldId);

macro_rules! text_id {
    ($($name:ident),*) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    )*};
}
macro_rules! shown_id {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}
text_id!(Buyer, PaymentId, CheckoutId);
shown_id!(Buyer, PaymentId, CheckoutId, EffectId);

impl From<String> for EffectId {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_what_they_print() {
        let sale = SaleId::new(Timestamp::from_millis(1_767_225_600_000), [7; 16]);
        assert_eq!(sale.to_string().parse(), Ok(sale));
        assert_eq!(serde_json::to_string(&sale).expect("prints"), format!("\"{sale}\""));
        let hold = HoldId { sale, n: 9_999_999 };
        assert_eq!(hold.to_string().parse(), Ok(hold));
        assert!(hold.to_string().len() <= 40);
        for bad in ["", "7", "x-1", "019b7-1", "-1", &format!("{sale}-"), &format!("{sale}-1x")] {
            assert!(bad.parse::<HoldId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sales_sort_by_time_and_effects_by_commit() {
        let early = SaleId::new(Timestamp::from_millis(1), [255; 16]);
        let late = SaleId::new(Timestamp::from_millis(2), [0; 16]);
        assert!(early < late && early.to_string() < late.to_string());
        assert!(EffectId::of_sale(early, 9, 0) < EffectId::of_sale(early, 10, 0));
    }
}
