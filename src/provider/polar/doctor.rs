//! What is wrong with the account.

use serde_json::{Value, json};

use super::{
    NAME, Polar,
    page::{LINKS, PRODUCTS, SESSIONS},
};
use crate::{
    finding::Finding,
    provider::rest::{Fault, list, segment},
    sale::template::Template,
};

/// Events without which something is heard of by asking only.
const EVENTS: [&str; 4] = ["order.paid", "order.refunded", "refund.created", "refund.updated"];

const ENDPOINTS: &str = "/v1/webhooks/endpoints";

/// What a sale needs, whether it is for changing something, and where it shows.
const SCOPES: [(&str, bool, &str); 5] = [
    ("products:write", true, PRODUCTS),
    ("checkout_links:write", true, LINKS),
    ("checkouts:write", true, SESSIONS),
    ("orders:read", false, "/v1/orders/"),
    ("refunds:write", true, "/v1/refunds/"),
];

/// Whether the token is good, and not for this.
fn lacks_a_scope(fault: &Fault) -> bool {
    fault.is("insufficient_scope") || fault.status() == Some(403)
}

fn key(what: &str) -> String {
    format!("providers.{NAME}.{what}")
}

impl Polar {
    pub(super) async fn diagnose(&self, templates: &[&Template], mend: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Err(fault) = self.client.get(&format!("{PRODUCTS}?limit=1")).await
            && !lacks_a_scope(&fault)
        {
            // Nothing else would be answered.
            return vec![Finding::error(key("access_token"), fault.says())];
        }
        found.extend(self.client.drift().finding(NAME, "Polar"));
        self.check_scopes(&mut found).await;
        self.check_currency(templates, &mut found).await;
        if let Err(fault) = self.check_webhooks(mend, &mut found).await {
            let says = format!(
                "the webhook endpoints cannot be looked at (that takes the scopes webhooks:read \
                 and webhooks:write): {}",
                fault.says()
            );
            found.push(Finding::warning(key("access_token"), says));
        }
        found
    }

    /// Every right that a sale needs: whoever lacks one is told so before the request is looked at,
    /// and an empty request makes nothing.
    async fn check_scopes(&self, found: &mut Vec<Finding>) {
        for (scope, write, path) in SCOPES {
            let asked = match write {
                true => self.client.post(path, &json!({})).await,
                false => self.client.get(&format!("{path}?limit=1")).await,
            };
            if asked.is_err_and(|fault| lacks_a_scope(&fault)) {
                let says = format!(
                    "the token lacks the scope {scope}: give it that in Polar's dashboard under \
                     Settings, General, Developers"
                );
                found.push(Finding::error(key("access_token"), says));
            }
        }
    }

    /// Looking takes a scope of its own, which nothing else needs.
    async fn check_currency(&self, templates: &[&Template], found: &mut Vec<Finding>) {
        let Ok(answer) = self.client.get("/v1/organizations/?limit=1").await else { return };
        let shown = answer.pointer("/items/0/default_presentment_currency").and_then(Value::as_str);
        let Some(currency) = shown.map(str::to_uppercase) else { return };
        for template in templates.iter().filter(|one| one.price.currency.code() != currency) {
            let says = format!(
                "the organization sells in {currency} at Polar: write currency = \"{currency}\""
            );
            found.push(Finding::error(format!("templates.{}.currency", template.name), says));
        }
    }

    async fn check_webhooks(&self, mend: bool, found: &mut Vec<Finding>) -> Result<(), Fault> {
        if !self.webhook_url.starts_with("https://") {
            let says = format!(
                "Polar sends webhooks to https addresses only, not to {}: put HTTPS in front of \
                 the listener and set it here",
                self.webhook_url
            );
            found.push(Finding::error("shop.public_url", says));
            return Ok(());
        }
        let answer = self.client.get(&format!("{ENDPOINTS}?limit=100")).await?;
        let ours = list(&answer, "/items").iter().find(|one| one["url"] == *self.webhook_url);
        let Some(ours) = ours else { return self.register(mend, found).await };
        let events = list(ours, "/events");
        let missing: Vec<&str> =
            EVENTS.into_iter().filter(|kind| !events.iter().any(|one| one == kind)).collect();
        if missing.is_empty() && ours["enabled"] != false {
            return Ok(());
        }
        let says = match missing.as_slice() {
            [] => "the webhook endpoint is switched off".to_owned(),
            missing => format!("the webhook endpoint leaves out {}", missing.join(", ")),
        };
        if !mend {
            let says = format!("{says}: livetill check --fix mends it");
            found.push(Finding::error(key("webhook_secret"), says));
            return Ok(());
        }
        let mut wanted: Vec<Value> = events.to_vec();
        wanted.extend(missing.iter().map(|kind| Value::from(*kind)));
        let id = segment(ours["id"].as_str().unwrap_or_default());
        let change = json!({ "events": wanted, "enabled": true });
        self.client.patch(&format!("{ENDPOINTS}/{id}"), &change).await?;
        found.push(Finding::warning(key("webhook_secret"), format!("{says}: fixed")));
        Ok(())
    }

    async fn register(&self, mend: bool, found: &mut Vec<Finding>) -> Result<(), Fault> {
        if !mend {
            let says = format!(
                "no webhook endpoint at Polar sends to {}: livetill check --fix makes one",
                self.webhook_url
            );
            found.push(Finding::error(key("webhook_secret"), says));
            return Ok(());
        }
        let body = json!({
            "url": self.webhook_url, "format": "raw", "events": EVENTS, "name": "Livetill",
        });
        self.client.post(ENDPOINTS, &body).await?;
        let says = "a webhook endpoint was made. Its secret stands in Polar's dashboard under \
                    Settings, Webhooks: set LIVETILL_PROVIDERS__POLAR__WEBHOOK_SECRET to it";
        found.push(Finding::error(key("webhook_secret"), says));
        Ok(())
    }
}
