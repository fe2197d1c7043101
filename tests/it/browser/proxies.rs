//! What stands between a page and the shop: proxies that hold streams up, connections that die
//! without a word, a server that goes away, and the few connections a browser has.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU8, Ordering},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

use super::driver::{Person, Wish};
use crate::world::{MUG, World, eventually, mins, secs};

/// What a proxy passes of a stream at a time.
const BLOCK: usize = 4096;

const PASSES: u8 = 0;
/// Of streams, whole blocks only.
const BLOCKS: u8 = 1;
/// Takes nobody.
const AWAY: u8 = 2;

/// A proxy in front of the shop.
struct Proxy {
    url: String,
    mode: Arc<AtomicU8>,
    /// Connections made before this was last counted up pass nothing more.
    deaf: watch::Sender<u32>,
    /// Both ways of each connection.
    open: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Proxy {
    async fn new(world: &World, mode: u8) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (mode, deaf) = (Arc::new(AtomicU8::new(mode)), watch::Sender::new(0));
        let (at, how, hears) = (world.app.address, mode.clone(), deaf.subscribe());
        let open: Arc<Mutex<Vec<AbortHandle>>> = Arc::default();
        let connected = open.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if how.load(Ordering::SeqCst) == AWAY {
                    continue;
                }
                let server = TcpStream::connect(at).await.expect("the shop is there");
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let streams = Arc::new(AtomicU8::new(0));
                let mut hears = hears.clone();
                hears.mark_unchanged();
                let (s, h) = (streams.clone(), hears.clone());
                let up = async move { pass(from_client, to_server, h, None, &s).await };
                let how = how.clone();
                let down = async move {
                    pass(from_server, to_client, hears, Some(how), &streams).await;
                };
                let tasks = [tokio::spawn(up), tokio::spawn(down)];
                let handles = tasks.map(|task| task.abort_handle());
                connected.lock().expect("unpoisoned").extend(handles);
            }
        });
        Self { url, mode, deaf, open }
    }

    /// What is connected goes on being connected, and nothing passes any more.
    fn swallows_what_is_connected(&self) {
        self.deaf.send_modify(|n| *n += 1);
    }

    fn is(&self, mode: u8) {
        self.mode.store(mode, Ordering::SeqCst);
        if mode == AWAY {
            self.open.lock().expect("unpoisoned").drain(..).for_each(|task| task.abort());
        }
    }
}

/// Passes bytes on; `down` is how it is with those for the browser.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut deaf: watch::Receiver<u32>,
    down: Option<Arc<AtomicU8>>,
    streams: &AtomicU8,
) {
    let (mut part, mut held) = (vec![0; 16 * 1024], Vec::new());
    loop {
        let n = tokio::select! {
            read = from.read(&mut part) => match read {
                Ok(n @ 1..) => n,
                _ => break,
            },
            _ = deaf.changed() => {
                // It holds the connection, and reads what comes into nothing.
                while let Ok(1..) = from.read(&mut part).await {}
                std::future::pending::<()>().await;
                return;
            }
        };
        held.extend_from_slice(&part[..n]);
        match &down {
            None => {
                let asks = held.windows(9).any(|part| part == b"/events H");
                streams.store(u8::from(asks), Ordering::SeqCst);
            }
            Some(how)
                if how.load(Ordering::SeqCst) == BLOCKS && streams.load(Ordering::SeqCst) == 1 =>
            {
                let whole = held.len() / BLOCK * BLOCK;
                if to.write_all(&held.drain(..whole).collect::<Vec<_>>()).await.is_err() {
                    break;
                }
                continue;
            }
            Some(_) => {}
        }
        if to.write_all(&held).await.is_err() {
            break;
        }
        held.clear();
    }
}

async fn on_sale() -> World {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world
}

async fn over(mut world: World, people: impl IntoIterator<Item = Person>) {
    for person in people {
        person.leaves(&world).await;
    }
    world.advance(mins(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_true_behind_a_proxy_that_passes_whole_blocks() {
    let mut world = on_sale().await;
    let proxy = Proxy::new(&world, BLOCKS).await;
    let [ana, obs] = [Person::new(&world).await, Person::new(&world).await];
    ana.opens(&world, &format!("{}/live", proxy.url)).await;
    obs.opens(&world, &format!("{}/overlay", proxy.url)).await;
    for (who, left) in [("ben", "2 of 3 left"), ("cleo", "1 of 3 left")] {
        world.clicks(who).await;
        ana.sees(&world, left).await;
        obs.sees(&world, left).await;
    }
    world.says("!sale pause").await;
    ana.sees(&world, "Paused for a moment").await;
    obs.sees(&world, "PAUSED").await;
    over(world, [ana, obs]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_are_true_when_their_connections_die_without_a_word() {
    let mut world = on_sale().await;
    let proxy = Proxy::new(&world, PASSES).await;
    let [ana, obs] = [Person::new(&world).await, Person::new(&world).await];
    ana.opens(&world, &format!("{}/live", proxy.url)).await;
    obs.opens(&world, &format!("{}/overlay", proxy.url)).await;
    world.clicks("ben").await;
    ana.sees(&world, "2 of 3 left").await;
    obs.sees(&world, "2 of 3 left").await;
    proxy.swallows_what_is_connected();
    world.clicks("cleo").await;
    ana.sees(&world, "1 of 3 left").await;
    obs.sees(&world, "1 of 3 left").await;
    // And the button works again.
    ana.until(&world, "!document.querySelector('form button').disabled").await;
    ana.presses(&world, "Get yours").await;
    eventually("she has one", async || {
        world.settle().await;
        world.newest().left == 0
    })
    .await;
    over(world, [ana, obs]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_the_page_says_so_and_its_button_rests() {
    let world = on_sale().await;
    let proxy = Proxy::new(&world, PASSES).await;
    let [ana, obs] = [Person::new(&world).await, Person::new(&world).await];
    ana.opens(&world, &format!("{}/live", proxy.url)).await;
    obs.opens(&world, &format!("{}/overlay", proxy.url)).await;
    ana.sees(&world, "3 of 3 left").await;
    // However many windows there are, hers is looked at.
    ana.devtools(&world, "Emulation.setFocusEmulationEnabled", json!({ "enabled": true })).await;
    ana.until(&world, "document.visibilityState === 'visible'").await;
    proxy.is(AWAY);
    let text = ana.sees(&world, "Reconnecting…").await;
    assert!(!text.lines().any(|line| line == "Open"), "{text}");
    assert_eq!(
        ana.asks(&world, "return document.querySelector('form button').disabled").await,
        true
    );
    let text = obs.sees(&world, "Reconnecting…").await;
    assert!(!text.contains("left"), "{text}");
    proxy.is(PASSES);
    ana.sees_no(&world, "Reconnecting…").await;
    ana.until(&world, "!document.querySelector('form button').disabled").await;
    obs.sees(&world, "3 of 3 left").await;
    ana.presses(&world, "Get yours").await;
    eventually("she has one", async || {
        world.settle().await;
        world.newest().left == 2
    })
    .await;
    over(world, [ana, obs]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_tabs_load_and_all_hear_of_a_change() {
    let mut world = on_sale().await;
    for (path, before, after) in
        [("/overlay", "3 of 3 left", "PAUSED"), ("/live", "3 of 3 left", "Paused for a moment")]
    {
        let obs = Person::with(&world, Wish { wide: true, ..Wish::default() }).await;
        let mut tabs = Vec::new();
        for _ in 0..7 {
            let [_, tab] = obs.opens_a_tab(&world).await;
            obs.opens(&world, path).await;
            obs.sees(&world, before).await;
            tabs.push(tab);
        }
        // The same words within two seconds would count once.
        world.advance(secs(3)).await;
        world.says("!sale pause").await;
        for tab in &tabs {
            obs.turns_to(&world, tab).await;
            obs.sees(&world, after).await;
        }
        // There is a connection left for everything else.
        obs.opens_a_tab(&world).await;
        obs.opens(&world, "/live").await;
        obs.sees(&world, "Paused for a moment").await;
        world.advance(secs(3)).await;
        world.says("!sale resume").await;
        obs.leaves(&world).await;
    }
    over(world, []).await;
}
