//! A sale's views as a stream of server-sent events.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream::unfold;

use super::{Web, api, peer::client_ip, places::Connection};
use crate::view::View;

/// How often a quiet stream gives a sign of life. Pages that miss two of them look by themselves: a
/// proxy may hold the stream up, or have lost it without a word.
const SIGN_EVERY: Duration = Duration::from_secs(2);

/// An event, not a comment: scripts hear of it.
const STILL_HERE: Bytes = Bytes::from_static(b"event: alive\ndata: 1\n\n");

pub(super) async fn events(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Extension(connection): Extension<Arc<Connection>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    let Some(share) = web.doors.streams.enter(client_ip(&web, peer, &headers)) else {
        return too_many("Too many streams from one address; please look now and then instead.\n");
    };
    let Some(view) = api::find(&web, &id).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(mut views) = web.engine.views().follow(view.id) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(place) = web.doors.places.stream(&connection) else {
        return too_many("Too many streams; please look now and then instead.\n");
    };
    views.mark_changed();
    let place = (share, place);
    let stream = unfold((views, web, place), |(mut views, web, place)| async move {
        let bytes = tokio::select! {
            changed = views.changed() => {
                changed.ok()?;
                let view = web.engine.honest(views.borrow_and_update().clone());
                web.memory.events.get(&view, web.engine.now(), || event(&view))
            }
            () = tokio::time::sleep(SIGN_EVERY) => STILL_HERE,
            () = web.stop.cancelled() => return None,
        };
        Some((Ok::<_, Infallible>(bytes), (views, web, place)))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        // Nothing on the way is to gather it into larger pieces, or to press it.
        (header::CACHE_CONTROL, "no-cache, no-transform"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

/// No stream, and no connection kept for one.
fn too_many(says: &'static str) -> Response {
    let headers = [(header::RETRY_AFTER, "30"), (header::CONNECTION, "close")];
    (StatusCode::TOO_MANY_REQUESTS, headers, says).into_response()
}

/// JSON holds no line break, so one `data` line takes it.
fn event(view: &View) -> Bytes {
    let data = serde_json::to_string(view).unwrap_or_else(|_| "{}".to_owned());
    format!("event: view\nid: {}\ndata: {data}\n\n", view.revision).into()
}
