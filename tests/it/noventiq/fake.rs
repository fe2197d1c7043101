//! A stand-in for Noventiq Checkout: its API as its documentation tells it, over HTTP.
//!
//! Tokens that end, a header with a name of its own, links that are good for one order and cannot
//! be taken back, refunds that people decide on; and it plays faults when told to.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method, Response, StatusCode, Uri, header},
};
use livetill::clock::Clock;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::ManualClock;

pub const USERNAME: &str = "seller@shop.example";
pub const PASSWORD: &str = "pass;word";

/// A token lives so long.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// A search answers so many ids at the most.
const PAGE: usize = 20;

/// What it does badly.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Answers nothing but 503.
    pub away: bool,
    /// Every call takes this long.
    pub latency: Duration,
    /// About every n-th change is done and its answer lost.
    pub lose_every: u64,
    /// That many calls are answered 500 before doing anything.
    pub broken: u32,
    /// Buyers' data of that address are refused.
    pub bad_email: Option<String>,
    /// Discount codes and the like: what the buyer pays beyond what was asked, in cents.
    pub surcharge: i64,
    /// Links lead nowhere.
    pub dead_links: bool,
    /// Replies stand in an envelope.
    pub enveloped: bool,
    /// Links have no id.
    pub anonymous: bool,
}

/// Everything it knows.
#[derive(Default)]
pub struct Books {
    /// Tokens, and when they end.
    pub tokens: BTreeMap<String, i64>,
    /// Links by the end of their address.
    pub links: BTreeMap<String, Value>,
    /// Orders by id.
    pub orders: BTreeMap<u64, Value>,
    /// Webhooks on their way.
    pub events: VecDeque<Value>,
    /// Every call, as method and path.
    pub calls: Vec<String>,
    /// Calls that break the documented protocol.
    pub wrong: Vec<String>,
    pub faults: Faults,
    pub now: i64,
    pub url: String,
    pub ids: u64,
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

pub fn no(status: u16, error: u32, message: &str) -> Answer {
    (status, json!({ "errors": [{ "error": error, "message": message }] }))
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

    /// Plays these faults from now on.
    pub fn set(&self, faults: Faults) {
        self.books().faults = faults;
    }

    /// A buyer places an order and pays it; `None` if the link was used up.
    pub fn pay(&self, link: &str) -> Option<u64> {
        let mut books = self.books();
        let order = books.place(link)?;
        books.succeed(order);
        Some(order)
    }

    /// Against all rules, a link brings one more paid order.
    pub fn pay_again(&self, link: &str) -> u64 {
        let mut books = self.books();
        books.links.get_mut(link).expect("known")["used"] = false.into();
        let order = books.place(link).expect("may be placed");
        books.succeed(order);
        order
    }

    /// Links made for a hold, by their reference, in their order.
    pub fn links_of(&self, hold: &str) -> Vec<String> {
        let books = self.books();
        let ours = |link: &&Value| link["request"]["products"][0]["vendor_code"] == hold;
        let all = books.links.values().filter(ours);
        all.map(|link| link["key"].as_str().expect("a key").to_owned()).collect()
    }

    /// What was paid and not given back, in cents.
    pub fn ledger(&self) -> i64 {
        let books = self.books();
        let paid = books.orders.values().filter(|order| order["status"] == "paid");
        paid.map(|order| order["cents"].as_i64().expect("an amount")).sum()
    }

    /// Orders in that status.
    pub fn orders(&self, status: &str) -> Vec<u64> {
        let books = self.books();
        let all = books.orders.iter().filter(|(_, order)| order["status"] == status);
        all.map(|(id, _)| *id).collect()
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
            return (503, Value::from("<html>away</html>"));
        }
        if books.faults.broken > 0 {
            books.faults.broken -= 1;
            return no(500, 1, "Internal error.");
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let is_json = text("content-type") == Some("application/json");
        if method == "POST" && !is_json {
            books.wrong.push(format!("{method} {path} as {:?}", text("content-type")));
            return no(400, 2, "content-type must be application/json");
        }
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        if (method, path) == ("POST", "/v1/login_check") {
            return books.log_in(&body);
        }
        if text("authorization").is_some() {
            books.wrong.push(format!("{method} {path} with the header Authorization"));
        }
        if let Some(refused) = books.refuses(text("authorizationjwt")) {
            return refused;
        }
        let answer = books.answer(method, path, &body);
        let changes = !path.ends_with("/search") && method != "GET";
        if changes && answer.0 < 300 {
            books.changes += 1;
            let every = books.faults.lose_every;
            let mixed = books.changes.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
            if every > 0 && mixed.is_multiple_of(every) {
                return (502, Value::from("<html>bad gateway</html>"));
            }
        }
        match books.faults.enveloped && answer.0 == 200 {
            true => (200, json!({ "result": { "data": answer.1 } })),
            false => answer,
        }
    }
}

impl Books {
    fn log_in(&mut self, body: &Value) -> Answer {
        if body["username"] != USERNAME || body["password"] != PASSWORD {
            return no(401, 1001, "Bad credentials.");
        }
        self.ids += 1;
        let token = format!("token-{}", self.ids);
        // The old ones stay good.
        self.tokens.insert(token.clone(), self.now + DAY_MS);
        (200, json!({ "token": token, "refresh_token": "of no use" }))
    }

    fn refuses(&self, header: Option<&str>) -> Option<Answer> {
        let Some(header) = header else {
            return Some(no(401, 1008, "Your token is missing."));
        };
        match header.strip_prefix("Bearer ").and_then(|token| self.tokens.get(token)) {
            None => Some(no(401, 1007, "Your token is invalid.")),
            Some(ends) if *ends <= self.now => Some(no(401, 1009, "Your token is expired.")),
            Some(_) => None,
        }
    }

    fn answer(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let segments: Vec<&str> = path.trim_start_matches("/v1/").split('/').collect();
        match (method, segments.as_slice()) {
            ("POST", ["generate_buy_link"]) => self.make_link(body),
            ("POST", ["order", "search"]) => self.search(body),
            ("GET", ["order", id]) => {
                match id.parse().ok().and_then(|id: u64| self.orders.get(&id)) {
                    Some(order) => (200, order.clone()),
                    None => no(404, 3, "Order not found."),
                }
            }
            ("POST", ["order", id, "refund"]) => self.ask_refund(id, body),
            _ => {
                self.wrong.push(format!("{method} {path} is no call of Noventiq's"));
                no(404, 4, "No route found.")
            }
        }
    }

    fn search(&mut self, body: &Value) -> Answer {
        let known = ["status", "external_id", "pay_date_from", "pay_date_to"];
        for key in body.as_object().into_iter().flat_map(|all| all.keys()) {
            if !known.contains(&key.as_str()) {
                self.wrong.push(format!("a search by {key}"));
            }
        }
        for key in ["pay_date_from", "pay_date_to"] {
            let plain = |text: &str| text.len() == 25 && !text.contains(['Z', '.']);
            if body[key].as_str().is_some_and(|text| !plain(text)) {
                return no(400, 5, &format!("{key} must be like YYYY-MM-DDThh:mm:ss±hh:mm"));
            }
        }
        let fits = |order: &&Value| {
            let is = |key: &str| body[key].is_null() || order[key] == body[key];
            let at = order["pay_date"].as_str().unwrap_or_default();
            let from =
                body["pay_date_from"].as_str().is_none_or(|from| !at.is_empty() && at >= from);
            let to = body["pay_date_to"].as_str().is_none_or(|to| !at.is_empty() && at <= to);
            is("status") && is("external_id") && from && to
        };
        let found: Vec<&Value> =
            self.orders.values().filter(fits).map(|order| &order["order_id"]).take(PAGE).collect();
        (200, json!({ "ids": found }))
    }
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
    let latency = fake.books().faults.latency;
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let (status, answer) = fake.api(method.as_str(), &uri, &headers, &body);
    // What is not an object is what a proxy in front says.
    let (kind, text) = match answer {
        Value::String(html) => ("text/html", html),
        answer => ("application/json", answer.to_string()),
    };
    let answer = Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header(header::CONTENT_TYPE, kind);
    answer.body(Body::from(text)).expect("an answer")
}
