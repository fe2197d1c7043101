//! Orders and refunds as Polar tells of them.

use serde_json::{Value, json};

use super::{Polar, options::MARK, page::money};
use crate::{
    clock::Timestamp,
    id::{CheckoutId, PaymentId},
    provider::{
        Call, Outcome, ProviderError,
        rest::{Fault, segment},
    },
    sale::payment::{Fee, PaymentFact, PaymentStatus, RefundFact, RefundStatus},
};

const REFUNDS: &str = "/v1/refunds/";

/// What only the seller reads beside a refund.
const COMMENT: &str = "Paid after the last unit was taken, or twice";

/// Whether an order carries our mark; sellers sell other things, too.
pub(super) fn is_ours(order: &Value) -> bool {
    order["metadata"][format!("{MARK}_hold")].is_string()
}

/// Reads an Order object. `None` for one that is no payment so far.
pub(super) fn order_fact(order: &Value) -> Option<PaymentFact> {
    let amount = money(&order["total_amount"], &order["currency"])?;
    let mut status = PaymentStatus::Completed;
    let refunded = match order["status"].as_str()? {
        "paid" => 0,
        "pending" => {
            status = PaymentStatus::Pending;
            0
        }
        "void" => {
            status = PaymentStatus::Failed;
            0
        }
        "refunded" => amount.minor,
        "partially_refunded" => {
            let left = |name: &str| order[name].as_i64();
            let net = left("refundable_amount").unwrap_or(amount.minor);
            (amount.minor - net - left("refundable_tax_amount").unwrap_or(0)).max(0)
        }
        _ => return None,
    };
    let hold = order["metadata"][format!("{MARK}_hold")].as_str();
    Some(PaymentFact {
        id: PaymentId::from(order["id"].as_str()?),
        hold: hold.and_then(|hold| hold.parse().ok()),
        checkout: order["product_id"].as_str().map(CheckoutId::from),
        order: order["checkout_id"].as_str().map(str::to_owned),
        amount,
        tip: 0,
        discount: own_discount(order),
        refunded,
        status,
        at: order["created_at"].as_str().and_then(Timestamp::parse_rfc3339).unwrap_or_default(),
        link: None,
        fee: fee(order),
        as_of: stamp(order, "modified_at"),
    })
}

/// What the shop's own discount took off: the one that the page was made with.
fn own_discount(order: &Value) -> i64 {
    let ours = order["metadata"][format!("{MARK}_discount")].as_str();
    let own = ours.is_some() && order["discount_id"].as_str() == ours;
    if own { order["discount_amount"].as_i64().unwrap_or(0).max(0) } else { 0 }
}

fn stamp(object: &Value, name: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(object[name].as_str()?)
}

/// What Polar keeps; without the fee's currency, nothing is known yet.
fn fee(order: &Value) -> Option<Fee> {
    let money = money(&order["platform_fee_amount"], &order["platform_fee_currency"])?;
    let as_of = stamp(order, "modified_at").or_else(|| stamp(order, "created_at"));
    let as_of = as_of.unwrap_or_default();
    Some(Fee { money, as_of })
}

/// Reads a Refund object. Its amount is net of tax, ours is what the buyer paid.
pub(super) fn refund_fact(refund: &Value) -> Option<RefundFact> {
    let status = refund["status"].as_str().unwrap_or_default();
    let failed = matches!(status, "failed" | "canceled");
    let tax = refund["tax_amount"].as_i64().unwrap_or(0);
    Some(RefundFact {
        payment: PaymentId::from(refund["order_id"].as_str()?),
        refund: refund["id"].as_str().map(str::to_owned),
        status: match status {
            "succeeded" => RefundStatus::Done,
            _ if failed => RefundStatus::Failed,
            _ => RefundStatus::Requested,
        },
        amount: refund["amount"].as_i64().map(|net| net + tax),
        says: failed.then(|| format!("Polar says {status}")),
        as_of: stamp(refund, "modified_at"),
    })
}

impl Polar {
    /// Gives back whatever can be given back of an order. Without keys to repeat by, what is there
    /// is looked at first.
    pub(super) async fn refund(
        &self,
        payment: &PaymentId,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        if !call.first
            && let Some(fact) =
                self.refund_state(payment.as_str(), None).await.map_err(Fault::steady)?
            && fact.status != RefundStatus::Failed
        {
            return Ok(Outcome::Refund(fact));
        }
        let path = format!("/v1/orders/{}", segment(payment.as_str()));
        let order = self.client.get(&path).await.map_err(Fault::steady)?;
        let left = order["refundable_amount"].as_i64();
        if order["status"] == "refunded" || left.is_some_and(|left| left <= 0) {
            return Ok(Outcome::Refund(done(payment)));
        }
        let Some(left) = left else {
            let says = "Polar does not say what can be given back".to_owned();
            return Err(ProviderError::Retry { says, after: None });
        };
        let request = json!({
            "order_id": payment,
            "amount": left,
            "reason": "other",
            "comment": COMMENT,
            "revoke_benefits": true,
        });
        match self.client.post(REFUNDS, &request).await {
            Ok(refund) => match refund_fact(&refund) {
                Some(fact) => Ok(Outcome::Refund(fact)),
                None => Err(Fault::Lost("Polar answered without the refund".to_owned())
                    .unsure(Fault::steady)),
            },
            Err(fault) if fault.is("RefundedAlready") => Ok(Outcome::Refund(
                self.refund_state(payment.as_str(), None)
                    .await
                    .map_err(Fault::steady)?
                    .unwrap_or_else(|| done(payment)),
            )),
            // A no for good, under a status that usually means the token.
            Err(fault) if fault.is("RefundDisputedPayment") || fault.is("RefundsBlocked") => {
                Err(fault.hasty())
            }
            Err(fault) => Err(fault.unsure(Fault::steady)),
        }
    }

    /// How a refund stands; without its id, the newest of the order.
    pub(super) async fn refund_state(
        &self,
        payment: &str,
        refund: Option<&str>,
    ) -> Result<Option<RefundFact>, Fault> {
        let path = format!("{REFUNDS}?order_id={}&sorting=-created_at", segment(payment));
        let all = self.client.all(&path).await?;
        let of_order = |one: &&Value| one["order_id"] == payment;
        let wanted = |one: &&Value| refund.is_none_or(|id| one["id"] == id);
        Ok(all.iter().filter(of_order).find(wanted).and_then(refund_fact))
    }
}

fn done(payment: &PaymentId) -> RefundFact {
    RefundFact {
        payment: payment.clone(),
        refund: None,
        status: RefundStatus::Done,
        amount: None,
        says: None,
        as_of: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(status: &str) -> Value {
        json!({
            "id": "O1", "status": status, "total_amount": 1800, "currency": "usd",
            "net_amount": 1500, "tax_amount": 300, "refundable_amount": 1000,
            "refundable_tax_amount": 200, "product_id": "P1", "checkout_id": "C1",
        })
    }

    #[test]
    fn only_money_is_a_payment_and_refunds_count_with_their_tax() {
        for status in ["draft", "pondering"] {
            assert_eq!(order_fact(&order(status)), None, "{status}");
        }
        let how_far = |status| order_fact(&order(status)).expect("an order").status;
        assert_eq!(how_far("pending"), PaymentStatus::Pending);
        assert_eq!(how_far("void"), PaymentStatus::Failed);
        let refunded = |status| order_fact(&order(status)).expect("money").refunded;
        assert_eq!(refunded("paid"), 0);
        assert_eq!(refunded("partially_refunded"), 600);
        assert_eq!(refunded("refunded"), 1800);
        assert_eq!(order_fact(&order("paid")).expect("money").fee, None, "not told yet");
        let mut told = order("paid");
        told["platform_fee_amount"] = 112.into();
        told["platform_fee_currency"] = "usd".into();
        let fee = order_fact(&told).expect("money").fee.map(|fee| fee.money.minor);
        assert_eq!(fee, Some(112));
        let refund = json!({ "order_id": "O1", "id": "R", "status": "succeeded", "amount": 1500,
                             "tax_amount": 300 });
        assert_eq!(refund_fact(&refund).and_then(|fact| fact.amount), Some(1800));
    }
}
