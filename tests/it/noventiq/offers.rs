//! Options, up-sells and special prices on Noventiq: entries of one order.

use livetill::gate::{CodeKey, add_codes};

use crate::{noventiq::shop::Shop, world::mins};

const SUITE: &str = r#"
[templates.keys]
provider = "noventiq"
title = "Brush Pack"
price = "18.00"
stock = 2
per_buyer = 2
warm = 0
options = [{ name = "seats", label = "Seats", choices = [
    { name = "one" }, { name = "five", add = "30.00" },
] }]
[[templates.keys.upsell]]
name = "stickers"
label = "Stickers"
price = "2.50"
stock = 1
[[templates.keys.special]]
code_list = "friends"
price = "12.00"
[templates.keys.noventiq]
product_id = 4653375
with = [{ product_id = 4653376, name = "Licence", price = "8.00" }]
upsell_product_ids = { stickers = 4653377 }
"#;

#[tokio::test]
async fn what_was_chosen_are_entries_of_one_order() {
    let mut shop = Shop::new(SUITE).await;
    let store = shop.world.app.engine.store();
    let key = CodeKey::new(&store.secret([0; 32]).await.expect("there is one"));
    add_codes(store, &key, "friends", "fern\n").await.expect("codes");
    shop.opens().await;
    let all =
        [("units", "2"), ("option.seats", "five"), ("upsell.stickers", "yes"), ("special", "fern")];
    assert_eq!(shop.world.claims("ana", &all).await.status, 303);
    let link = shop.noventiq.books().links[&shop.link_of("ana")].to_string();
    for part in [
        r#""name":"Brush Pack (Seats: five)""#,
        r#""price":"34.00""#,
        r#""price":"8.00""#,
        r#""name":"Stickers""#,
        r#""price":"2.50""#,
    ] {
        assert!(link.contains(part), "{part} is not in {link}");
    }
    shop.pays("ana").await;
    assert_eq!(shop.fates().await, ["kept"]);
    // 2 × (12 + 30) + 2.50: the order is paid to the cent, or the payment would be parked.
    let newest = shop.world.newest();
    assert_eq!((newest.paid, newest.left), (2, 0));
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[test]
fn an_up_sell_needs_an_original_product() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    for (text, says) in [
        (SUITE.replace("{ stickers = 4653377 }", "{}"), "upsell_product_ids has no stickers"),
        (
            SUITE.replace("stickers = 4653377", "stickers = 4653376"),
            "product 4653376 is there twice",
        ),
        (SUITE.replace("\"12.00\"", "\"8.00\""), "costs as much as $8"),
    ] {
        std::fs::write(&path, text).expect("written");
        let error = livetill::config::load(&path, &std::collections::HashMap::new());
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(says), "{says} is not in {error}");
    }
}
