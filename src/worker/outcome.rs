//! From what happened at a provider to the event that a sale is told.

use crate::{
    clock::Span,
    provider::{Outcome, ProviderError},
    sale::{
        effect::Effect,
        event::{CloseAnswer, Event, Verdict},
        payment::{RefundFact, RefundStatus},
    },
    store::Leased,
};

/// A provider's "not yet" without a time of its own.
const PROBE_AGAIN_AFTER: Span = Span::from_secs(1);

/// The event for an effect that nobody wants any more and that was never sent.
pub(super) fn not_sent(effect: &Effect) -> Event {
    match effect {
        Effect::OpenCheckout { hold, nth } => {
            Event::CheckoutRejected { hold: *hold, nth: *nth, says: "no longer wanted".to_owned() }
        }
        _ => Event::Done,
    }
}

/// The event for what happened at the provider; `None` if it does not fit the effect.
pub(crate) fn event_of(effect: &Effect, outcome: Outcome) -> Option<Event> {
    Some(match (effect, outcome) {
        (Effect::Provision, Outcome::Provisioned(listing)) => Event::Provisioned { listing },
        (Effect::Restock { units }, Outcome::StockSet) => Event::StockSet { units: *units },
        (Effect::OpenCheckout { hold, nth }, Outcome::Opened(mut checkout)) => {
            checkout.nth = *nth;
            Event::CheckoutOpened { hold: *hold, checkout }
        }
        (Effect::Probe { hold, checkout }, Outcome::Probed(verdict)) => {
            Event::Probed { hold: *hold, checkout: checkout.clone(), verdict }
        }
        (Effect::CloseCheckout { hold, nth, checkout }, Outcome::Closed(answer)) => {
            Event::CheckoutClosed { hold: *hold, nth: *nth, checkout: checkout.clone(), answer }
        }
        (Effect::Retire, Outcome::Retired) => Event::Retired,
        (Effect::Refund { .. }, Outcome::Refund(fact)) => Event::RefundMoved(fact),
        _ => return None,
    })
}

/// The event for a definite no; `None` where only a person can help.
pub(crate) fn rejected(effect: &Effect, says: &str) -> Option<Event> {
    let says = says.to_owned();
    match effect {
        Effect::Provision => Some(Event::ProvisionRejected { says }),
        Effect::OpenCheckout { hold, nth } => {
            Some(Event::CheckoutRejected { hold: *hold, nth: *nth, says })
        }
        Effect::Probe { hold, checkout } => Some(Event::Probed {
            hold: *hold,
            checkout: checkout.clone(),
            verdict: Verdict::NotYet { says, again_after: PROBE_AGAIN_AFTER },
        }),
        Effect::CloseCheckout { hold, nth, checkout } => Some(Event::CheckoutClosed {
            hold: *hold,
            nth: *nth,
            checkout: checkout.clone(),
            answer: CloseAnswer::CannotClose { says },
        }),
        Effect::Refund { payment, .. } => Some(Event::RefundMoved(RefundFact {
            payment: payment.clone(),
            refund: None,
            status: RefundStatus::Failed,
            amount: None,
            says: Some(says),
            as_of: None,
        })),
        Effect::Restock { .. } | Effect::Retire | Effect::Announce { .. } => None,
    }
}

/// How a call went, in one word for those who count.
pub(super) fn word(answer: &Result<Outcome, ProviderError>) -> &'static str {
    match answer {
        Ok(_) => "done",
        Err(ProviderError::Retry { .. }) => "unknown",
        Err(ProviderError::SlowDown { .. }) => "slowed",
        Err(ProviderError::Reject { .. }) => "refused",
        Err(ProviderError::Amend { .. }) => "amended",
    }
}

/// Lends its fields to whatever is logged while the effect is carried out; of the highest level,
/// so that no filter leaves it out.
pub(super) fn span(leased: &Leased, number: Option<u32>) -> tracing::Span {
    let Leased { sale, id, effect, .. } = leased;
    tracing::error_span!("effect", %sale, number, effect = effect.word(), %id)
}
