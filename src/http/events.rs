//! A sale's views as a stream of server-sent events.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::unfold;

use super::{Web, api};
use crate::view::View;

/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn events(State(web): State<Arc<Web>>, Path(id): Path<String>) -> Response {
    let Some(view) = api::find(&web, &id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(mut views) = web.engine.views().follow(view.id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    views.mark_changed();
    let stream = unfold((views, web), |(mut views, web)| async move {
        tokio::select! {
            changed = views.changed() => changed.ok()?,
            () = web.stop.cancelled() => return None,
        }
        let view = web.engine.honest(views.borrow_and_update().clone());
        Some((event(&view), (views, web)))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(stream).keep_alive(keep_alive).into_response()
}

fn event(view: &View) -> Result<Event, Infallible> {
    let data = serde_json::to_string(view).unwrap_or_else(|_| "{}".to_owned());
    Ok(Event::default().event("view").id(view.revision.to_string()).data(data))
}
