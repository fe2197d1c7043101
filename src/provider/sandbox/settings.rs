//! `[providers.sandbox]`.

use serde::Deserialize;

use crate::finding::Finding;

/// The built-in provider.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Serve its pages to the whole world.
    pub allow_public: bool,
    /// API calls per second before it answers 429.
    pub calls_per_second: u32,
    /// The share of each payment that it keeps as its fee.
    pub fee: f64,
    /// Faults to play.
    pub faults: Faults,
}

impl Default for Settings {
    fn default() -> Self {
        Self { allow_public: false, calls_per_second: 8, fee: 0.0, faults: Faults::default() }
    }
}

/// Faults to play; all off by default. Shares are between 0 and 1.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every API call takes this long.
    pub latency_ms: u32,
    /// A page is not found until this long after it was made.
    pub ready_after_ms: u32,
    /// A page answers, and says it is out of stock, until this long after it was made.
    pub out_of_stock_ms: u32,
    /// Every n-th page never comes up; 0 for none.
    pub dead_page_every: u32,
    /// Share of webhooks that are lost.
    pub webhook_dropped: f64,
    /// Share of webhooks that come twice.
    pub webhook_doubled: f64,
    /// Webhooks come up to this much late, each by another time, so in another order.
    pub webhook_late_ms: u32,
    /// Share of API calls that fail before doing anything.
    pub error: f64,
    /// Share of API calls whose work is done and whose answer is lost.
    pub answer_lost: f64,
    /// Share of closings that are answered with *closed* while the page can still be paid.
    pub close_ignored: f64,
    /// Share of closings that are refused for ever.
    pub close_refused: f64,
}

impl Settings {
    pub(super) fn check_values(&self, found: &mut Vec<Finding>) {
        let key = |name: &str| format!("providers.sandbox.{name}");
        let faults = &self.faults;
        for (name, share) in [
            ("fee", self.fee),
            ("faults.webhook_dropped", faults.webhook_dropped),
            ("faults.webhook_doubled", faults.webhook_doubled),
            ("faults.error", faults.error),
            ("faults.answer_lost", faults.answer_lost),
            ("faults.close_ignored", faults.close_ignored),
            ("faults.close_refused", faults.close_refused),
        ] {
            if !(0.0..=1.0).contains(&share) {
                found.push(Finding::error(key(name), "is a share: between 0 and 1"));
            }
        }
        if self.calls_per_second == 0 {
            found.push(Finding::error(key("calls_per_second"), "must be at least 1"));
        }
    }
}
