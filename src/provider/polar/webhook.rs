//! Webhooks: the signature under either form of the key, and what an event says.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

use super::{
    Polar,
    money::{is_ours, order_fact, refund_fact},
};
use crate::{
    clock::Timestamp,
    provider::{Delivery, News, Verified, Webhook, WebhookError, signature},
    secret::Secret,
};

/// Secrets are often written without their padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys that a secret stands for. Polar's own form is the bytes of the whole text; the
/// standard's is what the text behind `whsec_` decodes to. Which one an endpoint uses cannot be
/// seen from the secret.
pub(super) fn keys(secret: &Secret) -> Vec<Vec<u8>> {
    let secret = secret.expose().trim();
    if secret.is_empty() {
        return Vec::new();
    }
    let standard = LENIENT.decode(secret.strip_prefix("whsec_").unwrap_or(secret)).ok();
    let whole = secret.as_bytes().to_vec();
    std::iter::once(whole).chain(standard.filter(|key| !key.is_empty())).collect()
}

impl Polar {
    pub(super) fn check_signature(
        &self,
        webhook: &Webhook,
        now: Timestamp,
    ) -> Result<Verified, WebhookError> {
        let (id, verified) = signature::standard(&self.keys, webhook, now)?;
        Ok(verified.with_id(id))
    }
}

/// Counts an order on `order.paid` only; before that it may still come to nothing.
pub(super) fn read_event(webhook: &Verified) -> Result<Delivery, WebhookError> {
    let garbage = |what: &str| WebhookError::Garbage(what.to_owned());
    let event: Value =
        serde_json::from_slice(webhook.body()).map_err(|_| garbage("it is not JSON"))?;
    let kind = event["type"].as_str().ok_or_else(|| garbage("it has no type"))?;
    // What was changed says itself as of when; else the event does.
    let mut data = event["data"].clone();
    if data.is_object() && data["modified_at"].is_null() {
        data["modified_at"] = event["timestamp"].clone();
    }
    let data = &data;
    let about = |name: &str| {
        data["id"].as_str().map(drop).ok_or_else(|| garbage(&format!("its {name} has no id")))
    };
    let news = match kind {
        // An order that goes back: to paid after a refund that failed.
        "order.updated" => {
            about("order")?;
            let ours = Some(data).filter(|order| is_ours(order));
            ours.and_then(order_fact).map(News::Correction).into_iter().collect()
        }
        "order.paid" | "order.refunded" => {
            about("order")?;
            let ours = Some(data).filter(|order| is_ours(order));
            ours.and_then(order_fact).map(News::Payment).into_iter().collect()
        }
        "refund.created" | "refund.updated" => {
            about("refund")?;
            refund_fact(data).map(News::Refund).into_iter().collect()
        }
        _ => Vec::new(),
    };
    let id = webhook.id().ok_or_else(|| garbage("it has no id"))?;
    Ok(Delivery { id: format!("{kind}:{id}"), news })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = concat!(
        r#"{"type":"order.paid","timestamp":"2026-01-01T00:00:00Z","api_version":"2026-10","#,
        r#""data":{"id":"11111111-2222-4333-8444-555555555555","status":"paid"}}"#
    );

    fn check(secret: &str, id: &str, at: i64, body: &str, signature: &str) -> bool {
        let headers = [
            ("webhook-id", id),
            ("webhook-timestamp", &at.to_string()),
            ("webhook-signature", signature),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let webhook = Webhook { headers: headers.to_vec(), body: body.as_bytes().to_vec() };
        let now = Timestamp::from_millis((at + 10) * 1000);
        signature::standard(&keys(&Secret::from(secret)), &webhook, now).is_ok()
    }

    /// Computed with Polar's own verifier, and the standard's own example.
    #[test]
    fn both_forms_of_the_key_verify() {
        let secret = "whsec_polarExampleSecret0123456789abcdefgh";
        let id = "5f0c3f1e-6f6c-4f5e-9c2b-0a1b2c3d4e5f";
        let at = 1_767_225_600;
        for signature in [
            "v1,iueZpyjyoYutv00X0Y2etwTthPyufj4NSgSC1zP2220=",
            "v1,bfGHwO78sQRd6A6zoWi5SgRtAGhFNap8v5p7DrUwdaM=",
        ] {
            assert!(check(secret, id, at, BODY, signature), "{signature}");
            let among = format!("v2,x v1,AAAA {signature}");
            assert!(check(secret, id, at, BODY, &among), "one of several");
            assert!(!check(secret, id, at + 1, BODY, signature), "another time");
            assert!(!check(secret, "other", at, BODY, signature), "another id");
            assert!(!check("whsec_other", id, at, BODY, signature), "another secret");
            assert!(!check(secret, id, at, &format!("{BODY} "), signature), "another body");
        }
        assert!(check(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            r#"{"test": 2432232314}"#,
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ));
    }

    #[test]
    fn no_secret_is_no_key() {
        assert!(keys(&Secret::from("")).is_empty() && keys(&Secret::from("  ")).is_empty());
        // Chosen by hand, and no base64: the whole text is the only form.
        assert_eq!(keys(&Secret::from("my secret!")), [b"my secret!".to_vec()]);
    }
}
