//! Keeps rooms up to date between state notices: renders the newest view, merges what is stale.
//!
//! State notices are not its business; they go through the outbox. What it says may be lost and
//! is then simply said anew from a newer view.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::Engine,
    id::SaleId,
    notice::text,
    platform::Platform,
    room::Room,
    view::{State, View},
};

/// Between two updates of one sale in one room.
const EVERY: Span = Span::from_secs(2);

/// Tells a moderator this often that a sale is still being made ready.
const PROGRESS_EVERY: Span = Span::from_secs(5);

/// What a room was shown of a sale.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    state: State,
    left: u32,
    at: Timestamp,
}

/// Keeps rooms up to date.
pub struct Announcer {
    engine: Engine,
    platforms: Vec<Arc<dyn Platform>>,
    rooms: Vec<Room>,
    mod_rooms: Vec<Room>,
    shown: Mutex<HashMap<(SaleId, Room), Shown>>,
}

impl Announcer {
    /// An announcer for these rooms.
    pub fn new(
        engine: Engine,
        platforms: Vec<Arc<dyn Platform>>,
        rooms: Vec<Room>,
        mod_rooms: Vec<Room>,
    ) -> Self {
        Self { engine, platforms, rooms, mod_rooms, shown: Mutex::default() }
    }

    /// Brings every room up to date as far as it may now; says when to look again.
    pub async fn step(&self) -> Option<Timestamp> {
        let now = self.engine.now();
        let mut next: Option<Timestamp> = None;
        for view in self.engine.views().all() {
            let rooms = match view.state {
                State::Arming => &self.mod_rooms,
                _ => &self.rooms,
            };
            for room in rooms {
                match self.due(&view, room, now) {
                    Due::Nothing => {}
                    Due::Later(at) => next = Some(next.map_or(at, |next| next.min(at))),
                    Due::Say(line) => self.show(room, &view, &line).await,
                }
            }
        }
        next
    }

    /// What a room should hear of a sale now; notes it as shown.
    fn due(&self, view: &Arc<View>, room: &Room, now: Timestamp) -> Due {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (view.id, room.clone());
        let newest = Shown { state: view.state, left: view.left, at: now };
        let Some(last) = shown.get(&key).cloned() else {
            if !view.closed {
                // Its first state is a notice's business, not ours.
                shown.insert(key, newest);
            }
            return Due::Nothing;
        };
        if view.closed {
            shown.remove(&key);
            return Due::Nothing;
        }
        let arming = view.state == State::Arming;
        let every = if arming { PROGRESS_EVERY } else { EVERY };
        let same = last.state == newest.state && last.left == newest.left;
        let speaks = match view.state {
            State::Open | State::AllHeld => !same,
            State::Arming => true,
            State::Armed
            | State::Paused
            | State::SoldOut
            | State::Ended
            | State::Cancelled
            | State::Failed => false,
        };
        // A state notice speaks for itself; the next stock line comes after a decent while.
        let notice = last.state != newest.state
            && !matches!(
                (last.state, newest.state),
                (State::Open, State::AllHeld) | (State::AllHeld, State::Open)
            );
        if notice {
            shown.insert(key, newest);
            return Due::Nothing;
        }
        if !speaks {
            return Due::Nothing;
        }
        let at = last.at + every;
        if at > now {
            return Due::Later(at);
        }
        shown.insert(key, newest);
        Due::Say(if arming { progress(view) } else { text::stock_line(view, now) })
    }

    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) {
        let platform = self.platforms.iter().find(|p| p.name() == room.platform);
        let Some(platform) = platform else { return };
        if let Err(error) = platform.show(room, view, line).await {
            tracing::warn!(%room, %error, "a room could not be brought up to date");
        }
    }

    /// Keeps rooms up to date until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut bell = self.engine.views().bell();
        loop {
            bell.borrow_and_update();
            let next = self.step().await;
            let next = next.unwrap_or_else(|| self.engine.now() + Span::from_secs(3600));
            tokio::select! {
                () = self.engine.clock().sleep_until(next) => {}
                _ = bell.changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

enum Due {
    Nothing,
    Later(Timestamp),
    Say(String),
}

fn progress(view: &View) -> String {
    let what = view.note.as_deref().unwrap_or("making the payment page");
    format!(
        "#{} {} · still preparing: {}",
        view.number,
        text::plain(&view.title),
        text::plain(what)
    )
}
