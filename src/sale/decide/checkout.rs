//! Pages: ordered, made, proven, handed over, closed.
//!
//! Units return only when every page of a hold is certainly closed.

use super::{money, parts, ready};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId},
    notice::Trouble,
    sale::{
        draft::Draft,
        effect::Effect,
        event::{CloseAnswer, Verdict},
        hold::{Checkout, Hold, HoldState, Lapse},
        payment::PaymentFact,
    },
};

/// How long to wait before asking again about a page whose payment is under way.
const ASK_AGAIN_AFTER: Span = Span::from_secs(5);

/// The same once it takes longer than most.
const ASK_LATER_AFTER: Span = Span::from_secs(15);

/// A page that is not there after so long is told of while a sale is made ready.
const TOLD_AFTER: Span = Span::from_secs(10);

/// For how long it is asked often.
const EAGER_FOR: Span = Span::from_secs(60);

/// A bank's question to the buyer is answered within minutes, or left half-way.
const PAYS_WITHIN: Span = Span::from_mins(10);

/// A page that does not come up gets a second and a third beside it; no more than this.
const PAGES_PER_HOLD_MAX: u32 = 3;

/// Orders one more page for a hold.
pub(super) fn order(draft: &mut Draft<'_>, hold: &mut Hold) {
    hold.ordered += 1;
    hold.making.push(hold.ordered);
    draft.effect(Effect::OpenCheckout { hold: hold.id, nth: hold.ordered });
}

pub(super) fn opened(draft: &mut Draft<'_>, id: HoldId, page: &Checkout) {
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    hold.making.retain(|nth| *nth != page.nth);
    if hold.checkout(&page.id).is_some() {
        return draft.put(hold);
    }
    hold.checkouts.push(page.clone());
    match hold.state {
        HoldState::Warm | HoldState::Opening { .. } if page.proven => {
            return proven(draft, hold);
        }
        HoldState::Warm | HoldState::Opening { .. } => {
            draft.effect(Effect::Probe { hold: id, checkout: page.id.clone() });
        }
        // Too late, or one too many: nobody will be shown it.
        HoldState::Open { .. }
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Discarding => close_page(draft, id, page),
    }
    draft.put(hold);
}

pub(super) fn rejected(draft: &mut Draft<'_>, id: HoldId, nth: u32, says: &str) {
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    if !hold.making.contains(&nth) {
        return;
    }
    hold.making.retain(|n| *n != nth);
    let last = !hold.may_be_payable();
    match hold.state {
        HoldState::Warm => {
            if last {
                hold.state = HoldState::Released { why: Lapse::Unwanted, at: draft.now };
                draft.put(hold);
                ready::warm_lost(draft, says);
            } else {
                draft.put(hold);
            }
            ready::page_refused(draft, says);
        }
        HoldState::Opening { .. } if last => {
            hold.state = HoldState::Released { why: Lapse::NoPage, at: draft.now };
            draft.put(hold);
            ready::page_refused(draft, says);
        }
        HoldState::Opening { .. }
        | HoldState::Open { .. }
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Discarding => {
            draft.put(hold);
            release_if_closed(draft, id);
        }
    }
}

pub(super) fn probed(draft: &mut Draft<'_>, id: HoldId, page: &CheckoutId, verdict: &Verdict) {
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    if !matches!(hold.state, HoldState::Warm | HoldState::Opening { .. }) {
        return;
    }
    let now = draft.now;
    let Some(checkout) = hold.checkouts.iter_mut().find(|c| c.id == *page && !c.closed) else {
        return;
    };
    match verdict {
        Verdict::Payable => {
            checkout.proven = true;
            proven(draft, hold);
        }
        Verdict::NotYet { says, again_after } => {
            checkout.proven = false;
            let age = now.since(checkout.made_at);
            let limit = draft.head.template.ready_limit;
            if age >= limit {
                draft.put(hold);
                return give_up(draft, id, page, says);
            }
            if age >= TOLD_AFTER {
                ready::delayed(draft, says);
            }
            draft.head.note = Some(says.clone());
            draft.effect_at(Effect::Probe { hold: id, checkout: page.clone() }, now + *again_after);
            let slow = age.millis() * 3 > limit.millis() * i64::from(hold.ordered);
            if slow && hold.ordered < PAGES_PER_HOLD_MAX && hold.making.is_empty() {
                order(draft, &mut hold);
            }
            draft.put(hold);
        }
    }
}

/// A page was seen to be payable.
fn proven(draft: &mut Draft<'_>, mut hold: Hold) {
    if matches!(hold.state, HoldState::Opening { .. }) {
        hand_over(draft, &mut hold);
        return draft.put(hold);
    }
    draft.put(hold);
    ready::proven(draft);
    ready::top_up(draft);
}

/// Gives the buyer their proven page; their time starts now. Other pages of the hold are closed.
/// The least that somebody gets who is to be quick about paying, where the template gives more.
const BRIEFLY: Span = Span::from_secs(60);

pub(super) fn hand_over(draft: &mut Draft<'_>, hold: &mut Hold) {
    let Some(page) = hold.proven().map(|page| page.id.clone()) else { return };
    let whole = draft.head.template.hold;
    let third = Span::from_millis(whole.millis() / 3);
    let held_for = if hold.brief { whole.min(BRIEFLY.max(third)) } else { whole };
    let deadline = draft.now + held_for;
    hold.state = HoldState::Open { checkout: page.clone(), deadline };
    hold.opened_at = Some(draft.now);
    for other in hold.checkouts.iter().filter(|c| c.id != page && !c.closed) {
        close_page(draft, hold.id, other);
    }
}

/// A page never came up: it is closed, and with it the hold if it was the last.
pub(super) fn give_up(draft: &mut Draft<'_>, id: HoldId, page: &CheckoutId, says: &str) {
    let Some(hold) = draft.hold(id).cloned() else { return };
    let Some(page) = hold.checkout(page).filter(|c| !c.closed).cloned() else { return };
    let others =
        !hold.making.is_empty() || hold.checkouts.iter().any(|c| c.id != page.id && !c.closed);
    match hold.state {
        HoldState::Warm | HoldState::Opening { .. } if others => {
            close_page(draft, id, &page);
        }
        HoldState::Opening { .. } => {
            start_closing(draft, hold, Lapse::NoPage);
            ready::page_refused(draft, says);
        }
        HoldState::Warm => {
            discard(draft, hold);
            ready::warm_lost(draft, says);
        }
        HoldState::Open { .. }
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Discarding => {}
    }
}

/// Nobody knows whether the page was made: the provider is asked to close whatever there is.
pub(super) fn lost(draft: &mut Draft<'_>, id: HoldId, nth: u32) {
    let Some(hold) = draft.hold(id).cloned() else { return };
    if !hold.making.contains(&nth) {
        return;
    }
    draft.effect(Effect::CloseCheckout { hold: id, nth, checkout: None });
    match hold.state {
        HoldState::Opening { .. } if hold.proven().is_none() => {
            start_closing_known(draft, hold, Lapse::NoPage);
        }
        HoldState::Warm => {
            discard_known(draft, hold);
            ready::warm_lost(draft, "the provider did not answer");
        }
        HoldState::Opening { .. }
        | HoldState::Open { .. }
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Discarding => {}
    }
}

/// Stops offering a hold and has its pages closed; pages still being made are closed when known.
pub(super) fn start_closing(draft: &mut Draft<'_>, hold: Hold, why: Lapse) {
    let id = hold.id;
    start_closing_known(draft, hold, why);
    release_if_closed(draft, id);
}

fn start_closing_known(draft: &mut Draft<'_>, mut hold: Hold, why: Lapse) {
    hold.state = HoldState::Closing { why, since: draft.now };
    for page in hold.checkouts.iter().filter(|c| !c.closed) {
        close_page(draft, hold.id, page);
    }
    draft.put(hold);
}

/// Has a warm page closed that nobody will be shown.
pub(super) fn discard(draft: &mut Draft<'_>, hold: Hold) {
    let id = hold.id;
    discard_known(draft, hold);
    release_if_closed(draft, id);
}

fn discard_known(draft: &mut Draft<'_>, mut hold: Hold) {
    hold.state = HoldState::Discarding;
    for page in hold.checkouts.iter().filter(|c| !c.closed) {
        close_page(draft, hold.id, page);
    }
    draft.put(hold);
}

pub(super) fn close_page(draft: &mut Draft<'_>, hold: HoldId, page: &Checkout) {
    draft.effect(Effect::CloseCheckout { hold, nth: page.nth, checkout: Some(page.id.clone()) });
}

pub(super) fn closed(
    draft: &mut Draft<'_>,
    id: HoldId,
    nth: u32,
    page: Option<&CheckoutId>,
    answer: &CloseAnswer,
) {
    match answer {
        CloseAnswer::Closed => {
            mark_closed(draft, id, nth, page);
            release_if_closed(draft, id);
        }
        CloseAnswer::AlreadyPaid { payment, more } => {
            mark_closed(draft, id, nth, page);
            for fact in std::iter::once(payment.as_ref()).chain(more) {
                money::seen(draft, &PaymentFact { hold: Some(id), ..fact.clone() });
            }
            release_if_closed(draft, id);
        }
        CloseAnswer::PaymentPending => still_paying(draft, id, nth, page),
        CloseAnswer::CannotClose { says } => {
            // A discarded page was shown to nobody, but for the one that a whole sale shares.
            let shown = draft.hold(id).is_some_and(|hold| match hold.state {
                HoldState::Closing { .. } => true,
                HoldState::Discarding => id.is_shared(),
                HoldState::Warm
                | HoldState::Waiting { .. }
                | HoldState::Offered { .. }
                | HoldState::Opening { .. }
                | HoldState::Open { .. }
                | HoldState::Paid { .. }
                | HoldState::Released { .. }
                | HoldState::Lapsed { .. } => false,
            });
            cannot_close(draft, id, nth, page);
            if shown && draft.head.capabilities.revocable {
                draft.tell(Trouble::CannotClose { hold: id.n, why: says.clone() });
            }
        }
    }
}

/// A payment is under way. It is waited for, and after a while a person is told: the page counts as
/// one that cannot be closed then, so that the sale can end. Money that comes after all counts.
fn still_paying(draft: &mut Draft<'_>, id: HoldId, nth: u32, page: Option<&CheckoutId>) {
    let since = match draft.hold(id).map(|hold| &hold.state) {
        Some(HoldState::Closing { since, .. }) => Some(*since),
        Some(HoldState::Discarding) => draft.head.phase.end().map(|end| end.at),
        _ => return,
    };
    let waited = draft.now.since(since.unwrap_or(draft.now));
    if waited < PAYS_WITHIN {
        let again = Effect::CloseCheckout { hold: id, nth, checkout: page.cloned() };
        let after = if waited < EAGER_FOR { ASK_AGAIN_AFTER } else { ASK_LATER_AFTER };
        return draft.effect_at(again, draft.now + after);
    }
    cannot_close(draft, id, nth, page);
    draft.tell(Trouble::StillPaying { hold: id.n, waited });
}

fn mark_closed(draft: &mut Draft<'_>, id: HoldId, nth: u32, page: Option<&CheckoutId>) {
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    match page {
        Some(page) => {
            for checkout in hold.checkouts.iter_mut().filter(|c| c.id == *page) {
                checkout.closed = true;
                checkout.proven = false;
            }
        }
        None => hold.making.retain(|n| *n != nth),
    }
    draft.put(hold);
}

/// The units go back once no page of the hold can be paid any more.
fn release_if_closed(draft: &mut Draft<'_>, id: HoldId) {
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    if hold.may_be_payable() {
        return;
    }
    hold.state = match hold.state {
        HoldState::Closing { why, .. } => HoldState::Released { why, at: draft.now },
        HoldState::Discarding => HoldState::Released { why: Lapse::Unwanted, at: draft.now },
        HoldState::Warm
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Opening { .. }
        | HoldState::Open { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. } => return,
    };
    draft.put(hold);
    parts::end(draft, id);
}

/// The page stays payable for ever, so its units stay taken.
pub(super) fn cannot_close(draft: &mut Draft<'_>, id: HoldId, nth: u32, page: Option<&CheckoutId>) {
    if page.is_none() {
        mark_closed(draft, id, nth, None);
    }
    let Some(mut hold) = draft.hold(id).cloned() else { return };
    hold.state = match hold.state {
        HoldState::Closing { why, .. } => HoldState::Lapsed { why, at: draft.now },
        // Nobody was ever shown it, so it takes nothing; a payment would be decided on its own.
        HoldState::Discarding => HoldState::Released { why: Lapse::Unwanted, at: draft.now },
        HoldState::Warm
        | HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Opening { .. }
        | HoldState::Open { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. } => return,
    };
    draft.put(hold);
    parts::end(draft, id);
}

/// Has every warm page closed: the sale needs none any more.
pub(super) fn discard_all_warm(draft: &mut Draft<'_>) {
    for id in draft.warm_ids() {
        if let Some(hold) = draft.hold(id).cloned() {
            discard(draft, hold);
        }
    }
}
