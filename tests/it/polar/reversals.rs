//! What Polar says of money and then takes back, pages that are paid after the end, and orders of 0.

use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
};

use crate::{
    polar::shop::{PLAN, Shop},
    world::{mins, secs},
};

impl Shop {
    /// The page that ana is sent back to.
    async fn looks_back(&mut self) -> String {
        let back = {
            let books = self.polar.books();
            books.sessions.values().next().expect("a session")["success_url"].clone()
        };
        self.world.looks("ana", back.as_str().expect("an address")).await.text
    }

    async fn asks_all(&self) {
        sweep(&self.world.app.engine, Round::All).await.expect("asks");
        self.world.settle().await;
    }
}

async fn refunded_twice_paid() -> Shop {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let session = shop.session_of("ana");
    shop.pays("ana").await;
    {
        let mut books = shop.polar.books();
        books.sessions.get_mut(&session).expect("known")["status"] = "confirmed".into();
        books.succeed(&session);
    }
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["kept", "refunded"]);
    shop.world.heard();
    shop
}

#[tokio::test]
async fn a_refund_that_fails_after_it_succeeded_is_before_a_person_by_whatever_way() {
    for by_asking in [false, true] {
        let mut shop = refunded_twice_paid().await;
        shop.world.advance(secs(70)).await;
        shop.asks_all().await;
        {
            let mut books = shop.polar.books();
            let id = books.refunds.keys().next().cloned().expect("a refund");
            books.refund_ends(&id, "failed");
            let of = books.refunds[&id]["order_id"].as_str().expect("an order").to_owned();
            let order = books.orders.get_mut(&of).expect("known");
            order["status"] = "paid".into();
            order["refundable_amount"] = order["net_amount"].clone();
            order["refundable_tax_amount"] = order["tax_amount"].clone();
            let order = order.clone();
            books.event("order.updated", &order);
            if by_asking {
                books.events.clear();
            }
        }
        if by_asking {
            shop.world.advance(secs(70)).await;
            shop.asks_all().await;
        } else {
            shop.deliver().await;
        }
        assert_eq!(shop.fates().await, ["kept", "person"], "by asking: {by_asking}");
        let said = shop.world.heard();
        let told = said.iter().filter(|line| line.contains("was taken back"));
        assert_eq!(told.count(), 1, "{said:?}");
        let page = shop.looks_back().await;
        assert!(page.contains("took the refund back"), "{page}");
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn an_order_that_is_void_after_it_was_paid_is_before_a_person() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    {
        let mut books = shop.polar.books();
        let order = books.orders.values_mut().next().expect("an order");
        order["status"] = "void".into();
        let order = order.clone();
        books.event("order.updated", &order);
    }
    shop.world.advance(secs(5)).await;
    shop.deliver().await;
    assert_eq!(shop.fates().await, ["person"]);
    let said = shop.world.heard();
    assert!(
        said.iter().any(|line| line.contains("the provider now says that it failed")),
        "{said:?}"
    );
    let page = shop.looks_back().await;
    assert!(!page.contains("it is yours"), "{page}");
    shop.polar.books().orders.values_mut().next().expect("it")["status"] = "paid".into();
    shop.world.advance(secs(70)).await;
    shop.asks_all().await;
    assert_eq!(shop.fates().await, ["kept"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_page_that_is_paid_after_the_sale_closed_is_found_within_a_day() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    for who in ["ana", "bo"] {
        shop.world.clicks(who).await;
    }
    shop.pays("ana").await;
    let session = shop.session_of("bo");
    shop.passes(mins(14)).await;
    assert!(shop.world.newest().closed);
    shop.world.heard();
    {
        let mut books = shop.polar.books();
        books.sessions.get_mut(&session).expect("known")["status"] = "confirmed".into();
        books.succeed(&session);
        books.events.clear();
    }
    shop.world.advance(Span::from_secs(2 * 3600)).await;
    for _ in 0..31 {
        shop.world.advance(secs(60)).await;
        shop.asks_all().await;
    }
    assert_eq!(shop.fates().await, ["kept", "kept"], "units were left");
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn free_by_the_shop_s_own_discount_is_paid_and_for_nothing_is_not() {
    let own = format!("{PLAN}[templates.plan.polar]\ndiscount_id = \"all-of-it\"\n");
    for (template, fate) in [(own.as_str(), "kept"), (PLAN, "person")] {
        let mut shop = Shop::new(template).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        shop.polar.books().faults.order_discount = 1800;
        shop.pays("ana").await;
        assert_eq!(shop.fates().await, [fate]);
        shop.world.advance(secs(70)).await;
        shop.asks_all().await;
        assert_eq!(shop.fates().await, [fate], "asked again");
        let report = shop.says("!sale report #1").await.join("\n");
        assert!(!report.contains("refunded at the provider"), "{report}");
        let page = shop.looks_back().await;
        assert!(!page.contains("gave"), "{page}");
        assert_eq!(page.contains("It is free, and it is yours"), fate == "kept", "{page}");
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn a_payment_left_half_way_ends_before_a_person_and_the_sale_ends() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let session = shop.session_of("ana");
    shop.polar.books().confirm(&session);
    shop.polar.books().events.clear();
    shop.passes(mins(14)).await;
    let said = shop.world.heard();
    let told = said.iter().filter(|line| line.contains("has been under way for"));
    assert_eq!(told.count(), 1, "{said:?}");
    shop.passes(mins(2)).await;
    assert!(shop.world.newest().closed, "the sale has an end");
    // The bank answers in the end: it counts.
    shop.polar.books().succeed(&session);
    shop.deliver().await;
    assert_eq!((shop.fates().await, shop.world.newest().paid), (vec!["kept".to_owned()], 1));
    shop.world.heard();
    shop.done().await;
}
