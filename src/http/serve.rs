//! Accepts connections: a bounded number, and of each address fewer, each with a time limit on its
//! headers.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{ConnectInfo, Request},
    http::Response,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};

use super::Web;

/// A connection that has not sent its headers by then is closed; also the longest idle time
/// between two requests on one connection.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// Headers of one request, together.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Header lines of one request.
const HEADERS_MAX: usize = 64;

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
    let slots = Arc::new(Semaphore::new(web.doors.connections_max));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &slots) => accepted,
            () = stop.cancelled() => break,
        };
        let Some((stream, peer, slot)) = accepted else { continue };
        // More than its share: it is hung up on.
        let Some(place) = web.doors.connections.enter(peer.ip()) else { continue };
        let service = service.clone();
        let stop = stop.clone();
        tasks.spawn(async move {
            connection(stream, peer, service, stop).await;
            drop((slot, place));
        });
    }
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        tracing::warn!(open = tasks.len(), "connections cut at the end");
    }
}

type Slot = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, Slot)> {
    // Full: nobody is accepted, and the system's own queue holds the rest.
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, slot)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be accepted");
            // Out of descriptors, most likely: give some a chance to close.
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    service: impl Served,
    stop: CancellationToken,
) {
    // Small answers must not wait for more.
    let _ = stream.set_nodelay(true);
    let answers = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        service.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WITHIN)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), answers);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::trace!(%error, %peer, "a connection ended badly");
    }
}
