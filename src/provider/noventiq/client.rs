//! Noventiq's REST API: the login, its token and the header that carries it.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{NAME, order::find};
use crate::{
    clock::{Clock, Span, Timestamp},
    provider::rest::{Complaint, Drift, Fault, Rest, list, text},
    secret::Secret,
};

/// A token lives for 24 hours (the Authentication API's reference); a new one is fetched before.
const RENEW_AFTER: Span = Span::from_secs(20 * 3600);

/// A refused login is not tried again for every call that waits.
const REFUSED_FOR: Span = Span::from_secs(5);

/// The literal name of the header, which is not `Authorization`.
const TOKEN_HEADER: &str = "AuthorizationJWT";

const LOGIN: &str = "/v1/login_check";

/// A connection to Noventiq's API.
pub(super) struct Client {
    rest: Rest,
    clock: Arc<dyn Clock>,
    username: Secret,
    password: Secret,
    /// Held while logging in, so that many calls log in once.
    login: Mutex<Login>,
}

/// What came of the last login.
enum Login {
    Never,
    Token { bearer: String, since: Timestamp },
    Refused { fault: Fault, at: Timestamp },
}

impl Client {
    /// How far Noventiq's clock is from ours.
    pub(super) fn drift(&self) -> &Drift {
        self.rest.drift()
    }

    /// # Errors
    /// If no HTTP client can be made.
    pub(super) fn new(
        base: &str,
        username: Secret,
        password: Secret,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let rest = Rest::new(base, "Noventiq", complaint)?;
        Ok(Self { rest, clock, username, password, login: Mutex::new(Login::Never) })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// What a buyer's browser would be answered with.
    pub(super) async fn page_status(&self, url: &str) -> Option<u16> {
        self.rest.page_status(url).await
    }

    /// Makes sure that there is a token.
    pub(super) async fn log_in(&self) -> Result<(), Fault> {
        self.bearer(None).await.map(drop)
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let bearer = self.bearer(None).await?;
        let headers = [(TOKEN_HEADER, bearer.as_str()), ("content-type", "application/json")];
        let answer = self.rest.call(method.clone(), path, &headers, body).await;
        match answer {
            // A token can end before its time. Nothing was done: once more under a new one.
            Err(fault) if fault.status() == Some(401) => {
                let bearer = self.bearer(Some(&bearer)).await?;
                let headers =
                    [(TOKEN_HEADER, bearer.as_str()), ("content-type", "application/json")];
                self.rest.call(method, path, &headers, body).await
            }
            answer => answer,
        }
    }

    /// The header's value; logs in where there is none, it is old, or it is the `refused` one.
    async fn bearer(&self, refused: Option<&str>) -> Result<String, Fault> {
        let mut login = self.login.lock().await;
        let now = self.clock.now();
        match &*login {
            Login::Token { bearer, since }
                if now.since(*since) < RENEW_AFTER && refused != Some(bearer) =>
            {
                return Ok(bearer.clone());
            }
            Login::Refused { fault, at } if now.since(*at) < REFUSED_FOR => {
                return Err(fault.clone());
            }
            Login::Never | Login::Token { .. } | Login::Refused { .. } => {}
        }
        match self.fetch_token().await {
            Ok(bearer) => {
                *login = Login::Token { bearer: bearer.clone(), since: now };
                Ok(bearer)
            }
            Err(fault) => {
                if fault.is_definite() {
                    *login = Login::Refused { fault: fault.clone(), at: now };
                }
                Err(fault)
            }
        }
    }

    async fn fetch_token(&self) -> Result<String, Fault> {
        let body = json!({
            "username": self.username.expose().trim(),
            "password": self.password.expose().trim(),
        });
        let answer = self.rest.call(Method::POST, LOGIN, &[], Some(&body)).await;
        let answer = answer.map_err(|fault| match fault {
            Fault::Refused { status, code, says, after } if (400..=499).contains(&status) => {
                let upper = NAME.to_uppercase();
                let says = format!(
                    "{says}. It refuses the login: set LIVETILL_PROVIDERS__{upper}__USERNAME and \
                     LIVETILL_PROVIDERS__{upper}__PASSWORD to credentials of this environment"
                );
                Fault::Refused { status, code, says, after }
            }
            other => other,
        })?;
        let place = find(&answer, "token").unwrap_or(&answer);
        Ok(format!("Bearer {}", text(place, "/token")?))
    }
}

/// `{"errors": [{"error": number, "message": text}]}`; the code is the first one's.
fn complaint(body: &Value) -> Option<Complaint> {
    let errors = list(body, "/errors");
    let word = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let code = word(&errors.first()?["error"]);
    let says = errors.iter().map(|one| match one["message"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("error {}", word(&one["error"])),
    });
    Some(Complaint { code, says: says.collect::<Vec<_>>().join("; ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_keep_number_and_words() {
        let body = json!({ "errors": [
            { "error": 1007, "message": "Your token is invalid." }, { "error": 7 },
        ] });
        let read = complaint(&body).expect("read");
        assert_eq!((read.code.as_str(), &*read.says), ("1007", "Your token is invalid.; error 7"));
        assert!(complaint(&json!({ "errors": [] })).is_none() && complaint(&json!(1)).is_none());
    }
}
