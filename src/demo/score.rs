//! The score card of a rehearsal.

use serde::Serialize;

use super::{
    plan::{Crowd, hash, plan},
    shopper::Kept,
};
use crate::{
    money::Money,
    report::{Percentiles, Report, prove},
    sale::{Sale, hold::HoldState},
    store::JournalLine,
};

/// What a rehearsal came to.
#[derive(Clone, Debug, Serialize)]
pub struct Score {
    /// Fingerprint of what the crowd meant to do.
    pub plan: String,
    /// The seed.
    pub seed: u64,
    /// Shoppers who came.
    pub buyers: u32,
    /// Units for sale.
    pub stock: u32,
    /// How the sale ended.
    pub reason: Option<&'static str>,
    /// Units taken above the stock, at the worst commit.
    pub oversold: u32,
    /// Units taken at the fullest moment.
    pub taken_max: u32,
    /// Units paid and kept.
    pub sold: u32,
    /// Claims made, paid and lost.
    pub holds: Holds,
    /// Payments that came when nothing was left; every one is refunded.
    pub surplus: u32,
    /// Payments that came late, and what became of them.
    pub late: Late,
    /// Pages handed out that could not be paid.
    pub dead_pages: u32,
    /// From click to payment page, in milliseconds.
    pub click_to_checkout: Percentiles,
    /// Money.
    pub money: Sums,
    /// Lines said in chat.
    pub lines: u64,
    /// Everything settled, cleaned and proven from the journal.
    pub settled: bool,
    /// What did not go as it should.
    pub wrong: Vec<String>,
}

/// Claims.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Holds {
    /// Made.
    pub made: u32,
    /// Paid.
    pub paid: u32,
    /// Given back unpaid.
    pub lost: u32,
    /// Turned away at the door.
    pub refused: u32,
}

/// Late payments.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Late {
    /// Came in.
    pub payments: u32,
    /// Kept.
    pub kept: u32,
    /// Refunded.
    pub refunded: u32,
    /// Tried and not taken any more by the provider.
    pub turned_away: u32,
}

/// Money.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sums {
    /// Paid.
    pub gross: Money,
    /// Refunded.
    pub refunded: Money,
    /// Kept.
    pub net: Money,
}

impl Score {
    pub(super) fn new(
        crowd: &Crowd,
        sale: &Sale,
        journal: &[JournalLine],
        kept: &[Kept],
        clean: bool,
    ) -> Self {
        let proof = prove(sale, journal);
        let report = Report::of(sale, journal);
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let rows = |test: fn(&&crate::report::Row) -> bool| {
            count(report.payments.iter().filter(test).count())
        };
        let tried_late = count(kept.iter().filter(|k| k.tried_late && !k.paid).count());
        let paid_holds =
            sale.holds().filter(|hold| matches!(hold.state, HoldState::Paid { .. })).count();
        let unsettled = sale.payments().any(|payment| !payment.is_settled());
        let mut wrong = proof.wrong.clone();
        wrong.extend(kept.iter().filter_map(|kept| kept.broken.clone()));
        if !clean {
            wrong.push("something is left to do".to_owned());
        }
        if unsettled {
            wrong.push("a payment is not settled".to_owned());
        }
        Self {
            plan: hash(&plan(crowd)),
            seed: crowd.seed,
            buyers: crowd.buyers,
            stock: sale.head.stock,
            reason: report.reason,
            oversold: proof.oversold,
            taken_max: proof.taken_max,
            sold: report.sold,
            holds: Holds {
                made: report.claimed,
                paid: count(paid_holds),
                lost: report.lapsed,
                refused: count(kept.iter().filter(|kept| kept.refused).count()),
            },
            surplus: rows(|row| row.surplus),
            late: Late {
                payments: rows(|row| row.late),
                kept: rows(|row| row.late && row.fate == "kept"),
                refunded: rows(|row| row.late && row.fate == "refunded"),
                turned_away: tried_late,
            },
            dead_pages: count(kept.iter().filter(|kept| kept.dead_page).count()),
            click_to_checkout: Percentiles::of(kept.iter().filter_map(|kept| kept.waited)),
            money: Sums { gross: report.gross, refunded: report.refunded, net: report.kept },
            lines: 0,
            settled: clean && !unsettled && proof.wrong.is_empty() && sale.head.is_closed(),
            wrong,
        }
    }

    pub(super) fn with_lines(self, lines: u64) -> Self {
        Self { lines, ..self }
    }

    /// Whether the promises held.
    pub fn is_good(&self) -> bool {
        self.oversold == 0 && self.settled
    }

    /// The card in lines.
    pub fn card(&self) -> Vec<String> {
        let Self { holds, late, click_to_checkout: click, money, .. } = self;
        let mut lines = vec![
            format!(
                "crowd              {} shoppers, seed {}, plan {}",
                self.buyers, self.seed, self.plan
            ),
            format!(
                "sold               {} of {} ({})",
                self.sold,
                self.stock,
                self.reason.unwrap_or("?").replace('_', " ")
            ),
            format!(
                "holds              {} made, {} paid, {} lost, {} turned away at the door",
                holds.made, holds.paid, holds.lost, holds.refused
            ),
            format!(
                "click to checkout  p50 {} ms, p95 {} ms, max {} ms",
                click.p50, click.p95, click.max
            ),
            format!("dead pages         {}", self.dead_pages),
            format!(
                "late payments      {} ({} kept, {} refunded), {} not taken any more",
                late.payments, late.kept, late.refunded, late.turned_away
            ),
            format!("surplus            {}", self.surplus),
            format!(
                "money              {} paid, {} refunded, {} kept",
                money.gross, money.refunded, money.net
            ),
            format!("chat               {} lines", self.lines),
            format!("settled            {}", if self.settled { "yes" } else { "NO" }),
        ];
        lines.extend(self.wrong.iter().map(|wrong| format!("wrong              {wrong}")));
        lines.push(format!("oversold {}", self.oversold));
        lines
    }
}
