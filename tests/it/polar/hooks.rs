//! Webhooks of Polar: rightly signed under either key or turned away, counted once.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::json;

use crate::{
    polar::shop::{PLAN, SECRET, Shop},
    world::mins,
};

#[tokio::test]
async fn abuse_is_turned_away_and_changes_nothing() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    let before = shop.world.newest().revision;
    let body = json!({ "type": "order.paid", "data": {} }).to_string();
    let body = body.as_bytes();
    for signature in [
        shop.sign(b"wrong", "e", body),
        shop.sign(SECRET.as_bytes(), "other", body),
        shop.sign(SECRET.as_bytes(), "e", b"{}"),
        shop.sign(SECRET.as_bytes(), "e", body).replace("v1,", "v2,"),
        String::new(),
        "v1,not base64!".to_owned(),
    ] {
        assert_eq!(shop.send_raw("e", body, &signature).await, 401, "{signature}");
    }
    for garbage in [&b"not json"[..], b"{}", br#"{"type":"order.paid"}"#, body] {
        let signature = shop.sign(SECRET.as_bytes(), "e", garbage);
        assert_eq!(shop.send_raw("e", garbage, &signature).await, 400);
    }
    let big = vec![b' '; 1 << 20];
    let signature = shop.sign(SECRET.as_bytes(), "e", &big);
    assert_eq!(shop.send_raw("e", &big, &signature).await, 413);
    // Right once, and too old when it comes again.
    let unknown = br#"{"type":"moon.full"}"#;
    let signature = shop.sign(SECRET.as_bytes(), "e", unknown);
    assert_eq!(shop.send_raw("e", unknown, &signature).await, 200);
    let standard = STANDARD_NO_PAD.decode(&SECRET["whsec_".len()..]).expect("base64");
    let signature = shop.sign(&standard, "e", unknown);
    assert_eq!(shop.send_raw("e", unknown, &signature).await, 200, "the other form of the key");
    assert_eq!(shop.world.newest().revision, before);
    shop.says("!sale stop").await;
    shop.done().await;
}

#[tokio::test]
async fn nothing_counts_before_it_is_paid_and_other_goods_are_not_ours() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays_silently("ana").await;
    let events: Vec<_> = shop.polar.books().events.drain(..).collect();
    for event in &events {
        if event["body"]["type"] != "order.paid" {
            assert_eq!(shop.send(event).await, 200);
        }
    }
    assert_eq!(shop.world.newest().paid, 0, "only order.paid counts");
    let paid = events.iter().find(|event| event["body"]["type"] == "order.paid").expect("it");
    let mut other = paid.clone();
    other["id"] = "other".into();
    other["body"]["data"]["id"] = "of-another-product".into();
    other["body"]["data"]["metadata"] = json!({});
    assert_eq!(shop.send(&other).await, 200);
    let mut pending = paid.clone();
    pending["id"] = "pending".into();
    pending["body"]["data"]["status"] = "pending".into();
    assert_eq!(shop.send(&pending).await, 200);
    assert_eq!(shop.world.newest().paid, 0);
    let store = shop.world.app.engine.store();
    assert!(store.unmatched().await.expect("the store").is_empty());
    assert_eq!(shop.send(paid).await, 200);
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
