//! What people did: how far buyers came, how long they waited for their page, and who ran what.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    clock::{Span, Timestamp},
    id::{Buyer, HoldId},
    sale::{
        Sale,
        archive::{Funnel, Percentiles},
        event::Event,
        payment::{Fate, Payment, PaymentStatus},
        template::CheckoutShape,
    },
    store::JournalLine,
};

/// Something that a person did to a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Deed {
    /// When.
    pub at: String,
    /// Their id as stored, and their name where it is known.
    pub by: String,
    /// What, as it is typed: `extend 5m`.
    pub did: String,
}

impl Percentiles {
    /// Of these times, by nearest rank.
    pub fn of(times: impl Iterator<Item = Span>) -> Self {
        let mut all: Vec<u64> = times.map(|time| time.millis().unsigned_abs()).collect();
        all.sort_unstable();
        let rank = |percent: usize| {
            let rank = (all.len() * percent).div_ceil(100).max(1);
            all.get(rank - 1).copied().unwrap_or(0)
        };
        Self { count: all.len() as u64, p50: rank(50), p95: rank(95), max: rank(100) }
    }
}

impl Funnel {
    pub(super) fn of(sale: &Sale) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let buyers = |test: fn(u32) -> bool| {
            let holds = sale.holds().filter(|hold| test(hold.ordered));
            let buyers: BTreeSet<_> = holds.filter_map(|hold| hold.buyer.as_ref()).collect();
            count(buyers.len())
        };
        let own = sale.head.template.checkout == CheckoutShape::PerBuyer;
        let payers = |test: fn(&Payment) -> bool| {
            let payments = sale.payments().filter(|payment| test(payment));
            let payers: BTreeSet<_> = payments.filter_map(|one| payer(sale, one, own)).collect();
            count(payers.len())
        };
        Self {
            clicked: own.then(|| buyers(|_| true)),
            held: own.then(|| buyers(|ordered| ordered > 0)),
            paid: payers(|payment| payment.fact.status == PaymentStatus::Completed),
            kept: payers(|payment| payment.fate == Fate::Kept),
        }
    }
}

/// Who made a payment: the buyer of its hold; on a shared page, where nobody claims, each payment is
/// a hold of its own. A payment that belongs to no claim is nobody's.
fn payer<'a>(sale: &'a Sale, payment: &Payment, own: bool) -> Option<(Option<&'a Buyer>, u32)> {
    let id = payment.hold?;
    if own { Some((Some(sale.hold(id)?.buyer.as_ref()?), 0)) } else { Some((None, id.n)) }
}

/// From a claim, or a yes to an offer, until the page was handed over.
pub(super) fn delays(sale: &Sale, journal: &[JournalLine]) -> Percentiles {
    let yes: BTreeMap<HoldId, Timestamp> = journal
        .iter()
        .filter_map(|line| match line.event.as_deref() {
            Some(Event::Accepted { hold }) => Some((*hold, line.at)),
            _ => None,
        })
        .collect();
    let handed = sale.holds().filter(|hold| hold.buyer.is_some()).filter_map(|hold| {
        let asked = yes.get(&hold.id).copied().unwrap_or(hold.claimed_at);
        Some(hold.opened_at?.since(asked))
    });
    Percentiles::of(handed)
}

/// Who ran what, oldest first.
pub(super) fn deeds(journal: &[JournalLine]) -> Vec<Deed> {
    let deed = |line: &JournalLine| {
        let did = line.event.as_deref().and_then(word)?;
        Some(Deed { at: line.at.rfc3339(), by: line.by.clone(), did })
    };
    journal.iter().filter_map(deed).collect()
}

/// A person's verb; `None` for what happens by itself.
fn word(event: &Event) -> Option<String> {
    let signed = |n: i64| if n < 0 { "-" } else { "" };
    Some(match event {
        Event::Started(start) if start.arm => format!("arm {}", start.template.name),
        Event::Started(start) => format!("start {}", start.template.name),
        Event::Opened => "open".to_owned(),
        Event::Extended { by_ms } => {
            format!("extend {}{}", signed(*by_ms), Span::from_millis(by_ms.abs()))
        }
        Event::Paused => "pause".to_owned(),
        Event::Resumed => "resume".to_owned(),
        Event::Restocked { units } => format!("restock {units}"),
        Event::Stopped => "stop".to_owned(),
        Event::Claimed(_)
        | Event::Joined(_)
        | Event::Accepted { .. }
        | Event::LetGo { .. }
        | Event::Ticked
        | Event::Provisioned { .. }
        | Event::ProvisionRejected { .. }
        | Event::StockSet { .. }
        | Event::CheckoutOpened { .. }
        | Event::CheckoutRejected { .. }
        | Event::Probed { .. }
        | Event::CheckoutClosed { .. }
        | Event::PaymentSeen(_)
        | Event::RefundMoved(_)
        | Event::Counted { .. }
        | Event::SoldOutMarked { .. }
        | Event::ChoiceMarked { .. }
        | Event::Archived(_)
        | Event::Retired
        | Event::Delayed { .. }
        | Event::Parked { .. }
        | Event::Done => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let of = |ms: &[i64]| Percentiles::of(ms.iter().map(|ms| Span::from_millis(*ms)));
        assert_eq!(of(&[]), Percentiles { count: 0, p50: 0, p95: 0, max: 0 });
        assert_eq!(of(&[7]), Percentiles { count: 1, p50: 7, p95: 7, max: 7 });
        let hundred: Vec<i64> = (1..=100).rev().collect();
        assert_eq!(of(&hundred), Percentiles { count: 100, p50: 50, p95: 95, max: 100 });
        assert_eq!(of(&[1, 2, 3]), Percentiles { count: 3, p50: 2, p95: 3, max: 3 });
    }
}
