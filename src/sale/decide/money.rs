//! Payments and refunds: every completed payment ends kept, refunded or before a person.

use crate::{
    id::{HoldId, PaymentId},
    money::Money,
    notice::Trouble,
    sale::{
        EndReason, Phase,
        draft::Draft,
        effect::Effect,
        hold::{Checkout, Hold, HoldState, Lapse},
        payment::{
            Fate, Payment, PaymentFact, PaymentStatus, RefundFact, RefundReason, RefundStatus,
        },
        template::RefundKind,
    },
};

pub(super) fn seen(draft: &mut Draft<'_>, fact: &PaymentFact) {
    let known = draft.payment(&fact.id).cloned();
    let before = known.as_ref().map(|p| p.fact.status);
    let mut payment = known.unwrap_or_else(|| Payment {
        fact: fact.clone(),
        seen_at: draft.now,
        hold: None,
        fate: Fate::Pending,
        late: false,
        surplus: false,
    });
    // A status only moves forward; what the provider repeats late must not take it back.
    if before.is_none_or(|before| fact.status >= before) {
        let refunded = payment.fact.refunded.max(fact.refunded);
        payment.fact = PaymentFact { refunded, ..fact.clone() };
    }
    let newly_completed =
        fact.status == PaymentStatus::Completed && before != Some(PaymentStatus::Completed);
    if newly_completed {
        complete(draft, payment);
    } else {
        settle_elsewhere(&mut payment);
        draft.put_payment(payment);
    }
}

/// Money came in: join it to its hold and decide its fate.
fn complete(draft: &mut Draft<'_>, mut payment: Payment) {
    let Some(mut hold) = hold_of(draft, &payment.fact) else {
        payment.fate = Fate::Person { why: "it belongs to no claim of this sale".to_owned() };
        return before_person(draft, payment);
    };
    let shared = payment.fact.hold.is_some_and(HoldId::is_shared);
    payment.hold = Some(hold.id);
    payment.late = is_late(draft, &hold, shared);
    if matches!(hold.state, HoldState::Paid { .. }) {
        return refund(draft, payment, RefundReason::Double);
    }
    let fits = amount_fits(&hold, &payment.fact);
    if shared {
        // The page stays the sale's; the hold made for this payment has none.
        hold.checkouts.clear();
    }
    if !fits {
        return wrong_amount(draft, payment, hold);
    }
    // A warm or discarded page counts as nothing until claimed, like a released one.
    if !hold.is_taken() && draft.head.free() < hold.units {
        payment.surplus = true;
        return refund(draft, payment, RefundReason::Surplus);
    }
    keep(draft, payment, hold);
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
fn page_of<'a>(hold: &'a Hold, fact: &PaymentFact) -> Option<&'a Checkout> {
    match (&fact.checkout, &fact.order) {
        (Some(id), _) => hold.checkout(id),
        (None, Some(order)) => hold.checkouts.iter().find(|p| p.order.as_ref() == Some(order)),
        (None, None) => None,
    }
}

/// The provider's own total of the page, where the page is known; else what we ordered.
fn amount_fits(hold: &Hold, fact: &PaymentFact) -> bool {
    match page_of(hold, fact) {
        Some(page) => fact.amount == page.total,
        None if hold.checkouts.is_empty() => fact.amount == hold.amount,
        None => hold.checkouts.iter().any(|page| page.total == fact.amount),
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

fn wrong_amount(draft: &mut Draft<'_>, mut payment: Payment, mut hold: Hold) {
    let expected = page_of(&hold, &payment.fact).map_or(hold.amount, |page| page.total);
    let why = format!("paid {}, expected {expected}", payment.fact.amount);
    payment.fate = Fate::Person { why };
    if hold.is_taken() || draft.head.free() >= hold.units {
        hold.state = HoldState::Lapsed { why: Lapse::WrongAmount, at: draft.now };
        draft.put(hold);
    }
    before_person(draft, payment);
}

fn before_person(draft: &mut Draft<'_>, payment: Payment) {
    if let Fate::Person { why } = &payment.fate {
        draft.tell(Trouble::Payment {
            payment: payment.fact.id.to_string(),
            amount: payment.fact.amount,
            why: why.clone(),
        });
    }
    draft.put_payment(payment);
}

fn refund(draft: &mut Draft<'_>, mut payment: Payment, why: RefundReason) {
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
        why: match why {
            RefundReason::Surplus => "nothing was left",
            RefundReason::Double => "it was paid twice",
            RefundReason::Elsewhere => "it was refunded at the provider",
        }
        .to_owned(),
        asked: draft.head.capabilities.refund == RefundKind::Requested,
    });
    draft.put_payment(payment);
}

/// A refund made by somebody else settles the payment too.
fn settle_elsewhere(payment: &mut Payment) {
    let whole = payment.fact.status == PaymentStatus::Completed
        && payment.fact.refunded >= payment.fact.amount.minor;
    if !whole {
        return;
    }
    payment.fate = match &payment.fate {
        Fate::Refund { why, refund, .. } => {
            Fate::Refund { why: *why, status: RefundStatus::Done, refund: refund.clone() }
        }
        Fate::Pending | Fate::Kept | Fate::Person { .. } => {
            Fate::Refund { why: RefundReason::Elsewhere, status: RefundStatus::Done, refund: None }
        }
    };
}

pub(super) fn refund_moved(draft: &mut Draft<'_>, fact: &RefundFact) {
    let Some(mut payment) = draft.payment(&fact.payment).cloned() else { return };
    if fact.status == RefundStatus::Done {
        let whole = payment.fact.amount.minor;
        let amount = fact.amount.unwrap_or(whole);
        // Several partial refunds may come; the provider's own running total is the better one.
        payment.fact.refunded = payment.fact.refunded.max(amount).min(whole);
    }
    let Fate::Refund { why, status, refund } = payment.fate.clone() else {
        settle_elsewhere(&mut payment);
        return draft.put_payment(payment);
    };
    let refund = refund.or_else(|| fact.refund.clone());
    if status == RefundStatus::Done {
        return;
    }
    match fact.status {
        RefundStatus::Requested => {
            payment.fate = Fate::Refund { why, status, refund };
            draft.put_payment(payment);
        }
        RefundStatus::Done => {
            payment.fate = Fate::Refund { why, status: RefundStatus::Done, refund };
            draft.put_payment(payment);
        }
        RefundStatus::Failed | RefundStatus::Unknown => {
            let says = fact.says.as_deref().unwrap_or("the provider gave no reason");
            payment.fate = Fate::Person { why: format!("its refund failed: {says}") };
            before_person(draft, payment);
        }
    }
}

/// The refund was given up after its last try.
pub(super) fn refund_parked(draft: &mut Draft<'_>, id: &PaymentId, why: &str) {
    let Some(mut payment) = draft.payment(id).cloned() else { return };
    if payment.fate.is_final() {
        return;
    }
    payment.fate = Fate::Person { why: format!("its refund could not be made: {why}") };
    draft.put_payment(payment);
}

/// *Sold out* is said only when every unit is paid.
pub(super) fn check_sold_out(draft: &mut Draft<'_>) {
    let selling = matches!(draft.head.phase, Phase::Open { .. } | Phase::Paused { .. });
    if selling && draft.head.tally.paid == draft.head.stock {
        super::end::begin(draft, EndReason::SoldOut);
    }
}
