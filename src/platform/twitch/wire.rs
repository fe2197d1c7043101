//! The connection itself: our own address and TLS under the library's protocol.
//!
//! The library makes a transport by a function without arguments, in the task in which it asked
//! for credentials just before. So the credentials leave what the transport needs under that
//! task's id.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{Sink, SinkExt, stream};
use rustls::{ClientConfig, RootCertStore, pki_types::ServerName};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task,
};
use tokio_rustls::TlsConnector;
use twitch_irc::{
    message::IRCMessage,
    transport::{
        Transport,
        tcp::{MakeConnection, TCPTransport, TCPTransportConnectError},
    },
};

use super::{desk::Desk, settings::ChatServer};

/// A connection that takes longer is given up.
pub const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The tag with which a message finds its answer; Twitch gives it back.
pub const NONCE: &str = "client-nonce";

/// What a new connection needs to know.
pub struct Dial {
    /// Where to.
    pub server: ChatServer,
    /// Whose certificates are believed.
    pub trust: Arc<RootCertStore>,
    /// How things stand.
    pub desk: Arc<Desk>,
}

static DIALS: LazyLock<Mutex<HashMap<task::Id, Arc<Dial>>>> = LazyLock::new(Mutex::default);

fn dials() -> std::sync::MutexGuard<'static, HashMap<task::Id, Arc<Dial>>> {
    DIALS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Dial {
    /// Leaves this for the connection that the present task makes next.
    pub fn leave(self: &Arc<Self>) {
        if let Some(id) = task::try_id() {
            dials().insert(id, self.clone());
        }
    }

    fn found() -> io::Result<Arc<Self>> {
        let dial = task::try_id().and_then(|id| dials().get(&id).cloned());
        dial.ok_or_else(|| io::Error::other("nobody said where to connect to"))
    }

    async fn connect(&self) -> io::Result<Socket> {
        let ChatServer { tls, host, port } = &self.server;
        let plain = TcpStream::connect((host.as_str(), *port)).await?;
        plain.set_nodelay(true)?;
        if !tls {
            return Ok(Box::new(plain));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(self.trust.clone())
            .with_no_client_auth();
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let tls = TlsConnector::from(Arc::new(config)).connect(name, plain).await?;
        Ok(Box::new(tls))
    }
}

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Duplex for T {}
type Socket = Box<dyn Duplex>;

/// Makes sockets to where the present task was told.
pub struct Dialer;

#[async_trait]
impl MakeConnection for Dialer {
    type Socket = Socket;

    async fn new_socket() -> Result<Socket, TCPTransportConnectError> {
        Ok(Dial::found()?.connect().await?)
    }
}

/// The library's TCP transport, behind a gate: a message that nobody waits for any more does not
/// go out. Else one that was queued while the connection was away would be said when it is stale,
/// or for the second time.
#[derive(Debug)]
pub struct Wire {
    tcp: TCPTransport<Dialer>,
    gate: Gate,
}

#[derive(Clone)]
struct Gate(Arc<Desk>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

/// Takes the task's entry away again and tells of a connection that did not come about, even if
/// the attempt is dropped half-way because it took too long.
struct Attempt(Arc<Dial>, Option<String>);

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(id) = task::try_id() {
            dials().remove(&id);
        }
        if let Some(why) = self.1.take() {
            let ChatServer { host, port, .. } = &self.0.server;
            self.0.desk.away(format!("{host}:{port} cannot be reached: {why}"));
        }
    }
}

#[async_trait]
impl Transport for Wire {
    type ConnectError = TCPTransportConnectError;
    type IncomingError = io::Error;
    type OutgoingError = io::Error;
    type Incoming = <TCPTransport<Dialer> as Transport>::Incoming;
    type Outgoing = Box<dyn Sink<IRCMessage, Error = io::Error> + Unpin + Send + Sync>;

    async fn new() -> Result<Self, TCPTransportConnectError> {
        let dial = Dial::found()?;
        let gate = Gate(dial.desk.clone());
        let mut attempt = Attempt(dial, Some("it did not answer in time".to_owned()));
        let tcp = TCPTransport::new().await;
        attempt.1 = tcp.as_ref().err().map(ToString::to_string);
        Ok(Self { tcp: tcp?, gate })
    }

    fn split(self) -> (Self::Incoming, Self::Outgoing) {
        let (incoming, outgoing) = self.tcp.split();
        let Gate(desk) = self.gate;
        let gated = outgoing.with_flat_map(move |message: IRCMessage| {
            let nonce = message.tags.0.get(NONCE);
            let wanted = nonce.is_none_or(|nonce| desk.is_wanted(nonce));
            stream::iter(wanted.then_some(Ok(message)))
        });
        (incoming, Box::new(gated))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, BufReader};
    use twitch_irc::message::IRCTags;

    use super::*;
    use crate::clock::SystemClock;

    fn message(nonce: &str, text: &str) -> IRCMessage {
        let tags = IRCTags(HashMap::from([(NONCE.to_owned(), nonce.to_owned())]));
        IRCMessage::new(tags, None, "PRIVMSG".to_owned(), vec!["#shop".to_owned(), text.to_owned()])
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_does_not_go_out() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let rooms = ["shop".to_owned()].into_iter();
        let desk = Arc::new(Desk::new(Arc::new(SystemClock), "bot", rooms));
        let server = ChatServer { tls: false, host: "127.0.0.1".to_owned(), port };
        let trust = Arc::new(RootCertStore::empty());
        let dial = Arc::new(Dial { server, trust, desk: desk.clone() });
        let sent = tokio::spawn(async move {
            dial.leave();
            let (_incoming, mut outgoing) = Wire::new().await.expect("connects").split();
            let stale = desk.sending("shop").expect("a room").nonce.clone();
            outgoing.send(message(&stale, "stale")).await.expect("taken");
            let sending = desk.sending("shop").expect("a room");
            outgoing.send(message(&sending.nonce, "fresh")).await.expect("sent");
        });
        let (socket, _) = listener.accept().await.expect("a connection");
        let mut lines = BufReader::new(socket).lines();
        let line = lines.next_line().await.expect("readable").expect("a line");
        assert!(line.ends_with("PRIVMSG #shop fresh"), "{line}");
        sent.await.expect("no panic");
        assert!(dials().is_empty(), "nothing is left for tasks that are gone");
    }
}
