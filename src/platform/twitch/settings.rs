//! What is set for Twitch.

use serde::Deserialize;

use crate::{finding::Finding, net::is_private_host, secret::Secret};

/// Twitch.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether it is used at all.
    pub enabled: bool,
    /// The bot account's login; empty takes it from the token.
    pub login: String,
    /// The chat server: `tls://host:port`, or `tcp://host:port` without encryption.
    pub server: String,
    /// Id of the registered application that tokens are made for.
    pub client_id: String,
    /// Ids of the moderators who may run sales; empty lets all of the channel's do.
    pub moderator_users: Vec<String>,
    /// Where tokens are made and looked at.
    pub auth_url: String,
    /// Whether the program ends when Twitch is set up wrongly and nothing runs.
    pub required: bool,
    /// The bot account's access token, from the environment.
    pub token: Secret,
    /// The application's secret, if it has one, from the environment.
    pub client_secret: Secret,
    /// What a new access token is bought with, from the environment.
    pub refresh_token: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            login: String::new(),
            server: "tls://irc.chat.twitch.tv:6697".to_owned(),
            client_id: String::new(),
            moderator_users: Vec::new(),
            auth_url: "https://id.twitch.tv".to_owned(),
            required: true,
            token: Secret::default(),
            client_secret: Secret::default(),
            refresh_token: Secret::default(),
        }
    }
}

/// Where the chat server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatServer {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Settings {
    /// The chat server; `None` if `server` is not an address.
    pub fn chat_server(&self) -> Option<ChatServer> {
        let (tls, rest) = match self.server.split_once("://")? {
            ("tls", rest) => (true, rest),
            ("tcp", rest) => (false, rest),
            _ => return None,
        };
        let (host, port) = rest.rsplit_once(':')?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let fine = !bare.is_empty() && !bare.contains(['/', '@', ' ', '[', ']']);
        fine.then_some(ChatServer { tls, host: bare.to_owned(), port: port.parse().ok()? })
    }

    pub(crate) fn check(&self, found: &mut Vec<Finding>) {
        match self.chat_server() {
            None => {
                let says = "write it like \"tls://irc.chat.twitch.tv:6697\"";
                found.push(Finding::error("twitch.server", says));
            }
            Some(server) if !server.tls && !is_private_host(&server.host) => {
                let says = "without encryption the token could be read on the way: write tls://";
                found.push(Finding::error("twitch.server", says));
            }
            Some(_) => {}
        }
        if !is_safe_url(&self.auth_url) {
            let says = "write it like \"https://id.twitch.tv\", with nothing behind";
            found.push(Finding::error("twitch.auth_url", says));
        }
        let login = &self.login;
        if login.len() > 25 || !login.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let says = "is the name in the bot account's address, like \"livetill_bot\"";
            found.push(Finding::error("twitch.login", says));
        }
        for id in &self.moderator_users {
            if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
                let says = format!(
                    "not an id: {}. Names can be changed and taken over, so it is user ids, \
                     numbers in quotes like \"12345678\"",
                    id.chars().take(40).collect::<String>()
                );
                found.push(Finding::error("twitch.moderator_users", says));
            }
        }
    }
}

/// Tokens go there: encrypted, or to a private host.
fn is_safe_url(url: &str) -> bool {
    let (https, host) = match url.split_once("://") {
        Some(("https", host)) => (true, host),
        Some(("http", host)) => (false, host),
        _ => return false,
    };
    !host.is_empty()
        && !host.contains(['/', '?', '#', '@', ' '])
        && (https || is_private_host(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(twitch: &Settings) -> Vec<String> {
        let mut found = Vec::new();
        twitch.check(&mut found);
        found.into_iter().map(|finding| finding.key).collect()
    }

    #[test]
    fn servers_read() {
        let server = |text: &str| Settings { server: text.to_owned(), ..Settings::default() };
        let read = server("tcp://[::1]:6667").chat_server().expect("reads");
        assert_eq!((read.tls, read.host.as_str(), read.port), (false, "::1", 6667));
        assert!(wrong(&Settings::default()).is_empty());
        for bad in ["irc.chat.twitch.tv:6697", "tls://x", "tls://:1", "tls://x:99999", "ws://x:1"] {
            assert_eq!(wrong(&server(bad)), ["twitch.server"], "{bad}");
        }
        assert_eq!(wrong(&server("tcp://irc.chat.twitch.tv:6667")), ["twitch.server"]);
        assert!(wrong(&server("tcp://127.0.0.1:6667")).is_empty());
    }

    #[test]
    fn tokens_go_nowhere_unencrypted_and_names_are_no_ids() {
        let auth = |url: &str| Settings { auth_url: url.to_owned(), ..Settings::default() };
        assert_eq!(wrong(&auth("http://id.twitch.tv")), ["twitch.auth_url"]);
        assert!(wrong(&auth("http://127.0.0.1:1")).is_empty());
        let named = Settings { moderator_users: vec!["ana".to_owned()], ..Settings::default() };
        assert_eq!(wrong(&named), ["twitch.moderator_users"]);
    }
}
