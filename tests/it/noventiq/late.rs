//! After a buyer's time: links that cannot be taken back, and the three ways to live with them.

use livetill::{
    clock::Span,
    provider::{Provider, StatusAsk},
    reconcile::Round,
    sale::hold::HoldState,
};

use crate::{
    noventiq::shop::{KEYS, Shop, strict},
    world::{mins, secs},
};

fn one() -> String {
    KEYS.replace("stock = 3", "stock = 1")
}

#[tokio::test]
async fn a_unit_whose_link_is_out_stays_taken_and_the_sale_closes_all_the_same() {
    let mut shop = Shop::new(&one()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.passes(mins(4)).await;
    let view = shop.world.newest();
    assert_eq!((view.left, view.held, view.state.word()), (0, 1, "all_held"));
    assert_eq!(shop.world.clicks("bo").await.status, 409);
    let said = shop.says("!sale status").await.join("\n");
    assert!(said.contains("ALL HELD · Brush Pack · everything is reserved"), "{said}");
    assert!(said.contains("0 of 1 left · 0 paid · 1 reserved"), "{said}");
    shop.passes(mins(9)).await;
    let said = shop.world.heard();
    assert!(
        said.iter().any(|line| line.starts_with("ENDED · Brush Pack · 0 of 1 sold")),
        "{said:?}"
    );
    assert!(!said.iter().any(|line| line.contains("cannot be closed")), "no news here: {said:?}");
    assert!(shop.world.newest().closed);
    // The money comes later: kept, and found without a webhook.
    shop.pays_silently("ana").await;
    shop.noventiq.books().events.clear();
    shop.asks(Round::All).await;
    assert_eq!(shop.fates().await, ["kept"]);
    assert_eq!((shop.world.newest().paid, shop.surplus_and_late().await), (1, (0, 1)));
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn who_paid_in_time_is_not_late_when_the_webhook_is_lost() {
    let mut shop = Shop::new(&one()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.world.advance(secs(179)).await;
    shop.pays_silently("ana").await;
    shop.noventiq.books().events.clear();
    // Nobody asks before the time is up.
    shop.world.advance(secs(5)).await;
    assert_eq!(shop.fates().await, ["kept"]);
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.starts_with("SOLD OUT")), "{said:?}");
    shop.done().await;
}

#[tokio::test]
async fn given_back_it_may_be_paid_twice_over_and_the_second_is_asked_to_be_refunded() {
    for granted in [true, false] {
        let mut shop = Shop::new(&strict()).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        shop.passes(mins(4)).await;
        assert_eq!(shop.world.newest().left, 1, "the unit went back");
        assert_eq!(shop.world.clicks("bo").await.status, 303);
        shop.pays("bo").await;
        shop.world.heard();
        shop.pays_silently("ana").await;
        shop.deliver().await;
        let said = shop.world.heard().join("\n");
        assert!(said.contains("asking the provider to refund $18"), "{said}");
        assert!(said.contains("nothing was left. Their support team decides"), "{said}");
        assert_eq!(shop.fates().await, ["kept", "refunding"]);
        assert_eq!((shop.world.newest().paid, shop.surplus_and_late().await), (1, (1, 1)));
        shop.passes(mins(5)).await;
        assert_eq!(shop.fates().await, ["kept", "refunding"], "people take their time");
        let order = *shop.noventiq.orders("paid").last().expect("two orders");
        shop.noventiq.books().decide_refund(order, granted);
        // Nothing but questions.
        shop.noventiq.books().events.clear();
        shop.asks(Round::All).await;
        let expected = if granted { ["kept", "refunded"] } else { ["kept", "person"] };
        assert_eq!(shop.fates().await, expected);
        let said = shop.world.heard().join("\n");
        assert_eq!(said.contains("its refund failed: Noventiq says rejected"), !granted, "{said}");
        assert_eq!(shop.noventiq.ledger(), if granted { 1800 } else { 3600 });
        shop.done().await;
    }
}

#[tokio::test]
async fn a_refund_that_nobody_answers_comes_before_a_person() {
    let mut shop = Shop::new(&strict()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.passes(mins(4)).await;
    shop.world.clicks("bo").await;
    shop.pays("bo").await;
    shop.pays("ana").await;
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    shop.passes(mins(1)).await;
    shop.world.advance(mins(13 * 24 * 60)).await;
    shop.asks(Round::All).await;
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    for _ in 0..3 {
        shop.world.advance(mins(24 * 60)).await;
        shop.asks(Round::All).await;
    }
    assert_eq!(shop.fates().await, ["kept", "person"]);
    let said = shop.world.heard().join("\n");
    assert!(said.contains("did not answer the request within 14 days"), "{said}");
    shop.done().await;
}

#[tokio::test]
async fn overbooking_gives_back_so_many_units_and_no_more() {
    let keys = format!("{KEYS}after_hold = \"overbook\"\noverbook = 1\nallow_surplus = true\n");
    let mut shop = Shop::new(&keys).await;
    shop.opens().await;
    for who in ["ana", "bo", "cy"] {
        assert_eq!(shop.world.clicks(who).await.status, 303);
    }
    shop.passes(mins(4)).await;
    let view = shop.world.newest();
    assert_eq!((view.left, view.held), (1, 2), "one at the most");
    // A late payment on what was given back is kept while there is something left.
    shop.pays("ana").await;
    shop.pays("bo").await;
    shop.pays("cy").await;
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    assert_eq!((shop.world.newest().paid, shop.surplus_and_late().await), (3, (0, 3)));
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn who_is_at_the_last_step_is_waited_for_before_the_unit_goes_back() {
    let mut shop = Shop::new(&strict()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.passes(secs(150)).await;
    let link = shop.link_of("ana");
    let order = shop.noventiq.books().place(&link).expect("placed");
    shop.passes(secs(60)).await;
    assert_eq!(shop.world.newest().left, 0, "still paying");
    shop.noventiq.books().succeed(order);
    shop.passes(secs(6)).await;
    assert_eq!(shop.fates().await, ["kept"]);
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn the_line_hears_nothing_false_and_money_of_old_sales_is_asked_about_link_by_link() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.world.clicks("bo").await;
    shop.passes(mins(13)).await;
    shop.world.heard();
    let id = shop.world.newest().id;
    let engine = &shop.world.app.engine;
    let sale = engine.store().load(id).await.expect("the store").expect("the sale");
    let lapsed = sale.holds().filter(|h| matches!(h.state, HoldState::Lapsed { .. })).count();
    assert_eq!(lapsed, 2);
    let pages: Vec<_> =
        sale.holds().flat_map(|h| h.checkouts.iter().map(|page| (h.id, page.clone()))).collect();
    let order = shop.noventiq.pay(&shop.link_of("bo")).expect("good for one order");
    assert_eq!(shop.noventiq.pay(&shop.link_of("bo")), None);
    // A program that was started anew long after the sale.
    let fresh = super::doctor::account(&shop.noventiq, super::fake::PASSWORD);
    let since = engine.now() - mins(30 * 24 * 60);
    let ask = StatusAsk { pages, since, now: engine.now(), ..StatusAsk::default() };
    let before = shop.noventiq.calls("POST /v1/order/search");
    let news = fresh.status(&ask).await.expect("answers");
    assert!(format!("{news:?}").contains(&order.to_string()), "{news:?}");
    assert_eq!(news.len(), 1);
    let asked = shop.noventiq.calls("POST /v1/order/search") - before;
    assert_eq!(asked, ask.pages.len(), "a question for each link");
    shop.deliver().await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_closed_sale_is_looked_back_at_for_a_day() {
    let mut shop = Shop::new(&one()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    shop.passes(mins(1)).await;
    assert!(shop.world.newest().closed && shop.fates().await == ["kept"]);
    shop.world.heard();
    let mut shop = shop.restarts().await;
    shop.world.advance(Span::from_secs(19 * 3600)).await;
    shop.asks(Round::All).await;
    // Refunded in the Merchant Portal, and no webhook tells of it.
    {
        let mut books = shop.noventiq.books();
        books.orders.values_mut().next().expect("an order")["status"] = "deleted".into();
        books.events.clear();
    }
    let before = shop.noventiq.books().calls.len();
    for _ in 0..61 {
        shop.world.advance(secs(60)).await;
        shop.asks(Round::All).await;
    }
    assert_eq!(shop.fates().await, ["refunded"]);
    let calls = shop.noventiq.books().calls.len() - before;
    assert!(calls < 40, "cheap: {calls} calls");
    shop.world.advance(Span::from_secs(6 * 3600)).await;
    let before = shop.noventiq.books().calls.len();
    shop.asks(Round::All).await;
    assert_eq!(shop.noventiq.books().calls.len(), before, "and no longer");
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_chargeback_that_leaves_the_order_paid_is_before_a_person() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    assert_eq!(shop.fates().await, ["kept"]);
    shop.world.heard();
    let order = shop.noventiq.orders("paid")[0];
    for _ in 0..2 {
        shop.noventiq.books().tell("product.returned", order);
        shop.deliver().await;
    }
    assert_eq!(shop.fates().await, ["person"]);
    let said = shop.world.heard();
    let told = said.iter().filter(|line| line.contains("needs your decision"));
    assert_eq!(told.count(), 1, "{said:?}");
    assert!(said.join("\n").contains("charged back, and the order is still paid"), "{said:?}");
    // Questions say *paid* all the same.
    shop.world.advance(secs(70)).await;
    shop.asks(Round::All).await;
    assert_eq!(shop.fates().await, ["person"]);
    // In the end the order says that the money went back.
    {
        let mut books = shop.noventiq.books();
        books.orders.get_mut(&order).expect("known")["status"] = "deleted".into();
        books.tell("product.returned", order);
    }
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["refunded"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_return_that_comes_before_its_payment_is_known_is_before_a_person() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays_silently("ana").await;
    let order = shop.noventiq.orders("paid")[0];
    {
        let mut books = shop.noventiq.books();
        books.events.clear();
        books.tell("product.returned", order);
    }
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["person"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
