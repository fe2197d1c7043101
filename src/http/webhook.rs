//! Webhooks: checked on the raw bytes, stored, then answered. What is on disk is answered 2xx,
//! what is not is answered 5xx, and the provider's own redelivery is our queue.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};

use super::Web;
use crate::{
    meter,
    provider::{Provider, Webhook, WebhookError},
    store::Seen,
};

/// Providers give up after ten seconds at the earliest, some after two: fail before they do.
const ANSWER_WITHIN: Duration = Duration::from_millis(2500);

pub(super) async fn webhook(
    State(web): State<Arc<Web>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let Some(provider) = web.engine.provider(&name).cloned() else {
        return (StatusCode::NOT_FOUND, "no such provider\n");
    };
    let answer = take(web, provider, &headers, body).await;
    meter::webhook(&name, answer.0.as_u16());
    answer
}

async fn take(
    web: Arc<Web>,
    provider: Arc<dyn Provider>,
    headers: &HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let name = provider.name();
    let headers = headers
        .iter()
        .filter_map(|(key, value)| Some((key.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let webhook = Webhook { headers, body: body.to_vec() };
    let verified = match provider.verify(&webhook, web.engine.clock().wall()) {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(provider = name, %error, bytes = webhook.body.len(), "a webhook was turned away");
            return (StatusCode::UNAUTHORIZED, "wrong signature\n");
        }
    };
    let delivery = match provider.parse(&verified) {
        Ok(delivery) => delivery,
        Err(WebhookError::Garbage(why)) => {
            tracing::warn!(provider = name, why, "a rightly signed webhook cannot be read");
            return (StatusCode::BAD_REQUEST, "cannot be read\n");
        }
        Err(WebhookError::Signature | WebhookError::Stale) => {
            return (StatusCode::UNAUTHORIZED, "wrong signature\n");
        }
    };
    // The work goes on when the sender hangs up: half of it may be on disk already.
    let work = tokio::spawn(async move {
        let delivery = match provider.confirm(delivery).await {
            Ok(delivery) => delivery,
            Err(error) => {
                tracing::warn!(provider = name, %error, "a webhook could not be asked about");
                // Should it not be sent again, the next round of questions finds out.
                web.engine.listing_changed(name);
                return false;
            }
        };
        for (n, news) in delivery.news.into_iter().enumerate() {
            let id = format!("{}:{n}", delivery.id);
            let seen = Seen { source: format!("webhook:{name}"), id };
            if let Err(error) = web.engine.take(name, news, Some(seen)).await {
                tracing::error!(provider = name, %error, "a webhook could not be stored");
                return false;
            }
        }
        true
    });
    match tokio::time::timeout(ANSWER_WITHIN, work).await {
        Ok(Ok(true)) => (StatusCode::OK, "ok\n"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not stored, send it again\n"),
    }
}
