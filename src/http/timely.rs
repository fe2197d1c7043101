//! Time limits on what visitors send and take: a whole body, and a whole answer.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{BoxError, body::Bytes};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::places::Connection;

/// A whole body has to come within this, counted from when it first kept us waiting.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// An answer has to be taken within this, counted from when it first kept us waiting …
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// … and a second more for every so many bytes of it that were taken.
const BYTES_A_SECOND: usize = 4096;

/// A limit that begins once something keeps us waiting; nothing is paid for it before.
#[derive(Default)]
struct Limit(Option<Pin<Box<Sleep>>>);

impl Limit {
    /// Ready when the time is over.
    fn poll(&mut self, cx: &mut Context<'_>, within: Duration) -> Poll<()> {
        let begin = || Box::pin(sleep(within));
        self.0.get_or_insert_with(begin).as_mut().poll(cx)
    }
}

/// A request's body, which has to come in time.
pub(super) struct TimelyBody {
    body: Incoming,
    limit: Limit,
    connection: Arc<Connection>,
}

impl TimelyBody {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>) -> Self {
        Self { body, limit: Limit::default(), connection }
    }
}

impl Body for TimelyBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            this.connection.is_slow();
            ready!(this.limit.poll(cx, BODY_WITHIN));
            return Poll::Ready(Some(Err("the body did not come in time".into())));
        };
        if this.limit.0.is_some() {
            this.connection.is_quick(true);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose answers have to be taken in time.
pub(super) struct TimelyStream {
    stream: TcpStream,
    limit: Limit,
    connection: Arc<Connection>,
}

impl TimelyStream {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, limit: Limit::default(), connection }
    }

    /// What becomes of an attempt to write.
    fn wrote(
        &mut self,
        cx: &mut Context<'_>,
        wrote: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let Poll::Ready(written) = wrote else {
            self.connection.is_slow();
            ready!(self.limit.poll(cx, ANSWER_WITHIN));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        };
        if let (Some(limit), Ok(bytes)) = (&mut self.limit.0, &written) {
            let more = Duration::from_secs(1).mul_f64(*bytes as f64 / BYTES_A_SECOND as f64);
            let until = limit.deadline() + more;
            limit.as_mut().reset(until);
        }
        Poll::Ready(written)
    }
}

impl AsyncRead for TimelyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for TimelyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(cx, wrote)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.wrote(cx, wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Called once everything there was to write was taken.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.limit.0.take().is_some() {
            self.connection.is_quick(false);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
