//! A token service like id.twitch.tv: validates, renews with rotation, logs devices in.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::fake::{BOT, BOT_ID};

pub const CLIENT: &str = "app-1";

#[derive(Default)]
pub struct Books {
    /// Access tokens that are good, and whose they are.
    pub access: BTreeMap<String, String>,
    /// Refresh tokens that were not used yet.
    pub refresh: BTreeSet<String>,
    pub scopes: Vec<String>,
    /// Seconds for which a new access token is good.
    pub lasts: i64,
    /// It answers 503.
    pub down: bool,
    /// Whether the person has agreed, and as whom.
    pub agreed: Option<String>,
    /// Questions so far.
    pub validated: usize,
    pub refreshed: usize,
    pub polled: usize,
    made: usize,
}

/// The token service; clones share their books.
#[derive(Clone)]
pub struct Id {
    pub address: SocketAddr,
    books: Arc<Mutex<Books>>,
}

impl Id {
    /// A service that knows one access and one refresh token of the bot.
    pub async fn start() -> Self {
        let books = Books {
            access: BTreeMap::from([("access-1".to_owned(), BOT.to_owned())]),
            refresh: BTreeSet::from(["refresh-1".to_owned()]),
            scopes: vec!["chat:read".to_owned(), "chat:edit".to_owned()],
            lasts: 14_000,
            made: 1,
            ..Books::default()
        };
        let books = Arc::new(Mutex::new(books));
        let router = Router::new()
            .route("/oauth2/validate", get(validate))
            .route("/oauth2/token", post(token))
            .route("/oauth2/device", post(device))
            .with_state(books.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, books }
    }

    pub fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("unpoisoned")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Whether the token is good for that login.
    pub fn is_good(&self, token: &str, login: &str) -> bool {
        self.books().access.get(token).is_some_and(|whose| whose == login)
    }

    /// The token is good no more.
    pub fn revoke(&self, token: &str) {
        self.books().access.remove(token);
    }
}

type Shared = State<Arc<Mutex<Books>>>;

fn no(status: StatusCode, message: &str) -> Response {
    let body = json!({ "status": status.as_u16(), "message": message });
    (status, Json(body)).into_response()
}

async fn validate(State(books): Shared, headers: HeaderMap) -> Response {
    let mut books = books.lock().expect("unpoisoned");
    books.validated += 1;
    if books.down {
        return no(StatusCode::SERVICE_UNAVAILABLE, "");
    }
    let token = headers.get("authorization").and_then(|value| value.to_str().ok());
    let whose = token
        .and_then(|token| token.strip_prefix("OAuth "))
        .and_then(|token| books.access.get(token));
    match whose {
        Some(login) => Json(json!({
            "client_id": CLIENT, "login": login, "scopes": books.scopes, "user_id": BOT_ID,
            "expires_in": books.lasts,
        }))
        .into_response(),
        None => no(StatusCode::UNAUTHORIZED, "invalid access token"),
    }
}

impl Books {
    fn make(&mut self, login: &str) -> Value {
        self.made += 1;
        let n = self.made;
        for kind in ["access", "refresh"] {
            super::is_secret(&format!("{kind}-{n}"));
        }
        self.access.insert(format!("access-{n}"), login.to_owned());
        self.refresh.insert(format!("refresh-{n}"));
        json!({
            "access_token": format!("access-{n}"), "refresh_token": format!("refresh-{n}"),
            "expires_in": self.lasts, "scope": self.scopes, "token_type": "bearer",
        })
    }
}

async fn token(State(books): Shared, Form(form): Form<BTreeMap<String, String>>) -> Response {
    let mut books = books.lock().expect("unpoisoned");
    if books.down {
        return no(StatusCode::SERVICE_UNAVAILABLE, "");
    }
    if form.get("client_id").map(String::as_str) != Some(CLIENT) {
        return no(StatusCode::BAD_REQUEST, "invalid client");
    }
    match form.get("grant_type").map(String::as_str) {
        Some("refresh_token") => {
            books.refreshed += 1;
            // The old pair is good no more: a public application's refresh token works once.
            if !books.refresh.remove(form.get("refresh_token").map_or("", String::as_str)) {
                return no(StatusCode::BAD_REQUEST, "Invalid refresh token");
            }
            Json(books.make(BOT)).into_response()
        }
        Some("urn:ietf:params:oauth:grant-type:device_code") => {
            books.polled += 1;
            if form.get("device_code").map(String::as_str) != Some("device-secret") {
                return no(StatusCode::BAD_REQUEST, "invalid device code");
            }
            match books.agreed.clone() {
                Some(login) => Json(books.make(&login)).into_response(),
                None => no(StatusCode::BAD_REQUEST, "authorization_pending"),
            }
        }
        _ => no(StatusCode::BAD_REQUEST, "unknown grant type"),
    }
}

async fn device(State(books): Shared, Form(form): Form<BTreeMap<String, String>>) -> Response {
    if books.lock().expect("unpoisoned").down {
        return no(StatusCode::SERVICE_UNAVAILABLE, "");
    }
    if form.get("client_id").map(String::as_str) != Some(CLIENT) {
        return no(StatusCode::BAD_REQUEST, "invalid client");
    }
    assert_eq!(form.get("scopes").map(String::as_str), Some("chat:read chat:edit"));
    Json(json!({
        "device_code": "device-secret", "expires_in": 1800, "interval": 1,
        "user_code": "ABCDEFGH", "verification_uri": "https://www.twitch.tv/activate?device-code=ABCDEFGH",
    }))
    .into_response()
}
