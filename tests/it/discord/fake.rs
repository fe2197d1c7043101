//! A fake Discord: its HTTP API over a real socket, holding us to Discord's rules, with faults on
//! demand. What breaks a rule is kept and fails the test at its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use super::{
    PATIENCE, contract,
    fixtures::{APPLICATION, BOT, GUILD, TOKEN, channel, posted, roles, user},
    socket::{self, Do, Gateway},
};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    pub method: String,
    pub path: String,
    pub body: Value,
}

/// A fault: the next `times` requests of that kind are answered so.
#[derive(Clone, Debug)]
pub struct Fault {
    pub method: &'static str,
    pub part: &'static str,
    pub status: u16,
    pub body: Value,
    pub times: u32,
    /// It is carried out all the same: only the answer is lost.
    pub done: bool,
}

/// What somebody who used a command, a button or a menu sees.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Kinds of first answers: 4, 5, 6 or 8.
    pub kinds: Vec<u64>,
    /// The private message as it is now; none while it waits.
    pub shown: Option<Value>,
    pub more: Vec<Value>,
    /// The first answer, whole.
    pub first: Value,
    /// Which message it was under.
    pub under: Option<String>,
    pub dropped: bool,
}

pub struct All {
    pub token: String,
    pub flags: u64,
    pub refuses_content: bool,
    pub heartbeat_ms: u64,
    pub calls: Vec<Call>,
    pub faults: Vec<Fault>,
    /// Messages by channel and id, as they are now.
    pub messages: BTreeMap<String, BTreeMap<u64, Value>>,
    pub nonces: BTreeMap<String, u64>,
    /// Channels and what they answer: 50001 or 50013.
    pub closed: BTreeMap<String, u64>,
    /// Exceptions for the channels' rights.
    pub overwrites: BTreeMap<String, Value>,
    /// Types of channels that hold no plain text.
    pub types: BTreeMap<String, u64>,
    pub seen: BTreeMap<String, Seen>,
    pub registered: Vec<Value>,
    pub gateway: Gateway,
    pub broken: BTreeSet<String>,
    next: u64,
}

pub struct Fake {
    pub url: String,
    gateway_url: String,
    all: Mutex<All>,
    bell: watch::Sender<u64>,
}

impl Fake {
    pub async fn start() -> Arc<Self> {
        let rest = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gateway = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let all = All {
            token: TOKEN.to_owned(),
            flags: 1 << 19,
            refuses_content: false,
            heartbeat_ms: 30_000,
            calls: Vec::new(),
            faults: Vec::new(),
            messages: BTreeMap::new(),
            nonces: BTreeMap::new(),
            closed: BTreeMap::new(),
            overwrites: BTreeMap::new(),
            types: BTreeMap::new(),
            seen: BTreeMap::new(),
            registered: Vec::new(),
            gateway: Gateway::default(),
            broken: BTreeSet::new(),
            next: 900_000,
        };
        let fake = Arc::new(Self {
            url: format!("http://{}", rest.local_addr().expect("an address")),
            gateway_url: format!("ws://{}", gateway.local_addr().expect("an address")),
            all: Mutex::new(all),
            bell: watch::Sender::new(0),
        });
        let router = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(rest, router).await });
        tokio::spawn(socket::serve(fake.clone(), gateway));
        fake
    }

    /// Looks at or changes everything.
    pub fn with<T>(&self, look: impl FnOnce(&mut All) -> T) -> T {
        look(&mut self.all.lock().expect("unpoisoned"))
    }

    pub fn changed(&self) {
        self.bell.send_modify(|n| *n += 1);
    }

    /// Waits until that holds.
    pub async fn until(&self, what: &str, mut holds: impl FnMut(&mut All) -> bool) {
        let mut bell = self.bell.subscribe();
        let wait = async {
            while !self.with(&mut holds) {
                bell.changed().await.expect("the fake lives");
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        assert!(waited.is_ok(), "{what}: it never came to that");
    }

    pub fn fresh(&self) -> u64 {
        self.with(|all| {
            all.next += 1;
            all.next
        })
    }

    /// Does something to the present connection.
    pub fn gateway(&self, what: Do) {
        let now = self.with(|all| all.gateway.now.clone()).expect("a connection");
        now.send(what).expect("it is open");
    }

    pub fn event(&self, name: &'static str, data: Value) {
        self.gateway(Do::Event(name, data));
    }

    pub fn fault(
        &self,
        method: &'static str,
        part: &'static str,
        status: u16,
        code: u64,
        times: u32,
    ) {
        let body = json!({ "code": code, "message": "as the test wants it" });
        self.with(|all| {
            all.faults.push(Fault { method, part, status, body, times, done: false });
        });
    }

    /// Messages of the bot in a channel, oldest first.
    pub fn messages(&self, channel: u64) -> Vec<Value> {
        let channel = channel.to_string();
        self.with(|all| {
            all.messages.get(&channel).into_iter().flat_map(|m| m.values()).cloned().collect()
        })
    }

    /// Messages that show a sale: those with an embed.
    pub fn live(&self, channel: u64) -> Vec<Value> {
        let mut all = self.messages(channel);
        all.retain(|message| message["embeds"].as_array().is_some_and(|all| !all.is_empty()));
        all
    }

    pub fn calls(&self, method: &str, part: &str) -> Vec<Call> {
        self.with(|all| {
            let fits = |call: &&Call| call.method == method && call.path.contains(part);
            all.calls.iter().filter(fits).cloned().collect()
        })
    }

    /// Fails if a rule of Discord's was broken.
    pub fn done(&self) {
        let broken = self.with(|all| all.broken.clone());
        assert!(broken.is_empty(), "Discord's rules were broken: {broken:#?}");
    }
}

async fn answer(
    State(fake): State<Arc<Fake>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let path = uri.path().strip_prefix("/api/v10").unwrap_or_default().to_owned();
    let authorised = headers.get("authorization").and_then(|value| value.to_str().ok());
    let (status, body) = fake.with(|all| {
        let call = Call { method: method.to_string(), path: path.clone(), body: body.clone() };
        all.calls.push(call.clone());
        if authorised != Some(&format!("Bot {}", all.token)) {
            return (401, json!({ "code": 0, "message": "401: Unauthorized" }));
        }
        let takes = contract::takes_body(&call.method, &path);
        if takes || !body.is_null() {
            all.broken.extend(contract::wrong(&call.method, &path, &body));
        }
        let fault = all.faults.iter_mut().find(|fault| {
            fault.times > 0 && fault.method == call.method && path.contains(fault.part)
        });
        if let Some(fault) = fault {
            fault.times -= 1;
            let fault = fault.clone();
            if fault.done {
                act(all, &call, &fake.gateway_url);
            }
            return (fault.status, fault.body);
        }
        act(all, &call, &fake.gateway_url)
    });
    fake.changed();
    let status = StatusCode::from_u16(status).expect("a status");
    if status == StatusCode::NO_CONTENT {
        return status.into_response();
    }
    (status, axum::Json(body)).into_response()
}

fn error(status: u16, code: u64, says: &str) -> (u16, Value) {
    (status, json!({ "code": code, "message": says }))
}

fn act(all: &mut All, call: &Call, gateway: &str) -> (u16, Value) {
    let parts: Vec<&str> = call.path.split('/').skip(1).collect();
    match (call.method.as_str(), parts.as_slice()) {
        ("GET", ["gateway"]) => (200, json!({ "url": gateway })),
        ("GET", ["users", "@me"]) => (200, user(BOT, "Till")),
        ("GET", ["oauth2", "applications", "@me"]) => {
            (200, json!({ "id": APPLICATION.to_string(), "name": "Till", "flags": all.flags }))
        }
        ("GET", ["channels", id]) => match all.closed.get(*id) {
            Some(50_001) => error(403, 50_001, "Missing Access"),
            _ if !["1001", "1002", "1003"].contains(id) => error(404, 10_003, "Unknown Channel"),
            _ => {
                let mut channel = channel(GUILD, id.parse().expect("an id"), "shop");
                if let Some(rules) = all.overwrites.get(*id) {
                    channel["permission_overwrites"] = rules.clone();
                }
                if let Some(code) = all.types.get(*id) {
                    channel["type"] = (*code).into();
                    if (10..=12).contains(code) {
                        channel["parent_id"] = "1003".into();
                    }
                }
                (200, channel)
            }
        },
        ("GET", ["guilds", id]) => {
            (200, json!({ "id": id, "owner_id": "11", "roles": roles(GUILD) }))
        }
        ("GET", ["guilds", _, "members", id]) => {
            (200, json!({ "user": { "id": id }, "roles": [] }))
        }
        ("POST", ["channels", channel, "messages"]) => post(all, channel, &call.body),
        ("PATCH", ["channels", channel, "messages", id]) => edit(all, channel, id, &call.body),
        ("DELETE", ["channels", channel, "messages", id]) => remove(all, channel, id),
        ("POST", ["interactions", _, token, "callback"]) => callback(all, token, &call.body),
        (method, ["webhooks", _, token, "messages", "@original"]) => {
            original(all, token, method, &call.body)
        }
        ("POST", ["webhooks", _, token]) => {
            let seen = all.seen.entry((*token).to_owned()).or_default();
            seen.more.push(call.body.clone());
            (200, posted(1, "1", &call.body))
        }
        ("PUT", ["applications", _, "guilds", guild, "commands"]) => {
            all.registered.push(json!({ "guild": guild, "commands": call.body }));
            (200, json!([]))
        }
        _ => {
            all.broken.insert(format!("{} {}: no such address", call.method, call.path));
            error(404, 0, "404: Not Found")
        }
    }
}

fn closed(all: &All, channel: &str) -> Option<(u16, Value)> {
    let code = all.closed.get(channel)?;
    Some(error(403, *code, if *code == 50_001 { "Missing Access" } else { "Missing Permissions" }))
}

fn post(all: &mut All, channel: &str, body: &Value) -> (u16, Value) {
    if let Some(no) = closed(all, channel) {
        return no;
    }
    let empty = body["content"].as_str().is_none_or(str::is_empty);
    if empty && body["embeds"].as_array().is_none_or(Vec::is_empty) {
        return error(400, 50_006, "Cannot send an empty message");
    }
    mentions(all, body);
    if let Some(nonce) = body["nonce"].as_str().filter(|_| body["enforce_nonce"] == true)
        && let Some(id) = all.nonces.get(nonce)
    {
        return (200, posted(*id, channel, body));
    }
    all.next += 1;
    let id = all.next;
    if let Some(nonce) = body["nonce"].as_str() {
        all.nonces.insert(nonce.to_owned(), id);
    }
    let message = posted(id, channel, body);
    all.messages.entry(channel.to_owned()).or_default().insert(id, message.clone());
    (200, message)
}

fn edit(all: &mut All, channel: &str, id: &str, body: &Value) -> (u16, Value) {
    if let Some(no) = closed(all, channel) {
        return no;
    }
    mentions(all, body);
    let id: u64 = id.parse().expect("an id");
    let message = all.messages.get_mut(channel).and_then(|messages| messages.get_mut(&id));
    let Some(message) = message else { return error(404, 10_008, "Unknown Message") };
    for (field, value) in body.as_object().into_iter().flatten() {
        message[field] = value.clone();
    }
    (200, message.clone())
}

fn remove(all: &mut All, channel: &str, id: &str) -> (u16, Value) {
    let id: u64 = id.parse().expect("an id");
    let messages = all.messages.get_mut(channel);
    match messages.and_then(|messages| messages.remove(&id)) {
        Some(_) => (204, Value::Null),
        None => error(404, 10_008, "Unknown Message"),
    }
}

/// Whatever is sent says that nobody is mentioned, but for roles by their ids.
fn mentions(all: &mut All, body: &Value) {
    let rules = &body["allowed_mentions"];
    let quiet = rules["parse"].as_array().is_some_and(Vec::is_empty)
        && rules["users"].as_array().is_none_or(Vec::is_empty)
        && rules["replied_user"] != true;
    if !quiet {
        all.broken.insert(format!("somebody may be mentioned: {body}"));
    }
}

fn callback(all: &mut All, token: &str, body: &Value) -> (u16, Value) {
    let seen = all.seen.entry(token.to_owned()).or_default();
    if !seen.kinds.is_empty() {
        all.broken.insert(format!("{token}: answered twice"));
        return error(400, 40_060, "Interaction has already been acknowledged.");
    }
    seen.kinds.push(body["type"].as_u64().unwrap_or(0));
    seen.first = body.clone();
    if body["type"] == 4 {
        seen.shown = Some(body["data"].clone());
        mentions(all, &body["data"]);
    }
    (204, Value::Null)
}

fn original(all: &mut All, token: &str, method: &str, body: &Value) -> (u16, Value) {
    let Some(seen) = all.seen.get_mut(token).filter(|seen| !seen.kinds.is_empty()) else {
        return error(404, 10_015, "Unknown Webhook");
    };
    match method {
        "DELETE" => {
            seen.dropped = true;
            (204, Value::Null)
        }
        _ => {
            seen.shown = Some(body.clone());
            if let Some(under) = seen.under.clone().and_then(|id| id.parse::<u64>().ok()) {
                for messages in all.messages.values_mut() {
                    if let Some(message) = messages.get_mut(&under) {
                        for (field, value) in body.as_object().into_iter().flatten() {
                            message[field] = value.clone();
                        }
                    }
                }
            }
            mentions(all, body);
            (200, posted(1, "1", body))
        }
    }
}
