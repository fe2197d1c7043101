//! Is it alive, and can it work.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Web;

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(web): State<Arc<Web>>) -> Response {
    let stopping = web.stop.is_cancelled();
    let outbox = web.engine.store().outbox().await;
    let ready = !stopping && outbox.is_ok();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (waiting, parked, store) = match outbox {
        Ok(count) => (Some(count.waiting), Some(count.parked), "ok".to_owned()),
        Err(error) => (None, None, error.to_string()),
    };
    let body = json!({
        "ready": ready,
        "store": store,
        "stopping": stopping,
        "outbox": { "waiting": waiting, "parked": parked },
    });
    (status, Json(body)).into_response()
}
