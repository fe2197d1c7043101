//! Square's way of saying no, kept as it came and turned into what the worker does next.

use serde::Deserialize;

use crate::{clock::Span, provider::ProviderError};

/// After a refused token: somebody must mend it, and the work must not be lost meanwhile.
const MEND: Span = Span::from_secs(60);

/// Another program writes to the catalog: its lock is short, and no sign of too many calls.
const LOCKED: Span = Span::from_secs(2);

/// Bytes of an unreadable answer that are kept.
const RAW_MAX: usize = 160;

/// One of Square's complaints. Codes are open: values outside the published list occur.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Complaint {
    pub category: String,
    pub code: String,
    pub detail: Option<String>,
    pub field: Option<String>,
}

#[derive(Deserialize)]
struct Complaints {
    errors: Vec<Complaint>,
}

/// Why a call brought no usable answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody knows whether the work was done.
    Lost(String),
    /// Square answered with an error.
    Refused { status: u16, complaints: Vec<Complaint>, after: Option<Span>, raw: String },
}

impl Fault {
    /// Reads the body of an answer that is not a success.
    pub(super) fn read(status: u16, after: Option<Span>, body: &[u8]) -> Self {
        let complaints = serde_json::from_slice::<Complaints>(body).map(|all| all.errors);
        let raw: String = String::from_utf8_lossy(&body[..body.len().min(RAW_MAX)])
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        Self::Refused { status, complaints: complaints.unwrap_or_default(), after, raw }
    }

    /// Whether Square complains with that code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.complaints().iter().any(|complaint| complaint.code == code)
    }

    /// Whether what was asked for is not there.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. }) || self.is("NOT_FOUND")
    }

    /// Whether the thing changed since it was read: read it again first.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
            || self.is("VERSION_MISMATCH")
            || self.is("CONFLICT")
    }

    pub(super) fn complaints(&self) -> &[Complaint] {
        match self {
            Self::Lost(_) => &[],
            Self::Refused { complaints, .. } => complaints,
        }
    }

    /// For a request that may fail at once with its reason: somebody waits for the answer.
    pub(super) fn hasty(self) -> ProviderError {
        let says = self.says();
        match self {
            Self::Refused { status: 400..=499, .. } if !self.may_pass_later() => {
                ProviderError::Reject { says }
            }
            other => other.later(says),
        }
    }

    /// For what must be done however long it takes: a bad token is waited out.
    pub(super) fn steady(self) -> ProviderError {
        match &self {
            Self::Refused { status: 401 | 403, .. } => {
                ProviderError::Retry { says: self.says(), after: Some(MEND) }
            }
            Self::Refused { .. } | Self::Lost(_) => self.hasty(),
        }
    }

    fn may_pass_later(&self) -> bool {
        let Self::Refused { status, .. } = self else { return true };
        // The body is frozen: a reused key means that an earlier attempt is still being worked on.
        matches!(status, 408 | 425 | 429)
            || self.is_conflict()
            || self.is("IDEMPOTENCY_KEY_REUSED")
            || self.is("RATE_LIMITED")
    }

    fn later(self, says: String) -> ProviderError {
        match self {
            Self::Lost(_) => ProviderError::Retry { says, after: None },
            Self::Refused { status: 429, ref complaints, after, .. } => {
                let locked = complaints.iter().filter_map(|c| c.detail.as_deref());
                if locked.into_iter().any(|detail| detail.to_lowercase().contains("locked")) {
                    let after = Some(after.unwrap_or(LOCKED));
                    return ProviderError::Retry { says, after };
                }
                ProviderError::SlowDown { after }
            }
            Self::Refused { after, .. } => ProviderError::Retry { says, after },
        }
    }

    /// One line for moderators: Square's own words, and the mend where there is one.
    pub(super) fn says(&self) -> String {
        let (status, complaints, raw) = match self {
            Self::Lost(why) => return format!("Square {why}"),
            Self::Refused { status, complaints, raw, .. } => (status, complaints, raw),
        };
        let Some(first) = complaints.first() else {
            return format!("Square answers {status}: {}", raw.trim());
        };
        let detail = first.detail.as_deref().unwrap_or("no reason given");
        let mut says = format!("Square says {}: {}", first.code, detail.trim_end_matches('.'));
        if let Some(field) = &first.field {
            says.push_str(&format!(" (in {field})"));
        }
        if let Some(mend) = mend(&first.code) {
            says.push_str(&format!(". {mend}"));
        }
        says
    }
}

/// What the shop's owner can do about it.
fn mend(code: &str) -> Option<&'static str> {
    Some(match code {
        "UNAUTHORIZED" | "ACCESS_TOKEN_EXPIRED" | "ACCESS_TOKEN_REVOKED" => {
            "Set LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN to a token of this environment"
        }
        "INSUFFICIENT_SCOPES" | "FORBIDDEN" => {
            "Give the token the rights ITEMS, INVENTORY, ORDERS and PAYMENTS, read and write, and \
             MERCHANT_PROFILE_READ"
        }
        "CARD_PROCESSING_NOT_ENABLED" => "Finish activating card payments in the Square Dashboard",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, detail: &str) -> Fault {
        let body = format!(
            r#"{{"errors":[{{"category":"X","code":"{code}","detail":"{detail}","field":"a.b"}}]}}"#
        );
        Fault::read(status, Some(Span::from_secs(3)), body.as_bytes())
    }

    #[test]
    fn a_no_is_a_no_and_the_rest_is_repeated() {
        let says = "Square says INVALID_VALUE: bad (in a.b)".to_owned();
        assert_eq!(
            refused(400, "INVALID_VALUE", "bad.").hasty(),
            ProviderError::Reject { says: says.clone() }
        );
        let three = Some(Span::from_secs(3));
        assert_eq!(
            refused(429, "RATE_LIMITED", "slow").hasty(),
            ProviderError::SlowDown { after: three }
        );
        for (status, code) in [
            (500, "INTERNAL_SERVER_ERROR"),
            (409, "CONFLICT"),
            (400, "VERSION_MISMATCH"),
            (400, "IDEMPOTENCY_KEY_REUSED"),
            (429, "RATE_LIMITED: Catalog locked"),
        ] {
            let error = refused(status, code, "Catalog locked by prior request").hasty();
            assert!(matches!(error, ProviderError::Retry { .. }), "{code}: {error:?}");
        }
    }

    #[test]
    fn a_bad_token_stops_a_start_and_only_delays_a_refund() {
        let bad = refused(401, "UNAUTHORIZED", "no");
        assert!(
            matches!(bad.clone().hasty(), ProviderError::Reject { says } if says.contains("ACCESS_TOKEN"))
        );
        assert!(matches!(bad.steady(), ProviderError::Retry { .. }));
    }

    #[test]
    fn what_is_not_square_s_json_is_quoted() {
        let fault = Fault::read(502, None, b"<html>\nBad gateway");
        assert_eq!(fault.says(), "Square answers 502: <html> Bad gateway");
        assert!(matches!(fault.hasty(), ProviderError::Retry { .. }));
    }

    #[test]
    fn how_long_to_wait_is_heeded_whatever_the_reason() {
        let three = Some(Span::from_secs(3));
        for (status, code) in [(503, "X"), (409, "CONFLICT"), (429, "RATE_LIMITED")] {
            let after = match refused(status, code, "no").hasty() {
                ProviderError::Retry { after, .. } | ProviderError::SlowDown { after } => after,
                other => panic!("{other:?}"),
            };
            assert_eq!(after, three, "{status}");
        }
    }
}
