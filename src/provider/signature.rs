//! Signature checks for webhooks, all in one place: on the raw bytes, in constant time.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac;
use sha2::{Digest, Sha512};

use crate::{
    clock::{Span, Timestamp},
    mac::hmac_sha256,
    provider::{Verified, Webhook, WebhookError},
    secret::Secret,
};

/// How far a signed time may be from ours (Standard Webhooks, section "Verifying the timestamp").
const TOLERANCE: Span = Span::from_secs(300);

/// Checks a webhook after the Standard Webhooks specification with any of several raw keys;
/// answers its `webhook-id` too.
///
/// # Errors
/// Says whether the signature or the time is wrong.
pub fn standard(
    keys: &[Vec<u8>],
    webhook: &Webhook,
    now: Timestamp,
) -> Result<(String, Verified), WebhookError> {
    let header = |name| webhook.header(name).ok_or(WebhookError::Signature);
    let id = header("webhook-id")?;
    if id.is_empty() {
        // Two deliveries without an id would count as one.
        return Err(WebhookError::Signature);
    }
    let at = header("webhook-timestamp")?;
    let signatures = header("webhook-signature")?;
    let seconds: i64 = at.parse().map_err(|_| WebhookError::Signature)?;
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", at.as_bytes(), b".", &webhook.body];
    let fits = signatures
        .split(' ')
        .filter_map(|entry| entry.strip_prefix("v1,"))
        .filter_map(|entry| STANDARD.decode(entry).ok())
        .any(|given| keys.iter().any(|key| hmac_sha256(key, &parts).verify_slice(&given).is_ok()));
    if !fits {
        return Err(WebhookError::Signature);
    }
    let signed_at = Timestamp::from_millis(seconds.saturating_mul(1000));
    if now.since(signed_at) > TOLERANCE || signed_at.since(now) > TOLERANCE {
        return Err(WebhookError::Stale);
    }
    Ok((id.to_owned(), Verified::new(webhook.body.clone())))
}

/// Checks a webhook whose signature, base64 in the header `name`, covers the address it was sent
/// to and the raw body (Square's "Validate webhooks"), with any of several keys.
///
/// # Errors
/// If no key fits, or the body is empty.
pub fn with_address(
    keys: &[Secret],
    address: &str,
    name: &str,
    webhook: &Webhook,
) -> Result<Verified, WebhookError> {
    let given = webhook.header(name).ok_or(WebhookError::Signature)?;
    let given = STANDARD.decode(given).map_err(|_| WebhookError::Signature)?;
    let parts: [&[u8]; 2] = [address.as_bytes(), &webhook.body];
    let fits =
        |key: &Secret| hmac_sha256(key.expose().as_bytes(), &parts).verify_slice(&given).is_ok();
    // Every key is tried, so that the time taken does not tell which one fits.
    let fitting = keys.iter().filter(|key| fits(key)).count();
    if fitting == 0 || webhook.body.is_empty() {
        return Err(WebhookError::Signature);
    }
    Ok(Verified::new(webhook.body.clone()))
}

/// Checks a webhook whose signature, hexadecimal in the header `name`, is the plain SHA-512 of a
/// secret and a few values of the body, with semicolons between (Noventiq's "Send webhooks"), with
/// any of several secrets. It proves nothing about the rest of the body.
///
/// # Errors
/// If no secret fits.
pub fn over_fields(
    secrets: &[Secret],
    fields: &[String],
    name: &str,
    webhook: &Webhook,
) -> Result<Verified, WebhookError> {
    use subtle::ConstantTimeEq;
    let given = webhook.header(name).ok_or(WebhookError::Signature)?.trim().to_ascii_lowercase();
    let fits = |secret: &Secret| -> bool {
        hash_of_fields(secret.expose(), fields).as_bytes().ct_eq(given.as_bytes()).into()
    };
    // Every secret is tried, so that the time taken does not tell which one fits.
    match secrets.iter().filter(|secret| fits(secret)).count() {
        0 => Err(WebhookError::Signature),
        _ => Ok(Verified::new(webhook.body.clone())),
    }
}

fn hash_of_fields(secret: &str, fields: &[String]) -> String {
    let mut hash = Sha512::new().chain_update(secret);
    for field in fields {
        hash.update(";");
        hash.update(field);
    }
    hex::encode(hash.finalize())
}

/// The `webhook-signature` header for a body, after the Standard Webhooks specification.
pub fn sign_standard(key: &[u8], id: &str, at: Timestamp, body: &[u8]) -> String {
    let seconds = at.seconds().to_string();
    let parts: [&[u8]; 5] = [id.as_bytes(), b".", seconds.as_bytes(), b".", body];
    let signature = hmac_sha256(key, &parts).finalize().into_bytes();
    format!("v1,{}", STANDARD.encode(signature))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's reference libraries.
    fn example() -> (Vec<u8>, Webhook, Timestamp) {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64");
        let webhook = Webhook {
            headers: vec![
                ("webhook-id".into(), "msg_p5jXN8AQM9LWM0D4loKWxJek".into()),
                ("webhook-timestamp".into(), "1614265330".into()),
                (
                    "webhook-signature".into(),
                    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=".into(),
                ),
            ],
            body: br#"{"test": 2432232314}"#.to_vec(),
        };
        (key, webhook, Timestamp::from_millis(1_614_265_330_000))
    }

    #[test]
    fn the_published_example_verifies() {
        let (key, webhook, now) = example();
        let (id, verified) = standard(&[b"other".to_vec(), key], &webhook, now).expect("verifies");
        assert_eq!(
            (id.as_str(), verified.body()),
            ("msg_p5jXN8AQM9LWM0D4loKWxJek", &*webhook.body)
        );
    }

    #[test]
    fn anything_else_does_not() {
        let (key, webhook, now) = example();
        let keys = [key];
        let mut other = webhook.clone();
        other.body.push(b' ');
        assert_eq!(standard(&keys, &other, now).err(), Some(WebhookError::Signature));
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            let mut less = webhook.clone();
            less.headers.retain(|(key, _)| key != name);
            assert_eq!(standard(&keys, &less, now).err(), Some(WebhookError::Signature));
        }
        assert_eq!(standard(&[], &webhook, now).err(), Some(WebhookError::Signature));
        let late = now + Span::from_secs(301);
        assert_eq!(standard(&keys, &webhook, late).err(), Some(WebhookError::Stale));
        let early = now - Span::from_secs(301);
        assert_eq!(standard(&keys, &webhook, early).err(), Some(WebhookError::Stale));
    }

    #[test]
    fn what_is_signed_verifies() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let body = b"{}".to_vec();
        let signature = sign_standard(b"key", "id", now, &body);
        let headers = [("webhook-id", "id"), ("webhook-timestamp", "1767225600")];
        let mut headers: Vec<_> =
            headers.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        headers.push(("webhook-signature".into(), format!("v2,x {signature}")));
        let webhook = Webhook { headers, body };
        assert!(standard(&[b"key".to_vec()], &webhook, now).is_ok());
    }

    #[test]
    fn a_delivery_without_an_id_is_none() {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let headers = [
            ("webhook-id", String::new()),
            ("webhook-timestamp", now.seconds().to_string()),
            ("webhook-signature", sign_standard(b"key", "", now, b"{}")),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).to_vec();
        let webhook = Webhook { headers, body: b"{}".to_vec() };
        let got = standard(&[b"key".to_vec()], &webhook, now).err();
        assert_eq!(got, Some(WebhookError::Signature));
    }

    /// Computed with the helper of Square's official libraries.
    #[test]
    fn square_s_signatures_verify() {
        let payment = concat!(
            r#"{"merchant_id":"M1","type":"payment.updated","event_id":"e-1","#,
            r#""created_at":"2026-11-21T00:00:00Z","data":{"type":"payment","id":"P1","#,
            r#""object":{"payment":{"id":"P1","status":"COMPLETED","order_id":"O1"}}}}"#
        );
        let url = "https://bot.example.com/webhooks/square";
        let keys = [Secret::from("other"), Secret::from("asdf1234")];
        for (body, signature) in [
            (payment, "g8GGYd+sj2bEDnjxHE3LjaEPR+QF91v97yQjC/cGzh0="),
            (r#"{"hello":"wörld"}"#, "DL4e6Nv9/mk6ro+ONdwEeZ7CcYQ7CJvsOm52EzUZIUM="),
        ] {
            let webhook = Webhook {
                headers: vec![("x-signature".to_owned(), signature.to_owned())],
                body: body.as_bytes().to_vec(),
            };
            let check = |keys: &[Secret], url: &str, webhook: &Webhook| {
                with_address(keys, url, "x-signature", webhook).is_ok()
            };
            assert!(check(&keys, url, &webhook));
            assert!(!check(&keys[..1], url, &webhook), "another key");
            assert!(!check(&keys, "https://bot.example.com/webhooks/square/", &webhook));
            let mut longer = webhook.clone();
            longer.body.push(b' ');
            assert!(!check(&keys, url, &longer), "another body");
            let none = Webhook { headers: Vec::new(), ..webhook };
            assert!(!check(&keys, url, &none), "no signature");
        }
    }

    /// The example of Noventiq's "Webhook examples".
    #[test]
    fn the_published_hash_over_fields_verifies() {
        let fields = [
            "order.created",
            "5555555",
            "2021-08-13T09:16:35+03:00",
            "CreditCard",
            "EUR",
            "customer@gmail.com",
        ]
        .map(str::to_owned);
        let given = concat!(
            "1d0e480e14922b2e330216b2d34b3b9998267067143cf9ef7caaf3637de0307f",
            "207b7c6b1cd94ece313366baa24014c488796eef3dabbe8e60e7d1e72c73918d",
        );
        let signed = |signature: &str| Webhook {
            headers: vec![("signature".to_owned(), signature.to_owned())],
            body: b"{}".to_vec(),
        };
        let secrets = [Secret::from("other"), Secret::from("secret_key")];
        assert!(over_fields(&secrets, &fields, "signature", &signed(given)).is_ok());
        assert!(over_fields(&secrets[..1], &fields, "signature", &signed(given)).is_err());
        assert!(over_fields(&[], &fields, "signature", &signed(given)).is_err());
        assert!(over_fields(&secrets, &fields, "other", &signed(given)).is_err());
        for wrong in ["", &given[1..], &given.replace('1', "2")] {
            assert!(over_fields(&secrets, &fields, "signature", &signed(wrong)).is_err());
        }
        for n in 0..fields.len() {
            let mut other = fields.clone();
            other[n].push('0');
            assert!(over_fields(&secrets, &other, "signature", &signed(given)).is_err(), "{n}");
        }
    }
}
