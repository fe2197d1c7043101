//! The line of those who wait for a second chance: what comes free is offered in turn.
//!
//! Waiting takes nothing. An offer takes its unit, for a short while. Nobody is offered anything
//! while a sale is paused or over; the end of a sale ends its line.

use super::{checkout, claim};
use crate::{
    clock::Span,
    id::HoldId,
    sale::{
        Phase,
        draft::Draft,
        event::Claim,
        hold::{Hold, HoldState, Lapse},
        refusal::Refusal,
        share::{Networks, Share},
    },
};

/// How long an offer stands.
pub(super) const OFFER_FOR: Span = Span::from_secs(75);

/// People who may wait at a time; further ones hear that all is held.
const LINE_MAX: u32 = 1000;

/// A viewer joins the line, or claims at once if something came free meanwhile.
pub(super) fn joined(draft: &mut Draft<'_>, wish: &Claim) -> Result<(), Refusal> {
    let one = Claim { units: 1, ..wish.clone() };
    if draft.head.free() > 0 && draft.head.tally.waiting == 0 {
        return claim::claimed(draft, &one);
    }
    let delivery = claim::check(draft, &one)?;
    // Waiting takes nothing, and an offer must not come without what was asked for.
    let counted = |name: &&String| draft.head.free_of(name).is_some();
    if let Some(name) = one.extras.upsells.iter().find(counted) {
        let upsell = draft.head.template.offers.upsell(name);
        let label = upsell.map_or_else(|| name.clone(), |upsell| upsell.label.clone());
        return Err(Refusal::NotInLine { label });
    }
    if draft.head.tally.waiting >= LINE_MAX {
        return Err(Refusal::AllHeld);
    }
    let first_few = one.limits.per_address;
    let networks = &draft.base().index.networks;
    if one.address.as_deref().is_some_and(|address| !networks.may_wait(address, first_few)) {
        return Err(Refusal::AddressFull);
    }
    let state = HoldState::Waiting { since: draft.now };
    let mut hold = claim::make(draft, &one, delivery, state)?;
    hold.per_address = first_few;
    draft.answer(hold.id);
    draft.put(hold);
    Ok(())
}

/// The buyer takes what they were offered: from here on it is a hold like any other.
pub(super) fn accepted(draft: &mut Draft<'_>, id: HoldId) -> Result<(), Refusal> {
    let mut hold = draft.hold(id).cloned().ok_or(Refusal::UnknownHold)?;
    match hold.state {
        HoldState::Offered { until } if until > draft.now => {
            let until = draft.now + draft.head.template.opening_limit;
            hold.state = HoldState::Opening { until };
            checkout::order(draft, &mut hold);
            draft.answer(id);
            draft.put(hold);
            Ok(())
        }
        // Pressed twice.
        HoldState::Opening { .. } | HoldState::Open { .. } => {
            draft.answer(id);
            Ok(())
        }
        HoldState::Waiting { .. } => Err(Refusal::AllHeld),
        HoldState::Offered { .. }
        | HoldState::Warm
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Released { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Discarding => Err(Refusal::HoldOver),
    }
}

/// Offers what is free to those who wait, in their order.
pub(super) fn serve(draft: &mut Draft<'_>) {
    if draft.head.tally.waiting == 0 || !is_selling(draft) {
        return;
    }
    if draft.head.free() == 0 {
        return;
    }
    // With what is offered here, which the sale as it was does not know of.
    let mut networks: Option<Networks> = None;
    for id in draft.waiting_ids(usize::MAX) {
        let Some(mut hold) = draft.hold(id).cloned() else { continue };
        if draft.head.free() < hold.units {
            return;
        }
        if let Some(address) = &hold.address {
            let networks = networks.get_or_insert_with(|| draft.base().index.networks.clone());
            let shelf = claim::shelf(draft);
            match networks.share(address, hold.units, hold.per_address, shelf) {
                Ok(share) => hold.brief = share == Share::Brief,
                // Its network has all it may have: those behind it are not kept waiting.
                Err(_) => continue,
            }
            networks.remove(&hold);
            hold.state = HoldState::Offered { until: draft.now + OFFER_FOR };
            networks.add(&hold);
        }
        hold.state = HoldState::Offered { until: draft.now + OFFER_FOR };
        draft.put(hold);
    }
}

fn is_selling(draft: &Draft<'_>) -> bool {
    match draft.head.phase {
        Phase::Open { ends_at, .. } => draft.now < ends_at && !draft.head.marked_sold_out,
        Phase::Arming { .. }
        | Phase::Armed { .. }
        | Phase::Paused { .. }
        | Phase::Closing { .. }
        | Phase::Closed { .. } => false,
    }
}

/// Sends everybody home who waits or was only offered something.
pub(super) fn dismiss(draft: &mut Draft<'_>) {
    let waiting = draft.waiting_ids(usize::MAX);
    let offered: Vec<HoldId> = draft.ids_where(is_offer);
    for id in waiting.into_iter().chain(offered) {
        if let Some(hold) = draft.hold(id).cloned() {
            checkout::start_closing(draft, hold, Lapse::SaleEnded);
        }
    }
}

fn is_offer(hold: &Hold) -> bool {
    matches!(hold.state, HoldState::Offered { .. })
}
