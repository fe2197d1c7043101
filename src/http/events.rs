//! A sale's views as a stream of server-sent events.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;

use super::{Web, api, peer::client_ip};
use crate::view::View;

/// Keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A comment: whoever reads the stream ignores it.
const STILL_HERE: Bytes = Bytes::from_static(b":\n\n");

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(place) = web.doors.streams.enter(client_ip(&web, peer, &headers)) else {
        let says = "Too many streams from one address; please look now and then instead.\n";
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "30")], says)
            .into_response();
    };
    let Some(view) = api::find(&web, &id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(mut views) = web.engine.views().follow(view.id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    views.mark_changed();
    let stream = unfold((views, web, place), |(mut views, web, place)| async move {
        let bytes = tokio::select! {
            changed = views.changed() => {
                changed.ok()?;
                let view = web.engine.honest(views.borrow_and_update().clone());
                web.memory.events.get(&view, web.engine.now(), || event(&view))
            }
            () = tokio::time::sleep(KEEP_ALIVE) => STILL_HERE,
            () = web.stop.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(bytes), (views, web, place)))
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
