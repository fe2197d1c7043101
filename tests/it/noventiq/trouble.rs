//! Noventiq on a bad day.

use std::time::Duration;

use crate::{
    noventiq::{
        fake::Faults,
        shop::{KEYS, Shop},
    },
    world::{mins, secs},
};

#[tokio::test]
async fn answers_lost_after_the_work_leave_links_that_all_count() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("first").await;
    // The next link is made and nobody hears of it; the one after that is.
    shop.noventiq.books().faults.lose_every = 1;
    shop.world.clicks("ana").await;
    shop.noventiq.books().faults.lose_every = 0;
    shop.world.advance(secs(5)).await;
    shop.world.clicks("ana").await;
    let known = shop.link_of("ana");
    let hold = shop.noventiq.books().links[&known]["request"]["products"][0]["vendor_code"].clone();
    let links = shop.noventiq.links_of(hold.as_str().expect("a reference"));
    assert!(links.len() >= 2 && links.contains(&known), "{links:?}");
    // Whichever is paid first is the buyer's; what comes through the other is paid twice.
    let lost = links.iter().find(|link| **link != known).expect("a lost one").clone();
    shop.noventiq.pay(&lost).expect("can be paid");
    shop.deliver().await;
    assert_eq!((shop.world.newest().paid, shop.fates().await), (1, vec!["kept".to_owned()]));
    let second = shop.noventiq.pay(&known).expect("can be paid");
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    shop.noventiq.books().decide_refund(second, true);
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["kept", "refunded"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn every_answer_lost_now_and_then_sells_nothing_twice() {
    for every in [2, 3] {
        // One more than buyers: with all held, a second click leads to the buyer's own page.
        let mut shop = Shop::new(&KEYS.replace("stock = 3", "stock = 4")).await;
        shop.noventiq.set(Faults { lose_every: every, broken: 2, ..Faults::default() });
        shop.says("!sale start keys 10m").await;
        shop.world.advance(secs(60)).await;
        assert_eq!(shop.world.newest().state.word(), "open", "{every}");
        for who in ["ana", "bo", "cy"] {
            // Until there is a link: several may be lost in a row.
            for _ in 0..10 {
                shop.world.clicks(who).await;
                shop.world.advance(secs(10)).await;
            }
            shop.pays(who).await;
        }
        assert_eq!(shop.fates().await, ["kept", "kept", "kept"], "{every}");
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn noventiq_is_away_for_two_minutes_in_mid_sale() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.world.clicks("bo").await;
    shop.passes(secs(150)).await;
    shop.pays_silently("bo").await;
    shop.noventiq.books().faults.away = true;
    // A webhook that cannot be asked about is to come again.
    let event = shop.noventiq.books().events.pop_back().expect("a webhook");
    assert_eq!(shop.send(&event).await, 503);
    shop.noventiq.books().events.clear();
    shop.passes(secs(120)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.held, view.left), (0, 2, 1), "nothing is given back");
    shop.noventiq.books().faults.away = false;
    shop.passes(secs(6)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.held, view.left), (1, 1, 1), "Bo's payment is found");
    shop.passes(mins(12)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_second_payment_and_a_wrong_amount_are_not_booked() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    let again = shop.noventiq.pay_again(&shop.link_of("ana"));
    shop.deliver().await;
    let said = shop.world.heard().join("\n");
    assert!(said.contains("it was paid twice. Their support team decides"), "{said}");
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    shop.noventiq.books().decide_refund(again, true);
    shop.deliver().await;
    // A discount code of the original product, say.
    shop.noventiq.books().faults.surcharge = -500;
    shop.world.clicks("bo").await;
    shop.pays("bo").await;
    let said = shop.world.heard().join("\n");
    assert!(said.contains("paid $13, expected $18"), "{said}");
    assert_eq!(shop.fates().await, ["kept", "person", "refunded"]);
    assert_eq!(
        (shop.world.newest().paid, shop.world.newest().held),
        (1, 1),
        "its unit stays taken"
    );
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_refund_whose_answer_was_lost_is_asked_for_once() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    let again = shop.noventiq.pay_again(&shop.link_of("ana"));
    shop.noventiq.books().faults.lose_every = 1;
    shop.deliver().await;
    shop.noventiq.books().faults.lose_every = 0;
    shop.passes(mins(2)).await;
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    let asked = format!("POST /v1/order/{again}/refund");
    assert_eq!(shop.noventiq.calls(&asked), 1, "the order tells that it was asked for");
    shop.noventiq.books().decide_refund(again, true);
    shop.noventiq.books().events.clear();
    shop.passes(secs(6)).await;
    assert_eq!(shop.fates().await, ["kept", "refunded"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_refund_made_by_hand_in_the_portal_settles_the_payment() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    let order = shop.noventiq.orders("paid")[0];
    shop.noventiq.books().orders.get_mut(&order).expect("it")["refund"]["status"] = "New".into();
    shop.noventiq.books().decide_refund(order, true);
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["refunded"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_killed_program_finds_what_was_paid_meanwhile() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays_silently("ana").await;
    shop.noventiq.books().events.clear();
    let mut shop = shop.restarts().await;
    shop.asks(livetill::reconcile::Round::Running).await;
    assert_eq!((shop.world.newest().paid, shop.world.newest().left), (1, 2));
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn slow_answers_and_a_rush_of_other_orders_hide_nothing() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.noventiq.books().faults.latency = Duration::from_millis(20);
    shop.world.clicks("ana").await;
    // The seller sells other things, and a search answers twenty of them at the most.
    for _ in 0..50 {
        let mut books = shop.noventiq.books();
        let body = serde_json::json!({ "currency": "USD", "products": [{
            "id": 4_653_377, "name": "Something else", "price": "5.00", "vendor_code": "ELSE" }] });
        let (_, link) = books.make_link(&body);
        let key = link["buy_link"].as_str().and_then(|url| url.rsplit('/').next()).expect("a key");
        let key = key.to_owned();
        let order = books.place(&key).expect("placed");
        books.succeed(order);
        books.events.clear();
        drop(books);
        shop.world.clock.advance(secs(1));
    }
    shop.pays_silently("ana").await;
    shop.noventiq.books().events.clear();
    shop.passes(secs(12)).await;
    assert_eq!((shop.world.newest().paid, shop.fates().await.len()), (1, 1));
    let store = shop.world.app.engine.store();
    assert!(store.unmatched().await.expect("the store").is_empty(), "they are not ours");
    shop.noventiq.books().faults.latency = Duration::ZERO;
    shop.passes(mins(12)).await;
    shop.world.heard();
    shop.done().await;
}
