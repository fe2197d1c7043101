//! Durable claims with warm checkouts: POST → decided, journalled, on disk → 303.

use std::time::Duration;

use crate::{
    client,
    database::{Database, Engine},
    reference,
    row::{self, Row},
    shop::{Plan, Shop, runtime},
};

/// Claims in one run: enough to last, few enough to be made warm in a reasonable time.
pub const CLAIMS: usize = 6_000;

/// The same on PostgreSQL, where pages are made more slowly.
const CLAIMS_ON_POSTGRES: usize = 2_000;

pub fn bare_claim(_: usize) -> Vec<u8> {
    b"POST /holds HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n".to_vec()
}

/// Ours beside a bare axum over a group-commit writer, and over one that commits row by row.
pub fn durable(connections: usize, pairs: usize) -> Vec<Row> {
    let what = format!("durable claims, {connections} connections");
    let mut grouped = Row::new(&what, "/s", "≥ 0.5");
    let mut single = Row::new(format!("{what}, one row per commit"), "/s", "≥ 3");
    let mut syncs = Row::new(format!("{what}, syncs per claim"), "", "≤ 0.10");
    for _ in row::pairs(&what, pairs) {
        let (ours, synced) = runtime().block_on(ours(connections, CLAIMS, Plan::default()));
        syncs.ours.push(synced);
        single.ours.push(ours.per_second);
        let few = CLAIMS / 4;
        single.reference.push(runtime().block_on(bare(connections, 1, few)).per_second);
        grouped.add(ours, runtime().block_on(bare(connections, 1024, CLAIMS)));
    }
    vec![grouped, single, syncs]
}

/// The same on PostgreSQL, beside 64 connections that commit row by row.
pub fn on_postgres(connections: usize, pairs: usize) -> Row {
    let what = format!("durable claims on PostgreSQL, {connections} connections");
    let mut row = Row::new(what, "/s", "≥ 1");
    for _ in row::pairs(&row.what, pairs) {
        let dir = tempfile::tempdir().expect("a folder");
        let database = Database::new(Engine::Postgres, dir.path());
        let plan = Plan { url: database.url().to_owned(), ..Plan::default() };
        let (ours, _) = runtime().block_on(ours(connections, CLAIMS_ON_POSTGRES, plan));
        let database = Database::new(Engine::Postgres, dir.path());
        let reference = runtime().block_on(async {
            let address = reference::postgres(database.url(), 64, Vec::new()).await;
            client::run(address, connections, CLAIMS_ON_POSTGRES, bare_claim).await
        });
        row.add(ours, reference);
    }
    row
}

async fn bare(connections: usize, group: usize, claims: usize) -> client::Run {
    let dir = tempfile::tempdir().expect("a folder");
    let address = reference::sqlite(&dir.path().join("bare.db"), group, Vec::new()).await;
    client::run(address, connections, claims, bare_claim).await
}

/// A run, and how many syncs each claim took.
pub async fn ours(connections: usize, claims: usize, plan: Plan) -> (client::Run, f64) {
    let shop = Shop::open(Plan { stock: claims, warm: claims, ..plan }).await;
    let before = commits();
    let run = shop.claims(connections, claims).await;
    let synced = (commits() - before) / claims as f64;
    shop.close().await;
    assert_eq!(run.classes[3], claims, "every claim is answered with a page");
    (run, synced)
}

/// Transactions on disk so far.
fn commits() -> f64 {
    let text = livetill::meter::render();
    let line = text.lines().find_map(|line| line.strip_prefix("livetill_commits_total "));
    line.and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// How long a click takes until the payment page, at a provider whose calls take `latency`: while
/// warm pages last, and without any.
pub fn clicks(latency: Duration, pairs: usize) -> Vec<Row> {
    let row = |what: &str, goal| {
        let what = format!("click to page, {what}, calls of {} ms, p95", latency.as_millis());
        Row::new(what, "ms", goal)
    };
    let (mut warm, mut cold) = (row("warm", "≤ 50 ms"), row("cold", "≈ 1 call"));
    for _ in row::pairs(&warm.what, pairs) {
        for (row, buyers, pages) in [(&mut warm, 100, 100), (&mut cold, 16, 0)] {
            let run = runtime().block_on(async {
                let plan = Plan { stock: 100, warm: pages, latency, ..Plan::default() };
                let shop = Shop::open(plan).await;
                let run = shop.claims(buyers, buyers).await;
                shop.close().await;
                run
            });
            row.ours.push(run.p95.as_secs_f64() * 1000.0);
            row.reference.push(latency.as_secs_f64() * 1000.0);
        }
    }
    vec![warm, cold]
}
