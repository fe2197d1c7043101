//! Whether a fault is played this time.

/// A share of all cases happens to this one; `random` is evenly spread over 0 to 65535.
pub(super) fn happens(share: f64, random: u16) -> bool {
    share > 0.0 && f64::from(random) < share * 65536.0
}
