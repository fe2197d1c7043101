//! The way to the desk: one token, few tries, a cookie that is good for a day's work.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
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
    field,
};
use crate::{
    clock::{Span, Timestamp},
    provider::signature::{is_mark, mark},
};

const COOKIE: &str = "livetill_desk";

/// A login is good for so long.
const GOOD_FOR: Span = Span::from_secs(12 * 3600);

/// Wrong tokens within [`TRIES_WITHIN`], from everywhere together: guessing does not get faster by
/// coming from many addresses.
const TRIES_MAX: usize = 10;
const TRIES_WITHIN: Span = Span::from_mins(5);

/// Wrong tries of late.
#[derive(Default)]
pub struct Logins {
    wrong: Mutex<VecDeque<Timestamp>>,
}

impl Logins {
    /// Whether another try is allowed now.
    fn allows(&self, now: Timestamp) -> bool {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        while wrong.front().is_some_and(|at| *at + TRIES_WITHIN <= now) {
            wrong.pop_front();
        }
        wrong.len() < TRIES_MAX
    }

    fn note(&self, now: Timestamp) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push_back(now);
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
    if is_in(&web, request.headers()) {
        return next.run(request).await;
    }
    Redirect::to("/desk/login").into_response()
}

fn is_in(web: &Web, headers: &HeaderMap) -> bool {
    let now = web.engine.now();
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(name, _)| *name == COOKIE)
        .filter_map(|(_, value)| value.split_once('.'))
        .any(|(until, given)| {
            let late = until.parse().is_ok_and(|ms| Timestamp::from_millis(ms) > now);
            late && is_mark(&key(web), until, given)
        })
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
    if !web.memory.logins.allows(now) {
        let says = "Too many wrong tokens. Please wait five minutes.";
        return page(&web, StatusCode::TOO_MANY_REQUESTS, says);
    }
    let given = field(&body, "token");
    let right: bool = given.as_bytes().ct_eq(web.desk_token.expose().as_bytes()).into();
    if !right {
        web.memory.logins.note(now);
        let from = client_ip(&web, peer, &headers);
        tracing::warn!(%from, "a wrong token at the desk");
        return page(&web, StatusCode::FORBIDDEN, "That is not the token.");
    }
    let until = (now + GOOD_FOR).millis().to_string();
    let secure = if web.base_url.starts_with("https://") { "; Secure" } else { "" };
    let cookie = format!(
        "{COOKIE}={until}.{}; Path=/desk; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        mark(&key(&web), &until),
        GOOD_FOR.secs()
    );
    with_cookie(Redirect::to("/desk").into_response(), &cookie)
}

pub(super) async fn log_out() -> Response {
    let cookie = format!("{COOKIE}=; Path=/desk; Max-Age=0; HttpOnly; SameSite=Strict");
    with_cookie(Redirect::to("/desk/login").into_response(), &cookie)
}

fn with_cookie(mut answer: Response, cookie: &str) -> Response {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}
