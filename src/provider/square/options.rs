//! What a template may say in `[templates.<name>.square]`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{money::Money, sale::template::Template};

/// Square's own options of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What is made for a sale.
    pub strategy: Strategy,
    /// What becomes of it.
    after: Option<After>,
    /// The category of a fresh item.
    pub category_id: Option<String>,
    /// The item that gets a fresh variation.
    pub item_id: Option<String>,
    /// The variation that is sold again and again.
    pub variation_id: Option<String>,
    /// A modifier list with the delivery choices, shared and never deleted.
    pub modifier_list_id: Option<String>,
    /// More locations where a fresh item shows.
    pub present_at: Vec<String>,
    /// Where tracking is switched on for a reused variation that is not tracked.
    pub track: Track,
    /// Shown to buyers for questions.
    pub support_email: Option<String>,
    /// Where buyers go after paying, in place of their own page.
    pub redirect_url: Option<String>,
    /// A note on the payment.
    pub note: Option<String>,
    /// Delivery fees as a shipping fee instead of a modifier's price.
    pub shipping_fee: bool,
    /// Catalog ids of discounts on the order.
    pub discounts: Vec<String>,
    /// Catalog ids of taxes on the order.
    pub taxes: Vec<String>,
    /// What the application keeps of each order.
    app_fee: Option<String>,
}

/// What is made for a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// A new item.
    #[default]
    Fresh,
    /// A new variation of an item that stays.
    Variation,
    /// Nothing: a variation that exists, with its stock set.
    Reuse,
}

/// What becomes of what was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum After {
    /// It is archived.
    Archive,
    /// It is deleted.
    Delete,
    /// It stays.
    Keep,
}

/// Where tracking is switched on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Track {
    /// At the location that sells.
    #[default]
    Location,
    /// Everywhere.
    Everywhere,
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
        options.check_strategy()?;
        options.check_lengths(template)?;
        options.app_fee(template)?;
        Ok(options)
    }

    /// What becomes of what was made.
    pub fn after(&self) -> After {
        self.after.unwrap_or(match self.strategy {
            Strategy::Fresh | Strategy::Variation => After::Delete,
            Strategy::Reuse => After::Keep,
        })
    }

    /// What the application keeps of each order.
    ///
    /// # Errors
    /// If it is not an amount.
    pub fn app_fee(&self, template: &Template) -> Result<Option<Money>, String> {
        let parse = |text: &String| Money::typed(text, template.price.currency);
        self.app_fee.as_ref().map(parse).transpose().map_err(|error| format!("app_fee: {error}"))
    }

    /// Whether Square may ask for another total than units × price + fee.
    pub fn changes_total(&self) -> bool {
        !self.taxes.is_empty() || !self.discounts.is_empty()
    }

    fn check_strategy(&self) -> Result<(), String> {
        let no = |says: &str| Err(says.to_owned());
        match self.strategy {
            Strategy::Variation if self.item_id.is_none() => {
                no("strategy = \"variation\" needs item_id, the item that gets the variation")
            }
            Strategy::Reuse if self.variation_id.is_none() => {
                no("strategy = \"reuse\" needs variation_id, the variation that is sold")
            }
            Strategy::Fresh | Strategy::Reuse if self.item_id.is_some() => {
                no("item_id goes with strategy = \"variation\" only")
            }
            Strategy::Fresh | Strategy::Variation if self.variation_id.is_some() => {
                no("variation_id goes with strategy = \"reuse\" only")
            }
            Strategy::Variation | Strategy::Reuse
                if self.category_id.is_some() || !self.present_at.is_empty() =>
            {
                no("category_id and present_at go with strategy = \"fresh\" only: the item exists")
            }
            Strategy::Reuse if self.after() != After::Keep => {
                no("what is reused is kept: leave after out")
            }
            Strategy::Variation if self.after() == After::Archive => {
                no("Square archives items, not variations: use after = \"delete\" or \"keep\"")
            }
            Strategy::Fresh | Strategy::Variation | Strategy::Reuse => Ok(()),
        }
    }

    /// Square's limits (its CreatePaymentLink and CatalogObject references).
    fn check_lengths(&self, template: &Template) -> Result<(), String> {
        let texts = [
            ("support_email", &self.support_email, 256),
            ("redirect_url", &self.redirect_url, 2048),
            ("note", &self.note, 500),
        ];
        for (name, text, max) in texts {
            if text.as_ref().is_some_and(|text| text.chars().count() > max) {
                return Err(format!("{name} is longer than {max} characters"));
            }
        }
        if template.delivery.iter().any(|d| d.label.chars().count() > 255) {
            return Err("a delivery label is longer than 255 characters".to_owned());
        }
        Ok(())
    }
}

/// Square's money is in the smallest unit of the currencies of its own markets: hundredths, and yen.
fn check_currency(template: &Template) -> Result<(), String> {
    let currency = template.price.currency;
    let known = currency.code() == "JPY" || (currency.exponent() == 2 && currency.code() != "MGA");
    if !known {
        return Err(format!(
            "square sells in the currencies of its own markets only, and {currency} is none of \
             them: write the currency of your location"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn template(square: &str) -> Result<Template, String> {
        let text =
            format!("[mug]\nprice = \"18.00\"\nprovider = \"square\"\n[mug.square]\n{square}");
        let raw = toml::from_str(&text).expect("a table");
        let findings = |all: Vec<crate::finding::Finding>| all[0].says.clone();
        let template = config::templates(&raw).map_err(findings)?.remove("mug").expect("it");
        Options::of(&template).map(|_| template)
    }

    #[test]
    fn fresh_and_deleted_unless_told_otherwise() {
        let options = Options::of(&template("").expect("fine")).expect("fine");
        assert_eq!((options.strategy, options.after()), (Strategy::Fresh, After::Delete));
        let reuse = template("strategy = \"reuse\"\nvariation_id = \"V\"").expect("fine");
        assert_eq!(Options::of(&reuse).expect("fine").after(), After::Keep);
    }

    #[test]
    fn mistakes_are_named() {
        for (square, says) in [
            ("strategi = \"fresh\"", "unknown field `strategi`"),
            ("strategy = \"variation\"", "needs item_id"),
            ("strategy = \"reuse\"", "needs variation_id"),
            ("item_id = \"I\"", "goes with strategy = \"variation\""),
            ("strategy = \"variation\"\nitem_id = \"I\"\nafter = \"archive\"", "archives items"),
            ("strategy = \"reuse\"\nvariation_id = \"V\"\nafter = \"delete\"", "is kept"),
            ("app_fee = \"much\"", "app_fee: not an amount"),
        ] {
            let error = template(square).expect_err(square);
            assert!(error.contains(says), "{square}: {error}");
        }
    }
}
