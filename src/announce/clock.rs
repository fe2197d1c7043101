//! Watches whether the machine's clock is set while the program runs. Running sales keep their time:
//! it is measured, not read off. A small correction is followed by and by; a jump is told to
//! moderators once, and followed as soon as nothing runs.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::Announcer;
use crate::clock::{Span, jump_words};

/// How often to look.
const LOOK_EVERY: Span = Span::from_secs(1);

/// What is further apart than this is a jump.
const JUMP_MS: i64 = 5_000;

/// A smaller correction is followed by so much at each look: no countdown shows it.
const STEP_MS: i64 = 100;

/// How far a clock may be apart without being told again.
#[derive(Default)]
pub struct Jump {
    told: Option<i64>,
}

impl Announcer {
    /// Compares the machine's clock with ours once.
    pub async fn look_at_clock(&self, jump: &mut Jump) {
        let clock = self.engine.clock();
        let apart = clock.wall().millis() - clock.now().millis();
        let is_small = apart.abs() <= JUMP_MS;
        if is_small && jump.told.take().is_some() {
            tracing::info!("this machine's clock is right again");
        }
        if apart == 0 {
            return;
        }
        let step = is_small.then(|| apart.clamp(-STEP_MS, STEP_MS));
        let followed = self.engine.follow_machine(apart, step).await.unwrap_or_else(|error| {
            tracing::debug!(%error, "the machine's clock is not followed yet");
            false
        });
        if is_small || jump.told.is_some_and(|told| (told - apart).abs() <= JUMP_MS) {
            if followed && jump.told.take().is_some() {
                tracing::warn!(ms = apart, "nothing runs: this machine's clock is followed now");
            }
            return;
        }
        let what = match followed {
            true => "Nothing runs, so it is followed.",
            false if self.engine.is_shared() => {
                "What runs keeps its time: programs on one database go by the database's clock. \
                 Set the clock right, best by NTP."
            }
            false => {
                "What runs keeps its time, and a restart would go by the new one: set the clock \
                 right, best by NTP, before anything is restarted."
            }
        };
        let line = format!("This machine's clock was set {}. {what}", jump_words(apart));
        tracing::warn!("{line}");
        jump.told = (!followed).then_some(apart);
        join_all(self.mod_rooms.iter().map(|room| self.tell(room, &line))).await;
    }

    /// Watches the machine's clock until stopped.
    pub async fn watch_clock(self: Arc<Self>, stop: CancellationToken) {
        let mut jump = Jump::default();
        loop {
            self.look_at_clock(&mut jump).await;
            tokio::select! {
                () = self.engine.clock().sleep_until(self.engine.now() + LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
