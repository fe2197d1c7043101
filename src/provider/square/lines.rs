//! What a payment link charges: the goods on a line of the catalog's variation, what was chosen on
//! top of it, and up-sells on lines of their own that are in no catalog.

use serde_json::{Value, json};

use super::{listing::Notes, options::Options};
use crate::{
    money::Money,
    sale::{hold::Hold, offer::Line, template::Template},
};

/// What is charged.
pub(super) struct Charge {
    pub lines: Vec<Value>,
    pub shipping_fee: Option<Value>,
    /// What a special price takes off.
    pub discount: Option<Value>,
}

impl Charge {
    /// A modifier's price counts once per unit. So what options add is a modifier; and the
    /// delivery's fee goes, with several units or without a modifier, into the shipping fee, and
    /// never into both.
    pub(super) fn of(
        template: &Template,
        hold: &Hold,
        notes: &Notes,
        options: &Options,
    ) -> Option<Self> {
        let bill = template.bill(hold.units, hold.delivery.as_deref(), &hold.extras)?;
        let mut goods = json!({
            "quantity": hold.units.to_string(),
            "catalog_object_id": notes.variation,
        });
        let mut modifiers: Vec<Value> = bill.adds.iter().map(ad_hoc).collect();
        let mut shipping_fee = None;
        if let Some(delivery) = hold.delivery.as_deref().and_then(|name| template.delivery(name)) {
            let modifier = notes.modifiers.get(&delivery.name);
            let priced = delivery.fee.minor > 0;
            let on_modifier = modifier.is_some() && !options.shipping_fee && hold.units == 1;
            match modifier {
                Some(id) => {
                    let mut chosen = json!({ "catalog_object_id": id, "quantity": "1" });
                    if priced && !on_modifier && !options.shipping_fee {
                        chosen["base_price_money"] = json!(Money::new(0, delivery.fee.currency));
                    }
                    modifiers.insert(0, chosen);
                }
                None => goods["note"] = Value::from(delivery.label.clone()),
            }
            shipping_fee = (priced && !on_modifier)
                .then(|| json!({ "name": delivery.label, "charge": delivery.fee }));
        }
        if !modifiers.is_empty() {
            goods["modifiers"] = Value::from(modifiers);
        }
        let upsells = bill.upsells.iter().map(ad_hoc);
        let discount = bill.reduction().map(|amount| {
            json!({
                "name": "Special price",
                "type": "FIXED_AMOUNT",
                "amount_money": amount,
                "scope": "ORDER",
            })
        });
        Some(Self {
            lines: std::iter::once(goods).chain(upsells).collect(),
            shipping_fee,
            discount,
        })
    }
}

/// A line, or a modifier, of which the catalog knows nothing.
fn ad_hoc(line: &Line) -> Value {
    json!({ "name": line.label, "quantity": "1", "base_price_money": line.amount })
}
