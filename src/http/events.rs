//! A sale's views as a stream of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;

use super::{Web, api};
use crate::view::View;

/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment: whoever reads the stream ignores it.
const STILL_HERE: Bytes = Bytes::from_static(b":\n\n");

pub(super) async fn events(State(web): State<Arc<Web>>, Path(id): Path<String>) -> Response {
    let Some(view) = api::find(&web, &id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(mut views) = web.engine.views().follow(view.id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    views.mark_changed();
    let stream = unfold((views, web), |(mut views, web)| async move {
        let bytes = tokio::select! {
            changed = views.changed() => {
                changed.ok()?;
                let now = web.engine.now();
                let view = views.borrow_and_update().clone().at(now);
                web.memory.events.get(&view, now, || event(&view))
            }
            () = tokio::time::sleep(KEEP_ALIVE) => STILL_HERE,
            () = web.stop.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(bytes), (views, web)))
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(stream)).into_response()
}

/// JSON holds no line break, so one `data` line takes it.
fn event(view: &View) -> Bytes {
    let data = serde_json::to_string(view).unwrap_or_else(|_| "{}".to_owned());
    format!("event: view\nid: {}\ndata: {data}\n\n", view.revision).into()
}
