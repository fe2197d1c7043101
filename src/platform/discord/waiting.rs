//! Who waits for a private answer: the tokens of interactions that were acknowledged and not
//! answered yet. In memory only: they are good for 15 minutes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::clock::{Span, Timestamp};

/// How long Discord takes an answer, less a margin.
const GOOD_FOR: Span = Span::from_mins(14);

/// More waiting than this is a flood; the oldest are given up.
const WAITING_MAX: usize = 10_000;

/// Where an answer goes.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Waits {
    /// The interaction's token: whoever has it may answer.
    pub token: String,
    at: Timestamp,
}

/// Everybody who waits, by the interaction's id.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<String, Waits>>);

impl Waiting {
    /// Somebody waits.
    pub(super) fn put(&self, id: &str, token: &str, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= WAITING_MAX {
            all.retain(|_, waits| now.since(waits.at) < GOOD_FOR);
        }
        if all.len() < WAITING_MAX {
            all.insert(id.to_owned(), Waits { token: token.to_owned(), at: now });
        }
    }

    /// Whoever waits under that id is answered now.
    pub(super) fn take(&self, id: &str, now: Timestamp) -> Option<Waits> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(id).filter(|waits| now.since(waits.at) < GOOD_FOR)
    }
}
