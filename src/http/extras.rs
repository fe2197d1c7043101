//! What is offered beside the units, as part of the claim's form; and what came back of it.

use super::{answers::Sent, page::ClaimForm};
use crate::{
    gate::{Given, SPECIAL},
    money::Money,
    sale::offer::{Choice, Extras},
    view::View,
};

/// A choice on the page.
pub(super) struct OptionField {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) values: Vec<ValueField>,
    pub(super) chosen: String,
}

/// One of its values.
pub(super) struct ValueField {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) add: i64,
}

/// An up-sell on the page.
pub(super) struct UpsellField {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) price: String,
    pub(super) add: i64,
    pub(super) gone: bool,
    pub(super) chosen: bool,
}

/// A code that is asked for.
pub(super) struct CodeField {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) required: bool,
    pub(super) typed: String,
}

/// What the calculator on the page needs; it only shows, and decides nothing.
pub(super) struct Sums {
    /// Price of one, in minor units.
    pub(super) price: i64,
    /// Nothing, in the currency: where the number goes.
    pub(super) zero: String,
    pub(super) decimals: usize,
}

/// Where the code for the condition, and the one for a special price, stand in the form.
pub(super) const CODE: &str = "code";
pub(super) const SPECIAL_CODE: &str = "special";

/// What is quoted of the name of an extra that there is not, in characters.
const QUOTED_MAX: usize = 40;

pub(super) fn options(view: &View, sent: Sent<'_>) -> Vec<OptionField> {
    let field = |choice: &Choice| OptionField {
        chosen: sent.typed(&format!("option.{}", choice.name)).unwrap_or_default(),
        name: format!("option.{}", choice.name),
        label: choice.label.clone(),
        values: choice
            .values
            .iter()
            .map(|value| ValueField {
                name: value.name.clone(),
                label: match value.add.minor {
                    0 => value.label.clone(),
                    _ => format!("{} + {}", value.label, value.add),
                },
                add: value.add.minor,
            })
            .collect(),
    };
    view.offers.options.iter().map(field).collect()
}

/// Up-sells; for those who wait only what needs not be counted.
pub(super) fn upsells(view: &View, waiting: bool, sent: Sent<'_>) -> Vec<UpsellField> {
    let offered = view.offers.upsells.iter().filter(|one| !waiting || one.stock.is_none());
    offered
        .map(|one| UpsellField {
            name: format!("upsell.{}", one.name),
            label: one.label.clone(),
            price: one.price.to_string(),
            add: one.price.minor,
            gone: view.gone.contains(&one.name),
            chosen: sent.typed(&format!("upsell.{}", one.name)).is_some(),
        })
        .collect()
}

pub(super) fn codes(view: &View, sent: Sent<'_>) -> Vec<CodeField> {
    let condition = view.offers.condition.iter().map(|condition| CodeField {
        name: CODE,
        label: condition.label.clone(),
        required: true,
        typed: sent.typed(CODE).unwrap_or_default(),
    });
    let special = view.offers.special_lists().next().map(|_| CodeField {
        name: SPECIAL_CODE,
        label: format!("A {SPECIAL}, if you have one"),
        required: false,
        typed: sent.typed(SPECIAL_CODE).unwrap_or_default(),
    });
    condition.chain(special).collect()
}

pub(super) fn sums(view: &View) -> Sums {
    let currency = view.price.currency;
    Sums {
        price: view.price.minor,
        zero: Money::new(0, currency).to_string(),
        decimals: currency.exponent(),
    }
}

impl ClaimForm {
    /// Whether the total depends on what is chosen.
    pub(super) fn counts(&self) -> bool {
        !self.options.is_empty()
            || !self.upsells.is_empty()
            || self.units > 1
            || self.delivery.len() > 1
    }
}

/// Reads what was chosen; `field` answers a field that is not empty. What is missing or unknown is
/// the sale's to refuse; little is kept of the names of what there is not.
pub(super) fn chosen<'a>(
    view: &View,
    field: impl Fn(&str) -> Option<&'a str>,
    names: impl Iterator<Item = &'a str>,
) -> Extras {
    let options = view.offers.options.iter().filter_map(|choice| {
        let value = field(&format!("option.{}", choice.name))?;
        let known = choice.value(value).map(|known| known.name.clone());
        Some((choice.name.clone(), known.unwrap_or_default()))
    });
    let upsells = names.filter_map(|name| name.strip_prefix("upsell.")).map(|name| {
        let known = view.offers.upsell(name);
        known.map_or_else(|| name.chars().take(QUOTED_MAX).collect(), |known| known.name.clone())
    });
    Extras { options: options.collect(), upsells: upsells.collect(), ..Extras::default() }
}

/// The codes that were given.
pub(super) fn given<'a>(field: impl Fn(&str) -> Option<&'a str>) -> Given<'a> {
    Given { code: field(CODE), special: field(SPECIAL_CODE) }
}
