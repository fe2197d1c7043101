//! Streams: how many listeners, what each costs, and that every one hears the last word.
//!
//! The listeners are another process, so that the server's memory is counted alone and each
//! process needs only its own ends.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    child::{Child, itself},
    client,
    row::Row,
    shop::{Plan, Shop, runtime},
};

/// Listeners at the most; fewer where the system allows fewer open files.
const LISTENERS_MAX: u64 = 10_000;

/// Open files that each process needs besides.
const KEPT_BACK: u64 = 300;

/// Changes that all of them follow.
const CLAIMS: usize = 50;

/// How long the slowest may take until it counts as lost.
const AT_MOST: Duration = Duration::from_secs(60);

pub fn listeners() -> Vec<Row> {
    let (listeners, bytes, heard, took) = runtime().block_on(async {
        let config = "[http]\nmax_connections = 100000".to_owned();
        let shop = Shop::open(Plan { stock: 100, warm: 100, config, ..Plan::default() }).await;
        let listeners = open_files(LISTENERS_MAX);
        let before = resident("self");
        // This waits on threads that are not the server's.
        let mut crowd = Child::start(&mut itself(&[
            "--listen",
            &shop.address().to_string(),
            &shop.sale.to_string(),
            &listeners.to_string(),
        ]));
        let heard = hears(&mut crowd, 1);
        assert_eq!(heard, listeners, "every listener is let in");
        let bytes = resident("self").saturating_sub(before) / listeners;
        shop.claims(8, CLAIMS).await;
        let start = Instant::now();
        let view = shop.app.engine.views().get(shop.sale).expect("a view");
        let heard = hears(&mut crowd, view.revision);
        let took = start.elapsed();
        crowd.end();
        shop.close().await;
        (listeners, bytes, heard, took)
    });
    let what = format!("{listeners} listeners");
    let share = heard as f64 / listeners as f64;
    let kilobytes = bytes as f64 / 1000.0;
    vec![
        Row::single(format!("{what}: share that heard the last revision"), share, "", "1"),
        Row::single(format!("{what}: until all had it"), took.as_secs_f64() * 1000.0, "ms", ""),
        Row::single(format!("{what}: the server's memory for each"), kilobytes, "kB", "≤ 10"),
    ]
}

/// How many of the crowd heard that revision or a later one.
fn hears(crowd: &mut Child, revision: u64) -> usize {
    crowd.tell(&revision.to_string());
    crowd.line().parse().expect("a number")
}

/// The crowd, in a process of its own: an address, a sale, a number of listeners. For every
/// revision it reads it says how many have heard that one or a later one.
pub fn crowd(args: &[String]) {
    let [address, sale, listeners] = args else { panic!("--listen ADDRESS SALE LISTENERS") };
    let address: SocketAddr = address.parse().expect("an address");
    let listeners: usize = listeners.parse().expect("a number");
    assert_eq!(open_files(listeners as u64), listeners, "both processes have one limit");
    runtime().block_on(async {
        let ask = format!("GET /sales/{sale}/events HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n");
        let mut sockets = Vec::with_capacity(listeners);
        for _ in 0..listeners {
            let mut socket = client::connect(address).await;
            socket.write_all(ask.as_bytes()).await.expect("written");
            sockets.push(socket);
        }
        let mut last = vec![0; listeners];
        for revision in std::io::stdin().lines() {
            let revision = revision.expect("text").parse().expect("a revision");
            println!("{}", until_all(&sockets, &mut last, revision).await);
        }
    });
}

/// Reads from all of them until each has heard that revision or a later one; answers how many did.
async fn until_all(sockets: &[TcpStream], last: &mut [u64], revision: u64) -> usize {
    let start = Instant::now();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        for (socket, last) in sockets.iter().zip(last.iter_mut()) {
            while let Ok(got @ 1..) = socket.try_read(&mut buffer) {
                let text = String::from_utf8_lossy(&buffer[..got]);
                let ids = text.split("\nid: ").skip(1);
                let newest = ids.filter_map(|rest| rest.split('\n').next()?.parse().ok()).max();
                *last = newest.unwrap_or(0).max(*last);
            }
        }
        let heard = last.iter().filter(|last| **last >= revision).count();
        if heard == sockets.len() || start.elapsed() > AT_MOST {
            return heard;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Memory in use by a process, in bytes.
pub fn resident(process: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// How many of `wanted` files this process may open at once, others aside.
fn open_files(wanted: u64) -> usize {
    let limit = rlimit::increase_nofile_limit(wanted + KEPT_BACK).expect("a limit");
    usize::try_from(wanted.min(limit.saturating_sub(KEPT_BACK))).expect("few")
}
