//! How much of the listener one network address may take: connections, and streams among them.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{places::Places, settings::Settings};
use crate::net::AddressRange;

/// The bounds of the listener.
pub struct Doors {
    /// Connections at a time, from everywhere together.
    pub places: Arc<Places>,
    /// Connections of one address.
    pub connections: PerAddress,
    /// Streams of views of one address.
    pub streams: PerAddress,
}

impl Doors {
    /// The bounds as configured.
    pub fn of(config: &Settings) -> Self {
        let per_address =
            |max| PerAddress { max, exempt: config.trusted_proxies.clone(), taken: Arc::default() };
        Self {
            places: Places::new(config.max_connections as usize),
            connections: per_address(config.connections_per_address),
            streams: per_address(config.streams_per_address),
        }
    }
}

/// A bound for each address; this machine itself and trusted proxies are exempt.
pub struct PerAddress {
    max: u32,
    exempt: Vec<AddressRange>,
    taken: Taken,
}

type Taken = Arc<Mutex<HashMap<String, u32>>>;

/// A place taken, until it is dropped.
pub struct Place(Option<(Vec<String>, Taken)>);

impl PerAddress {
    /// Takes a place, if one is left for that address.
    pub fn enter(&self, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || self.exempt.iter().any(|range| range.contains(ip)) {
            return Some(Place(None));
        }
        let networks = networks(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let is_full = |(network, grade): (&String, u32)| {
            taken.get(network).is_some_and(|n| *n >= self.max.saturating_mul(grade))
        };
        // Wider networks have more people in them.
        if networks.iter().zip([1, 2, 4]).any(is_full) {
            return None;
        }
        for network in &networks {
            *taken.entry(network.clone()).or_default() += 1;
        }
        Some(Place(Some((networks, self.taken.clone()))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((networks, taken)) = &self.0 else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        for network in networks {
            if let Some(n) = taken.get_mut(network) {
                *n -= 1;
                if *n == 0 {
                    taken.remove(network);
                }
            }
        }
    }
}

/// Networks that an address lies in, the narrowest first. Of IPv6 a household, or one attacker, has
/// a /64 or a /56 to itself, and may have a /48.
pub(super) fn networks(ip: IpAddr) -> Vec<String> {
    let v6 = match ip {
        IpAddr::V4(ip) => return vec![ip.to_string()],
        IpAddr::V6(ip) => ip.to_bits(),
    };
    [64_u32, 56, 48].map(|bits| format!("{:x}/{bits}", v6 >> (128 - bits))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let config = Settings {
            connections_per_address: 2,
            trusted_proxies: vec!["192.0.2.1".parse().expect("an address")],
            ..Settings::default()
        };
        let gate = Doors::of(&config).connections;
        let first = gate.enter(ip("203.0.113.7"));
        let second = gate.enter(ip("::ffff:203.0.113.7"));
        assert!(first.is_some() && second.is_some());
        assert!(gate.enter(ip("203.0.113.7")).is_none(), "its share is used up");
        assert!(gate.enter(ip("203.0.113.8")).is_some(), "another's is not");
        drop(first);
        let again = gate.enter(ip("203.0.113.7"));
        assert!(again.is_some());

        let of_one_56: Vec<_> = (0..8)
            .flat_map(|n| [n, n])
            .filter_map(|n| gate.enter(ip(&format!("2001:db8:9:{n}::1"))))
            .collect();
        assert_eq!(of_one_56.len(), 4, "a wider network has twice the share");
        drop(of_one_56);

        let _household = [gate.enter(ip("2001:db8:1:2::1")), gate.enter(ip("2001:db8:1:2::2"))];
        assert!(gate.enter(ip("2001:db8:1:2:3::4")).is_none(), "one network, one share");

        let own: Vec<_> =
            ["127.0.0.1", "::1", "192.0.2.1"].iter().map(|one| gate.enter(ip(one))).collect();
        let more: Vec<_> = (0..9).map(|_| gate.enter(ip("127.0.0.1"))).collect();
        assert!(own.iter().chain(&more).all(Option::is_some), "exempt");

        drop((second, again, _household));
        assert!(gate.taken.lock().expect("unpoisoned").is_empty(), "nothing is kept of who left");
    }
}
