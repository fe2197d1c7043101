//! Thousands of pages follow sales at once, and every one of them hears how it ended.
//!
//! `LIVETILL_TEST_LISTENERS` is how many listen, as far as the machine has descriptors for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{MUG, World, eventually, mins, secs};

/// Descriptors that are not for listeners: files, the database, the other tests.
const KEPT_BACK: u64 = 400;

/// Connections that are opened at a time: fewer than a listener keeps waiting.
const AT_ONCE: usize = 100;

/// What one listener heard.
#[derive(Default)]
struct Ear {
    /// The newest revision.
    revision: AtomicU64,
    /// An older one came after a newer one.
    broken: AtomicBool,
}

/// As many as are wanted and can be had: each takes a descriptor here and one in the program.
fn listeners() -> usize {
    let wanted: u64 =
        std::env::var("LIVETILL_TEST_LISTENERS").map_or(300, |n| n.parse().expect("a number"));
    let limit = rlimit::increase_nofile_limit(2 * wanted + KEPT_BACK).expect("a limit");
    let can = wanted.min(limit.saturating_sub(KEPT_BACK) / 2);
    assert!(can > 0, "no descriptors: {limit} at the most");
    usize::try_from(can).expect("small")
}

/// Follows a sale until the stream ends, in as little memory as it takes.
async fn listen(at: String, sale: String, ear: Arc<Ear>) {
    let mut stream = TcpStream::connect(&at).await.expect("it listens");
    let request = format!("GET /sales/{sale}/events HTTP/1.1\r\nhost: {at}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it takes requests");
    tokio::spawn(async move {
        let (mut line, mut part) = (Vec::new(), [0; 512]);
        while let Ok(n @ 1..) = stream.read(&mut part).await {
            for byte in &part[..n] {
                if *byte != b'\n' {
                    line.push(*byte);
                    continue;
                }
                let id = std::str::from_utf8(&line).ok().and_then(|line| line.strip_prefix("id:"));
                if let Some(id) = id {
                    let id = id.trim().parse().expect("a revision");
                    let before = ear.revision.swap(id, Ordering::SeqCst);
                    ear.broken.fetch_or(before > id, Ordering::SeqCst);
                }
                line.clear();
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_that_follows_a_sale_hears_how_it_ended() {
    let many = listeners();
    // One place in eight is never a stream's.
    let config = format!("[http]\nmax_connections = {}\n{MUG}", many + many / 4 + 100);
    let mut world = World::new(&config).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale start mug 20m").await;
    world.says("!sale yes").await;
    let sales: Vec<_> = world.app.engine.views().all().iter().map(|view| view.id).collect();
    assert_eq!(sales.len(), 2);
    let at = world.app.address.to_string();
    let ears: Vec<Arc<Ear>> = (0..many).map(|_| Arc::default()).collect();
    for (n, group) in ears.chunks(AT_ONCE).enumerate() {
        for (m, ear) in group.iter().enumerate() {
            let sale = sales[(n + m) % 2].to_string();
            listen(at.clone(), sale, ear.clone()).await;
        }
        let hears = |ear: &Arc<Ear>| ear.revision.load(Ordering::SeqCst) > 0;
        eventually("they hear how it stands", async || group.iter().all(hears)).await;
    }
    for who in ["ana", "ben", "cleo"] {
        world.clicks(who).await;
        world.pays(who).await;
        world.advance(secs(2)).await;
    }
    world.advance(mins(25)).await;
    let last: Vec<u64> = sales
        .iter()
        .map(|id| world.app.engine.views().get(*id).expect("known"))
        .map(|view| {
            assert!(view.closed, "{view:?}");
            view.revision
        })
        .collect();
    for (n, group) in ears.chunks(AT_ONCE).enumerate() {
        let hears =
            |(m, ear): (usize, &Arc<Ear>)| ear.revision.load(Ordering::SeqCst) == last[(n + m) % 2];
        eventually("all hear the last", async || group.iter().enumerate().all(hears)).await;
    }
    let broken = ears.iter().filter(|ear| ear.broken.load(Ordering::SeqCst)).count();
    assert_eq!(broken, 0, "heard an older revision after a newer one");
    println!("{many} listeners heard the last revision");
    world.heard();
    world.done().await;
}
