//! The scenarios. What must come of them may differ by what a provider can do, never by its name.

use super::{shop::Shop, till::Start};
use crate::world::{mins, secs};

pub async fn a_sale_sells_out_and_leaves_nothing(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    shop.deliver().await;
    for who in ["ana", "bo", "cy"] {
        assert!(shop.comes(who).await, "{who} stands before a page");
        assert!(shop.pays(who).await, "{who} pays");
        shop.passes(secs(6)).await;
    }
    let said = shop.world.heard();
    let sold_out = said.iter().filter(|line| line.starts_with("SOLD OUT · Fern Mug · 3")).count();
    assert_eq!(sold_out, 1, "{said:?}");
    assert!(!shop.comes("dee").await, "there is nothing left");
    shop.passes(mins(2)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.left, view.closed), (3, 0, true));
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    shop.done().await;
}

pub async fn the_clock_ends_a_sale_and_open_pages_with_it(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await && shop.comes("bo").await);
    shop.pays("ana").await;
    shop.ends().await;
    let said = shop.world.heard();
    let ended = said.iter().filter(|line| line.starts_with("ENDED · Fern Mug · 1 of 3")).count();
    assert_eq!(ended, 1, "{said:?}");
    assert!(shop.world.newest().closed);
    let moved = shop.pays("bo").await;
    assert_eq!(moved, !shop.can().revocable, "whether the page outlives the sale");
    let view = shop.world.newest();
    assert_eq!(view.paid, 1 + u32::from(moved), "what is paid after all is kept: a unit is left");
    shop.done().await;
}

pub async fn a_late_payment_is_kept_while_a_unit_is_left(start: Start) {
    late_payment(start, false).await;
}

pub async fn a_late_payment_beyond_the_stock_goes_back(start: Start) {
    late_payment(start, true).await;
}

async fn late_payment(start: Start, taken: bool) {
    let mut shop = Shop::with(start, 1, |_| {}).await;
    shop.opens().await;
    assert!(shop.comes("ana").await);
    if !shop.is_shared() {
        shop.passes(mins(4)).await;
        let back = u32::from(shop.can().revocable);
        assert_eq!(shop.world.newest().left, back, "units return when a page is closed for good");
    }
    let second = taken && shop.comes("bo").await;
    if second {
        assert!(shop.pays("bo").await);
    } else {
        shop.ends().await;
    }
    shop.pays_against_the_rules("ana", None).await;
    shop.passes(secs(10)).await;
    // A page that cannot be closed keeps its unit: nobody else could have it.
    assert_eq!(second, taken && (shop.can().revocable || shop.is_shared()));
    let expected: &[&str] = if second { &["kept", "refunded"] } else { &["kept"] };
    assert_eq!(shop.fates().await, expected);
    assert_eq!(shop.world.newest().paid, 1);
    shop.done().await;
}

pub async fn who_pays_twice_gets_the_second_payment_back(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await && shop.pays("ana").await);
    shop.pays_against_the_rules("ana", None).await;
    shop.passes(secs(10)).await;
    // On a shared page every payment is a purchase of its own, as long as there is stock.
    let expected = if shop.is_shared() { ["kept", "kept"] } else { ["kept", "refunded"] };
    assert_eq!(shop.fates().await, expected);
    let said = shop.world.heard();
    let told = said.iter().any(|line| line.contains("it was paid twice"));
    assert_eq!(told, !shop.is_shared(), "{said:?}");
    shop.done().await;
}

pub async fn another_amount_is_put_before_a_person_and_keeps_its_unit(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await);
    shop.pays_against_the_rules("ana", Some(1)).await;
    let said = shop.world.heard();
    // Where several payments may make up one price, the rest may still come: it is given back.
    let fate = if shop.can().splits { "refunded" } else { "person" };
    let told = said.iter().any(|line| line.contains("paid $0.01, expected $18"));
    assert_eq!(told, fate == "person", "{said:?}");
    let view = shop.world.newest();
    assert_eq!((view.paid, view.held, view.left), (0, 1, 2));
    shop.ends().await;
    assert_eq!(shop.fates().await, [fate]);
    shop.done().await;
}

pub async fn a_page_that_cannot_be_closed_keeps_its_unit(start: Start) {
    let mut shop = Shop::with(start, 1, |till| till.refuse_to_close(true)).await;
    shop.opens().await;
    assert!(shop.comes("ana").await);
    if shop.is_shared() {
        // It is closed when the sale ends.
        shop.passes(mins(10) + secs(3)).await;
    } else {
        shop.passes(mins(4)).await;
        let view = shop.world.newest();
        assert_eq!((view.held, view.left), (1, 0));
        assert!(!shop.comes("bo").await);
    }
    let said = shop.world.heard();
    let told = said.iter().any(|line| line.contains("cannot be closed"));
    // What a provider can never do is no news.
    assert_eq!(told, shop.can().revocable, "{said:?}");
    shop.till.refuse_to_close(false);
    shop.ends().await;
    shop.pays_against_the_rules("ana", None).await;
    assert_eq!(shop.fates().await, ["kept"], "the unit was nobody else's");
    shop.done().await;
}

pub async fn answers_lost_after_the_work_make_nothing_twice(start: Start) {
    for every in [1, 2, 3] {
        let mut shop = Shop::new(start).await;
        shop.till.lose_answers(every);
        shop.says("!sale start mug 10m").await;
        shop.world.advance(secs(70)).await;
        shop.till.lose_answers(0);
        shop.world.advance(secs(60)).await;
        let said = shop.world.heard();
        assert_eq!(shop.world.newest().state.word(), "open", "{every}: {said:?}");
        shop.till.lose_answers(every.max(2));
        shop.comes("ana").await;
        shop.world.advance(secs(100)).await;
        shop.till.lose_answers(0);
        assert!(shop.comes("ana").await && shop.pays("ana").await, "{every}");
        // And once more while everything is cleaned up.
        shop.till.lose_answers(every.max(2));
        shop.ends().await;
        shop.till.lose_answers(0);
        shop.ends().await;
        let view = shop.world.newest();
        assert_eq!((view.paid, view.closed), (1, true), "{every}");
        assert_eq!(shop.fates().await, ["kept"], "{every}");
        // What cannot be taken back cannot be looked for either; nobody knows those pages.
        let pages = shop.till.pages(&shop.world).await;
        assert!(pages == 1 || !shop.can().revocable, "one buyer, one page: {every}: {pages}");
        shop.done().await;
    }
}

pub async fn away_at_the_start_nothing_is_promised(start: Start) {
    let mut shop = Shop::with(start, 3, |till| till.be_away(true)).await;
    shop.says("!sale start mug 10m").await;
    shop.passes(secs(40)).await;
    let said = shop.world.heard();
    assert!(!said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    assert!(!shop.comes("ana").await);
    shop.till.be_away(false);
    shop.passes(mins(2)).await;
    let view = shop.world.newest();
    assert_eq!(view.state.word(), "open");
    // Its clock began with the opening.
    let (opened, ends) = (view.opened_at.expect("open"), view.ends_at.expect("open"));
    assert_eq!(ends.since(opened), mins(10));
    assert!(shop.comes("ana").await && shop.pays("ana").await);
    shop.ends().await;
    assert_eq!(shop.fates().await, ["kept"]);
    shop.done().await;
}

pub async fn away_in_mid_sale_nothing_is_given_back_unasked(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await && shop.comes("bo").await);
    shop.passes(secs(150)).await;
    assert!(shop.pays_silently("bo").await);
    shop.loses_events().await;
    shop.till.be_away(true);
    shop.passes(secs(120)).await;
    let view = shop.world.newest();
    let taken = if shop.is_shared() { 0 } else { 2 };
    assert_eq!(view.held + view.paid, taken, "not before the provider confirms it");
    shop.till.be_away(false);
    shop.passes(mins(3)).await;
    let view = shop.world.newest();
    let back = shop.is_shared() || shop.can().revocable;
    assert_eq!((view.paid, view.left), (1, 1 + u32::from(back)), "{view:?}");
    shop.ends().await;
    shop.done().await;
}

pub async fn away_at_the_close_selling_stops_on_time_and_the_rest_follows(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.says("!sale start mug 5m").await;
    shop.passes(secs(280)).await;
    assert!(shop.comes("ana").await);
    shop.till.be_away(true);
    shop.passes(mins(5)).await;
    let said = shop.world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("ENDED")).count(), 1, "{said:?}");
    // Unknown is not closed; where no page can ever be closed, there is nothing to wait for.
    assert_eq!(shop.world.newest().closed, !shop.can().revocable);
    assert!(!shop.comes("bo").await);
    shop.till.be_away(false);
    shop.ends().await;
    assert!(shop.world.newest().closed);
    shop.done().await;
}

pub async fn a_restart_in_mid_sale_finds_a_missed_payment(start: Start) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await && shop.comes("bo").await);
    assert!(shop.pays_silently("ana").await);
    shop.loses_events().await;
    let mut shop = shop.restarts().await;
    shop.asks().await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.state.word()), (1, "open"));
    assert!(shop.pays("bo").await, "a page outlives the program");
    assert!(shop.comes("cy").await && shop.pays("cy").await);
    shop.passes(mins(2)).await;
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    shop.done().await;
}
