//! What time alone does. Runs after every event, so that no event can outrun a deadline.

use super::{checkout, end, moderate, money, parts, ready};
use crate::sale::{
    EndReason, Phase,
    draft::Draft,
    hold::{HoldState, Lapse},
};

pub(super) fn pass(draft: &mut Draft<'_>) {
    let now = draft.now;
    if draft.head.warm_again_at.is_some_and(|at| at <= now) {
        draft.head.warm_again_at = None;
        ready::top_up(draft);
    }
    moderate::compare_count(draft);
    moderate::settle_short(draft);
    parts::pass(draft);
    money::check_sold_out(draft);
    match draft.head.phase {
        Phase::Arming { give_up_at, .. } if give_up_at <= now => {
            let why = draft.head.note.clone();
            let why = why.unwrap_or_else(|| "no payment page came up in time".to_owned());
            ready::fail(draft, &why);
        }
        Phase::Armed { until, .. } if until <= now => ready::armed_too_long(draft),
        Phase::Armed { probe_at, .. } if probe_at <= now => ready::probe_again(draft),
        Phase::Open { ends_at, .. } if ends_at <= now => end::begin(draft, EndReason::TimeUp),
        Phase::Paused { since, .. } if draft.head.pause_limit(since) <= now => {
            end::begin(draft, EndReason::TimeUp);
        }
        Phase::Arming { .. }
        | Phase::Armed { .. }
        | Phase::Open { .. }
        | Phase::Paused { .. }
        | Phase::Closing { .. }
        | Phase::Closed { .. } => {}
    }
    expire(draft);
}

/// Closes every hold whose time, or whose sale's time, is over.
fn expire(draft: &mut Draft<'_>) {
    let all = draft.head.end_limit().is_some_and(|limit| limit <= draft.now);
    for id in draft.base().index.due(draft.now, all) {
        let Some(hold) = draft.hold(id).filter(|h| h.is_live()).cloned() else { continue };
        // A draft may have moved the deadline that the index still knows.
        let own_time_is_up = hold.deadline().is_some_and(|at| at <= draft.now);
        let why = match hold.state {
            HoldState::Opening { .. } if own_time_is_up => Lapse::NoPage,
            HoldState::Offered { .. } if own_time_is_up => Lapse::NotTaken,
            _ if own_time_is_up => Lapse::TimeUp,
            _ if all => Lapse::SaleEnded,
            _ => continue,
        };
        checkout::start_closing(draft, hold, why);
    }
}
