//! Two shops on one account: what the program removes is its own, whichever verb looks.

use std::{
    process::{Command, Output},
    sync::Arc,
};

use livetill::clock::SystemClock;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    setup::write_secrets,
    square::{
        fake::{Fake, KEY, LOCATION, TOKEN},
        shop::{MUG, Shop, config},
    },
    world::{crypto, mins},
};

/// A folder with a configuration for the stand-in, as another person on the same account has it.
pub struct Place(TempDir);

impl Place {
    /// `store` is the address of a database that is there already.
    pub fn new(square: &Fake, store: Option<&str>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let text = format!("[http]\nlisten = \"127.0.0.1:0\"\n{}", config(square, MUG, ""));
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        let square = [
            ("LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN", TOKEN),
            ("LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS", KEY),
        ];
        let store = store.map(|url| ("LIVETILL_STORE__URL", url));
        let all: Vec<_> = square.into_iter().chain(store).collect();
        write_secrets(dir.path(), &all);
        Self(dir)
    }

    /// The program itself, with nothing to read; its exit code and what it said.
    pub async fn runs(&self, args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
        command.args(args).current_dir(self.0.path()).env_remove("LIVETILL_LOG");
        let ended = tokio::task::spawn_blocking(move || command.output());
        let Output { status, stdout, stderr } = ended.await.expect("no panic").expect("starts");
        let said = [stdout, stderr].concat();
        (status.code(), String::from_utf8(said).expect("text"))
    }
}

/// What of a sale is at Square.
fn state(square: &Fake) -> [Vec<Value>; 3] {
    let books = square.books();
    [&books.objects, &books.links, &books.orders].map(|all| all.values().cloned().collect())
}

#[tokio::test]
async fn the_running_sale_of_another_database_is_listed_as_foreign_and_left_alone() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    shop.world.clicks("bo").await;
    let before = state(&shop.square);
    let other = Place::new(&shop.square, None);
    // Before its first start there is no database.
    let (code, said) = other.runs(&["audit"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("unknown  item ") && !said.contains("foreign"), "{said}");
    let (code, said) = other.runs(&["audit", "--retire"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Nothing was removed: there is no store at"), "{said}");
    assert_eq!(state(&shop.square), before);
    // It starts, hears that there is nobody at the keyboard, and ends.
    let (code, said) = other.runs(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    for args in [&["audit"][..], &["audit", "--retire"]] {
        let (code, said) = other.runs(args).await;
        assert_eq!(code, Some(0), "{args:?}: {said}");
        for kind in ["item", "payment link"] {
            assert!(said.contains(&format!("foreign  {kind} ")), "{args:?}: {said}");
        }
        assert!(said.contains("is removed with that database's configuration"), "{said}");
        assert!(said.contains("Nothing of this shop is left behind."), "{args:?}: {said}");
        assert!(!said.contains("removed  ") && !said.contains("left     "), "{args:?}: {said}");
        assert_eq!(state(&shop.square), before, "{args:?}");
    }
    for args in [&["check"][..], &["check", "--fix"]] {
        other.runs(args).await;
        assert_eq!(state(&shop.square), before, "{args:?}");
    }
    let own = Place::new(&shop.square, Some(shop.setup.database.url()));
    let (code, said) = own.runs(&["audit", "--retire"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("in use   item ") && !said.contains("removed  "), "{said}");
    assert_eq!(state(&shop.square), before);
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_mark_of_the_version_before_is_ours_where_its_sale_is_known() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    let made = shop.square.books().objects.clone();
    shop.passes(mins(14)).await;
    assert!(shop.world.newest().closed);
    shop.world.heard();
    let store = shop.world.app.engine.store();
    let id = store.shop_id().await.expect("the store").expect("a shop");
    for (key, object) in made {
        let text = object.to_string();
        assert!(text.contains(&format!("livetill {} of {id}", shop.world.newest().id)), "{text}");
        let plain = text.replace(&format!(" of {id}"), "");
        let object = serde_json::from_str(&plain).expect("JSON");
        shop.square.books().objects.insert(key, object);
    }
    let other = Place::new(&shop.square, None);
    let (code, said) = other.runs(&[]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = other.runs(&["audit", "--retire"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("foreign  item "), "{said}");
    assert!(!shop.square.books().objects.is_empty());
    let own = Place::new(&shop.square, Some(shop.setup.database.url()));
    let (code, said) = own.runs(&["audit"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("left     item "), "{said}");
    let (code, said) = own.runs(&["audit", "--retire"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("removed  item ") && said.ends_with("Nothing is left behind.\n"),
        "{said}"
    );
    assert!(shop.square.books().objects.is_empty());
    shop.done().await;
}

fn marked(sale: &str, shop: &str, id: &str) -> Value {
    json!({
        "type": "ITEM_VARIATION", "id": id, "version": 5, "present_at_all_locations": false,
        "present_at_location_ids": [LOCATION],
        "item_variation_data": { "item_id": "ITEM", "name": id,
                                 "user_data": format!("livetill {sale} of {shop}") },
    })
}

#[tokio::test]
async fn a_probe_beside_another_shop_removes_its_own_alone() {
    crypto();
    let fake = Fake::start(Arc::new(SystemClock)).await;
    let other = marked("019b76da0800777788889999aaaabbbb", "another-shop", "VAR");
    let own = other.clone();
    let item = json!({
        "type": "ITEM", "id": "ITEM", "version": 5, "present_at_all_locations": true,
        "item_data": { "name": "Mugs", "variations": [own] },
    });
    fake.books().objects.insert("VAR".to_owned(), other);
    fake.books().objects.insert("ITEM".to_owned(), item);
    let before = state(&fake)[0].clone();
    let place = Place::new(&fake, None);
    let (code, said) = place.runs(&["probe", "mug", "--rounds", "1"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(state(&fake)[0], before);
}

#[tokio::test]
async fn an_item_with_variations_of_two_shops_is_nobody_s_alone() {
    crypto();
    let fake = Fake::start(Arc::new(SystemClock)).await;
    let sale = "019b76da0800777788889999aaaabbbb";
    let both = [marked(sale, "one-shop", "V1"), marked(sale, "other-shop", "V2")];
    let item = json!({
        "type": "ITEM", "id": "ITEM", "version": 5, "present_at_all_locations": true,
        "item_data": { "name": "Mugs", "variations": both },
    });
    fake.books().objects.insert("ITEM".to_owned(), item);
    let square = super::doctor::account(&fake, TOKEN, LOCATION);
    let left = livetill::provider::Provider::left_behind(&square).await.expect("an answer");
    let kinds: Vec<&str> = left.iter().map(|one| one.kind.as_str()).collect();
    assert_eq!(kinds, ["variation", "variation"], "the item is not removed whole");
    assert_ne!(left[0].shop, left[1].shop);
}
