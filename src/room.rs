//! Who speaks and where: rooms, users, roles and the messages that come in.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A chat service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlatformName {
    /// The terminal the program runs in.
    Console,
    /// Discord.
    Discord,
    /// Twitch.
    Twitch,
}

/// A place where people talk: a platform and its id of the channel (a login on Twitch).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Room {
    /// The platform.
    pub platform: PlatformName,
    /// The platform's id of the channel; empty on the console.
    pub channel: String,
}

/// A person. The id is who they are; the name is paint.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct User {
    /// The platform the id belongs to.
    pub platform: PlatformName,
    /// The platform's id of the person.
    pub id: String,
    /// What to call them.
    pub name: String,
}

/// What a person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May look and buy.
    Viewer,
    /// May run sales.
    Moderator,
}

/// One line said in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The platform's id of the message, unique on that platform.
    pub id: String,
    /// Where it was said.
    pub room: Room,
    /// Who said it.
    pub user: User,
    /// Their standing, from ids and badges only.
    pub role: Role,
    /// What was said.
    pub text: String,
    /// The answer reaches the asker alone, whatever the room (a slash command's does).
    pub aside: bool,
}

impl PlatformName {
    /// The word used in configuration and in ids.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Console => "console",
            Self::Discord => "discord",
            Self::Twitch => "twitch",
        }
    }
}

impl fmt::Display for PlatformName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Room {
    /// The terminal.
    pub fn console() -> Self {
        Self { platform: PlatformName::Console, channel: String::new() }
    }

    /// A room of `platform` by its channel id.
    pub fn new(platform: PlatformName, channel: impl Into<String>) -> Self {
        Self { platform, channel: channel.into() }
    }
}

impl User {
    /// `platform:id`, the form in which a person is stored and compared.
    pub fn key(&self) -> String {
        format!("{}:{}", self.platform, self.id)
    }

    /// The key, and the name they went by: how the journal keeps who did something.
    pub fn signature(&self) -> String {
        format!("{} {}", self.key(), self.name)
    }
}

impl fmt::Display for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channel.is_empty() {
            return f.write_str(self.platform.as_str());
        }
        write!(f, "{}:{}", self.platform, self.channel)
    }
}

/// A text that names no room.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a room: {0}. Rooms are console, discord:<channel id> or twitch:<login>")]
pub struct RoomError(String);

impl FromStr for Room {
    type Err = RoomError;
    fn from_str(text: &str) -> Result<Self, RoomError> {
        let bad = || RoomError(text.chars().take(60).collect());
        match text.split_once(':') {
            None if text == "console" => Ok(Self::console()),
            Some(("discord", id))
                if (1..=20).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(Self::new(PlatformName::Discord, id))
            }
            Some(("twitch", login))
                if (1..=25).contains(&login.len())
                    && login.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') =>
            {
                Ok(Self::new(PlatformName::Twitch, login.to_ascii_lowercase()))
            }
            _ => Err(bad()),
        }
    }
}

impl TryFrom<String> for Room {
    type Error = RoomError;
    fn try_from(text: String) -> Result<Self, RoomError> {
        text.parse()
    }
}

impl From<Room> for String {
    fn from(room: Room) -> Self {
        room.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rooms_read_what_they_print() {
        for text in ["console", "discord:123456789012345678", "twitch:plant_lady"] {
            assert_eq!(text.parse::<Room>().map(|r| r.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("twitch:Ana".parse::<Room>().map(|r| r.channel), Ok("ana".to_owned()));
        for bad in ["", "irc:x", "discord:abc", "discord:", "twitch:#ana", "console:1", "twitch:"] {
            assert!(bad.parse::<Room>().is_err(), "{bad}");
        }
    }
}
