//! Whether writing works: what the writer saw last, for whoever asks whether the program is ready.

use std::{
    pin::Pin,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::{Sleep, sleep},
};

use super::StoreError;

/// Between two trials of the database at least.
pub(super) const TRIAL_REST: Duration = Duration::from_millis(1500);

/// What a sale wrote within this time needs no trial.
pub(super) const LATELY: Duration = Duration::from_secs(5);

/// Kept by the writer, read by everybody.
#[derive(Debug)]
pub(super) struct Pulse {
    failing: AtomicBool,
    /// A write waits for longer than it may: the next would wait behind it.
    stuck: AtomicBool,
    why: Mutex<Option<StoreError>>,
    /// Nothing was written lately: whether it can be, only a written row tells.
    stale: AtomicBool,
    /// Somebody wants to know.
    asked: Notify,
    /// Counts the trials that ended.
    trials: watch::Sender<u64>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            failing: AtomicBool::new(false),
            stuck: AtomicBool::new(false),
            why: Mutex::default(),
            stale: AtomicBool::new(true),
            asked: Notify::new(),
            trials: watch::Sender::new(0),
        }
    }
}

impl Pulse {
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// Why writing fails, if it does.
    pub(super) fn why(&self) -> Option<StoreError> {
        if !self.is_failing() {
            return None;
        }
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why nothing is to be tried for now, if so: a write waited for too long, and none went through
    /// since.
    pub(super) fn stuck(&self) -> Option<StoreError> {
        if self.stuck.load(Ordering::Relaxed) { self.why() } else { None }
    }

    /// Notes that a write waits for too long; says whether it is new that writing fails.
    pub(super) fn sticks(&self, why: StoreError) -> bool {
        self.stuck.store(true, Ordering::Relaxed);
        self.failed(why)
    }

    /// Notes that writing failed; says whether that is new.
    pub(super) fn failed(&self, why: StoreError) -> bool {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Notes that a trial ended well; says whether writing failed before.
    pub(super) fn works(&self) -> bool {
        self.stuck.store(false, Ordering::Relaxed);
        self.failing.swap(false, Ordering::Relaxed)
    }

    pub(super) fn set_stale(&self, stale: bool) {
        self.stale.store(stale, Ordering::Relaxed);
    }

    /// A trial ended, well or not.
    pub(super) fn trial_ended(&self) {
        self.trials.send_modify(|n| *n += 1);
    }

    /// Resolves when somebody wants a trial.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// Whether anything can be written now. Known from what was written lately; else the next
    /// trial is waited for, and however many ask, there is one of them at a time.
    pub(super) async fn ready(&self) -> Result<(), StoreError> {
        if self.is_failing() || self.stale.load(Ordering::Relaxed) {
            let mut trials = self.trials.subscribe();
            self.asked.notify_one();
            // The sender is ours: it cannot be gone.
            let _ = trials.changed().await;
        }
        self.why().map_or(Ok(()), Err)
    }
}

/// When the next trial may be, and how long what was written proves anything.
pub(super) struct Watch<'a> {
    pub(super) rest: Pin<&'a mut Sleep>,
    pub(super) rests: bool,
    pub(super) lately: Pin<&'a mut Sleep>,
    pub(super) stale: bool,
    /// A sale wrote something since that time began.
    wrote: bool,
}

impl<'a> Watch<'a> {
    pub(super) fn new(rest: Pin<&'a mut Sleep>, lately: Pin<&'a mut Sleep>) -> Self {
        Self { rest, rests: false, lately, stale: true, wrote: false }
    }

    pub(super) fn wrote(&mut self, pulse: &Pulse) {
        self.wrote = true;
        if self.stale {
            self.stale = false;
            self.lately.set(sleep(LATELY));
            pulse.set_stale(false);
        }
    }

    pub(super) fn time_passed(&mut self, pulse: &Pulse) {
        if std::mem::take(&mut self.wrote) {
            self.lately.set(sleep(LATELY));
        } else {
            self.stale = true;
            pulse.set_stale(true);
        }
    }

    pub(super) fn tried(&mut self, pulse: &Pulse) {
        self.rests = true;
        self.rest.set(sleep(TRIAL_REST));
        if !pulse.is_failing() {
            self.wrote(pulse);
        }
        pulse.trial_ended();
    }
}
