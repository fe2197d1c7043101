//! Noventiq's stand-in as the suite drives it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use livetill::sale::template::CheckoutShape;
use serde_json::Value;

use super::{Account, Event, Lack, Sums, Till, last, post};
use crate::{
    noventiq::{
        fake::{Fake, PASSWORD, USERNAME},
        shop::{SECRET, sign},
    },
    world::{ManualClock, World},
};

/// What a unit costs in every scenario.
const PRICE_CENTS: i64 = 1800;

pub fn start(clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    Box::pin(async move { Arc::new(Fake::start(clock).await) as Arc<dyn Till> })
}

fn read(event: &Event) -> Value {
    serde_json::from_slice(&event.body).unwrap_or(Value::Null)
}

#[async_trait]
impl Till for Fake {
    fn name(&self) -> &'static str {
        "noventiq"
    }

    fn shape(&self) -> CheckoutShape {
        CheckoutShape::PerBuyer
    }

    fn config(&self) -> String {
        format!(
            "[providers.noventiq]\napi_url = \"{}\"\nmarket_id = 17\ncalls_per_second = 100000\n",
            self.url
        )
    }

    fn options(&self) -> &'static str {
        "[templates.mug.noventiq]\nproduct_id = 4653375\n"
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        let all = [("USERNAME", USERNAME), ("PASSWORD", PASSWORD), ("WEBHOOK_SECRET", SECRET)];
        all.map(|(name, value)| (name, value.to_owned())).to_vec()
    }

    fn be_away(&self, away: bool) {
        self.books().faults.away = away;
    }

    fn lose_answers(&self, every: u64) {
        self.books().faults.lose_every = every;
    }

    fn refuse_to_close(&self, _refuse: bool) {
        // It can never take a link back.
    }

    async fn people_work(&self, _world: &World) {
        let mut books = self.books();
        let asked = books.orders.iter().filter(|(_, order)| order["refund"]["status"] == "New");
        let asked: Vec<u64> = asked.map(|(id, _)| *id).collect();
        for id in asked {
            books.decide_refund(id, true);
        }
    }

    async fn press(&self, world: &World, page: &str) -> bool {
        post(world, format!("{page}/pay"), &[]).await == 200
    }

    async fn force(&self, _world: &World, page: &str, cents: Option<i64>) {
        self.books().faults.surcharge = cents.map_or(0, |cents| cents - PRICE_CENTS);
        self.pay_again(last(page));
        self.books().faults.surcharge = 0;
    }

    async fn events(&self, _world: &World) -> Vec<Event> {
        let events: Vec<Value> = self.books().events.drain(..).collect();
        let event = |body: Value| Event {
            id: body["order_id"].to_string(),
            body: body.to_string().into_bytes(),
        };
        events.into_iter().map(event).collect()
    }

    async fn sign(&self, _world: &World, event: &Event) -> Vec<(&'static str, String)> {
        let mut body = read(event);
        // What is not there is signed as nothing.
        for key in ["event", "order_id", "create_date", "currency"] {
            if body[key].is_null() && (body.is_object() || body.is_null()) {
                body[key] = "".into();
            }
        }
        if body.is_object() && body["payment"].is_null() {
            body["payment"]["payment_method"] = "".into();
            body["customer"]["email"] = "".into();
        }
        vec![("content-type", "application/json".to_owned()), ("signature", sign(SECRET, &body))]
    }

    fn foreign(&self, event: &Event) -> Event {
        let mut body = read(event);
        body["order_id"] = 99.into();
        Event { id: "foreign".to_owned(), body: body.to_string().into_bytes() }
    }

    fn is_payment(&self, event: &Event) -> bool {
        read(event)["event"] == "order.payment.succeeded"
    }

    async fn pages(&self, _world: &World) -> usize {
        self.books().links.len()
    }

    async fn left(&self, _world: &World) -> Vec<String> {
        self.books().wrong.clone()
    }

    async fn sums(&self, _world: &World) -> Sums {
        let books = self.books();
        let sum = |status: &str| {
            let those = books.orders.values().filter(|order| order["status"] == status);
            those.map(|order| order["cents"].as_i64().expect("an amount")).sum::<i64>()
        };
        let back = sum("deleted");
        Sums { paid: sum("paid") + back, back }
    }

    fn calls(&self) -> usize {
        Fake::calls(self, "")
    }

    fn account(&self, lack: Option<Lack>) -> Option<Account> {
        let (key, environment) = match lack {
            Some(Lack::Token) => ("providers.noventiq.password", vec![("PASSWORD", "wrong")]),
            Some(Lack::Currency) => ("templates.mug.currency", Vec::new()),
            Some(Lack::Webhook) => {
                ("providers.noventiq.webhook_secret", vec![("WEBHOOK_SECRET", " ")])
            }
            None => ("providers.noventiq", Vec::new()),
        };
        Some(Account { key, environment })
    }
}
