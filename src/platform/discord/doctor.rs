//! What is wrong with the bot's account, rights and rooms, each with its mend.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;
use serenity::model::id::{ChannelId, GuildId, UserId};

use super::{
    gateway::may_read,
    health::{CONTENT_MEND, TOKEN_MEND},
    kind::{Kind, NAME_ANOTHER},
    rights::{Overwrite, in_channel, in_guild, invite, missing},
    settings::Settings,
    wire::{Application, Failed, Wire},
};
use crate::{
    finding::Finding,
    room::{PlatformName, Room},
};

/// Checks token, intents and rooms; needs no running connection and no store.
pub async fn check(config: &Settings, rooms: &[Room]) -> Vec<Finding> {
    examine(&Wire::new(config), rooms).await
}

pub(super) async fn examine(wire: &Wire, rooms: &[Room]) -> Vec<Finding> {
    let (me, application) = match (wire.me().await, wire.about_me().await) {
        (Ok(me), Ok(application)) => (me, application),
        (Err(failed), _) | (_, Err(failed)) => {
            let (key, says) = match failed {
                Failed::BadToken => ("discord.token", TOKEN_MEND.to_owned()),
                other => ("discord", format!("Discord cannot be asked: {other}")),
            };
            return vec![Finding::error(key, says)];
        }
    };
    let mut found = Vec::new();
    if application.flags.is_some_and(|flags| !may_read(flags)) {
        found.push(Finding::warning("discord.intents", CONTENT_MEND));
    }
    for room in rooms.iter().filter(|room| room.platform == PlatformName::Discord) {
        found.extend(look(wire, room, &me.id, &application).await);
    }
    found
}

#[derive(Deserialize)]
struct Channel {
    #[serde(rename = "type", default)]
    kind: u8,
    /// The channel that a thread belongs to; its rights hold there.
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    guild_id: Option<String>,
    #[serde(default)]
    permission_overwrites: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    id: String,
    allow: String,
    deny: String,
}

#[derive(Deserialize)]
struct Guild {
    #[serde(default)]
    owner_id: String,
    #[serde(default)]
    roles: Vec<Role>,
}

#[derive(Deserialize)]
struct Role {
    id: String,
    permissions: String,
}

#[derive(Deserialize)]
struct Member {
    #[serde(default)]
    roles: Vec<String>,
}

/// What is wrong or doubtful about one room.
async fn look(wire: &Wire, room: &Room, me: &str, application: &Application) -> Option<Finding> {
    let says = match examine_room(wire, room, me).await {
        Ok((Kind::Mute(what), _)) => format!("this is {what}: {NAME_ANOTHER}"),
        Ok((kind, lacks)) if lacks.is_empty() => {
            return kind.doubt().map(|says| Finding::warning(room.to_string(), says));
        }
        Ok((_, lacks)) => format!(
            "the bot lacks {} there: give it in the channel's settings, Permissions, or invite it \
             anew with exactly what it needs: {}",
            lacks.join(", "),
            invite(&application.id)
        ),
        Err(Failed::Gone { .. } | Failed::NoAccess) => format!(
            "the bot cannot see such a channel. Is the id right (Developer Mode, right-click, Copy \
             Channel ID) and the bot in that server, with View Channel? Invite it with exactly \
             what it needs: {}",
            invite(&application.id)
        ),
        Err(failed) => format!("could not be looked at: {failed}"),
    };
    Some(Finding::error(room.to_string(), says))
}

/// Why nothing can be said in a room, if it can be found out: its kind, or the rights by name.
pub(super) async fn obstacle(wire: &Wire, room: &Room, me: u64) -> Option<String> {
    match examine_room(wire, room, &me.to_string()).await.ok()? {
        (Kind::Mute(what), _) => Some(format!("{room} is {what}: {NAME_ANOTHER}")),
        (_, lacks) if lacks.is_empty() => None,
        (_, lacks) => Some(format!("the bot lacks {} in {room}", lacks.join(", "))),
    }
}

/// What kind of channel a room is, and the rights that the bot lacks there.
async fn examine_room(
    wire: &Wire,
    room: &Room,
    me: &str,
) -> Result<(Kind, Vec<&'static str>), Failed> {
    let unknown = || Failed::Refused("not a channel of a server".to_owned());
    let channel = number(&room.channel).map(ChannelId::new).ok_or_else(unknown)?;
    let mut channel: Channel = read(wire.channel(channel).await?)?;
    let kind = Kind::of(channel.kind);
    if let Kind::Mute(_) = kind {
        return Ok((kind, Vec::new()));
    }
    if let (Kind::Thread, Some(parent)) = (kind, channel.parent_id.as_deref().and_then(number)) {
        channel = read(wire.channel(ChannelId::new(parent)).await?)?;
    }
    let guild = channel.guild_id.as_deref().and_then(number).ok_or_else(unknown)?;
    let user = number(me).ok_or_else(unknown)?;
    let server: Guild = read(wire.guild(GuildId::new(guild)).await?)?;
    let member: Member = read(wire.member(GuildId::new(guild), UserId::new(user)).await?)?;
    let roles: HashMap<u64, u64> = server
        .roles
        .iter()
        .filter_map(|role| Some((number(&role.id)?, role.permissions.parse().ok()?)))
        .collect();
    let has: Vec<u64> = member.roles.iter().filter_map(|id| number(id)).collect();
    let rules: Vec<Overwrite> = channel
        .permission_overwrites
        .iter()
        .filter_map(|rule| {
            let (allow, deny) = (rule.allow.parse().ok()?, rule.deny.parse().ok()?);
            Some(Overwrite { id: number(&rule.id)?, allow, deny })
        })
        .collect();
    let base = in_guild(guild, server.owner_id == me, &has, &roles);
    Ok((kind, missing(in_channel(base, guild, user, &has, &rules), kind)))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|id| *id > 0)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, Failed> {
    serde_json::from_value(value).map_err(|error| Failed::Away(error.to_string()))
}
