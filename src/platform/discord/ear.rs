//! What is heard of a message in a room: who may command, and what they said. Edited messages,
//! bots, webhooks, direct messages and rooms that are not ours are never heard.

use std::collections::HashMap;

use serenity::{
    cache::Cache,
    model::channel::{Message as Said, MessageType},
};

use super::{Discord, press::Press, rights};
use crate::{
    command::parse::PREFIX,
    id::SaleId,
    platform::announces,
    room::{Message, PlatformName, Role, Room, User},
};

/// What a message comes to.
pub(super) enum Ear {
    /// Somebody says something in one of our rooms.
    Heard(Message),
    /// Somebody said something, and Discord did not tell us what.
    Wordless,
    /// Our own account announced a sale.
    Own(Room, String, Option<SaleId>),
    /// Nothing for us.
    Nothing,
}

impl Discord {
    pub(super) fn overhear(&self, said: &Said, cache: &Cache) -> Ear {
        let by_person = !said.author.bot && !said.author.system && said.webhook_id.is_none();
        let typed = matches!(said.kind, MessageType::Regular | MessageType::InlineReply);
        let here = self.rooms.contains(&said.channel_id.get());
        if here && said.author.id.get() == self.me() && announces(&said.content) {
            let room = Room::new(PlatformName::Discord, said.channel_id.to_string());
            return Ear::Own(room, said.content.clone(), sale_of(said));
        }
        if !by_person || !typed || !here || said.guild_id.is_none() {
            return Ear::Nothing;
        }
        if said.content.is_empty() {
            // Pictures and stickers have no words either, and forwards carry them elsewhere.
            let something = !said.attachments.is_empty()
                || !said.sticker_items.is_empty()
                || said.poll.is_some()
                || said.message_reference.is_some();
            return if something { Ear::Nothing } else { Ear::Wordless };
        }
        let member = said.member.as_ref();
        let name = member
            .and_then(|member| member.nick.clone())
            .or_else(|| said.author.global_name.clone())
            .unwrap_or_else(|| said.author.name.clone());
        Ear::Heard(Message {
            id: said.id.to_string(),
            room: Room::new(PlatformName::Discord, said.channel_id.to_string()),
            user: User { platform: PlatformName::Discord, id: said.author.id.to_string(), name },
            role: self.standing(said, cache),
            text: unmention(&said.content, self.me()),
            aside: false,
        })
    }

    /// The author's standing: their role ids come with the message, what these may do is known
    /// from the server.
    fn standing(&self, said: &Said, cache: &Cache) -> Role {
        let user = said.author.id;
        let has: &[_] = said.member.as_ref().map_or(&[], |member| &member.roles);
        let ids: Vec<u64> = has.iter().map(|role| role.get()).collect();
        let rights = if self.moderators.by_id() {
            0
        } else {
            said.guild_id.and_then(|id| cache.guild(id)).map_or(0, |guild| {
                let roles: HashMap<u64, u64> = guild
                    .roles
                    .iter()
                    .map(|(id, role)| (id.get(), role.permissions.bits()))
                    .collect();
                rights::in_guild(guild.id.get(), guild.owner_id == user, &ids, &roles)
            })
        };
        let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
        self.moderators.role(&user.to_string(), &ids, rights)
    }
}

/// The sale that a message's button is for.
fn sale_of(said: &Said) -> Option<SaleId> {
    let row = serde_json::to_value(&said.components).ok()?;
    let all = row.as_array()?.iter().filter_map(|row| row["components"].as_array()).flatten();
    let ids = all.filter_map(|button| button["custom_id"].as_str());
    ids.filter_map(Press::read).find_map(|press| match press {
        Press::Get(sale) => Some(sale),
        Press::Delivery(_) | Press::Units(..) | Press::Confirm(_) => None,
    })
}

/// `@Bot sale start mug 10m` is `!sale start mug 10m`: Discord tells the words of a message that
/// mentions the bot even where it keeps all others to itself.
fn unmention(content: &str, me: u64) -> String {
    let text = content.trim_start();
    let rest = [format!("<@{me}>"), format!("<@!{me}>")]
        .iter()
        .find_map(|mention| text.strip_prefix(mention.as_str()));
    match rest.map(|rest| rest.trim_start().trim_start_matches('!')) {
        Some(rest) if me > 0 => {
            let name = &PREFIX[1..];
            let ours = rest.get(..name.len()).is_some_and(|word| word.eq_ignore_ascii_case(name));
            if ours { format!("!{rest}") } else { content.to_owned() }
        }
        _ => content.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mention_stands_for_the_prefix() {
        for said in ["<@7> sale stop", "<@!7>  sale stop", " <@7> !sale stop"] {
            assert_eq!(unmention(said, 7), "!sale stop");
        }
        for other in ["<@8> sale stop", "hello <@7> sale stop", "<@7> hello", "sale stop"] {
            assert_eq!(unmention(other, 7), other);
        }
        assert_eq!(unmention("<@0> sale stop", 0), "<@0> sale stop");
    }
}
