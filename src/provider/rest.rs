//! Speaks JSON over HTTP for adapters: one call, one answer or one [`Fault`], and what the worker
//! does next about it.

mod drift;

use std::time::Duration;

use reqwest::{Method, header::RETRY_AFTER};
use serde_json::Value;

pub(super) use self::drift::Drift;
use crate::{clock::Span, provider::ProviderError};

/// A call that takes longer has an unknown outcome. Four of them, the most that an effect takes,
/// are over within the worker's own deadline, so that no call is cut off without being known of.
const CALL_TIMEOUT: Duration = Duration::from_millis(4500);

/// After a refused token: somebody must mend it, and the work must not be lost meanwhile.
const MEND: Span = Span::from_secs(60);

/// Without idempotency keys, a call whose answer was lost must be over at the service before its
/// work is looked for: longer than a lease.
const SETTLES: Span = Span::from_secs(30);

/// Bytes of an unreadable answer that are kept.
const RAW_MAX: usize = 160;

/// A service, and how it says no.
pub(super) struct Rest {
    http: reqwest::Client,
    base: String,
    name: &'static str,
    complaint: fn(&Value) -> Option<Complaint>,
    drift: Drift,
}

/// What a service says is wrong.
pub(super) struct Complaint {
    /// Its code or class; open, since values outside any published list occur.
    pub code: String,
    /// Its words.
    pub says: String,
}

/// Why a call brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody knows whether the work was done.
    Lost(String),
    /// The service answered with an error.
    Refused { status: u16, code: String, says: String, after: Option<Span> },
}

/// A client for the service at `base`: it says who we are, follows no redirect, and goes past
/// proxies to what stands in for a service on this machine.
///
/// # Errors
/// If no HTTP client can be made.
pub(crate) fn client(base: &str, within: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let http = reqwest::Client::builder()
        .timeout(within)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("Livetill/", env!("CARGO_PKG_VERSION")));
    if base.trim().starts_with("http://") { http.no_proxy().build() } else { http.build() }
}

impl Rest {
    /// # Errors
    /// If no HTTP client can be made.
    pub(super) fn new(
        base: &str,
        name: &'static str,
        complaint: fn(&Value) -> Option<Complaint>,
    ) -> Result<Self, reqwest::Error> {
        let http = client(base, CALL_TIMEOUT)?;
        let base = base.trim().trim_end_matches('/').to_owned();
        Ok(Self { http, base, name, complaint, drift: Drift::default() })
    }

    /// How far the service's clock is from ours.
    pub(super) fn drift(&self) -> &Drift {
        &self.drift
    }

    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Fault> {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.lost(&error))?;
        self.drift.note(answer.headers());
        let status = answer.status();
        let after = answer
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Span::from_secs);
        let bytes = answer.bytes().await.map_err(|error| self.lost(&error))?;
        if !status.is_success() {
            return Err(self.refused(status.as_u16(), after, &bytes));
        }
        if bytes.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&bytes)
            .map_err(|_| Fault::Lost(format!("{} answered with something unreadable", self.name)))
    }

    /// The status that a buyer's browser would be answered with; no redirect is followed.
    pub(super) async fn page_status(&self, url: &str) -> Option<u16> {
        let answer = self.http.get(url).send().await.ok()?;
        Some(answer.status().as_u16())
    }

    /// Never the error's own words: they hold the address, and a proxy's may hold more.
    fn lost(&self, error: &reqwest::Error) -> Fault {
        let says = if error.is_timeout() { "did not answer in time" } else { "cannot be reached" };
        Fault::Lost(format!("{} {says}", self.name))
    }

    fn refused(&self, status: u16, after: Option<Span>, body: &[u8]) -> Fault {
        let complaint = serde_json::from_slice(body).ok().as_ref().and_then(self.complaint);
        let (code, says) = match complaint {
            Some(Complaint { code, says }) => {
                let says = format!("{} says {code}: {}", self.name, says.trim_end_matches('.'));
                (code, says)
            }
            None => {
                let raw = String::from_utf8_lossy(&body[..body.len().min(RAW_MAX)]);
                let raw: String =
                    raw.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                (String::new(), format!("{} answers {status}: {}", self.name, raw.trim()))
            }
        };
        Fault::Refused { status, code, says, after }
    }
}

impl Fault {
    /// Whether the service complains with that code.
    pub(super) fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// The status of the answer, if there was one.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Lost(_) => None,
            Self::Refused { status, .. } => Some(*status),
        }
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// One line for moderators: the service's own words.
    pub(super) fn says(&self) -> &str {
        match self {
            Self::Lost(says) | Self::Refused { says, .. } => says,
        }
    }

    /// Whether it is certain that nothing was done.
    pub(super) fn is_definite(&self) -> bool {
        matches!(self.status(), Some(400..=499)) && self.status() != Some(408)
    }

    /// For a request that may fail at once with its reason: somebody waits for the answer.
    pub(super) fn hasty(self) -> ProviderError {
        match self {
            Self::Lost(says) => ProviderError::Retry { says, after: None },
            Self::Refused { status: 429, after, .. } => ProviderError::SlowDown { after },
            Self::Refused { status: 408 | 409 | 423 | 425, says, after, .. } => {
                ProviderError::Retry { says, after }
            }
            Self::Refused { status: 400..=499, says, .. } => ProviderError::Reject { says },
            Self::Refused { says, after, .. } => ProviderError::Retry { says, after },
        }
    }

    /// For what must be done however long it takes: a bad token is waited out.
    pub(super) fn steady(self) -> ProviderError {
        match self {
            Self::Refused { status: 401 | 403, says, .. } => {
                ProviderError::Retry { says, after: Some(MEND) }
            }
            other => other.hasty(),
        }
    }

    /// As `error`, after something was to be made: nothing is repeated before the lost call can no
    /// longer be under way.
    pub(super) fn unsure(self, error: fn(Self) -> ProviderError) -> ProviderError {
        if self.is_definite() {
            return error(self);
        }
        ProviderError::Retry { says: self.says().to_owned(), after: Some(SETTLES) }
    }
}

/// One segment of a path, or a value of a query.
pub(super) fn segment(id: &str) -> String {
    form_urlencoded::byte_serialize(id.as_bytes()).collect()
}

/// A text that an answer must have.
pub(super) fn text<'a>(answer: &'a Value, path: &str) -> Result<&'a str, Fault> {
    let found = answer.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    found.ok_or_else(|| {
        Fault::Lost(format!("an answer came without {}", path.trim_start_matches('/')))
    })
}

/// A list that an answer may have.
pub(super) fn list<'a>(answer: &'a Value, path: &str) -> &'a [Value] {
    answer.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::provider::tests::service::{Answer, Service};

    fn refused(status: u16) -> Fault {
        let after = Some(Span::from_secs(3));
        Fault::Refused { status, code: "X".to_owned(), says: "no".to_owned(), after }
    }

    #[test]
    fn a_no_is_a_no_and_the_rest_is_repeated() {
        assert_eq!(refused(422).hasty(), ProviderError::Reject { says: "no".to_owned() });
        let after = Some(Span::from_secs(3));
        assert_eq!(refused(429).hasty(), ProviderError::SlowDown { after });
        for status in [408, 409, 423, 500, 503] {
            assert!(matches!(refused(status).hasty(), ProviderError::Retry { .. }), "{status}");
        }
        assert!(matches!(refused(401).hasty(), ProviderError::Reject { .. }));
        assert!(matches!(refused(401).steady(), ProviderError::Retry { .. }));
    }

    #[test]
    fn what_may_have_been_done_is_not_repeated_at_once() {
        let waits = |fault: Fault| match fault.unsure(Fault::hasty) {
            ProviderError::Retry { after, .. } => after == Some(SETTLES),
            _ => false,
        };
        assert!(
            waits(Fault::Lost("gone".to_owned())) && waits(refused(502)) && waits(refused(408))
        );
        assert!(!waits(refused(409)) && !waits(refused(422)));
    }

    fn rest(base: &str) -> Rest {
        let http = client(base, Duration::from_millis(200)).expect("a client");
        let complaint = |_: &Value| None;
        let base = base.to_owned();
        Rest { http, base, name: "It", complaint, drift: Drift::default() }
    }

    async fn asked(answer: Answer) -> (Result<Value, Fault>, Vec<String>) {
        let service = Service::plays([("GET /x", vec![answer])]).await;
        let said = rest(&service.url).call(Method::GET, "/x", &[], None).await;
        (said, service.calls())
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_never_ends_is_none() {
        for (answer, says) in [
            (Answer::Bytes(b""), "It cannot be reached"),
            (
                Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"),
                "It cannot be reached",
            ),
            (
                Answer::Bytes(b"HTTP/1.1 400 No\r\ncontent-length: 9\r\n\r\n{}"),
                "It cannot be reached",
            ),
            (
                Answer::Bytes(b"HTTP/1.1 204 OK\r\ntransfer-encoding: chunked\r\n"),
                "It cannot be reached",
            ),
            (Answer::Stuck(b""), "It did not answer in time"),
            (
                Answer::Stuck(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}"),
                "It did not answer in time",
            ),
        ] {
            let text = format!("{answer:?}");
            let (said, _) = asked(answer).await;
            assert_eq!(said, Err(Fault::Lost(says.to_owned())), "{text}");
        }
        let (said, _) = asked(Answer::Is(200, json!("{"))).await;
        assert_eq!(said, Ok(json!("{")));
        let (said, _) =
            asked(Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{")).await;
        assert_eq!(said, Err(Fault::Lost("It answered with something unreadable".to_owned())));
    }

    #[tokio::test]
    async fn an_answer_that_nobody_asked_for_is_nobody_s() {
        const TWO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1\
                             HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2";
        let service =
            Service::plays([("GET /x", vec![Answer::Loose(TWO), Answer::from(json!(3))])]).await;
        let rest = rest(&service.url);
        let ask = || rest.call(Method::GET, "/x", &[], None);
        assert_eq!(ask().await, Ok(json!(1)));
        // Lost with its connection, or answered by itself: never by what was left over.
        assert_ne!(ask().await, Ok(json!(2)));
        assert_eq!(ask().await, Ok(json!(3)));
    }

    #[tokio::test]
    async fn where_else_to_look_is_not_followed_and_how_long_to_wait_is_heeded() {
        let to = Answer::With(302, "location", "/y".to_owned(), json!({}));
        let (said, calls) = asked(to).await;
        assert_eq!(said.expect_err("no answer").status(), Some(302));
        assert_eq!(calls, ["GET /x"]);
        for status in [409, 429, 503] {
            let waits = Answer::With(status, "retry-after", "7".to_owned(), json!({}));
            let (said, _) = asked(waits).await;
            let after = match said.expect_err("no answer").steady() {
                ProviderError::Retry { after, .. } | ProviderError::SlowDown { after } => after,
                other => panic!("{other:?}"),
            };
            assert_eq!(after, Some(Span::from_secs(7)), "{status}");
        }
    }
}
