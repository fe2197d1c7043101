//! What a template may say in `[templates.<name>.noventiq]`, and what Noventiq cannot carry.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    money::Money,
    sale::{
        offer::Upsell,
        template::{CheckoutShape, Template},
    },
};

/// Characters of a sku (the checkout link's reference).
const SKU_MAX: usize = 40;

/// Decimals of a price (the checkout link's reference).
pub(super) const DECIMALS: usize = 2;

/// Noventiq's own options of a template.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The original product whose settings everything else comes from.
    pub product_id: u64,
    /// The seller's code on the order.
    pub sku: Option<String>,
    /// The name on the invoice.
    pub name_for_invoice: Option<String>,
    /// What comes with every unit, each with an original product of its own.
    pub with: Vec<Part>,
    /// The original product of each up-sell, by the up-sell's name.
    pub upsell_product_ids: BTreeMap<String, u64>,
    /// The original product that a delivery fee is charged with.
    pub delivery_product_id: Option<u64>,
    /// What becomes of a unit whose buyer's time is over: its link can still be paid.
    pub after_hold: AfterHold,
    /// With `after_hold = "overbook"`: units given back in one sale at the most.
    pub overbook: u32,
    /// Whether more may be paid than there is, and refunds asked for.
    pub allow_surplus: bool,
}

/// A product that comes with every unit.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its original product.
    pub product_id: u64,
    /// Its name.
    pub name: String,
    /// What of the template's price is for it, like "8.00".
    pub price: String,
    /// The seller's code for it.
    #[serde(default)]
    pub sku: Option<String>,
}

/// What becomes of a unit whose buyer's time is over. No link can be revoked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AfterHold {
    /// It stays taken: never a payment without a unit.
    #[default]
    StrictForever,
    /// It goes back; who pays all the same when nothing is left is surplus.
    Strict,
    /// As `Strict`, for so many units in one sale; then as `StrictForever`.
    Overbook,
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
        options.check_products(template)?;
        options.check_after_hold()?;
        if template.checkout == CheckoutShape::Shared {
            return Err(
                "one link is good for one order: leave checkout at \"per_buyer\"".to_owned()
            );
        }
        if template.price.currency.exponent() > DECIMALS {
            let code = template.price.currency.code();
            return Err(format!("prices have {DECIMALS} decimals at Noventiq, {code} has more"));
        }
        let specials = template.offers.specials.iter().map(|special| special.price);
        for price in specials.chain([template.price]) {
            options.main_price(price)?;
        }
        Ok(options)
    }

    fn check_products(&self, template: &Template) -> Result<(), String> {
        if self.product_id == 0 {
            return Err("product_id is missing: the id of the original product, made in \
                        Noventiq's Merchant Portal"
                .to_owned());
        }
        let others = self.with.iter().map(|part| part.product_id).chain(self.delivery_product_id);
        let others = others.chain(self.upsell_product_ids.values().copied());
        let mut seen = BTreeSet::from([self.product_id]);
        for id in others {
            if id == 0 || !seen.insert(id) {
                return Err(format!(
                    "product {id} is there twice: each entry of an order needs an original \
                     product of its own"
                ));
            }
        }
        let bare = |upsell: &&Upsell| !self.upsell_product_ids.contains_key(&upsell.name);
        if let Some(Upsell { name, .. }) = template.offers.upsells.iter().find(bare) {
            return Err(format!(
                "upsell_product_ids has no {name}: an up-sell is an entry of its own on the order"
            ));
        }
        let skus = self.with.iter().map(|part| &part.sku).chain([&self.sku]);
        if skus.flatten().any(|sku| sku.chars().count() > SKU_MAX) {
            return Err(format!("a sku has {SKU_MAX} characters at the most"));
        }
        if self.with.iter().any(|part| part.name.trim().is_empty()) {
            return Err("each entry of with needs a name".to_owned());
        }
        let fee = template.delivery.iter().find(|choice| choice.fee.minor > 0);
        if let Some(choice) = fee.filter(|_| self.delivery_product_id.is_none()) {
            return Err(format!(
                "delivery_product_id is missing: the fee of {} is an entry of its own on the order",
                choice.name
            ));
        }
        Ok(())
    }

    fn check_after_hold(&self) -> Result<(), String> {
        if self.after_hold != AfterHold::StrictForever && !self.allow_surplus {
            return Err("after_hold: a link cannot be revoked, so that a unit given back may be \
                        paid twice over, and people at Noventiq decide on the refund. If that is \
                        what you want, set allow_surplus = true"
                .to_owned());
        }
        if (self.after_hold == AfterHold::Overbook) != (self.overbook > 0) {
            return Err("after_hold = \"overbook\" and overbook = <units> go together".to_owned());
        }
        Ok(())
    }

    /// What of a unit's price is for the template's own product: the rest of it.
    ///
    /// # Errors
    /// If nothing is left, or a part's price cannot be read.
    pub(super) fn main_price(&self, price: Money) -> Result<Money, String> {
        let mut rest = price.minor;
        for part in &self.with {
            let own = Money::typed(&part.price, price.currency).map_err(|e| e.to_string())?;
            rest -= own.minor;
        }
        if rest <= 0 {
            return Err(format!("what comes with it costs as much as {price}, or more"));
        }
        Ok(Money::new(rest, price.currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn template(more: &str, own: &str) -> Result<Template, String> {
        let text = format!(
            "[mug]\ntitle = \"Mug\"\nprice = \"18.00\"\nprovider = \"noventiq\"\n{more}\n\
             [mug.noventiq]\n{own}"
        );
        let raw = toml::from_str(&text).expect("a table");
        let findings = |all: Vec<crate::finding::Finding>| all[0].says.clone();
        let template = config::templates(&raw).map_err(findings)?.remove("mug").expect("it");
        Options::of(&template).map(|_| template)
    }

    #[test]
    fn mistakes_are_named() {
        let part = |id: u64, price: &str| {
            format!("with = [{{ product_id = {id}, name = \"Licence\", price = \"{price}\" }}]")
        };
        for (more, own, says) in [
            ("", String::new(), "product_id is missing"),
            ("", "product_id = 1\nprodutc = 2".to_owned(), "unknown field `produtc`"),
            ("", format!("product_id = 1\n{}", part(1, "8.00")), "product 1 is there twice"),
            ("", format!("product_id = 1\n{}", part(2, "18.00")), "costs as much as $18"),
            ("", format!("product_id = 1\n{}", part(2, "x")), "not an amount"),
            ("", format!("product_id = 1\nsku = \"{}\"", "x".repeat(41)), "40 characters"),
            ("", "product_id = 1\nafter_hold = \"strict\"".to_owned(), "allow_surplus = true"),
            (
                "",
                "product_id = 1\nafter_hold = \"overbook\"\nallow_surplus = true".to_owned(),
                "go together",
            ),
            ("", "product_id = 1\noverbook = 2".to_owned(), "go together"),
            ("checkout = \"shared\"", "product_id = 1".to_owned(), "good for one order"),
            ("currency = \"KWD\"", "product_id = 1".to_owned(), "KWD has more"),
            (
                "delivery = [{ name = \"ship\", fee = \"6.00\" }]",
                "product_id = 1".to_owned(),
                "delivery_product_id is missing: the fee of ship",
            ),
        ] {
            let error = template(more, &own).err().unwrap_or_default();
            assert!(error.contains(says), "{more} {own}: {error}");
        }
        let good = "product_id = 1\nsku = \"MUG\"\nafter_hold = \"overbook\"\noverbook = 2\n\
                    allow_surplus = true";
        assert!(template("", good).is_ok());
        let both = template("", &format!("product_id = 1\n{}", part(2, "8.00"))).expect("good");
        let options = Options::of(&both).expect("good");
        assert_eq!(options.main_price(both.price).map(|price| price.minor), Ok(1000));
    }
}
