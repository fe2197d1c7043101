//! `[providers.noventiq]`.

use serde::Deserialize;

use crate::{finding::Finding, secret::Secret};

/// Characters of the contact address (the refund request's reference).
const EMAIL_MAX: usize = 80;

/// A Noventiq Checkout seller.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the API answers; there is no default, and so no host to be called by mistake.
    pub api_url: String,
    /// The checkout page's id; 0 where the currency has only one.
    pub market_id: u64,
    /// Whom the service answers about refunds.
    pub contact_email: String,
    /// Hosts that buyers are sent to, besides Noventiq's own.
    pub checkout_hosts: Vec<String>,
    /// Whether a new link may be looked at before a buyer gets it.
    pub open_links: bool,
    /// What the buyer's data are called in a request; empty: not sent.
    pub customer_field: String,
    /// What the number of units is called in a request; empty: not sent, one unit per order.
    pub quantity_field: String,
    /// Whether our references are also sent as additional data.
    pub additional_data: bool,
    /// Take templates with delivery choices or postal addresses all the same.
    pub allow_physical: bool,
    /// API calls per second to begin with.
    pub calls_per_second: u32,
    /// Who logs in; from the environment only.
    pub username: Secret,
    /// With what; from the environment only.
    pub password: Secret,
    /// The secret key of the webhooks; from the environment only.
    pub webhook_secret: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            api_url: String::new(),
            market_id: 0,
            contact_email: String::new(),
            checkout_hosts: Vec::new(),
            open_links: true,
            customer_field: "customer".to_owned(),
            quantity_field: "quantity".to_owned(),
            additional_data: true,
            allow_physical: false,
            calls_per_second: 2,
            username: Secret::default(),
            password: Secret::default(),
            webhook_secret: Secret::default(),
        }
    }
}

impl Settings {
    /// Whether there is enough to talk to Noventiq.
    pub fn is_configured(&self) -> bool {
        self.still_missing().is_none()
    }

    /// What is still to be set before a template can use it, with its mend.
    pub(super) fn still_missing(&self) -> Option<&'static str> {
        if self.api_url.trim().is_empty() {
            return Some(
                "noventiq has no address yet: set providers.noventiq.api_url, see docs/noventiq.md",
            );
        }
        (!self.username.is_set() || !self.password.is_set()).then_some(
            "noventiq has no login yet: set LIVETILL_PROVIDERS__NOVENTIQ__USERNAME and \
             LIVETILL_PROVIDERS__NOVENTIQ__PASSWORD in the environment or in livetill.env",
        )
    }

    /// Whether it is the world where real money moves.
    pub fn takes_real_money(&self) -> bool {
        ["https://api.ecommerce.noventiq.com", "https://api.ecommerce.softline.com"]
            .contains(&self.api_url.trim().trim_end_matches('/'))
    }

    /// Whom the service answers about refunds: as configured, else the login if it is an address.
    pub fn contact(&self) -> Option<&str> {
        let own = self.contact_email.trim();
        let login = self.username.expose().trim();
        let fine = |text: &&str| text.contains('@') && text.chars().count() <= EMAIL_MAX;
        [own, login].into_iter().find(|text| !text.is_empty()).filter(fine)
    }

    pub(super) fn check_values(&self, found: &mut Vec<Finding>) {
        let key = |name: &str| format!("providers.noventiq.{name}");
        let url = self.api_url.trim();
        if !["https://", "http://"].iter().any(|one| url.starts_with(one)) && !url.is_empty() {
            let says = "write it whole, like \"https://api.ecommerce.noventiq.com\"";
            found.push(Finding::error(key("api_url"), says));
        }
        if self.calls_per_second == 0 {
            found.push(Finding::error(key("calls_per_second"), "must be at least 1"));
        }
        let host = |text: &String| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".-*:".contains(&b))
        };
        if !self.checkout_hosts.iter().all(host) {
            let says = "write hosts alone, like [\"checkout.shop.example\"]";
            found.push(Finding::error(key("checkout_hosts"), says));
        }
        if !self.is_configured() {
            return;
        }
        if self.contact().is_none() {
            let says = "refunds cannot be asked for: write the e-mail address (80 characters at \
                        most) at which Noventiq reaches you about them";
            found.push(Finding::warning(key("contact_email"), says));
        }
        if !self.webhook_secret.is_set() {
            let says = "webhooks cannot be checked and are turned away; payments are found by \
                        asking every few seconds only. Set \
                        LIVETILL_PROVIDERS__NOVENTIQ__WEBHOOK_SECRET";
            found.push(Finding::warning(key("webhook_secret"), says));
        }
    }
}
