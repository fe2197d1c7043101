//! How far a service's clock is from this machine's, by the `Date` of its answers.
//!
//! Services refuse times in their future, and sign with their own time. A clock that is minutes off,
//! theirs or ours, must not stop a sale.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::header::{DATE, HeaderMap};

use crate::{
    clock::{Clock, Span, SystemClock, Timestamp},
    finding::Finding,
};

/// Not known yet.
const UNKNOWN: i64 = i64::MIN;

/// A `Date` as far off as this is no clock that drifts, and nothing to reckon with.
const BELIEVED_MS: i64 = 12 * 3600 * 1000;

/// From so much on it is reckoned with. What is seen is their time or a little before it, as the
/// header has whole seconds and takes its time: what is dated by it is never in their future.
const RECKONED_MS: i64 = 1000;

/// From so much on people are told of it.
const TOLD_MS: i64 = 2500;

/// What was seen last, in milliseconds: theirs less ours.
pub(crate) struct Drift(AtomicI64);

impl Default for Drift {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Drift {
    /// Looks at an answer that came just now.
    pub(crate) fn note(&self, headers: &HeaderMap) {
        let date = headers.get(DATE).and_then(|value| value.to_str().ok());
        if let Some(theirs) = date.and_then(Timestamp::parse_http_date) {
            let drift = theirs.millis() - SystemClock.now().millis();
            self.0.store(drift, Ordering::Relaxed);
        }
    }

    fn millis(&self) -> i64 {
        match self.0.load(Ordering::Relaxed) {
            known if known != UNKNOWN && (RECKONED_MS..BELIEVED_MS).contains(&known.abs()) => known,
            _ => 0,
        }
    }

    /// Their time at our `at`, up to a second early; ours where nothing is known.
    pub(crate) fn theirs(&self, at: Timestamp) -> Timestamp {
        Timestamp::from_millis(at.millis().saturating_add(self.millis()))
    }

    /// How far they are apart, either way.
    pub(crate) fn size(&self) -> Span {
        Span::from_millis(self.millis().abs())
    }

    /// What a person is told of it.
    pub(crate) fn finding(&self, provider: &str, name: &str) -> Option<Finding> {
        let known = self.0.load(Ordering::Relaxed);
        // Half of the second that the header leaves out.
        let drift = known.saturating_add(500);
        if known == UNKNOWN || drift.abs() < TOLD_MS {
            return None;
        }
        let by = Span::from_secs((drift.abs() + 500) / 1000);
        let way = if drift < 0 { "behind" } else { "ahead of" };
        let says = format!(
            "{name}'s clock is {by} {way} this machine's: set this machine's clock by a time server (NTP). \
             Livetill reckons with the difference meanwhile"
        );
        Some(Finding::warning(format!("providers.{provider}.api_url"), says))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn drift_of(text: &'static str) -> Drift {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, HeaderValue::from_static(text));
        let drift = Drift::default();
        drift.note(&headers);
        drift
    }

    #[test]
    fn a_clock_that_drifts_is_reckoned_with_and_nonsense_is_not() {
        let at = Timestamp::from_millis(1_767_225_600_000);
        let drift = Drift::default();
        assert_eq!((drift.theirs(at), drift.finding("square", "Square")), (at, None));
        drift.0.store(-60_400, Ordering::Relaxed);
        assert_eq!(at.since(drift.theirs(at)), Span::from_millis(60_400));
        let says = drift.finding("square", "Square").expect("told").says;
        assert!(says.starts_with("Square's clock is 1m behind this machine's"), "{says}");
        drift.0.store(2_900, Ordering::Relaxed);
        let says = drift.finding("square", "Square").expect("told").says;
        assert!(says.starts_with("Square's clock is 3s ahead of this machine's"), "{says}");
        drift.0.store(-400, Ordering::Relaxed);
        assert_eq!(drift.finding("square", "Square"), None);
        let old = drift_of("Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(old.theirs(at), at, "not reckoned with");
        assert!(old.finding("square", "Square").is_some(), "and told");
        assert_eq!(drift_of("yesterday").finding("square", "Square"), None);
    }
}
