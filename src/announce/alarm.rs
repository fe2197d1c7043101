//! Tells moderators, once, that nothing can be stored, and once that it goes on.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Announcer;
use crate::{
    clock::Span,
    engine::say_target,
    room::{PlatformName, Room},
};

/// How often to look.
const LOOK_EVERY: Span = Span::from_secs(1);

impl Announcer {
    /// Tells of the store's trouble until stopped.
    pub async fn watch_store(self: Arc<Self>, stop: CancellationToken) {
        let mut told = false;
        loop {
            let trouble = self.engine.store().trouble();
            let line = match (&trouble, told) {
                (Some(why), false) => Some(format!(
                    "Nothing can be stored: {why}. Until that is fixed nothing is sold, and what \
                     runs is shown as paused."
                )),
                (None, true) => Some("What happens is stored again; sales go on.".to_owned()),
                _ => None,
            };
            if let Some(line) = line {
                told = trouble.is_some();
                join_all(self.mod_rooms.iter().map(|room| self.tell(room, &line))).await;
            }
            tokio::select! {
                () = self.engine.clock().sleep_until(self.engine.now() + LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    pub(super) async fn tell(&self, room: &Room, line: &str) {
        let name = room.platform;
        // Every program has a terminal of its own; elsewhere one speaks for all.
        if name != PlatformName::Console && !self.engine.acts_for(&say_target(name.as_str())) {
            return;
        }
        for platform in self.platforms.iter().filter(|platform| platform.name() == name) {
            if let Err(error) = platform.say(room, &[line.to_owned()]).await {
                tracing::warn!(%room, %error, "moderators could not be told");
            }
        }
    }
}
