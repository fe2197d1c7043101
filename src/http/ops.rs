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
use crate::platform::{Health, Platform, Standing};

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
    let platforms: serde_json::Map<_, _> =
        web.platforms.iter().filter_map(|platform| standing(platform.as_ref())).collect();
    let body = json!({
        "ready": ready,
        "store": store,
        "stopping": stopping,
        "outbox": { "waiting": waiting, "parked": parked },
        "platforms": platforms,
    });
    (status, Json(body)).into_response()
}

/// How a platform stands and since when. A chat that is away does not make us unready: sales go on.
fn standing(platform: &dyn Platform) -> Option<(String, serde_json::Value)> {
    let Health { standing, since } = platform.health()?;
    let (state, why) = match standing {
        Standing::Starting => ("starting", None),
        Standing::Up => ("up", None),
        Standing::Away(why) => ("away", Some(why)),
        Standing::Broken(why) => ("broken", Some(why)),
    };
    let row = json!({ "state": state, "since": since.rfc3339(), "why": why });
    Some((platform.name().to_string(), row))
}
