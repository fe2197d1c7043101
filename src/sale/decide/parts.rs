//! Several payments that make up one price: a gift card for a part of it, a card for the rest.
//!
//! A part buys nothing. Once the parts of a page come to its total, all of them together do; if the
//! page is closed before, each is given back. So is one on another page of the same hold (the answer
//! that told of a page can be lost, and a second one is made then).

use super::money::{before_person, buy, expected, page_of, refund};
use crate::{
    clock::Span,
    id::HoldId,
    sale::{
        draft::Draft,
        hold::{Hold, HoldState, Lapse},
        payment::{Fate, Payment, PaymentFact, PaymentStatus, RefundReason},
    },
};

/// So long is the rest waited for where a part comes after its page was closed: both were made at
/// the same time as a rule, and news of them come apart.
const REST_WITHIN: Span = Span::from_secs(120);

/// Whether a payment may be a part of what its page asks for.
pub(super) fn may_be_part(draft: &Draft<'_>, hold: &Hold, payment: &Payment) -> bool {
    let fact = &payment.fact;
    let total = expected(hold, fact);
    draft.head.capabilities.splits
        && fact.amount.currency == total.currency
        && fact.amount.minor > fact.tip
        && fact.amount.minor - fact.tip < total.minor
}

/// The other parts of the same page.
fn others(draft: &Draft<'_>, hold: &Hold, fact: &PaymentFact) -> Vec<Payment> {
    let page = page_of(hold, fact).map(|page| page.id.clone());
    let same = |other: &Payment| {
        other.hold == Some(hold.id)
            && other.fact.id != fact.id
            && other.fact.amount.currency == fact.amount.currency
            && page_of(hold, &other.fact).map(|page| page.id.clone()) == page
    };
    draft.parts().into_iter().filter(same).collect()
}

fn price_of(fact: &PaymentFact) -> i64 {
    fact.amount.minor - fact.tip
}

/// A part came in: it waits for the rest, or is the rest.
pub(super) fn part_came(draft: &mut Draft<'_>, mut payment: Payment, mut hold: Hold) {
    let (hold_id, total) = (hold.id, expected(&hold, &payment.fact));
    let others = others(draft, &hold, &payment.fact);
    let sum = others.iter().fold(price_of(&payment.fact), |sum, one| sum + price_of(&one.fact));
    if sum < total.minor {
        return wait(draft, payment, &hold);
    }
    if sum > total.minor {
        let sum = crate::money::Money::new(sum, total.currency);
        let why = format!("paid {sum} in {} payments, expected {total}", others.len() + 1);
        for mut other in others {
            other.fate = Fate::Person { why: why.clone() };
            draft.put_payment(other);
        }
        if hold.is_taken() || draft.head.has_room_for(&hold) {
            hold.state = HoldState::Lapsed { why: Lapse::WrongAmount, at: draft.now };
            draft.put(hold);
        }
        payment.fate = Fate::Person { why };
        before_person(draft, payment);
        return end(draft, hold_id);
    }
    let id = payment.fact.id.clone();
    buy(draft, payment, hold);
    // What became of the last part becomes of all.
    let Some(last) = draft.payment(&id).cloned() else { return };
    for mut other in others {
        match &last.fate {
            Fate::Refund { why, .. } => {
                other.surplus = last.surplus;
                refund(draft, other, *why);
            }
            fate => {
                other.fate = fate.clone();
                draft.put_payment(other);
            }
        }
    }
    end(draft, hold_id);
}

fn wait(draft: &mut Draft<'_>, mut payment: Payment, hold: &Hold) {
    payment.fate = Fate::Part;
    if !is_over(hold) {
        return draft.put_payment(payment);
    }
    let gone =
        |one: &Payment| matches!(one.fate, Fate::Refund { why: RefundReason::Incomplete, .. });
    if draft.payments_of(hold.id).iter().any(gone) {
        return refund(draft, payment, RefundReason::Incomplete);
    }
    let until = draft.now + REST_WITHIN;
    draft.head.parts_until = Some(draft.head.parts_until.map_or(until, |known| known.min(until)));
    draft.put_payment(payment);
}

fn is_over(hold: &Hold) -> bool {
    matches!(hold.state, HoldState::Released { .. } | HoldState::Lapsed { .. })
}

/// Gives back the parts on a hold: no rest can come any more, or none is wanted.
pub(super) fn end(draft: &mut Draft<'_>, hold: HoldId) {
    for part in draft.parts() {
        if part.hold == Some(hold) && part.fact.status == PaymentStatus::Completed {
            refund(draft, part, RefundReason::Incomplete);
        }
    }
}

/// Gives back parts whose rest did not come in time.
pub(super) fn pass(draft: &mut Draft<'_>) {
    if draft.head.parts_until.is_none_or(|until| until > draft.now) {
        return;
    }
    draft.head.parts_until = None;
    for part in draft.parts() {
        let over = part.hold.and_then(|id| draft.hold(id)).is_none_or(is_over);
        if !over {
            continue;
        }
        let until = part.seen_at + REST_WITHIN;
        if until <= draft.now {
            refund(draft, part, RefundReason::Incomplete);
        } else {
            let known = draft.head.parts_until;
            draft.head.parts_until = Some(known.map_or(until, |known| known.min(until)));
        }
    }
}
