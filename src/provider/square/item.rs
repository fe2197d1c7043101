//! Catalog objects as data: what to write, and what a retrieved one says.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    listing::{Choice, Plan},
    options::Track,
};
use crate::money::Money;

/// Temporary ids of the objects of one batch.
pub(super) const ITEM: &str = "#item";
pub(super) const VARIATION: &str = "#variation";
pub(super) const MODIFIER_LIST: &str = "#delivery";

pub(super) fn modifier(n: usize) -> String {
    format!("#delivery-{n}")
}

/// A new item with one tracked variation and, unless the seller shares one, a modifier list with
/// the delivery choices.
pub(super) fn fresh(plan: &Plan, location: &str) -> Vec<Value> {
    let mut objects = Vec::new();
    let own_list = plan.modifier_list.is_none() && !plan.delivery.is_empty();
    if own_list {
        objects.push(modifier_list(plan, location));
    }
    let mut data = json!({
        "name": plan.title,
        "product_type": "REGULAR",
        "variations": [variation(plan, ITEM, &present(plan, location))],
    });
    if !plan.description.is_empty() {
        data["description_html"] = Value::from(html(&plan.description));
    }
    if let Some(category) = &plan.category {
        data["categories"] = json!([{ "id": category }]);
        data["reporting_category"] = json!({ "id": category });
    }
    let list = plan.modifier_list.as_deref().or(own_list.then_some(MODIFIER_LIST));
    if let Some(list) = list {
        data["modifier_list_info"] = json!([{
            "modifier_list_id": list,
            "enabled": true,
            "min_selected_modifiers": 1,
            "max_selected_modifiers": 1,
        }]);
    }
    let item = json!({ "type": "ITEM", "id": ITEM, "item_data": data });
    objects.push(at(item, &present(plan, location)));
    objects
}

/// A new variation of an item that exists; it shows where its parent shows.
pub(super) fn variation_of(plan: &Plan, parent: &Value, location: &str) -> Value {
    let presence = match parent["present_at_all_locations"].as_bool() {
        Some(false) => json!({
            "present_at_all_locations": false,
            "present_at_location_ids": parent.get("present_at_location_ids")
                .cloned().unwrap_or_else(|| json!([location])),
        }),
        Some(true) | None => json!({ "present_at_all_locations": true }),
    };
    variation(plan, parent["id"].as_str().unwrap_or_default(), &presence)
}

fn variation(plan: &Plan, item: &str, presence: &Value) -> Value {
    let name = if item == ITEM { "Regular" } else { plan.title.as_str() };
    let variation = json!({
        "type": "ITEM_VARIATION",
        "id": VARIATION,
        "item_variation_data": {
            "item_id": item,
            "name": name,
            "pricing_type": "FIXED_PRICING",
            "price_money": plan.price,
            "track_inventory": true,
            "sellable": true,
            "stockable": true,
            "user_data": plan.mark(),
        },
    });
    at(variation, presence)
}

fn modifier_list(plan: &Plan, location: &str) -> Value {
    let presence = present(plan, location);
    let price = |choice: &Choice| match plan.shipping_fee {
        true => Money::new(0, choice.fee.currency),
        false => choice.fee,
    };
    let modifiers: Vec<Value> = plan
        .delivery
        .iter()
        .enumerate()
        .map(|(n, choice)| {
            let modifier = json!({
                "type": "MODIFIER",
                "id": modifier(n),
                "modifier_data": {
                    "name": choice.label,
                    "ordinal": n + 1,
                    "price_money": price(choice),
                },
            });
            at(modifier, &presence)
        })
        .collect();
    let list = json!({
        "type": "MODIFIER_LIST",
        "id": MODIFIER_LIST,
        "modifier_list_data": {
            "name": "Delivery",
            "internal_name": plan.mark(),
            "modifier_type": "LIST",
            "min_selected_modifiers": 1,
            "max_selected_modifiers": 1,
            "modifiers": modifiers,
        },
    });
    at(list, &presence)
}

/// Only where it is sold, so that it does not turn up at other tills.
fn present(plan: &Plan, location: &str) -> Value {
    let mut locations = vec![location.to_owned()];
    locations.extend(plan.present_at.iter().filter(|other| *other != location).cloned());
    json!({ "present_at_all_locations": false, "present_at_location_ids": locations })
}

fn at(mut object: Value, presence: &Value) -> Value {
    for (key, value) in presence.as_object().into_iter().flatten() {
        object[key] = value.clone();
    }
    object
}

/// Text as HTML: nothing in it is a tag.
fn html(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    escaped.replace('\n', "<br>")
}

/// The override for our location, if a variation (or modifier) has one.
fn here<'a>(data: &'a Value, location: &str) -> Option<&'a Value> {
    let all = data["location_overrides"].as_array()?;
    all.iter().find(|one| one["location_id"] == location)
}

/// Whether a variation or a modifier is marked sold out at the location.
pub(super) fn sold_out(object: &Value, location: &str) -> bool {
    let data = match object["type"].as_str() {
        Some("MODIFIER") => &object["modifier_data"],
        Some(_) | None => &object["item_variation_data"],
    };
    let here = here(data, location);
    here.is_some_and(|one| one["sold_out"] == true)
}

/// The object to write so that the variation is tracked; `None` if it is.
pub(super) fn tracked(object: &Value, track: Track, location: &str) -> Option<Value> {
    let data = &object["item_variation_data"];
    let here = here(data, location).and_then(|one| one["track_inventory"].as_bool());
    if here.or(data["track_inventory"].as_bool()) == Some(true) {
        return None;
    }
    let mut object = writable(object);
    let data = &mut object["item_variation_data"];
    match track {
        Track::Everywhere => {
            data["track_inventory"] = Value::from(true);
            for one in data["location_overrides"].as_array_mut().into_iter().flatten() {
                one["track_inventory"] = Value::from(true);
            }
        }
        Track::Location => {
            let all = &mut data["location_overrides"];
            if !all.is_array() {
                *all = json!([]);
            }
            let all = all.as_array_mut()?;
            match all.iter_mut().find(|one| one["location_id"] == location) {
                Some(one) => one["track_inventory"] = Value::from(true),
                None => all.push(json!({ "location_id": location, "track_inventory": true })),
            }
        }
    }
    Some(object)
}

/// The object to write so that the item is archived.
pub(super) fn archived(object: &Value) -> Value {
    let mut object = writable(object);
    object["item_data"]["is_archived"] = Value::from(true);
    object
}

/// A retrieved object without what only Square writes. An upsert replaces the whole object, so
/// everything else goes back as it came.
fn writable(object: &Value) -> Value {
    let mut object = object.clone();
    strip(&mut object);
    object
}

fn strip(value: &mut Value) {
    const READ_ONLY: [&str; 7] = [
        "updated_at",
        "created_at",
        "is_deleted",
        "sold_out",
        "sold_out_valid_until",
        "description_plaintext",
        "channels",
    ];
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !READ_ONLY.contains(&name.as_str()));
            if let Some(data) = fields.get_mut("item_variation_data").and_then(Value::as_object_mut)
            {
                data.remove("ordinal");
            }
            fields.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A reused variation must cost at Square what is announced in chat.
pub(super) fn check_price(object: &Value, plan: &Plan, location: &str) -> Result<(), String> {
    let data = &object["item_variation_data"];
    let own = here(data, location).map(|one| &one["price_money"]).filter(|price| !price.is_null());
    let price = own.unwrap_or(&data["price_money"]);
    let price = serde_json::from_value::<Money>(price.clone()).ok();
    if price == Some(plan.price) {
        return Ok(());
    }
    let shown = price.map_or_else(|| "no fixed price".to_owned(), |price| price.to_string());
    Err(format!(
        "the variation has {shown} at Square and {} here: make the two the same",
        plan.price
    ))
}

/// Finds the delivery choices in a shared modifier list, by label or name.
pub(super) fn match_modifiers(
    object: &Value,
    plan: &Plan,
) -> Result<BTreeMap<String, String>, String> {
    let all = object.pointer("/modifier_list_data/modifiers").and_then(Value::as_array);
    let all = all.map(Vec::as_slice).unwrap_or_default();
    let mut found = BTreeMap::new();
    for choice in &plan.delivery {
        let same = |one: &&Value| {
            let name = one["modifier_data"]["name"].as_str().unwrap_or_default().trim();
            [&choice.label, &choice.name].iter().any(|own| own.eq_ignore_ascii_case(name))
        };
        let Some(one) = all.iter().find(same) else {
            return Err(format!("the shared modifier list has no \"{}\"", choice.label));
        };
        let price = serde_json::from_value::<Money>(one["modifier_data"]["price_money"].clone());
        let price = price.map_or(0, |price| price.minor);
        let wanted = if plan.shipping_fee { 0 } else { choice.fee.minor };
        if price != wanted {
            let price = Money::new(price, choice.fee.currency);
            let wanted = Money::new(wanted, choice.fee.currency);
            return Err(format!(
                "\"{}\" costs {price} in the shared modifier list and {wanted} here: make the \
                 two the same",
                choice.label
            ));
        }
        let id = one["id"].as_str().unwrap_or_default().to_owned();
        found.insert(choice.name.clone(), id);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracking_is_switched_on_where_it_is_off_and_nothing_is_lost() {
        let object = json!({
            "type": "ITEM_VARIATION", "id": "V", "version": 7, "updated_at": "x",
            "item_variation_data": {
                "item_id": "I", "name": "Regular", "ordinal": 1, "sku": "S",
                "location_overrides": [{ "location_id": "L2", "sold_out": true }],
            },
        });
        let here = tracked(&object, Track::Location, "L1").expect("to be written");
        assert_eq!(
            here,
            json!({
                "type": "ITEM_VARIATION", "id": "V", "version": 7,
                "item_variation_data": {
                    "item_id": "I", "name": "Regular", "sku": "S",
                    "location_overrides": [
                        { "location_id": "L2" },
                        { "location_id": "L1", "track_inventory": true },
                    ],
                },
            })
        );
        assert_eq!(tracked(&here, Track::Location, "L1"), None);
        let all = tracked(&object, Track::Everywhere, "L1").expect("to be written");
        assert_eq!(all["item_variation_data"]["track_inventory"], true);
        assert_eq!(tracked(&all, Track::Location, "L2"), None);
    }

    #[test]
    fn a_description_is_text() {
        assert_eq!(html("a < b & c\n<b>"), "a &lt; b &amp; c<br>&lt;b&gt;");
    }
}
