//! Polar's stand-in as the suite drives it, in both shapes.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use livetill::{
    clock::{Clock, Span},
    provider::signature::sign_standard,
    sale::template::CheckoutShape,
};
use serde_json::{Value, json};

use super::{Account, Event, Lack, Sums, Till, post};
use crate::{
    polar::{
        fake::{Fake, TOKEN},
        shop::{SECRET, config, leftovers},
    },
    world::{ManualClock, World},
};

/// Polar with a page for each buyer, or one link for all.
pub struct Polar {
    pub fake: Fake,
    shape: CheckoutShape,
}

pub fn per_buyer(clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    start(clock, CheckoutShape::PerBuyer)
}

pub fn shared(clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    start(clock, CheckoutShape::Shared)
}

fn start(clock: Arc<ManualClock>, shape: CheckoutShape) -> BoxFuture<'static, Arc<dyn Till>> {
    Box::pin(async move {
        let fake = Fake::start(clock).await;
        Arc::new(Polar { fake, shape }) as Arc<dyn Till>
    })
}

#[async_trait]
impl Till for Polar {
    fn name(&self) -> &'static str {
        "polar"
    }

    fn shape(&self) -> CheckoutShape {
        self.shape
    }

    fn config(&self) -> String {
        config(&self.fake, "", "")
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![("ACCESS_TOKEN", TOKEN.to_owned()), ("WEBHOOK_SECRET", SECRET.to_owned())]
    }

    fn be_away(&self, away: bool) {
        self.fake.books().faults.away = away;
    }

    fn lose_answers(&self, every: u64) {
        self.fake.books().faults.lose_every = every;
    }

    fn refuse_to_close(&self, refuse: bool) {
        self.fake.books().faults.cannot_close = refuse;
    }

    fn be_slow(&self, latency: Span) {
        self.fake.books().faults.latency_ms = latency.millis();
    }

    async fn press(&self, world: &World, page: &str) -> bool {
        post(world, format!("{page}/pay"), &[]).await == 303
    }

    async fn force(&self, _world: &World, page: &str, cents: Option<i64>) {
        let id = super::last(page);
        let mut books = self.fake.books();
        let session = books.sessions.get_mut(id).expect("known");
        session["status"] = "confirmed".into();
        if let Some(cents) = cents {
            session["total_amount"] = cents.into();
        }
        books.succeed(id);
    }

    async fn events(&self, _world: &World) -> Vec<Event> {
        let events: Vec<Value> = self.fake.books().events.drain(..).collect();
        let event = |event: Value| Event {
            id: event["id"].as_str().expect("an id").to_owned(),
            body: event["body"].to_string().into_bytes(),
        };
        events.into_iter().map(event).collect()
    }

    async fn sign(&self, world: &World, event: &Event) -> Vec<(&'static str, String)> {
        let now = world.clock.now();
        vec![
            ("webhook-id", event.id.clone()),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", sign_standard(SECRET.as_bytes(), &event.id, now, &event.body)),
        ]
    }

    fn foreign(&self, event: &Event) -> Event {
        let mut body: Value = serde_json::from_slice(&event.body).expect("JSON");
        body["data"]["id"] = "of-another-product".into();
        body["data"]["checkout_id"] = "of-another-product".into();
        body["data"]["metadata"] = json!({});
        Event { id: "foreign".to_owned(), body: body.to_string().into_bytes() }
    }

    fn is_payment(&self, event: &Event) -> bool {
        let body: Value = serde_json::from_slice(&event.body).expect("JSON");
        body["type"] == "order.paid"
    }

    async fn pages(&self, _world: &World) -> usize {
        self.fake.books().products.len()
    }

    async fn left(&self, _world: &World) -> Vec<String> {
        leftovers(&self.fake)
    }

    async fn sums(&self, _world: &World) -> Sums {
        let books = self.fake.books();
        let cents = |one: &Value, name: &str| one[name].as_i64().expect("an amount");
        let back = books.refunds.values().filter(|one| one["status"] == "succeeded");
        Sums {
            paid: books.orders.values().map(|one| cents(one, "total_amount")).sum(),
            back: back.map(|one| cents(one, "amount") + cents(one, "tax_amount")).sum(),
        }
    }

    fn calls(&self) -> usize {
        self.fake.calls("")
    }

    fn account(&self, lack: Option<Lack>) -> Option<Account> {
        let mut books = self.fake.books();
        books.endpoints.clear();
        if lack != Some(Lack::Webhook) {
            let events = ["order.paid", "order.refunded", "refund.created", "refund.updated"];
            let one = json!({ "id": "endpoint", "enabled": true, "events": events,
                              "url": "https://shop.example/webhooks/polar" });
            books.endpoints.insert("endpoint".to_owned(), one);
        }
        let key = match lack {
            Some(Lack::Token) => "providers.polar.access_token",
            Some(Lack::Currency) => "templates.mug.currency",
            Some(Lack::Webhook) => "providers.polar.webhook_secret",
            None => "providers.polar",
        };
        let wrong = lack == Some(Lack::Token);
        let environment = if wrong { vec![("ACCESS_TOKEN", "wrong")] } else { Vec::new() };
        Some(Account { key, environment })
    }
}
