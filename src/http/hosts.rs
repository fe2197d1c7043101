//! The names we are asked by. A page of somebody else can have a name of its own lead to this
//! machine, and would then count as one of ours; it cannot make a browser ask by one of our names.

use std::{fs, net::IpAddr};

/// Names that are served.
pub struct Hosts {
    /// What nearly every browser says, to the letter.
    usual: Vec<u8>,
    names: Vec<String>,
}

impl Hosts {
    /// The names of a shop that browsers call `base_url`; `more` are names or whole addresses.
    pub fn of(base_url: &str, more: &[String]) -> Self {
        let usual = authority(base_url);
        let mut names = vec!["localhost".to_owned(), name_of(usual).to_owned()];
        names.extend(more.iter().map(|one| name_of(authority(one)).to_owned()));
        if let Some(own) = own_name() {
            let short = own.strip_suffix(".local").unwrap_or(&own).to_owned();
            names.extend([format!("{short}.local"), short]);
        }
        names.retain(|name| !name.is_empty());
        Self { usual: usual.as_bytes().to_vec(), names }
    }

    /// Whether somebody who asks by that name, perhaps with a port, is served.
    pub fn serve(&self, host: &[u8]) -> bool {
        host == self.usual || std::str::from_utf8(host).is_ok_and(|host| self.know(host))
    }

    fn know(&self, host: &str) -> bool {
        let name = name_of(host);
        let name = name.strip_suffix('.').unwrap_or(name);
        // An address is no name that could lead elsewhere tomorrow.
        self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
            || name.parse::<IpAddr>().is_ok()
    }
}

/// Host and port of an address.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}

/// A host without its port, and without brackets.
fn name_of(host: &str) -> &str {
    if let Some((name, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return name;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

/// What this machine is called in its own network.
fn own_name() -> Option<String> {
    let files = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let read = files.iter().find_map(|path| fs::read_to_string(path).ok());
    let name = read.or_else(|| std::env::var("COMPUTERNAME").ok())?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_names_and_addresses_are_served_and_no_others() {
        let more = ["tunnel.example", "https://hooks.example/webhooks", ""].map(str::to_owned);
        let hosts = Hosts::of("https://shop.example", &more);
        let own = own_name().expect("a name");
        let own = own.strip_suffix(".local").unwrap_or(&own).to_owned();
        let ours = [
            "shop.example",
            "SHOP.example:443",
            "shop.example.",
            "localhost:8080",
            "127.0.0.1:8080",
            "192.168.1.20",
            "[::1]:8080",
            "[2001:db8::1]",
            "tunnel.example",
            "hooks.example",
            &own,
            &format!("{own}.local:8080"),
        ];
        for host in ours {
            assert!(hosts.serve(host.as_bytes()), "{host}");
        }
        for host in
            ["evil.example", "shop.example.evil.example", "", ":8080", "127.0.0.1.evil.example"]
        {
            assert!(!hosts.serve(host.as_bytes()), "{host}");
        }
        assert!(!hosts.serve(&[0xff, 0xfe]));
    }
}
