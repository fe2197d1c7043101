//! Payments and refunds as Square tells of them.

use serde_json::{Value, json};

use super::{Square, client::text, error::Fault};
use crate::{
    clock::Timestamp,
    id::PaymentId,
    money::Money,
    provider::{Call, Outcome, ProviderError, rest::segment},
    sale::payment::{Fee, PaymentFact, PaymentStatus, RefundFact, RefundStatus},
};

/// What the buyer and the seller read beside a refund.
const REASON: &str = "Paid after the last unit was taken, or twice";

/// Reads a Payment object. `None` for a status we do not know: it says nothing yet.
///
/// Dated by its creation: `updated_at` moves with every fee and refund.
pub(super) fn payment_fact(payment: &Value) -> Option<PaymentFact> {
    let money = |name: &str| serde_json::from_value::<Money>(payment[name].clone()).ok();
    Some(PaymentFact {
        id: PaymentId::from(payment["id"].as_str()?),
        hold: None,
        checkout: None,
        order: payment["order_id"].as_str().map(str::to_owned),
        amount: money("total_money").or_else(|| money("amount_money"))?,
        tip: money("tip_money").map_or(0, |money| money.minor),
        discount: 0,
        refunded: money("refunded_money").map_or(0, |money| money.minor),
        status: match payment["status"].as_str()? {
            "COMPLETED" => PaymentStatus::Completed,
            "CANCELED" | "FAILED" => PaymentStatus::Failed,
            "APPROVED" | "PENDING" => PaymentStatus::Pending,
            _ => return None,
        },
        at: payment["created_at"].as_str().and_then(Timestamp::parse_rfc3339).unwrap_or_default(),
        link: payment["receipt_url"].as_str().map(str::to_owned),
        fee: fee(payment),
        as_of: updated(payment),
    })
}

/// What Square keeps: the first fee and later adjustments, which refunds make. It is not there yet
/// when a payment has just become `COMPLETED`; another `payment.updated` brings it.
fn fee(payment: &Value) -> Option<Fee> {
    let parts = payment["processing_fee"].as_array().filter(|parts| !parts.is_empty())?;
    let parts: Vec<Money> = parts
        .iter()
        .filter_map(|part| serde_json::from_value(part["amount_money"].clone()).ok())
        .collect();
    let money = Money::new(parts.iter().map(|part| part.minor).sum(), parts.first()?.currency);
    Some(Fee { money, as_of: updated(payment).unwrap_or_default() })
}

/// When it was last changed.
fn updated(object: &Value) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(object["updated_at"].as_str()?)
}

/// Reads a PaymentRefund object.
pub(super) fn refund_fact(refund: &Value) -> Option<RefundFact> {
    let status = refund["status"].as_str().unwrap_or_default();
    Some(RefundFact {
        payment: PaymentId::from(refund["payment_id"].as_str()?),
        refund: refund["id"].as_str().map(str::to_owned),
        status: match status {
            "COMPLETED" => RefundStatus::Done,
            "REJECTED" | "FAILED" => RefundStatus::Failed,
            _ => RefundStatus::Requested,
        },
        amount: refund.pointer("/amount_money/amount").and_then(Value::as_i64),
        says: matches!(status, "REJECTED" | "FAILED").then(|| format!("Square says {status}")),
        as_of: updated(refund),
    })
}

impl Square {
    /// Gives money back.
    pub(super) async fn refund(
        &self,
        payment: &PaymentId,
        amount: Money,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let body = json!({
            "idempotency_key": call.key,
            "payment_id": payment,
            "amount_money": amount,
            "reason": REASON,
        });
        let answer = match self.client.post("/v2/refunds", &body).await {
            Ok(answer) => answer,
            Err(fault) => return refund_refused(payment, fault),
        };
        match refund_fact(&answer["refund"]) {
            Some(fact) => Ok(Outcome::Refund(RefundFact { payment: payment.clone(), ..fact })),
            None => Err(ProviderError::Retry {
                says: "Square answered without the refund".to_owned(),
                after: None,
            }),
        }
    }

    /// Reads a payment.
    pub(super) async fn payment(&self, id: &str) -> Result<Value, Fault> {
        let mut answer = self.client.get(&format!("/v2/payments/{}", segment(id))).await?;
        text(&answer, "/payment/id")?;
        Ok(answer["payment"].take())
    }

    /// How a refund stands; without its id, what the payment says of refunds.
    pub(super) async fn refund_state(
        &self,
        payment: &str,
        refund: Option<&str>,
    ) -> Result<Option<RefundFact>, Fault> {
        let refund = match refund {
            Some(refund) => refund.to_owned(),
            None => {
                let payment = self.payment(payment).await?;
                let newest = payment["refund_ids"].as_array().and_then(|all| all.last()?.as_str());
                let Some(newest) = newest else { return Ok(None) };
                newest.to_owned()
            }
        };
        let answer = self.client.get(&format!("/v2/refunds/{}", segment(&refund))).await?;
        let fact = refund_fact(&answer["refund"]);
        Ok(fact.map(|fact| RefundFact { payment: PaymentId::from(payment), ..fact }))
    }
}

fn refund_refused(payment: &PaymentId, fault: Fault) -> Result<Outcome, ProviderError> {
    if fault.is("REFUND_ALREADY_PENDING") {
        return Ok(Outcome::Refund(RefundFact {
            payment: payment.clone(),
            refund: None,
            status: RefundStatus::Requested,
            amount: None,
            says: None,
            as_of: None,
        }));
    }
    if fault.is("REFUND_ERROR_PAYMENT_NEEDS_COMPLETION") {
        return Err(ProviderError::Retry { says: fault.says(), after: None });
    }
    Err(fault.steady())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fee_is_the_first_one_and_what_was_adjusted_and_nothing_while_untold() {
        let part = |amount: i64| json!({ "amount_money": { "amount": amount, "currency": "USD" } });
        let payment = |parts: Value| {
            let total = json!({ "amount": 1800, "currency": "USD" });
            let payment = json!({
                "id": "P1", "status": "COMPLETED", "total_money": total, "processing_fee": parts,
                "updated_at": "2026-01-01T00:00:01Z",
            });
            payment_fact(&payment).expect("a payment").fee.map(|fee| fee.money.minor)
        };
        assert_eq!(payment(Value::Null), None);
        assert_eq!(payment(json!([])), None);
        assert_eq!(payment(json!([part(82)])), Some(82));
        assert_eq!(payment(json!([part(82), part(-30)])), Some(52));
    }

    #[test]
    fn a_payment_is_dated_by_when_it_was_made_whatever_changes_later() {
        let total = json!({ "amount": 1800, "currency": "USD" });
        let payment = json!({
            "id": "P1", "status": "COMPLETED", "total_money": total,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:05:00Z",
        });
        let fact = payment_fact(&payment).expect("a payment");
        assert_eq!(Some(fact.at), Timestamp::parse_rfc3339("2026-01-01T00:00:00Z"));
        assert_eq!(fact.as_of, Timestamp::parse_rfc3339("2026-01-01T00:05:00Z"));
    }

    #[test]
    fn a_refund_is_done_when_square_says_so_and_no_sooner() {
        let status = |status: &str| {
            let refund = json!({ "payment_id": "P1", "id": "R1", "status": status });
            refund_fact(&refund).expect("a refund").status
        };
        assert_eq!(status("COMPLETED"), RefundStatus::Done);
        for failed in ["REJECTED", "FAILED"] {
            assert_eq!(status(failed), RefundStatus::Failed);
        }
        for not_yet in ["PENDING", "", "SOMETHING_NEW"] {
            assert_eq!(status(not_yet), RefundStatus::Requested, "{not_yet}");
        }
    }

    #[test]
    fn a_refund_that_is_refused_for_now_is_no_failure() {
        let fault = |code: &str| {
            let body = json!({ "errors": [{ "category": "REFUND_ERROR", "code": code }] });
            Fault::read(400, None, body.to_string().as_bytes())
        };
        let payment = PaymentId::from("P1");
        let under_way = refund_refused(&payment, fault("REFUND_ALREADY_PENDING"));
        let Ok(Outcome::Refund(fact)) = under_way else { panic!("{under_way:?}") };
        assert_eq!(fact.status, RefundStatus::Requested);
        let not_yet = refund_refused(&payment, fault("REFUND_ERROR_PAYMENT_NEEDS_COMPLETION"));
        assert!(matches!(not_yet, Err(ProviderError::Retry { .. })), "{not_yet:?}");
        let no = refund_refused(&payment, fault("REFUND_AMOUNT_INVALID"));
        assert!(matches!(no, Err(ProviderError::Reject { .. })), "{no:?}");
    }
}
