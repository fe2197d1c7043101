//! Whole evenings on Noventiq.

use crate::{
    noventiq::shop::{KEYS, Shop},
    world::{mins, secs},
};

#[tokio::test]
async fn three_licences_sell_out() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    for who in ["ana", "bo", "cy"] {
        assert_eq!(shop.world.clicks(who).await.status, 303);
        assert_eq!(shop.pays(who).await.status, 200);
        shop.passes(secs(6)).await;
    }
    let said = shop.world.heard();
    let sold_out = said.iter().filter(|line| line.starts_with("SOLD OUT · Brush Pack · 3")).count();
    assert_eq!(sold_out, 1, "{said:?}");
    assert_eq!(shop.world.clicks("dee").await.status, 409);
    shop.passes(secs(40)).await;
    assert!(shop.world.newest().closed);
    assert_eq!(shop.fates().await, ["kept", "kept", "kept"]);
    // The page that was proven before the opening went to the first buyer.
    assert_eq!(shop.noventiq.calls("POST /v1/generate_buy_link"), 3);
    assert_eq!(shop.noventiq.calls("POST /v1/login_check"), 1);
    let link = shop.noventiq.books().links.values().next().cloned().expect("a link");
    let entry = &link["request"]["products"][0];
    assert_eq!((&entry["price"], &entry["name"]), (&"18.00".into(), &"Brush Pack".into()));
    assert_eq!(shop.noventiq.ledger(), 5400);
    shop.done().await;
}

#[tokio::test]
async fn not_one_webhook_comes_and_every_payment_is_found() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    for who in ["ana", "bo", "cy"] {
        shop.world.clicks(who).await;
        shop.pays_silently(who).await;
    }
    shop.noventiq.books().events.clear();
    shop.passes(secs(3)).await;
    assert_eq!(shop.world.newest().paid, 3);
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.starts_with("SOLD OUT")), "{said:?}");
    shop.passes(mins(1)).await;
    let reads = shop.noventiq.calls("GET /v1/order/");
    assert!(reads < 10, "an order that is known is not read again and again: {reads}");
    shop.done().await;
}

#[tokio::test]
async fn units_parts_and_what_the_buyer_said_stand_on_the_link() {
    let keys = KEYS
        .replace("stock = 3", "stock = 5\nper_buyer = 2\nask = [\"name\", \"email\"]")
        .replace("product_id = 4653375", "product_id = 4653375\nsku = \"BRUSH\"");
    let part = "with = [{ product_id = 4653376, name = \"Licence\", price = \"8.00\" }]\n";
    let mut shop = Shop::new(&format!("{keys}{part}")).await;
    shop.noventiq.books().faults.bad_email = Some("bo@shop.example".to_owned());
    shop.opens().await;
    let form = [("units", "2"), ("name", "Ana Maria Silva"), ("email", "ana@shop.example")];
    assert_eq!(shop.world.claims("ana", &form).await.status, 303);
    let request = shop.noventiq.books().links[&shop.link_of("ana")]["request"].clone();
    assert_eq!((&request["currency"], &request["market_id"]), (&"USD".into(), &17.into()));
    let entry = |n: usize, key: &str| request["products"][n][key].clone();
    assert_eq!((entry(0, "price"), entry(1, "price")), ("10.00".into(), "8.00".into()));
    assert_eq!((entry(0, "quantity"), entry(1, "quantity")), (2.into(), 2.into()));
    assert_eq!((entry(0, "sku"), entry(1, "name")), ("BRUSH".into(), "Licence".into()));
    assert_eq!(entry(0, "vendor_code"), request["additional_data"][1]["value"]);
    assert_eq!(request["customer"]["first_name"], "Ana Maria");
    assert_eq!(request["customer"]["last_name"], "Silva");
    shop.pays("ana").await;
    assert_eq!(shop.world.newest().paid, 2);
    assert_eq!(shop.noventiq.ledger(), 3600, "a webhook for each product, and one payment");
    // What Noventiq does not like about a buyer's data does not lose the buyer.
    let form = [("units", "1"), ("name", "Bo"), ("email", "bo@shop.example")];
    assert_eq!(shop.world.claims("bo", &form).await.status, 303);
    let request = shop.noventiq.books().links[&shop.link_of("bo")]["request"].clone();
    assert!(request["customer"].is_null(), "{request}");
    shop.pays("bo").await;
    assert_eq!(shop.world.newest().paid, 3);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn replies_in_an_envelope_and_links_without_an_id_do_as_well() {
    for enveloped in [false, true] {
        let mut shop = Shop::with(KEYS, "additional_data = false\nopen_links = false").await;
        {
            let mut books = shop.noventiq.books();
            books.faults.enveloped = enveloped;
            books.faults.anonymous = true;
            // Links that may not be looked at are believed.
            books.faults.dead_links = true;
        }
        shop.opens().await;
        shop.world.clicks("ana").await;
        shop.pays("ana").await;
        assert_eq!((shop.world.newest().paid, shop.fates().await.len()), (1, 1));
        shop.world.clicks("bo").await;
        shop.passes(mins(13)).await;
        assert_eq!((shop.world.newest().held, shop.world.newest().closed), (1, true));
        shop.world.heard();
        shop.done().await;
    }
}

#[tokio::test]
async fn a_link_that_leads_nowhere_opens_no_sale() {
    let mut shop = Shop::new(KEYS).await;
    shop.noventiq.books().faults.dead_links = true;
    shop.says("!sale start keys 10m").await;
    shop.passes(mins(2)).await;
    let said = shop.world.heard();
    assert!(said.iter().any(|line| line.contains("NOT STARTED")), "{said:?}");
    assert!(!said.iter().any(|line| line.contains("SALE OPEN")), "{said:?}");
    assert_eq!((shop.world.newest().held, shop.world.newest().state.word()), (0, "failed"));
    shop.done().await;
}

#[tokio::test]
async fn goods_that_are_sent_are_refused_unless_the_owner_says_so() {
    let sent = KEYS.replace(
        "warm = 0",
        "warm = 0\ndelivery = [{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }]",
    );
    let sent = format!("{sent}delivery_product_id = 4653377\n");
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    let text = format!("[providers.noventiq]\napi_url = \"http://127.0.0.1:1\"\n{sent}");
    std::fs::write(&path, text).expect("written");
    super::shop::write_secrets(dir.path());
    let error =
        livetill::config::load(&path, &Default::default()).expect_err("refused").to_string();
    assert!(error.contains("templates.keys.delivery: Noventiq Checkout is made for"), "{error}");
    let mut shop = Shop::with(&sent, "allow_physical = true").await;
    shop.opens().await;
    shop.world.claims("ana", &[("delivery", "ship")]).await;
    shop.pays("ana").await;
    assert_eq!((shop.world.newest().paid, shop.noventiq.ledger()), (1, 2400));
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
