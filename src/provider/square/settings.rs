//! `[providers.square]`.

use serde::Deserialize;

use crate::{finding::Finding, secret::Secret};

/// From this version on Square wants other fields for inventory adjustments (its changelog of
/// 2026-07-15).
pub const ADJUSTMENTS_CHANGED: &str = "2026-07-15";

/// A Square account.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of Square's two worlds.
    pub environment: Environment,
    /// Replaces the environment's address; for tests and proxies.
    pub api_url: String,
    /// `Square-Version` of every call.
    pub api_version: String,
    /// The location that sells.
    pub location_id: String,
    /// The webhook subscription's address, exactly as registered; made from `shop.public_url` if
    /// empty.
    pub notification_url: String,
    /// Words on a payment page that say it cannot be bought from.
    pub probe_reject: Vec<String>,
    /// API calls per second to begin with.
    pub calls_per_second: u32,
    /// The access token; from the environment only.
    pub access_token: Secret,
    /// Signature keys of the webhook subscriptions, separated by commas; from the environment
    /// only.
    pub signature_keys: Secret,
}

/// Square's two worlds. Tokens of one are worth nothing in the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Test accounts, no real money.
    #[default]
    Sandbox,
    /// Real money.
    Production,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            environment: Environment::Sandbox,
            api_url: String::new(),
            api_version: "2025-08-20".to_owned(),
            location_id: String::new(),
            notification_url: String::new(),
            probe_reject: ["out of stock", "sold out", "no longer available"]
                .map(str::to_owned)
                .to_vec(),
            calls_per_second: 5,
            access_token: Secret::default(),
            signature_keys: Secret::default(),
        }
    }
}

impl Settings {
    /// Whether there is enough to talk to Square.
    pub fn is_configured(&self) -> bool {
        self.still_missing().is_none()
    }

    /// What is still to be set before a template can use it, with its mend.
    pub(super) fn still_missing(&self) -> Option<&'static str> {
        if !self.access_token.is_set() {
            return Some(
                "square has no access token yet: set LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN in \
                 the environment or in livetill.env",
            );
        }
        if self.location_id.trim().is_empty() {
            return Some(
                "square has no location yet: set providers.square.location_id to the id of the \
                 location that sells (Square Developer Console, Locations)",
            );
        }
        None
    }

    /// Every signature key.
    pub fn keys(&self) -> Vec<Secret> {
        let keys = self.signature_keys.expose().split(',').map(str::trim);
        keys.filter(|key| !key.is_empty()).map(Secret::from).collect()
    }

    pub(super) fn check_values(&self, found: &mut Vec<Finding>) {
        let key = |name: &str| format!("providers.square.{name}");
        for (name, url) in
            [("api_url", &self.api_url), ("notification_url", &self.notification_url)]
        {
            let fine = url.starts_with("https://") || url.starts_with("http://");
            if !url.is_empty() && !fine {
                let says = "write it whole, like \"https://shop.example/webhooks/square\"";
                found.push(Finding::error(key(name), says));
            }
        }
        let version: Vec<&str> = self.api_version.split('-').collect();
        let digits = |text: &str, n| text.len() == n && text.bytes().all(|b| b.is_ascii_digit());
        let fine = matches!(version[..], [y, m, d] if digits(y, 4) && digits(m, 2) && digits(d, 2));
        if !fine {
            let says = "write a version of Square's API, like \"2025-08-20\"";
            found.push(Finding::error(key("api_version"), says));
        } else if self.api_version.as_str() >= ADJUSTMENTS_CHANGED {
            let says = "from 2026-07-15 Square takes other fields for a restock; 2025-08-20 is \
                        the version this program was made for";
            found.push(Finding::warning(key("api_version"), says));
        }
        if self.calls_per_second == 0 {
            found.push(Finding::error(key("calls_per_second"), "must be at least 1"));
        }
        if self.is_configured() && self.keys().is_empty() {
            let says = "webhooks cannot be checked and are turned away; payments are found by \
                        asking every few seconds only. Set \
                        LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS";
            found.push(Finding::warning(key("signature_keys"), says));
        }
    }
}
