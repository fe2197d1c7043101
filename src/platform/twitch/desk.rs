//! How things stand with Twitch: the connection, each room, and what was said there lately.
//!
//! Only data under one lock: who waits for what is told by the connection's task and asked by
//! those who speak.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::{hear::Own, memory::Memory, verdict::Verdict};
use crate::{
    clock::{Clock, Span, Timestamp},
    platform::{Health, Standing},
};

/// Twitch counts an account's messages over this time (its chat rate limits).
pub const WITHIN: Span = Span::from_secs(30);

/// Twitch's limit in a channel that the account does not moderate.
pub const SENDS_MAX: usize = 20;

/// Twitch's limit in a channel that the account moderates or owns.
pub const SENDS_MAX_MODERATOR: usize = 100;

/// How things stand.
pub struct Desk {
    clock: Arc<dyn Clock>,
    inner: Mutex<Inner>,
}

struct Inner {
    standing: Standing,
    since: Timestamp,
    own: Own,
    /// Connections begun since the last that worked.
    tries: u32,
    /// Counts lines from the server.
    lines: u64,
    rooms: BTreeMap<String, RoomState>,
    /// When the account last said something, anywhere.
    sent: VecDeque<Timestamp>,
    next_nonce: u64,
}

/// How things stand in one room.
#[derive(Default)]
pub struct RoomState {
    /// Whether we are in.
    pub joined: bool,
    /// Whether we ever were.
    pub entered: bool,
    /// Whether the bot moderates or owns it.
    pub moderates: bool,
    /// Why it is closed to us.
    pub closed: Option<String>,
    /// What was said there.
    pub memory: Memory,
    waiting: Option<(String, oneshot::Sender<Verdict>)>,
}

impl RoomState {
    /// Whether it has answered our wish to enter, one way or the other.
    pub fn answered(&self) -> bool {
        self.entered || self.closed.is_some()
    }
}

/// A message on its way; given up when this is dropped.
pub struct Sending<'a> {
    /// Goes out with the message and comes back in the answer.
    pub nonce: String,
    /// What becomes of it.
    pub verdict: oneshot::Receiver<Verdict>,
    desk: &'a Desk,
    room: &'a str,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        self.desk.give_up(self.room, &self.nonce);
    }
}

impl Desk {
    /// A desk for these rooms, by login.
    pub fn new(clock: Arc<dyn Clock>, login: &str, rooms: impl Iterator<Item = String>) -> Self {
        let inner = Inner {
            standing: Standing::Starting,
            since: clock.now(),
            own: Own { id: String::new(), login: login.to_owned() },
            tries: 0,
            lines: 0,
            rooms: rooms.map(|room| (room, RoomState::default())).collect(),
            sent: VecDeque::new(),
            next_nonce: 0,
        };
        Self { clock, inner: Mutex::new(inner) }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the connection stands.
    pub fn health(&self) -> Health {
        let inner = self.inner();
        Health { standing: inner.standing.clone(), since: inner.since }
    }

    /// Who the bot is.
    pub fn own(&self) -> Own {
        self.inner().own.clone()
    }

    /// Names of the rooms.
    pub fn rooms(&self) -> Vec<String> {
        self.inner().rooms.keys().cloned().collect()
    }

    /// Does something with one room; `None` if it is not one of ours.
    pub fn room<T>(&self, name: &str, with: impl FnOnce(&mut RoomState) -> T) -> Option<T> {
        self.inner().rooms.get_mut(name).map(with)
    }

    /// Whose login it is, as the token says.
    pub fn login_is(&self, login: &str) {
        self.inner().own.login = login.to_owned();
    }

    /// A new life begins.
    pub fn starting(&self) {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.tries = 0;
        inner.stands(Standing::Starting, now);
    }

    /// The connection is gone, with all that was on its way.
    pub fn left(&self) {
        self.inner().left();
    }

    /// A new connection is being made: the one before is gone, with all that was on its way.
    /// Answers how many were begun since the last that worked.
    pub fn connecting(&self) -> u32 {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.left();
        let away = match inner.standing {
            Standing::Up => Some("the connection was lost"),
            Standing::Starting if inner.tries > 0 => {
                Some("the server ended the connection before it let the bot in")
            }
            // Why is known.
            Standing::Starting | Standing::Away(_) | Standing::Broken(_) => None,
        };
        if let Some(why) = away {
            tracing::warn!(why, "Twitch is away; it is tried again");
            inner.stands(Standing::Away(why.to_owned()), now);
        }
        inner.tries = inner.tries.saturating_add(1);
        inner.tries
    }

    /// It cannot be reached for now.
    pub fn away(&self, why: String) {
        let now = self.clock.now();
        let mut inner = self.inner();
        if !matches!(&inner.standing, Standing::Away(before) if *before == why) {
            tracing::warn!(why, "Twitch is away; it is tried again");
        }
        inner.stands(Standing::Away(why), now);
    }

    /// It needs a person.
    pub fn broken(&self, why: String) {
        let now = self.clock.now();
        tracing::error!(why, "Twitch does not work");
        self.inner().stands(Standing::Broken(why), now);
    }

    /// A line came in.
    pub fn heard_a_line(&self) {
        self.inner().lines += 1;
    }

    /// How many lines came in.
    pub fn lines(&self) -> u64 {
        self.inner().lines
    }

    /// The server knows us.
    pub fn welcomed(&self, id: &str) {
        let now = self.clock.now();
        let mut inner = self.inner();
        inner.own.id = id.to_owned();
        if inner.rooms.is_empty() {
            inner.up(now);
        }
    }

    /// Our standing in a room, told on entering and after each message of ours.
    pub fn user_state(&self, room: &str, moderates: bool, nonce: Option<&str>) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let Some(state) = inner.rooms.get_mut(room) else { return };
        state.moderates = moderates;
        let reopened = state.closed.take().is_some();
        if state.joined {
            let ours = |(sent, _): &(String, _)| nonce.is_none_or(|nonce| nonce == sent);
            if state.waiting.as_ref().is_some_and(ours) {
                settle(state, Verdict::Shown);
            }
            if reopened {
                inner.up(now);
            }
            return;
        }
        (state.joined, state.entered) = (true, true);
        if !moderates {
            tracing::warn!(room, "the bot is no moderator there: it may say 20 lines in 30 s only");
        }
        inner.up(now);
    }

    /// What the server says about our last message in a room, or about us there.
    pub fn verdict(&self, room: &str, verdict: Verdict) {
        let now = self.clock.now();
        let mut inner = self.inner();
        let Some(state) = inner.rooms.get_mut(room) else { return };
        let closed = match &verdict {
            Verdict::Never(why) if state.closed.as_ref() != Some(why) => Some(why.clone()),
            _ => None,
        };
        settle(state, verdict);
        if let Some(why) = closed {
            tracing::error!(room, why, "the bot is not heard there");
            state.closed = Some(why.clone());
            if inner.rooms.values().all(|room| room.closed.is_some()) {
                inner.stands(Standing::Broken(format!("#{room}: {why}")), now);
            }
        }
    }

    /// Counts one more line of the account, to be said in a room.
    ///
    /// # Errors
    /// When it may be said, if not now.
    pub fn spend(&self, room: &str) -> Result<(), Timestamp> {
        let now = self.clock.now();
        let mut inner = self.inner();
        let moderates = inner.rooms.get(room).is_some_and(|room| room.moderates);
        let most = if moderates { SENDS_MAX_MODERATOR } else { SENDS_MAX };
        inner.sent.retain(|at| now.since(*at) < WITHIN);
        let full = inner.sent.len().checked_sub(most).and_then(|over| inner.sent.get(over));
        if let Some(at) = full {
            return Err(*at + WITHIN);
        }
        inner.sent.push_back(now);
        Ok(())
    }

    /// Notes that a message goes out to a room; only one at a time does.
    pub fn sending<'a>(&'a self, room: &'a str) -> Option<Sending<'a>> {
        let mut inner = self.inner();
        inner.next_nonce += 1;
        let nonce = format!("livetill-{}", inner.next_nonce);
        let state = inner.rooms.get_mut(room)?;
        let (tell, verdict) = oneshot::channel();
        state.waiting = Some((nonce.clone(), tell));
        Some(Sending { nonce, verdict, desk: self, room })
    }

    /// Nobody waits for that message any more: it does not go out if it has not yet.
    fn give_up(&self, room: &str, nonce: &str) {
        self.room(room, |state| {
            if state.waiting.as_ref().is_some_and(|(waiting, _)| waiting == nonce) {
                state.waiting = None;
            }
        });
    }

    /// Whether somebody still waits for that message.
    pub fn is_wanted(&self, nonce: &str) -> bool {
        let inner = self.inner();
        inner.rooms.values().any(|room| room.waiting.as_ref().is_some_and(|(n, _)| n == nonce))
    }
}

impl Inner {
    fn left(&mut self) {
        for room in self.rooms.values_mut() {
            room.joined = false;
            settle(room, Verdict::Lost);
        }
    }

    fn up(&mut self, now: Timestamp) {
        self.tries = 0;
        self.stands(Standing::Up, now);
    }

    fn stands(&mut self, standing: Standing, now: Timestamp) {
        if self.standing != standing {
            tracing::info!(?standing, "Twitch");
            self.standing = standing;
            self.since = now;
        }
    }
}

fn settle(room: &mut RoomState, verdict: Verdict) {
    if let Some((_, waiting)) = room.waiting.take() {
        // Whoever waited may have given up in this very moment.
        let _ = waiting.send(verdict);
    }
}
