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
    let mut body: Value = serde_json::from_slice(&bytes).ok()?;
    Some(body["ok"].take())
}
