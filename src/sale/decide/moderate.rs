//! What moderators do to a running sale, and what the provider says about its stock.

use super::{end, ready};
use crate::{
    clock::{Span, Timestamp},
    notice::{Notice, Trouble},
    sale::{
        EndReason, PauseReason, PendingCount, Phase,
        draft::Draft,
        effect::Effect,
        payment::{Fate, PaymentStatus},
        refusal::{Bound, Refusal},
    },
};

/// How long a provider's count waits, so that our own payments up to its time are known.
const COUNT_SETTLES: Span = Span::from_secs(10);

/// A payment this much after a count may be in it: clocks differ, and a sale must never be counted
/// twice. The next count finds what this hides.
const COUNT_TOLERANCE: Span = Span::from_secs(5);

fn wrong_state(draft: &Draft<'_>, verb: &'static str) -> Refusal {
    Refusal::WrongState { verb, state: draft.head.phase.word() }
}

pub(super) fn extended(draft: &mut Draft<'_>, by_ms: i64) -> Result<(), Refusal> {
    let max = draft.head.template.bounds.max_duration;
    let length = Span::from_millis(draft.head.length.millis().saturating_add(by_ms));
    if by_ms > 0 && length > max {
        return Err(Refusal::Bound(Bound::MaxDuration(max)));
    }
    match &mut draft.head.phase {
        Phase::Open { ends_at, .. } => {
            let moved = Timestamp::from_millis(ends_at.millis().saturating_add(by_ms));
            if draft.now >= *ends_at {
                return Err(Refusal::Over);
            }
            if moved <= draft.now {
                return Err(Refusal::WouldEnd);
            }
            *ends_at = moved;
        }
        Phase::Paused { left, .. } => {
            let moved = left.millis().saturating_add(by_ms);
            if moved <= 0 {
                return Err(Refusal::WouldEnd);
            }
            *left = Span::from_millis(moved);
        }
        Phase::Arming { .. }
        | Phase::Armed { .. }
        | Phase::Closing { .. }
        | Phase::Closed { .. } => return Err(wrong_state(draft, "extend")),
    }
    draft.head.length = length;
    Ok(())
}

pub(super) fn paused(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    pause(draft, PauseReason::Asked).ok_or_else(|| wrong_state(draft, "pause"))
}

fn pause(draft: &mut Draft<'_>, why: PauseReason) -> Option<()> {
    let Phase::Open { opened_at, ends_at } = draft.head.phase else { return None };
    let left = ends_at.since(draft.now);
    if left.is_zero() {
        return None;
    }
    draft.head.phase = Phase::Paused { opened_at, since: draft.now, left, why };
    let notice = Notice::Paused {
        title: draft.head.template.title.clone(),
        left: draft.head.free(),
        stock: draft.head.stock,
        why,
    };
    draft.announce(&notice);
    Some(())
}

pub(super) fn resumed(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let Phase::Paused { opened_at, since, left, .. } = draft.head.phase else {
        return Err(wrong_state(draft, "resume"));
    };
    if draft.head.marked_sold_out {
        return Err(Refusal::ProviderSoldOut);
    }
    draft.head.paused_for = draft.head.paused_for + draft.now.since(since);
    draft.head.phase = Phase::Open { opened_at, ends_at: draft.now + left };
    let notice = Notice::Resumed {
        title: draft.head.template.title.clone(),
        left: draft.head.free(),
        stock: draft.head.stock,
        time_left: left,
    };
    draft.announce(&notice);
    Ok(())
}

pub(super) fn restocked(draft: &mut Draft<'_>, units: i64) -> Result<(), Refusal> {
    match draft.head.phase {
        Phase::Open { .. } | Phase::Paused { .. } | Phase::Armed { .. } => {}
        Phase::Arming { .. } | Phase::Closing { .. } | Phase::Closed { .. } => {
            return Err(wrong_state(draft, "restock"));
        }
    }
    let max = draft.head.template.bounds.max_stock;
    let offered = i64::from(draft.head.offered).saturating_add(units);
    if units > 0 && offered > i64::from(max) {
        return Err(Refusal::Bound(Bound::MaxStock(max)));
    }
    if units == 0 {
        return Err(Refusal::Value { key: "units", why: "must not be zero".to_owned() });
    }
    if units < 0 && i64::from(draft.head.stock).saturating_add(units) < 1 {
        return Err(Refusal::WouldEnd);
    }
    draft.head.offered = u32::try_from(offered.max(0)).unwrap_or(max);
    if let Ok(more) = u32::try_from(units) {
        add_units(draft, more);
    } else {
        let fewer = u32::try_from(units.unsigned_abs()).unwrap_or(u32::MAX);
        remove_units(draft, fewer);
    }
    draft.head.restocking += 1;
    draft.effect(Effect::Restock { units });
    Ok(())
}

/// New units first make good what was promised and missing.
fn add_units(draft: &mut Draft<'_>, units: u32) {
    let owed = draft.head.short.min(units);
    draft.head.short -= owed;
    draft.head.stock = draft.head.stock.saturating_add(units - owed);
}

/// Never below what is taken: the rest is `short`, and a person is told.
fn remove_units(draft: &mut Draft<'_>, units: u32) {
    let now = units.min(draft.head.free());
    draft.head.stock -= now;
    let missing = units - now;
    if missing > 0 {
        draft.head.short = draft.head.short.saturating_add(missing);
        draft.tell(Trouble::Short { units: draft.head.short });
    }
}

/// Units that come back while some are missing make good what was promised.
pub(super) fn settle_short(draft: &mut Draft<'_>) {
    let back = draft.head.short.min(draft.head.free());
    draft.head.short -= back;
    draft.head.stock -= back;
}

pub(super) fn stopped(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    match draft.head.phase {
        Phase::Closing { .. } | Phase::Closed { .. } => Err(wrong_state(draft, "stop")),
        Phase::Arming { .. } | Phase::Armed { .. } | Phase::Open { .. } | Phase::Paused { .. } => {
            end::begin(draft, EndReason::Stopped);
            Ok(())
        }
    }
}

pub(super) fn counted(draft: &mut Draft<'_>, count: i64, at: Timestamp) {
    let running = matches!(draft.head.phase, Phase::Open { .. } | Phase::Paused { .. });
    let newer = draft.head.count.is_none_or(|known| known.at < at);
    if running && newer {
        let act_at = draft.now + COUNT_SETTLES;
        draft.head.count = Some(PendingCount { count, at, act_at });
    }
}

/// Compares a count that has settled: what neither we nor a restock explains was sold elsewhere.
pub(super) fn compare_count(draft: &mut Draft<'_>) {
    let Some(pending) = draft.head.count.filter(|count| count.act_at <= draft.now) else { return };
    if draft.head.restocking > 0 {
        let act_at = draft.now + COUNT_SETTLES;
        draft.head.count = Some(PendingCount { act_at, ..pending });
        return;
    }
    draft.head.count = None;
    // Several payments of one order are one sale.
    let mut orders = std::collections::BTreeSet::new();
    let own: i64 = draft
        .base()
        .payments()
        .filter(|p| p.fact.status == PaymentStatus::Completed)
        .filter(|p| !matches!(p.fate, Fate::Pending | Fate::Part))
        .filter(|p| p.fact.at <= pending.at + COUNT_TOLERANCE)
        .filter(|p| p.fact.order.is_none() || orders.insert((p.hold, p.fact.order.clone())))
        .filter_map(|p| draft.base().hold(p.hold?))
        .map(|hold| i64::from(hold.units))
        .sum();
    let expected = i64::from(draft.head.offered) - own - i64::from(draft.head.outside);
    let sold_elsewhere = u32::try_from(expected - pending.count).unwrap_or(0);
    if sold_elsewhere > 0 {
        draft.head.outside += sold_elsewhere;
        remove_units(draft, sold_elsewhere);
    }
}

pub(super) fn marked(draft: &mut Draft<'_>, set: bool) {
    let running = matches!(draft.head.phase, Phase::Open { .. } | Phase::Paused { .. });
    if !running {
        return;
    }
    draft.head.marked_sold_out = set;
    if set {
        // In a pause already, or past its end: there is nothing to pause.
        let _ = pause(draft, PauseReason::ProviderSoldOut);
    }
}

/// A delivery choice is sold out, or to be had again. Whoever chose it before keeps what they have,
/// a place in line included: the provider has the last word on their page.
pub(super) fn choice_marked(draft: &mut Draft<'_>, delivery: &str, set: bool) {
    let over = matches!(draft.head.phase, Phase::Closing { .. } | Phase::Closed { .. });
    let known = draft.head.template.delivery(delivery).is_some();
    if over || !known || set == draft.head.is_choice_closed(delivery) {
        return;
    }
    if set {
        draft.head.closed_choices.push(delivery.to_owned());
    } else {
        draft.head.closed_choices.retain(|closed| closed != delivery);
        ready::top_up(draft);
    }
}
