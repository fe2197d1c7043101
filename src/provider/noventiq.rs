//! Noventiq Checkout (once Softline's): a one-time link for each hold, webhooks as hints.
//!
//! Noventiq keeps no stock, has no idempotency keys and no way to take a link back; refunds are
//! asked of people. So a link that a buyer was given counts as payable for ever, and what happened
//! is read from the order, never inferred. Much of the protocol is known from documentation in
//! parts only: docs/noventiq.md lists what is assumed.

mod client;
mod close;
mod doctor;
mod link;
mod options;
mod order;
mod refund;
mod settings;
mod spec;
mod status;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    client::Client,
    close::Ending,
    link::{Names, Plan},
    status::Looked,
};
pub use self::{options::Options, settings::Settings};
use crate::{
    clock::{Clock, Span, Timestamp},
    finding::Finding,
    id::CheckoutId,
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, rest::Fault,
    },
    sale::{
        Sale,
        effect::Effect,
        event::Listing,
        template::{Capabilities, RefundKind, Template},
    },
    secret::Secret,
};

/// Its name.
pub const NAME: &str = "noventiq";

const ORDERS: &str = "/v1/order";
const SEARCH: &str = "/v1/order/search";

/// Where Noventiq's own checkout pages live, today's and older ones, for trying out and for real.
const HOSTS: [&str; 4] = ["noventiq.com", "softline.com", "demonqweb.com", "demoslweb.com"];

/// Late webhooks are waited for before the sale is closed.
const RETIRE_AFTER: Span = Span::from_secs(30);

/// What it can do.
pub fn capabilities(config: &Settings) -> Capabilities {
    Capabilities {
        per_buyer: true,
        shared: false,
        revocable: false,
        refund: RefundKind::Requested,
        idempotent: false,
        units: Names::of(config).units(),
        physical: config.allow_physical,
        any_amount: true,
        add_ons: true,
        prefill: !config.customer_field.trim().is_empty(),
        splits: false,
        real_money: config.takes_real_money(),
        retire_after: RETIRE_AFTER,
    }
}

/// A Noventiq seller as a provider.
pub struct Noventiq {
    client: Client,
    names: Names,
    secrets: Vec<Secret>,
    contact: Option<String>,
    webhook_url: String,
    open_links: bool,
    capabilities: Capabilities,
    hosts: Vec<String>,
    looked: Mutex<Looked>,
}

impl Noventiq {
    /// A provider for the configured seller; `base_url` is what the world calls our listener.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(
        config: &Settings,
        base_url: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let api = config.api_url.trim();
        let (username, password) = (config.username.clone(), config.password.clone());
        Ok(Self {
            client: Client::new(api, username, password, clock)?,
            names: Names::of(config),
            secrets: webhook::secrets(config.webhook_secret.expose()),
            contact: config.contact().map(str::to_owned),
            webhook_url: format!("{base_url}/webhooks/{NAME}"),
            open_links: config.open_links,
            capabilities: capabilities(config),
            hosts: hosts(api, &config.checkout_hosts),
            looked: Mutex::default(),
        })
    }
}

/// Noventiq's own hosts, the configured ones, and the address of what stands in for it.
fn hosts(api: &str, more: &[String]) -> Vec<String> {
    let own =
        HOSTS.into_iter().flat_map(|host| [format!("https://{host}"), format!("https://*.{host}")]);
    let stand_in = Url::parse(api).ok().filter(|url| {
        url.host_str().is_some_and(|host| !HOSTS.iter().any(|own| host.ends_with(own)))
    });
    let stand_in =
        stand_in.and_then(|url| Some(format!("{}://{}:*", url.scheme(), url.host_str()?)));
    own.chain(more.iter().map(|host| format!("https://{host}"))).chain(stand_in).collect()
}

fn unreadable(what: &str) -> ProviderError {
    ProviderError::Reject { says: format!("the {what} in the outbox cannot be read") }
}

#[async_trait]
impl Provider for Noventiq {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    fn accepts(&self, template: &Template) -> Result<(), String> {
        Options::of(template).map(drop)
    }

    fn frame(&self, sale: &Sale, effect: &Effect, _pages: &dyn ReturnPages) -> Value {
        // Checked when the template was read and again when the sale was started.
        let options = || Options::of(&sale.head.template).unwrap_or_default();
        match effect {
            Effect::Provision => json!({ "sale": sale.head.id }),
            Effect::OpenCheckout { hold, .. } => sale
                .hold(*hold)
                .map_or(Value::Null, |hold| json!(self.names.plan(sale, hold, &options()))),
            Effect::Probe { hold, checkout } => {
                let page = sale.hold(*hold).and_then(|hold| hold.checkout(checkout));
                json!({ "url": page.map(|page| page.url.clone()) })
            }
            Effect::CloseCheckout { hold, checkout, .. } => {
                json!(close::ending(sale, *hold, checkout.as_ref(), &options()))
            }
            Effect::Retire
            | Effect::Restock { .. }
            | Effect::Refund { .. }
            | Effect::Announce { .. } => Value::Null,
        }
    }

    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        match effect {
            // Nothing is to be made, but whoever cannot ask about payments must not sell.
            Effect::Provision => {
                self.answers().await.map_err(Fault::hasty)?;
                Ok(Outcome::Provisioned(Listing(body.clone())))
            }
            // Noventiq keeps no stock.
            Effect::Restock { .. } => Ok(Outcome::StockSet),
            Effect::OpenCheckout { nth, .. } => {
                let plan = Plan::deserialize(body).map_err(|_| unreadable("plan"))?;
                self.open(*nth, &plan, call).await
            }
            Effect::Probe { .. } => Ok(Outcome::Probed(self.probe(body).await)),
            Effect::CloseCheckout { checkout, .. } => {
                let ending = Ending::deserialize(body).map_err(|_| unreadable("ending"))?;
                let page: Option<&CheckoutId> = checkout.as_ref();
                self.close(page, &ending, call.now).await.map(Outcome::Closed)
            }
            // Original products stay, and links go by themselves once an order is placed.
            Effect::Retire => Ok(Outcome::Retired),
            Effect::Refund { payment, .. } => self.refund(payment, call).await,
            Effect::Announce { .. } => {
                Err(ProviderError::Reject { says: "a provider says nothing in chat".to_owned() })
            }
        }
    }

    fn calls(&self, effect: &Effect) -> u32 {
        match effect {
            Effect::Restock { .. }
            | Effect::Announce { .. }
            | Effect::Probe { .. }
            | Effect::Retire => 0,
            Effect::Provision | Effect::OpenCheckout { .. } | Effect::CloseCheckout { .. } => 1,
            Effect::Refund { .. } => 2,
        }
    }

    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.news(ask).await.map_err(Fault::steady)
    }

    fn verify(&self, webhook: &Webhook, _now: Timestamp) -> Result<Verified, WebhookError> {
        self.check_signature(webhook)
    }

    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        webhook::read_event(webhook)
    }

    async fn confirm(&self, delivery: Delivery) -> Result<Delivery, ProviderError> {
        self.read_orders(delivery).await
    }

    async fn check(&self, templates: &[&Template], _mend: bool) -> Vec<Finding> {
        self.diagnose(templates).await
    }

    fn unlisted(&self) -> Option<&'static str> {
        Some(Self::UNLISTED)
    }

    fn checkout_hosts(&self) -> Vec<String> {
        self.hosts.clone()
    }
}
