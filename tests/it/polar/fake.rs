//! A stand-in for Polar: its rules as its documentation and its open server tell them, over HTTP.
//!
//! No idempotency keys, sessions that live for a day and cannot be closed, prices that can; and it
//! plays faults when told to.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use livetill::clock::{Clock, Timestamp};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::ManualClock;

pub const TOKEN: &str = "polar_oat_token";

/// What it does badly.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Answers nothing but 503.
    pub away: bool,
    /// About every n-th change is done and its answer lost.
    pub lose_every: u64,
    /// That many changes are answered "slow down".
    pub slow: u32,
    /// Refuses this e-mail address.
    pub bad_email: Option<String>,
    /// Adds this to every session's total.
    pub surcharge: i64,
    /// Orders cost that much less than their page said, and the order says so.
    pub order_discount: i64,
    /// A price that is replaced can be paid for that much longer: the call takes its time.
    pub latency_ms: i64,
    /// Products cannot be changed.
    pub cannot_close: bool,
    /// Refunds stay pending until told otherwise.
    pub refunds_wait: bool,
    /// Refunds of disputed payments are refused.
    pub disputed: bool,
    /// The token lacks that scope.
    pub lacks: Option<&'static str>,
}

/// Everything it knows.
#[derive(Default)]
pub struct Books {
    pub products: BTreeMap<String, Value>,
    pub links: BTreeMap<String, Value>,
    pub sessions: BTreeMap<String, Value>,
    pub orders: BTreeMap<String, Value>,
    pub refunds: BTreeMap<String, Value>,
    pub endpoints: BTreeMap<String, Value>,
    /// Events on their way.
    pub events: VecDeque<Value>,
    /// Every call, as method and path.
    pub calls: Vec<String>,
    /// Calls that Polar would have refused or misunderstood.
    pub wrong: Vec<String>,
    pub faults: Faults,
    pub now: i64,
    pub url: String,
    ids: u64,
    changes: u64,
}

#[derive(Clone)]
pub struct Fake {
    books: Arc<Mutex<Books>>,
    clock: Arc<ManualClock>,
    pub url: String,
}

/// An answer: status and body.
pub type Answer = (u16, Value);

pub fn no(status: u16, error: &str, detail: &str) -> Answer {
    (status, json!({ "error": error, "detail": detail }))
}

pub fn invalid(place: &str, message: &str) -> Answer {
    let one = json!({ "loc": ["body", place], "msg": message, "type": "value_error" });
    (422, json!({ "error": "PolarRequestValidationError", "detail": [one] }))
}

impl Fake {
    pub async fn start(clock: Arc<ManualClock>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let fake = Self { books: Arc::default(), clock, url };
        let app = Router::new().fallback(serve).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        fake
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        let mut books = self.books.lock().expect("unpoisoned");
        books.now = self.clock.now().millis();
        books.url.clone_from(&self.url);
        books
    }

    /// Calls that begin with `what`, so far.
    pub fn calls(&self, what: &str) -> usize {
        self.books().calls.iter().filter(|call| call.starts_with(what)).count()
    }

    fn api(&self, method: &str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Answer {
        let path = uri.path();
        let mut books = self.books();
        books.calls.push(format!("{method} {path}"));
        if books.faults.away {
            return (503, Value::from("<html>upstream is away</html>"));
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if text("authorization") != Some(&format!("Bearer {TOKEN}")) {
            return no(401, "Unauthorized", "Unauthorized");
        }
        if books.faults.lacks.is_some_and(|scope| scope_of(path) == scope) {
            let says = "The request requires higher privileges than provided by the access token.";
            let body = json!({ "error": "insufficient_scope", "error_description": says });
            return (403, body);
        }
        if text("polar-version") != Some("2026-10") {
            books.wrong.push(format!("{method} {path} without the version"));
        }
        let changes = method != "GET";
        if changes && books.faults.slow > 0 {
            books.faults.slow -= 1;
            return no(429, "TooManyRequests", "Slow down.");
        }
        let query: Vec<(String, String)> =
            form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        let answer = books.answer(method, path, &query, &body);
        if changes && answer.0 < 300 {
            books.changes += 1;
            let every = books.faults.lose_every;
            let mixed = books.changes.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            if every > 0 && mixed.is_multiple_of(every) {
                return (502, Value::from("<html>bad gateway</html>"));
            }
        }
        answer
    }
}

/// The scope that a call takes; one for changing is good for looking, too.
fn scope_of(path: &str) -> &'static str {
    match path.trim_start_matches("/v1/").split('/').next().unwrap_or_default() {
        "products" => "products:write",
        "checkout-links" => "checkout_links:write",
        "checkouts" => "checkouts:write",
        "orders" => "orders:read",
        "refunds" => "refunds:write",
        "organizations" => "organizations:read",
        _ => "webhooks:write",
    }
}

impl Books {
    pub fn id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}-{:04}", self.ids)
    }

    pub fn time(&self) -> String {
        Timestamp::from_millis(self.now).rfc3339()
    }

    pub fn event(&mut self, kind: &str, data: &Value) {
        let event = json!({
            "id": self.id("evt"),
            "body": { "type": kind, "timestamp": self.time(), "api_version": "2026-10",
                      "data": data },
        });
        self.events.push_back(event);
    }

    fn answer(
        &mut self,
        method: &str,
        path: &str,
        query: &[(String, String)],
        body: &Value,
    ) -> Answer {
        let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, segments.as_slice()) {
            ("POST", ["products", ""]) => self.make_product(body),
            ("PATCH", ["products", id]) => self.change_product(id, body),
            ("POST", ["checkout-links", ""]) => self.make_link(body),
            ("DELETE", ["checkout-links", id]) => match self.links.remove(*id) {
                Some(_) => (204, Value::Null),
                None => no(404, "ResourceNotFound", "Not found"),
            },
            ("POST", ["checkouts", ""]) => self.make_session(body),
            ("POST", ["refunds", ""]) => self.refund(body),
            ("POST", ["webhooks", "endpoints"]) => {
                let mut made = body.clone();
                let id = self.id("endpoint");
                made["id"] = Value::from(id.clone());
                made["enabled"] = Value::from(true);
                let mut whole = made.clone();
                whole["secret"] = Value::from("a-new-secret");
                self.endpoints.insert(id, made);
                (201, whole)
            }
            ("PATCH", ["webhooks", "endpoints", id]) => {
                let known = self.endpoints.get_mut(*id).expect("known");
                for (name, value) in body.as_object().expect("fields") {
                    known[name] = value.clone();
                }
                (200, known.clone())
            }
            ("GET", ["webhooks", "endpoints"]) => page_of(&self.endpoints, query),
            ("GET", ["organizations", ""]) => {
                let one = json!({ "id": "org", "default_presentment_currency": "usd" });
                (200, json!({ "items": [one], "pagination": { "total_count": 1, "max_page": 1 } }))
            }
            ("GET", ["products", ""]) => page_of(&self.products, query),
            ("GET", ["checkout-links", ""]) => page_of(&self.links, query),
            ("GET", ["checkouts", ""]) => page_of(&self.sessions, query),
            ("GET", ["orders", ""]) => page_of(&self.orders, query),
            ("GET", ["refunds", ""]) => page_of(&self.refunds, query),
            ("GET", ["products", id]) => found(&self.products, id),
            ("GET", ["checkout-links", id]) => found(&self.links, id),
            ("GET", ["checkouts", id]) => found(&self.sessions, id),
            ("GET", ["orders", id]) => found(&self.orders, id),
            _ => {
                self.wrong.push(format!("{method} {path} is no call of Polar's"));
                (307, Value::from("a slash too many or too few"))
            }
        }
    }
}

fn found(all: &BTreeMap<String, Value>, id: &str) -> Answer {
    match all.get(id) {
        Some(one) => (200, one.clone()),
        None => no(404, "ResourceNotFound", "Not found"),
    }
}

/// A page of a list, filtered as the query says.
fn page_of(all: &BTreeMap<String, Value>, query: &[(String, String)]) -> Answer {
    let value = |name: &str| query.iter().find(|(key, _)| key == name).map(|(_, v)| v.as_str());
    let number = |name, default| value(name).map_or(default, |n| n.parse().expect("a number"));
    let (limit, page): (usize, usize) = (number("limit", 10), number("page", 1));
    assert!((1..=100).contains(&limit) && page >= 1, "limit and page");
    let fits = |one: &&Value| {
        query.iter().all(|(key, wanted)| match key.as_str() {
            "limit" | "page" | "sorting" => true,
            "product_id" if one["products"].is_array() => {
                let products = one["products"].as_array().expect("products");
                products.iter().any(|product| product["id"] == *wanted)
            }
            "is_archived" => one["is_archived"] == (wanted == "true"),
            key => match key.strip_prefix("metadata[").and_then(|key| key.strip_suffix(']')) {
                Some(key) => one["metadata"][key] == *wanted,
                None => one[key] == *wanted,
            },
        })
    };
    let mut items: Vec<&Value> = all.values().filter(fits).collect();
    if value("sorting") == Some("-created_at") {
        items.reverse();
    }
    let total = items.len();
    let items: Vec<&Value> = items.into_iter().skip((page - 1) * limit).take(limit).collect();
    let pagination = json!({ "total_count": total, "max_page": total.div_ceil(limit) });
    (200, json!({ "items": items, "pagination": pagination }))
}

async fn serve(
    State(fake): State<Fake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    if !uri.path().starts_with("/v1/") {
        return fake.books().page(&method, uri.path());
    }
    let (status, answer) = fake.api(method.as_str(), &uri, &headers, &body);
    // What is not an object is what a proxy in front of Polar says.
    let (kind, text) = match answer {
        Value::Null => ("application/json", String::new()),
        Value::String(html) => ("text/html", html),
        answer => ("application/json", answer.to_string()),
    };
    let mut answer = Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header(header::CONTENT_TYPE, kind);
    if status == 429 {
        answer = answer.header(header::RETRY_AFTER, "2");
    }
    answer.body(Body::from(text)).expect("an answer")
}
