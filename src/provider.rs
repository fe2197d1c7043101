//! A payment service: the port. Adapters know how their service speaks; nobody else does.
//!
//! A provider knows nothing of stock, chat or deadlines. It is handed one effect at a time with a
//! frozen request, and answers with what happened. *Unknown is not failed*: whatever is not a
//! definite answer is an error that has the same request repeated under the same key.

pub mod noventiq;
pub mod polar;
pub(crate) mod rest;
pub mod sandbox;
pub mod signature;
pub mod spec;
pub mod square;
#[cfg(test)]
pub(crate) mod tests;

use async_trait::async_trait;

use crate::{
    clock::{Span, Timestamp},
    finding::Finding,
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    sale::{
        Sale,
        carry::cannot,
        effect::Effect,
        event::{CloseAnswer, Listing, Verdict},
        hold::Checkout,
        payment::{PaymentFact, RefundFact},
        template::{Capabilities, Template},
    },
};

/// A payment service.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Its name in configuration, addresses and tables.
    fn name(&self) -> &'static str;

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it understands a template's options of its own; what it can do at all is said by
    /// its capabilities, see [`carries`].
    ///
    /// # Errors
    /// One line naming what it cannot do.
    fn accepts(&self, template: &Template) -> Result<(), String>;

    /// The request for an effect, to be frozen with it. Pure; called as the effect is committed.
    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> serde_json::Value;

    /// Carries out one effect.
    async fn perform(
        &self,
        effect: &Effect,
        body: &serde_json::Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError>;

    /// How many calls under the provider's rate an effect takes.
    fn calls(&self, effect: &Effect) -> u32;

    /// Asks about pages and payments that are not settled.
    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError>;

    /// Whether it says, sooner or later, what it keeps of a payment.
    fn tells_fees(&self) -> bool {
        false
    }

    /// Checks that a webhook comes from the provider. Pure.
    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError>;

    /// Reads a webhook that was checked; no news is good news. Pure.
    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError>;

    /// Turns hints into news by asking, where a webhook proves too little to act on. What cannot be
    /// confirmed now is an error: it is to be sent again.
    async fn confirm(&self, delivery: Delivery) -> Result<Delivery, ProviderError> {
        Ok(delivery)
    }

    /// Whose a payment is that belongs to no sale so far, by looking at its order.
    async fn whose(&self, payment: &PaymentFact) -> Result<Whose, ProviderError> {
        let _ = payment;
        Ok(Whose::Unknown)
    }

    /// What is wrong with the account, and with what these templates need of it, each with its
    /// mend; empty if all is well. With `mend` it puts right what it can, and says so.
    async fn check(&self, templates: &[&Template], mend: bool) -> Vec<Finding> {
        let _ = (templates, mend);
        Vec::new()
    }

    /// Whose things it makes from now on: its marks carry the shop's id, so that two shops on one
    /// account tell theirs apart.
    fn works_for(&self, shop: &str) {
        let _ = shop;
    }

    /// What was ever made for sales, by this shop or another, and is still there.
    async fn left_behind(&self) -> Result<Vec<Leftover>, ProviderError> {
        Ok(Vec::new())
    }

    /// What it makes for sales and cannot list, in a sentence for whoever looks for leftovers.
    fn unlisted(&self) -> Option<&'static str> {
        None
    }

    /// Removes something that was left behind.
    async fn remove(&self, leftover: &Leftover, call: &Call) -> Result<(), ProviderError> {
        let _ = (leftover, call);
        Ok(())
    }

    /// A sale is archived: removes some of what the provider keeps of it in our own store and nobody
    /// needs any more; `false` if there was nothing.
    async fn forget(&self, sale: SaleId) -> Result<bool, ProviderError> {
        let _ = sale;
        Ok(false)
    }

    /// Hosts a checkout may lead to, for the page's content security policy.
    fn checkout_hosts(&self) -> Vec<String>;
}

/// Whether a provider can carry a template: what it can do, and its own options.
///
/// # Errors
/// One line naming the key and what cannot be done.
pub fn carries(provider: &dyn Provider, template: &Template) -> Result<(), String> {
    match cannot(template, &provider.capabilities()).first() {
        Some(no) => Err(no.to_string()),
        None => provider.accepts(template),
    }
}

/// Whose a payment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It was made for that hold.
    Ours(HoldId),
    /// The seller took it elsewhere.
    NotOurs,
    /// It cannot be told yet.
    Unknown,
}

/// Where a buyer returns to after paying.
pub trait ReturnPages: Send + Sync {
    /// The buyer's own page for a hold.
    fn hold_page(&self, hold: HoldId) -> String;
    /// The sale's page.
    fn sale_page(&self, sale: SaleId) -> String;
}

/// Something of ours that is still at the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What it is, in people's words.
    pub kind: String,
    /// The provider's id of it.
    pub id: String,
    /// The order behind it, where it is a page.
    pub order: Option<String>,
    /// The sale it was made for, where its mark says so.
    pub sale: Option<SaleId>,
    /// The id of the shop that made it, where its mark says so.
    pub shop: Option<String>,
}

/// The circumstances of one attempt.
#[derive(Clone, Debug)]
pub struct Call {
    /// At most 45 characters; the same for every attempt at the same request.
    pub key: String,
    /// Now.
    pub now: Timestamp,
    /// Whether this is the first attempt.
    pub first: bool,
}

/// What happened at the provider.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The listing was made.
    Provisioned(Listing),
    /// The stock was changed.
    StockSet,
    /// A page was made.
    Opened(Checkout),
    /// Somebody looked at a page.
    Probed(Verdict),
    /// The answer to a request to close.
    Closed(CloseAnswer),
    /// The listing is gone.
    Retired,
    /// News of a refund.
    Refund(RefundFact),
}

/// Why an effect was not carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProviderError {
    /// Unknown or not now: repeat the same request under the same key.
    #[error("{says}")]
    Retry {
        /// The provider's words, or what went wrong on the way.
        says: String,
        /// How long the provider asked to wait.
        after: Option<Span>,
    },
    /// Too many calls: repeat later, and slow down.
    #[error("asked to slow down")]
    SlowDown {
        /// How long the provider asked to wait.
        after: Option<Span>,
    },
    /// A definite no: nothing was done, and repeating will not help.
    #[error("{says}")]
    Reject {
        /// The provider's words.
        says: String,
    },
    /// A definite no to this request, but a changed one may pass: a new key.
    #[error("{says}")]
    Amend {
        /// The changed request.
        body: serde_json::Value,
        /// The provider's words.
        says: String,
    },
}

/// A question about what is not settled.
#[derive(Clone, Debug, Default)]
pub struct StatusAsk {
    /// The sale's listing.
    pub listing: Option<Listing>,
    /// Pages that may be paid.
    pub pages: Vec<(HoldId, Checkout)>,
    /// Refunds under way: payment and the provider's id of the refund, where known.
    pub refunds: Vec<(String, Option<String>)>,
    /// Payments whose fee is not known yet.
    pub fees: Vec<PaymentId>,
    /// Payments to look at once more: what went back, or was taken back, may not have been told.
    pub again: Vec<PaymentId>,
    /// Look for payments since then.
    pub since: Timestamp,
    /// Something the provider lists may have changed: look at the listing too.
    pub listing_changed: bool,
    /// Now.
    pub now: Timestamp,
}

/// Something the provider said.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// About a payment.
    Payment(PaymentFact),
    /// About a payment that counts only if it was heard of before: a correction.
    Correction(PaymentFact),
    /// About a refund.
    Refund(RefundFact),
    /// About stock: the page of some hold shows which sale.
    Count {
        /// The sale.
        sale: SaleId,
        /// Units it has.
        count: i64,
        /// As of when.
        at: Timestamp,
    },
    /// A *sold out* mark set or cleared by hand.
    SoldOut {
        /// The sale.
        sale: SaleId,
        /// Set or cleared.
        set: bool,
    },
    /// A *sold out* mark on one way to get the goods, set or cleared by hand.
    ChoiceSoldOut {
        /// The sale.
        sale: SaleId,
        /// The delivery choice's name.
        delivery: String,
        /// Set or cleared.
        set: bool,
    },
    /// Something the provider lists changed, and it does not say what, or of which sale.
    ListingChanged {
        /// When.
        at: Timestamp,
    },
    /// Something happened to an order, and what it was is still to be asked.
    Hint {
        /// The order.
        order: String,
    },
    /// A page closed without our asking.
    PageClosed {
        /// The page.
        checkout: CheckoutId,
    },
}

/// A request that claims to come from the provider.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The raw body.
    pub body: Vec<u8>,
}

impl Webhook {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// A webhook whose signature was right. Only a verifier makes one.
#[derive(Clone, Debug)]
pub struct Verified {
    body: Vec<u8>,
    id: Option<String>,
}

impl Verified {
    /// For adapters, after their signature check.
    pub(crate) fn new(body: Vec<u8>) -> Self {
        Self { body, id: None }
    }

    /// With the id that came, signed, beside the body.
    pub(crate) fn with_id(self, id: String) -> Self {
        Self { id: Some(id), ..self }
    }

    /// The id that came, signed, beside the body.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The raw body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// What a webhook carried.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The provider's id of it: the same news comes under the same id.
    pub id: String,
    /// What it says; empty for kinds we do not follow.
    pub news: Vec<News>,
}

/// Why a webhook is turned away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// No or a wrong signature: 401.
    #[error("the signature is wrong or missing")]
    Signature,
    /// Signed too long ago or in the future: 401.
    #[error("signed at another time")]
    Stale,
    /// Rightly signed, and not readable: 400.
    #[error("cannot be read: {0}")]
    Garbage(String),
}
