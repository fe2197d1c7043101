//! A database that has seen much: a long journal must slow nothing down.

use std::path::Path;

use livetill::view::State;

use crate::{
    claims, client,
    row::{self, Row},
    shop::{Plan, Shop, file, runtime},
};

/// Claims with a million journal rows beside claims with none.
pub fn journal(pairs: usize) -> Vec<Row> {
    let mut row = Row::new("durable claims with 1 million journal rows", "/s", "≥ 0.6");
    for _ in row::pairs(&row.what, pairs) {
        let full = tempfile::tempdir().expect("a folder");
        fill(full.path(), 1_000_000);
        let plan = Plan { url: file(full.path()), ..Plan::default() };
        let (full, _) = runtime().block_on(claims::ours(64, claims::CLAIMS, plan));
        let (empty, _) = runtime().block_on(claims::ours(64, claims::CLAIMS, Plan::default()));
        row.add(full, empty);
    }
    vec![row]
}

/// What a claim costs while 1,000 sales are on, beside one.
pub fn sales(pairs: usize) -> Vec<Row> {
    let mut row = Row::new("durable claims with 1,000 open sales", "/s", "");
    for _ in row::pairs(&row.what, pairs) {
        row.add(runtime().block_on(among(1_000)), runtime().block_on(among(1)));
    }
    vec![row]
}

async fn among(sales: usize) -> client::Run {
    const CLAIMS: usize = 3_000;
    let plan = Plan { stock: CLAIMS, warm: CLAIMS, ..Plan::default() };
    let mut shop = Shop::closed(plan).await;
    shop.start_many(sales - 1, "!sale start mug 30m stock=1", State::Open).await;
    shop.start("!sale start mug 30m", CLAIMS).await;
    let run = shop.claims(64, CLAIMS).await;
    shop.close().await;
    run
}

/// A database with one sale that ran, and a long journal of it.
pub fn fill(dir: &Path, rows: u32) {
    runtime().block_on(async {
        let plan = Plan { stock: 1, warm: 1, url: file(dir), ..Plan::default() };
        Shop::open(plan).await.close().await;
    });
    let db = rusqlite::Connection::open(dir.join("livetill.db")).expect("opens");
    let fill = "with recursive n (i) as (select 1000 union all select i + 1 from n where i < ?1)
        insert into journal (sale, revision, at, body)
        select (select id from sale), i, i, (select body from journal limit 1) from n";
    db.execute(fill, [rows + 999]).expect("filled");
    db.execute_batch("pragma wal_checkpoint(truncate)").expect("a checkpoint");
}
