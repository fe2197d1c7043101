//! Accepts connections: a bounded number, and of each address fewer, each with a time limit on its
//! headers, its body, and on taking its answer.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};

use super::{
    Web,
    peer::is_trusted,
    places::Place,
    timely::{TimelyBody, TimelyStream},
};

/// A connection that has not sent its headers by then is closed; also the longest idle time
/// between two requests on one connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// The same for a listed proxy. It is longer than proxies keep idle connections (Caddy two minutes,
/// nginx one): they close them, not we. Else a claim would be sent into a connection that we are
/// just closing, and answered 502, since nobody may send it twice.
const PROXY_HEADERS_WITHIN: Duration = Duration::from_secs(150);

/// Headers of one request, together.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Header lines of one request.
const HEADERS_MAX: usize = 64;

/// While no connection can be had, it is tried again after this long.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What is still under way at the end gets this long.
const DRAIN: Duration = Duration::from_secs(3);

/// What answers requests; it fails only by answering so.
pub trait Served:
    Service<Request, Response = Response<Self::Answer>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
{
    /// The body of an answer.
    type Answer: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static;
}

impl<S, B> Served for S
where
    S: Service<Request, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + 'static,
{
    type Answer = B;
}

/// Serves until stopped, then lets what is under way finish.
pub async fn serve(
    listener: TcpListener,
    service: impl Served,
    web: Arc<Web>,
    stop: CancellationToken,
) {
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &web) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer)) = accepted else { continue };
        // More than its share: it is hung up on.
        let Some(share) = web.doors.connections.enter(peer.ip()) else { continue };
        let place = tokio::select! {
            place = place(&web) => place,
            () = stop.cancelled() => break,
        };
        let service = service.clone();
        let stop = stop.clone();
        let listed = is_trusted(&web, peer.ip());
        let within = if listed { PROXY_HEADERS_WITHIN } else { HEADERS_WITHIN };
        tasks.spawn(async move {
            connection(stream, peer, within, service, place, stop).await;
            drop(share);
        });
    }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(open = tasks.len(), "connections cut at the end");
    }
}

async fn accept(listener: &TcpListener, web: &Web) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => Some(accepted),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of descriptors, most likely: somebody gives way.
            web.doors.places.make_room();
            tokio::time::sleep(LOOK_AGAIN).await;
            None
        }
    }
}

/// A place for a newcomer. While everybody is being served, which ends soon, they wait for one.
async fn place(web: &Web) -> Place {
    loop {
        if let Some(place) = web.doors.places.enter() {
            return place;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    headers_within: Duration,
    service: impl Served,
    place: Place,
    stop: CancellationToken,
) {
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let stream = TimelyStream::new(stream, place.connection.clone());
    let place = &place;
    let answers = service_fn(move |request: hyper::Request<Incoming>| {
        place.is_served();
        let connection = &place.connection;
        // Only a stream has to know whose place it takes.
        let follows = request.uri().path().ends_with("/events").then(|| connection.clone());
        let mut request = request.map(|body| Body::new(TimelyBody::new(body, connection.clone())));
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(connection) = follows {
            request.extensions_mut().insert(connection);
        }
        let answer = service.clone().oneshot(request);
        async move {
            let answer = answer.await;
            connection.is_answered();
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers_within)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answers);
    let mut served = std::pin::pin!(served);
    let served = tokio::select! {
        served = served.as_mut() => served,
        () = std::future::poll_fn(|cx| place.connection.poll_gives_way(cx)) => return,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        tracing::trace!(%error, %peer, "a connection ended badly");
    }
}
