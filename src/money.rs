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
    /// The sign or code of another currency.
    #[error("{mark} is not {currency}. Write the amount alone, like 18 or 18.50")]
    Sign {
        /// The sign.
        mark: String,
        /// The code of the currency it should be in.
        currency: String,
    },
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

impl Currency {
    /// Whether amounts of it are written with that sign or code. Some share one: `$` stands for all
    /// dollars and several pesos, `¥` for yen and yuan.
    fn is_marked(self, mark: &str) -> bool {
        let own = self.0.symbol().to_string();
        let shares = |sign: char| own.ends_with(sign);
        if mark.eq_ignore_ascii_case(self.code()) || mark.to_lowercase() == own.to_lowercase() {
            return true;
        }
        match mark.strip_suffix(['$', '＄']) {
            // `US$`, `A$`: the letters say whose.
            Some(land) => shares('$') && self.code().starts_with(&land.to_uppercase()),
            None => match mark {
                "￥" => shares('¥'),
                "￡" => shares('£'),
                _ => false,
            },
        }
    }
}

/// A sign or code of some currency.
fn is_mark(text: &str) -> bool {
    let sign = |c: char| {
        matches!(c, '$' | '£' | '¥' | '¢' | '¤' | '฿' | '﷼' | '＄' | '￡' | '￥' | '￦')
            || ('\u{20A0}'..='\u{20CF}').contains(&c)
    };
    let known = |code: &str| iso_currency::Currency::from_code(code).is_some();
    text.chars().any(sign) || known(&text.to_ascii_uppercase())
}

/// A text as a mark, perhaps empty, and the number before or behind it.
fn marked(text: &str) -> Option<(&str, &str)> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let first = text.find(is_number)?;
    let last = text.rfind(is_number)? + 1;
    let (before, number, behind) = (&text[..first], &text[first..last], &text[last..]);
    match (before.trim(), behind.trim()) {
        ("", mark) | (mark, "") => Some((mark, number)),
        _ => None,
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

    /// Reads an amount as people type it: the currency's own sign or code may stand before or
    /// behind the plain decimal.
    ///
    /// # Errors
    /// Says whether the form, the number of decimals or the currency is wrong.
    pub fn typed(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let form = || MoneyError::Form(text.chars().take(20).collect());
        let (mark, number) = marked(text).ok_or_else(form)?;
        if mark.is_empty() || currency.is_marked(mark) {
            return Self::parse(number, currency);
        }
        if !is_mark(mark) {
            return Err(form());
        }
        Err(MoneyError::Sign { mark: mark.to_owned(), currency: currency.code().to_owned() })
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

    fn typed(text: &str, code: &str) -> Result<Money, MoneyError> {
        Money::typed(text, code.parse()?)
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
    fn its_own_sign_is_read_and_anothers_refused() {
        let fine = [
            ("$20", "USD"),
            ("US$20", "USD"),
            ("20 USD", "USD"),
            ("usd 20", "USD"),
            ("＄20", "USD"),
            ("$20", "CAD"),
            ("A$20", "AUD"),
            ("$20", "MXN"),
            ("€20", "EUR"),
            ("20€", "EUR"),
            ("£20", "GBP"),
            ("¥20", "JPY"),
            ("￥20", "CNY"),
            ("20 CHF", "CHF"),
        ];
        for (text, code) in fine {
            let read = typed(text, code).expect(text);
            assert_eq!(read.decimal().split('.').next(), Some("20"), "{text}");
        }
        let wrong = [
            ("£20", "USD", "£ is not USD"),
            ("¥3000", "USD", "¥ is not USD"),
            ("€20", "GBP", "€ is not GBP"),
            ("$20", "EUR", "$ is not EUR"),
            ("20 EUR", "USD", "EUR is not USD"),
            ("CA$20", "USD", "CA$ is not USD"),
            ("₹20", "USD", "₹ is not USD"),
        ];
        for (text, code, says) in wrong {
            let error = typed(text, code).expect_err(text).to_string();
            assert!(error.starts_with(says) && error.contains("Write the amount alone"), "{error}");
        }
        for text in ["$20$", "-$20", "$-20", "$", "twenty", "20 or so", "$$20"] {
            assert!(typed(text, "USD").is_err(), "{text}");
        }
    }

    #[test]
    fn sums_check_currency_and_size() {
        let five = money("5", "USD").expect("reads");
        assert_eq!(five.times(3).map(|m| m.minor), Some(1500));
        assert_eq!(five.plus(money("5", "EUR").expect("reads")), None);
        assert_eq!(Money::new(i64::MAX, five.currency).times(2), None);
    }
}
