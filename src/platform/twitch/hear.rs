//! What somebody said, and who they are. Ids and badges only: a name proves nothing.

use twitch_irc::message::PrivmsgMessage;

use crate::{
    command::parse::ours,
    room::{Message, PlatformName, Role, Room, User},
};

/// The bot itself, as far as the server told.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// User id; empty until the server told it.
    pub id: String,
    /// Login.
    pub login: String,
}

/// The message for the rest of the program; `None` if it is nobody's business: our own, or said
/// in another channel of a shared chat.
pub fn message(said: &PrivmsgMessage, own: &Own, moderators: &[String]) -> Option<Message> {
    let elsewhere = tag(said, "source-room-id").is_some_and(|room| room != said.channel_id);
    let own_line = said.sender.id == own.id || said.sender.login == own.login;
    // The owner's own account: no line of ours begins with our prefix, so this was typed.
    let typed = said.sender.id == own.id && said.channel_id == own.id && ours(text(said)).is_some();
    if elsewhere || (own_line && !typed) {
        return None;
    }
    Some(Message {
        id: said.message_id.clone(),
        room: Room::new(PlatformName::Twitch, said.channel_login.clone()),
        user: User {
            platform: PlatformName::Twitch,
            id: said.sender.id.clone(),
            name: said.sender.name.clone(),
        },
        role: role(said, moderators),
        text: text(said).to_owned(),
        aside: false,
    })
}

/// The broadcaster always may; of the channel's moderators those named, or all if none is.
fn role(said: &PrivmsgMessage, moderators: &[String]) -> Role {
    let badge = |name: &str| said.badges.iter().any(|badge| badge.name == name);
    if badge("broadcaster") || said.sender.id == said.channel_id {
        return Role::Moderator;
    }
    let moderates = badge("moderator") || tag(said, "mod") == Some("1");
    let named = moderators.is_empty() || moderators.contains(&said.sender.id);
    if moderates && named { Role::Moderator } else { Role::Viewer }
}

/// In an answer to somebody Twitch puts their name in front: `@bot !sale yes` means `!sale yes`.
fn text(said: &PrivmsgMessage) -> &str {
    let text = said.message_text.as_str();
    if said.reply_parent.is_none() || !text.starts_with('@') {
        return text;
    }
    text.split_once(' ').map_or(text, |(_, rest)| rest)
}

fn tag<'a>(said: &'a PrivmsgMessage, name: &str) -> Option<&'a str> {
    said.source.tags.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use twitch_irc::message::{IRCMessage, PrivmsgMessage};

    use super::*;

    fn said(badges: &str, more: &str, text: &str) -> PrivmsgMessage {
        let line = format!(
            "@badge-info=;badges={badges};color=;display-name=Ana;emotes=;id=m1;room-id=100;\
             tmi-sent-ts=1767225600000;user-id=7{more} :ana!ana@ana.tmi.twitch.tv PRIVMSG #shop \
             :{text}"
        );
        PrivmsgMessage::try_from(IRCMessage::parse(&line).expect("IRC")).expect("a message")
    }

    fn role_of(badges: &str, more: &str, moderators: &[&str]) -> Option<Role> {
        let moderators: Vec<String> = moderators.iter().map(|id| (*id).to_owned()).collect();
        let own = Own { id: "1".to_owned(), login: "bot".to_owned() };
        message(&said(badges, more, "!sale list"), &own, &moderators).map(|message| message.role)
    }

    #[test]
    fn rights_come_from_badges_and_ids() {
        let (moderator, viewer) = (Some(Role::Moderator), Some(Role::Viewer));
        assert_eq!(role_of("moderator/1", ";mod=1", &[]), moderator);
        assert_eq!(role_of("lead_moderator/1", ";mod=1", &[]), moderator);
        assert_eq!(role_of("broadcaster/1", ";mod=0", &["8"]), moderator);
        assert_eq!(role_of("moderator/1", ";mod=1", &["7"]), moderator);
        assert_eq!(role_of("moderator/1", ";mod=1", &["8"]), viewer);
        assert_eq!(role_of("", ";mod=0", &["7"]), viewer, "named, but no moderator here");
        for badges in ["", "vip/1", "subscriber/12,vip/1", "moderator_fan/1"] {
            assert_eq!(role_of(badges, ";mod=0", &[]), viewer, "{badges}");
        }
    }

    #[test]
    fn other_channels_and_our_own_lines_are_nobodys_business() {
        assert_eq!(role_of("moderator/1", ";mod=1;source-room-id=200", &[]), None);
        assert_eq!(role_of("moderator/1", ";mod=1;source-room-id=100", &[]), Some(Role::Moderator));
        let said = said("moderator/1", ";mod=1", "!sale list");
        for own in [("7", "x"), ("1", "ana")] {
            let own = Own { id: own.0.to_owned(), login: own.1.to_owned() };
            assert_eq!(message(&said, &own, &[]), None);
        }
    }

    #[test]
    fn an_owner_whose_account_the_bot_uses_is_obeyed() {
        let typed = |text: &str, own: &str| {
            let said = said("broadcaster/1", "", text);
            let own = Own { id: own.to_owned(), login: "ana".to_owned() };
            message(&PrivmsgMessage { channel_id: "7".to_owned(), ..said }, &own, &[])
        };
        let heard = typed("!sale list", "7").expect("typed by the owner");
        assert_eq!(heard.role, Role::Moderator);
        for own_line in ["SALE OPEN · Fern Mug", "· !sale list · !sale help", "type !sale yes"] {
            assert_eq!(typed(own_line, "7"), None, "{own_line}");
        }
        assert_eq!(typed("!sale list", ""), None, "not before the server told who we are");
    }

    #[test]
    fn an_answer_to_the_bot_means_what_stands_behind_its_name() {
        let parent = ";reply-parent-display-name=Bot;reply-parent-msg-body=Stop?;\
                      reply-parent-msg-id=m0;reply-parent-user-id=1;reply-parent-user-login=bot";
        let own = Own { id: "1".to_owned(), login: "bot".to_owned() };
        let heard = message(&said("", parent, "@Bot !sale yes"), &own, &[]).expect("heard");
        assert_eq!(heard.text, "!sale yes");
        let heard = message(&said("", "", "@Bot !sale yes"), &own, &[]).expect("heard");
        assert_eq!(heard.text, "@Bot !sale yes");
    }
}
