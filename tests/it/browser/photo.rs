//! A server for the product's photo, as a shop would have: another host, over TLS.

use axum::{Router, http::header, routing::get};
use tokio::net::TcpListener;

use crate::twitch::tls::{certificate, unwrap_tls};

/// A mug on a shelf.
const MUG: &str = include_str!("mug.svg");

/// Where the photo is, as templates name it.
pub const ADDRESS: &str = "https://photos.example/mug.svg";

/// Starts it; answers the port to connect to for `photos.example`.
pub async fn serve() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let plain = listener.local_addr().expect("an address");
    let photo = || async { ([(header::CONTENT_TYPE, "image/svg+xml")], MUG) };
    let router = Router::new().route("/mug.svg", get(photo));
    tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
    let (_, server, key) = certificate();
    unwrap_tls(plain, server, key).await
}
