//! What a sale is to Square: the frozen plan for making it, and the notes on what was made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::options::{After, Options, Strategy, Track};
use crate::{
    clock::Timestamp,
    id::SaleId,
    money::Money,
    sale::{Sale, event::Listing},
};

/// What is to be made for a sale: frozen with the effect, so that every attempt sends the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub sale: SaleId,
    /// The shop's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop: Option<String>,
    pub number: u32,
    pub strategy: Strategy,
    pub after: After,
    pub item: Option<String>,
    pub variation: Option<String>,
    pub modifier_list: Option<String>,
    pub category: Option<String>,
    pub present_at: Vec<String>,
    pub track: Track,
    pub title: String,
    pub description: String,
    pub price: Money,
    pub stock: u32,
    /// As of when the stock is counted.
    pub at: Timestamp,
    pub delivery: Vec<Choice>,
    /// Fees are charged as a shipping fee, so the modifiers cost nothing.
    pub shipping_fee: bool,
}

/// A delivery choice as Square shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Choice {
    pub name: String,
    pub label: String,
    pub fee: Money,
}

/// What was made: the adapter's notes, kept by the sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Notes {
    pub sale: SaleId,
    pub strategy: Strategy,
    pub after: After,
    pub location: String,
    pub item: Option<String>,
    pub variation: String,
    /// Modifiers by the name of their delivery choice; none where the fee is a shipping fee.
    pub modifiers: BTreeMap<String, String>,
    /// What is to be removed.
    pub made: Vec<String>,
}

impl Plan {
    pub(super) fn of(sale: &Sale, options: &Options, shop: Option<&str>) -> Self {
        let head = &sale.head;
        let template = &head.template;
        let delivery = template.delivery.iter().map(|choice| Choice {
            name: choice.name.clone(),
            label: choice.label.clone(),
            fee: choice.fee,
        });
        Self {
            sale: head.id,
            shop: shop.map(str::to_owned),
            number: head.number,
            strategy: options.strategy,
            after: options.after(),
            item: options.item_id.clone(),
            variation: options.variation_id.clone(),
            modifier_list: options.modifier_list_id.clone(),
            category: options.category_id.clone(),
            present_at: options.present_at.clone(),
            track: options.track,
            title: template.title.clone(),
            description: template.description.clone(),
            price: template.price,
            stock: head.stock,
            at: head.last_at,
            delivery: delivery.collect(),
            shipping_fee: options.shipping_fee,
        }
    }

    /// Our mark on what we make, for finding it again.
    pub(super) fn mark(&self) -> String {
        signed(format!("{MARK}{}", self.sale), self.shop.as_deref())
    }
}

/// A mark with the shop's id behind it.
pub(super) fn signed(mark: String, shop: Option<&str>) -> String {
    match shop {
        Some(shop) => format!("{mark}{OF}{shop}"),
        None => mark,
    }
}

/// What a mark says: the words after ours, and the shop's id where it carries one. Those of older
/// versions carry none.
pub(super) fn read_mark(text: &str) -> Option<(&str, Option<String>)> {
    let rest = text.strip_prefix(MARK)?;
    Some(match rest.rsplit_once(OF) {
        Some((words, shop)) => (words, Some(shop.to_owned())),
        None => (rest, None),
    })
}

/// What stands before the shop's id.
const OF: &str = " of ";

/// What our marks begin with.
pub(super) const MARK: &str = "livetill ";

impl Notes {
    pub(super) fn read(listing: &Listing) -> Option<Self> {
        serde_json::from_value(listing.0.clone()).ok()
    }

    pub(super) fn listing(&self) -> Listing {
        Listing(serde_json::to_value(self).unwrap_or(Value::Null))
    }
}
