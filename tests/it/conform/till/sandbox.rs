//! The built-in sandbox as the suite drives it. Its service is a part of the program, so its
//! troubles are played in front of the adapter, and its books are read in the store.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use livetill::{
    clock::{Clock, Timestamp},
    mac::derive,
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, signature::sign_standard,
    },
    sale::{
        Sale,
        effect::Effect,
        template::{Capabilities, CheckoutShape, Template},
    },
    store::{Doc, DocChange},
};
use serde_json::{Value, json};

use super::{Account, Event, Lack, Sums, Till, last, post};
use crate::world::{ManualClock, Setup, World};

const PAGE: &str = "sandbox_page";
const PAYMENT: &str = "sandbox_payment";

/// The sandbox with a page for each buyer, or one for all.
pub struct Sandbox {
    shape: CheckoutShape,
    troubles: Arc<Troubles>,
    close_refused: AtomicBool,
    told: Mutex<BTreeSet<String>>,
}

#[derive(Default)]
struct Troubles {
    away: AtomicBool,
    lose_every: AtomicU64,
    changes: AtomicU64,
    calls: AtomicUsize,
}

pub fn per_buyer(_clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    start(CheckoutShape::PerBuyer)
}

pub fn shared(_clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    start(CheckoutShape::Shared)
}

fn start(shape: CheckoutShape) -> BoxFuture<'static, Arc<dyn Till>> {
    let till = Sandbox {
        shape,
        troubles: Arc::default(),
        close_refused: AtomicBool::new(false),
        told: Mutex::default(),
    };
    Box::pin(async move { Arc::new(till) as Arc<dyn Till> })
}

async fn docs(world: &World, kind: &'static str) -> Vec<Doc> {
    world.app.engine.store().docs(kind, None).await.expect("the store")
}

#[async_trait]
impl Till for Sandbox {
    fn name(&self) -> &'static str {
        "sandbox"
    }

    fn shape(&self) -> CheckoutShape {
        self.shape
    }

    fn config(&self) -> String {
        // Its webhooks are sent by hand, like everybody else's.
        let refused = f64::from(u8::from(self.close_refused.load(Ordering::SeqCst)));
        format!(
            "[providers.sandbox]\ncalls_per_second = 100000\n[providers.sandbox.faults]\n\
             webhook_dropped = 1.0\nclose_refused = {refused:.1}\n"
        )
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn stand_between(&self, setup: &mut Setup) {
        let troubles = self.troubles.clone();
        let wrapped = setup.wrap.clone();
        setup.wrap = Arc::new(move |inner| {
            let gate = Gate { inner, troubles: troubles.clone() };
            wrapped(Arc::new(gate))
        });
    }

    fn be_away(&self, away: bool) {
        self.troubles.away.store(away, Ordering::SeqCst);
    }

    fn lose_answers(&self, every: u64) {
        self.troubles.lose_every.store(every, Ordering::SeqCst);
    }

    fn refuse_to_close(&self, refuse: bool) {
        self.close_refused.store(refuse, Ordering::SeqCst);
    }

    fn reach(&self, world: &World, link: String) -> String {
        // It serves its pages itself, and each life has a port of its own.
        world.url(&format!("/sandbox/pay/{}", last(&link)))
    }

    async fn press(&self, world: &World, page: &str) -> bool {
        post(world, self.reach(world, page.to_owned()), &[("do", "pay")]).await == 303
    }

    async fn force(&self, world: &World, page: &str, cents: Option<i64>) {
        let store = world.app.engine.store();
        let page = store.doc(PAGE, last(page)).await.expect("the store").expect("the page");
        let mut amount = page.body["order"]["total"].clone();
        if let Some(cents) = cents {
            amount["amount"] = cents.into();
        }
        let id = format!("forced-{}", docs(world, PAYMENT).await.len());
        let payment = json!({
            "page": page.id, "reference": page.body["order"]["reference"], "amount": amount,
            "refunded": 0, "at": world.clock.now(), "name": null, "address": null,
        });
        let mut body = page.body.clone();
        body["payments"].as_array_mut().expect("a list").push(Value::from(id.clone()));
        if body["state"] == "open" {
            body["state"] = "paid".into();
        }
        let change = |kind, id: &str, parent: &str, expected, body: Value| DocChange {
            kind,
            id: id.to_owned(),
            parent: parent.to_owned(),
            expected,
            body: Some(body),
        };
        let both = vec![
            change(PAGE, &page.id, &page.parent, page.version, body),
            change(PAYMENT, &id, &page.id, 0, payment),
        ];
        assert!(store.put_docs(both).await.expect("the store"), "nobody else writes");
    }

    async fn events(&self, world: &World) -> Vec<Event> {
        let mut events = Vec::new();
        for doc in docs(world, PAYMENT).await {
            if !self.told.lock().expect("unpoisoned").insert(doc.id.clone()) {
                continue;
            }
            let id = format!("event-{}", doc.id);
            let at: Timestamp = serde_json::from_value(doc.body["at"].clone()).expect("a time");
            let mut data = doc.body;
            data["id"] = doc.id.into();
            data["status"] = "completed".into();
            data["at"] = at.rfc3339().into();
            let body = json!({ "id": id, "type": "payment.completed", "data": data });
            events.push(Event { id, body: body.to_string().into_bytes() });
        }
        events
    }

    async fn sign(&self, world: &World, event: &Event) -> Vec<(&'static str, String)> {
        let secret = world.app.engine.store().secret([0; 32]).await.expect("the secret");
        let (key, now) = (derive(&secret, "sandbox webhook"), world.clock.now());
        vec![
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", sign_standard(&key, &event.id, now, &event.body)),
        ]
    }

    fn foreign(&self, event: &Event) -> Event {
        let mut body: Value = serde_json::from_slice(&event.body).expect("JSON");
        body["id"] = "foreign".into();
        body["data"]["id"] = "of-somebody-else".into();
        body["data"]["page"] = "page_unknown".into();
        body["data"]["reference"] = Value::Null;
        Event { id: "foreign".to_owned(), body: body.to_string().into_bytes() }
    }

    fn is_payment(&self, _event: &Event) -> bool {
        true
    }

    async fn pages(&self, world: &World) -> usize {
        docs(world, PAGE).await.len()
    }

    async fn left(&self, world: &World) -> Vec<String> {
        let left = world.app.sandbox.left_behind().await.expect("the books");
        left.into_iter().map(|(id, _)| id).collect()
    }

    async fn sums(&self, world: &World) -> Sums {
        let all = docs(world, PAYMENT).await;
        let cents = |value: &Value| value.as_i64().expect("an amount");
        Sums {
            paid: all.iter().map(|doc| cents(&doc.body["amount"]["amount"])).sum(),
            back: all.iter().map(|doc| cents(&doc.body["refunded"])).sum(),
        }
    }

    fn calls(&self) -> usize {
        self.troubles.calls.load(Ordering::SeqCst)
    }

    fn account(&self, _lack: Option<Lack>) -> Option<Account> {
        None
    }
}

/// Stands before the adapter: counts its calls, is away, loses answers.
struct Gate {
    inner: Arc<dyn Provider>,
    troubles: Arc<Troubles>,
}

impl Gate {
    fn enter(&self) -> Result<(), ProviderError> {
        self.troubles.calls.fetch_add(1, Ordering::SeqCst);
        if self.troubles.away.load(Ordering::SeqCst) {
            return Err(ProviderError::Retry { says: "it cannot be reached".into(), after: None });
        }
        Ok(())
    }
}

#[async_trait]
impl Provider for Gate {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn accepts(&self, template: &Template) -> Result<(), String> {
        self.inner.accepts(template)
    }
    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> Value {
        self.inner.frame(sale, effect, pages)
    }
    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        if matches!(effect, Effect::Probe { .. }) {
            // A look at the page is no call to the API.
            return self.inner.perform(effect, body, call).await;
        }
        self.enter()?;
        let outcome = self.inner.perform(effect, body, call).await?;
        let every = self.troubles.lose_every.load(Ordering::SeqCst);
        let nth = 1 + self.troubles.changes.fetch_add(1, Ordering::SeqCst);
        let mixed = nth.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
        if every > 0 && mixed.is_multiple_of(every) {
            return Err(ProviderError::Retry { says: "its answer was lost".into(), after: None });
        }
        Ok(outcome)
    }
    fn calls(&self, effect: &Effect) -> u32 {
        self.inner.calls(effect)
    }
    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.enter()?;
        self.inner.status(ask).await
    }
    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        self.inner.verify(webhook, now)
    }
    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        self.inner.parse(webhook)
    }
    fn checkout_hosts(&self) -> Vec<String> {
        self.inner.checkout_hosts()
    }
}
