//! The end of a buyer's time. A link cannot be taken back, so all there is to do is to look
//! whether it was paid, and to say honestly that it can still be.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Noventiq, ORDERS, SEARCH,
    options::{AfterHold, Options},
    order::{Order, ids},
};
use crate::{
    clock::{Span, Timestamp},
    id::{CheckoutId, HoldId},
    provider::{
        ProviderError,
        rest::{Fault, segment},
    },
    sale::{
        Sale,
        event::CloseAnswer,
        hold::{Hold, HoldState},
    },
};

/// Who pressed *Continue* this lately is waited for.
const PAYING_FOR: Span = Span::from_secs(120);

/// Orders looked at for one link; only one can be placed.
const ORDERS_MAX: usize = 5;

/// What is to become of a link: frozen with the effect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    /// Whether a buyer was ever given it.
    pub shown: bool,
    /// Whether its units go back although it can be paid.
    pub give_back: bool,
}

/// Decides what becomes of a hold's link.
pub(super) fn ending(
    sale: &Sale,
    id: HoldId,
    page: Option<&CheckoutId>,
    options: &Options,
) -> Ending {
    let Some(hold) = sale.hold(id) else { return Ending::default() };
    let give_back = match options.after_hold {
        AfterHold::StrictForever => false,
        AfterHold::Strict => options.allow_surplus,
        AfterHold::Overbook => {
            options.allow_surplus && given_back(sale, hold) + hold.units <= options.overbook
        }
    };
    // One kept in reserve, or made in an answer that was lost, is known to nobody who could pay.
    Ending { shown: hold.opened_at.is_some() && page.is_some(), give_back }
}

/// Units given back, or on their way back, before this hold's.
fn given_back(sale: &Sale, this: &Hold) -> u32 {
    let turn = |hold: &Hold| match hold.state {
        HoldState::Closing { since, .. } => Some((since, hold.id.n)),
        _ => None,
    };
    let before = |hold: &Hold| match hold.state {
        HoldState::Released { .. } => hold.opened_at.is_some(),
        HoldState::Closing { .. } => {
            hold.opened_at.is_some() && turn(this).is_none_or(|own| turn(hold) < Some(own))
        }
        _ => false,
    };
    let others = sale.holds().filter(|hold| hold.id != this.id);
    others.filter(|hold| before(hold)).map(|hold| hold.units).sum()
}

impl Noventiq {
    pub(super) async fn close(
        &self,
        page: Option<&CheckoutId>,
        ending: &Ending,
        now: Timestamp,
    ) -> Result<CloseAnswer, ProviderError> {
        let Some(page) = page.filter(|_| ending.shown) else { return Ok(CloseAnswer::Closed) };
        let cannot = || CloseAnswer::CannotClose {
            says: "Noventiq has no way to take a link back".to_owned(),
        };
        match self.order_of(page).await {
            Ok(Some(order)) => {
                if let Some(fact) = order.fact() {
                    return Ok(CloseAnswer::AlreadyPaid {
                        payment: Box::new(fact),
                        more: Vec::new(),
                    });
                }
                let paying = order
                    .created
                    .is_some_and(|at| self.client.drift().theirs(now).since(at) < PAYING_FOR);
                if ending.give_back && paying && order.status == "not paid" {
                    return Ok(CloseAnswer::PaymentPending);
                }
            }
            Ok(None) => {}
            // It stays taken whatever the answer would have been.
            Err(_) if !ending.give_back => return Ok(cannot()),
            Err(fault) => return Err(fault.steady()),
        }
        Ok(if ending.give_back { CloseAnswer::Closed } else { cannot() })
    }

    /// The order placed with a link, if any.
    pub(super) async fn order_of(&self, page: &CheckoutId) -> Result<Option<Order>, Fault> {
        if page.as_str().starts_with("link:") {
            return Ok(None);
        }
        let found = self.client.post(SEARCH, &json!({ "external_id": page })).await?;
        let mut last = None;
        for id in ids(&found).iter().take(ORDERS_MAX) {
            let order = self.order(id).await?;
            // A filter that the server does not know is no filter at all.
            let ours = order.filter(|order| order.page.as_ref() == Some(page));
            if ours.as_ref().is_some_and(|order| order.fact().is_some()) {
                return Ok(ours);
            }
            last = ours.or(last);
        }
        Ok(last)
    }

    /// Reads an order; `None` if there is none of that id.
    pub(super) async fn order(&self, id: &str) -> Result<Option<Order>, Fault> {
        let answer: Value = match self.client.get(&format!("{ORDERS}/{}", segment(id))).await {
            Ok(answer) => answer,
            Err(fault) if fault.is_not_found() => return Ok(None),
            Err(fault) => return Err(fault),
        };
        match Order::read(&answer) {
            Some(order) if order.id == id => Ok(Some(order)),
            _ => Err(Fault::Lost(format!("Noventiq answered without the order {id}"))),
        }
    }
}
