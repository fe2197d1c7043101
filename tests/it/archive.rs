//! Old sales are archived: their totals stay right everywhere, their details go, and nothing that
//! is unsettled or said of them later is lost.

mod evening;
mod gone;
mod growth;
mod killed;
mod late;
mod off;
mod whole;

use std::time::Duration;

use livetill::{
    broom::Archivist, clock::Span, config::ARCHIVE_AFTER_MIN, id::SaleId, report::Report,
    sale::Sale, store::JournalLine,
};
use serde_json::Value;
use sqlx::{Connection, Row, query};

use crate::world::{World, secs};

/// Longer ago than anything in these tests is archived after.
const LONG: Span = Span::from_secs(91 * 24 * 3600);

/// Three pages: of two the time runs out, and the provider says they are closed while they can
/// still be paid. Sold out; one of the two pays late and is refunded.
const CONFIG: &str = "
[templates.mug]
title = \"Fern Mug\"
price = \"18.00\"
stock = 4
warm = 0
per_buyer = 2
max_stock = 10
[providers.sandbox]
calls_per_second = 100000
fee = 0.03
[providers.sandbox.faults]
close_ignored = 1.0
";

/// One evening on [`CONFIG`]; the sale's id.
async fn evening(world: &mut World) -> SaleId {
    world.says_quietly("!sale start mug 10m").await;
    assert_eq!(world.claims("ana", &[("units", "2")]).await.status, 303);
    world.pays("ana").await;
    for who in ["cleo", "fred"] {
        assert_eq!(world.clicks(who).await.status, 303);
    }
    world.advance(Span::from_mins(4)).await;
    for who in ["ben", "dora"] {
        assert_eq!(world.clicks(who).await.status, 303);
        world.pays(who).await;
    }
    assert!(world.pay_now("cleo").await);
    world.advance(Span::from_mins(15)).await;
    world.runs_out().await;
    world.heard();
    world.newest().id
}

/// One pass over old sales; how many were archived.
async fn archives(world: &World) -> u32 {
    let engine = world.app.engine.clone();
    let mut archivist = Archivist::new(ARCHIVE_AFTER_MIN);
    let pass = tokio::spawn(async move { archivist.pass(&engine).await });
    while !pass.is_finished() {
        world.clock.advance(secs(1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    pass.await.expect("no panic").expect("the store answers")
}

async fn books(world: &World, id: SaleId) -> (Sale, Vec<JournalLine>) {
    world.app.engine.store().books(id).await.expect("reads").expect("is there")
}

async fn report(world: &World, id: SaleId) -> Report {
    let (sale, journal) = books(world, id).await;
    Report::of(&sale, &journal)
}

/// What of a receipt must be the same for ever.
fn sums(report: &Report) -> Value {
    let mut all = serde_json::to_value(report).expect("JSON");
    let keys = all.as_object_mut().expect("an object");
    for detail in ["archived", "payments", "deeds"] {
        keys.remove(detail);
    }
    all
}

/// How many rows there are: holds, pages, journal, payments.
async fn rows(world: &World) -> [i64; 4] {
    let mut db = world.database.raw().await;
    let mut counts = [0; 4];
    let tables = [
        "select count(*) as n from hold",
        "select count(*) as n from checkout",
        "select count(*) as n from journal",
        "select count(*) as n from payment",
    ];
    for (count, table) in counts.iter_mut().zip(tables) {
        *count = query(table).fetch_one(&mut db).await.expect("reads").get("n");
    }
    db.close().await.expect("closes");
    counts
}
