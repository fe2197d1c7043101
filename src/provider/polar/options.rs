//! What a template may say in `[templates.<name>.polar]`, and what Polar cannot carry at all.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::sale::template::{CheckoutShape, Template};

/// Pairs of metadata on one thing, and ours among them (Polar's "Metadata" guide).
const METADATA_MAX: usize = 50;
const METADATA_OURS: usize = 6;

/// The longest value of metadata, in characters.
pub(super) const METADATA_VALUE_MAX: usize = 500;

/// What our own metadata keys begin with.
pub(super) const MARK: &str = "livetill";

/// Characters of a product's name (its ProductCreate reference).
pub(super) const NAME_MAX: usize = 64;
const NAME_MIN: usize = 3;

/// The least that Polar takes, in cents of a dollar.
const USD_MIN: i64 = 50;

/// Polar's own options of a template.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Laid on the page and on its order.
    pub metadata: BTreeMap<String, Value>,
    /// A shared link's name in the dashboard.
    pub label: Option<String>,
    /// A discount that lies on every page.
    pub discount_id: Option<String>,
    /// Whether buyers may enter a code; refused, see [`Options::of`].
    pub allow_discount_codes: bool,
    /// Where buyers go after paying, in place of their own page.
    pub success_url: Option<String>,
    /// Where the page's back button leads.
    pub return_url: Option<String>,
    /// Whether the page always asks for the whole billing address.
    pub require_billing_address: bool,
    /// Only to be refused with the reason.
    recurring_interval: Option<Value>,
    trial_interval: Option<Value>,
    seats: Option<Value>,
    units: Option<Value>,
    product_price_id: Option<Value>,
}

impl Options {
    /// The options of a template, checked together with the rest of it.
    ///
    /// # Errors
    /// One line naming what does not go, and the mend.
    pub fn of(template: &Template) -> Result<Self, String> {
        let options: Self = match &template.options {
            Value::Null => Self::default(),
            given => Self::deserialize(given).map_err(|error| error.to_string())?,
        };
        check_currency(template)?;
        options.check_refused()?;
        options.check_values(template)?;
        check_template(template)?;
        if template.checkout == CheckoutShape::Shared {
            options.check_shared()?;
        }
        Ok(options)
    }

    fn check_refused(&self) -> Result<(), String> {
        let refused = [
            (&self.recurring_interval, "recurring_interval", "a sale is paid once"),
            (&self.trial_interval, "trial_interval", "a sale is paid once"),
            (&self.seats, "seats", "one order is one unit"),
            (&self.units, "units", "one order is one unit"),
            (
                &self.product_price_id,
                "product_price_id",
                "every page gets a price of its own, since replacing it is what closes the page",
            ),
        ];
        for (given, name, why) in refused {
            if given.is_some() {
                return Err(format!("leave {name} out: {why}"));
            }
        }
        if self.allow_discount_codes {
            return Err("leave allow_discount_codes out: a code changes what is paid, and a \
                        payment of another amount than announced is put before a person"
                .to_owned());
        }
        Ok(())
    }

    fn check_values(&self, template: &Template) -> Result<(), String> {
        if self.metadata.len() > METADATA_MAX - METADATA_OURS {
            return Err(format!("metadata takes {} pairs", METADATA_MAX - METADATA_OURS));
        }
        for (key, value) in &self.metadata {
            if key.is_empty() || key.chars().count() > 40 || key.starts_with(MARK) {
                return Err(format!(
                    "metadata.{key}: a key has 1 to 40 characters and does not begin with {MARK}"
                ));
            }
            let fine = match value {
                Value::String(text) => (1..=METADATA_VALUE_MAX).contains(&text.chars().count()),
                Value::Number(_) | Value::Bool(_) => true,
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            };
            if !fine {
                return Err(format!(
                    "metadata.{key}: write a text of 1 to 500 characters, a number, true or false"
                ));
            }
        }
        for (name, url) in [("success_url", &self.success_url), ("return_url", &self.return_url)] {
            let fine = |url: &String| {
                (url.starts_with("https://") || url.starts_with("http://")) && url.len() <= 2083
            };
            if url.as_ref().is_some_and(|url| !fine(url)) {
                return Err(format!("{name} must be an address of at most 2083 characters"));
            }
        }
        if self.label.is_some() && template.checkout == CheckoutShape::PerBuyer {
            return Err("label goes with checkout = \"shared\" only: it names the link".to_owned());
        }
        Ok(())
    }

    fn check_shared(&self) -> Result<(), String> {
        if self.discount_id.is_some() {
            return Err(
                "discount_id goes with checkout = \"per_buyer\" only: a shared link drops \
                        a discount that is used up and then asks for another amount"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn check_template(template: &Template) -> Result<(), String> {
    if template.title.chars().count() < NAME_MIN {
        return Err(format!("Polar wants a title of at least {NAME_MIN} characters"));
    }
    let specials = template.offers.specials.iter().map(|special| special.price.minor);
    let least = specials.fold(template.price.minor, i64::min);
    if template.price.currency.code() == "USD" && least < USD_MIN {
        return Err("Polar takes no less than $0.50".to_owned());
    }
    Ok(())
}

/// Currencies whose smallest unit at Polar is not ISO 4217's: a price would be a hundred times too
/// low or too high there (its server's list of currencies without decimals).
const OTHER_UNITS: [&str; 3] = ["ISK", "MGA", "UGX"];

fn check_currency(template: &Template) -> Result<(), String> {
    let currency = template.price.currency;
    if OTHER_UNITS.contains(&currency.code()) || currency.exponent() > 2 {
        return Err(format!(
            "polar counts {currency} in another smallest unit than everybody else, so that prices \
             would be wrong there: sell in another currency"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn template(more: &str, polar: &str) -> Result<Template, String> {
        let text = format!(
            "[mug]\ntitle = \"Mug\"\nprice = \"18.00\"\nprovider = \"polar\"\n{more}\n\
             [mug.polar]\n{polar}"
        );
        let raw = toml::from_str(&text).expect("a table");
        let findings = |all: Vec<crate::finding::Finding>| all[0].says.clone();
        let template = config::templates(&raw).map_err(findings)?.remove("mug").expect("it");
        Options::of(&template).map(|_| template)
    }

    #[test]
    fn mistakes_are_named() {
        for (more, polar, says) in [
            ("", "discuont_id = \"x\"", "unknown field `discuont_id`"),
            ("", "recurring_interval = \"month\"", "a sale is paid once"),
            ("", "seats = 3", "one order is one unit"),
            ("", "allow_discount_codes = true", "a code changes what is paid"),
            ("", "metadata = { livetill_x = \"1\" }", "does not begin with livetill"),
            ("", "metadata = { a = \"\" }", "1 to 500 characters"),
            ("", "success_url = \"shop\"", "must be an address"),
            ("", "label = \"x\"", "it names the link"),
            ("checkout = \"shared\"", "discount_id = \"x\"", "drops a discount"),
            ("min_price = \"0.01\"", "", ""),
        ] {
            let error = template(more, polar).err().unwrap_or_default();
            assert!(error.contains(says), "{more} {polar}: {error}");
        }
        let good = "discount_id = \"d\"\nmetadata = { a = \"x\", n = 3, b = true }\n\
                    success_url = \"https://x.example/?checkout_id={CHECKOUT_ID}\"";
        assert!(template("", good).is_ok());
    }

    #[test]
    fn currencies_that_polar_counts_otherwise_are_refused() {
        for (code, fine) in
            [("USD", true), ("JPY", true), ("ISK", false), ("UGX", false), ("MGA", false)]
        {
            let mut template = template("", "").expect("a template");
            template.price = crate::money::Money::new(1800, code.parse().expect("a currency"));
            assert_eq!(check_currency(&template).is_ok(), fine, "{code}");
        }
    }
}
