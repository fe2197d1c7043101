//! A stand-in for Square: its rules as its documentation and its users tell them, over HTTP.
//!
//! It keeps idempotency keys, versions, one catalog writer, single-use links, stock that goes down
//! by itself; and it plays the faults that were seen in the wild when told to.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use livetill::clock::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::contract::Contract;

pub const LOCATION: &str = "L1";
pub const TOKEN: &str = "sandbox-token";
pub const KEY: &str = "signature-key";
pub const NOTIFICATION_URL: &str = "https://shop.example/webhooks/square";

/// What it does badly.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Answers nothing but 503.
    pub away: bool,
    /// About every n-th change is done and its answer lost.
    pub lose_every: u64,
    /// That many catalog writes find the catalog locked.
    pub locked: u32,
    /// Calls per second of its clock; 0 for no limit.
    pub rate: u64,
    /// Takes so long to answer anything.
    pub latency: Duration,
    /// Refuses this e-mail address.
    pub bad_email: Option<String>,
    /// Deleting a link cancels nothing, and the answer does not say so.
    pub delete_cancels_nothing: bool,
    /// Deleting a link says it cancelled the order, and the page can be paid all the same.
    pub delete_lies: bool,
    /// Orders change behind our back before each of that many updates.
    pub order_races: u32,
    /// That many reads of an order find it not visible yet, and that many of a payment.
    pub hidden_orders: u32,
    pub hidden_payments: u32,
    /// The catalog shows a stocked item as sold out for that many reads more.
    pub stale_reads: u32,
    /// Adds this to every order's total.
    pub surcharge: i64,
    /// Shown on every page.
    pub phrase: String,
    /// Refuses to cancel orders.
    pub cannot_cancel: bool,
    /// What a test event to our address is answered with, if not 200.
    pub hook_status: Option<u16>,
    /// Its clock is that far from ours.
    pub drift_ms: i64,
}

/// Everything it knows.
#[derive(Default)]
pub struct Books {
    pub objects: BTreeMap<String, Value>,
    pub counts: BTreeMap<String, (i64, i64)>,
    /// Variations marked sold out by hand.
    pub marked: Vec<String>,
    pub links: BTreeMap<String, Value>,
    pub orders: BTreeMap<String, Value>,
    pub payments: BTreeMap<String, Value>,
    pub refunds: BTreeMap<String, Value>,
    pub subscriptions: BTreeMap<String, Value>,
    /// Events on their way.
    pub events: VecDeque<Value>,
    /// Every call, as method and path.
    pub calls: Vec<String>,
    /// Calls that Square would have refused or misunderstood.
    pub wrong: Vec<String>,
    pub faults: Faults,
    pub ids: u64,
    changes: u64,
    keys: HashMap<(String, String), (Value, u16, Value)>,
    second: (i64, u64),
    pub now: i64,
}

#[derive(Clone)]
pub struct Fake {
    books: Arc<Mutex<Books>>,
    clock: Arc<dyn Clock>,
    contract: Arc<Contract>,
    pub url: String,
}

/// An answer: status and body.
pub type Answer = (u16, Value);

pub fn no(status: u16, code: &str, detail: &str) -> Answer {
    let category = if status == 429 { "RATE_LIMIT_ERROR" } else { "INVALID_REQUEST_ERROR" };
    (status, json!({ "errors": [{ "category": category, "code": code, "detail": detail }] }))
}

impl Fake {
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = Self { books: Arc::default(), clock, contract: Arc::new(Contract::new()), url };
        let app = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        let mut books = self.books.lock().expect("unpoisoned");
        books.now = self.clock.now().millis() + books.faults.drift_ms;
        books
    }

    /// Calls that begin with `what`, so far.
    pub fn calls(&self, what: &str) -> usize {
        self.books().calls.iter().filter(|call| call.starts_with(what)).count()
    }

    fn api(&self, method: &str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Answer {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        let mut books = self.books();
        books.calls.push(format!("{method} {path}"));
        if books.faults.away {
            return (503, Value::from("<html>upstream is away</html>"));
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return no(401, "UNAUTHORIZED", "This request could not be authorized.");
        }
        if text("square-version") != Some("2025-08-20") {
            books.wrong.push(format!("{method} {path} without the version"));
        }
        if books.over_the_rate() {
            return no(429, "RATE_LIMITED", "Too many requests.");
        }
        let wrong = self.contract.check(method, path, query, body);
        if !wrong.is_empty() {
            books.wrong.extend(wrong);
            return no(400, "BAD_REQUEST", "not in the contract");
        }
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let answer = books.once(method, path, &body, &self.url);
        if method != "GET" && answer.0 == 200 && !path.ends_with("-retrieve") {
            books.changes += 1;
            let every = books.faults.lose_every;
            // Not strictly every n-th: with a fixed beat the same step would be lost for ever.
            let mixed = books.changes.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            if every > 0 && mixed.is_multiple_of(every) {
                return (502, Value::from("<html>bad gateway</html>"));
            }
        }
        answer
    }
}

impl Books {
    pub fn id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}{:04}", self.ids)
    }

    pub fn time(&self) -> String {
        Timestamp::from_millis(self.now).rfc3339()
    }

    /// Versions look like times and only grow.
    pub fn version(&mut self) -> i64 {
        self.ids += 1;
        self.now + i64::try_from(self.ids).expect("small")
    }

    pub fn event(&mut self, kind: &str, name: &str, object: Value) {
        let event = json!({
            "merchant_id": "M1",
            "type": kind,
            "event_id": self.id("event-"),
            "created_at": self.time(),
            "data": { "type": name, "id": "x", "object": { name: object } },
        });
        self.events.push_back(event);
    }

    fn over_the_rate(&mut self) -> bool {
        let second = self.now / 1000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        self.faults.rate > 0 && self.second.1 > self.faults.rate
    }

    /// The same key with the same body answers as the first time, with another body not at all. An
    /// order is another matter: a key that was used on it, whatever came of that, is answered 200
    /// with the order as it stands, and changes nothing.
    fn once(&mut self, method: &str, path: &str, body: &Value, url: &str) -> Answer {
        let Some(key) = body["idempotency_key"].as_str() else {
            if method == "POST" && path.ends_with("payment-links") {
                self.wrong.push("a link without an idempotency key".to_owned());
            }
            return self.answer(method, path, body, url);
        };
        let place = (path.to_owned(), key.to_owned());
        if method == "PUT" && path.starts_with("/v2/orders/") {
            return match self.keys.insert(place, (Value::Null, 200, Value::Null)) {
                Some(_) => self.answer("GET", path, body, url),
                None => self.answer(method, path, body, url),
            };
        }
        if let Some((before, status, answer)) = self.keys.get(&place) {
            if before == body {
                return (*status, answer.clone());
            }
            self.wrong.push(format!("{path}: key {key} again with another body"));
            return no(400, "IDEMPOTENCY_KEY_REUSED", "Same key, different body.");
        }
        let answer = self.answer(method, path, body, url);
        if answer.0 == 200 {
            self.keys.insert(place, (body.clone(), answer.0, answer.1.clone()));
        }
        answer
    }

    fn answer(&mut self, method: &str, path: &str, body: &Value, url: &str) -> Answer {
        let segments: Vec<&str> = path.trim_start_matches("/v2/").split('/').collect();
        match (method, segments.as_slice()) {
            ("POST", ["catalog", "batch-upsert"]) => self.upsert(body),
            ("POST", ["catalog", "batch-delete"]) => self.delete_objects(body),
            ("POST", ["catalog", "batch-retrieve"]) => self.objects(body),
            ("GET", ["catalog", "object", id]) => self.object(id),
            ("GET", ["catalog", "list"]) => self.all_objects(),
            ("POST", ["inventory", "changes", "batch-create"]) => self.change_stock(body),
            ("POST", ["inventory", "counts", "batch-retrieve"]) => self.stock(body),
            ("POST", ["online-checkout", "payment-links"]) => self.make_link(body, url),
            ("GET", ["online-checkout", "payment-links"]) => {
                let links: Vec<_> = self.links.values().filter(|l| l["gone"] != true).collect();
                (200, json!({ "payment_links": links }))
            }
            ("DELETE", ["online-checkout", "payment-links", id]) => self.delete_link(id),
            ("GET", ["orders", _]) if hides(&mut self.faults.hidden_orders) => {
                no(404, "NOT_FOUND", "Order not found.")
            }
            ("GET", ["payments", _]) if hides(&mut self.faults.hidden_payments) => {
                no(404, "NOT_FOUND", "Payment not found.")
            }
            ("GET", ["orders", id]) => match self.orders.get(*id) {
                Some(order) => (200, json!({ "order": order })),
                None => no(404, "NOT_FOUND", "Order not found."),
            },
            ("PUT", ["orders", id]) => self.update_order(id, body),
            ("POST", ["orders", "batch-retrieve"]) => self.orders(body),
            ("GET", ["payments", id]) => match self.payments.get(*id) {
                Some(payment) => (200, json!({ "payment": payment })),
                None => no(404, "NOT_FOUND", "Payment not found."),
            },
            ("POST", ["refunds"]) => self.refund(body),
            ("GET", ["refunds", id]) => self.refund_state(id),
            ("GET", ["locations"]) => (200, json!({ "locations": [location()] })),
            ("GET", ["locations", LOCATION]) => (200, json!({ "location": location() })),
            ("GET", ["webhooks", "subscriptions"]) => {
                let all: Vec<_> = self.subscriptions.values().collect();
                (200, json!({ "subscriptions": all }))
            }
            ("POST", ["webhooks", "subscriptions"]) => self.subscribe(body),
            ("PUT", ["webhooks", "subscriptions", id]) => self.resubscribe(id, body),
            ("POST", ["webhooks", "subscriptions", id, "test"]) => self.test_event(id, body),
            _ => no(404, "NOT_FOUND", "No such thing."),
        }
    }

    fn test_event(&mut self, id: &str, body: &Value) -> Answer {
        let Some(subscription) = self.subscriptions.get(id) else {
            return no(404, "NOT_FOUND", "Subscription not found.");
        };
        let kinds = subscription["event_types"].as_array().expect("kinds");
        if !kinds.contains(&body["event_type"]) {
            return no(400, "BAD_REQUEST", "The event type is not in the subscription.");
        }
        let status = self.faults.hook_status.unwrap_or(200);
        // Not RFC 3339: the times of tests come as Go prints them.
        let at = "2026-11-22 00:06:48.322945116 +0000 UTC m=+147.5";
        let result = json!({
            "id": "test-1", "status_code": status, "payload": "{}", "created_at": at,
            "updated_at": at,
        });
        (200, json!({ "subscription_test_result": result }))
    }

    fn subscribe(&mut self, body: &Value) -> Answer {
        let id = self.id("wbhk_");
        let mut subscription = body["subscription"].clone();
        subscription["id"] = Value::from(id.clone());
        subscription["enabled"] = Value::from(true);
        let mut whole = subscription.clone();
        whole["signature_key"] = Value::from("a-new-key");
        self.subscriptions.insert(id, subscription);
        (200, json!({ "subscription": whole }))
    }

    fn resubscribe(&mut self, id: &str, body: &Value) -> Answer {
        let Some(known) = self.subscriptions.get_mut(id) else {
            return no(404, "NOT_FOUND", "Subscription not found.");
        };
        for (name, value) in body["subscription"].as_object().into_iter().flatten() {
            known[name] = value.clone();
        }
        (200, json!({ "subscription": known }))
    }
}

/// Whether something is not visible this once.
fn hides(times: &mut u32) -> bool {
    let hides = *times > 0;
    *times = times.saturating_sub(1);
    hides
}

fn location() -> Value {
    json!({
        "id": LOCATION, "name": "The shop", "status": "ACTIVE", "currency": "USD",
        "country": "US", "capabilities": ["CREDIT_CARD_PROCESSING"],
    })
}

async fn serve(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let Faults { latency, drift_ms, .. } = fake.books().faults.clone();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    if !uri.path().starts_with("/v2/") {
        return fake.books().page(&method, uri.path());
    }
    let (status, answer) = fake.api(method.as_str(), &uri, &headers, &body);
    // What is not an object is what a proxy in front of Square says.
    let (kind, text) = match answer {
        Value::String(html) => ("text/html", html),
        answer => ("application/json", answer.to_string()),
    };
    let now = jiff::Timestamp::from_millisecond(SystemClock.now().millis() + drift_ms);
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&now.expect("a time"))
        .expect("a date");
    Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header(header::CONTENT_TYPE, kind)
        .header(header::DATE, date)
        .body(Body::from(text))
        .expect("an answer")
}
