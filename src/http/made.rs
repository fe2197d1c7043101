//! Bytes that many ask for at the same moment: made once, handed to all of them.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use axum::body::Bytes;

use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    view::{State, View},
};

/// A page tells the time to a second; one this old may still be handed out.
const PAGE_SERVES_FOR: Span = Span::from_millis(200);

/// Pages and events kept at a time; all are forgotten then, and made anew as they are asked for.
const KEPT_MAX: usize = 256;

/// What was made of a view, and when.
struct One {
    revision: u64,
    state: State,
    out_of_touch: bool,
    at: Timestamp,
    bytes: Bytes,
}

impl One {
    fn is_of(&self, view: &View) -> bool {
        self.revision == view.revision
            && self.state == view.state
            && self.out_of_touch == view.is_out_of_touch()
    }
}

/// Sales' pages as strangers see them, each with what it has to say.
#[derive(Default)]
pub struct Pages(Mutex<HashMap<(SaleId, Option<String>), One>>);

/// The newest event of each sale's stream.
#[derive(Default)]
pub struct Events(Mutex<HashMap<SaleId, One>>);

impl Pages {
    /// The page for `now`, made if there is none.
    pub(super) fn get<E>(
        &self,
        view: &View,
        says: Option<&str>,
        now: Timestamp,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Bytes, E> {
        let key = (view.id, says.map(str::to_owned));
        let fresh = |one: &One| now >= one.at && now.since(one.at) < PAGE_SERVES_FOR;
        if let Some(one) = locked(&self.0).get(&key).filter(|one| one.is_of(view) && fresh(one)) {
            return Ok(one.bytes.clone());
        }
        let bytes = make()?;
        keep(&mut locked(&self.0), key, view, now, &bytes);
        Ok(bytes)
    }
}

impl Events {
    /// The event that tells of a view.
    pub(super) fn get(&self, view: &View, now: Timestamp, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut all = locked(&self.0);
        if let Some(one) = all.get(&view.id).filter(|one| one.is_of(view)) {
            return one.bytes.clone();
        }
        let bytes = make();
        keep(&mut all, view.id, view, now, &bytes);
        bytes
    }
}

fn locked<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<K: std::hash::Hash + Eq>(
    all: &mut HashMap<K, One>,
    key: K,
    view: &View,
    at: Timestamp,
    bytes: &Bytes,
) {
    if all.len() >= KEPT_MAX {
        all.clear();
    }
    let View { revision, state, .. } = *view;
    let out_of_touch = view.is_out_of_touch();
    all.insert(key, One { revision, state, out_of_touch, at, bytes: bytes.clone() });
}
