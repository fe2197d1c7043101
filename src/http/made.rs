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

/// Stands in a page for the key of its form. No text on a page can read so: it would be escaped.
pub(super) const KEY_PLACE: &str = "<key>";

/// A page that many get, each with a key of their own in the form.
#[derive(Clone)]
pub(super) struct Page {
    bytes: Bytes,
    key_at: Option<usize>,
}

impl Page {
    fn new(bytes: Bytes) -> Self {
        let key_at = bytes.windows(KEY_PLACE.len()).position(|part| part == KEY_PLACE.as_bytes());
        Self { bytes, key_at }
    }

    /// The page for somebody whose form has this key.
    pub(super) fn with_key(self, key: impl FnOnce() -> String) -> Bytes {
        let Some(at) = self.key_at else { return self.bytes };
        let (before, after) = (&self.bytes[..at], &self.bytes[at + KEY_PLACE.len()..]);
        [before, key().as_bytes(), after].concat().into()
    }
}

/// What was made of a view, and when.
struct One<T> {
    revision: u64,
    state: State,
    out_of_touch: bool,
    at: Timestamp,
    made: T,
}

impl<T> One<T> {
    fn is_of(&self, view: &View) -> bool {
        self.revision == view.revision
            && self.state == view.state
            && self.out_of_touch == view.is_out_of_touch()
    }
}

/// By the sale, and what its page has to say.
type PagesBySale = HashMap<(SaleId, Option<String>), One<Page>>;

/// Sales' pages as strangers see them.
#[derive(Default)]
pub struct Pages(Mutex<PagesBySale>);

/// The newest event of each sale's stream.
#[derive(Default)]
pub struct Events(Mutex<HashMap<SaleId, One<Bytes>>>);

impl Pages {
    /// The page for `now`, made if there is none.
    pub(super) fn get<E>(
        &self,
        view: &View,
        says: Option<&str>,
        now: Timestamp,
        make: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<Page, E> {
        let key = (view.id, says.map(str::to_owned));
        let fresh = |one: &One<Page>| now >= one.at && now.since(one.at) < PAGE_SERVES_FOR;
        if let Some(one) = locked(&self.0).get(&key).filter(|one| one.is_of(view) && fresh(one)) {
            return Ok(one.made.clone());
        }
        let page = Page::new(make()?);
        keep(&mut locked(&self.0), key, view, now, &page);
        Ok(page)
    }
}

impl Events {
    /// The event that tells of a view.
    pub(super) fn get(&self, view: &View, now: Timestamp, make: impl FnOnce() -> Bytes) -> Bytes {
        let mut all = locked(&self.0);
        if let Some(one) = all.get(&view.id).filter(|one| one.is_of(view)) {
            return one.made.clone();
        }
        let bytes = make();
        keep(&mut all, view.id, view, now, &bytes);
        bytes
    }
}

fn locked<T>(all: &Mutex<T>) -> MutexGuard<'_, T> {
    all.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<K: std::hash::Hash + Eq, T: Clone>(
    all: &mut HashMap<K, One<T>>,
    key: K,
    view: &View,
    at: Timestamp,
    made: &T,
) {
    if all.len() >= KEPT_MAX {
        all.clear();
    }
    let View { revision, state, .. } = *view;
    let out_of_touch = view.is_out_of_touch();
    all.insert(key, One { revision, state, out_of_touch, at, made: made.clone() });
}
