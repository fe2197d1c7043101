//! What is answered from memory: the link's redirect, a sale's page, a claim that cannot succeed.

use axum::http::StatusCode;

use crate::{
    client, reference,
    row::{self, Row},
    shop::{Plan, Shop, runtime},
};

/// Requests in one run.
const REQUESTS: usize = 20_000;

/// One payment page for everybody: the link leads straight to it.
pub const SHARED: &str = "checkout = \"shared\"";

/// A person follows the link in chat.
pub const LIVE: &[u8] =
    b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: Mozilla/5.0 (X11; Linux x86_64; \
    rv:140.0) Gecko/20100101 Firefox/140.0\r\n\r\n";

/// The redirect of a shared page beside a bare redirect.
pub fn redirects(connections: usize, pairs: usize) -> Row {
    let mut row = Row::new(format!("302 from /live, {connections} connections"), "/s", "≥ 0.75");
    for _ in row::pairs(&row.what, pairs) {
        let ours = runtime().block_on(async {
            let shop =
                Shop::open(Plan { stock: 100, warm: 1, template: SHARED, ..Plan::default() }).await;
            let run = client::run(shop.address(), connections, REQUESTS, |_| LIVE.to_vec()).await;
            shop.close().await;
            run
        });
        let reference = runtime().block_on(async {
            let address = reference::redirect().await;
            client::run(address, connections, REQUESTS, |_| LIVE.to_vec()).await
        });
        assert_eq!(ours.classes[3], REQUESTS, "every visitor is sent on");
        row.add(ours, reference);
    }
    row
}

/// The page of a running sale.
pub fn live(connections: usize, pairs: usize) -> Row {
    let row = Row::new(format!("/live page, {connections} connections"), "/s", "≥ 0.6");
    same_bytes(row, connections, pairs, Ready::Open)
}

/// A claim while every unit is held.
pub fn all_held(connections: usize, pairs: usize) -> Row {
    let row = Row::new(format!("claim, all held, {connections} connections"), "/s", "≥ 0.8");
    same_bytes(row, connections, pairs, Ready::AllHeld)
}

/// A claim on a sale that is sold out.
pub fn sold_out(connections: usize, pairs: usize) -> Row {
    let row = Row::new(format!("claim, sold out, {connections} connections"), "/s", "≥ 0.8");
    same_bytes(row, connections, pairs, Ready::SoldOut)
}

#[derive(Clone, Copy, PartialEq)]
enum Ready {
    Open,
    AllHeld,
    SoldOut,
}

/// Ours beside a bare handler that sends the same bytes.
fn same_bytes(mut row: Row, connections: usize, pairs: usize, ready: Ready) -> Row {
    for _ in row::pairs(&row.what, pairs) {
        let (ours, head, body) = runtime().block_on(async {
            let shop = Shop::open(Plan { stock: 1, warm: 1, ..Plan::default() }).await;
            if ready != Ready::Open {
                shop.claims(1, 1).await;
            }
            if ready == Ready::SoldOut {
                let paid = shop.payments().await.swap_remove(0);
                client::run(shop.address(), 1, 1, move |_| paid.clone()).await;
            }
            let claim = shop.claim();
            let request = move |n| if ready == Ready::Open { LIVE.to_vec() } else { claim(n) };
            let (head, body) = client::fetch(shop.address(), &request(0)).await;
            let run = client::run(shop.address(), connections, REQUESTS, request).await;
            shop.close().await;
            (run, head, body)
        });
        let head = String::from_utf8(head).expect("a head");
        let status: u16 = head[9..12].parse().expect("a status");
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let status = StatusCode::from_u16(status).expect("a status");
        row.note = format!("{} bytes", head.len() + body.len());
        let reference = runtime().block_on(async {
            let address = reference::fixed(status, headers, body).await;
            client::run(address, connections, REQUESTS, |_| LIVE.to_vec()).await
        });
        assert_eq!(ours.classes, reference.classes, "both answer alike");
        row.add(ours, reference);
    }
    row
}
