//! Streams: how many listeners, what each costs, and that every one hears the last word.

use std::time::{Duration, Instant};

use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    client,
    row::Row,
    shop::{Plan, Shop, runtime},
};

/// Listeners at the most; fewer where the system allows fewer open files.
const LISTENERS_MAX: usize = 10_000;

/// Changes that all of them follow.
const CLAIMS: usize = 50;

/// How long the slowest may take until it counts as lost.
const AT_MOST: Duration = Duration::from_secs(60);

pub fn listeners() -> Vec<Row> {
    // Both ends of every connection are ours.
    let listeners = LISTENERS_MAX.min((open_files_max() - 300) / 2);
    let (bytes, heard, took) = runtime().block_on(async {
        let config = "[http]\nmax_connections = 100000";
        let shop = Shop::open(Plan { stock: 100, warm: 100, config, ..Plan::default() }).await;
        let before = resident();
        let ask = format!("GET /sales/{}/events HTTP/1.1\r\nhost: x\r\n\r\n", shop.sale);
        let mut sockets = Vec::with_capacity(listeners);
        for _ in 0..listeners {
            let mut socket = client::connect(shop.address()).await;
            socket.write_all(ask.as_bytes()).await.expect("written");
            sockets.push(socket);
        }
        let mut last = vec![0; listeners];
        until_all(&sockets, &mut last, 1).await;
        let bytes = resident().saturating_sub(before) / listeners;
        shop.claims(8, CLAIMS).await;
        let start = Instant::now();
        let view = shop.app.engine.views().get(shop.sale).expect("a view");
        let heard = until_all(&sockets, &mut last, view.revision).await;
        let took = start.elapsed();
        drop(sockets);
        shop.close().await;
        (bytes, heard, took)
    });
    let what = format!("{listeners} listeners");
    let share = heard as f64 / listeners as f64;
    let kilobytes = bytes as f64 / 1000.0;
    vec![
        Row::single(format!("{what}: share that heard the last revision"), share, "", "1"),
        Row::single(format!("{what}: until all had it"), took.as_secs_f64() * 1000.0, "ms", ""),
        Row::single(
            format!("{what}: memory of each, client's end included"),
            kilobytes,
            "kB",
            "≤ 10",
        ),
    ]
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

/// Memory in use, in bytes.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|text| text.split_whitespace().next()?.parse().ok());
    kilobytes.unwrap_or(0) * 1024
}

fn open_files_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}
