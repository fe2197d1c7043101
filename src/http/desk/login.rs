//! The way to the desk: one token, a cookie that is good for a day's work or until somebody
//! logs out.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use subtle::ConstantTimeEq;

use super::{
    super::{Web, desk_page::LoginPage, live::missing, page::render, peer::client_ip},
    away, field,
};
use crate::{
    clock::{Span, Timestamp},
    mac::{is_mark, mark},
    store::{DocChange, StoreError},
};

const COOKIE: &str = "livetill_desk";

/// A login is good for so long.
const GOOD_FOR: Span = Span::from_secs(12 * 3600);

/// So many wrong tokens are answered at once; the answers to further ones take [`SLOWLY`], until
/// none came for [`FORGIVEN_AFTER`].
const QUICK_MAX: u32 = 5;
const SLOWLY: Duration = Duration::from_secs(1);
const FORGIVEN_AFTER: Span = Span::from_mins(5);

/// The document whose version counts how often everybody was logged out.
const KIND: &str = "desk";
const ID: &str = "sessions";

/// Logging out is tried again this often when somebody else was faster.
const TRIES: usize = 4;

/// Wrong tries of late. They slow down whoever guesses; they keep nobody out, since a token is too
/// long to be guessed.
#[derive(Default)]
pub struct Logins(Mutex<(u32, Timestamp)>);

impl Logins {
    /// Notes a wrong try; whether it is answered slowly.
    fn note(&self, now: Timestamp) -> bool {
        let mut wrong = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (tries, last) = *wrong;
        let tries = if last + FORGIVEN_AFTER <= now { 0 } else { tries };
        *wrong = (tries.saturating_add(1), now);
        tries >= QUICK_MAX
    }
}

/// Turns everybody else to the login; without a token set, there is no desk.
pub(super) async fn only_the_owner(
    State(web): State<Arc<Web>>,
    request: Request,
    next: Next,
) -> Response {
    if !web.desk_token.is_set() {
        return missing(&web);
    }
    let logins = logins(&web, request.headers());
    match is_in(&web, logins).await {
        Ok(true) => next.run(request).await,
        Ok(false) => Redirect::to("/desk/login").into_response(),
        Err(error) => away(&error),
    }
}

/// How often everybody was logged out so far: a login from before is none any more.
async fn generation(web: &Web) -> Result<i64, StoreError> {
    let doc = web.engine.store().doc(KIND, ID).await?;
    Ok(doc.map_or(0, |doc| doc.version))
}

/// Generations of the logins that a browser shows, as far as they are ours and not over.
fn logins(web: &Web, headers: &HeaderMap) -> Vec<i64> {
    let now = web.engine.now();
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .filter_map(|(_, value)| value.split_once('.'))
        .filter(|(session, given)| is_mark(&key(web), session, given))
        .filter_map(|(session, _)| session.split_once('-'))
        .filter(|(until, _)| until.parse().is_ok_and(|ms| Timestamp::from_millis(ms) > now))
        .filter_map(|(_, generation)| generation.parse().ok())
        .collect()
}

async fn is_in(web: &Web, logins: Vec<i64>) -> Result<bool, StoreError> {
    Ok(!logins.is_empty() && logins.contains(&generation(web).await?))
}

/// Changing the token ends every login.
fn key(web: &Web) -> Vec<u8> {
    let mut key = web.keys.desk.clone();
    key.extend_from_slice(web.desk_token.expose().as_bytes());
    key
}

pub(in super::super) async fn form(State(web): State<Arc<Web>>) -> Response {
    if !web.desk_token.is_set() {
        return missing(&web);
    }
    page(&web, StatusCode::OK, "")
}

fn page(web: &Web, status: StatusCode, says: &str) -> Response {
    render(status, &LoginPage { shop: &web.shop_name, sandbox: false, says })
}

pub(in super::super) async fn log_in(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !web.desk_token.is_set() {
        return missing(&web);
    }
    let now = web.engine.now();
    let given = field(&body, "token");
    let token = web.desk_token.expose().trim().as_bytes();
    let right: bool = given.as_bytes().ct_eq(token).into();
    if !right {
        let from = client_ip(&web, peer, &headers);
        tracing::warn!(%from, "a wrong token at the desk");
        // Those who wait have places of their own; beyond them nobody is kept waiting.
        if web.memory.logins.note(now)
            && let Some(_wait) = web.doors.places.wait()
        {
            tokio::time::sleep(SLOWLY).await;
        }
        return page(&web, StatusCode::FORBIDDEN, "Wrong token.");
    }
    let generation = match generation(&web).await {
        Ok(generation) => generation,
        Err(error) => return away(&error),
    };
    let session = format!("{}-{generation}", (now + GOOD_FOR).millis());
    let secure = if web.base_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={session}.{}; Path=/desk; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        mark(&key(&web), &session),
        GOOD_FOR.secs()
    );
    with_cookie(Redirect::to("/desk").into_response(), &cookie)
}

/// Ends every login there is, whichever browser has a copy of it.
pub(super) async fn log_out(State(web): State<Arc<Web>>) -> Response {
    match end_sessions(&web).await {
        Ok(true) => {}
        Ok(false) => return away(&"somebody else logs out at the same time"),
        Err(error) => return away(&error),
    }
    let cookie = format!("{COOKIE}=; Path=/desk; Max-Age=0; HttpOnly; SameSite=Strict");
    with_cookie(Redirect::to("/desk/login").into_response(), &cookie)
}

async fn end_sessions(web: &Web) -> Result<bool, StoreError> {
    for _ in 0..TRIES {
        let change = DocChange {
            kind: KIND,
            id: ID.to_owned(),
            parent: String::new(),
            expected: generation(web).await?,
            body: Some(serde_json::Value::Null),
        };
        if web.engine.store().put_docs(vec![change]).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}
