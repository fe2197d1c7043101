//! `[providers.polar]`.

use serde::Deserialize;

use crate::{finding::Finding, secret::Secret};

/// A Polar organization.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which of Polar's two worlds, or what stands in for it.
    pub api_url: String,
    /// Take templates with delivery choices or postal addresses all the same.
    pub allow_physical: bool,
    /// API calls per second to begin with.
    pub calls_per_second: u32,
    /// The organization access token; from the environment only.
    pub access_token: Secret,
    /// The secret of the webhook endpoint; from the environment only.
    pub webhook_secret: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_url: "https://sandbox-api.polar.sh".to_owned(),
            allow_physical: false,
            calls_per_second: 2,
            access_token: Secret::default(),
            webhook_secret: Secret::default(),
        }
    }
}

impl Settings {
    /// Whether there is enough to talk to Polar.
    pub fn is_configured(&self) -> bool {
        self.still_missing().is_none()
    }

    /// What is still to be set before a template can use it, with its mend.
    pub(super) fn still_missing(&self) -> Option<&'static str> {
        (!self.access_token.is_set()).then_some(
            "polar has no access token yet: set LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN in the \
             environment or in livetill.env",
        )
    }

    /// Whether it is the world where real money moves.
    pub fn takes_real_money(&self) -> bool {
        self.api_url.trim().trim_end_matches('/') == "https://api.polar.sh"
    }

    pub(super) fn check_values(&self, found: &mut Vec<Finding>) {
        let key = |name: &str| format!("providers.polar.{name}");
        let url = self.api_url.trim();
        if !(url.starts_with("https://") || url.starts_with("http://")) {
            let says = "write it whole: \"https://api.polar.sh\" for real money, or \
                        \"https://sandbox-api.polar.sh\"";
            found.push(Finding::error(key("api_url"), says));
        }
        if self.calls_per_second == 0 {
            found.push(Finding::error(key("calls_per_second"), "must be at least 1"));
        }
        if self.is_configured() && !self.webhook_secret.is_set() {
            let says = "webhooks cannot be checked and are turned away; payments are found by \
                        asking every few seconds only. Set \
                        LIVETILL_PROVIDERS__POLAR__WEBHOOK_SECRET";
            found.push(Finding::warning(key("webhook_secret"), says));
        }
    }
}
