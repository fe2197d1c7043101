//! Options, up-sells and special prices as Square's payment links carry them.

use livetill::{
    gate::{CodeKey, add_codes},
    report::Report,
};
use serde_json::json;

use crate::{
    square::shop::{MUG, Shop},
    world::mins,
};

const OFFERS: &str = r#"
options = [{ name = "size", label = "Size", choices = [
    { name = "M" }, { name = "XL", add = "2.50" },
] }]

[[templates.mug.upsell]]
name = "sticker"
label = "Stickers"
price = "4.00"
stock = 1

[[templates.mug.special]]
code_list = "friends"
price = "12.00"
"#;

async fn shop() -> Shop {
    let mug = MUG.replace(
        "warm = 0",
        "warm = 0\nper_buyer = 2\ndelivery = [{ name = \"ship\", label = \"Ship\", fee = \"6.00\" }]",
    );
    let shop = Shop::new(&format!("{mug}{OFFERS}")).await;
    let store = shop.world.app.engine.store();
    let key = CodeKey::new(&store.secret([0; 32]).await.expect("there is one"));
    add_codes(store, &key, "friends", "fern\n").await.expect("codes");
    shop
}

#[tokio::test]
async fn a_link_lists_what_was_chosen_and_asks_for_exactly_that() {
    let mut shop = shop().await;
    shop.opens().await;
    let all = [
        ("option.size", "XL"),
        ("upsell.sticker", "1"),
        ("special", "FERN"),
        ("units", "2"),
        ("delivery", "ship"),
    ];
    assert_eq!(shop.world.claims("ana", &all).await.status, 303);
    let id = shop.order_of("ana");
    let order = shop.square.books().orders[&id].clone();
    // 2 × (12 + 2.50) + 4 + 6.
    assert_eq!(order["total_money"], json!({ "amount": 3900, "currency": "USD" }));
    let lines = order["line_items"].as_array().expect("lines");
    assert_eq!(lines.len(), 2);
    assert!(lines[0]["catalog_object_id"].is_string() && lines[0]["quantity"] == "2");
    let size = lines[0]["modifiers"].as_array().expect("modifiers").last().expect("the size");
    assert_eq!(
        (&size["name"], &size["base_price_money"]["amount"]),
        (&"Size: XL".into(), &250.into())
    );
    assert_eq!(lines[1]["name"], "Stickers");
    assert_eq!(order["discounts"][0]["amount_money"]["amount"], 1200, "6 off each of two");
    assert_eq!(order["metadata"]["choices"], "size XL, plus sticker, at code:friends");
    // The last of the stickers is held.
    let no = shop.world.claims("bo", &[("option.size", "M"), ("upsell.sticker", "1")]).await;
    assert!(no.status == 409 && no.text.contains("Sold out: Stickers"), "{}", no.text);
    assert_eq!(shop.world.claims("bo", &[("option.size", "M")]).await.status, 303);
    let id = shop.order_of("bo");
    let order = shop.square.books().orders[&id].clone();
    assert_eq!(order["total_money"]["amount"], 2400);
    assert_eq!(order["discounts"], json!(null));
    shop.pays("ana").await;
    shop.pays("bo").await;
    let said = shop.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    let id = shop.world.newest().id;
    let store = shop.world.app.engine.store();
    let sale = store.load(id).await.expect("the store").expect("the sale");
    let mut csv = Vec::new();
    Report::of(&sale, &[]).write_csv(&mut csv, livetill::report::Columns::Comma).expect("written");
    let csv = String::from_utf8(csv).expect("text");
    assert!(csv.contains("39.00") && csv.contains("size: XL,sticker,code:friends"), "{csv}");
    shop.passes(mins(2)).await;
    shop.done().await;
}

#[tokio::test]
async fn a_link_that_is_not_paid_gives_everything_back() {
    let mut shop = shop().await;
    shop.opens().await;
    let all = [("option.size", "M"), ("upsell.sticker", "1"), ("special", "fern")];
    assert_eq!(shop.world.claims("ana", &all).await.status, 303);
    let mut shop = shop.restarts().await;
    shop.passes(mins(4)).await;
    assert_eq!(shop.world.newest().held, 0);
    assert_eq!(shop.world.claims("bo", &all).await.status, 303, "sticker and code came back");
    shop.pays("bo").await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_condition_stands_before_the_link() {
    let config = format!("{MUG}condition = {{ label = \"Serial number\", codes = \"friends\" }}\n");
    let mut shop = Shop::new(&config).await;
    let store = shop.world.app.engine.store();
    let key = CodeKey::new(&store.secret([0; 32]).await.expect("there is one"));
    add_codes(store, &key, "friends", "fern\n").await.expect("codes");
    shop.opens().await;
    let links = shop.square.books().links.len();
    assert_eq!(shop.world.claims("ana", &[("code", "moss")]).await.status, 409);
    assert_eq!(shop.square.books().links.len(), links, "nothing was made");
    assert_eq!(shop.world.claims("ana", &[("code", "fern")]).await.status, 303);
    shop.pays("ana").await;
    shop.says("!sale stop").await;
    shop.passes(mins(2)).await;
    shop.world.heard();
    shop.done().await;
}
