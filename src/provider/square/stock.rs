//! Stock: one absolute count at the start, adjustments after it.
//!
//! Square takes what is paid off the stock by itself; nothing here does that a second time.

use serde_json::{Value, json};

use super::{
    Square, error::Fault, listing::Plan, options::Strategy, settings::ADJUSTMENTS_CHANGED,
};
use crate::{
    clock::{Span, Timestamp},
    provider::{Call, ProviderError, rest::list},
};

/// Square refuses times in its future, and a `Date` is a second old as a rule.
const SKEW: Span = Span::from_secs(1);

/// What is counted of a variation of our own began with us: nothing can have happened to it before,
/// so that a time well in the past says the same, whatever the clocks say.
const OWN_SKEW: Span = Span::from_secs(120);

/// If even that is in Square's future.
const MORE_SKEW: Span = Span::from_mins(15);

fn skew(strategy: Strategy) -> Span {
    match strategy {
        Strategy::Fresh | Strategy::Variation => OWN_SKEW,
        Strategy::Reuse => SKEW,
    }
}

/// What Square says of a variation's stock at our location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stock {
    pub count: i64,
    pub at: Option<Timestamp>,
}

impl Square {
    /// Sets the stock of a sale's variation, dated as of the plan: a repeat counts as the first.
    pub(super) async fn set_stock(
        &self,
        plan: &Plan,
        variation: &str,
        key: &str,
    ) -> Result<(), Fault> {
        let at = whole_second(self.client.drift().theirs(plan.at) - skew(plan.strategy));
        let units = i64::from(plan.stock);
        // The body holds the time, so the key does too. Counted twice is counted once.
        let count = |at: Timestamp| {
            let key = format!("{key}-i-{}", at.seconds());
            (key, physical(variation, &self.location, units, at))
        };
        let (first, body) = count(at);
        match self.change(&first, &body).await {
            Err(fault) if is_about_time(&fault) => {
                let earlier = whole_second(self.client.drift().theirs(plan.at) - MORE_SKEW);
                let (second, body) = count(earlier);
                self.change(&second, &body).await
            }
            done => done,
        }
    }

    /// Leaves nothing for sale.
    pub(super) async fn empty(
        &self,
        variation: &str,
        location: &str,
        call: &Call,
    ) -> Result<(), Fault> {
        // Dated now, not when the effect was made, so the key holds the time.
        let at = whole_second(self.client.drift().theirs(call.now) - SKEW);
        let key = format!("{}-{}", call.key, at.seconds());
        self.change(&key, &physical(variation, location, 0, at)).await
    }

    /// Adds or takes away units. Never an absolute count: that would undo sales dated before it.
    pub(super) async fn restock(&self, change: &Value, call: &Call) -> Result<(), ProviderError> {
        let fault = match self.change(&call.key, change).await {
            Ok(()) => return Ok(()),
            Err(fault) => fault,
        };
        if !is_about_time(&fault) {
            return Err(fault.steady());
        }
        // A definite no, and now its clock is known.
        let mut body = change.clone();
        let at = self.client.drift().theirs(call.now) - MORE_SKEW;
        body["adjustment"]["occurred_at"] = Value::from(at.rfc3339());
        if body == *change {
            return Err(fault.steady());
        }
        Err(ProviderError::Amend { body, says: fault.says() })
    }

    /// When an adjustment is to be dated.
    pub(super) fn adjusted_at(&self, strategy: Strategy, at: Timestamp) -> Timestamp {
        self.client.drift().theirs(at) - skew(strategy)
    }

    async fn change(&self, key: &str, change: &Value) -> Result<(), Fault> {
        let body = json!({ "idempotency_key": key, "changes": [change] });
        self.client.post("/v2/inventory/changes/batch-create", &body).await.map(drop)
    }

    /// What is in stock; `None` if Square does not say.
    pub(super) async fn stock(&self, variation: &str) -> Result<Option<Stock>, Fault> {
        let body = json!({
            "catalog_object_ids": [variation],
            "location_ids": [self.location],
            "states": ["IN_STOCK"],
        });
        let answer = self.client.post("/v2/inventory/counts/batch-retrieve", &body).await?;
        let ours = |one: &&Value| {
            one["catalog_object_id"] == variation
                && one["location_id"] == self.location.as_str()
                && one["state"] == "IN_STOCK"
        };
        Ok(list(&answer, "/counts").iter().find(ours).and_then(read))
    }
}

/// The change for a restock of `units`.
pub(super) fn adjustment(
    variation: &str,
    location: &str,
    units: i64,
    at: Timestamp,
    version: &str,
) -> Value {
    let (from, to) = if units < 0 { ("IN_STOCK", "WASTE") } else { ("NONE", "IN_STOCK") };
    let mut adjustment = json!({
        "catalog_object_id": variation,
        "from_state": from,
        "to_state": to,
        "quantity": units.unsigned_abs().to_string(),
        "occurred_at": at.rfc3339(),
    });
    if version < ADJUSTMENTS_CHANGED {
        adjustment["location_id"] = Value::from(location);
    } else {
        adjustment["from_location_id"] = Value::from(location);
        adjustment["to_location_id"] = Value::from(location);
    }
    json!({ "type": "ADJUSTMENT", "adjustment": adjustment })
}

fn physical(variation: &str, location: &str, count: i64, at: Timestamp) -> Value {
    json!({
        "type": "PHYSICAL_COUNT",
        "physical_count": {
            "catalog_object_id": variation,
            "state": "IN_STOCK",
            "location_id": location,
            "quantity": count.to_string(),
            "occurred_at": at.rfc3339(),
        },
    })
}

/// What a drift says is not exact; the same request must have the same time.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.seconds() * 1000)
}

/// Whether Square does not like a time that we gave it.
fn is_about_time(fault: &Fault) -> bool {
    fault.is("INVALID_TIME")
        || fault.complaints().iter().any(|one| {
            let text = [one.detail.as_deref(), one.field.as_deref()];
            let text = text.into_iter().flatten().collect::<String>().to_lowercase();
            text.contains("occurred_at") || text.contains("in the future")
        })
}

/// Quantities are decimal texts; a part of a unit cannot be sold.
fn read(one: &Value) -> Option<Stock> {
    let count = one["quantity"].as_str()?.split('.').next()?.parse().ok()?;
    let at = one["calculated_at"].as_str().and_then(Timestamp::parse_rfc3339);
    Some(Stock { count, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restock_speaks_the_version_s_language() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let old = adjustment("V", "L", 3, at, "2025-08-20");
        assert_eq!(old["adjustment"]["location_id"], "L");
        assert_eq!(old["adjustment"]["occurred_at"], "2026-01-01T00:00:00.000Z");
        let new = adjustment("V", "L", -2, at, "2026-09-16");
        assert_eq!(new["adjustment"]["location_id"], Value::Null);
        assert_eq!(new["adjustment"]["from_location_id"], "L");
        assert_eq!(
            (&new["adjustment"]["from_state"], &new["adjustment"]["quantity"]),
            (&json!("IN_STOCK"), &json!("2"))
        );
    }

    #[test]
    fn counts_are_texts() {
        let one = json!({ "quantity": "7.00000", "calculated_at": "2019-10-29T18:38:45.10296Z" });
        assert_eq!(read(&one).map(|stock| stock.count), Some(7));
        assert_eq!(read(&json!({ "quantity": "-1" })).map(|stock| stock.count), Some(-1));
    }
}
