//! Who may run sales, and what the bot itself may do in a channel. Pure.
//!
//! By ids and computed permissions only; a name is never looked at.

use std::collections::HashMap;

use super::{kind::Kind, settings::Settings};
use crate::room::Role;

/// Permission bits (Discord's reference of *Permissions*).
pub(super) const ADMINISTRATOR: u64 = 1 << 3;
pub(super) const MANAGE_GUILD: u64 = 1 << 5;
pub(super) const VIEW_CHANNEL: u64 = 1 << 10;
pub(super) const SEND_MESSAGES: u64 = 1 << 11;
pub(super) const MANAGE_MESSAGES: u64 = 1 << 13;
pub(super) const EMBED_LINKS: u64 = 1 << 14;
pub(super) const CONNECT: u64 = 1 << 20;
pub(super) const SEND_IN_THREADS: u64 = 1 << 38;
pub(super) const READ_HISTORY: u64 = 1 << 16;

/// All that the bot needs, by the names that Discord's settings show.
pub(super) const NEEDED: [(u64, &str); 4] = [
    (VIEW_CHANNEL, "View Channel"),
    (SEND_MESSAGES, "Send Messages"),
    (EMBED_LINKS, "Embed Links"),
    (READ_HISTORY, "Read Message History"),
];

/// Who may run sales.
#[derive(Clone, Debug, Default)]
pub(super) struct Moderators {
    roles: Vec<String>,
    users: Vec<String>,
}

impl Moderators {
    pub(super) fn of(config: &Settings) -> Self {
        Self { roles: config.moderator_roles.clone(), users: config.moderator_users.clone() }
    }

    /// Whether ids decide, instead of Discord's own permissions.
    pub(super) fn by_id(&self) -> bool {
        !self.roles.is_empty() || !self.users.is_empty()
    }

    /// The standing of a person with these roles and permission bits.
    pub(super) fn role(&self, user: &str, roles: &[String], rights: u64) -> Role {
        let may = if self.by_id() {
            self.users.iter().any(|id| id == user)
                || roles.iter().any(|role| self.roles.contains(role))
        } else {
            rights & (ADMINISTRATOR | MANAGE_GUILD) != 0
        };
        if may { Role::Moderator } else { Role::Viewer }
    }
}

/// An exception for one role or member in one channel.
#[derive(Clone, Debug)]
pub(super) struct Overwrite {
    pub id: u64,
    pub allow: u64,
    pub deny: u64,
}

/// Somebody's rights in the whole server: what everybody has, their roles; all for its owner.
pub(super) fn in_guild(guild: u64, owner: bool, has: &[u64], roles: &HashMap<u64, u64>) -> u64 {
    if owner {
        return u64::MAX;
    }
    let everybody = roles.get(&guild).copied().unwrap_or(0);
    let all = has.iter().fold(everybody, |all, id| all | roles.get(id).copied().unwrap_or(0));
    if all & ADMINISTRATOR == 0 { all } else { u64::MAX }
}

/// The same in one channel: exceptions for everybody, then for roles, then for the person, the way
/// Discord's reference of *Permission Overwrites* puts it.
pub(super) fn in_channel(
    base: u64,
    guild: u64,
    user: u64,
    has: &[u64],
    rules: &[Overwrite],
) -> u64 {
    if base & ADMINISTRATOR != 0 {
        return u64::MAX;
    }
    let apply = |rights: u64, rule: &Overwrite| (rights & !rule.deny) | rule.allow;
    let mut rights = base;
    for rule in rules.iter().filter(|rule| rule.id == guild) {
        rights = apply(rights, rule);
    }
    let mut roles = Overwrite { id: 0, allow: 0, deny: 0 };
    for rule in rules.iter().filter(|rule| rule.id != guild && has.contains(&rule.id)) {
        roles.allow |= rule.allow;
        roles.deny |= rule.deny;
    }
    rights = apply(rights, &roles);
    for rule in rules.iter().filter(|rule| rule.id == user) {
        rights = apply(rights, rule);
    }
    rights
}

/// What the bot needs in a channel of that kind and these bits lack, by name.
pub(super) fn missing(rights: u64, kind: Kind) -> Vec<&'static str> {
    let needed = NEEDED.into_iter().map(|right| match (right.0, kind) {
        (SEND_MESSAGES, Kind::Thread) => (SEND_IN_THREADS, "Send Messages in Threads"),
        _ => right,
    });
    let more = (kind == Kind::Voice).then_some((CONNECT, "Connect"));
    let lacks = |(bit, _): &(u64, &str)| rights & bit == 0;
    needed.chain(more).filter(lacks).map(|(_, name)| name).collect()
}

/// The address at which a server's owner invites the bot with these rights and no more.
pub(super) fn invite(application: &str) -> String {
    let rights = NEEDED.iter().fold(0, |all, (bit, _)| all | bit);
    format!(
        "https://discord.com/oauth2/authorize?client_id={application}\
         &scope=bot+applications.commands&permissions={rights}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn ids_decide_if_there_are_any_and_permissions_otherwise() {
        let nobody = Moderators::default();
        assert_eq!(nobody.role("1", &[], MANAGE_GUILD), Role::Moderator);
        assert_eq!(nobody.role("1", &[], ADMINISTRATOR), Role::Moderator);
        assert_eq!(nobody.role("1", &ids(&["9"]), MANAGE_MESSAGES), Role::Viewer);
        let some = Moderators { roles: ids(&["9"]), users: ids(&["7"]) };
        assert_eq!(some.role("1", &ids(&["9"]), 0), Role::Moderator);
        assert_eq!(some.role("7", &[], 0), Role::Moderator);
        assert_eq!(some.role("9", &ids(&["7"]), u64::MAX), Role::Viewer, "ids of another kind");
    }

    #[test]
    fn rights_fold_as_discord_folds_them() {
        let roles = HashMap::from([(100, VIEW_CHANNEL), (5, SEND_MESSAGES), (6, ADMINISTRATOR)]);
        assert_eq!(in_guild(100, false, &[5], &roles), VIEW_CHANNEL | SEND_MESSAGES);
        assert_eq!(in_guild(100, false, &[6], &roles), u64::MAX);
        assert_eq!(in_guild(100, true, &[], &roles), u64::MAX);
        let base = VIEW_CHANNEL | SEND_MESSAGES;
        let closed = Overwrite { id: 100, allow: 0, deny: VIEW_CHANNEL | SEND_MESSAGES };
        let to_bots = Overwrite { id: 5, allow: VIEW_CHANNEL, deny: 0 };
        let to_me = Overwrite { id: 77, allow: SEND_MESSAGES, deny: 0 };
        let rules = [to_me, closed.clone(), to_bots];
        assert_eq!(in_channel(base, 100, 77, &[5], &rules), VIEW_CHANNEL | SEND_MESSAGES);
        assert_eq!(in_channel(base, 100, 77, &[], &[closed]), 0);
        let some = VIEW_CHANNEL | SEND_MESSAGES;
        assert_eq!(missing(some, Kind::Text), ["Embed Links", "Read Message History"]);
        let all = NEEDED.iter().fold(0, |all, (bit, _)| all | bit);
        assert_eq!(missing(all, Kind::Thread), ["Send Messages in Threads"]);
        assert_eq!(missing(all, Kind::Voice), ["Connect"]);
        assert!(
            invite("42")
                .ends_with("client_id=42&scope=bot+applications.commands&permissions=84992")
        );
    }
}
