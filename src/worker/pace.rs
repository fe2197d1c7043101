//! A provider's rate: rises slowly while calls go well, falls at once when asked to slow down.

use super::{CLOSES_ONE_IN, closes};
use crate::{
    clock::{Span, Timestamp},
    sale::effect::Class,
};

/// Calls per second under which it never falls.
const RATE_MIN: f64 = 0.5;

/// What is added to the rate by every call that went well, as a share of one call per second.
const RISE: f64 = 0.02;

/// What is left of the rate after being asked to slow down.
const FALL: f64 = 0.7;

/// How long to rest when asked to slow down without a time.
const REST: Span = Span::from_secs(1);

/// Calls that may be made at once after a quiet time, in seconds of the rate.
const BURST_SECS: f64 = 0.5;

/// A token bucket whose rate adapts.
#[derive(Clone, Debug)]
pub struct Pace {
    rate: f64,
    max: f64,
    tokens: f64,
    last: Timestamp,
    not_before: Timestamp,
    since_close: u32,
}

impl Pace {
    /// Begins at `rate` calls per second and never goes above `max`.
    pub fn new(rate: f64, max: f64) -> Self {
        let rate = rate.clamp(RATE_MIN, max.max(RATE_MIN));
        Self {
            rate,
            max: max.max(RATE_MIN),
            tokens: 1.0,
            last: Timestamp::default(),
            not_before: Timestamp::default(),
            since_close: 0,
        }
    }

    /// Calls per second at present.
    pub fn rate(&self) -> f64 {
        self.rate
    }

    /// When the next call may be made.
    pub fn ready_at(&self, now: Timestamp) -> Timestamp {
        let missing = 1.0 - self.tokens_at(now);
        let wait = if missing <= 0.0 { 0.0 } else { (missing / self.rate * 1000.0).ceil() };
        self.not_before.max(now + Span::from_millis(wait as i64))
    }

    /// The class that goes first this time, if closing was left waiting long enough.
    pub fn goes_first(&self) -> Option<Class> {
        (self.since_close + 1 >= CLOSES_ONE_IN).then_some(Class::Close)
    }

    /// Counts `calls` of a class.
    pub fn spend(&mut self, now: Timestamp, calls: u32, class: Class) {
        self.tokens = self.tokens_at(now) - f64::from(calls);
        self.last = now;
        self.since_close = if closes(class) { 0 } else { self.since_close + 1 };
    }

    /// A call went well.
    pub fn went_well(&mut self) {
        self.rate = (self.rate + RISE).min(self.max);
    }

    /// The provider asked to slow down; says when to try again.
    pub fn slow_down(&mut self, now: Timestamp, after: Option<Span>) -> Timestamp {
        // Several calls in flight are refused together: that is one lesson, not several.
        if self.not_before <= now {
            self.rate = (self.rate * FALL).max(RATE_MIN);
        }
        self.not_before = self.not_before.max(now + after.unwrap_or(REST));
        self.not_before
    }

    fn tokens_at(&self, now: Timestamp) -> f64 {
        let passed = now.since(self.last).millis() as f64 / 1000.0;
        (self.tokens + passed * self.rate).min((self.rate * BURST_SECS).max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + ms)
    }

    #[test]
    fn keeps_to_its_rate() {
        let mut pace = Pace::new(4.0, 4.0);
        let mut now = at(0);
        let mut calls = 0;
        while now < at(10_000) {
            now = pace.ready_at(now);
            pace.spend(now, 1, Class::Buyer);
            calls += 1;
        }
        assert!((40..=43).contains(&calls), "{calls}");
    }

    #[test]
    fn falls_once_per_refusal_and_rises_with_success() {
        let mut pace = Pace::new(10.0, 20.0);
        let until = pace.slow_down(at(0), Some(Span::from_secs(3)));
        pace.slow_down(at(0), None);
        assert_eq!((until, pace.ready_at(at(0))), (at(3000), at(3000)));
        assert!((pace.rate() - 7.0).abs() < 0.01);
        for _ in 0..1000 {
            pace.went_well();
        }
        assert!((pace.rate() - 20.0).abs() < 0.01);
    }

    #[test]
    fn closing_gets_one_call_in_four() {
        let mut pace = Pace::new(4.0, 4.0);
        let firsts: Vec<bool> = (0..8)
            .map(|_| {
                let first = pace.goes_first();
                pace.spend(at(0), 1, first.unwrap_or(Class::Buyer));
                first.is_some()
            })
            .collect();
        assert_eq!(firsts, [false, false, false, true, false, false, false, true]);
    }

    #[test]
    fn a_quiet_time_saves_up_half_a_second_and_no_more() {
        for (rate, at_once) in [(10.0, 5), (1.0, 1)] {
            let mut pace = Pace::new(rate, rate);
            let now = at(3_600_000);
            let mut calls = 0;
            while pace.ready_at(now) <= now {
                pace.spend(now, 1, Class::Buyer);
                calls += 1;
            }
            assert_eq!(calls, at_once, "{rate}");
        }
    }

    #[test]
    fn of_two_wishes_the_later_time_counts() {
        let mut pace = Pace::new(10.0, 10.0);
        pace.slow_down(at(0), Some(Span::from_secs(10)));
        pace.slow_down(at(1000), Some(Span::from_secs(1)));
        assert_eq!(pace.ready_at(at(1000)), at(10_000));
        assert!((pace.rate() - 7.0).abs() < 0.01, "one lesson");
    }
}
