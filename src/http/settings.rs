//! `[http]`.

use std::net::SocketAddr;

use serde::Deserialize;

use crate::{finding::Finding, net::AddressRange, secret::Secret};

/// A shorter token for the desk could be guessed.
const DESK_TOKEN_MIN: usize = 12;

/// The listener.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Address and port.
    pub listen: SocketAddr,
    /// Names we are asked by besides our own.
    pub hosts: Vec<String>,
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<AddressRange>,
    /// Holds one address may have at a time.
    pub holds_per_address: u32,
    /// Holds one browser may let lapse in a sale.
    pub tries_per_buyer: u32,
    /// Connections at a time.
    pub max_connections: u32,
    /// Connections of one address at a time.
    pub connections_per_address: u32,
    /// Streams of views that one address may follow at a time.
    pub streams_per_address: u32,
    /// Opens the owner's desk, from the environment; without one there is no desk.
    pub desk_token: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            holds_per_address: 3,
            tries_per_buyer: 5,
            max_connections: 4096,
            connections_per_address: 256,
            streams_per_address: 100,
            desk_token: Secret::default(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self, found: &mut Vec<Finding>) {
        let token = self.desk_token.expose().trim();
        if self.desk_token.is_set() && token.chars().count() < DESK_TOKEN_MIN {
            let says = format!(
                "is too short to be safe: at least {DESK_TOKEN_MIN} characters. Make one with: \
                 openssl rand -hex 16"
            );
            found.push(Finding::error("http.desk_token", says));
        }
        for host in &self.hosts {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || !host.bytes().all(fine) {
                let says = format!(
                    "{host:?} is no name: write it like \"shop.example\", without http:// and \
                     without a port"
                );
                found.push(Finding::error("http.hosts", says));
            }
        }
        for (key, n) in [
            ("http.holds_per_address", self.holds_per_address),
            ("http.tries_per_buyer", self.tries_per_buyer),
            ("http.max_connections", self.max_connections),
            ("http.connections_per_address", self.connections_per_address),
            ("http.streams_per_address", self.streams_per_address),
        ] {
            if n == 0 {
                found.push(Finding::error(key, "must be at least 1"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_token_that_could_be_guessed_is_refused() {
        let check = |token: &str| {
            let mut found = Vec::new();
            Settings { desk_token: token.into(), ..Settings::default() }.check(&mut found);
            found
        };
        for short in ["1", "hunter2", "12345678901"] {
            let found = check(short);
            assert!(found[0].is_error() && found[0].says.contains("openssl rand"), "{short}");
        }
        assert!(check("").is_empty() && check("123456789012").is_empty());
    }
}
