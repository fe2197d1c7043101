//! Whether the rooms that are named hear anything, and who reads there.

use super::Config;
use crate::{
    finding::Finding,
    room::{PlatformName, Room},
};

impl Config {
    pub(super) fn check_rooms(&self, found: &mut Vec<Finding>) {
        let platforms = [
            (PlatformName::Console, self.console.enabled),
            (PlatformName::Discord, self.discord.enabled),
            (PlatformName::Twitch, self.twitch.enabled),
        ];
        let is_deaf = |room: &&Room| platforms.contains(&(room.platform, false));
        let all = [("shop.rooms", &self.shop.rooms), ("shop.mod_rooms", &self.shop.mod_rooms)];
        for (key, rooms) in all {
            for (platform, _) in platforms {
                let deaf = rooms.iter().filter(is_deaf).filter(|room| room.platform == platform);
                let deaf: Vec<String> = deaf.map(Room::to_string).collect();
                if !deaf.is_empty() {
                    let says = format!(
                        "{} hears nothing while {platform}.enabled is false: set it to true, or \
                         take the room out",
                        deaf.join(", ")
                    );
                    found.push(Finding::warning(key, says));
                }
            }
            let twice = rooms.iter().enumerate().find(|(i, room)| rooms[..*i].contains(room));
            if let Some((_, room)) = twice {
                let says = format!("{room} is named twice: take one out");
                found.push(Finding::warning(key, says));
            }
        }
        if !self.shop.rooms.is_empty() && self.shop.rooms.iter().all(|room| is_deaf(&room)) {
            let says = "none of these rooms hears of a sale: it is shown on the pages alone. Name a \
                        room of a chat that is enabled";
            found.push(Finding::warning("shop.rooms", says));
        }
        for (platform, name, id) in [
            (PlatformName::Discord, "Discord", "channel id"),
            (PlatformName::Twitch, "Twitch", "login"),
        ] {
            let enabled = platforms.contains(&(platform, true));
            if enabled && on(platform, &self.shop.rooms).is_none() {
                let says = format!(
                    "{name} is on, but no room there hears of sales: add \"{platform}:<{id}>\""
                );
                found.push(Finding::warning("shop.rooms", says));
            }
        }
        if !self.console.enabled && self.shop.mod_rooms.iter().all(|room| is_deaf(&room)) {
            let says = "no moderators' room hears of money and trouble: only the log, the desk and \
                        livetill check tell of it. Name one, like \"discord:<channel id>\"";
            found.push(Finding::warning("shop.mod_rooms", says));
        }
        if self.twitch.enabled && on(PlatformName::Twitch, &self.shop.mod_rooms).is_some() {
            let says = "everybody reads a Twitch chat: money and trouble would be told in public \
                        there, unless the channel is nobody else's business";
            found.push(Finding::warning("shop.mod_rooms", says));
        }
    }
}

/// The first room on that platform.
fn on(platform: PlatformName, rooms: &[Room]) -> Option<&Room> {
    rooms.iter().find(|room| room.platform == platform)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        let config: Config = toml::from_str(text).expect("a configuration");
        let mut found = Vec::new();
        config.check_rooms(&mut found);
        assert!(!found.iter().any(Finding::is_error));
        found.into_iter().map(|one| format!("{}: {}", one.key, one.says)).collect()
    }

    #[test]
    fn rooms_that_hear_nothing_are_named_once_with_the_mend() {
        assert!(said("").is_empty());
        let rooms = |rooms: &str| format!("[shop]\nrooms = [{rooms}]\n");
        let all = said(&rooms("\"console\", \"discord:1\", \"discord:2\", \"twitch:ana\""));
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].starts_with("shop.rooms: discord:1, discord:2 hears nothing while"));
        let all = said("[console]\nenabled = false\n");
        assert_eq!(all.len(), 3, "{all:?}");
        assert!(all[0].contains("console hears nothing while console.enabled is false"));
        assert!(all[1].contains("none of these rooms hears of a sale"), "{all:?}");
        assert!(all[2].starts_with("shop.mod_rooms: no moderators' room"), "{all:?}");
        let all = said("[discord]\nenabled = true\n[twitch]\nenabled = true\n");
        assert_eq!(all.len(), 2, "{all:?}");
        assert!(all[0].contains("add \"discord:<channel id>\"") && all[1].contains("Twitch is on"));
        let all = said(&rooms("\"console\", \"console\""));
        assert!(all.len() == 1 && all[0].contains("console is named twice"), "{all:?}");
    }
}
