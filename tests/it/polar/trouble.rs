//! Polar on a bad day.

use crate::{
    polar::shop::{PLAN, Shop},
    world::{mins, secs},
};

#[tokio::test]
async fn a_second_payment_for_one_hold_goes_back_once() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let session = shop.session_of("ana");
    shop.pays("ana").await;
    // Against all its rules, the same page is paid again.
    shop.polar.books().faults.refunds_wait = true;
    {
        let mut books = shop.polar.books();
        books.sessions.get_mut(&session).expect("known")["status"] = "confirmed".into();
        books.succeed(&session);
    }
    shop.polar.books().faults.lose_every = 1;
    shop.deliver().await;
    shop.polar.books().faults.lose_every = 0;
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.contains("it was paid twice")), "{said:?}");
    shop.passes(secs(45)).await;
    assert_eq!(shop.fates().await, ["kept", "refunding"]);
    let refunds: Vec<_> = shop.polar.books().refunds.keys().cloned().collect();
    assert_eq!(refunds.len(), 1, "the lost answer was not asked for again");
    shop.polar.books().refund_ends(&refunds[0], "succeeded");
    shop.polar.books().events.clear();
    shop.passes(secs(6)).await;
    assert_eq!(shop.fates().await, ["kept", "refunded"], "followed to its end by asking");
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_refund_that_fails_or_is_refused_comes_before_a_person() {
    for disputed in [false, true] {
        let mut shop = Shop::new(PLAN).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        let session = shop.session_of("ana");
        shop.pays("ana").await;
        {
            let mut books = shop.polar.books();
            books.faults.refunds_wait = true;
            books.faults.disputed = disputed;
            books.sessions.get_mut(&session).expect("known")["status"] = "confirmed".into();
            books.succeed(&session);
        }
        shop.deliver().await;
        if !disputed {
            let id = shop.polar.books().refunds.keys().next().cloned().expect("a refund");
            shop.polar.books().refund_ends(&id, "failed");
            shop.deliver().await;
        }
        assert_eq!(shop.fates().await, ["kept", "person"]);
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn a_page_with_another_total_than_announced_is_shown_to_nobody() {
    let mut shop = Shop::new(PLAN).await;
    shop.polar.books().faults.surcharge = 144;
    let said = shop.says("!sale start plan 10m").await.join("\n");
    assert!(said.contains("Polar would ask for $19.44 instead of $18"), "{said}");
    assert_eq!(shop.world.newest().state.word(), "failed");
    shop.done().await;
}

#[tokio::test]
async fn a_bad_e_mail_address_does_not_lose_the_sale_and_slow_down_is_heeded() {
    let ask = PLAN.to_owned() + "ask = [\"name\", \"email\"]\n";
    let mut shop = Shop::new(&ask).await;
    shop.polar.books().faults.bad_email = Some("ana@example.org".to_owned());
    shop.polar.books().faults.slow = 2;
    shop.says("!sale start plan 10m").await;
    shop.world.advance(secs(15)).await;
    assert_eq!(shop.world.newest().state.word(), "open");
    let form = [("name", "Ana Silva"), ("email", "ana@example.org")];
    let answer = shop.world.claims("ana", &form).await;
    assert!(answer.location.expect("sent on").starts_with(&shop.polar.url));
    let session = shop.session_of("ana");
    assert_eq!(shop.polar.books().sessions[&session]["customer_name"], "Ana Silva");
    shop.pays("ana").await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
