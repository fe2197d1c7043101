//! A sale's views as a stream of server-sent events.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header::RETRY_AFTER},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream::unfold;

use super::{Web, api, peer::client_ip};
use crate::view::View;

/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(place) = web.doors.streams.enter(client_ip(&web, peer, &headers)) else {
        let says = "Too many streams from one address; please look now and then instead.\n";
        return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, "30")], says).into_response();
    };
    let Some(view) = api::find(&web, &id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(mut views) = web.engine.views().follow(view.id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    views.mark_changed();
    let stream = unfold((views, web, place), |(mut views, web, place)| async move {
        tokio::select! {
            changed = views.changed() => changed.ok()?,
            () = web.stop.cancelled() => return None,
        }
        let view = web.engine.honest(views.borrow_and_update().clone());
        Some((event(&view), (views, web, place)))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(stream).keep_alive(keep_alive).into_response()
}

fn event(view: &View) -> Result<Event, Infallible> {
    let data = serde_json::to_string(view).unwrap_or_else(|_| "{}".to_owned());
    Ok(Event::default().event("view").id(view.revision.to_string()).data(data))
}
