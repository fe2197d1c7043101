//! One link for a whole sale: it sells to all, and gives back what comes too much.

use crate::{
    polar::shop::{PLAN, Shop},
    world::{mins, secs},
};

fn shared(stock: u32) -> String {
    PLAN.replace("stock = 3", &format!("stock = {stock}\ncheckout = \"shared\""))
        + "[templates.plan.polar]\nlabel = \"tonight\"\nmetadata = { show = \"42\" }\n"
}

impl Shop {
    /// A viewer follows the posted link and stands before a page of their own.
    pub async fn visits(&mut self, who: &str) {
        let answer = self.world.looks(who, "/live").await;
        let link = answer.location.unwrap_or_else(|| {
            self.polar.books().links.values().next().expect("a link")["url"]
                .as_str()
                .expect("an address")
                .to_owned()
        });
        assert!(link.contains("/buy/"), "{link}");
        assert_eq!(self.world.looks(who, &link).await.status, 303);
    }

    /// Money back and money kept at Polar, in cents.
    fn sums(&self) -> (i64, i64) {
        let books = self.polar.books();
        let sum = |status: &str| {
            let orders = books.orders.values().filter(|order| order["status"] == status);
            orders.map(|order| order["total_amount"].as_i64().expect("an amount")).sum()
        };
        (sum("refunded"), sum("paid"))
    }
}

#[tokio::test]
async fn a_flash_crowd_on_one_link_gets_every_surplus_payment_back() {
    const CROWD: usize = 40;
    let mut shop = Shop::new(&shared(5)).await;
    shop.opens().await;
    let crowd: Vec<String> = (0..CROWD).map(|n| format!("viewer{n}")).collect();
    for who in &crowd {
        shop.visits(who).await;
    }
    assert_eq!(shop.world.newest().held, 0, "a visit holds nothing");
    // All press Pay before the first word of it reaches us.
    for who in &crowd {
        assert_eq!(shop.pays_silently(who).await.status, 303);
    }
    shop.deliver().await;
    shop.passes(secs(60)).await;
    let view = shop.world.newest();
    assert_eq!((view.state.word(), view.paid), ("sold_out", 5));
    let fates = shop.fates().await;
    let count = |word: &str| fates.iter().filter(|fate| *fate == word).count();
    assert_eq!((count("kept"), count("refunded")), (5, CROWD - 5), "surplus, all given back");
    assert_eq!(shop.sums(), (1800 * (CROWD as i64 - 5), 1800 * 5));
    assert_eq!(shop.polar.books().refunds.len(), CROWD - 5, "each once");
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn the_link_sells_until_the_clock_ends_it_and_open_pages_die_with_it() {
    let mut shop = Shop::new(&shared(3)).await;
    shop.opens().await;
    let link = shop.polar.books().links.values().next().cloned().expect("a link");
    assert_eq!((&link["label"], &link["metadata"]["show"]), (&"tonight".into(), &"42".into()));
    assert_eq!(link["allow_discount_codes"], false);
    shop.visits("ana").await;
    shop.visits("bo").await;
    shop.visits("cy").await;
    shop.pays("ana").await;
    // The bank still thinks about Cy when the sale ends.
    let waits = shop.session_of("cy");
    shop.polar.books().confirm(&waits);
    shop.passes(mins(11)).await;
    assert_eq!(shop.pays_silently("bo").await.status, 422, "the price was replaced");
    assert!(shop.polar.books().links.is_empty());
    assert!(!shop.world.newest().closed, "somebody is still paying");
    shop.polar.books().succeed(&waits);
    shop.polar.books().events.clear();
    shop.passes(mins(2)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.closed), (2, true), "a unit was left, so it is kept");
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn answers_lost_after_the_work_leave_one_link() {
    let mut shop = Shop::new(&shared(3)).await;
    shop.polar.books().faults.lose_every = 2;
    shop.says("!sale start plan 10m").await;
    shop.world.advance(secs(80)).await;
    shop.polar.books().faults.lose_every = 0;
    let said = shop.world.heard();
    assert_eq!(shop.world.newest().state.word(), "open", "{said:?}");
    let counts = {
        let books = shop.polar.books();
        (books.products.len(), books.links.len())
    };
    assert_eq!(counts, (1, 1));
    shop.visits("ana").await;
    shop.pays("ana").await;
    shop.passes(mins(13)).await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.world.heard();
    shop.done().await;
}
