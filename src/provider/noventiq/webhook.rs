//! Webhooks: hints that an order is worth reading. Their signature covers neither status nor
//! amount nor product, carries no time and is the same for every repeat, so that nothing is booked
//! on their word.

use serde_json::Value;

use super::{Noventiq, order::word};
use crate::{
    provider::{
        Delivery, News, ProviderError, Verified, Webhook, WebhookError, rest::Fault, signature,
    },
    secret::Secret,
};

/// The signed values, in their order (the "Send webhooks" reference).
const SIGNED: [&str; 6] = [
    "/event",
    "/order_id",
    "/create_date",
    "/payment/payment_method",
    "/currency",
    "/customer/email",
];

/// Events after which money may have moved.
const MONEY: [&str; 2] = ["order.payment.succeeded", "product.returned"];

impl Noventiq {
    pub(super) fn check_signature(&self, webhook: &Webhook) -> Result<Verified, WebhookError> {
        let body: Value =
            serde_json::from_slice(&webhook.body).map_err(|_| WebhookError::Signature)?;
        // Values exactly as they stand in the body.
        let fields = SIGNED.map(|path| match body.pointer(path) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            Some(other) => other.to_string(),
        });
        signature::over_fields(&self.secrets, &fields, "signature", webhook)
    }

    /// Reads the orders that a webhook is about: what they say is what counts.
    pub(super) async fn read_orders(&self, delivery: Delivery) -> Result<Delivery, ProviderError> {
        let mut read = Delivery { news: Vec::new(), ..delivery };
        for one in delivery.news {
            let News::Hint { order: id } = one else {
                read.news.push(one);
                continue;
            };
            let Some(order) = self.order(&id).await.map_err(Fault::steady)? else { continue };
            let returned = read.id.starts_with("product.returned");
            // The same event may come before and after the order says so.
            read.id = format!("{}:{}", read.id, order.status);
            // One without our reference may still have been placed with a link of ours: the
            // questions, which know the links, find it.
            let ours = order.fact().filter(|fact| fact.hold.is_some());
            read.news.extend(ours.map(News::Payment));
            read.news.extend(order.returned().filter(|_| returned).map(News::Refund));
        }
        Ok(read)
    }
}

/// A secret and, where it is a list, each of its parts: one for each webhook.
pub(super) fn secrets(text: &str) -> Vec<Secret> {
    let whole = text.trim();
    let parts = whole.split(',').map(str::trim).filter(|part| *part != whole);
    let all = std::iter::once(whole).chain(parts);
    all.filter(|one| !one.is_empty()).map(Secret::from).collect()
}

/// What a webhook is about: one comes for each product of an order.
pub(super) fn read_event(webhook: &Verified) -> Result<Delivery, WebhookError> {
    let garbage = |what: &str| WebhookError::Garbage(what.to_owned());
    let body: Value =
        serde_json::from_slice(webhook.body()).map_err(|_| garbage("it is not JSON"))?;
    let event = body["event"].as_str().ok_or_else(|| garbage("it names no event"))?;
    let order = word(&body["order_id"]).ok_or_else(|| garbage("it names no order"))?;
    let part = body["document_part"].as_str().unwrap_or_default();
    let id = format!("{event}:{order}:{part}");
    let worth_reading = MONEY.contains(&event) || body["status"] == "paid";
    let news = worth_reading.then_some(News::Hint { order }).into_iter().collect();
    Ok(Delivery { id, news })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_may_be_several() {
        let all = |text: &[&str]| text.iter().map(|one| Secret::from(*one)).collect::<Vec<_>>();
        assert_eq!(secrets(" one "), all(&["one"]));
        assert_eq!(secrets("one, two"), all(&["one, two", "one", "two"]));
        assert!(secrets("").is_empty() && secrets(" ").is_empty());
    }

    #[test]
    fn only_money_is_worth_reading() {
        let read = |body: &str| read_event(&Verified::new(body.as_bytes().to_vec()));
        let created = read(r#"{"event":"order.created","order_id":5,"status":"not paid"}"#);
        assert_eq!(created.map(|one| one.news), Ok(vec![]));
        let paid = read(r#"{"event":"order.payment.succeeded","order_id":"5"}"#);
        assert_eq!(paid.map(|one| one.news), Ok(vec![News::Hint { order: "5".to_owned() }]));
        assert!(read(r#"{"order_id":5}"#).is_err() && read(r#"{"event":"x"}"#).is_err());
    }
}
