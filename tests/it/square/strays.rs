//! Money that the seller takes elsewhere on the same account, and ours that comes before we know
//! of its page.

use livetill::clock::{Clock, Span};
use serde_json::{Value, json};

use crate::{
    square::{
        audit::Place,
        fake::LOCATION,
        shop::{MUG, Shop},
    },
    world::{mins, secs},
};

/// Square's word of a payment that the seller took elsewhere; `shown` says whether its order can be
/// looked at.
fn elsewhere(shop: &Shop, n: u32, shown: bool) -> Value {
    let mut books = shop.square.books();
    let order = format!("till-{n}");
    let money = json!({ "amount": 500, "currency": "USD" });
    if shown {
        let whole = json!({ "id": order, "location_id": LOCATION, "state": "COMPLETED",
                            "version": 1, "total_money": money });
        books.orders.insert(order.clone(), whole);
    }
    let payment = json!({
        "id": format!("PAY-till-{n}"), "order_id": order, "location_id": LOCATION,
        "status": "COMPLETED", "source_type": "CARD", "amount_money": money,
        "total_money": money, "created_at": books.time(), "updated_at": books.time(),
    });
    books.event("payment.updated", "payment", payment);
    books.events.pop_back().expect("just now")
}

async fn strays(shop: &Shop) -> usize {
    shop.world.app.engine.store().unmatched().await.expect("the store").len()
}

/// The lines of `check` about money that belongs to nothing.
async fn checked(shop: &Shop) -> Vec<String> {
    let place = Place::new(&shop.square, Some(shop.setup.database.url()));
    let (_, said) = place.runs(&["check"]).await;
    let lines = said.lines().filter(|line| line.contains("belong to no sale"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn two_hundred_other_sales_are_one_line_and_then_none_and_ours_among_them_counts() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("bo").await;
    let of_bo = shop.order_of("bo");
    // Ana's page is made, and the answer does not reach us.
    shop.square.books().faults.lose_every = 1;
    let answer = shop.claims_while_waiting("ana").await;
    assert!(answer.location.expect("sent on").starts_with("/holds/"));
    for n in 0..100 {
        let event = elsewhere(&shop, n, true);
        assert_eq!(shop.send(&event).await, 200);
    }
    {
        let mut books = shop.square.books();
        let orders: Vec<String> = books
            .links
            .values()
            .filter_map(|link| link["order_id"].as_str().map(str::to_owned))
            .filter(|order| *order != of_bo)
            .collect();
        let of_ana = orders.last().expect("it was made").clone();
        books.pay(&of_ana);
    }
    shop.deliver().await;
    for n in 100..200 {
        let event = elsewhere(&shop, n, true);
        assert_eq!(shop.send(&event).await, 200);
    }
    let lines = checked(&shop).await;
    assert!(lines.len() <= 1, "{lines:#?}");
    shop.passes(mins(2)).await;
    shop.square.books().faults.lose_every = 0;
    shop.passes(mins(1)).await;
    assert_eq!(strays(&shop).await, 0);
    assert!(checked(&shop).await.is_empty());
    assert_eq!(shop.world.newest().paid, 1, "ana's");
    let asked = shop.square.calls("GET /v2/orders/till-");
    assert!(asked <= 200, "each once: {asked}");
    shop.world.advance(mins(14)).await;
    shop.asks().await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn what_nobody_can_tell_is_one_line_and_is_forgotten_after_days() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    for n in 0..200 {
        let event = elsewhere(&shop, n, false);
        assert_eq!(shop.send(&event).await, 200);
    }
    let lines = checked(&shop).await;
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].starts_with("warn") && lines[0].contains("no sale so far: 200."), "{lines:?}");
    // Pages that are opened meanwhile ask nothing more.
    shop.passes(mins(3)).await;
    let before = shop.square.calls("GET /v2/orders/till-");
    assert_eq!(before, 200, "each once");
    for who in ["ana", "bo"] {
        shop.world.clicks(who).await;
    }
    shop.passes(secs(30)).await;
    assert_eq!(shop.square.calls("GET /v2/orders/till-"), before);
    shop.world.advance(mins(14)).await;
    shop.asks().await;
    assert_eq!(strays(&shop).await, 200, "not known to be another's");
    let until = shop.world.clock.now() + Span::from_mins(3 * 24 * 60);
    shop.world.advance(until.since(shop.world.clock.now())).await;
    shop.asks().await;
    assert_eq!(strays(&shop).await, 0);
    assert!(checked(&shop).await.is_empty());
    shop.world.heard();
    shop.done().await;
}
