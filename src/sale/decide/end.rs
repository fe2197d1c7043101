//! The end of a sale: announced once, settled to the last page, cleaned away.

use super::{checkout, line};
use crate::{
    notice::Notice,
    sale::{End, EndReason, ListingState, Phase, draft::Draft, effect::Effect},
};

/// Stops selling. Whatever is open is closed when its time comes; see `clock::pass`.
pub(super) fn begin(draft: &mut Draft<'_>, reason: EndReason) {
    let opened_at = draft.head.opened_at();
    let at = match (&draft.head.phase, reason) {
        // On time, even if the program slept through it.
        (Phase::Open { ends_at, .. }, EndReason::TimeUp) => *ends_at,
        _ => draft.now,
    };
    let stock = Some(draft.head.stock);
    let secret = draft.head.phase.is_secret();
    draft.head.phase = Phase::Closing { end: End { reason, at, opened_at, secret, stock } };
    draft.head.count = None;
    draft.head.warm_again_at = None;
    line::dismiss(draft);
    if opened_at.is_some() {
        announce(draft, reason);
    }
    checkout::discard_all_warm(draft);
}

fn announce(draft: &mut Draft<'_>, reason: EndReason) {
    let head = &draft.head;
    let title = head.template.title.clone();
    let (sold, stock) = (head.tally.paid, head.stock);
    let notice = match reason {
        EndReason::SoldOut => {
            let took = head.opened_at().map(|opened| draft.now.since(opened)).unwrap_or_default();
            Notice::SoldOut { title, sold, took }
        }
        EndReason::TimeUp => {
            let paying = head.tally.opening + head.tally.open + head.tally.closing;
            Notice::Ended { title, sold, stock, paying }
        }
        EndReason::Stopped | EndReason::Failed => Notice::Cancelled { title, sold, stock },
    };
    draft.announce(&notice);
}

/// Moves a closing sale on as far as it can go: everything settled, then retired, then closed.
pub(super) fn settle(draft: &mut Draft<'_>) {
    let Phase::Closing { end } = draft.head.phase else { return };
    if draft.head.tally.unsettled > 0 || draft.head.tally.warm > 0 {
        return;
    }
    match &draft.head.listing {
        ListingState::Making | ListingState::Retiring { .. } => {}
        ListingState::Made { listing } => {
            let listing = listing.clone();
            draft.head.listing = ListingState::Retiring { listing };
            let quiet = end.at + draft.head.capabilities.retire_after;
            draft.effect_at(Effect::Retire, quiet.max(draft.now));
        }
        ListingState::Gone | ListingState::Left { .. } => {
            draft.head.phase = Phase::Closed { end, closed_at: draft.now };
        }
    }
}

pub(super) fn retired(draft: &mut Draft<'_>) {
    match &draft.head.listing {
        ListingState::Retiring { .. } | ListingState::Left { .. } => {
            draft.head.listing = ListingState::Gone;
        }
        ListingState::Making | ListingState::Made { .. } | ListingState::Gone => {}
    }
}

/// The listing could not be removed; a person must look.
pub(super) fn left_behind(draft: &mut Draft<'_>) {
    if let ListingState::Retiring { listing } = &draft.head.listing {
        let listing = Some(listing.clone());
        draft.head.listing = ListingState::Left { listing };
    }
}
