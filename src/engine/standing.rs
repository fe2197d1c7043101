//! How this program stands among those that share its store: whose turn it is, whether the clocks
//! agree, whether the store still answers. A program alone may always act.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Engine, TellError};
use crate::{
    clock::{Span, Timestamp},
    store::StoreError,
};

/// A clock further than this from the store's own cannot be trusted with deadlines.
pub const SKEW_MAX: Span = Span::from_millis(500);

/// Without an answer for this long, the store is out of reach.
const SILENT_MAX: Span = Span::from_secs(7);

/// What the store's clock said.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// When it was read, by our clock; zero if it was not read yet.
    at: Timestamp,
    /// How far we are ahead of it, in milliseconds at least.
    pub(crate) ahead: i64,
}

impl Reading {
    /// What was read between two readings of our clock. What the way took counts in our favour: it
    /// may all have been the way there, or the way back.
    pub(crate) fn new(sent: Timestamp, theirs: Timestamp, got: Timestamp) -> Self {
        let (earliest, latest) = (sent.millis() - theirs.millis(), got.millis() - theirs.millis());
        let ahead = match (earliest > 0, latest < 0) {
            (true, _) => earliest,
            (_, true) => latest,
            _ => 0,
        };
        Self { at: got, ahead }
    }

    /// The same had our clock been so many milliseconds ahead of where it was.
    pub(crate) fn moved(self, ms: i64) -> Self {
        Self { ahead: self.ahead + ms, ..self }
    }

    /// Whether both clocks can be trusted with the same deadlines.
    pub(crate) fn agrees(self) -> bool {
        self.ahead.abs() <= SKEW_MAX.millis()
    }
}

/// How this program stands.
#[derive(Debug, Default)]
pub(super) struct Standing {
    shared: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What is ours to do, and until when.
    turns: HashMap<String, Timestamp>,
    /// What the store's clock said last.
    clock: Reading,
}

impl Standing {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Other programs may write to the same store: from now on nothing is done out of turn.
    pub fn share(&self) {
        self.inner.standing.shared.store(true, Ordering::SeqCst);
    }

    /// Whether other programs may write to the same store.
    pub fn is_shared(&self) -> bool {
        self.inner.standing.shared.load(Ordering::SeqCst)
    }

    /// Whether deadlines may be judged by our clock.
    pub fn may_act(&self) -> bool {
        !self.is_shared() || self.trouble().is_none()
    }

    /// Whether it is our turn to call a provider or to send to a chat account.
    pub fn acts_for(&self, target: &str) -> bool {
        if !self.is_shared() {
            return true;
        }
        let now = self.now();
        let state = self.inner.standing.state();
        state.clock.agrees() && state.turns.get(target).is_some_and(|until| *until > now)
    }

    /// Notes whose turn it is: ours until then, or not ours. Says whether that is new.
    pub(crate) fn note_turn(&self, target: &str, until: Option<Timestamp>) -> bool {
        let mut state = self.inner.standing.state();
        match until {
            Some(until) => state.turns.insert(target.to_owned(), until).is_none(),
            None => state.turns.remove(target).is_some(),
        }
    }

    /// Whether the clocks agreed when the store's was last read.
    pub(crate) fn clocks_agreed(&self) -> bool {
        let clock = self.inner.standing.state().clock;
        clock.at != Timestamp::default() && clock.agrees()
    }

    /// Notes what the store's clock said.
    pub(crate) fn note_clock(&self, reading: Reading) {
        self.inner.standing.state().clock = reading;
    }

    /// Does something while nothing runs whose end it could move, and nothing is started; says
    /// whether it was done.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn while_idle(
        &self,
        act: impl AsyncFnOnce() -> Result<bool, StoreError>,
    ) -> Result<bool, StoreError> {
        let _turn = self.inner.shop.lock().await;
        let idle = self.store().outbox().await?.waiting == 0;
        if !idle || !self.store().live_sales().await?.is_empty() {
            return Ok(false);
        }
        act().await
    }

    /// Moves the clock to where running sales were, if it is behind: a machine that comes up with
    /// a clock far behind would let them run on for hours. For a store of our own.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn never_runs_back(&self) -> Result<(), TellError> {
        let mut latest = self.now();
        for id in self.store().live_sales().await? {
            latest = latest.max(self.look(id, |sale| sale.head.last_at).await?);
        }
        let behind = latest.since(self.now());
        if !behind.is_zero() {
            self.clock().shift(behind.millis());
            tracing::warn!(
                "this machine's clock is {} behind what was stored last: what runs goes on from \
                 there. Set the clock right, best by NTP",
                behind.words()
            );
        }
        Ok(())
    }

    /// Follows the machine's clock, which is `apart` milliseconds ahead of ours: by `step` if there
    /// is one, else at once if nothing runs whose end it could move. Says whether it is followed at
    /// once. Programs that share a store follow its clock instead.
    ///
    /// # Errors
    /// If the store does not answer.
    pub(crate) async fn follow_machine(
        &self,
        apart: i64,
        step: Option<i64>,
    ) -> Result<bool, StoreError> {
        if self.is_shared() {
            return Ok(false);
        }
        if let Some(step) = step {
            self.clock().shift(step);
            return Ok(false);
        }
        self.while_idle(async || {
            self.clock().shift(apart);
            Ok(true)
        })
        .await
    }

    /// Whether the store answered lately and takes what is written: only then is what was last
    /// heard of a sale still so, and can be sold from.
    pub fn is_in_touch(&self) -> bool {
        if self.store().trouble().is_some() {
            return false;
        }
        if !self.is_shared() {
            return true;
        }
        let read_at = self.inner.standing.state().clock.at;
        self.now().since(read_at) <= SILENT_MAX
    }

    /// What keeps this program from acting, in words for whoever runs it.
    pub fn trouble(&self) -> Option<String> {
        if !self.is_shared() {
            return None;
        }
        let now = self.now();
        let clock = self.inner.standing.state().clock;
        let silent = now.since(clock.at);
        if clock.at == Timestamp::default() {
            return Some("the database's clock was not read yet".to_owned());
        }
        if silent > SILENT_MAX {
            return Some(format!("the database has not answered for {}", silent.words()));
        }
        let (ms, way) = match clock.ahead {
            ms if ms < 0 => (-ms, "behind"),
            ms => (ms, "ahead of"),
        };
        (!clock.agrees()).then(|| {
            format!("this machine's clock is {ms} ms {way} the database's: set both by NTP")
        })
    }
}
