//! Kinds of channels, and which of them take what we say. Pure.

/// What a channel is good for (Discord's reference of *Channel Types*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text and announcement channels, and whatever is new.
    Text,
    /// A thread of such a channel.
    Thread,
    /// The chat of a voice or stage channel.
    Voice,
    /// Nothing can be said there: what it is.
    Mute(&'static str),
}

/// What to do about a room that takes no messages.
pub(super) const NAME_ANOTHER: &str = "name a text or announcement channel of the server instead \
    (Developer Mode, right-click, Copy Channel ID)";

impl Kind {
    pub(super) fn of(code: u8) -> Self {
        match code {
            1 | 3 => Self::Mute("a private conversation"),
            2 | 13 => Self::Voice,
            4 => Self::Mute("a category, which holds channels and takes no messages"),
            10..=12 => Self::Thread,
            14 => Self::Mute("a directory of servers, which takes no messages"),
            15 => Self::Mute("a forum, which takes posts and no messages"),
            16 => Self::Mute("a media channel, which takes posts and no messages"),
            _ => Self::Text,
        }
    }

    /// What is doubtful about it, with the mend.
    pub(super) fn doubt(self) -> Option<String> {
        let says = match self {
            Self::Thread => {
                "a thread: it is put away after some days of silence and can be locked, and few \
                 look into it"
            }
            Self::Voice => "a voice channel: its chat is open only to those who look for it",
            Self::Text | Self::Mute(_) => return None,
        };
        Some(format!("this is {says}. It works; better {NAME_ANOTHER}"))
    }
}
