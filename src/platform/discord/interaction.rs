//! A slash command, a button or a menu as Discord sends it, read with as few demands as possible:
//! a field that Discord adds or drops must not cost a moderator their command. Pure.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// An interaction (Discord's reference of *Interaction Object*).
#[derive(Clone, Deserialize)]
pub(super) struct Interaction {
    #[serde(deserialize_with = "id")]
    pub id: String,
    #[serde(rename = "type")]
    pub kind: u8,
    pub token: String,
    #[serde(default, deserialize_with = "maybe_id")]
    pub guild_id: Option<String>,
    #[serde(default, deserialize_with = "maybe_id")]
    pub channel_id: Option<String>,
    #[serde(default)]
    pub member: Option<Member>,
    #[serde(default)]
    pub data: Data,
    #[serde(default)]
    pub message: Option<On>,
}

/// What kind of interaction it is.
pub(super) mod kind {
    pub(in super::super) const COMMAND: u8 = 2;
    pub(in super::super) const COMPONENT: u8 = 3;
    pub(in super::super) const AUTOCOMPLETE: u8 = 4;
}

/// Who, with rights already worked out by Discord.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Member {
    pub user: Person,
    #[serde(default)]
    pub nick: Option<String>,
    #[serde(default, deserialize_with = "list")]
    pub roles: Vec<String>,
    #[serde(default, deserialize_with = "maybe_id")]
    pub permissions: Option<String>,
}

/// A person.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Person {
    #[serde(deserialize_with = "id")]
    pub id: String,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub global_name: Option<String>,
}

/// What was typed, pressed or chosen.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Data {
    #[serde(default)]
    pub name: String,
    #[serde(default, deserialize_with = "list")]
    pub options: Vec<Choice>,
    #[serde(default)]
    pub custom_id: String,
    #[serde(default, deserialize_with = "list")]
    pub values: Vec<String>,
}

/// An option of a slash command.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Choice {
    pub name: String,
    #[serde(default)]
    pub value: Value,
    #[serde(default, deserialize_with = "list")]
    pub options: Vec<Choice>,
    #[serde(default)]
    pub focused: Option<bool>,
}

/// The message under which something was pressed.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct On {
    #[serde(default)]
    pub flags: Option<u64>,
}

impl Member {
    /// What to call them.
    pub(super) fn shown(&self) -> &str {
        let names = [self.nick.as_deref(), self.user.global_name.as_deref()];
        names.into_iter().flatten().find(|name| !name.is_empty()).unwrap_or(&self.user.username)
    }

    /// Their rights in the channel, as bits.
    pub(super) fn rights(&self) -> u64 {
        self.permissions.as_deref().and_then(|bits| bits.parse().ok()).unwrap_or(0)
    }
}

impl On {
    /// Only one person sees it.
    pub(super) fn is_ephemeral(&self) -> bool {
        self.flags.unwrap_or(0) & EPHEMERAL != 0
    }
}

/// The message flag of what only one person sees.
pub(super) const EPHEMERAL: u64 = 64;

#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Quoted(String),
    Number(u64),
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        match text {
            Text::Quoted(text) => text,
            Text::Number(number) => number.to_string(),
        }
    }
}

fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Text::deserialize(deserializer).map(String::from)
}

fn maybe_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<Text>::deserialize(deserializer).map(|text| text.map(String::from))
}

/// A list, or nothing at all.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Option::<Vec<T>>::deserialize(deserializer).map(Option::unwrap_or_default)
}
