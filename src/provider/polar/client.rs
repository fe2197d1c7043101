//! Polar's REST API: the token, the pinned version, lists read to their end.

use reqwest::Method;
use serde_json::Value;

use super::NAME;
use crate::{
    provider::rest::{Complaint, Drift, Fault, Rest, list},
    secret::Secret,
};

/// The version of the API that is spoken; without the header the server chooses.
const VERSION: &str = "2026-10";

/// The most that a list answers at a time (its "Pagination" reference).
const LIMIT: usize = 100;

/// Pages of a list that are read at the most.
const LIST_PAGES_MAX: u64 = 100;

/// A connection to Polar's API.
pub(super) struct Client {
    rest: Rest,
    token: Secret,
}

impl Client {
    /// # Errors
    /// If no HTTP client can be made.
    pub(super) fn new(base: &str, token: Secret) -> Result<Self, reqwest::Error> {
        Ok(Self { rest: Rest::new(base, "Polar", complaint)?, token })
    }

    /// How far Polar's clock is from ours.
    pub(super) fn drift(&self) -> &Drift {
        self.rest.drift()
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::GET, path, None).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::POST, path, Some(body)).await
    }

    pub(super) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Fault> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, Fault> {
        self.call(Method::DELETE, path, None).await
    }

    /// Every item of a list; `path` has its filters already.
    pub(super) async fn all(&self, path: &str) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        for page in 1..=LIST_PAGES_MAX {
            let answer = self.get(&format!("{path}&limit={LIMIT}&page={page}")).await?;
            all.extend_from_slice(list(&answer, "/items"));
            let last = answer.pointer("/pagination/max_page").and_then(Value::as_u64);
            if page >= last.unwrap_or(0) {
                return Ok(all);
            }
        }
        Err(Fault::Lost("Polar lists more than can be looked through".to_owned()))
    }

    /// What a buyer's browser would be answered with.
    pub(super) async fn page_status(&self, url: &str) -> Option<u16> {
        self.rest.page_status(url).await
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let bearer = format!("Bearer {}", self.token.expose().trim());
        let headers = [("authorization", bearer.as_str()), ("polar-version", VERSION)];
        self.rest.call(method, path, &headers, body).await
    }
}

/// `{"error": class, "detail": text}`, or a list of what is wrong with which field; of a token,
/// `{"error": code, "error_description": text}`.
fn complaint(body: &Value) -> Option<Complaint> {
    let described = body["error_description"].as_str().map(str::to_owned);
    let detail = match &body["detail"] {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(field).collect::<Vec<_>>().join("; "),
        _ => match (described, body["error"].as_str()) {
            (Some(text), _) => text,
            (None, Some(_)) => "no reason given".to_owned(),
            (None, None) => return None,
        },
    };
    let code = body["error"].as_str().unwrap_or("an error").to_owned();
    let mend = match code.as_str() {
        "Unauthorized" | "unauthorized" | "invalid_token" | "invalid_request" => Some(format!(
            "Set LIVETILL_PROVIDERS__{}__ACCESS_TOKEN to a token of this environment",
            NAME.to_uppercase()
        )),
        "NotPermitted" | "Forbidden" | "insufficient_scope" | "access_denied" => Some(
            "Give the token the scopes products:write, checkout_links:write, checkouts:write, \
             orders:read and refunds:write"
                .to_owned(),
        ),
        _ => None,
    };
    let says = match mend {
        Some(mend) => format!("{}. {mend}", detail.trim_end_matches('.')),
        None => detail,
    };
    Some(Complaint { code, says })
}

fn field(one: &Value) -> String {
    let message = one["msg"].as_str().unwrap_or("no reason given");
    let place = one["loc"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |part: &Value| part.as_str().map_or_else(|| part.to_string(), str::to_owned);
    let place: Vec<String> = place.iter().filter(|part| **part != "body").map(word).collect();
    if place.is_empty() {
        message.to_owned()
    } else {
        format!("{message} (in {})", place.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn complaints_name_field_and_mend() {
        let wrong = json!({ "error": "RequestValidationError", "detail": [
            { "loc": ["body", "products", 0], "msg": "Product is archived.", "type": "v" },
        ] });
        let read = complaint(&wrong).expect("read");
        assert_eq!(read.says, "Product is archived. (in products.0)");
        let token = json!({ "error": "Unauthorized", "detail": "Unauthorized" });
        assert!(complaint(&token).expect("read").says.contains("PROVIDERS__POLAR__ACCESS_TOKEN"));
        assert!(complaint(&json!({})).is_none());
        let token = json!({ "error": "invalid_token",
                            "error_description": "The access token provided is expired." });
        let read = complaint(&token).expect("read");
        assert!(read.says.starts_with("The access token provided is expired. Set LIVETILL_"));
        let scope = json!({ "error": "insufficient_scope", "error_description": "Higher." });
        assert!(complaint(&scope).expect("read").says.contains("orders:read"));
    }
}
