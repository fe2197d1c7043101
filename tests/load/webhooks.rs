//! Signed webhooks: checked, decided, on disk → 2xx; alone and while a crowd claims.

use std::{sync::Arc, time::Duration};

use crate::{
    client,
    database::{Database, Engine},
    reference,
    row::{self, Row},
    shop::{Plan, Shop, runtime},
};

/// Webhooks in one run.
const WEBHOOKS: usize = 4_000;

/// The same on PostgreSQL, where pages are made more slowly.
const WEBHOOKS_ON_POSTGRES: usize = 2_000;

/// Ours beside a bare axum that checks the signature and writes one row in a group commit.
pub fn durable(connections: usize, pairs: usize) -> Row {
    let what = format!("webhook → durable → 2xx, {connections} connections");
    let mut row = Row::new(what, "/s", "≥ 0.6");
    for _ in row::pairs(&row.what, pairs) {
        let (ours, key, webhooks) =
            runtime().block_on(ours(connections, WEBHOOKS, Plan::default()));
        let reference = runtime().block_on(async {
            let dir = tempfile::tempdir().expect("a folder");
            let address = reference::sqlite(&dir.path().join("bare.db"), 1024, key).await;
            send(address, connections, webhooks).await
        });
        row.add(ours, reference);
    }
    row
}

/// The same on PostgreSQL, beside 64 connections that commit row by row.
pub fn on_postgres(connections: usize, pairs: usize) -> Row {
    let what = format!("webhook → durable → 2xx on PostgreSQL, {connections} connections");
    let mut row = Row::new(what, "/s", "≥ 1");
    for _ in row::pairs(&row.what, pairs) {
        let dir = tempfile::tempdir().expect("a folder");
        let database = Database::new(Engine::Postgres, dir.path());
        let plan = Plan { url: database.url().to_owned(), ..Plan::default() };
        let (ours, key, webhooks) =
            runtime().block_on(ours(connections, WEBHOOKS_ON_POSTGRES, plan));
        let database = Database::new(Engine::Postgres, dir.path());
        let reference = runtime().block_on(async {
            let address = reference::postgres(database.url(), 64, key).await;
            send(address, connections, webhooks).await
        });
        row.add(ours, reference);
    }
    row
}

type Webhooks = Arc<Vec<Vec<u8>>>;

async fn ours(connections: usize, many: usize, plan: Plan) -> (client::Run, Vec<u8>, Webhooks) {
    // One more than is paid: the sale stays open.
    let shop = Shop::open(Plan { stock: many + 1, warm: many, ..plan }).await;
    shop.claims(64, many).await;
    let webhooks = Arc::new(shop.payments().await);
    assert_eq!(webhooks.len(), many);
    let run = send(shop.address(), connections, webhooks.clone()).await;
    let paid = shop.app.engine.views().get(shop.sale).expect("a view").paid;
    assert_eq!(paid as usize, many, "every payment arrived");
    let key = shop.key().await;
    shop.close().await;
    (run, key, webhooks)
}

async fn send(
    address: std::net::SocketAddr,
    connections: usize,
    webhooks: Webhooks,
) -> client::Run {
    let many = webhooks.len();
    let run = client::run(address, connections, many, move |n| webhooks[n].clone()).await;
    assert_eq!(run.classes[2], many, "every webhook is taken: {:?}", run.classes);
    run
}

/// 2,000 claims and 500 webhooks a second, whatever becomes of them.
pub fn open_loop() -> Vec<Row> {
    const SECONDS: usize = 3;
    let (claims, payments) = (2_000 * SECONDS, 500 * SECONDS);
    let (claimed, paid) = runtime().block_on(async {
        let all = claims + payments;
        let shop = Shop::open(Plan { stock: all, warm: all, ..Plan::default() }).await;
        shop.claims(64, payments).await;
        let webhooks = shop.payments().await;
        let pay = Arc::new(move |n: usize| webhooks[n].clone());
        let every = |per_second: u64| Duration::from_micros(1_000_000 / per_second);
        let (address, claim) = (shop.address(), shop.claim());
        let claimed = tokio::spawn(client::open_loop(address, 256, (claims, every(2_000)), claim));
        let paid = client::open_loop(address, 64, (payments, every(500)), pay).await;
        let claimed = claimed.await.expect("no panic");
        shop.close().await;
        (claimed, paid)
    });
    assert_eq!((claimed.classes[3], paid.classes[2]), (claims, payments), "all are answered");
    let row = |what: &str, run: &client::Run| {
        let p99 = run.p99.as_secs_f64() * 1000.0;
        Row::single(
            format!("open loop 2,000 claims/s + 500 webhooks/s: {what} p99"),
            p99,
            "ms",
            "≤ 15",
        )
    };
    vec![row("claims", &claimed), row("webhooks", &paid)]
}
