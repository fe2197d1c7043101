//! How much of the listener one network address may take: connections, and streams among them.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use crate::config::Http;

/// The bounds of the listener.
pub struct Doors {
    /// Connections at a time, from everywhere together.
    pub connections_max: usize,
    /// Connections of one address.
    pub connections: PerAddress,
    /// Streams of views of one address.
    pub streams: PerAddress,
}

impl Doors {
    /// The bounds as configured.
    pub fn of(config: &Http) -> Self {
        let per_address = |max| PerAddress {
            max,
            exempt: config.trusted_proxies.iter().copied().collect(),
            taken: Arc::default(),
        };
        Self {
            connections_max: config.max_connections as usize,
            connections: per_address(config.connections_per_address),
            streams: per_address(config.streams_per_address),
        }
    }
}

/// A bound for each address; this machine itself and trusted proxies are exempt.
pub struct PerAddress {
    max: u32,
    exempt: BTreeSet<IpAddr>,
    taken: Taken,
}

type Taken = Arc<Mutex<HashMap<String, u32>>>;

/// A place taken, until it is dropped.
pub struct Place(Option<(String, Taken)>);

impl PerAddress {
    /// Takes a place, if one is left for that address.
    pub fn enter(&self, ip: IpAddr) -> Option<Place> {
        let ip = ip.to_canonical();
        if ip.is_loopback() || self.exempt.contains(&ip) {
            return Some(Place(None));
        }
        let network = network(ip);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let n = taken.entry(network.clone()).or_default();
        if *n >= self.max {
            return None;
        }
        *n += 1;
        Some(Place(Some((network, self.taken.clone()))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((network, taken)) = &self.0 else { return };
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n) = taken.get_mut(network) {
            *n -= 1;
            if *n == 0 {
                taken.remove(network);
            }
        }
    }
}

/// What one household, or one attacker, has to itself.
pub(super) fn network(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        // At least a /64.
        IpAddr::V6(ip) => format!("{:x?}", &ip.segments()[..4]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let config = Http {
            connections_per_address: 2,
            trusted_proxies: vec![ip("192.0.2.1")],
            ..Http::default()
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
