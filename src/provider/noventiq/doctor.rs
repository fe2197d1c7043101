//! What is wrong with the account, as far as a link that nobody is given can tell.

use serde_json::{Value, json};

use super::{NAME, Noventiq, link::LINKS, options::Options};
use crate::{finding::Finding, provider::rest::Fault, sale::template::Template};

/// What the doctor's own links carry in place of a hold.
const REFERENCE: &str = "livetill-check";

fn key(what: &str) -> String {
    format!("providers.{NAME}.{what}")
}

impl Noventiq {
    pub(super) async fn diagnose(&self, templates: &[&Template]) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Err(fault) = self.client.log_in().await {
            // Nothing else would be answered.
            let what = if fault.is_definite() { "password" } else { "api_url" };
            return vec![Finding::error(key(what), fault.says())];
        }
        found.extend(self.client.drift().finding(NAME, "Noventiq"));
        if let Err(fault) = self.answers().await {
            let says =
                format!("orders cannot be searched, so that no payment is seen: {}", fault.says());
            found.push(Finding::error(key("username"), says));
        }
        for template in templates {
            self.check_template(template, &mut found).await;
        }
        if self.contact.is_none() {
            let says = "refunds cannot be asked for: write the e-mail address at which Noventiq \
                        reaches you about them";
            found.push(Finding::error(key("contact_email"), says));
        }
        self.check_webhooks(&mut found);
        found
    }

    /// Has a link made, which no call but this one can tell anything about currency, checkout page
    /// and product by. It is shown to nobody.
    async fn check_template(&self, template: &Template, found: &mut Vec<Finding>) {
        let Ok(options) = Options::of(template) else { return };
        let request = self.names.request(template, &options, (1, template.price), REFERENCE);
        let Err(fault) = self.client.post(LINKS, &Value::from(request)).await else { return };
        let own = |what: &str| format!("templates.{}.{what}", template.name);
        let says = fault.says().to_lowercase();
        let place = match &fault {
            Fault::Lost(_) => key("api_url"),
            _ if says.contains("market") => key("market_id"),
            _ if says.contains("currency") => own("currency"),
            _ if says.contains("product") => own(&format!("{NAME}.product_id")),
            Fault::Refused { .. } => own(NAME),
        };
        let says = format!("no link can be made for {}: {}", template.name, fault.says());
        found.push(Finding::error(place, says));
    }

    fn check_webhooks(&self, found: &mut Vec<Finding>) {
        if !self.webhook_url.starts_with("https://") {
            let says = format!(
                "Noventiq sends webhooks to https addresses only, not to {}: put HTTPS in front of \
                 the listener and set it here",
                self.webhook_url
            );
            found.push(Finding::error("shop.public_url", says));
        }
        if self.secrets.is_empty() {
            let says = "webhooks are turned away: set LIVETILL_PROVIDERS__NOVENTIQ__WEBHOOK_SECRET \
                        to the secret key that you chose for them in the Merchant Portal";
            found.push(Finding::error(key("webhook_secret"), says));
            return;
        }
        let says = format!(
            "which webhooks are set up cannot be seen from here: in the Merchant Portal, see that \
             order.payment.succeeded and product.returned go to {}",
            self.webhook_url
        );
        found.push(Finding::warning(key("webhook_secret"), says));
    }

    /// Nothing made here can be found again.
    pub(super) const UNLISTED: &str = "links cannot be listed or taken back. Those of a sale that \
                                       may still be paid stand under: !sale links";

    /// Whether the search answers, once before a sale.
    pub(super) async fn answers(&self) -> Result<(), Fault> {
        self.client.post(super::SEARCH, &json!({ "external_id": REFERENCE })).await.map(drop)
    }
}
