//! Square: an item with tracked stock, a payment link for each hold, webhooks.
//!
//! Square does not keep stock for payment links, and a link never ends by itself: both are ours to
//! do. It takes what is paid off the stock, and that is not.

mod catalog;
mod client;
mod close;
mod doctor;
mod error;
mod item;
mod lines;
mod link;
mod listing;
mod money;
mod options;
mod probe;
mod settings;
mod spec;
mod status;
mod stock;
#[cfg(test)]
mod tests;
mod webhook;

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    client::Client,
    error::Fault,
    listing::{Notes, Plan},
    options::Strategy,
    stock::Stock,
};
pub use self::{
    options::Options,
    settings::{Environment, Settings},
};
use crate::{
    clock::{Span, Timestamp},
    finding::Finding,
    id::{CheckoutId, HoldId},
    provider::{
        Call, Delivery, Leftover, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk,
        Verified, Webhook, WebhookError, Whose,
    },
    sale::{
        Sale,
        effect::Effect,
        payment::PaymentFact,
        template::{Capabilities, RefundKind, Template},
    },
    secret::Secret,
};

/// Its name.
pub const NAME: &str = "square";

/// Late webhooks are waited for before the item goes; they usually come within a minute (Square's
/// webhook troubleshooting guide).
const RETIRE_AFTER: Span = Span::from_secs(60);

/// What Square can do. A payment link takes one payment and any lines.
pub fn capabilities(config: &Settings) -> Capabilities {
    Capabilities {
        per_buyer: true,
        shared: false,
        revocable: true,
        refund: RefundKind::Instant,
        idempotent: true,
        units: true,
        physical: true,
        any_amount: true,
        add_ons: true,
        prefill: true,
        splits: true,
        real_money: config.environment == Environment::Production,
        retire_after: RETIRE_AFTER,
    }
}

/// A Square account as a provider.
pub struct Square {
    client: Client,
    capabilities: Capabilities,
    version: String,
    location: String,
    notification_url: String,
    keys: Vec<Secret>,
    /// Phrases on a page that cannot be bought from, in lower case.
    reject: Vec<String>,
    /// The address of what stands in for Square, where one is configured.
    stand_in: Option<Url>,
    /// The id of the shop it works for.
    shop: OnceLock<String>,
    /// Whose turn it is to write to the catalog.
    catalog: tokio::sync::Mutex<()>,
    seen: Mutex<Seen>,
}

/// What was seen at Square so far; forgotten at a restart and then looked up again.
#[derive(Default)]
struct Seen {
    /// Variations whose catalog entry and stock agreed once.
    in_stock: HashSet<String>,
    /// The last stock told of each variation.
    counts: HashMap<String, Stock>,
    /// Variations marked sold out with units in stock, and since when.
    marks: HashMap<String, Timestamp>,
}

impl Square {
    /// A provider for the configured account; `base_url` is what the world calls our listener.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(config: &Settings, base_url: &str) -> Result<Self, reqwest::Error> {
        let stand_in = Some(config.api_url.trim()).filter(|url| !url.is_empty());
        let api = stand_in.unwrap_or(match config.environment {
            Environment::Sandbox => "https://connect.squareupsandbox.com",
            Environment::Production => "https://connect.squareup.com",
        });
        let notification_url = match config.notification_url.as_str() {
            "" => format!("{base_url}/webhooks/{NAME}"),
            given => given.to_owned(),
        };
        let phrases = config.probe_reject.iter().map(|phrase| phrase.trim().to_lowercase());
        Ok(Self {
            client: Client::new(api, &config.api_version, config.access_token.clone())?,
            capabilities: capabilities(config),
            version: config.api_version.clone(),
            location: config.location_id.clone(),
            notification_url,
            keys: config.keys(),
            reject: phrases.filter(|phrase| !phrase.is_empty()).collect(),
            stand_in: stand_in.and_then(|url| Url::parse(url).ok()),
            shop: OnceLock::new(),
            catalog: tokio::sync::Mutex::default(),
            seen: Mutex::default(),
        })
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, variation: &str) {
        let mut seen = self.seen();
        seen.in_stock.remove(variation);
        seen.counts.remove(variation);
        seen.marks.remove(variation);
    }
}

/// What to look at to see whether a page can be paid.
fn probe_frame(sale: &Sale, hold: HoldId, checkout: &CheckoutId) -> Value {
    let notes = sale.head.listing().and_then(Notes::read);
    let url = sale.hold(hold).and_then(|hold| hold.checkout(checkout)).map(|page| &page.url);
    let head = &sale.head;
    // Before the first payment the count is ours to the unit; a reused variation sells elsewhere.
    let settled = head.tally.paid == 0 && head.restocking == 0;
    let exact = notes.as_ref().is_some_and(|notes| notes.strategy != Strategy::Reuse);
    let count = (settled && exact).then(|| head.offered.saturating_sub(head.outside));
    json!({ "url": url, "variation": notes.map(|notes| notes.variation), "count": count })
}

/// What is to be closed.
fn close_frame(sale: &Sale, hold: HoldId, nth: u32, checkout: Option<&CheckoutId>) -> Value {
    let page = sale.hold(hold).zip(checkout).and_then(|(hold, id)| hold.checkout(id));
    json!({
        "order": page.and_then(|page| page.order.clone()),
        "made_at": page.map(|page| page.made_at),
        "mark": link::mark(hold, nth),
    })
}

fn unreadable(what: &str) -> ProviderError {
    ProviderError::Reject { says: format!("the {what} in the outbox cannot be read") }
}

#[async_trait]
impl Provider for Square {
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
        let listing = || head.listing().map(|listing| listing.0.clone());
        match effect {
            Effect::Provision => {
                json!(Plan::of(sale, &options, self.shop.get().map(String::as_str)))
            }
            Effect::Restock { units } => {
                head.listing().and_then(Notes::read).map_or(Value::Null, |notes| {
                    let (variation, location) = (&notes.variation, &notes.location);
                    let at = self.adjusted_at(notes.strategy, head.last_at);
                    stock::adjustment(variation, location, *units, at, &self.version)
                })
            }
            Effect::OpenCheckout { hold, nth } => sale.hold(*hold).map_or(Value::Null, |hold| {
                let shop = self.shop.get().map(String::as_str);
                link::frame(sale, hold, *nth, &options, pages, shop)
            }),
            Effect::Probe { hold, checkout } => probe_frame(sale, *hold, checkout),
            Effect::CloseCheckout { hold, nth, checkout } => {
                close_frame(sale, *hold, *nth, checkout.as_ref())
            }
            Effect::Retire => listing().unwrap_or(Value::Null),
            Effect::Refund { .. } | Effect::Announce { .. } => Value::Null,
        }
    }

    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        match effect {
            Effect::Provision => {
                let plan = Plan::deserialize(body).map_err(|_| unreadable("plan"))?;
                let outcome = self.provision(&plan, call).await?;
                if let Outcome::Provisioned(listing) = &outcome
                    && let Some(notes) = Notes::read(listing)
                {
                    self.forget(&notes.variation);
                }
                Ok(outcome)
            }
            Effect::Restock { .. } if body.is_null() => Err(unreadable("restock")),
            Effect::Restock { .. } => {
                self.restock(body, call).await?;
                Ok(Outcome::StockSet)
            }
            Effect::OpenCheckout { nth, .. } => self.open_link(*nth, body, call).await,
            Effect::Probe { .. } => self.probe(body).await.map(Outcome::Probed),
            Effect::CloseCheckout { checkout, .. } => {
                let link = checkout.as_ref().map(CheckoutId::as_str);
                self.close(link, body, call).await.map(Outcome::Closed)
            }
            Effect::Retire => {
                let notes = Notes::deserialize(body).map_err(|_| unreadable("listing"))?;
                self.retire(&notes, call).await?;
                self.forget(&notes.variation);
                Ok(Outcome::Retired)
            }
            Effect::Refund { payment, amount } => self.refund(payment, *amount, call).await,
            Effect::Announce { .. } => {
                Err(ProviderError::Reject { says: "a provider says nothing in chat".to_owned() })
            }
        }
    }

    fn calls(&self, effect: &Effect) -> u32 {
        match effect {
            Effect::Provision => 2,
            // The page is not under the API's rate, and the stock is asked for once.
            Effect::Probe { .. } | Effect::Announce { .. } => 0,
            Effect::Restock { .. }
            | Effect::OpenCheckout { .. }
            | Effect::CloseCheckout { .. }
            | Effect::Retire
            | Effect::Refund { .. } => 1,
        }
    }

    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.news(ask).await.map_err(Fault::steady)
    }

    fn tells_fees(&self) -> bool {
        true
    }

    fn verify(&self, webhook: &Webhook, _now: Timestamp) -> Result<Verified, WebhookError> {
        self.check_signature(webhook)
    }

    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        self.read_event(webhook)
    }

    async fn whose(&self, payment: &PaymentFact) -> Result<Whose, ProviderError> {
        let Some(order) = &payment.order else { return Ok(Whose::NotOurs) };
        let order = match self.order(order).await {
            Ok(order) => order,
            // Right after a payment it may not be visible yet.
            Err(fault) if fault.is_not_found() => return Ok(Whose::Unknown),
            Err(fault) => return Err(fault.hasty()),
        };
        let hold = order["reference_id"].as_str().and_then(|text| text.parse().ok());
        Ok(hold.map_or(Whose::NotOurs, Whose::Ours))
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

    async fn remove(&self, leftover: &Leftover, call: &Call) -> Result<(), ProviderError> {
        self.remove_leftover(leftover, call).await
    }

    fn checkout_hosts(&self) -> Vec<String> {
        let own = probe::HOSTS
            .iter()
            .flat_map(|host| [format!("https://{host}"), format!("https://*.{host}")]);
        let stand_in = self
            .stand_in
            .as_ref()
            .and_then(|url| Some(format!("{}://{}:*", url.scheme(), url.host_str()?)));
        own.chain(stand_in).collect()
    }
}
