//! What the sandbox can be told to do badly, so that the rest can be seen to cope.

use serde::Deserialize;

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

/// A share of all cases happens to this one; `random` is evenly spread over 0 to 65535.
pub(super) fn happens(share: f64, random: u16) -> bool {
    share > 0.0 && f64::from(random) < share * 65536.0
}
