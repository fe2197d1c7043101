//! What is set for Discord.

use serde::Deserialize;

use crate::{finding::Finding, secret::Secret};

/// Discord.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether it is used at all.
    pub enabled: bool,
    /// Stands in for `https://discord.com`; for tests.
    pub api_url: String,
    /// Ids of roles that may run sales.
    pub moderator_roles: Vec<String>,
    /// Ids of people who may run sales.
    pub moderator_users: Vec<String>,
    /// Id of the one role that is mentioned when a sale opens.
    pub announce_role: String,
    /// Whether the program ends when Discord is set up wrongly and nothing runs.
    pub required: bool,
    /// The bot's token, from the environment.
    pub token: Secret,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            api_url: String::new(),
            moderator_roles: Vec::new(),
            moderator_users: Vec::new(),
            announce_role: String::new(),
            required: true,
            token: Secret::default(),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self, found: &mut Vec<Finding>) {
        let lists = [
            ("discord.moderator_roles", self.moderator_roles.as_slice()),
            ("discord.moderator_users", self.moderator_users.as_slice()),
        ];
        for (key, ids) in lists {
            for id in ids.iter().filter(|id| !is_id(id)) {
                found.push(Finding::error(key, not_an_id(id)));
            }
        }
        if !self.announce_role.is_empty() && !is_id(&self.announce_role) {
            found.push(Finding::error("discord.announce_role", not_an_id(&self.announce_role)));
        }
        let url = &self.api_url;
        if !url.is_empty() && !url.starts_with("http://") && !url.starts_with("https://") {
            let says = "write it like \"http://127.0.0.1:3000\", or leave it empty";
            found.push(Finding::error("discord.api_url", says));
        }
        if self.enabled && !self.token.is_set() {
            let says = "needs the bot's token: set LIVETILL_DISCORD__TOKEN in the environment or in \
                        livetill.env (Discord's developer portal, your application, Bot, Reset \
                        Token)";
            found.push(Finding::error("discord.enabled", says));
        }
    }
}

/// Discord's ids are whole numbers of up to 20 digits, never 0.
fn is_id(text: &str) -> bool {
    text.parse::<u64>().is_ok_and(|id| id > 0) && text.bytes().all(|b| b.is_ascii_digit())
}

fn not_an_id(text: &str) -> String {
    let shown: String = text.chars().take(40).collect();
    format!(
        "not an id: {shown}. Ids are numbers in quotes, like \"123456789012345678\": in Discord \
         switch on Settings, Advanced, Developer Mode, then right-click and Copy ID"
    )
}
