//! A buyer claims units, or lets go of them.

use super::{checkout, ready};
use crate::{
    id::{Buyer, HoldId},
    sale::{
        EndReason, Phase,
        draft::Draft,
        event::Claim,
        hold::{Hold, HoldState, Lapse},
        offer::Extras,
        refusal::Refusal,
        share::{Share, Shelf},
        template::{CheckoutShape, Delivery},
    },
};

pub(super) fn claimed(draft: &mut Draft<'_>, claim: &Claim) -> Result<(), Refusal> {
    let delivery = check(draft, claim)?;
    check_stock(draft, claim)?;
    let brief = check_share(draft, claim)? == Share::Brief;
    let hold = match warm_page(draft, claim, &delivery) {
        Some(warm) => take_over(draft, Hold { brief, ..warm }, claim),
        None => new_hold(draft, claim, delivery, brief)?,
    };
    draft.answer(hold.id);
    draft.put(hold);
    ready::top_up(draft);
    Ok(())
}

/// Everything but the stock; answers the delivery choice.
pub(super) fn check(draft: &Draft<'_>, claim: &Claim) -> Result<Option<String>, Refusal> {
    if let Some(hold) = draft.base().hold_instead(&claim.buyer, claim.form) {
        return Err(Refusal::AlreadyHolding(hold.id));
    }
    check_open(draft)?;
    let delivery = chosen_delivery(draft, claim)?;
    check_answers(draft, claim)?;
    check_extras(draft, claim)?;
    check_buyer(draft, claim)?;
    Ok(delivery)
}

fn check_open(draft: &Draft<'_>) -> Result<(), Refusal> {
    let head = &draft.head;
    match &head.phase {
        Phase::Arming { .. } | Phase::Armed { .. } => return Err(Refusal::NotOpen),
        Phase::Paused { .. } => return Err(Refusal::Paused),
        Phase::Closing { end } | Phase::Closed { end, .. } => {
            return Err(match end.reason {
                EndReason::SoldOut => Refusal::SoldOut,
                EndReason::TimeUp | EndReason::Stopped | EndReason::Failed => Refusal::Over,
            });
        }
        // The clock rules, even before its tick was worked off.
        Phase::Open { ends_at, .. } if draft.now >= *ends_at => return Err(Refusal::Over),
        Phase::Open { .. } => {}
    }
    if head.template.checkout == CheckoutShape::Shared {
        return Err(Refusal::SharedCheckout);
    }
    Ok(())
}

/// The delivery choice: named, or the only one there is.
fn chosen_delivery(draft: &Draft<'_>, claim: &Claim) -> Result<Option<String>, Refusal> {
    let choices = draft.head.template.delivery.as_slice();
    let choice = match (choices, claim.delivery.as_deref()) {
        ([], _) => return Ok(None),
        ([only], None | Some("")) => Some(only),
        (_, name) => choices.iter().find(|choice| Some(choice.name.as_str()) == name),
    };
    let closed = |choice: &Delivery| draft.head.is_choice_closed(&choice.name);
    let left = || choices.iter().filter(|one| !closed(one)).cloned().collect();
    match choice {
        Some(choice) if closed(choice) => {
            Err(Refusal::ChoiceSoldOut { label: choice.label.clone(), left: left() })
        }
        Some(choice) => Ok(Some(choice.name.clone())),
        None => Err(Refusal::UnknownDelivery(left())),
    }
}

fn check_answers(draft: &Draft<'_>, claim: &Claim) -> Result<(), Refusal> {
    for ask in &draft.head.template.ask {
        if claim.answers.get(ask).is_none_or(|answer| answer.trim().is_empty()) {
            return Err(Refusal::MissingAnswer(*ask));
        }
    }
    Ok(())
}

/// What is offered beside the units: every option chosen, nothing that is gone, and the condition
/// met. Who may have a special price was checked before; what it is stands in the template.
fn check_extras(draft: &Draft<'_>, claim: &Claim) -> Result<(), Refusal> {
    let offers = &draft.head.template.offers;
    for choice in &offers.options {
        let given = claim.extras.options.get(&choice.name);
        if given.and_then(|name| choice.value(name)).is_none() {
            let values = choice.values.iter().map(|value| value.label.clone()).collect();
            return Err(Refusal::UnknownOption { label: choice.label.clone(), values });
        }
    }
    for name in &claim.extras.upsells {
        let Some(upsell) = offers.upsell(name) else {
            return Err(Refusal::UpsellGone { label: name.clone() });
        };
        if draft.head.free_of(name) == Some(0) {
            return Err(Refusal::UpsellGone { label: upsell.label.clone() });
        }
    }
    match &offers.condition {
        Some(condition) if !claim.extras.admitted => {
            Err(Refusal::CodeMissing { label: condition.label.clone() })
        }
        Some(_) | None => Ok(()),
    }
}

/// What this buyer, and the address they come from, may still have.
fn check_buyer(draft: &Draft<'_>, claim: &Claim) -> Result<(), Refusal> {
    let per_buyer = draft.head.template.per_buyer;
    let left = per_buyer.saturating_sub(units_kept_by(draft, &claim.buyer));
    if left == 0 {
        return Err(Refusal::BuyerFull { per_buyer });
    }
    let most = if draft.head.capabilities.units { left } else { 1 };
    if claim.units == 0 || claim.units > most {
        return Err(Refusal::TooManyUnits { left: most });
    }
    let tries = draft.base().holds_of(&claim.buyer).filter(|h| is_wasted_try(h)).count();
    if tries >= claim.limits.tries as usize {
        return Err(Refusal::TooManyTries);
    }
    let networks = &draft.base().index.networks;
    let address = claim.address.as_deref();
    if address.is_some_and(|address| networks.is_wasteful(address, claim.limits.per_address)) {
        return Err(Refusal::TooManyTries);
    }
    Ok(())
}

/// What the networks this claim comes from may still have.
fn check_share(draft: &Draft<'_>, claim: &Claim) -> Result<Share, Refusal> {
    let Some(address) = claim.address.as_deref() else { return Ok(Share::Whole) };
    let networks = &draft.base().index.networks;
    networks.share(address, claim.units, claim.limits.per_address, shelf(draft))
}

/// The stock, as shares of it are counted.
pub(super) fn shelf(draft: &Draft<'_>) -> Shelf {
    Shelf { stock: draft.head.stock, free: draft.head.free() }
}

fn units_kept_by(draft: &Draft<'_>, buyer: &Buyer) -> u32 {
    draft
        .base()
        .holds_of(buyer)
        .filter(|h| matches!(h.state, HoldState::Paid { .. } | HoldState::Lapsed { .. }))
        .map(|h| h.units)
        .sum()
}

/// A hold given back unpaid, by the buyer's own doing.
fn is_wasted_try(hold: &Hold) -> bool {
    matches!(
        hold.state,
        HoldState::Released { why: Lapse::TimeUp | Lapse::LetGo, .. }
            | HoldState::Closing { why: Lapse::TimeUp | Lapse::LetGo, .. }
    )
}

fn check_stock(draft: &Draft<'_>, claim: &Claim) -> Result<(), Refusal> {
    match draft.head.free() {
        0 => Err(Refusal::AllHeld),
        free if free < claim.units => Err(Refusal::TooManyUnits { left: free }),
        _ => Ok(()),
    }
}

fn warm_page(draft: &Draft<'_>, claim: &Claim, delivery: &Option<String>) -> Option<Hold> {
    let template = &draft.head.template;
    // What they cost and say was fixed when they were made.
    let Extras { options, upsells, special, admitted: _, codes: _ } = &claim.extras;
    let plain = *options == template.offers.plain().options;
    if claim.units != 1 || !template.ask.is_empty() || !plain {
        return None;
    }
    if special.is_some() || !upsells.is_empty() {
        return None;
    }
    let id = draft.base().index.first_ready(delivery)?;
    draft.hold(id).cloned()
}

/// A warm page finds its buyer.
fn take_over(draft: &mut Draft<'_>, warm: Hold, claim: &Claim) -> Hold {
    let mut hold = Hold {
        buyer: Some(claim.buyer.clone()),
        buyer_name: claim.buyer_name.clone(),
        address: claim.address.clone(),
        extras: claim.extras.clone(),
        form: claim.form,
        claimed_at: draft.now,
        ..warm
    };
    checkout::hand_over(draft, &mut hold);
    hold
}

fn new_hold(
    draft: &mut Draft<'_>,
    claim: &Claim,
    delivery: Option<String>,
    brief: bool,
) -> Result<Hold, Refusal> {
    let until = draft.now + draft.head.template.opening_limit;
    let mut hold = make(draft, claim, delivery, HoldState::Opening { until })?;
    hold.brief = brief;
    checkout::order(draft, &mut hold);
    Ok(hold)
}

/// A hold without a page.
pub(super) fn make(
    draft: &mut Draft<'_>,
    claim: &Claim,
    delivery: Option<String>,
    state: HoldState,
) -> Result<Hold, Refusal> {
    let amount = draft
        .head
        .template
        .total(claim.units, delivery.as_deref(), &claim.extras)
        .ok_or(Refusal::Value { key: "units", why: "cannot be counted".to_owned() })?;
    Ok(Hold {
        id: draft.next_id(),
        buyer: Some(claim.buyer.clone()),
        buyer_name: claim.buyer_name.clone(),
        address: claim.address.clone(),
        per_address: 0,
        brief: false,
        units: claim.units,
        delivery,
        extras: claim.extras.clone(),
        amount,
        answers: claim.answers.clone(),
        form: claim.form,
        claimed_at: draft.now,
        opened_at: None,
        state,
        checkouts: Vec::new(),
        ordered: 0,
        making: Vec::new(),
    })
}

pub(super) fn let_go(draft: &mut Draft<'_>, id: HoldId) -> Result<(), Refusal> {
    let hold = draft.hold(id).cloned().ok_or(Refusal::UnknownHold)?;
    if hold.buyer.is_none() {
        return Err(Refusal::UnknownHold);
    }
    match hold.state {
        HoldState::Opening { .. } | HoldState::Open { .. } => {
            checkout::start_closing(draft, hold, Lapse::LetGo);
            Ok(())
        }
        HoldState::Waiting { .. } | HoldState::Offered { .. } => {
            checkout::start_closing(draft, hold, Lapse::LeftLine);
            Ok(())
        }
        // Asked twice: it is on its way already.
        HoldState::Closing { .. } | HoldState::Released { .. } => Ok(()),
        HoldState::Warm
        | HoldState::Paid { .. }
        | HoldState::Lapsed { .. }
        | HoldState::Discarding => Err(Refusal::HoldOver),
    }
}
