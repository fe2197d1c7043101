//! The encrypted way, as production goes it; only the authority is the test's own.

use std::sync::Arc;

use livetill::platform::{
    Platform, Standing,
    twitch::{Setup, Twitch, public_roots},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::stage::{Scene, room};

/// A certificate for `localhost` and the authority that signed it.
pub fn certificate() -> (CertificateDer<'static>, CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key"));
    let authority = authority.expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let server = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
    let server = server.signed_by(&key, &authority).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    (authority.der().clone(), server.der().clone(), key)
}

/// Takes encrypted connections and hands what comes to the plain fake.
pub async fn unwrap_tls(
    plain: std::net::SocketAddr,
    server: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![server], key)
        .expect("a certificate");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("localhost:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.expect("a connection");
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut socket) = acceptor.accept(socket).await else { return };
                let mut inside = TcpStream::connect(plain).await.expect("the fake");
                let _ = tokio::io::copy_bidirectional(&mut socket, &mut inside).await;
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_is_spoken_and_a_certificate_of_nobodys_is_refused() {
    let mut scene = Scene::new().await;
    let (authority, server, key) = certificate();
    let port = unwrap_tls(scene.chat.address, server, key).await;
    scene.config.server = format!("tls://localhost:{port}");
    let mut ours = RootCertStore::empty();
    ours.add(authority).expect("an authority");
    for (trust, good) in [(Arc::new(ours), true), (public_roots(), false)] {
        let twitch = Twitch::new(Setup {
            config: scene.config.clone(),
            token_file: scene.token_file(),
            rooms: vec![room()],
            clock: scene.setup.clock.clone(),
            trust,
        })
        .expect("a set-up");
        let stop = CancellationToken::new();
        let (heard, _hears) = tokio::sync::mpsc::channel(8);
        tokio::spawn(twitch.clone().connect(heard, stop.clone()));
        let standing = loop {
            match twitch.health().expect("a connection").standing {
                Standing::Starting => {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
                standing => break standing,
            }
        };
        match (&standing, good) {
            (Standing::Up, true) => {}
            (Standing::Away(why), false) => assert!(why.contains("UnknownIssuer"), "{why}"),
            _ => panic!("{standing:?}"),
        }
        stop.cancel();
    }
    assert_eq!(scene.chat.state().logins.len(), 1, "no token is told to a stranger");
}
