//! `[templates.<name>.square]`: other ways to keep an item at Square.

use serde_json::{Value, json};

use crate::{
    square::shop::{MUG, Shop},
    world::{mins, secs},
};

pub fn with(options: &str) -> String {
    format!("{MUG}\n[templates.mug.square]\n{options}\n")
}

fn variation(id: &str, price: i64) -> Value {
    json!({
        "type": "ITEM_VARIATION", "id": id, "version": 5, "updated_at": "2026-01-01T00:00:00Z",
        "present_at_all_locations": true,
        "item_variation_data": {
            "item_id": "ITEM", "name": "Regular", "ordinal": 1, "sku": "MUG",
            "price_money": { "amount": price, "currency": "USD" },
        },
    })
}

pub fn stock_item(shop: &Shop, price: i64) {
    let mut books = shop.square.books();
    let item = json!({
        "type": "ITEM", "id": "ITEM", "version": 5, "present_at_all_locations": false,
        "present_at_location_ids": ["L1", "L9"],
        "item_data": { "name": "Mugs", "variations": [variation("VAR", price)] },
    });
    books.objects.insert("ITEM".to_owned(), item);
    books.objects.insert("VAR".to_owned(), variation("VAR", price));
}

async fn sells_one(shop: &mut Shop) {
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(14)).await;
    assert!(shop.world.newest().closed);
    shop.world.heard();
}

#[tokio::test]
async fn a_fresh_item_carries_what_the_template_says() {
    let options = "category_id = \"CAT\"\nsupport_email = \"help@shop.example\"\nnote = \"Thanks\"\n\
                   present_at = [\"L2\"]\napp_fee = \"1.00\"\nshipping_fee = true";
    let delivery = "delivery = [{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }]\n\
                    description = \"Made of <clay> & fire\"";
    let text = with(options)
        .replace("[templates.mug.square]", &format!("{delivery}\n[templates.mug.square]"));
    let mut shop = Shop::new(&text).await;
    shop.opens().await;
    {
        let books = shop.square.books();
        let item = books.objects.values().find(|o| o["type"] == "ITEM").expect("an item");
        let data = &item["item_data"];
        assert_eq!(data["name"], "Fern Mug");
        assert_eq!(data["description_html"], "Made of &lt;clay&gt; &amp; fire");
        assert_eq!(data["categories"], json!([{ "id": "CAT" }]));
        assert_eq!(item["present_at_location_ids"], json!(["L1", "L2"]));
        let link = books.links.values().next().expect("a link");
        let options = &link["checkout_options"];
        assert_eq!(options["merchant_support_email"], "help@shop.example");
        assert_eq!(options["app_fee_money"], json!({ "amount": 100, "currency": "USD" }));
        assert_eq!(options["shipping_fee"]["charge"]["amount"], 600);
        let order = books.orders.values().next().expect("an order");
        assert_eq!(order["total_money"]["amount"], 2400, "the fee once, not twice");
    }
    sells_one(&mut shop).await;
    shop.done().await;
}

#[tokio::test]
async fn an_archived_item_stays_and_is_marked_so() {
    let mut shop = Shop::new(&with("after = \"archive\"")).await;
    shop.opens().await;
    sells_one(&mut shop).await;
    {
        let mut books = shop.square.books();
        let item = books.objects.values().find(|o| o["type"] == "ITEM").expect("an item");
        assert_eq!(item["item_data"]["is_archived"], true);
        assert_eq!(item["item_data"]["name"], "Fern Mug", "an upsert replaces the whole object");
        assert_eq!(item["item_data"]["variations"].as_array().map(Vec::len), Some(1));
        books.objects.clear();
    }
    shop.done().await;
}

#[tokio::test]
async fn a_fresh_variation_of_an_item_that_stays() {
    let mut shop = Shop::new(&with("strategy = \"variation\"\nitem_id = \"ITEM\"")).await;
    stock_item(&shop, 1800);
    shop.opens().await;
    {
        let books = shop.square.books();
        let made =
            books.objects.values().find(|o| o["id"] != "VAR" && o["type"] == "ITEM_VARIATION");
        let made = made.expect("a variation");
        assert_eq!(made["item_variation_data"]["item_id"], "ITEM");
        assert_eq!(made["item_variation_data"]["name"], "Fern Mug");
        assert_eq!(made["present_at_location_ids"], json!(["L1", "L9"]), "where its parent is");
    }
    sells_one(&mut shop).await;
    let left: Vec<String> = shop.square.books().objects.keys().cloned().collect();
    assert_eq!(left, ["ITEM", "VAR"]);
    shop.done().await;
}

#[tokio::test]
async fn a_reused_variation_is_tracked_stocked_and_emptied() {
    let mut shop = Shop::new(&with("strategy = \"reuse\"\nvariation_id = \"VAR\"")).await;
    stock_item(&shop, 1800);
    shop.opens().await;
    {
        let books = shop.square.books();
        let data = &books.objects["VAR"]["item_variation_data"];
        assert_eq!(
            data["location_overrides"][0],
            json!({ "location_id": "L1", "track_inventory": true })
        );
        assert_eq!(data["sku"], "MUG", "nothing is lost");
        assert_eq!(books.counts["VAR"].0, 3);
    }
    sells_one(&mut shop).await;
    assert_eq!(shop.square.books().counts["VAR"].0, 0);
    // The second time nothing needs switching on.
    let writes = shop.square.calls("POST /v2/catalog/batch-upsert");
    shop.says("!sale start mug 10m").await;
    shop.world.advance(secs(2)).await;
    assert_eq!(shop.world.newest().state.word(), "open");
    assert_eq!(shop.square.calls("POST /v2/catalog/batch-upsert"), writes);
    shop.says("!sale stop").await;
    shop.done().await;
}

#[tokio::test]
async fn a_reused_variation_with_another_price_starts_nothing() {
    let mut shop = Shop::new(&with("strategy = \"reuse\"\nvariation_id = \"VAR\"")).await;
    stock_item(&shop, 2000);
    shop.says("!sale start mug 10m").await;
    let said = shop.world.heard();
    let view = shop.world.newest();
    assert_eq!(view.state.word(), "failed", "{said:?}");
    shop.done().await;
}

#[tokio::test]
async fn a_shared_modifier_list_is_used_and_left_alone() {
    let delivery = "delivery = [{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }]";
    let options = with("modifier_list_id = \"LIST\"")
        .replace("[templates.mug.square]", &format!("{delivery}\n[templates.mug.square]"));
    let mut shop = Shop::new(&options).await;
    let modifier = json!({ "type": "MODIFIER", "id": "MOD", "version": 1, "modifier_data": {
        "name": "ship to me", "price_money": { "amount": 600, "currency": "USD" } } });
    let list = json!({ "type": "MODIFIER_LIST", "id": "LIST", "version": 1,
        "modifier_list_data": { "name": "Delivery", "modifiers": [modifier] } });
    shop.square.books().objects.insert("LIST".to_owned(), list);
    shop.square.books().objects.insert("MOD".to_owned(), modifier);
    shop.opens().await;
    sells_one(&mut shop).await;
    let left: Vec<String> = shop.square.books().objects.keys().cloned().collect();
    assert_eq!(left, ["LIST", "MOD"]);
    shop.done().await;
}

#[tokio::test]
async fn a_currency_whose_smallest_unit_is_another_at_square_is_refused() {
    use livetill::{config, provider::Provider};
    let fake = crate::square::fake::Fake::start(crate::world::ManualClock::new()).await;
    let square = crate::square::doctor::account(&fake, crate::square::fake::TOKEN, "L1");
    for (currency, price, fine) in [
        ("USD", "18.00", true),
        ("EUR", "18.00", true),
        ("JPY", "1800", true),
        ("ISK", "1800", false),
        ("UGX", "1800", false),
        ("KRW", "1800", false),
        ("MGA", "1800", false),
        ("KWD", "18.000", false),
    ] {
        let text = MUG.replace("18.00", price) + &format!("currency = \"{currency}\"\n");
        let raw = toml::from_str::<config::Config>(&text).expect("reads").templates;
        // Refused where the template is read, or where Square is asked whether it can carry it.
        let said = match config::templates(&raw) {
            Ok(all) => square.accepts(&all["mug"]),
            Err(all) => Err(all.into_iter().map(|one| one.says).collect::<String>()),
        };
        assert_eq!(said.is_ok(), fine, "{currency}: {said:?}");
        if let Err(says) = said {
            assert!(says.contains(currency), "{currency}: {says}");
        }
    }
}
