//! Amounts of money: whole minor units and an ISO 4217 currency, never a float.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Currency(iso_currency::Currency);

/// An amount in the currency's minor unit (cents for USD, yen for JPY).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units.
    #[serde(rename = "amount")]
    pub minor: i64,
    /// The currency the amount is in.
    pub currency: Currency,
}

/// Why a text is no amount or currency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not an ISO 4217 code.
    #[error("not a currency: {0}. Write the three-letter code, like USD or EUR")]
    Currency(String),
    /// Not a decimal number.
    #[error("not an amount: {0}. Write it like 18 or 18.50")]
    Form(String),
    /// More decimals than the currency has.
    #[error("{currency} has {exponent} decimals: {text} has more")]
    Decimals {
        /// What was written.
        text: String,
        /// The currency's code.
        currency: String,
        /// How many decimals it has.
        exponent: usize,
    },
}

impl Currency {
    /// The three-letter code, upper case.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimals amounts have.
    pub fn exponent(self) -> usize {
        usize::from(self.0.exponent().unwrap_or(0))
    }

    /// The sign that stands before an amount, where the code alone would look odd.
    fn sign(self) -> Option<&'static str> {
        match self.code() {
            "USD" => Some("$"),
            "EUR" => Some("€"),
            "GBP" => Some("£"),
            "JPY" => Some("¥"),
            _ => None,
        }
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for Currency {
    type Err = MoneyError;
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        iso_currency::Currency::from_code(&text.to_ascii_uppercase())
            .map(Self)
            .ok_or_else(|| MoneyError::Currency(text.chars().take(12).collect()))
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(text: String) -> Result<Self, MoneyError> {
        text.parse()
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl Money {
    /// `minor` units of `currency`.
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Reads a plain decimal such as `18`, `18.5` or `18.50`; no sign, no separators.
    ///
    /// # Errors
    /// Says whether the form or the number of decimals is wrong.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let form = || MoneyError::Form(text.chars().take(20).collect());
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || text.ends_with('.') {
            return Err(form());
        }
        let exponent = currency.exponent();
        if part.len() > exponent {
            return Err(MoneyError::Decimals {
                text: text.chars().take(20).collect(),
                currency: currency.code().to_owned(),
                exponent,
            });
        }
        let minor = format!("{whole}{part:0<exponent$}").parse().map_err(|_| form())?;
        Ok(Self { minor, currency })
    }

    /// `self × n`, `None` on overflow.
    pub fn times(self, n: u32) -> Option<Self> {
        Some(Self { minor: self.minor.checked_mul(i64::from(n))?, ..self })
    }

    /// `self + other`, `None` on overflow or if the currencies differ.
    pub fn plus(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        Some(Self { minor: self.minor.checked_add(other.minor)?, ..self })
    }

    /// The plain decimal that [`Money::parse`] reads: `18.00`.
    pub fn decimal(self) -> String {
        let exponent = self.currency.exponent();
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = exponent + 1);
        let (whole, part) = digits.split_at(digits.len() - exponent);
        if part.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{part}") }
    }
}

/// For people: `$18`, `$18.50`, `18.50 CHF`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimal = self.decimal();
        let zeros = format!(".{}", "0".repeat(self.currency.exponent()));
        let short = decimal.strip_suffix(&zeros).unwrap_or(&decimal);
        match self.currency.sign() {
            Some(sign) => match short.strip_prefix('-') {
                Some(positive) => write!(f, "-{sign}{positive}"),
                None => write!(f, "{sign}{short}"),
            },
            None => write!(f, "{short} {}", self.currency),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str, code: &str) -> Result<Money, MoneyError> {
        Money::parse(text, code.parse()?)
    }

    #[test]
    fn reads_and_prints() {
        let cases = [
            ("18", "USD", 1800, "$18", "18.00"),
            ("18.5", "EUR", 1850, "€18.50", "18.50"),
            ("1250", "JPY", 1250, "¥1250", "1250"),
            ("0.05", "CHF", 5, "0.05 CHF", "0.05"),
            ("1.234", "BHD", 1234, "1.234 BHD", "1.234"),
        ];
        for (text, code, minor, shown, decimal) in cases {
            let money = money(text, code).expect("reads");
            assert_eq!(money.minor, minor);
            assert_eq!(money.to_string(), shown);
            assert_eq!(money.decimal(), decimal);
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in ["", ".5", "5.", "-5", "1,000", "1e3", "12.345", "99999999999999999999"] {
            assert!(money(text, "USD").is_err(), "{text}");
        }
        assert!(money("5", "QQQ").is_err());
        assert!(money("5.5", "JPY").is_err());
    }

    #[test]
    fn sums_check_currency_and_size() {
        let five = money("5", "USD").expect("reads");
        assert_eq!(five.times(3).map(|m| m.minor), Some(1500));
        assert_eq!(five.plus(money("5", "EUR").expect("reads")), None);
        assert_eq!(Money::new(i64::MAX, five.currency).times(2), None);
    }
}
