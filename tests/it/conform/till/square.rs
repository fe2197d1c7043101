//! Square's stand-in as the suite drives it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use livetill::sale::template::CheckoutShape;
use serde_json::{Value, json};

use super::{Account, Event, Lack, Sums, Till, last, post};
use crate::{
    square::{
        fake::{Fake, KEY, LOCATION, NOTIFICATION_URL, TOKEN},
        shop::{leftovers, sign},
    },
    world::{ManualClock, World},
};

pub fn start(clock: Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>> {
    Box::pin(async move { Arc::new(Fake::start(clock).await) as Arc<dyn Till> })
}

impl Fake {
    fn order_behind(&self, page: &str) -> String {
        self.books().links[last(page)]["order_id"].as_str().expect("an order").to_owned()
    }
}

fn cents(money: &Value) -> i64 {
    money["amount"].as_i64().unwrap_or(0)
}

#[async_trait]
impl Till for Fake {
    fn name(&self) -> &'static str {
        "square"
    }

    fn shape(&self) -> CheckoutShape {
        CheckoutShape::PerBuyer
    }

    fn config(&self) -> String {
        crate::square::shop::config(self, "", "")
    }

    fn secrets(&self) -> Vec<(&'static str, String)> {
        vec![("ACCESS_TOKEN", TOKEN.to_owned()), ("SIGNATURE_KEYS", KEY.to_owned())]
    }

    fn be_away(&self, away: bool) {
        self.books().faults.away = away;
    }

    fn lose_answers(&self, every: u64) {
        self.books().faults.lose_every = every;
    }

    fn refuse_to_close(&self, refuse: bool) {
        let mut books = self.books();
        books.faults.delete_cancels_nothing = refuse;
        books.faults.cannot_cancel = refuse;
    }

    async fn press(&self, world: &World, page: &str) -> bool {
        let order = self.order_behind(page);
        post(world, format!("{}/order/{order}/pay", self.url), &[]).await == 303
    }

    async fn force(&self, _world: &World, page: &str, cents: Option<i64>) {
        let order = self.order_behind(page);
        let mut books = self.books();
        if let Some(cents) = cents {
            let order = books.orders.get_mut(&order).expect("the order");
            order["total_money"]["amount"] = cents.into();
        }
        books.pay(&order);
    }

    async fn events(&self, _world: &World) -> Vec<Event> {
        let events: Vec<Value> = self.books().events.drain(..).collect();
        let event = |event: Value| Event {
            id: event["event_id"].as_str().expect("an id").to_owned(),
            body: event.to_string().into_bytes(),
        };
        events.into_iter().map(event).collect()
    }

    async fn sign(&self, _world: &World, event: &Event) -> Vec<(&'static str, String)> {
        vec![
            ("x-square-hmacsha256-signature", sign(NOTIFICATION_URL, KEY, &event.body)),
            ("square-environment", "Sandbox".to_owned()),
        ]
    }

    fn foreign(&self, event: &Event) -> Event {
        let mut body: Value = serde_json::from_slice(&event.body).expect("JSON");
        body["event_id"] = "foreign".into();
        body["data"]["object"]["payment"]["id"] = "of-the-till".into();
        body["data"]["object"]["payment"]["order_id"] = "O-till".into();
        Event { id: "foreign".to_owned(), body: body.to_string().into_bytes() }
    }

    fn is_payment(&self, event: &Event) -> bool {
        let body: Value = serde_json::from_slice(&event.body).expect("JSON");
        body["type"] == "payment.updated"
    }

    async fn pages(&self, _world: &World) -> usize {
        self.books().links.len()
    }

    async fn left(&self, _world: &World) -> Vec<String> {
        leftovers(self)
    }

    async fn sums(&self, _world: &World) -> Sums {
        let books = self.books();
        let done = || books.payments.values().filter(|one| one["status"] == "COMPLETED");
        Sums {
            paid: done().map(|one| cents(&one["total_money"])).sum(),
            back: done().map(|one| cents(&one["refunded_money"])).sum(),
        }
    }

    fn calls(&self) -> usize {
        Fake::calls(self, "")
    }

    fn account(&self, lack: Option<Lack>) -> Option<Account> {
        let mut books = self.books();
        books.subscriptions.clear();
        if lack != Some(Lack::Webhook) {
            let events = [
                "catalog.version.updated",
                "inventory.count.updated",
                "order.updated",
                "payment.created",
                "payment.updated",
                "refund.created",
                "refund.updated",
            ];
            let one = json!({ "id": "wbhk_1", "enabled": true, "event_types": events,
                              "notification_url": NOTIFICATION_URL, "name": LOCATION });
            books.subscriptions.insert("wbhk_1".to_owned(), one);
        }
        let key = match lack {
            Some(Lack::Token) => "providers.square.access_token",
            Some(Lack::Currency) => "templates.mug.currency",
            Some(Lack::Webhook) | None => "providers.square.notification_url",
        };
        let wrong = lack == Some(Lack::Token);
        let environment = if wrong { vec![("ACCESS_TOKEN", "wrong")] } else { Vec::new() };
        Some(Account { key, environment })
    }
}
