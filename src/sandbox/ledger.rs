//! The sandbox's books: listings, pages, payments, refunds and webhooks still to be delivered.
//!
//! Each lives as a document in the store and survives restarts. Changes are guarded by versions,
//! so that two at once never both win. Knows nothing of HTTP.

use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    book::{
        CloseState, LedgerError, PageOrder, PageState, Payed, SandboxListing, SandboxPage,
        SandboxPayment, Shown,
    },
    faults::happens,
};
use crate::{
    clock::{Clock, Span, Timestamp},
    id::Entropy,
    money::Money,
    provider::sandbox::Faults,
    store::{Doc, DocChange, Store, StoreError},
};

pub(super) const LISTING: &str = "sandbox_listing";
pub(super) const PAGE: &str = "sandbox_page";
pub(super) const PAYMENT: &str = "sandbox_payment";
pub(super) const KEY: &str = "sandbox_key";
pub(super) const HOOK: &str = "sandbox_hook";

/// How often a change is tried again when another one came first.
const TRIES_MAX: u32 = 20;

type Result<T> = std::result::Result<T, LedgerError>;

/// The sandbox's books.
pub(super) struct Ledger {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) faults: Faults,
    /// The share of each payment that it keeps.
    pub(super) fee: f64,
}

pub(super) fn read<T: DeserializeOwned>(doc: &Doc) -> Result<T> {
    serde_json::from_value(doc.body.clone()).map_err(|error| {
        let what = error.to_string();
        StoreError::Damaged { table: "document", id: doc.id.clone(), what }.into()
    })
}

pub(super) fn change<T: Serialize>(
    kind: &'static str,
    id: &str,
    parent: &str,
    expected: i64,
    body: &T,
) -> DocChange {
    let body = serde_json::to_value(body).expect("our own types serialise");
    DocChange { kind, id: id.to_owned(), parent: parent.to_owned(), expected, body: Some(body) }
}

impl Ledger {
    pub(super) fn random(&self) -> u16 {
        let bytes = self.entropy.bytes();
        u16::from_be_bytes([bytes[0], bytes[1]])
    }

    pub(super) fn new_id(&self, prefix: &str) -> String {
        let bytes = self.entropy.bytes();
        format!("{prefix}_{}", hex::encode(&bytes[..12]))
    }

    /// The answer given under an idempotency key before, if any.
    async fn answered(&self, key: &str) -> Result<Option<String>> {
        let doc = self.store.doc(KEY, key).await?;
        Ok(doc.and_then(|doc| doc.body.as_str().map(str::to_owned)))
    }

    /// Makes something once per key; answers its id.
    async fn once(
        &self,
        key: &str,
        prefix: &str,
        make: impl Fn(&str) -> DocChange + Send,
    ) -> Result<String> {
        for _ in 0..TRIES_MAX {
            if let Some(id) = self.answered(key).await? {
                return Ok(id);
            }
            let id = self.new_id(prefix);
            let docs = vec![make(&id), change(KEY, key, &id, 0, &id)];
            if self.store.put_docs(docs).await? {
                return Ok(id);
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }

    pub(super) async fn make_listing(&self, key: &str, listing: &SandboxListing) -> Result<String> {
        self.once(key, "item", |id| change(LISTING, id, &listing.sale, 0, listing)).await
    }

    pub(super) async fn set_stock(&self, key: &str, listing: &str, units: i64) -> Result<()> {
        for _ in 0..TRIES_MAX {
            if self.answered(key).await?.is_some() {
                return Ok(());
            }
            let (doc, mut body) = self.listing(listing).await?;
            body.stock += units;
            let docs = vec![
                change(LISTING, listing, &doc.parent, doc.version, &body),
                change(KEY, key, listing, 0, &"done"),
            ];
            if self.store.put_docs(docs).await? {
                return Ok(());
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }

    pub(super) async fn retire(&self, listing: &str) -> Result<()> {
        for _ in 0..TRIES_MAX {
            let (doc, mut body) = self.listing(listing).await?;
            if body.retired {
                return Ok(());
            }
            body.retired = true;
            let docs = vec![change(LISTING, listing, &doc.parent, doc.version, &body)];
            if self.store.put_docs(docs).await? {
                return Ok(());
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }

    /// Listings that were made and not retired.
    pub(super) async fn left_behind(&self) -> Result<Vec<(String, SandboxListing)>> {
        let mut left = Vec::new();
        for doc in self.store.docs(LISTING, None).await? {
            let listing: SandboxListing = read(&doc)?;
            if !listing.retired {
                left.push((doc.id, listing));
            }
        }
        Ok(left)
    }

    async fn listing(&self, id: &str) -> Result<(Doc, SandboxListing)> {
        let doc = self.store.doc(LISTING, id).await?;
        let doc = doc.ok_or_else(|| LedgerError::Invalid(format!("no such item: {id}")))?;
        let body = read(&doc)?;
        Ok((doc, body))
    }

    pub(super) async fn make_page(&self, key: &str, order: &PageOrder) -> Result<String> {
        let (_, listing) = self.listing(&order.listing).await?;
        if listing.retired {
            return Err(LedgerError::Invalid("the item was removed".to_owned()));
        }
        let every = self.faults.dead_page_every;
        let made = if every > 0 {
            self.store.docs(PAGE, Some(&order.listing)).await?.len() as u64 + 1
        } else {
            0
        };
        let dead = every > 0 && made % u64::from(every) == 0;
        let page = SandboxPage {
            order: order.clone(),
            state: PageState::Open,
            made_at: self.clock.now(),
            dead,
            payments: Vec::new(),
        };
        self.once(key, "page", |id| change(PAGE, id, &order.listing, 0, &page)).await
    }

    pub(super) async fn page(&self, id: &str) -> Result<Option<(Doc, SandboxPage)>> {
        let Some(doc) = self.store.doc(PAGE, id).await? else { return Ok(None) };
        let page = read(&doc)?;
        Ok(Some((doc, page)))
    }

    /// Pages made for one order of a hold.
    pub(super) async fn pages_of(
        &self,
        listing: &str,
        reference: &str,
        nth: u32,
    ) -> Result<Vec<String>> {
        let mut ids = Vec::new();
        for doc in self.store.docs(PAGE, Some(listing)).await? {
            let page: SandboxPage = read(&doc)?;
            if page.order.reference == reference && page.order.nth == nth {
                ids.push(doc.id);
            }
        }
        Ok(ids)
    }

    /// What a buyer sees there now.
    pub(super) async fn show(&self, id: &str) -> Result<Shown> {
        let Some((_, page)) = self.page(id).await? else { return Ok(Shown::Missing) };
        Ok(self.shown(page))
    }

    fn shown(&self, page: SandboxPage) -> Shown {
        let age = self.clock.now().since(page.made_at);
        let ready_after = Span::from_millis(i64::from(self.faults.ready_after_ms));
        let sold_out_until = Span::from_millis(i64::from(self.faults.out_of_stock_ms));
        let page = Box::new(page);
        match page.state {
            PageState::Paid if !page.order.shared => Shown::Paid(page),
            PageState::Closed => Shown::Closed(page),
            PageState::Open | PageState::Paid => {
                if page.dead || age < ready_after {
                    Shown::Missing
                } else if age < sold_out_until {
                    Shown::OutOfStock(page)
                } else {
                    Shown::Payable(page)
                }
            }
        }
    }

    /// A buyer pays. Payment and webhook are on disk before anybody hears of them.
    pub(super) async fn pay(
        &self,
        id: &str,
        name: Option<String>,
        address: Option<String>,
    ) -> Result<Payed> {
        for _ in 0..TRIES_MAX {
            let Some((doc, page)) = self.page(id).await? else {
                return Ok(Payed::No(Shown::Missing));
            };
            let mut page = match self.shown(page) {
                Shown::Payable(page) => *page,
                other => return Ok(Payed::No(other)),
            };
            let now = self.clock.now();
            let payment = SandboxPayment {
                page: id.to_owned(),
                reference: page.order.reference.clone(),
                amount: page.order.total,
                refunded: 0,
                fee: self.fee_of(page.order.total),
                at: now,
                name: name.clone(),
                address: address.clone(),
            };
            let payment_id = self.new_id("pay");
            page.state = PageState::Paid;
            page.payments.push(payment_id.clone());
            let return_url = page.order.return_url.clone();
            let mut docs = vec![
                change(PAGE, id, &doc.parent, doc.version, &page),
                change(PAYMENT, &payment_id, id, 0, &payment),
            ];
            docs.extend(self.hooks("payment.completed", &payment_json(&payment_id, &payment, now)));
            if self.store.put_docs(docs).await? {
                return Ok(Payed::Yes { return_url });
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }

    /// What it keeps of an amount, rounded to the nearest minor unit.
    fn fee_of(&self, amount: Money) -> Option<Money> {
        let kept = (amount.minor as f64 * self.fee).round() as i64;
        (self.fee > 0.0).then(|| Money::new(kept, amount.currency))
    }

    /// Closes a page for good, unless it was paid.
    pub(super) async fn close(&self, id: &str) -> Result<CloseState> {
        for _ in 0..TRIES_MAX {
            let Some((doc, mut page)) = self.page(id).await? else {
                return Ok(CloseState::Closed);
            };
            match page.state {
                PageState::Closed => return Ok(CloseState::Closed),
                PageState::Paid if !page.order.shared => {
                    return Ok(CloseState::Paid(self.payments_of(id).await?));
                }
                PageState::Open | PageState::Paid => {}
            }
            if happens(self.faults.close_refused, self.random()) {
                return Ok(CloseState::Refused);
            }
            if happens(self.faults.close_ignored, self.random()) {
                return Ok(CloseState::Closed);
            }
            page.state = PageState::Closed;
            let docs = vec![change(PAGE, id, &doc.parent, doc.version, &page)];
            if self.store.put_docs(docs).await? {
                return Ok(CloseState::Closed);
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }

    pub(super) async fn payments_of(&self, page: &str) -> Result<Vec<(String, SandboxPayment)>> {
        let docs = self.store.docs(PAYMENT, Some(page)).await?;
        docs.into_iter().map(|doc| Ok((doc.id.clone(), read(&doc)?))).collect()
    }

    pub(super) async fn payment(&self, id: &str) -> Result<Option<SandboxPayment>> {
        let doc = self.store.doc(PAYMENT, id).await?;
        doc.as_ref().map(read).transpose()
    }

    /// Gives money back; the same key does it once.
    pub(super) async fn refund(&self, key: &str, payment: &str, amount: i64) -> Result<String> {
        for _ in 0..TRIES_MAX {
            if let Some(refund) = self.answered(key).await? {
                return Ok(refund);
            }
            let doc = self.store.doc(PAYMENT, payment).await?;
            let doc =
                doc.ok_or_else(|| LedgerError::Invalid(format!("no such payment: {payment}")))?;
            let mut body: SandboxPayment = read(&doc)?;
            if amount <= 0 || body.refunded + amount > body.amount.minor {
                return Err(LedgerError::Invalid("more than was paid".to_owned()));
            }
            body.refunded += amount;
            let refund = self.new_id("refund");
            let news = json!({ "payment": payment, "refund": refund, "amount": amount });
            let mut docs = vec![
                change(PAYMENT, payment, &doc.parent, doc.version, &body),
                change(KEY, key, payment, 0, &refund),
            ];
            docs.extend(self.hooks("refund.completed", &news));
            if self.store.put_docs(docs).await? {
                return Ok(refund);
            }
        }
        Err(LedgerError::Invalid("too much at once".to_owned()))
    }
}

/// A payment as the API and the webhooks tell it.
pub(super) fn payment_json(
    id: &str,
    payment: &SandboxPayment,
    now: Timestamp,
) -> serde_json::Value {
    json!({
        "id": id,
        "fee": payment.fee,
        "page": payment.page,
        "reference": payment.reference,
        "amount": payment.amount,
        "refunded": payment.refunded,
        "status": "completed",
        "at": payment.at.rfc3339(),
        "as_of": now.rfc3339(),
    })
}
