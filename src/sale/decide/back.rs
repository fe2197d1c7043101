//! Money on its way back, and what was said of money and then taken back.
//!
//! Providers repeat themselves, out of order, and contradict themselves. Each refund is kept by its
//! id with the provider's own time: what is older than the known is no news. It takes a word to put
//! money back on the books and before a person, and a newer one to take it off them again.

use super::money::{before_person, settle_elsewhere};
use crate::{
    clock::{Span, Timestamp},
    id::PaymentId,
    money::Money,
    notice::Trouble,
    sale::{
        draft::Draft,
        payment::{
            Fate, Payment, PaymentFact, PaymentStatus, RefundFact, RefundSeen, RefundStatus,
            Reversed, is_older,
        },
    },
};

/// Refunds of one payment that are kept apart; the provider signs for each.
const REFUNDS_MAX: usize = 100;

/// A payment that was not decided for so long is looked at by a person.
const PENDING_FOR: Span = Span::from_mins(30);

/// A refund takes days at some banks; after so long a person looks.
const REFUNDED_WITHIN: Span = Span::from_secs(10 * 24 * 3600);

/// The payment itself told its running total of what went back. Only a change of it is news: it may
/// lag behind what the refunds themselves told.
pub(super) fn total_told(draft: &mut Draft<'_>, mut payment: Payment, fact: &PaymentFact) {
    let before = payment.told.unwrap_or(payment.fact.refunded);
    let whole = payment.fact.amount.minor;
    if fact.refunded < before {
        let lost = before - fact.refunded;
        payment.told = Some(fact.refunded);
        let left = (payment.fact.refunded - lost).max(fact.refunded);
        return taken_back(draft, payment, left, fact.as_of, "it is no longer said to be refunded");
    }
    let again = payment.reversed == Some(Reversed::Refund);
    if again && !is_older(payment.moved_as_of, fact.as_of) {
        return draft.put_payment(payment);
    }
    if fact.refunded > before {
        payment.told = Some(fact.refunded);
        payment.moved_as_of = later(payment.moved_as_of, fact.as_of);
        payment.fact.refunded = payment.fact.refunded.max(fact.refunded).min(whole.max(0));
    }
    settle_elsewhere(&mut payment);
    draft.put_payment(payment);
}

/// The provider took a payment back that it had called paid.
pub(super) fn payment_fell(draft: &mut Draft<'_>, mut payment: Payment, says: &str) {
    // A part bought nothing yet.
    if payment.fate == Fate::Part {
        payment.fate = Fate::Pending;
        return draft.put_payment(payment);
    }
    payment.reversed =
        Some(if payment.fate == Fate::Kept { Reversed::KeptPayment } else { Reversed::Payment });
    let why = format!("it was paid, and {says}");
    payment.fate = Fate::Person { why: why.clone() };
    tell(draft, &payment, why);
    draft.put_payment(payment);
}

/// A payment is still under way; after a while a person is told, once.
pub(super) fn still_pending(draft: &mut Draft<'_>, mut payment: Payment) {
    let waited = draft.now.since(payment.seen_at);
    if payment.fate == Fate::Pending && waited >= PENDING_FOR {
        let why = format!(
            "it has been under way for {waited}, and the provider does not say how it ended"
        );
        payment.fate = Fate::Person { why: why.clone() };
        tell(draft, &payment, why);
    }
    draft.put_payment(payment);
}

pub(super) fn refund_moved(draft: &mut Draft<'_>, fact: &RefundFact) {
    let Some(payment) = draft.payment(&fact.payment).cloned() else { return };
    let id = fact.refund.clone().unwrap_or_default();
    let known = payment.refunds.get(&id).copied();
    if known.is_none() && payment.refunds.len() >= REFUNDS_MAX {
        return;
    }
    if known.is_some_and(|known| is_older(fact.as_of, known.as_of)) {
        return;
    }
    match fact.status {
        RefundStatus::Requested => under_way(draft, payment, fact, known),
        RefundStatus::Done => done(draft, payment, fact, known),
        RefundStatus::Failed | RefundStatus::Unknown => failed(draft, payment, fact, known),
    }
}

fn under_way(
    draft: &mut Draft<'_>,
    mut payment: Payment,
    fact: &RefundFact,
    known: Option<RefundSeen>,
) {
    // Told out of order, as a rule; only a newer word opens what was ended.
    let newer = known.is_some_and(|known| is_older(known.as_of, fact.as_of));
    if known.is_some_and(|known| known.status != RefundStatus::Requested) && !newer {
        return;
    }
    if known.is_some_and(|known| known.status == RefundStatus::Done) {
        payment.fact.refunded = (payment.fact.refunded - amount_of(&payment, fact)).max(0);
    }
    note(&mut payment, fact);
    if let Fate::Refund { why, status, refund } = payment.fate.clone() {
        let refund = refund.or_else(|| fact.refund.clone());
        let opened = newer && refund == fact.refund;
        let status = if opened { RefundStatus::Requested } else { status };
        payment.fate = Fate::Refund { why, status, refund };
        let waited = draft.now.since(payment.seen_at);
        if status == RefundStatus::Requested && waited >= REFUNDED_WITHIN {
            let why = format!("its refund has been under way for {waited}");
            payment.fate = Fate::Person { why: why.clone() };
            tell(draft, &payment, why);
        }
    }
    draft.put_payment(payment);
}

fn done(draft: &mut Draft<'_>, mut payment: Payment, fact: &RefundFact, known: Option<RefundSeen>) {
    let whole = payment.fact.amount.minor;
    let amount = amount_of(&payment, fact);
    match known.map(|known| known.status) {
        Some(RefundStatus::Done) => return,
        // The same refund was taken back: an equally old word is the old one once more.
        Some(RefundStatus::Failed | RefundStatus::Unknown)
            if payment.reversed == Some(Reversed::Refund)
                && !is_older(known.and_then(|known| known.as_of), fact.as_of) =>
        {
            return;
        }
        _ => {}
    }
    note(&mut payment, fact);
    payment.moved_as_of = later(payment.moved_as_of, fact.as_of);
    let sum: i64 = payment
        .refunds
        .values()
        .filter(|one| one.status == RefundStatus::Done)
        .fold(0, |sum, one| sum.saturating_add(one.amount));
    let own = own_refund(&payment, fact, whole - payment.fact.refunded);
    let total = match own {
        true if payment.fact.refunded + amount >= whole => whole,
        _ => payment.fact.refunded.max(sum),
    };
    payment.fact.refunded = total.min(whole.max(0));
    if own && let Fate::Refund { why, refund, .. } = payment.fate.clone() {
        let refund = refund.or_else(|| fact.refund.clone());
        payment.fate = Fate::Refund { why, status: RefundStatus::Done, refund };
    }
    settle_elsewhere(&mut payment);
    draft.put_payment(payment);
}

/// Whether it is the refund that we asked for; its id may not be known yet.
fn own_refund(payment: &Payment, fact: &RefundFact, left: i64) -> bool {
    let Fate::Refund { status, refund, .. } = &payment.fate else { return false };
    match (refund, &fact.refund) {
        (Some(ours), Some(this)) => ours == this,
        (Some(_), None) => true,
        (None, _) => {
            *status == RefundStatus::Requested && fact.amount.is_none_or(|amount| amount >= left)
        }
    }
}

fn failed(
    draft: &mut Draft<'_>,
    mut payment: Payment,
    fact: &RefundFact,
    known: Option<RefundSeen>,
) {
    let says = fact.says.clone().unwrap_or_else(|| "the provider gave no reason".to_owned());
    let was_done = known.is_some_and(|known| known.status == RefundStatus::Done);
    let whole = payment.fact.amount.minor;
    let amount = known.filter(|_| was_done).map_or_else(|| amount_of(&payment, fact), |k| k.amount);
    note(&mut payment, fact);
    let other =
        |ours: &Option<String>| ours.is_some() && fact.refund.is_some() && *ours != fact.refund;
    match &payment.fate {
        _ if was_done => {
            let left = (payment.fact.refunded - amount).max(0);
            taken_back(draft, payment, left, fact.as_of, &says);
        }
        // The buyer was promised the goods, and the money may be gone: a chargeback, for example.
        Fate::Kept if fact.status == RefundStatus::Unknown => {
            payment.fate = Fate::Person { why: says.clone() };
            tell(draft, &payment, says);
            draft.put_payment(payment);
        }
        Fate::Refund { status: RefundStatus::Requested, refund, .. } if !other(refund) => {
            payment.fate = Fate::Person { why: format!("its refund failed: {says}") };
            before_person(draft, payment);
        }
        // It was known to be refunded by the payment's own total, or without an id.
        Fate::Refund { status: RefundStatus::Done, refund, .. }
            if !other(refund) && !is_older(fact.as_of, payment.moved_as_of) =>
        {
            for one in payment.refunds.values_mut() {
                let unnamed = one.status == RefundStatus::Done && one.amount >= whole;
                if unnamed {
                    one.status = RefundStatus::Failed;
                }
            }
            let left = (payment.fact.refunded - amount).max(0);
            taken_back(draft, payment, left, fact.as_of, &says);
        }
        _ => draft.put_payment(payment),
    }
}

/// Money that had gone back is with the shop again: on the books, and before a person, once.
fn taken_back(
    draft: &mut Draft<'_>,
    mut payment: Payment,
    left: i64,
    as_of: Option<Timestamp>,
    says: &str,
) {
    let lost = payment.fact.refunded - left;
    payment.fact.refunded = left;
    payment.moved_as_of = later(payment.moved_as_of, as_of);
    let told_before = payment.reversed == Some(Reversed::Refund);
    if told_before || lost <= 0 || payment.fact.status != PaymentStatus::Completed {
        return draft.put_payment(payment);
    }
    payment.reversed = Some(Reversed::Refund);
    let lost = Money::new(lost, payment.fact.amount.currency);
    let why = format!("a refund of {lost} was taken back: {says}");
    payment.fate = Fate::Person { why: why.clone() };
    tell(draft, &payment, why);
    draft.put_payment(payment);
}

fn tell(draft: &mut Draft<'_>, payment: &Payment, why: String) {
    draft.tell(Trouble::Reversed {
        payment: payment.fact.id.to_string(),
        amount: payment.fact.amount,
        why,
    });
}

fn note(payment: &mut Payment, fact: &RefundFact) {
    let id = fact.refund.clone().unwrap_or_default();
    let amount = amount_of(payment, fact);
    let seen = RefundSeen { status: fact.status, amount, as_of: fact.as_of };
    payment.refunds.insert(id, seen);
}

/// How much a refund is of; all of it where that is not told.
fn amount_of(payment: &Payment, fact: &RefundFact) -> i64 {
    let whole = payment.fact.amount.minor.max(0);
    fact.amount.unwrap_or(whole).clamp(0, whole)
}

fn later(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.max(other)
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
