//! Refunds: asked for here, decided by people at Noventiq, followed until they did.

use serde_json::json;

use super::{NAME, Noventiq, ORDERS, order::Order};
use crate::{
    clock::{Span, Timestamp},
    id::PaymentId,
    provider::{
        Call, Outcome, ProviderError,
        rest::{Fault, segment},
    },
    sale::payment::{RefundFact, RefundStatus},
};

/// Read by the people who decide; at most 500 characters.
const WHY: &str = "Paid after the last unit was taken, or twice. The buyer gets no goods for this \
                   order: please refund it in full.";

/// After so long without an answer a person looks.
const ANSWERED_WITHIN: Span = Span::from_secs(14 * 24 * 3600);

/// Words in a refund's state that mean no.
const REFUSALS: [&str; 5] = ["reject", "refus", "declin", "cancel", "denied"];

/// Words in a refund's state that mean that one is under way (the refund request's reference names
/// the states New and Processing).
const UNDER_WAY: [&str; 2] = ["new", "process"];

/// Noventiq gives a request no id: it is known by when it was made.
fn name(at: Timestamp) -> String {
    format!("asked {}", at.rfc3339())
}

fn asked_at(name: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(name.strip_prefix("asked ")?)
}

fn fact(payment: &PaymentId, status: RefundStatus, says: Option<String>) -> RefundFact {
    RefundFact { payment: payment.clone(), refund: None, status, amount: None, says, as_of: None }
}

/// How the request stands, as far as the order tells.
fn state(order: &Order) -> Option<RefundFact> {
    let payment = PaymentId::from(order.id.as_str());
    if order.is_refunded() {
        return Some(fact(&payment, RefundStatus::Done, None));
    }
    let words = order.refund.as_deref()?.to_lowercase();
    let has = |all: &[&str]| all.iter().any(|one| words.contains(one));
    if has(&REFUSALS) {
        let says = format!("Noventiq says {words}");
        return Some(fact(&payment, RefundStatus::Failed, Some(says)));
    }
    has(&UNDER_WAY).then(|| fact(&payment, RefundStatus::Requested, None))
}

/// What a return without a refund is known by.
const RETURNED: &str = "returned";

impl Order {
    /// A return was told of, and the order is still paid: a chargeback, or a part of the order.
    /// Nobody but a person can tell what became of the money.
    pub(super) fn returned(&self) -> Option<RefundFact> {
        let kept = self.fact().is_some() && !self.is_refunded();
        let says =
            "Noventiq says that it was returned or charged back, and the order is still paid";
        let payment = PaymentId::from(self.id.as_str());
        let known = fact(&payment, RefundStatus::Unknown, Some(says.to_owned()));
        kept.then(|| RefundFact { refund: Some(RETURNED.to_owned()), ..known })
    }
}

impl Noventiq {
    /// Asks for a refund of the whole order. Accepted is not refunded.
    pub(super) async fn refund(
        &self,
        payment: &PaymentId,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let requested = || {
            let fact = fact(payment, RefundStatus::Requested, None);
            Outcome::Refund(RefundFact { refund: Some(name(call.now)), ..fact })
        };
        let order = self.order(payment.as_str()).await.map_err(Fault::steady)?;
        match order.as_ref().and_then(state) {
            Some(known) if known.status == RefundStatus::Requested => return Ok(requested()),
            Some(known) if known.status == RefundStatus::Done => return Ok(Outcome::Refund(known)),
            _ => {}
        }
        let Some(email) = &self.contact else {
            let says = format!(
                "Noventiq wants an address for its answer: set providers.{NAME}.contact_email, and \
                 ask for the refund in the Merchant Portal"
            );
            return Err(ProviderError::Reject { says });
        };
        let request = json!({ "description": WHY, "email": email });
        let path = format!("{ORDERS}/{}/refund", segment(payment.as_str()));
        match self.client.post(&path, &request).await {
            Ok(_) => Ok(requested()),
            // There is a request under way already: perhaps the one whose answer was lost.
            Err(fault) if !call.first && matches!(fault.status(), Some(400 | 409)) => {
                Ok(requested())
            }
            Err(fault) => Err(fault.unsure(Fault::steady)),
        }
    }

    /// How a request stands; a person looks when nobody answers it.
    pub(super) async fn refund_state(
        &self,
        payment: &str,
        refund: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<RefundFact>, Fault> {
        let order = self.order(payment).await?;
        let known = order.as_ref().and_then(state);
        if known.as_ref().is_some_and(|known| known.status != RefundStatus::Requested) {
            return Ok(known);
        }
        let asked = refund.and_then(asked_at);
        if asked.is_some_and(|at| now.since(at) >= ANSWERED_WITHIN) {
            let days = ANSWERED_WITHIN.secs() / (24 * 3600);
            let says = format!("Noventiq did not answer the request within {days} days");
            return Ok(Some(fact(&PaymentId::from(payment), RefundStatus::Unknown, Some(says))));
        }
        Ok(None)
    }
}
