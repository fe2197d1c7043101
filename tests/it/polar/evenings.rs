//! Whole evenings on Polar with a page for each buyer.

use crate::{
    polar::shop::{PLAN, Shop},
    world::{mins, secs},
};

#[tokio::test]
async fn three_licences_sell_out_and_nothing_is_left() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.deliver().await;
    for who in ["ana", "bo", "cy"] {
        assert_eq!(shop.world.clicks(who).await.status, 303);
        let back = shop.pays(who).await.location.expect("sent back");
        let page = shop.world.looks(who, &back).await.text;
        assert!(page.contains("$18 is paid, and it is yours"), "{page}");
        shop.passes(secs(6)).await;
    }
    let said = shop.world.heard();
    let sold_out = said.iter().filter(|line| line.starts_with("SOLD OUT · Brush Pack · 3")).count();
    assert_eq!(sold_out, 1, "{said:?}");
    assert_eq!(shop.world.clicks("dee").await.status, 409);
    shop.passes(secs(40)).await;
    assert!(shop.world.newest().closed);
    assert_eq!(shop.polar.calls("POST /v1/products/"), 3);
    assert_eq!(shop.polar.calls("POST /v1/checkouts/"), 3);
    shop.done().await;
}

#[tokio::test]
async fn a_hold_lapses_its_page_dies_and_its_unit_goes_to_the_next() {
    let mut shop = Shop::new(&PLAN.replace("stock = 3", "stock = 1")).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    assert_eq!(shop.world.clicks("bo").await.status, 409);
    shop.passes(mins(3)).await;
    assert_eq!(shop.pays_silently("ana").await.status, 422, "the price was replaced");
    assert_eq!(shop.world.clicks("bo").await.status, 303);
    shop.pays("bo").await;
    let said = shop.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    shop.done().await;
}

#[tokio::test]
async fn a_payment_pressed_before_the_end_is_waited_for() {
    for fails in [false, true] {
        let mut shop = Shop::new(&PLAN.replace("stock = 3", "stock = 1")).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        let session = shop.session_of("ana");
        shop.polar.books().confirm(&session);
        shop.passes(mins(4)).await;
        assert_eq!(shop.world.newest().held, 1, "the bank has not answered yet");
        assert_eq!(shop.world.clicks("bo").await.status, 409);
        if fails {
            shop.polar.books().card_fails(&session);
        } else {
            shop.polar.books().succeed(&session);
        }
        // Not one webhook arrives.
        shop.polar.books().events.clear();
        // After a minute it is asked about every 15 s.
        shop.passes(secs(18)).await;
        let view = shop.world.newest();
        assert_eq!((view.paid, view.held), (u32::from(!fails), 0));
        shop.passes(mins(9)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn warm_pages_are_ready_and_gone_afterwards() {
    let mut shop = Shop::new(&PLAN.replace("warm = 0", "warm = 2")).await;
    shop.opens().await;
    assert_eq!(shop.polar.calls("POST /v1/checkouts/"), 2);
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    let sold = shop.polar.books().orders.values().next().cloned().expect("an order");
    assert_eq!(sold["total_amount"], 1800);
    shop.passes(mins(13)).await;
    shop.world.heard();
    assert_eq!(shop.world.newest().paid, 1);
    shop.done().await;
}

#[tokio::test]
async fn goods_that_are_sent_are_refused_unless_the_owner_says_so() {
    let sent = format!(
        "{PLAN}delivery = [{{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }}]\n"
    );
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, &sent).expect("written");
    let token = [("LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN".to_owned(), "x".to_owned())];
    let error = livetill::config::load(&path, &token.into()).expect_err("refused").to_string();
    assert!(error.contains("templates.plan.delivery: polar carries digital goods"), "{error}");
    assert!(error.contains("set providers.polar.allow_physical = true"), "{error}");
    let mut shop = Shop::with(&sent, "allow_physical = true").await;
    shop.opens().await;
    shop.world.claims("ana", &[("delivery", "ship")]).await;
    shop.pays("ana").await;
    let sold = shop.polar.books().orders.values().next().cloned().expect("an order");
    assert_eq!(
        (&sold["total_amount"], &sold["metadata"]["livetill_delivery"]),
        (&2400.into(), &"ship".into())
    );
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
