//! Is it alive, and can it work.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::Web;
use crate::{
    lossy, meter,
    platform::{Health, Platform, Standing},
    store::StoreError,
    view::{State as SaleState, View},
};

/// Whoever asks whether we are ready does not wait long for the answer.
const STORE_WITHIN: Duration = Duration::from_secs(2);

pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(web): State<Arc<Web>>) -> Response {
    let stopping = web.stop.is_cancelled();
    let store = web.engine.store();
    let (outbox, written) = tokio::join!(in_time(store.outbox()), in_time(store.ready()));
    let trouble = web.engine.trouble();
    let trouble = trouble.or_else(|| web.doors.places.trouble());
    let ready = !stopping && outbox.is_ok() && written.is_ok() && trouble.is_none();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (waiting, parked) = match &outbox {
        Ok(count) => (Some(count.waiting), Some(count.parked)),
        Err(_) => (None, None),
    };
    let store = match outbox.err().or(written.err()) {
        Some(error) => error.to_string(),
        None => "ok".to_owned(),
    };
    let platforms: serde_json::Map<_, _> =
        web.platforms.iter().filter_map(|platform| standing(platform.as_ref())).collect();
    let body = json!({
        "ready": ready,
        "store": store,
        "stopping": stopping,
        "trouble": trouble,
        "outbox": { "waiting": waiting, "parked": parked },
        "platforms": platforms,
    });
    (status, Json(body)).into_response()
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let answer = tokio::time::timeout(STORE_WITHIN, asked).await;
    answer.unwrap_or_else(|_| Err(StoreError::Away("it does not answer".to_owned())))
}

pub(super) async fn metrics(State(web): State<Arc<Web>>) -> Response {
    // Whoever reads the figures is not to learn that something is armed.
    let mut live = web.engine.shown_live();
    live.retain(|view| !view.secret);
    for state in SaleState::ALL {
        let n = live.iter().filter(|view| view.state == state).count();
        meter::stand("livetill_sales", "state", state.word(), n as f64);
    }
    let sum = |of: fn(&View) -> u32| live.iter().map(|view| f64::from(of(view))).sum();
    meter::stand("livetill_units", "are", "left", sum(|view| view.left));
    meter::stand("livetill_units", "are", "held", sum(|view| view.held));
    meter::stand("livetill_units", "are", "paid", sum(|view| view.paid));
    meter::stand("livetill_waiting_buyers", "line", "all", sum(|view| view.waiting));
    if let Ok(count) = web.engine.store().outbox().await {
        meter::stand("livetill_outbox", "is", "waiting", count.waiting as f64);
        meter::stand("livetill_outbox", "is", "parked", count.parked as f64);
    }
    let (taken, streams) = web.doors.places.figures();
    meter::stand("livetill_connections", "are", "all", taken as f64);
    meter::stand("livetill_connections", "are", "streams", streams as f64);
    for platform in &web.platforms {
        if let Some(Health { standing, .. }) = platform.health() {
            let up = f64::from(u8::from(standing == Standing::Up));
            meter::stand("livetill_chat_up", "platform", platform.name().as_str(), up);
        }
    }
    for (stream, lossy) in [("stdout", lossy::stdout()), ("stderr", lossy::stderr())] {
        meter::stand("livetill_lines_lost", "stream", stream, lossy.lost_in_all() as f64);
    }
    meter::upkeep();
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (kind, meter::render()).into_response()
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
