//! Webhooks, rightly and wrongly signed, foreign, doubled and backwards.

use super::{
    shop::Shop,
    till::{Event, Start},
};

pub async fn webhooks_that_are_no_good_change_nothing(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    shop.deliver().await;
    assert!(shop.comes("ana").await && shop.pays_silently("ana").await);
    let events = shop.till.events(&shop.world).await;
    let payment = events.iter().find(|event| shop.till.is_payment(event)).expect("the news");
    let before = shop.world.newest().revision;
    // Not signed, or signed for something else.
    assert_eq!(shop.send_with(&[], &payment.body).await, 401);
    let other = shop.till.sign(&shop.world, &shop.till.foreign(payment)).await;
    assert_eq!(shop.send_with(&other, &payment.body).await, 401);
    let empty: Vec<_> = other.iter().map(|(name, _)| (*name, String::new())).collect();
    assert_eq!(shop.send_with(&empty, &payment.body).await, 401);
    // Rightly signed, and of no use.
    let of = |body: &[u8]| Event { id: "e".to_owned(), body: body.to_vec() };
    assert_eq!(shop.send(&of(b"{}")).await, 400);
    for garbage in [&b"not json"[..], b"[]", b"\xff\xfe"] {
        // Where the signature covers fields, there may be nothing to sign.
        let status = shop.send(&of(garbage)).await;
        assert!(matches!(status, 400 | 401), "{status}: {garbage:?}");
    }
    assert_eq!(shop.send(&of(&vec![b' '; 1 << 20])).await, 413);
    // Rightly signed, and none of our business.
    let unknown = br#"{"id":"x","event_id":"x","order_id":7,"type":"moon.full","event":"moon.full","data":{}}"#;
    assert_eq!(shop.send(&of(unknown)).await, 200);
    assert_eq!(shop.send(&shop.till.foreign(payment)).await, 200);
    assert_eq!(shop.world.newest().revision, before);
    assert_eq!(shop.fates().await.len(), 0, "not one of them counts");
    assert_eq!(shop.send(payment).await, 200);
    assert_eq!(shop.fates().await, ["kept"], "and the right one does");
    shop.ends().await;
    shop.done().await;
}

pub async fn webhooks_doubled_and_backwards_count_once(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    for who in ["ana", "bo", "cy"] {
        assert!(shop.comes(who).await && shop.pays_silently(who).await);
    }
    let events = shop.till.events(&shop.world).await;
    for event in events.iter().rev().chain(&events) {
        assert_eq!(shop.send(event).await, 200);
    }
    let said = shop.world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("SOLD OUT")).count(), 1, "{said:?}");
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    assert_eq!(shop.world.newest().paid, 3);
    shop.done().await;
}
