//! Payments: every completed one ends kept, refunded or before a person.

use super::{back, parts};
use crate::{
    id::HoldId,
    money::Money,
    notice::Trouble,
    sale::{
        EndReason, Phase,
        draft::Draft,
        effect::Effect,
        hold::{Checkout, Hold, HoldState, Lapse},
        payment::{
            Fate, Payment, PaymentFact, PaymentStatus, RefundReason, RefundStatus, Reversed,
            is_older,
        },
        template::RefundKind,
    },
};

pub(super) fn seen(draft: &mut Draft<'_>, fact: &PaymentFact) {
    let Some(mut payment) = draft.payment(&fact.id).cloned() else {
        let payment = Payment::new(fact.clone(), draft.now);
        return match fact.status {
            PaymentStatus::Completed => complete(draft, payment),
            // Nobody will look whether it comes to something.
            PaymentStatus::Pending if draft.head.archived.is_some() => {
                no_hold(draft, payment);
            }
            PaymentStatus::Pending | PaymentStatus::Failed => draft.put_payment(payment),
        };
    };
    let (before, now) = (payment.fact.status, fact.status);
    let older = is_older(fact.as_of, payment.fact.as_of);
    let newer = is_older(payment.fact.as_of, fact.as_of);
    match (before, now) {
        // What the provider repeats late must not take back what it said since. Money that comes
        // in is never overlooked.
        (PaymentStatus::Pending, PaymentStatus::Completed) => {}
        (PaymentStatus::Completed | PaymentStatus::Failed, PaymentStatus::Pending) if newer => {}
        (PaymentStatus::Completed | PaymentStatus::Failed, PaymentStatus::Pending) => return,
        (PaymentStatus::Completed, PaymentStatus::Completed) if older => {
            payment.fact.fee = fact.fee_after(payment.fact.fee);
            return draft.put_payment(payment);
        }
        _ if older => return,
        _ => {}
    }
    let back_before = payment.fact.refunded;
    let fee = fact.fee_after(payment.fact.fee);
    let as_of = fact.as_of.or(payment.fact.as_of);
    payment.fact = PaymentFact { refunded: back_before, fee, as_of, ..fact.clone() };
    match (before, now) {
        (PaymentStatus::Completed, PaymentStatus::Completed) => {
            back::total_told(draft, payment, fact)
        }
        (PaymentStatus::Completed, PaymentStatus::Failed) => {
            back::payment_fell(draft, payment, "the provider now says that it failed");
        }
        (PaymentStatus::Completed, PaymentStatus::Pending) => {
            back::payment_fell(draft, payment, "the provider now says that it is not paid yet");
        }
        (PaymentStatus::Pending | PaymentStatus::Failed, PaymentStatus::Completed) => {
            payment.fact.refunded = back_before.max(fact.refunded);
            payment.told = Some(fact.refunded);
            complete(draft, payment);
        }
        (PaymentStatus::Pending, PaymentStatus::Pending) => back::still_pending(draft, payment),
        (PaymentStatus::Pending | PaymentStatus::Failed, _) => {
            if payment.reversed.is_none() {
                payment.fate = Fate::Pending;
            }
            draft.put_payment(payment);
        }
    }
}

/// Money came in: join it to its hold and decide its fate.
fn complete(draft: &mut Draft<'_>, mut payment: Payment) {
    // On a shared page it got a hold of its own when it was heard of first.
    let known = payment.hold.and_then(|id| draft.hold(id)).cloned();
    let Some(mut hold) = known.or_else(|| hold_of(draft, &payment.fact)) else {
        return no_hold(draft, payment);
    };
    let shared = payment.fact.hold.is_some_and(HoldId::is_shared);
    if payment.hold.is_none() {
        payment.late = is_late(draft, &hold, shared);
    }
    payment.hold = Some(hold.id);
    let kept_before = payment.reversed == Some(Reversed::KeptPayment);
    payment.reversed = None;
    match &hold.state {
        // It had fallen back, and holds again.
        HoldState::Paid { payment: by, .. } if *by == payment.fact.id || kept_before => {
            payment.fate = Fate::Kept;
            settle_elsewhere(&mut payment);
            return draft.put_payment(payment);
        }
        HoldState::Paid { .. } => return refund(draft, payment, RefundReason::Double),
        _ => {}
    }
    let fits = amount_fits(&hold, &payment.fact);
    if !fits && !shared && parts::may_be_part(draft, &hold, &payment) {
        return parts::part_came(draft, payment, hold);
    }
    if shared {
        // The page stays the sale's; the hold made for this payment has none.
        hold.checkouts.clear();
    }
    if !fits {
        return wrong_amount(draft, payment, hold);
    }
    // The whole price came in one piece after all.
    parts::end(draft, hold.id);
    buy(draft, payment, hold);
}

/// Whom it is of is not known (any more): a person finds out.
fn no_hold(draft: &mut Draft<'_>, mut payment: Payment) {
    let why = match &draft.head.archived {
        Some(archived) => {
            format!("it came in after this sale was archived on {}", archived.day())
        }
        None => "it belongs to no claim of this sale".to_owned(),
    };
    payment.fate = Fate::Person { why };
    before_person(draft, payment);
}

/// What a payment of the right amount comes to.
pub(super) fn buy(draft: &mut Draft<'_>, mut payment: Payment, hold: Hold) {
    // A warm or discarded page counts as nothing until claimed, like a released one.
    if !hold.is_taken() && !draft.head.has_room_for(&hold) {
        payment.surplus = true;
        return refund(draft, payment, RefundReason::Surplus);
    }
    if is_beyond_limits(draft, &hold) {
        return refund(draft, payment, RefundReason::Limit);
    }
    keep(draft, payment, hold);
}

/// Whether its buyer would have more than one person may, or its code belongs to another order by
/// now: a payment after the time was over is a way to a unit like any other. Nobody knows who pays
/// on a page that all share.
fn is_beyond_limits(draft: &Draft<'_>, hold: &Hold) -> bool {
    let sale = draft.base();
    let is_other = |other: &&Hold| other.id != hold.id;
    let is_paid = |other: &&Hold| matches!(other.state, HoldState::Paid { .. });
    if let Some(buyer) = &hold.buyer {
        let others = sale.holds_of(buyer).filter(is_other).filter(is_paid);
        let units: u32 = others.map(|other| other.units).sum();
        if units > 0 && units + hold.units > draft.head.template.per_buyer {
            return true;
        }
    }
    let codes = &hold.extras.codes;
    if codes.is_empty() || !matches!(hold.state, HoldState::Released { .. }) {
        return false;
    }
    let has_one = |other: &Hold| other.extras.codes.iter().any(|code| codes.contains(code));
    let mut taken = sale.holds().filter(is_other).filter(|other| other.is_taken());
    taken.any(has_one)
}

/// The hold a payment belongs to; on a shared page every payment is a hold of its own.
fn hold_of(draft: &mut Draft<'_>, fact: &PaymentFact) -> Option<Hold> {
    let id = fact.hold?;
    let hold = draft.hold(id).cloned()?;
    if !id.is_shared() {
        return Some(hold);
    }
    Some(Hold {
        id: draft.next_id(),
        claimed_at: draft.now,
        state: HoldState::Released { why: Lapse::Unwanted, at: draft.now },
        ..hold
    })
}

/// Whether the buyer's time, or on a shared page the sale's, was over.
fn is_late(draft: &Draft<'_>, hold: &Hold, shared: bool) -> bool {
    if shared {
        return matches!(draft.head.phase, Phase::Closing { .. } | Phase::Closed { .. });
    }
    matches!(
        hold.state,
        HoldState::Closing { .. } | HoldState::Released { .. } | HoldState::Lapsed { .. }
    )
}

/// The page a payment was made on: by its own id, else by its order's.
pub(super) fn page_of<'a>(hold: &'a Hold, fact: &PaymentFact) -> Option<&'a Checkout> {
    match (&fact.checkout, &fact.order) {
        (Some(id), _) => hold.checkout(id),
        (None, Some(order)) => hold.checkouts.iter().find(|p| p.order.as_ref() == Some(order)),
        (None, None) => None,
    }
}

/// The provider's own total of the page, where the page is known; else what we ordered. A tip comes
/// on top of it; what the shop's own discount took off is as good as paid.
fn amount_fits(hold: &Hold, fact: &PaymentFact) -> bool {
    let Some(minor) = fact.amount.minor.checked_sub(fact.tip) else { return false };
    let paid = Money::new(minor, fact.amount.currency);
    let whole = Money::new(minor.saturating_add(fact.discount), fact.amount.currency);
    let asks = |total: Money| paid == total || (fact.discount > 0 && whole == total);
    match page_of(hold, fact) {
        Some(page) => asks(page.total) || (fact.discount > 0 && whole == hold.amount),
        None if hold.checkouts.is_empty() => asks(hold.amount),
        None => hold.checkouts.iter().any(|page| asks(page.total)),
    }
}

fn keep(draft: &mut Draft<'_>, mut payment: Payment, mut hold: Hold) {
    payment.fate = Fate::Kept;
    hold.state = HoldState::Paid { payment: payment.fact.id.clone(), at: draft.now };
    let only = hold.checkouts.len() == 1;
    let paid = page_of(&hold, &payment.fact).map(|page| page.id.clone());
    let is_paid = |page: &Checkout| match &paid {
        Some(paid) => page.id == *paid,
        None => only && payment.fact.checkout.is_none(),
    };
    for page in hold.checkouts.iter().filter(|page| !page.closed && !is_paid(page)) {
        super::checkout::close_page(draft, hold.id, page);
    }
    settle_elsewhere(&mut payment);
    draft.put(hold);
    draft.put_payment(payment);
}

/// What a payment's page asks for.
pub(super) fn expected(hold: &Hold, fact: &PaymentFact) -> Money {
    page_of(hold, fact).map_or(hold.amount, |page| page.total)
}

fn wrong_amount(draft: &mut Draft<'_>, mut payment: Payment, mut hold: Hold) {
    let expected = expected(&hold, &payment.fact);
    let id = hold.id;
    let why = format!("paid {}, expected {expected}", payment.fact.amount);
    payment.fate = Fate::Person { why };
    if hold.is_taken() || draft.head.has_room_for(&hold) {
        hold.state = HoldState::Lapsed { why: Lapse::WrongAmount, at: draft.now };
        draft.put(hold);
    }
    before_person(draft, payment);
    parts::end(draft, id);
}

pub(super) fn before_person(draft: &mut Draft<'_>, payment: Payment) {
    if let Fate::Person { why } = &payment.fate {
        let hold = payment.hold.and_then(|id| draft.hold(id));
        let is_reserved =
            |hold: &Hold| hold.is_taken() && !matches!(hold.state, HoldState::Paid { .. });
        draft.tell(Trouble::Payment {
            payment: payment.fact.id.to_string(),
            amount: payment.fact.amount,
            why: why.clone(),
            unreserved: !hold.is_some_and(is_reserved),
        });
    }
    draft.put_payment(payment);
}

/// Gives back what is left of a payment.
pub(super) fn refund(draft: &mut Draft<'_>, mut payment: Payment, why: RefundReason) {
    if payment.fact.amount.minor <= 0 {
        // There is nothing to give back, but what was ordered for free may have been delivered.
        let what = reason(why);
        payment.fate = Fate::Person { why: format!("it was ordered for free, and {what}") };
        return before_person(draft, payment);
    }
    let left = payment.fact.amount.minor - payment.fact.refunded;
    if left <= 0 {
        payment.fate = Fate::Refund { why, status: RefundStatus::Done, refund: None };
        return draft.put_payment(payment);
    }
    payment.fate = Fate::Refund { why, status: RefundStatus::Requested, refund: None };
    let amount = Money::new(left, payment.fact.amount.currency);
    draft.effect(Effect::Refund { payment: payment.fact.id.clone(), amount });
    draft.tell(Trouble::Refunding {
        payment: payment.fact.id.to_string(),
        amount,
        why: reason(why).to_owned(),
        asked: draft.head.capabilities.refund == RefundKind::Requested,
    });
    draft.put_payment(payment);
}

fn reason(why: RefundReason) -> &'static str {
    match why {
        RefundReason::Surplus => "nothing was left",
        RefundReason::Double => "it was paid twice",
        RefundReason::Elsewhere => "it was refunded at the provider",
        RefundReason::Incomplete => "the rest of the price never came",
        RefundReason::Limit => "it is more than one person or one code may have",
    }
}

/// A refund made by somebody else settles the payment too. Of nothing, nothing is given back.
pub(super) fn settle_elsewhere(payment: &mut Payment) {
    let amount = payment.fact.amount.minor;
    let money = payment.fact.status == PaymentStatus::Completed && amount > 0;
    if !money || payment.fact.refunded < amount {
        return;
    }
    payment.reversed = None;
    payment.fate = match &payment.fate {
        Fate::Refund { why, refund, .. } => {
            Fate::Refund { why: *why, status: RefundStatus::Done, refund: refund.clone() }
        }
        Fate::Pending | Fate::Part | Fate::Kept | Fate::Person { .. } => {
            Fate::Refund { why: RefundReason::Elsewhere, status: RefundStatus::Done, refund: None }
        }
    };
}

/// *Sold out* is said only when every unit is paid.
pub(super) fn check_sold_out(draft: &mut Draft<'_>) {
    let selling = matches!(draft.head.phase, Phase::Open { .. } | Phase::Paused { .. });
    if selling && draft.head.tally.paid == draft.head.stock {
        super::end::begin(draft, EndReason::SoldOut);
    }
}
