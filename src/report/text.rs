//! The receipt in lines, for chat, the terminal and the desk.

use super::{Deed, Report, Row};
use crate::notice::text::plain;

impl Report {
    /// The receipt in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "#{} {} · {} · {} of {} sold at {}",
            self.number,
            plain(&self.title),
            self.reason.unwrap_or(self.phase).replace('_', " "),
            self.sold,
            self.stock,
            self.price,
        )];
        lines.extend(self.archived_line());
        lines.push(format!(
            "paid {} · refunded {} · needs review {} · kept {}",
            self.gross, self.refunded, self.undecided, self.kept
        ));
        lines.extend(self.fee_line());
        lines.push(format!("reservations {} · expired or cancelled {}", self.claimed, self.lapsed));
        lines.push(self.funnel_line());
        lines.extend(self.surplus_line());
        if self.refunding.minor != 0 {
            lines.push(format!("{} of the refunds is still on its way", self.refunding));
        }
        if self.foreign > 0 {
            let n = self.foreign;
            lines.push(format!("{n} payments in another currency are not in these totals"));
        }
        if self.short > 0 {
            lines.push(format!("{} short: more sold than you have", self.short));
        }
        if self.outside > 0 {
            lines.push(format!("{} sold elsewhere during the sale", self.outside));
        }
        lines.extend(self.payments.iter().map(Row::line));
        lines.extend(self.deeds.iter().map(Deed::line));
        lines
    }

    fn archived_line(&self) -> Option<String> {
        let since = self.archived.as_ref()?;
        Some(format!("details archived since {since}; totals and payments are complete"))
    }

    fn fee_line(&self) -> Option<String> {
        let (told, of) = (self.fees_told, self.completed);
        (told > 0).then(|| {
            let known = if told == of { String::new() } else { format!(" ({told} of {of} known)") };
            format!("fees {}{known} · net {}", self.fees, self.net)
        })
    }

    fn funnel_line(&self) -> String {
        let funnel = &self.funnel;
        let mut line = match (funnel.clicked, funnel.held) {
            (Some(clicked), Some(held)) => format!("people: {clicked} clicked → {held} held → "),
            _ => "people: ".to_owned(),
        };
        line.push_str(&format!("{} paid → {} kept", funnel.paid, funnel.kept));
        let delay = &self.checkout_delay;
        if delay.count > 0 {
            let (p50, p95) = (seconds(delay.p50), seconds(delay.p95));
            line.push_str(&format!(" · claim to page p50 {p50}, p95 {p95}"));
        }
        line
    }

    fn surplus_line(&self) -> Option<String> {
        let extra = &self.extra;
        let kinds = [
            (&extra.surplus, "paid when nothing was left"),
            (&extra.double, "paid twice"),
            (&extra.elsewhere, "refunded at the provider"),
            (&extra.incomplete, "paid in part only"),
            (&extra.limit, "more than one person or one code may have"),
        ];
        let some: Vec<String> = kinds
            .iter()
            .filter(|(sum, _)| sum.count > 0)
            .map(|(sum, what)| format!("{what} {} ({})", sum.count, sum.amount))
            .collect();
        (!some.is_empty()).then(|| some.join(" · "))
    }
}

impl Row {
    fn line(&self) -> String {
        let mut line = format!("  {} · {} · {}", self.at, self.payment, self.amount);
        if let Some(units) = self.units {
            line.push_str(&format!(" · {units} ×"));
        }
        if let Some(delivery) = &self.delivery {
            line.push_str(&format!(" {delivery}"));
        }
        for (option, value) in &self.options {
            line.push_str(&format!(" · {option} {value}"));
        }
        for upsell in &self.upsells {
            line.push_str(&format!(" · plus {upsell}"));
        }
        if let Some(special) = &self.special {
            line.push_str(&format!(" · at {special}"));
        }
        if let Some(buyer) = &self.buyer {
            line.push_str(&format!(" · {}", plain(buyer)));
        }
        line.push_str(&format!(" · {}", self.fate));
        let double = self.refund == Some("double");
        for (flag, word) in [(self.late, "late"), (self.surplus, "surplus"), (double, "double")] {
            if flag {
                line.push_str(&format!(", {word}"));
            }
        }
        let part = self.refunded.minor != 0 && self.refunded != self.amount;
        if part {
            line.push_str(&format!(" · {} refunded", self.refunded));
        }
        if !self.together_with.is_empty() {
            line.push_str(&format!(" · together with {}", self.together_with.join(", ")));
        }
        if let Some(fee) = self.fee {
            line.push_str(&format!(" · fee {fee}"));
        }
        if let Some(why) = &self.why {
            line.push_str(&format!(": {}", plain(why)));
        }
        line
    }
}

impl Deed {
    fn line(&self) -> String {
        format!("  {} · {} · {}", self.at, self.did, plain(&self.by))
    }
}

/// Milliseconds as people read them.
fn seconds(ms: u64) -> String {
    if ms < 1000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) }
}
