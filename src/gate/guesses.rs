//! Bounds on guessing codes.
//!
//! A right code is never refused because others guessed: whoever shares an address with a guesser
//! is let in. So every code is judged, and what is bounded is what guessing is worth. Each guess
//! counts before it is judged. After a few wrong ones from a network nobody there is told any more
//! that a code is wrong, only that there were too many; and every answer to them, right or wrong,
//! takes its time in one of few places, which bounds the guesses of everybody together. Only a
//! browser that guessed itself is not listened to any more.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::BuildHasher,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Guest;
use crate::{
    clock::{Span, Timestamp},
    sale::{refusal::Refusal, share::SEPARATOR},
};

/// Wrong codes that one browser, and one address, may give within [`TRIES_WITHIN`]. Of IPv6, a /56
/// may give twice as many as a /64, and a /48 four times.
const TRIES_PER_BROWSER: u32 = 5;
const TRIES_PER_ADDRESS: u32 = 20;
const GRADES: [u32; 3] = [1, 2, 4];
pub(super) const TRIES_WITHIN: Span = Span::from_mins(10);

/// Browsers whose wrong codes are remembered. Of further ones only the networks are.
const BROWSERS_MAX: usize = 20_000;

/// Networks are counted in so many places, whoever comes: two that share one are slow together.
const COUNTERS: usize = 8192;

/// A slow answer takes this long, and so many are given at a time.
const SLOWLY: Duration = Duration::from_secs(1);
const SLOW_MAX: usize = 256;

/// Wrong guesses, or ones that are not judged yet, in this span of [`TRIES_WITHIN`] and in the one
/// before.
#[derive(Clone, Copy, Default)]
struct Counter {
    span: i64,
    now: u32,
    before: u32,
}

impl Counter {
    fn at(&mut self, now: Timestamp) -> &mut Self {
        let span = now.millis() / TRIES_WITHIN.millis();
        if span != self.span {
            let before = if span == self.span + 1 { self.now } else { 0 };
            *self = Self { span, now: 0, before };
        }
        self
    }

    /// At least as many as within [`TRIES_WITHIN`].
    fn all(&self) -> u32 {
        self.now.saturating_add(self.before)
    }
}

/// The guesses of one browser since its first one.
struct Tries {
    since: Timestamp,
    many: u32,
}

impl Tries {
    fn are_forgiven(&self, now: Timestamp) -> bool {
        self.since + TRIES_WITHIN <= now
    }
}

struct Counted {
    browsers: HashMap<String, Tries>,
    /// When old browsers were last forgotten.
    forgot_at: Timestamp,
    networks: Vec<Counter>,
}

/// Guesses of late, in memory: a restart forgives them.
pub(super) struct Guesses {
    counted: Mutex<Counted>,
    hasher: RandomState,
    slow: Semaphore,
    /// How long a slow answer takes.
    pub(super) slowly: Duration,
}

/// A guess that is about to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guess {
    /// Whether its answer takes its time.
    pub(super) is_slow: bool,
}

impl Default for Guesses {
    fn default() -> Self {
        let networks = vec![Counter::default(); COUNTERS];
        let counted =
            Counted { browsers: HashMap::new(), forgot_at: Timestamp::default(), networks };
        Self {
            counted: Mutex::new(counted),
            hasher: RandomState::new(),
            slow: Semaphore::new(SLOW_MAX),
            slowly: SLOWLY,
        }
    }
}

impl Guesses {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where the networks of an address are counted, with how much more than a narrow one they may.
    fn places(&self, guest: Guest<'_>) -> impl Iterator<Item = (usize, u32)> {
        let networks = guest.address.into_iter().flat_map(|address| address.split(SEPARATOR));
        let place = |network| self.hasher.hash_one(network) as usize % COUNTERS;
        networks.map(place).zip(GRADES)
    }

    /// Counts a guess.
    ///
    /// # Errors
    /// If this very browser guessed wrong too often.
    pub(super) fn begin(&self, guest: Guest<'_>, now: Timestamp) -> Result<Guess, Refusal> {
        let mut counted = self.counted();
        counted.count_browser(guest, now)?;
        let mut is_slow = false;
        for (place, grade) in self.places(guest) {
            let counter = counted.networks[place].at(now);
            is_slow |= counter.all() >= TRIES_PER_ADDRESS * grade;
            counter.now = counter.now.saturating_add(1);
        }
        Ok(Guess { is_slow })
    }

    /// It was no wrong guess after all.
    pub(super) fn take_back(&self, guest: Guest<'_>, now: Timestamp) {
        let mut counted = self.counted();
        if let Some(tries) = counted.browsers.get_mut(guest.buyer) {
            tries.many = tries.many.saturating_sub(1);
        }
        for (place, _) in self.places(guest) {
            let counter = counted.networks[place].at(now);
            counter.now = counter.now.saturating_sub(1);
        }
    }

    /// Waits as long as a slow answer takes, and keeps its place; `None` if all places are taken.
    pub(super) async fn slowly(&self) -> Option<SemaphorePermit<'_>> {
        let place = self.slow.try_acquire().ok()?;
        tokio::time::sleep(self.slowly).await;
        Some(place)
    }
}

impl Counted {
    fn count_browser(&mut self, guest: Guest<'_>, now: Timestamp) -> Result<(), Refusal> {
        // Not at every guess: it looks at all of them.
        if self.browsers.len() >= BROWSERS_MAX && self.forgot_at + TRIES_WITHIN <= now {
            self.forgot_at = now;
            self.browsers.retain(|_, tries| !tries.are_forgiven(now));
        }
        if self.browsers.len() >= BROWSERS_MAX && !self.browsers.contains_key(guest.buyer) {
            return Ok(());
        }
        let new = Tries { since: now, many: 0 };
        let tries = self.browsers.entry(guest.buyer.to_owned()).or_insert(new);
        if tries.are_forgiven(now) {
            *tries = Tries { since: now, many: 0 };
        }
        if tries.many >= TRIES_PER_BROWSER {
            let after = (tries.since + TRIES_WITHIN).since(now);
            return Err(Refusal::CodeTries { after });
        }
        tries.many += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);

    fn guest<'a>(buyer: &'a str, address: &'a str) -> Guest<'a> {
        Guest { buyer, address: Some(address) }
    }

    #[test]
    fn a_browser_that_guesses_is_not_listened_to_any_more() {
        let guesses = Guesses::default();
        for _ in 0..TRIES_PER_BROWSER {
            assert!(guesses.begin(guest("a", "net"), NOW).is_ok());
        }
        let full = Err(Refusal::CodeTries { after: TRIES_WITHIN });
        assert_eq!(guesses.begin(guest("a", "net"), NOW), full);
        let later = NOW + TRIES_WITHIN;
        assert!(guesses.begin(guest("a", "net"), later).is_ok(), "it is forgiven");
    }

    #[test]
    fn so_many_at_once_are_quick_and_the_rest_slow_and_nobody_is_refused() {
        let guesses = Guesses::default();
        let quick = |address: &str, many: usize| {
            let names = (0..many).map(|n| format!("{address} {n}"));
            let begin = |name: &String| guesses.begin(guest(name, address), NOW);
            names.filter(|name| begin(name).is_ok_and(|guess| !guess.is_slow)).count()
        };
        assert_eq!(quick("net", 1000), 20);
        assert_eq!(quick("other", 5), 5, "others are as they were");
        // 20,800 from one /48.
        let of_one_48: usize =
            (0..1040).map(|n| quick(&format!("n{n}.m{}.wide", n / 256), 20)).sum();
        assert!(of_one_48 <= 80, "{of_one_48}");
        // A right code is no guess, even where many guessed.
        let honest = guest("honest", "net");
        for _ in 0..50 {
            assert!(guesses.begin(honest, NOW).is_ok_and(|guess| guess.is_slow));
            guesses.take_back(honest, NOW);
        }
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let guesses = Guesses::default();
        for n in 0..2 * BROWSERS_MAX {
            assert!(guesses.begin(guest(&format!("b{n}"), "net"), NOW).is_ok());
        }
        assert_eq!(guesses.counted().browsers.len(), BROWSERS_MAX);
        let later = NOW + TRIES_WITHIN;
        assert!(guesses.begin(guest("new", "net"), later).is_ok());
        assert_eq!(guesses.counted().browsers.len(), 1);
    }

    #[test]
    fn a_network_is_counted_over_this_span_and_the_one_before_and_no_longer() {
        let slow = |later: Span| {
            let guesses = Guesses::default();
            for n in 0..TRIES_PER_ADDRESS {
                assert!(guesses.begin(guest(&format!("b{n}"), "net"), NOW).is_ok());
            }
            guesses.begin(guest("late", "net"), NOW + later).expect("a guess").is_slow
        };
        assert!(slow(Span::ZERO));
        assert!(slow(TRIES_WITHIN), "the last ones may be that young");
        assert!(!slow(Span::from_mins(20)));
    }

    #[test]
    fn right_codes_leave_a_network_as_it_was() {
        let guesses = Guesses::default();
        for n in 0..2 * TRIES_PER_ADDRESS {
            let name = format!("b{n}");
            let guess = guesses.begin(guest(&name, "net"), NOW).expect("a guess");
            assert!(!guess.is_slow, "{n}");
            guesses.take_back(guest(&name, "net"), NOW);
        }
    }

    #[tokio::test]
    async fn a_slow_place_is_taken_until_its_answer_is_given() {
        let guesses = Guesses { slowly: Duration::from_millis(1), ..Guesses::default() };
        let mut places = Vec::new();
        for _ in 0..SLOW_MAX {
            places.push(guesses.slowly().await.expect("a place"));
        }
        assert!(guesses.slowly().await.is_none());
        places.pop();
        assert!(guesses.slowly().await.is_some());
    }
}
