//! Square on a bad day: what was seen in the wild, and what must come of it.

use crate::{
    square::{
        fake::Fake,
        shop::{MUG, Shop, config},
    },
    world::{Setup, mins, secs},
};
use livetill::sale::payment::Fate;

fn one() -> String {
    MUG.replace("stock = 3", "stock = 1")
}

/// The payments of the newest sale: fate and, once refunded, whether it is done.
async fn fates(shop: &Shop) -> Vec<String> {
    let id = shop.world.newest().id;
    let sale = shop.world.app.engine.store().load(id).await.expect("the store").expect("the sale");
    sale.payments().map(|payment| payment.fate.word().to_owned()).collect()
}

#[tokio::test]
async fn after_a_failed_card_the_order_is_cancelled_by_hand() {
    let mut shop = Shop::new(&one()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.order_of("ana");
    shop.card_fails("ana").await;
    shop.square.books().faults.order_races = 2;
    shop.passes(mins(3)).await;
    // Square deleted the link and said nothing of the order: it was cancelled explicitly, and
    // once more each time it had changed in between, under a key of its own.
    assert_eq!(shop.square.calls("PUT /v2/orders/"), 3);
    assert_eq!(shop.square.books().orders[&order]["state"], "CANCELED");
    assert_eq!(shop.world.newest().left, 1);
    shop.world.clicks("bo").await;
    shop.pays("bo").await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_payment_found_while_closing_is_a_payment() {
    let mut shop = Shop::new(&one()).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.square.books().faults.delete_cancels_nothing = true;
    shop.world.advance(secs(179)).await;
    shop.pays_silently("ana").await;
    // Not one webhook arrives, and nobody asks before the time is up.
    shop.square.books().events.clear();
    shop.world.advance(secs(2)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.held), (1, 0));
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_second_payment_for_one_hold_goes_back() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let order = shop.order_of("ana");
    shop.pays("ana").await;
    shop.square.books().pay(&order);
    shop.deliver().await;
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.contains("it was paid twice")), "{said:?}");
    assert_eq!(fates(&shop).await.len(), 2);
    // Its end is heard of even if nobody tells us.
    shop.square.books().events.clear();
    shop.passes(secs(6)).await;
    assert!(fates(&shop).await.contains(&"refunded".to_owned()));
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_page_with_another_total_than_announced_is_shown_to_nobody() {
    let mut shop = Shop::new(MUG).await;
    shop.square.books().faults.surcharge = 144;
    let said = shop.says("!sale start mug 10m").await.join("\n");
    assert!(said.contains("Square would ask for $19.44 instead of $18"), "{said}");
    assert_eq!(shop.world.newest().state.word(), "failed");
    shop.done().await;
}

#[tokio::test]
async fn square_is_away_for_two_minutes_in_mid_sale() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.world.clicks("bo").await;
    shop.passes(secs(150)).await;
    shop.square.books().faults.away = true;
    // Ana's time is up meanwhile, Cy wants one and Bo pays just before it goes dark.
    let order = shop.order_of("bo");
    shop.square.books().pay(&order);
    shop.square.books().events.clear();
    shop.passes(secs(40)).await;
    let answer = shop.claims_while_waiting("cy").await;
    assert!(answer.location.expect("sent on").starts_with("/holds/"), "told to wait, not misled");
    shop.passes(secs(80)).await;
    let view = shop.world.newest();
    assert_eq!(view.held + view.paid, 3, "nothing is given back before Square confirms it");
    assert_eq!(shop.world.clicks("dee").await.status, 409);
    shop.square.books().faults.away = false;
    shop.passes(mins(2)).await;
    let view = shop.world.newest();
    assert_eq!(
        (view.paid, view.left),
        (1, 1),
        "Bo's payment is found, Ana's unit is back: {view:?}"
    );
    shop.world.clicks("cy").await;
    shop.pays("cy").await;
    shop.passes(mins(15)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.closed), (2, true));
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_locked_catalog_delays_and_is_waited_for() {
    let mut shop = Shop::new(MUG).await;
    shop.square.books().faults.locked = 3;
    let said = shop.says("!sale start mug 10m").await;
    assert!(!said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    shop.world.advance(secs(15)).await;
    assert_eq!(shop.world.newest().state.word(), "open");
    shop.says("!sale stop").await;
    shop.square.books().faults.locked = 2;
    shop.done().await;
}

#[tokio::test]
async fn a_bad_e_mail_address_does_not_lose_the_sale() {
    let ask = MUG.to_owned() + "ask = [\"name\", \"email\"]\n";
    let mut shop = Shop::new(&ask).await;
    shop.square.books().faults.bad_email = Some("ana@example.org".to_owned());
    shop.opens().await;
    let form = [("name", "Ana Silva"), ("email", "ana@example.org")];
    let answer = shop.world.claims("ana", &form).await;
    assert!(answer.location.expect("sent on").starts_with(&shop.square.url));
    shop.pays("ana").await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_mark_set_by_hand_pauses_and_its_removal_allows_to_go_on() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.deliver().await;
    shop.passes(secs(20)).await;
    assert_eq!(shop.world.newest().state.word(), "open", "the mark before stocking is no pause");
    let variation = shop.square.books().counts.keys().next().cloned().expect("a variation");
    let tell = |shop: &Shop| {
        let mut books = shop.square.books();
        let at = serde_json::json!({ "updated_at": books.time() });
        books.event("catalog.version.updated", "catalog_version", at);
    };
    shop.square.books().marked.push(variation);
    tell(&shop);
    shop.deliver().await;
    shop.passes(secs(9)).await;
    assert_eq!(shop.world.newest().state.word(), "paused");
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.starts_with("PAUSED")), "{said:?}");
    let said = shop.says("!sale resume").await;
    assert!(said[0].to_lowercase().contains("sold out"), "{said:?}");
    shop.square.books().marked.clear();
    tell(&shop);
    shop.deliver().await;
    shop.passes(secs(3)).await;
    shop.says("!sale resume").await;
    assert_eq!(shop.world.newest().state.word(), "open");
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn units_sold_at_the_till_are_taken_off_once_and_ours_never() {
    let mut shop = Shop::new(&MUG.replace("stock = 3", "stock = 5")).await;
    shop.opens().await;
    shop.deliver().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    shop.passes(secs(20)).await;
    assert_eq!((shop.world.newest().stock, shop.world.newest().paid), (5, 1));
    let (variation, count) = {
        let books = shop.square.books();
        let (id, (count, _)) = books.counts.iter().next().expect("a count");
        (id.clone(), *count)
    };
    assert_eq!(count, 4);
    shop.square.books().set_count(&variation, 2);
    shop.deliver().await;
    shop.passes(secs(20)).await;
    let view = shop.world.newest();
    assert_eq!((view.stock, view.paid, view.left), (3, 1, 2), "two went over the counter");
    for who in ["bo", "cy"] {
        shop.world.clicks(who).await;
        shop.pays(who).await;
    }
    assert_eq!(shop.world.newest().state.word(), "sold_out");
    shop.passes(mins(2)).await;
    let id = shop.world.newest().id;
    let sale = shop.world.app.engine.store().load(id).await.expect("the store").expect("the sale");
    assert!(sale.payments().all(|payment| payment.fate == Fate::Kept));
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn why_a_start_waits_is_told_to_moderators_once_and_within_seconds() {
    for closed_port in [false, true] {
        let mut setup = Setup::new("");
        let fake = Fake::start(setup.clock.clone()).await;
        fake.books().faults.away = true;
        setup.config = config(&fake, MUG, "");
        if closed_port {
            // Nothing listens at the discard port.
            setup.config = setup.config.replace(&fake.url, "http://127.0.0.1:9");
        }
        let mut shop = Shop::build(setup, fake).await;
        let mut said = shop.says("!sale start mug 10m").await;
        shop.world.advance(secs(5)).await;
        said.extend(shop.world.heard());
        let why: Vec<_> = said.iter().filter(|line| line.contains("not ready yet")).collect();
        assert_eq!(why.len(), 1, "{said:?}");
        let reason =
            if closed_port { "Square cannot be reached" } else { "Square is out of order" };
        assert!(why[0].contains(reason), "{why:?}");
        assert!(!why[0].contains('<'), "no raw answer: {why:?}");
        shop.world.advance(secs(5)).await;
        assert!(!shop.world.heard().iter().any(|line| line.contains("not ready yet")), "once");
        if closed_port {
            shop.world.app.stop().await;
            continue;
        }
        shop.square.books().faults.away = false;
        shop.passes(secs(20)).await;
        let said = shop.world.heard();
        assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
        shop.passes(mins(14)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn a_first_page_that_does_not_come_up_is_told_while_the_start_waits() {
    let mut shop = Shop::new(MUG).await;
    shop.square.books().faults.stale_reads = 15;
    let mut said = shop.says("!sale start mug 10m").await;
    shop.passes(secs(12)).await;
    said.extend(shop.world.heard());
    let why: Vec<_> = said.iter().filter(|line| line.contains("not ready yet")).collect();
    assert_eq!(why.len(), 1, "{said:?}");
    assert!(why[0].contains("still shows the item as sold out"), "{why:?}");
    shop.passes(secs(20)).await;
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn an_order_and_a_payment_that_are_not_visible_yet_are_waited_for() {
    for paid in [true, false] {
        let mut shop = Shop::new(&one()).await;
        shop.opens().await;
        shop.world.clicks("ana").await;
        shop.world.advance(secs(175)).await;
        if paid {
            shop.pays_silently("ana").await;
        }
        {
            let mut books = shop.square.books();
            books.events.clear();
            books.faults.delete_cancels_nothing = true;
            (books.faults.hidden_orders, books.faults.hidden_payments) = (2, u32::from(paid));
        }
        // Nobody tells, and nobody asks but whoever closes the page.
        shop.world.advance(secs(6)).await;
        let view = shop.world.newest();
        assert_eq!((view.paid, view.held, view.left), (0, 1, 0), "{paid}: nothing is given back");
        shop.world.advance(secs(30)).await;
        let view = shop.world.newest();
        assert_eq!((view.paid, view.held), (u32::from(paid), 0), "{paid}: {view:?}");
        shop.passes(mins(13)).await;
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn asking_goes_on_past_a_payment_that_is_not_visible_yet() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    for who in ["ana", "bo"] {
        shop.world.clicks(who).await;
        shop.pays_silently(who).await;
    }
    shop.square.books().events.clear();
    shop.square.books().faults.hidden_payments = 1;
    shop.asks().await;
    assert_eq!(shop.world.newest().paid, 1, "of the other it is heard at once");
    shop.passes(secs(6)).await;
    assert_eq!(shop.world.newest().paid, 2);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
