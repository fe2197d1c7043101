//! Speaks Square's REST API: one call, one answer or one [`Fault`].

use std::time::Duration;

use reqwest::{Method, header::RETRY_AFTER};
use serde_json::Value;

use super::error::Fault;
use crate::{
    clock::Span,
    provider::rest::{Drift, client},
    secret::Secret,
};

/// A call that takes longer is repeated under the same key.
const CALL_TIMEOUT: Duration = Duration::from_secs(8);

/// A connection to Square's API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    version: String,
    token: Secret,
    drift: Drift,
}

impl Client {
    /// # Errors
    /// If no HTTP client can be made.
    pub(super) fn new(base: &str, version: &str, token: Secret) -> Result<Self, reqwest::Error> {
        let http = client(base, CALL_TIMEOUT)?;
        let base = base.trim_end_matches('/').to_owned();
        let drift = Drift::default();
        Ok(Self { http, base, version: version.to_owned(), token, drift })
    }

    /// The HTTP client, for what is not the API: the buyers' pages.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// How far Square's clock is from ours.
    pub(super) fn drift(&self) -> &Drift {
        &self.drift
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn put(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::PUT, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::DELETE, path, None).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(self.token.expose())
            .header("Square-Version", &self.version);
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| lost(&error))?;
        self.drift.note(answer.headers());
        let status = answer.status();
        let after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Span::from_secs);
        let bytes = answer.bytes().await.map_err(|error| lost(&error))?;
        if !status.is_success() {
            return Err(Fault::read(status.as_u16(), after, &bytes));
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| Fault::Lost("answered with something unreadable".to_owned()))
    }
}

/// Never the error's own words: they hold the address, and a proxy's may hold more.
fn lost(error: &reqwest::Error) -> Fault {
    let says = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
    Fault::Lost(says.to_owned())
}

/// A text that an answer must have.
pub(super) fn text<'a>(answer: &'a Value, path: &str) -> Result<&'a str, Fault> {
    let found = answer.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| Fault::Lost(format!("answered without {}", path.trim_start_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::tests::service::{Answer, Service};

    async fn asked(answer: Answer) -> Result<Value, Fault> {
        let service = Service::plays([("GET /x", vec![answer])]).await;
        let http = client(&service.url, Duration::from_millis(200)).expect("a client");
        let (base, version) = (service.url.clone(), "2025-08-20".to_owned());
        let token = Secret::from("token");
        Client { http, base, version, token, drift: Drift::default() }.get("/x").await
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_never_ends_is_none() {
        const HALF: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}";
        const HALF_A_NO: &[u8] = b"HTTP/1.1 404 No\r\ncontent-length: 9\r\n\r\n{}";
        for (answer, says) in [
            (Answer::Bytes(b""), "cannot be reached"),
            (Answer::Bytes(HALF), "cannot be reached"),
            // Not even a no is one before all of it is there.
            (Answer::Bytes(HALF_A_NO), "cannot be reached"),
            (Answer::Stuck(b""), "did not answer in time"),
            (Answer::Stuck(HALF), "did not answer in time"),
            (Answer::Is(200, Value::Null), "answered with something unreadable"),
            (
                Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{"),
                "answered with something unreadable",
            ),
        ] {
            let text = format!("{answer:?}");
            assert_eq!(asked(answer).await, Err(Fault::Lost(says.to_owned())), "{text}");
        }
        assert_eq!(
            asked(serde_json::json!({ "a": 1 }).into()).await,
            Ok(serde_json::json!({ "a": 1 }))
        );
    }
}
