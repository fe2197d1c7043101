//! What the owner decides: `config.toml`, overlaid by the environment.
//!
//! Every key has its default here and its sentence in the shipped `config.toml`; a test holds the
//! two together. Unknown keys are errors. Secrets come from the environment only.

mod alike;
mod doubt;
pub mod env_file;
mod load;
mod needs;
mod offer;
mod own;
mod providers;
mod rooms;
mod store;
mod template;
mod variables;

use serde::Deserialize;

pub use self::{
    load::{
        ConfigError, Loaded, SECRETS_FILE, load, read, reload_templates, secrets, secrets_file,
    },
    providers::Providers,
    store::{ARCHIVE_AFTER_MIN, Store},
    template::templates,
    variables::is_setting,
};
use crate::{
    finding::Finding,
    http,
    net::is_private_host,
    platform::{discord, twitch},
    provider::{sandbox, spec::ProviderSpec},
    room::Room,
    secret::Secret,
};

/// Everything that can be set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The shop.
    pub shop: Shop,
    /// The listener.
    pub http: http::settings::Settings,
    /// Where sales live.
    pub store: Store,
    /// The terminal.
    pub console: Console,
    /// Twitch.
    pub twitch: twitch::Settings,
    /// Discord.
    pub discord: discord::Settings,
    /// Payment services.
    pub providers: Providers,
    /// What may be sold.
    pub templates: std::collections::BTreeMap<String, template::Raw>,
}

/// The shop.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shop {
    /// Its name on pages.
    pub name: String,
    /// What its database knows it by; its name if empty.
    pub id: String,
    /// What browsers call the listener; made from `http.listen` if empty.
    pub public_url: String,
    /// Rooms that hear of sales.
    pub rooms: Vec<Room>,
    /// Rooms where only moderators read.
    pub mod_rooms: Vec<Room>,
    /// Signs what a condition's own check is asked; from the environment only.
    pub check_secret: Secret,
}

impl Shop {
    /// What its database knows it by.
    pub fn identity(&self) -> &str {
        if self.id.is_empty() { &self.name } else { &self.id }
    }
}

/// The terminal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Console {
    /// Whether standard input is read as a moderator's.
    pub enabled: bool,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            name: "Livetill".to_owned(),
            id: String::new(),
            public_url: String::new(),
            rooms: vec![Room::console()],
            mod_rooms: Vec::new(),
            check_secret: Secret::default(),
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Config {
    /// Checks values together, templates included.
    pub fn check(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        self.check_urls(&mut found);
        self.http.check(&mut found);
        self.store.check(&mut found);
        self.check_providers(&mut found);
        self.discord.check(&mut found);
        self.twitch.check(&mut found);
        self.check_rooms(&mut found);
        if self.shop.name.trim().is_empty() || self.shop.name.chars().count() > 80 {
            found.push(Finding::error("shop.name", "write 1 to 80 characters"));
        }
        if self.shop.rooms.is_empty() {
            let says = "nobody would hear of a sale: name a room, like \"console\"";
            found.push(Finding::error("shop.rooms", says));
        }
        match templates(&self.templates) {
            Ok(templates) => {
                doubt::check(&templates, &mut found);
                self.providers.check_templates(&templates, &mut found);
                self.check_offers(&templates, &mut found);
            }
            Err(mut errors) => found.append(&mut errors),
        }
        found
    }

    fn check_urls(&self, found: &mut Vec<Finding>) {
        let url = &self.shop.public_url;
        if url.is_empty() {
            if self.http.listen.ip().is_unspecified() {
                let says = "with http.listen on all addresses, say what browsers call this \
                            machine, like \"http://192.168.1.20:8080\"";
                found.push(Finding::error("shop.public_url", says));
            }
            return;
        }
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split('/').next().unwrap_or_default());
        let fine = host.is_some_and(|host| {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]_".contains(&b))
        }) && rest.is_some_and(|rest| !rest.contains(['?', '#', '@', ' ']))
            && !url.ends_with('/')
            && rest.is_some_and(|rest| !rest.contains('/'));
        if !fine {
            let says = "write it like \"https://shop.example\": http or https, a host, perhaps a \
                        port, and nothing behind";
            found.push(Finding::error("shop.public_url", says));
            return;
        }
        let host = host.unwrap_or_default();
        let sandboxed = self.templates.values().any(|t| t.provider_name() == sandbox::NAME);
        if sandboxed && !is_private_host(host) && !self.providers.sandbox.allow_public {
            let says = format!(
                "templates use the sandbox provider, which takes no real money, but {host} can be \
                 public. Use another provider, a private address, or set \
                 providers.sandbox.allow_public = true"
            );
            found.push(Finding::error("shop.public_url", says));
        }
    }

    /// Secrets by key, and whether they are set.
    fn secrets(&self) -> Vec<(String, bool)> {
        let Self { discord, twitch, http, shop, .. } = self;
        let own = [
            ("http.desk_token", &http.desk_token),
            ("shop.check_secret", &shop.check_secret),
            ("discord.token", &discord.token),
            ("twitch.token", &twitch.token),
            ("twitch.client_secret", &twitch.client_secret),
            ("twitch.refresh_token", &twitch.refresh_token),
        ];
        let own = own.into_iter().map(|(key, secret)| (key.to_owned(), secret.is_set()));
        let of = |provider: &dyn ProviderSpec| {
            let name = provider.name();
            let keyed = |(key, secret): (&str, &Secret)| {
                (format!("providers.{name}.{key}"), secret.is_set())
            };
            provider.secrets().into_iter().map(keyed).collect::<Vec<_>>()
        };
        own.chain(self.providers.all().into_iter().flat_map(of)).collect()
    }
}
