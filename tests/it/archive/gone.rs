//! What is deleted of an archived sale is in no corner of the database any more.

use sqlx::{Connection, Row, query};

use super::{LONG, archives};
use crate::{
    database::Engine,
    world::{Setup, World, mins},
};

const CONFIG: &str = "
[templates.mug]
title = \"Fern Mug\"
price = \"18.00\"
stock = 40
ask = [\"name\", \"email\"]
delivery = [{ name = \"ship\", label = \"Shipping\", ask_address = true }]
[providers.sandbox]
calls_per_second = 100000
";

/// Each buyer's name, e-mail address and postal address has this in it.
const MARK: &str = "Zebedee";

#[tokio::test]
async fn names_and_addresses_of_an_archived_sale_are_in_no_row_and_no_free_page() {
    let setup = Setup::on(Engine::Sqlite, CONFIG);
    let mut world = World::build(&setup).await;
    world.says_quietly("!sale start mug 10m").await;
    for n in 0..40 {
        let who = format!("buyer{n}");
        let (name, email) = (format!("{MARK} {n}"), format!("{MARK}{n}@example.com"));
        let form = [("name", name.as_str()), ("email", &email), ("delivery", "ship")];
        assert_eq!(world.claims(&who, &form).await.status, 303, "{who}");
        let page = world.browser(&who).at.expect("a page");
        let form = [("do", "pay"), ("name", &name), ("address", "99 Zebedee Street")];
        assert_eq!(world.posts(&who, &page, &form).await.status, 303, "{who}");
    }
    world.advance(mins(15)).await;
    world.runs_out().await;
    assert!(text(&world).contains(MARK));
    world.clock.advance(LONG);
    assert_eq!(archives(&world).await, 1);
    let mut db = world.database.raw().await;
    let payments = "select body from document where kind = 'sandbox_payment'";
    let payments = query(payments).fetch_all(&mut db).await.expect("reads");
    db.close().await.expect("closes");
    assert_eq!(payments.len(), 40);
    for row in payments {
        let body: serde_json::Value = serde_json::from_str(row.get("body")).expect("JSON");
        assert!(body["name"].is_null() && body["address"].is_null(), "{body}");
        assert_eq!(body["amount"]["amount"], 1800, "{body}");
    }
    let dir = world.dir();
    world.app.engine.store().close().await;
    world.app.stop().await;
    let file = std::fs::read(dir.join("livetill.db")).expect("reads");
    let file = String::from_utf8_lossy(&file);
    assert_eq!(file.matches(MARK).count(), 0);
    assert_eq!(std::fs::metadata(dir.join("livetill.db-wal")).map_or(0, |log| log.len()), 0);
    drop(setup);
}

/// The database with its log.
fn text(world: &World) -> String {
    let read = |name: &str| std::fs::read(world.dir().join(name)).unwrap_or_default();
    let both = [read("livetill.db"), read("livetill.db-wal")].concat();
    String::from_utf8_lossy(&both).into_owned()
}
