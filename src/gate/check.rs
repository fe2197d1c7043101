//! The shop's own check: one signed question over HTTP, and *yes* only for a plain yes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    clock::Timestamp,
    mac::short_hash,
    provider::{rest::client, signature::sign_standard},
    secret::Secret,
    view::View,
};

/// A buyer waits for it.
const WITHIN: Duration = Duration::from_secs(3);

/// The longest answer that is read, in bytes.
const ANSWER_MAX: usize = 4096;

/// What is asked.
pub(super) struct Question<'a> {
    pub url: &'a str,
    pub code: &'a str,
    pub view: &'a View,
    pub at: Timestamp,
}

/// Nobody knows whether the code is right.
#[derive(Debug)]
pub(super) struct Away;

/// Asks the shop's own check.
pub(super) struct Check {
    http: reqwest::Client,
    /// The same, for this machine: no proxy stands between.
    local: reqwest::Client,
    secret: Secret,
}

impl Check {
    pub(super) fn new(secret: Secret) -> Result<Self, reqwest::Error> {
        let (http, local) = (client("https://", WITHIN)?, client("http://", WITHIN)?);
        Ok(Self { http, local, secret })
    }

    /// Whether the shop accepts a code. Nothing of the code is logged.
    ///
    /// # Errors
    /// If it gives no clear answer in time.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<bool, Away> {
        let Question { url, code, view, at } = question;
        let sale = json!({
            "id": view.id,
            "number": view.number,
            "template": view.template,
            "title": view.title,
        });
        let body = json!({ "code": code, "sale": sale }).to_string();
        let id = format!("chk_{}", short_hash(&format!("{} {}", at.millis(), body)));
        let key = self.secret.expose().as_bytes();
        let http = if url.starts_with("http://") { &self.local } else { &self.http };
        let request = http
            .post(*url)
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", at.seconds().to_string())
            .header("webhook-signature", sign_standard(key, &id, *at, body.as_bytes()))
            .body(body);
        let says = match request.send().await {
            Ok(answer) if answer.status().is_success() => match read(answer).await {
                Some(Value::Bool(ok)) => return Ok(ok),
                Some(_) | None => "its answer is not {\"ok\": true} or {\"ok\": false}".to_owned(),
            },
            Ok(answer) => format!("it answers {}", answer.status().as_u16()),
            Err(error) if error.is_timeout() => "it did not answer in time".to_owned(),
            Err(_) => "it cannot be reached".to_owned(),
        };
        tracing::warn!(sale = view.number, says, "a condition could not be checked");
        Err(Away)
    }
}

/// The answer's `ok`, if it is short and JSON.
async fn read(mut answer: reqwest::Response) -> Option<Value> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > ANSWER_MAX {
            return None;
        }
    }
    let body: Value = serde_json::from_slice(&bytes).ok()?;
    // What is no object has no such field.
    body.get("ok").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        provider::tests::service::{Answer, Service},
        sale::tests::play::{Play, template},
    };

    fn check() -> Check {
        let quick = client("http://", Duration::from_millis(200)).expect("a client");
        Check { http: quick.clone(), local: quick, secret: Secret::from("secret") }
    }

    async fn says(answers: Vec<Answer>) -> Vec<Option<bool>> {
        let many = answers.len();
        let service = Service::plays([("POST /check", answers)]).await;
        let (check, url) = (check(), format!("{}/check", service.url));
        let view = View::of(&Play::open(template()).sale, "LINK");
        let at = Timestamp::from_millis(1_767_225_600_000);
        let mut said = Vec::new();
        for _ in 0..many {
            let question = Question { url: &url, code: "V1", view: &view, at };
            said.push(check.ask(&question).await.ok());
        }
        let asked = service.bodies("POST /check");
        assert!(asked.iter().all(|body| body["code"] == "V1" && body["sale"]["number"] == 7));
        said
    }

    #[tokio::test]
    async fn only_a_plain_answer_is_one() {
        for (status, body, expected) in [
            (200, json!({ "ok": true }), Some(true)),
            (201, json!({ "ok": false, "why": "used" }), Some(false)),
            (200, json!({ "ok": "true" }), None),
            (200, json!({ "ok": 1 }), None),
            (200, json!({ "ok": null }), None),
            (200, json!([true]), None),
            (200, json!("ok"), None),
            (200, json!(true), None),
            (200, Value::Null, None),
            (200, json!({ "ok": true, "more": "x".repeat(ANSWER_MAX) }), None),
            (404, json!({ "ok": true }), None),
            (500, json!({ "ok": true }), None),
            (500, json!({ "ok": false }), None),
        ] {
            let text = format!("{status} {:.40}", body.to_string());
            assert_eq!(says(vec![Answer::Is(status, body)]).await, [expected], "{text}");
        }
        let to = Answer::With(307, "location", "/yes".to_owned(), json!({ "ok": true }));
        assert_eq!(says(vec![to]).await, [None]);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_never_ends_is_none() {
        for answer in [
            Answer::Bytes(b""),
            Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"ok\": true}"),
            Answer::Stuck(b""),
            Answer::Stuck(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"ok\": true}"),
        ] {
            let text = format!("{answer:?}");
            assert_eq!(says(vec![answer]).await, [None], "{text}");
        }
        // A yes that nobody asked for is no answer to the next question.
        const TWO: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":false}\
                             HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"ok\":true} ";
        let said = says(vec![Answer::Loose(TWO), json!({ "ok": false }).into()]).await;
        assert!(!said.contains(&Some(true)), "{said:?}");
    }
}
