//! What Square says of money and then takes back, and money that comes in parts.

use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
};
use serde_json::{Value, json};

use crate::{
    square::shop::{MUG, Shop},
    world::{World, mins, secs},
};

async fn fates(world: &World) -> Vec<String> {
    let id = world.newest().id;
    let sale = world.app.engine.store().load(id).await.expect("the store").expect("the sale");
    let mut all: Vec<_> = sale.payments().map(|one| one.fate.word().to_owned()).collect();
    all.sort();
    all
}

impl Shop {
    /// A part of an order is paid, with a card of some kind; nothing is told.
    fn pays_part(&self, order: &str, amount: i64) -> Value {
        let mut books = self.square.books();
        let mut payment = books.try_card(order, "COMPLETED");
        payment["total_money"]["amount"] = amount.into();
        payment["amount_money"]["amount"] = amount.into();
        let id = payment["id"].as_str().expect("an id").to_owned();
        books.payments.insert(id, payment.clone());
        payment
    }

    async fn tells(&self, kind: &str, name: &str, object: &Value) {
        self.square.books().event(kind, name, object.clone());
        let event = self.square.books().events.pop_back().expect("just now");
        assert_eq!(self.send(&event).await, 200);
    }

    /// The page that the buyer of an order is sent back to.
    async fn looks_back(&mut self, order: &str) -> String {
        let back = {
            let books = self.square.books();
            let link = books.links.values().find(|link| link["order_id"] == order).expect("it");
            link["checkout_options"]["redirect_url"].as_str().expect("an address").to_owned()
        };
        self.world.looks("ana", &back).await.text
    }

    async fn asks_all(&self) {
        sweep(&self.world.app.engine, Round::All).await.expect("asks");
        self.world.settle().await;
    }
}

#[tokio::test]
async fn a_refund_that_fails_after_it_was_completed_is_before_a_person() {
    let mut shop = Shop::new(&MUG.replace("stock = 3", "stock = 1")).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.order_of("ana");
    shop.pays("ana").await;
    shop.square.books().pay(&order);
    shop.deliver().await;
    assert_eq!(fates(&shop.world).await, ["kept", "refunded"]);
    shop.world.heard();
    // The bank of the buyer does not take it: the same refund, and it failed.
    let refund = {
        let mut books = shop.square.books();
        let refund = books.refunds.values_mut().next().expect("one");
        refund["status"] = "FAILED".into();
        refund.clone()
    };
    for _ in 0..2 {
        shop.tells("refund.updated", "refund", &refund).await;
    }
    assert_eq!(fates(&shop.world).await, ["kept", "person"]);
    let said = shop.world.heard();
    let told = said.iter().filter(|line| line.contains("a refund of $18 was taken back"));
    assert_eq!(told.count(), 1, "{said:?}");
    let page = shop.looks_back(&order).await;
    assert!(page.contains("the payment provider took the refund back"), "{page}");
    assert!(!page.contains("went back to you"), "{page}");
    let report = shop.says("!sale report #1").await.join("\n");
    assert!(report.contains("refunded $0 · needs review $18 · kept $18"), "{report}");
    // Square's own list says so, too.
    {
        let mut books = shop.square.books();
        let id = refund["payment_id"].as_str().expect("an id");
        books.payments.get_mut(id).expect("known")["refunded_money"]["amount"] = 0.into();
    }
    shop.passes(mins(2)).await;
    shop.asks_all().await;
    assert!(!shop.world.heard().iter().any(|line| line.contains("look at payment")));
    shop.done().await;
}

#[tokio::test]
async fn a_gift_card_and_a_card_buy_one_unit() {
    for (first, second, by_asking) in [(1000, 800, false), (800, 1000, false), (1000, 800, true)] {
        let mut shop = Shop::new(MUG).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        let order = shop.order_of("ana");
        let one = shop.pays_part(&order, first);
        if by_asking {
            shop.asks().await;
        } else {
            shop.tells("payment.updated", "payment", &one).await;
        }
        assert_eq!((shop.world.newest().paid, shop.world.newest().held), (0, 1));
        shop.passes(secs(90)).await;
        let two = shop.pays_part(&order, second);
        if by_asking {
            shop.asks().await;
        } else {
            shop.tells("payment.updated", "payment", &two).await;
        }
        assert_eq!(fates(&shop.world).await, ["kept", "kept"]);
        assert_eq!((shop.world.newest().paid, shop.world.newest().held), (1, 0));
        let page = shop.looks_back(&order).await;
        assert!(page.contains("$18 is paid, and it is yours"), "{page}");
        let report = shop.says("!sale report #1").await.join("\n");
        assert!(report.contains("together with"), "{report}");
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn a_part_whose_rest_never_comes_goes_back_when_the_time_is_up() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.order_of("ana");
    let one = shop.pays_part(&order, 1000);
    shop.tells("payment.updated", "payment", &one).await;
    shop.passes(mins(4)).await;
    shop.deliver().await;
    assert_eq!(fates(&shop.world).await, ["refunded"]);
    assert_eq!((shop.world.newest().paid, shop.world.newest().held), (0, 0));
    let back: Vec<Value> = shop.square.books().refunds.values().cloned().collect();
    assert_eq!(back.len(), 1);
    assert_eq!(back[0]["amount_money"], json!({ "amount": 1000, "currency": "USD" }));
    // The rest comes long after: it goes back as well.
    let two = shop.pays_part(&order, 800);
    shop.tells("payment.updated", "payment", &two).await;
    shop.deliver().await;
    assert_eq!(fates(&shop.world).await, ["refunded", "refunded"]);
    shop.passes(mins(9)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_closed_sale_is_looked_back_at_for_a_day() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    for who in ["ana", "bo"] {
        shop.world.clicks(who).await;
    }
    shop.pays("ana").await;
    shop.square.books().faults.delete_lies = true;
    let order = shop.order_of("bo");
    shop.passes(mins(14)).await;
    assert!(shop.world.newest().closed);
    shop.world.heard();
    // No webhook tells of either: bo pays a page that was called closed, and ana is given her
    // money back in the dashboard.
    let mut shop = shop.restarts().await;
    {
        let mut books = shop.square.books();
        books.pay(&order);
        books.events.clear();
        let ana = books.payments.values_mut().find(|one| one["order_id"] != order.as_str());
        let ana = ana.expect("paid");
        ana["refunded_money"] = json!({ "amount": 1800, "currency": "USD" });
        ana["updated_at"] = "2026-01-02T00:00:00Z".into();
    }
    let before = shop.square.books().calls.len();
    shop.world.advance(Span::from_secs(20 * 3600)).await;
    for _ in 0..61 {
        shop.world.advance(secs(60)).await;
        shop.asks_all().await;
    }
    assert_eq!(fates(&shop.world).await, ["kept", "refunded"]);
    assert_eq!(shop.world.newest().paid, 2);
    let calls = shop.square.books().calls.len() - before;
    assert!(calls < 40, "cheap: {calls} calls");
    shop.world.advance(Span::from_secs(5 * 3600)).await;
    let before = shop.square.books().calls.len();
    shop.asks_all().await;
    assert_eq!(shop.square.books().calls.len(), before, "and no longer");
    shop.world.heard();
    shop.done().await;
}
