//! Options, conditions and special prices on Polar; what it cannot carry is refused.

use livetill::gate::{CodeKey, add_codes};

use crate::{
    polar::shop::{PLAN, Shop},
    world::mins,
};

const OFFERS: &str = r#"
options = [{ name = "seats", label = "Seats", choices = [
    { name = "one" }, { name = "five", add = "30.00" },
] }]
condition = { label = "Serial number", codes = "serials" }

[[templates.plan.special]]
code_list = "friends"
price = "12.00"
"#;

#[tokio::test]
async fn a_session_asks_for_what_was_chosen() {
    let mut shop = Shop::new(&format!("{PLAN}{OFFERS}")).await;
    let store = shop.world.app.engine.store();
    let key = CodeKey::new(&store.secret([0; 32]).await.expect("there is one"));
    add_codes(store, &key, "serials", "S1\nS2\n").await.expect("codes");
    add_codes(store, &key, "friends", "fern\n").await.expect("codes");
    shop.opens().await;
    let no = shop.world.claims("ana", &[("option.seats", "five")]).await;
    assert!(no.text.contains("Please give your Serial number"), "{}", no.text);
    let all = [("option.seats", "five"), ("code", "s1"), ("special", "fern")];
    assert_eq!(shop.world.claims("ana", &all).await.status, 303);
    shop.pays("ana").await;
    assert_eq!(
        shop.world.claims("bo", &[("option.seats", "one"), ("code", "s2")]).await.status,
        303
    );
    shop.pays("bo").await;
    let books = shop.polar.books();
    let mut sold: Vec<(i64, String)> = books
        .orders
        .values()
        .map(|order| {
            let choices = order["metadata"]["livetill_choices"].as_str().unwrap_or_default();
            (order["total_amount"].as_i64().unwrap_or(0), choices.to_owned())
        })
        .collect();
    sold.sort();
    let expected = [(1800, "seats one"), (4200, "seats five, at code:friends")];
    assert_eq!(sold, expected.map(|(amount, text)| (amount, text.to_owned())));
    let names: Vec<_> = books.products.values().map(|one| one["name"].clone()).collect();
    assert!(names.contains(&"Brush Pack (Seats: five)".into()), "{names:?}");
    drop(books);
    assert_eq!(shop.fates().await, ["kept", "kept"]);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}

#[test]
fn what_polar_cannot_carry_is_refused_with_the_key_and_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    let token = [("LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN".to_owned(), "x".to_owned())];
    let upsell = "[[templates.plan.upsell]]\nname = \"card\"\nprice = \"1\"\nstock = 3\n";
    let shared = format!("checkout = \"shared\"{OFFERS}");
    for (more, says) in [
        (upsell, "templates.plan.upsell: polar sells one thing per order"),
        ("per_buyer = 2\n", "templates.plan.per_buyer: polar sells one unit per order"),
        (&shared, "templates.plan.options: checkout = \"shared\" has no page of ours"),
        (&shared, "templates.plan.condition: checkout = \"shared\" has no page of ours"),
        (&shared, "templates.plan.special: checkout = \"shared\" has no page of ours"),
    ] {
        std::fs::write(&path, format!("{PLAN}{more}")).expect("written");
        let error = livetill::config::load(&path, &token.clone().into());
        let error = error.expect_err("refused").to_string();
        assert!(error.contains(says), "{more}: {error}");
    }
}
