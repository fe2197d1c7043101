//! What the configured providers can do, and what of the templates they cannot honour.

use std::collections::BTreeMap;

use super::{Config, Providers};
use crate::{
    finding::Finding,
    provider::{noventiq, polar, sandbox, square},
    sale::{
        carry::cannot,
        offer::{Condition, Judge, Special, Whose},
        template::{Capabilities, Template},
    },
};

/// A shorter secret can be guessed.
const SECRET_MIN: usize = 16;

impl Providers {
    /// Providers that a template may name.
    pub const NAMES: [&str; 4] = [sandbox::NAME, square::NAME, polar::NAME, noventiq::NAME];

    /// What the provider of that name can do; `None` if there is none.
    pub fn capabilities(&self, name: &str) -> Option<Capabilities> {
        match name {
            sandbox::NAME => Some(sandbox::capabilities()),
            square::NAME => Some(square::capabilities(&self.square)),
            polar::NAME => Some(polar::capabilities(&self.polar)),
            noventiq::NAME => Some(noventiq::capabilities(&self.noventiq)),
            _ => None,
        }
    }

    /// What templates ask of providers that cannot do it: refused here, never dropped later.
    pub(super) fn check_templates(
        &self,
        templates: &BTreeMap<String, Template>,
        found: &mut Vec<Finding>,
    ) {
        for template in templates.values() {
            let Some(able) = self.capabilities(&template.provider) else { continue };
            let lifted = match template.provider.as_str() {
                polar::NAME if !able.physical => polar::PHYSICAL_ALLOWED,
                noventiq::NAME if !able.physical => noventiq::PHYSICAL_ALLOWED,
                _ => "",
            };
            for no in cannot(template, &able) {
                let more = if no.is_about_goods() { lifted } else { "" };
                let key = format!("templates.{}.{}", template.name, no.key);
                found.push(Finding::error(key, no.says + more));
            }
        }
    }
}

impl Config {
    /// What offers need of the rest of the configuration.
    pub(super) fn check_offers(
        &self,
        templates: &BTreeMap<String, Template>,
        found: &mut Vec<Finding>,
    ) {
        for Template { name, offers, .. } in templates.values() {
            let asks = |condition: &Condition| matches!(condition.judge, Judge::Url { .. });
            let secret = &self.shop.check_secret;
            let short = secret.expose().len() < SECRET_MIN;
            if offers.condition.as_ref().is_some_and(asks) && short {
                let says = format!(
                    "is asked with a signature: set LIVETILL_SHOP__CHECK_SECRET to a random word \
                     of at least {SECRET_MIN} characters that the shop's server knows, too"
                );
                found.push(Finding::error(format!("templates.{name}.condition.url"), says));
            }
            let of_role = |special: &Special| matches!(special.of, Whose::Role { .. });
            if offers.specials.iter().any(of_role) && !self.discord.enabled {
                let says = "nobody has the role's price while discord.enabled is false";
                found.push(Finding::warning(format!("templates.{name}.special"), says));
            }
        }
    }
}
