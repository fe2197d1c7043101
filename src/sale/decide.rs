//! The rules: `decide(&Sale, &Event, now) -> Result<Decision, Refusal>`.
//!
//! Total: every event in every state has an answer. Late and repeated events are ordinary and
//! change nothing. The sale itself is untouched until [`Sale::apply`] takes the decision over.

mod back;
mod checkout;
mod claim;
mod clock;
mod end;
mod line;
mod moderate;
mod money;
mod parts;
mod ready;

use super::{
    Head, ListingState, Phase, Sale, Tally, archive,
    draft::{Decision, Draft},
    effect::Effect,
    event::{Event, Start},
    refusal::Refusal,
};
use crate::{
    clock::{Span, Timestamp},
    notice::{Notice, Trouble},
};

/// What happens to `sale` because of `event` at `now`.
///
/// # Errors
/// A [`Refusal`] says why nothing happens.
pub fn decide(sale: &Sale, event: &Event, now: Timestamp) -> Result<Decision, Refusal> {
    let mut draft = Draft::new(sale, now);
    match event {
        // Known already: a start is the first event of a sale and is never repeated.
        Event::Started(_) | Event::Done => {}
        Event::Opened => ready::open_armed(&mut draft)?,
        Event::Claimed(claim) => claim::claimed(&mut draft, claim)?,
        Event::Joined(claim) => line::joined(&mut draft, claim)?,
        Event::Accepted { hold } => line::accepted(&mut draft, *hold)?,
        Event::LetGo { hold } => claim::let_go(&mut draft, *hold)?,
        Event::Extended { by_ms } => moderate::extended(&mut draft, *by_ms)?,
        Event::Paused => moderate::paused(&mut draft)?,
        Event::Resumed => moderate::resumed(&mut draft)?,
        Event::Restocked { units } => moderate::restocked(&mut draft, *units)?,
        Event::Stopped => moderate::stopped(&mut draft)?,
        Event::Ticked => {}
        Event::Provisioned { listing } => ready::provisioned(&mut draft, listing),
        Event::ProvisionRejected { says } => ready::not_provisioned(&mut draft, says),
        Event::StockSet { .. } => {
            draft.head.restocking = draft.head.restocking.saturating_sub(1);
        }
        Event::CheckoutOpened { hold, checkout } => checkout::opened(&mut draft, *hold, checkout),
        Event::CheckoutRejected { hold, nth, says } => {
            checkout::rejected(&mut draft, *hold, *nth, says);
        }
        Event::Probed { hold, checkout, verdict } => {
            checkout::probed(&mut draft, *hold, checkout, verdict);
        }
        Event::CheckoutClosed { hold, nth, checkout, answer } => {
            checkout::closed(&mut draft, *hold, *nth, checkout.as_ref(), answer);
        }
        Event::PaymentSeen(fact) => money::seen(&mut draft, fact),
        Event::RefundMoved(fact) => back::refund_moved(&mut draft, fact),
        Event::Counted { count, at } => moderate::counted(&mut draft, *count, *at),
        Event::SoldOutMarked { set } => moderate::marked(&mut draft, *set),
        Event::ChoiceMarked { delivery, set } => {
            moderate::choice_marked(&mut draft, delivery, *set);
        }
        Event::Delayed { says } => ready::delayed(&mut draft, says),
        Event::Archived(order) => archive::archived(&mut draft, order),
        Event::Retired => end::retired(&mut draft),
        Event::Parked { effect, why } => parked(&mut draft, effect, why),
    }
    clock::pass(&mut draft);
    line::serve(&mut draft);
    end::settle(&mut draft);
    draft.finish()
}

/// A new sale. The first of its journal, and the only way one comes to be.
///
/// # Errors
/// Refuses a template outside its own bounds.
pub fn start(start: &Start, now: Timestamp) -> Result<(Sale, Decision), Refusal> {
    start.template.check_bounds()?;
    let template = &start.template;
    let head = Head {
        id: start.id,
        number: start.number,
        template: template.clone(),
        capabilities: start.capabilities.clone(),
        rooms: start.rooms.clone(),
        mod_rooms: start.mod_rooms.clone(),
        started_by: start.by.clone(),
        asked_in: start.asked_in.clone(),
        started_at: now,
        revision: 0,
        last_at: now,
        phase: Phase::Arming {
            since: now,
            give_up_at: now + template.ready_limit,
            stay: start.arm,
        },
        stock: template.stock,
        offered: template.stock,
        length: template.duration,
        paused_for: Span::ZERO,
        tally: Tally::default(),
        added: std::collections::BTreeMap::new(),
        next_n: 1,
        listing: ListingState::Making,
        note: None,
        delay_told: false,
        refusal_told: None,
        short: 0,
        outside: 0,
        restocking: 0,
        count: None,
        marked_sold_out: false,
        closed_choices: Vec::new(),
        warm_again_at: None,
        parts: 0,
        parts_until: None,
        archived: None,
    };
    let blank = Sale::assemble(head, Vec::new(), Vec::new());
    let mut draft = Draft::new(&blank, now);
    draft.effect(Effect::Provision);
    let decision = draft.finish()?;
    let mut sale = blank;
    sale.apply(decision.clone());
    Ok((sale, decision))
}

/// An effect was given up. Whatever it leaves open takes the careful way out.
fn parked(draft: &mut Draft<'_>, effect: &Effect, why: &str) {
    let what = match effect {
        Effect::Provision => {
            ready::provision_lost(draft, why);
            "make the item"
        }
        Effect::Restock { .. } => "change the stock",
        // What follows from these two is in hand: nothing of them waits for a person.
        Effect::OpenCheckout { hold, nth } => {
            checkout::lost(draft, *hold, *nth);
            return ready::page_refused(draft, why);
        }
        Effect::Probe { hold, checkout } => {
            return checkout::give_up(draft, *hold, checkout, why);
        }
        Effect::CloseCheckout { hold, nth, checkout } => {
            checkout::cannot_close(draft, *hold, *nth, checkout.as_ref());
            "close a payment page"
        }
        Effect::Retire => {
            end::left_behind(draft);
            "remove the item"
        }
        Effect::Refund { payment, .. } => {
            back::refund_parked(draft, payment, why);
            "refund a payment"
        }
        // Saying so where nothing can be said is no use; on its own platform the adapter does.
        Effect::Announce { room, notice: Notice::Opened { .. } } => {
            let what = format!("announce the sale in {room}");
            return draft.tell_elsewhere(room, Trouble::Parked { what, why: why.to_owned() });
        }
        Effect::Announce { .. } => return,
    };
    draft.tell(Trouble::Parked { what: what.to_owned(), why: why.to_owned() });
}
