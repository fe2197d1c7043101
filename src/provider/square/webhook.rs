//! Webhooks: the signature over address and raw body, and what an event says.

use serde_json::Value;

use super::{
    Square,
    money::{payment_fact, refund_fact},
};
use crate::{
    clock::Timestamp,
    provider::{Delivery, News, Verified, Webhook, WebhookError, signature},
};

/// Square's name for the HMAC-SHA256 signature; the older SHA-1 header is of no interest.
const SIGNATURE: &str = "x-square-hmacsha256-signature";

/// Says which of Square's two worlds sends.
const ENVIRONMENT: &str = "square-environment";

/// Products of Square whose payments are never made on a payment link of ours.
const OTHER_PRODUCTS: [&str; 7] = [
    "APPOINTMENTS",
    "INVOICES",
    "RESTAURANTS",
    "RETAIL",
    "SQUARE_POS",
    "TERMINAL_API",
    "VIRTUAL_TERMINAL",
];

impl Square {
    pub(super) fn check_signature(&self, webhook: &Webhook) -> Result<Verified, WebhookError> {
        let ours = if self.capabilities.real_money { "Production" } else { "Sandbox" };
        let verified =
            signature::with_address(&self.keys, &self.notification_url, SIGNATURE, webhook)?;
        match webhook.header(ENVIRONMENT) {
            Some(theirs) if !theirs.eq_ignore_ascii_case(ours) => Err(WebhookError::Signature),
            Some(_) | None => Ok(verified),
        }
    }

    pub(super) fn read_event(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        let garbage = |what: &str| WebhookError::Garbage(what.to_owned());
        let event: Value =
            serde_json::from_slice(webhook.body()).map_err(|_| garbage("it is not JSON"))?;
        let kind = event["type"].as_str().ok_or_else(|| garbage("it has no type"))?;
        let id = event["event_id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| garbage("it has no event_id"))?;
        // What was changed says itself as of when; else the event does.
        let object = |name: &str| {
            let mut object = event["data"]["object"][name].clone();
            if object.is_object() && object["updated_at"].is_null() {
                object["updated_at"] = event["created_at"].clone();
            }
            object
        };
        let news = match kind {
            "payment.created" | "payment.updated" => {
                let payment = object("payment");
                if payment["id"].as_str().is_none() {
                    return Err(garbage("its payment has no id"));
                }
                self.payment_news(&payment)
            }
            "refund.created" | "refund.updated" => {
                let refund = object("refund");
                if refund["id"].as_str().is_none() {
                    return Err(garbage("its refund has no id"));
                }
                refund_fact(&refund).map(News::Refund).into_iter().collect()
            }
            // Neither says enough by itself: which variation, or sold to whom.
            "inventory.count.updated" | "catalog.version.updated" => self.listing_news(&event),
            _ => Vec::new(),
        };
        // Two kinds of event were seen to share one id.
        Ok(Delivery { id: format!("{kind}:{id}"), news })
    }

    /// Square tells of everything the seller takes, at the till and elsewhere. What is certainly
    /// not ours is left out; what may be is looked up.
    fn payment_news(&self, payment: &Value) -> Vec<News> {
        let elsewhere =
            payment["location_id"].as_str().is_some_and(|location| location != self.location);
        let product = payment.pointer("/application_details/square_product");
        let product = product.and_then(Value::as_str).unwrap_or_default();
        if elsewhere || OTHER_PRODUCTS.contains(&product) || payment["order_id"].is_null() {
            return Vec::new();
        }
        payment_fact(payment).map(News::Payment).into_iter().collect()
    }

    fn listing_news(&self, event: &Value) -> Vec<News> {
        let counts = event.pointer("/data/object/inventory_counts").and_then(Value::as_array);
        let here = |count: &Value| count["location_id"] == self.location.as_str();
        if counts.is_some_and(|counts| !counts.iter().any(here)) {
            return Vec::new();
        }
        let at = event["created_at"].as_str().and_then(Timestamp::parse_rfc3339);
        vec![News::ListingChanged { at: at.unwrap_or_default() }]
    }
}
