//! Which addresses are of this machine or its own network.

use std::net::IpAddr;

/// Whether a host (perhaps with a port) names this machine or a private network.
pub fn is_private_host(host: &str) -> bool {
    let name = host
        .strip_prefix('[')
        .and_then(|rest| rest.split(']').next())
        .unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    if let Ok(ip) = name.parse::<IpAddr>() {
        return is_private_ip(ip);
    }
    let name = name.to_ascii_lowercase();
    name == "localhost"
        || [".localhost", ".local", ".lan", ".home.arpa", ".internal", ".test"]
            .iter()
            .any(|end| name.ends_with(end))
}

/// Whether an address is loopback, link-local or of a private network.
pub fn is_private_ip(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => is_private_ip(IpAddr::V4(ip)),
            None => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_hosts() {
        for host in
            ["127.0.0.1:8080", "localhost", "192.168.1.20:80", "[::1]:80", "pc.local", "10.1.1.1"]
        {
            assert!(is_private_host(host), "{host}");
        }
        for host in
            ["shop.example", "8.8.8.8", "172.32.0.1:80", "[2001:db8::1]", "localhost.evil.com"]
        {
            assert!(!is_private_host(host), "{host}");
        }
    }
}
