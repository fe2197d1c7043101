//! Where sales live, and for how long with all their details.

use serde::Deserialize;

use crate::{
    clock::{Span, SpanError},
    finding::Finding,
};

/// Refunds, disputes and webhooks come late: until then a sale keeps its details.
pub const ARCHIVE_AFTER_MIN: Span = Span::from_secs(90 * 24 * 3600);

/// Where sales live.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// `sqlite:PATH` or `postgres://USER@HOST/DATABASE`; may hold a password.
    pub url: String,
    /// Sales that ended longer ago are archived, like `90d` or `2160h`; empty: never.
    pub archive_after: String,
}

/// The longest that can be waited for.
const ARCHIVE_AFTER_MAX: Span = Span::from_secs(400 * 24 * 3600);

/// A number of days, like `90d`.
fn days(text: &str) -> Option<Span> {
    let days: u32 = text.strip_suffix(['d', 'D'])?.parse().ok()?;
    Some(Span::from_secs(i64::from(days) * 24 * 3600))
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let url = if self.url.starts_with("sqlite:") { &self.url } else { "[redacted]" };
        let after = &self.archive_after;
        f.debug_struct("Store").field("url", &url).field("archive_after", after).finish()
    }
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "sqlite:livetill.db".to_owned(), archive_after: String::new() }
    }
}

impl Store {
    /// After what time sales are archived, if ever; none either where it cannot be read, which
    /// [`super::Config::check`] refuses.
    pub fn archive_after(&self) -> Option<Span> {
        self.read().ok().flatten()
    }

    fn read(&self) -> Result<Option<Span>, String> {
        let text = self.archive_after.trim();
        if text.is_empty() {
            return Ok(None);
        }
        match days(text).map_or_else(|| text.parse(), Ok) {
            Ok(after) if after < ARCHIVE_AFTER_MIN => Err(format!(
                "{text} is too short: refunds, disputes and webhooks come late, so that a sale \
                 keeps its details for 2160h (90 days) at least. Write 90d or more, or leave it \
                 empty to keep everything"
            )),
            Ok(after) if after <= ARCHIVE_AFTER_MAX => Ok(Some(after)),
            Ok(_) | Err(SpanError::Long(_)) => Err(format!(
                "{text} is too long: 9600h (400 days) at most. Leave it empty to keep everything"
            )),
            Err(_) => Err(format!("not a time: {text}. Write days or hours, like 90d or 2160h")),
        }
    }

    pub(super) fn check(&self, found: &mut Vec<Finding>) {
        if let Err(says) = self.read() {
            found.push(Finding::error("store.archive_after", says));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(after: &str) -> Result<Option<Span>, String> {
        Store { archive_after: after.to_owned(), ..Store::default() }.read()
    }

    #[test]
    fn a_sale_keeps_its_details_for_ninety_days_at_least() {
        assert_eq!(Store::default().archive_after(), None, "off unless it is asked for");
        assert_eq!(with("2160h"), Ok(Some(ARCHIVE_AFTER_MIN)));
        assert!(with("2159h59m59s").is_err_and(|says| says.contains("2160h (90 days)")));
        assert_eq!(with("90d"), Ok(Some(ARCHIVE_AFTER_MIN)));
        assert_eq!(with("400d"), with("9600h"));
        assert!(with("89d").is_err_and(|says| says.starts_with("89d is too short")));
        for long in ["9601h", "401d", "99999999d"] {
            assert!(
                with(long).is_err_and(|says| says.contains("9600h (400 days) at most")),
                "{long}"
            );
        }
        for none in ["2160", "90x", "d", "-90d", "0"] {
            assert!(with(none).is_err_and(|says| says.contains("like 90d or 2160h")), "{none}");
        }
        let short = Store { archive_after: "2159h".to_owned(), ..Store::default() };
        assert_eq!(short.archive_after(), None, "what is refused archives nothing");
    }
}
