//! Whole evenings on Square, told from the outside.

use crate::{
    square::shop::{MUG, Shop},
    world::{mins, secs},
};

#[tokio::test]
async fn three_mugs_sell_out_and_nothing_is_left() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.deliver().await;
    for who in ["ana", "bo", "cy"] {
        assert_eq!(shop.world.clicks(who).await.status, 303);
        let page = shop.looks_at_page(who).await;
        assert!(page.status == 200 && page.text.contains("Pay now"), "{page:?}");
        let back = shop.pays(who).await.location.expect("sent back");
        assert!(back.contains("/holds/"), "{back}");
        let page = shop.world.looks(who, &back).await.text;
        assert!(page.contains("$18 is paid, and it is yours"), "{page}");
        shop.passes(secs(6)).await;
    }
    let said = shop.world.heard();
    assert_eq!(
        said.iter().filter(|line| line.starts_with("SOLD OUT · Fern Mug · 3")).count(),
        1,
        "{said:?}"
    );
    assert!(!said.iter().any(|line| line.starts_with("PAUSED")), "{said:?}");
    let view = shop.world.newest();
    assert_eq!((view.state.word(), view.paid, view.left), ("sold_out", 3, 0));
    assert_eq!(shop.world.clicks("dee").await.status, 409);
    shop.passes(secs(65)).await;
    assert!(shop.world.newest().closed);
    // One write makes it, one counts it, one removes it; a link for each buyer.
    let calls = |what| shop.square.calls(what);
    assert_eq!(calls("POST /v2/catalog/batch-upsert"), 1);
    assert_eq!(calls("POST /v2/inventory/changes"), 1);
    assert_eq!(calls("POST /v2/catalog/batch-delete"), 1);
    assert_eq!(calls("POST /v2/online-checkout/payment-links"), 3);
    assert_eq!(calls("DELETE /v2/online-checkout/payment-links"), 0, "paid links stay alone");
    shop.done().await;
}

#[tokio::test]
async fn chat_hears_nothing_before_square_agrees_that_there_is_stock() {
    let mut shop = Shop::new(MUG).await;
    shop.square.books().faults.stale_reads = 3;
    let said = shop.says("!sale start mug 10m").await;
    assert!(!said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    shop.world.advance(secs(4)).await;
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    shop.says("!sale stop").await;
    shop.done().await;
}

#[tokio::test]
async fn a_page_that_says_sold_out_opens_no_sale() {
    let mut shop = Shop::new(MUG).await;
    shop.square.books().faults.phrase = "Sorry, Out Of Stock".to_owned();
    shop.says("!sale start mug 10m").await;
    shop.world.advance(secs(95)).await;
    let said = shop.world.heard();
    let last = said.last().expect("an answer");
    assert_eq!(last, "NOT STARTED · #1 Fern Mug · the page says \"out of stock\"");
    shop.done().await;
}

#[tokio::test]
async fn a_hold_lapses_its_link_dies_and_its_unit_goes_to_the_next() {
    let mut shop = Shop::new(&MUG.replace("stock = 3", "stock = 1")).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    assert_eq!(shop.world.clicks("bo").await.status, 409);
    shop.passes(mins(3)).await;
    let page = shop.looks_at_page("ana").await;
    assert_eq!(page.status, 404, "{}", page.text);
    assert_eq!(shop.pays_silently("ana").await.status, 400, "the order is cancelled too");
    assert_eq!(shop.world.clicks("bo").await.status, 303);
    shop.pays("bo").await;
    let said = shop.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    shop.done().await;
}

#[tokio::test]
async fn the_clock_ends_it_and_an_open_page_may_still_be_paid() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.passes(mins(9)).await;
    shop.world.clicks("ana").await;
    shop.world.clicks("bo").await;
    shop.passes(mins(1)).await;
    let said = shop.world.heard();
    assert_eq!(
        said.last().map(String::as_str),
        Some("ENDED · Fern Mug · 0 of 3 sold, 2 still paying")
    );
    shop.pays("ana").await;
    shop.passes(mins(2)).await;
    assert_eq!(shop.looks_at_page("bo").await.status, 404);
    let view = shop.world.newest();
    assert_eq!((view.state.word(), view.paid, view.held), ("ended", 1, 0));
    assert!(shop.world.heard().is_empty(), "no second line for what came after the end");
    shop.done().await;
}

#[tokio::test]
async fn warm_links_are_ready_for_each_delivery_choice_and_gone_afterwards() {
    let mug = MUG.replace("warm = 0", "warm = 2")
        + r#"delivery = [
            { name = "ship", label = "Ship to me", fee = "6.00", ask_address = true },
            { name = "pickup", label = "Local pickup", fee = "0.00" },
        ]"#;
    let mut shop = Shop::new(&mug).await;
    shop.opens().await;
    assert_eq!(shop.square.calls("POST /v2/online-checkout/payment-links"), 4);
    let answer = shop.world.claims("ana", &[("delivery", "ship")]).await;
    assert!(answer.location.expect("sent on").starts_with(&shop.square.url));
    let order = shop.order_of("ana");
    {
        let books = shop.square.books();
        let order = &books.orders[&order];
        assert_eq!(order["total_money"]["amount"], 2400);
        assert_eq!(order["metadata"]["delivery"], "ship");
        let link = books.links.values().find(|link| link["order_id"] == order["id"]);
        let options = &link.expect("a link")["checkout_options"];
        assert_eq!(options["ask_for_shipping_address"], true);
        assert!(options["shipping_fee"].is_null(), "the modifier has the fee: {options}");
    }
    shop.pays("ana").await;
    shop.world.claims("bo", &[("delivery", "pickup")]).await;
    let order = shop.order_of("bo");
    assert_eq!(shop.square.books().orders[&order]["total_money"]["amount"], 1800);
    shop.pays("bo").await;
    shop.passes(mins(13)).await;
    shop.world.heard();
    assert_eq!(shop.world.newest().paid, 2);
    shop.done().await;
}

#[tokio::test]
async fn several_units_pay_one_fee() {
    let mug = MUG.replace("warm = 0", "warm = 0\nper_buyer = 3")
        + r#"delivery = [{ name = "ship", label = "Ship to me", fee = "6.00" }]"#;
    let mut shop = Shop::new(&mug).await;
    shop.opens().await;
    shop.world.claims("ana", &[("units", "3")]).await;
    let order = shop.order_of("ana");
    assert_eq!(shop.square.books().orders[&order]["total_money"]["amount"], 3 * 1800 + 600);
    assert_eq!(shop.square.books().orders[&order]["line_items"][0]["quantity"], "3");
    shop.pays("ana").await;
    let said = shop.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    shop.done().await;
}

#[tokio::test]
async fn units_added_in_mid_sale_are_an_adjustment() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    shop.says("!sale restock 2").await;
    let count = shop.square.books().counts.values().next().copied().expect("a count").0;
    assert_eq!(count, 3 - 1 + 2);
    assert_eq!(shop.world.newest().left, 4);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_way_to_get_it_that_is_sold_out_is_greyed_until_it_is_back() {
    let delivery = "warm = 1\ndelivery = [{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }, \
                    { name = \"pickup\", label = \"Local pickup\" }]\n";
    let mut shop = Shop::new(&MUG.replace("warm = 0\n", delivery)).await;
    shop.opens().await;
    shop.deliver().await;
    shop.passes(secs(6)).await;
    let ship = {
        let books = shop.square.books();
        let label = |object: &serde_json::Value| object["modifier_data"]["name"] == "Ship to me";
        let found = books.objects.iter().find(|(_, object)| label(object));
        found.expect("a modifier").0.clone()
    };
    let tell = |shop: &Shop| {
        let mut books = shop.square.books();
        let at = serde_json::json!({ "updated_at": books.time() });
        books.event("catalog.version.updated", "catalog_version", at);
    };
    let sale = shop.world.newest().id;
    let page = shop.world.looks("ana", &format!("/sales/{sale}")).await.text;
    assert!(page.contains("value=\"ship\" data-once=\"600\" required checked>"), "{page}");
    shop.square.books().marked.push(ship);
    tell(&shop);
    shop.deliver().await;
    shop.passes(secs(3)).await;
    let page = shop.world.looks("ana", &format!("/sales/{sale}")).await.text;
    assert!(page.contains("value=\"ship\" data-once=\"600\" required disabled>"), "{page}");
    assert!(page.contains("value=\"pickup\" data-once=\"0\" required checked>"), "{page}");
    assert!(page.contains("<span>Ship to me</span> <span>sold out</span>"), "{page}");
    let no = shop.world.claims("ana", &[("delivery", "ship")]).await;
    assert_eq!(no.status, 409);
    assert!(no.text.contains("Ship to me is sold out. There is still: Local pickup."), "{no:?}");
    let links = shop.square.calls("POST /v2/online-checkout/payment-links");
    assert_eq!(shop.world.claims("ana", &[("delivery", "pickup")]).await.status, 303);
    shop.pays("ana").await;
    shop.passes(secs(6)).await;
    let made = shop.square.calls("POST /v2/online-checkout/payment-links") - links;
    assert!(made <= 1, "only the pickup pool is filled up: {made}");
    shop = shop.restarts().await;
    let page = shop.world.looks("bo", &format!("/sales/{sale}")).await.text;
    assert!(
        page.contains("value=\"ship\" data-once=\"600\" required disabled>"),
        "kept over a restart: {page}"
    );
    shop.square.books().marked.clear();
    tell(&shop);
    shop.deliver().await;
    shop.passes(secs(3)).await;
    assert_eq!(shop.world.claims("bo", &[("delivery", "ship")]).await.status, 303);
    shop.pays("bo").await;
    assert_eq!(shop.world.newest().state.word(), "open", "the sale itself never paused");
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}
