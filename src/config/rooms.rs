//! Whether the rooms that are named hear anything, and who reads there.

use super::{Config, Finding};
use crate::room::{PlatformName, Room};

impl Config {
    pub(super) fn check_rooms(&self, found: &mut Vec<Finding>) {
        let all = [("shop.rooms", &self.shop.rooms), ("shop.mod_rooms", &self.shop.mod_rooms)];
        for (key, rooms) in all {
            for (platform, enabled) in [
                (PlatformName::Discord, self.discord.enabled),
                (PlatformName::Twitch, self.twitch.enabled),
            ] {
                if let Some(room) = on(platform, rooms).filter(|_| !enabled) {
                    let says = format!("{room} hears nothing while {platform}.enabled is false");
                    found.push(Finding::warning(key, says));
                }
            }
        }
        if self.twitch.enabled && on(PlatformName::Twitch, &self.shop.rooms).is_none() {
            let says = "Twitch is on, but no room there hears of sales: add \"twitch:<login>\"";
            found.push(Finding::warning("shop.rooms", says));
        }
        if on(PlatformName::Twitch, &self.shop.mod_rooms).is_some() {
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
