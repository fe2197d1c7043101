//! Where a request comes from, and who is believed about it.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Web, door::networks};
use crate::{config::is_private_ip, provider::signature::mark, sale::share::SEPARATOR};

/// The client's address: the connection's, or what a trusted proxy says of it.
pub fn client_ip(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let mut ip = peer.ip().to_canonical();
    if !web.trusted_proxies.contains(&ip) {
        return ip;
    }
    // The last proxy wrote the last entry; walk back while we still trust the speaker.
    let said: Vec<IpAddr> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|entry| entry.trim().parse::<IpAddr>().ok())
        .collect();
    for one in said.into_iter().rev() {
        ip = one.to_canonical();
        if !web.trusted_proxies.contains(&ip) {
            break;
        }
    }
    ip
}

/// Keyed marks of the networks the client is in, for the bounds on each address; none for this
/// machine itself and for trusted proxies.
pub fn address_mark(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Option<String> {
    let ip = client_ip(web, peer, headers);
    if ip.is_loopback() || web.trusted_proxies.contains(&ip) {
        return None;
    }
    let mut marks = String::new();
    for network in networks(ip) {
        if !marks.is_empty() {
            marks.push(SEPARATOR);
        }
        marks.push_str(&mark(&web.keys.address, &network));
    }
    Some(marks)
}

/// The sandbox's pages are for this machine and its private network only, unless configured.
pub async fn private_only(
    State(web): State<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let forwarded = request
        .headers()
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        // Whoever it is from, a public or unreadable address in it means the outside world.
        .all(|entry| entry.trim().parse().is_ok_and(is_private_ip));
    let private = is_private_ip(client_ip(&web, peer, request.headers()).to_canonical());
    if web.sandbox_public || (private && forwarded) {
        return next.run(request).await;
    }
    let says = "The sandbox takes no real money and is open to private networks only. \
                To open it all the same: providers.sandbox.allow_public = true\n";
    (StatusCode::FORBIDDEN, says).into_response()
}
