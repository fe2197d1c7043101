//! Where a request comes from, and who is believed about it.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{Web, door::networks};
use crate::{mac::mark, net::is_private_ip, sale::share::SEPARATOR, store::DocChange};

/// Whether that is a proxy of ours, whose word is taken.
pub(super) fn is_trusted(web: &Web, ip: IpAddr) -> bool {
    web.trusted_proxies.iter().any(|range| range.contains(ip))
}

/// Addresses remembered of proxies that are not trusted; more are not worth a word.
const STRANGE_MAX: usize = 8;

/// Documents that name such proxies, for `check`; their ids are the addresses.
pub const STRANGE_PROXY: &str = "strange_proxy";

/// What is said of such a proxy.
pub fn strange_proxy_mend(ip: IpAddr) -> String {
    format!(
        "a proxy that is not listed sends X-Forwarded-For: all visitors behind it count as one. If \
         it is yours, add \"{ip}\", or the range it lies in, to http.trusted_proxies"
    )
}

/// Machines of our own network that speak for others and are not listed: most likely a proxy that
/// was forgotten, behind which all visitors are one.
#[derive(Default)]
pub struct StrangeProxies(Mutex<BTreeSet<IpAddr>>);

impl StrangeProxies {
    /// Says so, once for each, and lays it down where `check` finds it.
    fn note(&self, web: &Web, ip: IpAddr) {
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= STRANGE_MAX || !known.insert(ip) {
                return;
            }
        }
        tracing::warn!(proxy = %ip, "{}", strange_proxy_mend(ip));
        let engine = web.engine.clone();
        let doc = DocChange {
            kind: STRANGE_PROXY,
            id: ip.to_string(),
            parent: String::new(),
            expected: 0,
            body: Some(serde_json::Value::Null),
        };
        tokio::spawn(async move {
            if let Err(error) = engine.store().put_docs(vec![doc]).await {
                tracing::warn!(%error, "what check is to say of a proxy was not written down");
            }
        });
    }
}

/// The client's address: the connection's, or what a trusted proxy says of it.
pub fn client_ip(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
    let mut ip = peer.ip().to_canonical();
    if !is_trusted(web, ip) {
        if is_private_ip(ip) && speaks_for_others(headers) {
            web.memory.strange_proxies.note(web, ip);
        }
        return ip;
    }
    // The last proxy wrote the last entry; walk back while we still trust the speaker.
    let said: Vec<Option<IpAddr>> = headers
        .get_all("x-forwarded-for")
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(spoken_of)
        .collect();
    for one in said.into_iter().rev() {
        ip = one.unwrap_or(NOBODY_KNOWN);
        if !is_trusted(web, ip) {
            break;
        }
    }
    ip
}

/// Whether a request was passed on by somebody, who says so.
fn speaks_for_others(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "x-real-ip"].iter().any(|name| headers.contains_key(*name))
}

/// Whoever a proxy speaks of in a way that cannot be read: all of them share what one address may.
const NOBODY_KNOWN: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// An address as proxies write it: some with a port, in brackets, in quotes, or with a zone.
fn spoken_of(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim().trim_matches('"');
    let bare = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // One colon is before a port; an IPv6 address has more.
        None if entry.matches(':').count() == 1 => entry.split_once(':')?.0,
        None => entry,
    };
    let bare = bare.split_once('%').map_or(bare, |(ip, _)| ip);
    bare.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// Keyed marks of the networks the client is in, for the bounds on each address; none for this
/// machine itself and for trusted proxies. A proxy on this machine that is not listed is neither:
/// all that it speaks for are one.
pub fn address_mark(web: &Web, peer: SocketAddr, headers: &HeaderMap) -> Option<String> {
    let ip = client_ip(web, peer, headers);
    if is_trusted(web, ip) || (ip.is_loopback() && !speaks_for_others(headers)) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_proxies_write_them() {
        for (said, ip) in [
            ("203.0.113.7", "203.0.113.7"),
            (" 203.0.113.7:4711 ", "203.0.113.7"),
            ("\"203.0.113.7\"", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("\"[2001:db8::7]:4711\"", "2001:db8::7"),
            ("[2001:db8::7%eth0]", "2001:db8::7"),
        ] {
            assert_eq!(spoken_of(said.as_bytes()), Some(ip.parse().expect("an address")), "{said}");
        }
        for said in ["", "unknown", "_hidden", "203.0.113.7:1:2", "[::1", "1.2.3.4.5"] {
            assert_eq!(spoken_of(said.as_bytes()), None, "{said}");
        }
        assert_eq!(spoken_of(b"\xff"), None);
    }
}
