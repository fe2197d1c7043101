//! Polar: a checkout session for each hold or one checkout link for a sale, webhooks.
//!
//! Polar keeps no stock, has no idempotency keys and no way to close a page by itself. So pages
//! are closed by replacing the price of a product made for them, and whatever may have been done
//! is looked for before it is done again.

mod client;
mod close;
mod doctor;
mod money;
mod options;
mod page;
mod settings;
mod spec;
mod status;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::{Mutex, OnceLock};

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{client::Client, page::Plan, status::Told};
pub use self::{options::Options, settings::Settings};
use crate::{
    clock::{Span, Timestamp},
    finding::Finding,
    id::CheckoutId,
    provider::{
        Call, Delivery, Leftover, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk,
        Verified, Webhook, WebhookError, rest::Fault,
    },
    sale::{
        Sale,
        effect::Effect,
        event::Listing,
        template::{Capabilities, RefundKind, Template},
    },
};

/// Its name.
pub const NAME: &str = "polar";

/// Late webhooks are waited for before the products go.
const RETIRE_AFTER: Span = Span::from_secs(30);

/// What Polar can do. A page has one product and one price of its own.
pub fn capabilities(config: &Settings) -> Capabilities {
    Capabilities {
        per_buyer: true,
        shared: true,
        revocable: true,
        refund: RefundKind::Instant,
        idempotent: false,
        units: false,
        physical: config.allow_physical,
        any_amount: true,
        add_ons: false,
        prefill: true,
        splits: false,
        real_money: config.takes_real_money(),
        retire_after: RETIRE_AFTER,
    }
}

/// A Polar organization as a provider.
pub struct Polar {
    client: Client,
    keys: Vec<Vec<u8>>,
    webhook_url: String,
    capabilities: Capabilities,
    /// The address of what stands in for Polar, where one is configured.
    stand_in: Option<Url>,
    /// The id of the shop it works for.
    shop: OnceLock<String>,
    told: Mutex<Told>,
}

impl Polar {
    /// A provider for the configured organization; `base_url` is what the world calls our
    /// listener.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(config: &Settings, base_url: &str) -> Result<Self, reqwest::Error> {
        let api = config.api_url.trim();
        let own = |url: &Url| url.host_str().is_some_and(|host| host.ends_with("polar.sh"));
        Ok(Self {
            client: Client::new(api, config.access_token.clone())?,
            keys: webhook::keys(&config.webhook_secret),
            webhook_url: format!("{base_url}/webhooks/{NAME}"),
            capabilities: capabilities(config),
            stand_in: Url::parse(api).ok().filter(|url| !own(url)),
            shop: OnceLock::new(),
            told: Mutex::default(),
        })
    }
}

fn unreadable(what: &str) -> ProviderError {
    ProviderError::Reject { says: format!("the {what} in the outbox cannot be read") }
}

#[async_trait]
impl Provider for Polar {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn accepts(&self, template: &Template) -> Result<(), String> {
        Options::of(template).map(drop)
    }

    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> Value {
        let head = &sale.head;
        // Checked when the template was read and again when the sale was started.
        let options = Options::of(&head.template).unwrap_or_default();
        match effect {
            Effect::Provision | Effect::Retire => json!({ "sale": head.id }),
            Effect::OpenCheckout { hold, nth } => sale.hold(*hold).map_or(Value::Null, |hold| {
                let shop = self.shop.get().map(String::as_str);
                json!(page::plan(sale, hold, *nth, &options, pages, shop))
            }),
            Effect::Probe { hold, checkout } => {
                let page = sale.hold(*hold).and_then(|hold| hold.checkout(checkout));
                json!({
                    "page": page.and_then(|page| page.order.clone()),
                    "url": page.map(|page| page.url.clone()),
                    "shared": hold.is_shared(),
                })
            }
            Effect::CloseCheckout { hold, nth, checkout } => {
                let kept = sale.hold(*hold);
                let page = kept.zip(checkout.as_ref()).and_then(|(hold, id)| hold.checkout(id));
                let link = page.filter(|_| hold.is_shared()).and_then(|page| page.order.clone());
                json!({
                    "price": page::price(kept.map_or(head.template.price, |hold| hold.amount)),
                    "link": link,
                    "mark": page::mark(*hold, *nth),
                })
            }
            Effect::Restock { .. } | Effect::Refund { .. } | Effect::Announce { .. } => Value::Null,
        }
    }

    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        match effect {
            // Each page brings its own product, so that there is nothing to make yet.
            Effect::Provision => Ok(Outcome::Provisioned(Listing(body.clone()))),
            // Polar keeps no stock.
            Effect::Restock { .. } => Ok(Outcome::StockSet),
            Effect::OpenCheckout { nth, .. } => {
                let plan = Plan::deserialize(body).map_err(|_| unreadable("plan"))?;
                self.open(*nth, &plan, call).await
            }
            Effect::Probe { .. } => self.probe(body).await.map(Outcome::Probed),
            Effect::CloseCheckout { checkout, .. } => {
                let product = checkout.as_ref().map(CheckoutId::as_str);
                self.close(product, body).await.map(Outcome::Closed)
            }
            Effect::Retire => {
                let sale = body["sale"].as_str().ok_or_else(|| unreadable("sale"))?;
                self.retire(sale).await?;
                Ok(Outcome::Retired)
            }
            Effect::Refund { payment, .. } => self.refund(payment, call).await,
            Effect::Announce { .. } => {
                Err(ProviderError::Reject { says: "a provider says nothing in chat".to_owned() })
            }
        }
    }

    fn calls(&self, effect: &Effect) -> u32 {
        match effect {
            Effect::Provision | Effect::Restock { .. } | Effect::Announce { .. } => 0,
            Effect::Probe { .. } | Effect::Retire => 1,
            Effect::OpenCheckout { .. } | Effect::CloseCheckout { .. } | Effect::Refund { .. } => 2,
        }
    }

    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.news(ask).await.map_err(Fault::steady)
    }

    fn tells_fees(&self) -> bool {
        true
    }

    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        // Signed by their clock.
        self.check_signature(webhook, self.client.drift().theirs(now))
    }

    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        webhook::read_event(webhook)
    }

    async fn check(&self, templates: &[&Template], mend: bool) -> Vec<Finding> {
        self.diagnose(templates, mend).await
    }

    fn works_for(&self, shop: &str) {
        // Said once, before the first sale.
        let _ = self.shop.set(shop.to_owned());
    }

    async fn left_behind(&self) -> Result<Vec<Leftover>, ProviderError> {
        self.leftovers().await.map_err(Fault::hasty)
    }

    async fn remove(&self, leftover: &Leftover, _call: &Call) -> Result<(), ProviderError> {
        self.remove_leftover(leftover).await
    }

    fn checkout_hosts(&self) -> Vec<String> {
        let own = ["https://polar.sh", "https://*.polar.sh"].map(str::to_owned);
        let stand_in = self
            .stand_in
            .as_ref()
            .and_then(|url| Some(format!("{}://{}:*", url.scheme(), url.host_str()?)));
        own.into_iter().chain(stand_in).collect()
    }
}
