//! Webhooks of Square: rightly signed or turned away, counted once, answered at once.

use serde_json::json;

use crate::{
    square::{
        fake::{KEY, NOTIFICATION_URL},
        shop::{MUG, Shop, sign},
    },
    world::mins,
};

#[tokio::test]
async fn abuse_is_turned_away_and_changes_nothing() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    let before = shop.world.newest().revision;
    let body = json!({ "type": "payment.updated", "event_id": "e", "data": {} }).to_string();
    let body = body.as_bytes();
    let right = |body: &[u8]| sign(NOTIFICATION_URL, KEY, body);
    // Wrong key, another address, another body, no signature.
    for signature in [
        sign(NOTIFICATION_URL, "wrong", body),
        sign("https://shop.example/webhooks/square/", KEY, body),
        sign("http://shop.example/webhooks/square", KEY, body),
        right(b"{}"),
        String::new(),
        "not base64!".to_owned(),
    ] {
        assert_eq!(shop.send_raw(body, &signature, "Sandbox").await, 401, "{signature}");
    }
    assert_eq!(shop.send_raw(b"", &right(b""), "Sandbox").await, 401);
    // Rightly signed, and of no use.
    for garbage in [&b"not json"[..], b"{}", br#"{"type":"payment.updated"}"#, body] {
        assert_eq!(shop.send_raw(garbage, &right(garbage), "Sandbox").await, 400);
    }
    let big = vec![b' '; 1 << 20];
    assert_eq!(shop.send_raw(&big, &right(&big), "Sandbox").await, 413);
    // The other world's events, though the key fits.
    let unknown = br#"{"type":"moon.full","event_id":"e"}"#;
    assert_eq!(shop.send_raw(unknown, &right(unknown), "Production").await, 401);
    assert_eq!(shop.send_raw(unknown, &right(unknown), "Sandbox").await, 200);
    // An older key is still good while subscriptions change.
    let old = sign(NOTIFICATION_URL, "old-key", unknown);
    assert_eq!(shop.send_raw(unknown, &old, "Sandbox").await, 200);
    assert_eq!(shop.world.newest().revision, before);
    shop.says("!sale stop").await;
    shop.done().await;
}

#[tokio::test]
async fn a_sandbox_event_means_nothing_to_a_production_shop() {
    let mut shop = Shop::with(MUG, "environment = \"production\"").await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.order_of("ana");
    shop.square.books().pay(&order);
    let events: Vec<_> = shop.square.books().events.drain(..).collect();
    for event in &events {
        assert_eq!(shop.send(event).await, 401);
    }
    assert_eq!(shop.world.newest().paid, 0);
    for event in &events {
        let body = event.to_string();
        let signature = sign(NOTIFICATION_URL, KEY, body.as_bytes());
        assert_eq!(shop.send_raw(body.as_bytes(), &signature, "Production").await, 200);
    }
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.square.books().events.clear();
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn what_the_till_takes_is_none_of_our_business() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    let till = |event: &str, change: serde_json::Value| {
        let mut payment = json!({
            "id": format!("P-{event}"), "status": "COMPLETED", "order_id": "O-till",
            "location_id": "L1", "total_money": { "amount": 500, "currency": "USD" },
            "application_details": { "square_product": "ECOMMERCE_API" },
        });
        for (name, value) in change.as_object().expect("fields") {
            payment[name] = value.clone();
        }
        json!({ "type": "payment.updated", "event_id": event,
                "data": { "type": "payment", "object": { "payment": payment } } })
    };
    for (event, change) in [
        ("pos", json!({ "application_details": { "square_product": "SQUARE_POS" } })),
        ("elsewhere", json!({ "location_id": "L2" })),
        ("bare", json!({ "order_id": null })),
        ("odd", json!({ "status": "PONDERING" })),
    ] {
        assert_eq!(shop.send(&till(event, change)).await, 200, "{event}");
    }
    let store = shop.world.app.engine.store();
    assert!(store.unmatched().await.expect("the store").is_empty());
    // What may be ours is stored, whatever it turns out to be.
    assert_eq!(shop.send(&till("maybe", json!({}))).await, 200);
    assert_eq!(store.unmatched().await.expect("the store").len(), 1);
    shop.says("!sale stop").await;
    shop.done().await;
}
