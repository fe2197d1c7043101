//! Arm → probe → open: chat hears of a sale only after a page was proven payable.

use super::{checkout, end};
use crate::{
    clock::Span,
    id::HoldId,
    notice::{Notice, Trouble},
    sale::{
        EndReason, ListingState, Phase,
        draft::Draft,
        effect::Effect,
        event::Listing,
        hold::{Hold, HoldState},
        refusal::Refusal,
        template::CheckoutShape,
    },
};

/// How often the warm pages of an armed sale are looked at again.
const REPROBE_EVERY: Span = Span::from_secs(60);

/// After a refused warm page, how long until the next one is tried.
const WARM_PAUSE: Span = Span::from_secs(10);

pub(super) fn provisioned(draft: &mut Draft<'_>, listing: &Listing) {
    match draft.head.listing {
        ListingState::Making => {}
        // Given up for lost, and there after all.
        ListingState::Left { listing: None } => {
            draft.head.listing = ListingState::Left { listing: Some(listing.clone()) };
            return draft.effect(Effect::Retire);
        }
        ListingState::Made { .. }
        | ListingState::Retiring { .. }
        | ListingState::Gone
        | ListingState::Left { listing: Some(_) } => return,
    }
    draft.head.listing = ListingState::Made { listing: listing.clone() };
    if matches!(draft.head.phase, Phase::Arming { .. }) {
        order_canary(draft);
    }
}

/// The first page of the sale: nobody sees it before it was proven, and the opening waits for it.
fn order_canary(draft: &mut Draft<'_>) {
    let id = match draft.head.template.checkout {
        CheckoutShape::PerBuyer => draft.next_id(),
        CheckoutShape::Shared => HoldId::shared(draft.head.id),
    };
    let choices = &draft.head.template.delivery;
    let open = choices.iter().find(|choice| !draft.head.is_choice_closed(&choice.name));
    let delivery = open.or(choices.first()).map(|choice| choice.name.clone());
    order_warm(draft, id, delivery);
}

fn order_warm(draft: &mut Draft<'_>, id: HoldId, delivery: Option<String>) {
    let template = &draft.head.template;
    let extras = template.offers.plain();
    let Some(amount) = template.total(1, delivery.as_deref(), &extras) else { return };
    let mut hold = Hold {
        id,
        buyer: None,
        buyer_name: None,
        address: None,
        per_address: 0,
        brief: false,
        units: 1,
        delivery,
        extras,
        amount,
        answers: std::collections::BTreeMap::new(),
        form: None,
        claimed_at: draft.now,
        opened_at: None,
        state: HoldState::Warm,
        checkouts: Vec::new(),
        ordered: 0,
        making: Vec::new(),
    };
    checkout::order(draft, &mut hold);
    draft.put(hold);
}

/// Fills the pool of warm pages up to what the template asks and the stock allows.
pub(super) fn top_up(draft: &mut Draft<'_>) {
    let template = draft.head.template.clone();
    let wanted =
        matches!(draft.head.phase, Phase::Armed { .. } | Phase::Open { .. } | Phase::Paused { .. })
            && template.checkout == CheckoutShape::PerBuyer
            && template.ask.is_empty()
            && draft.head.warm_again_at.is_none()
            && !draft.head.marked_sold_out;
    if !wanted {
        return;
    }
    let target = template.warm.min(draft.head.free()) as usize;
    let mut choices: Vec<Option<String>> =
        template.delivery.iter().map(|d| Some(d.name.clone())).collect();
    if choices.is_empty() {
        choices.push(None);
    }
    choices.retain(|name| name.as_ref().is_none_or(|name| !draft.head.is_choice_closed(name)));
    for delivery in choices {
        for _ in draft.warm_count(&delivery)..target {
            let id = draft.next_id();
            order_warm(draft, id, delivery.clone());
        }
    }
}

/// A warm page came to nothing: the pool rests for a while, and a start without any other fails.
pub(super) fn warm_lost(draft: &mut Draft<'_>, says: &str) {
    draft.head.warm_again_at = Some(draft.now + WARM_PAUSE);
    if matches!(draft.head.phase, Phase::Arming { .. }) && draft.warm_ids().is_empty() {
        fail(draft, says);
    }
}

/// The first page was proven.
pub(super) fn proven(draft: &mut Draft<'_>) {
    let Phase::Arming { since, stay, .. } = draft.head.phase else { return };
    draft.head.note = None;
    if !stay {
        return open(draft);
    }
    draft.head.phase = Phase::Armed {
        since,
        until: draft.now + draft.head.template.arm_ttl,
        probe_at: draft.now + REPROBE_EVERY,
    };
    let notice = Notice::Armed {
        number: draft.head.number,
        title: draft.head.template.title.clone(),
        for_up_to: draft.head.template.arm_ttl,
    };
    for room in asked_and_mod_rooms(draft) {
        draft.effect(Effect::Announce { room, notice: notice.clone() });
    }
}

/// `start #n`: opens what is armed, or lets what is being armed open when ready.
pub(super) fn open_armed(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    match draft.head.phase {
        Phase::Armed { .. } if draft.base().index.all_ready().next().is_some() => {
            open(draft);
            Ok(())
        }
        // Its pages died while it waited: prove one before anybody hears of it.
        Phase::Armed { since, .. } => {
            let give_up_at = draft.now + draft.head.template.ready_limit;
            draft.head.phase = Phase::Arming { since, give_up_at, stay: false };
            if draft.warm_ids().is_empty() {
                order_canary(draft);
            }
            Ok(())
        }
        Phase::Arming { since, give_up_at, stay: true } => {
            draft.head.phase = Phase::Arming { since, give_up_at, stay: false };
            Ok(())
        }
        Phase::Arming { stay: false, .. }
        | Phase::Open { .. }
        | Phase::Paused { .. }
        | Phase::Closing { .. }
        | Phase::Closed { .. } => {
            Err(Refusal::WrongState { verb: "start", state: draft.head.phase.word() })
        }
    }
}

fn open(draft: &mut Draft<'_>) {
    let ends_at = draft.now + draft.head.length;
    draft.head.phase = Phase::Open { opened_at: draft.now, ends_at };
    let template = &draft.head.template;
    let notice = Notice::Opened {
        title: template.title.clone(),
        price: template.price,
        left: draft.head.free(),
        ends_at,
        length: draft.head.length,
    };
    draft.announce(&notice);
}

/// While armed: look at every warm page again.
pub(super) fn probe_again(draft: &mut Draft<'_>) {
    if let Phase::Armed { since, until, .. } = draft.head.phase {
        let probe_at = draft.now + REPROBE_EVERY;
        draft.head.phase = Phase::Armed { since, until, probe_at };
    }
    for id in draft.base().index.all_ready().collect::<Vec<_>>() {
        let page = draft.hold(id).and_then(Hold::proven).map(|page| page.id.clone());
        if let Some(checkout) = page {
            draft.effect(Effect::Probe { hold: id, checkout });
        }
    }
}

pub(super) fn not_provisioned(draft: &mut Draft<'_>, says: &str) {
    if draft.head.listing != ListingState::Making {
        return;
    }
    draft.head.listing = ListingState::Gone;
    fail(draft, says);
}

/// The outcome of provisioning stays unknown: something may be there, and a person must look.
pub(super) fn provision_lost(draft: &mut Draft<'_>, why: &str) {
    if draft.head.listing != ListingState::Making {
        return;
    }
    draft.head.listing = ListingState::Left { listing: None };
    fail(draft, why);
}

/// The start is refused; what was made is retired.
pub(super) fn fail(draft: &mut Draft<'_>, why: &str) {
    if !matches!(draft.head.phase, Phase::Arming { .. }) {
        return;
    }
    draft.head.note = Some(why.to_owned());
    draft.head.refusal_told = Some(why.to_owned());
    end::begin(draft, EndReason::Failed);
    say_not_started(draft, why);
}

/// Armed for too long: retired without a public line.
pub(super) fn armed_too_long(draft: &mut Draft<'_>) {
    end::begin(draft, EndReason::Stopped);
    let waited = draft.head.template.arm_ttl.words();
    say_not_started(draft, &format!("it was armed for {waited} and never opened"));
}

/// The reason goes where only moderators read; the room it was asked in hears the bare fact.
fn say_not_started(draft: &mut Draft<'_>, why: &str) {
    let number = draft.head.number;
    let title = draft.head.template.title.clone();
    let why = Some(why.to_owned());
    let whole = Notice::NotStarted { number, title: title.clone(), why };
    for room in draft.head.mod_rooms.clone() {
        draft.effect(Effect::Announce { room, notice: whole.clone() });
    }
    let asked_in = draft.head.asked_in.clone();
    if !draft.head.mod_rooms.contains(&asked_in) {
        let bare = Notice::NotStarted { number, title, why: None };
        draft.effect(Effect::Announce { room: asked_in, notice: bare });
    }
}

/// Tells moderators, once per reason, that pages are refused.
pub(super) fn page_refused(draft: &mut Draft<'_>, says: &str) {
    draft.head.note = Some(says.to_owned());
    if draft.head.refusal_told == draft.head.note {
        return;
    }
    draft.head.refusal_told = Some(says.to_owned());
    draft.tell(Trouble::NoPage { why: says.to_owned() });
}

fn asked_and_mod_rooms(draft: &Draft<'_>) -> Vec<crate::room::Room> {
    let mut rooms = draft.head.mod_rooms.clone();
    if !rooms.contains(&draft.head.asked_in) {
        rooms.push(draft.head.asked_in.clone());
    }
    rooms
}

/// The provider is not well while the sale is made ready: moderators hear why they wait, once.
pub(super) fn delayed(draft: &mut Draft<'_>, says: &str) {
    if !matches!(draft.head.phase, Phase::Arming { .. }) || draft.head.delay_told {
        return;
    }
    draft.head.delay_told = true;
    draft.head.note = Some(says.to_owned());
    draft.tell(Trouble::Delayed { why: says.to_owned() });
}
