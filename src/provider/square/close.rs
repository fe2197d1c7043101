//! Closing a page so that it can certainly not be paid any more.
//!
//! A deleted link whose answer names no cancelled order was seen to stay payable, so the order
//! itself is cancelled then, and whatever was paid on it is reported.

use serde_json::{Value, json};

use super::{Square, client::text, error::Fault, money::payment_fact};
use crate::{
    clock::{Span, Timestamp},
    provider::{Call, ProviderError, rest::segment},
    sale::{
        event::CloseAnswer,
        payment::{PaymentFact, PaymentStatus},
    },
};

/// An order that changes while we cancel it is read and cancelled again this often.
const TRIES: u32 = 3;

/// An order this young may only not be visible yet (seen for a moment right after an event).
const SETTLES: Span = Span::from_secs(600);

impl Square {
    /// Closes whatever one order of a hold made, known or not.
    pub(super) async fn close(
        &self,
        link: Option<&str>,
        body: &Value,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        let made_at = body["made_at"].as_i64().map_or(call.now, Timestamp::from_millis);
        match (link, body["order"].as_str()) {
            (Some(link), Some(order)) => self.close_page(Some(link), order, made_at, call).await,
            (link, _) => {
                let mark = body["mark"].as_str().unwrap_or_default();
                match (link, self.find_link(mark).await?) {
                    (_, Some((link, order))) => {
                        self.close_page(Some(&link), &order, made_at, call).await
                    }
                    // Its making was given up, and it is not there: none was made.
                    (None, None) => Ok(CloseAnswer::Closed),
                    (Some(link), None) => self.close_unlisted(link).await,
                }
            }
        }
    }

    /// A link whose order we never learned.
    async fn close_unlisted(&self, link: &str) -> Result<CloseAnswer, ProviderError> {
        match self.delete_link(link).await {
            Ok(Some(_)) => Ok(CloseAnswer::Closed),
            Ok(None) => Ok(CloseAnswer::CannotClose {
                says: "Square deleted the link and did not say that its order is cancelled"
                    .to_owned(),
            }),
            Err(fault) if fault.is_not_found() => Ok(CloseAnswer::Closed),
            Err(fault) => Err(fault.steady()),
        }
    }

    pub(super) async fn close_page(
        &self,
        link: Option<&str>,
        order: &str,
        made_at: Timestamp,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        if let Some(link) = link {
            match self.delete_link(link).await {
                Ok(Some(cancelled)) if cancelled == order => return Ok(CloseAnswer::Closed),
                Ok(_) => {}
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(fault.steady()),
            }
        }
        self.cancel_order(order, made_at, call).await
    }

    async fn cancel_order(
        &self,
        id: &str,
        made_at: Timestamp,
        call: &Call,
    ) -> Result<CloseAnswer, ProviderError> {
        let mut refused = None;
        for _ in 0..TRIES {
            let order = match self.order(id).await {
                Ok(order) => order,
                // What does not exist cannot be paid; what is not visible yet can.
                Err(fault) if fault.is_not_found() && call.now.since(made_at) > SETTLES => {
                    return Ok(CloseAnswer::Closed);
                }
                Err(fault) if fault.is_not_found() => {
                    let says = "Square does not show the order of a link".to_owned();
                    return Err(ProviderError::Retry { says, after: None });
                }
                Err(fault) => return Err(fault.steady()),
            };
            if let Some(answer) = self.paid_on(&order).await? {
                return Ok(answer);
            }
            if order["state"] == "CANCELED" {
                return Ok(CloseAnswer::Closed);
            }
            if let Some(says) = refused {
                return Ok(CloseAnswer::CannotClose { says });
            }
            match self.cancel(id, &order, call).await {
                Ok(state) if state == "CANCELED" => return Ok(CloseAnswer::Closed),
                Ok(_) => {}
                Err(fault) if fault.is_conflict() => {}
                Err(fault) => match fault.steady() {
                    // A payment may have come in between: look once more before giving up.
                    ProviderError::Reject { says } => refused = Some(says),
                    error => return Err(error),
                },
            }
        }
        match refused {
            Some(says) => Ok(CloseAnswer::CannotClose { says }),
            None => {
                let says = "the order keeps changing while it is cancelled".to_owned();
                Err(ProviderError::Retry { says, after: None })
            }
        }
    }

    /// Cancels an order as it was read; answers the state it has then.
    async fn cancel(&self, id: &str, order: &Value, call: &Call) -> Result<String, Fault> {
        let version = order["version"].as_i64().unwrap_or(1);
        let mut change = json!({
            "location_id": self.location,
            "version": version,
            "state": "CANCELED",
        });
        let open = |one: &&Value| {
            !matches!(one["state"].as_str(), Some("COMPLETED" | "CANCELED" | "FAILED"))
        };
        let fulfillments = order["fulfillments"].as_array().map(Vec::as_slice).unwrap_or_default();
        let cancelled: Vec<Value> = fulfillments
            .iter()
            .filter(open)
            .filter_map(|one| Some(json!({ "uid": one["uid"].as_str()?, "state": "CANCELED" })))
            .collect();
        if !cancelled.is_empty() {
            change["fulfillments"] = Value::from(cancelled);
        }
        // A repeated key would answer 200 and change nothing, so each version has its own.
        let body = json!({
            "order": change,
            "idempotency_key": format!("{}-{version}", call.key),
        });
        let answer = self.client.put(&format!("/v2/orders/{}", segment(id)), &body).await?;
        text(&answer, "/order/state").map(str::to_owned)
    }

    /// The payments on an order, if they cover it or one is under way.
    async fn paid_on(&self, order: &Value) -> Result<Option<CloseAnswer>, ProviderError> {
        let mut pending = false;
        let mut paid = Vec::new();
        for id in payment_ids(order) {
            let payment = self.payment(&id).await.map_err(Fault::steady)?;
            match payment_fact(&payment) {
                Some(fact) if fact.status == PaymentStatus::Completed => paid.push(fact),
                Some(fact) if fact.status == PaymentStatus::Failed => {}
                Some(_) | None => pending = true,
            }
        }
        // A gift card may pay for a part, and nothing for the rest.
        if covers(order, &paid) {
            let mut paid = paid.into_iter();
            let payment = paid.next().map(Box::new);
            return Ok(
                payment.map(|payment| CloseAnswer::AlreadyPaid { payment, more: paid.collect() })
            );
        }
        Ok(pending.then_some(CloseAnswer::PaymentPending))
    }
}

/// Whether these payments come to what an order asks for.
fn covers(order: &Value, paid: &[PaymentFact]) -> bool {
    let money = |name: &str| order.pointer(&format!("/{name}/amount")).and_then(Value::as_i64);
    let sum = paid.iter().fold(0_i64, |sum, one| sum.saturating_add(one.amount.minor));
    match (money("total_money"), money("net_amount_due_money")) {
        _ if paid.is_empty() => false,
        (Some(total), _) => sum >= total,
        (None, Some(due)) => due <= 0,
        (None, None) => true,
    }
}

/// The payments that an order names.
pub(super) fn payment_ids(order: &Value) -> Vec<String> {
    let tenders = order["tenders"].as_array().map(Vec::as_slice).unwrap_or_default();
    let id = |tender: &Value| {
        let id = tender["payment_id"].as_str().or(tender["id"].as_str())?;
        Some(id.to_owned())
    };
    tenders.iter().filter_map(id).collect()
}
