//! What offers need of the rest of the configuration.

use std::collections::BTreeMap;

use super::Config;
use crate::{
    finding::Finding,
    sale::{
        offer::{Condition, Judge, Special, Whose},
        template::Template,
    },
};

/// A shorter secret can be guessed.
const SECRET_MIN: usize = 16;

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
