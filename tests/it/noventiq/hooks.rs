//! Webhooks of Noventiq: rightly signed or turned away, and believed in nothing.

use serde_json::json;

use crate::{
    noventiq::shop::{KEYS, SECRET, Shop, sign},
    world::mins,
};

#[tokio::test]
async fn abuse_is_turned_away_and_changes_nothing() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.noventiq.books().place(&shop.link_of("ana")).expect("placed");
    let event = shop.noventiq.books().events.pop_front().expect("order.created");
    let body = event.to_string();
    let good = sign(SECRET, &event);
    let mut other = event.clone();
    other["order_id"] = (order + 1).into();
    for signature in ["", "zz", &good[1..], &sign("wrong", &event), &sign(SECRET, &other)] {
        assert_eq!(shop.send_raw(body.as_bytes(), signature).await, 401, "{signature}");
    }
    assert_eq!(shop.send_raw(b"not json", &good).await, 401, "nothing to sign");
    for garbage in [json!({}), json!({ "event": "x" }), json!({ "order_id": 5 })] {
        let mut blank = json!({ "event": "", "order_id": "", "create_date": "", "currency": "",
                                "payment": { "payment_method": "" }, "customer": { "email": "" } });
        for (key, value) in garbage.as_object().expect("fields") {
            blank[key] = value.clone();
        }
        let signature = sign(SECRET, &blank);
        assert_eq!(shop.send_raw(garbage.to_string().as_bytes(), &signature).await, 400);
    }
    let mut big = event.clone();
    big["padding"] = "x".repeat(1 << 20).into();
    assert_eq!(shop.send(&big).await, 413);
    // Rightly signed for ever, as its signature covers neither time nor status: it claims that the
    // order was paid, and the order says that it was not.
    let mut forged = event.clone();
    forged["status"] = "paid".into();
    assert_eq!(sign(SECRET, &forged), good);
    assert_eq!(shop.send(&forged).await, 200);
    let mut unknown = event.clone();
    unknown["event"] = "moon.full".into();
    assert_eq!(shop.send(&unknown).await, 200);
    let mut foreign = event.clone();
    foreign["event"] = "order.payment.succeeded".into();
    foreign["order_id"] = 99.into();
    assert_eq!(shop.send(&foreign).await, 200, "an order that nobody knows");
    assert_eq!((shop.world.newest().paid, shop.fates().await.len()), (0, 0));
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn late_double_and_backwards_they_count_once() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    for who in ["ana", "bo", "cy"] {
        shop.world.clicks(who).await;
        shop.pays_silently(who).await;
    }
    let events: Vec<_> = shop.noventiq.books().events.drain(..).collect();
    for event in events.iter().rev().chain(&events) {
        assert_eq!(shop.send(event).await, 200);
    }
    let said = shop.world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("SOLD OUT")).count(), 1, "{said:?}");
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    shop.done().await;
}

#[tokio::test]
async fn a_webhook_before_the_order_says_so_is_not_used_up() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.noventiq.books().place(&shop.link_of("ana")).expect("placed");
    let mut early = shop.noventiq.books().events.pop_front().expect("order.created");
    early["event"] = "order.payment.succeeded".into();
    early["status"] = "paid".into();
    assert_eq!(shop.send(&early).await, 200);
    assert_eq!(shop.world.newest().paid, 0);
    shop.noventiq.books().succeed(order);
    assert_eq!(shop.send(&early).await, 200);
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
