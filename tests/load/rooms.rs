//! How long until a line is handed to a room's chat service.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use livetill::{
    clock::{Clock, Span, SystemClock, Timestamp},
    notice::Notice,
    platform::{Limits, Platform, Post, Reply, SayError, Updates},
    room::{Message, PlatformName, Room},
    view::View,
};
use tokio::sync::mpsc;

use crate::{
    client,
    row::{self, Row},
    shop::{Plan, Shop, runtime},
};

/// How long a line may take until it counts as lost.
const AT_MOST: Duration = Duration::from_secs(60);

/// A chat service that answers after a while.
struct Far {
    name: PlatformName,
    latency: Duration,
    said: mpsc::UnboundedSender<(Said, Timestamp, Instant)>,
}

/// What was handed to chat services, and when, on both clocks.
pub struct Hears(mpsc::UnboundedReceiver<(Said, Timestamp, Instant)>);

impl Hears {
    /// Waits until something of that kind is said; when.
    pub async fn heard(&mut self, what: Said) -> (Timestamp, Instant) {
        let wait = async {
            loop {
                let (said, at, handed_over) = self.0.recv().await.expect("a line in each room");
                if said == what {
                    return (at, handed_over);
                }
            }
        };
        tokio::time::timeout(AT_MOST, wait).await.expect("it is said at some time")
    }
}

/// A chat service that answers after `latency`, and what it was given.
pub fn far(name: PlatformName, latency: Duration) -> (Arc<dyn Platform>, Hears) {
    let (said, hears) = mpsc::unbounded_channel();
    (Arc::new(Far { name, latency, said }), Hears(hears))
}

/// What was said, as far as it is measured.
#[derive(Clone, Copy, PartialEq)]
pub enum Said {
    Opened,
    SoldOut,
    Other,
}

#[async_trait]
impl Platform for Far {
    fn name(&self) -> PlatformName {
        self.name
    }
    fn limits(&self, _: &Room) -> Limits {
        let updates = Updates::Lines(Span::from_secs(20));
        Limits { sends: 10_000, within: Span::from_secs(30), updates }
    }
    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        let handed_over = Instant::now();
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        let said = match post.notice {
            Notice::Opened { .. } => Said::Opened,
            Notice::SoldOut { .. } => Said::SoldOut,
            _ => Said::Other,
        };
        // The measurement may be over.
        let _ = self.said.send((said, SystemClock.now(), handed_over));
        Ok(())
    }
    async fn reply(&self, _: &Message, _: &Reply) -> Result<(), SayError> {
        Ok(())
    }
    async fn say(&self, _: &Room, _: &[String]) -> Result<(), SayError> {
        Ok(())
    }
    async fn show(&self, _: &Room, _: &Arc<View>, _: &str) -> Result<(), SayError> {
        Ok(())
    }
}

/// How long after the opening the slower of two rooms has its line.
pub fn announced(latency: Duration, pairs: usize) -> Row {
    let what = format!("opening to line in two rooms, sends of {} ms", latency.as_millis());
    let mut row = Row::new(what, "ms", "≤ 1000 ms");
    for _ in row::pairs(&row.what, pairs) {
        let took = runtime().block_on(async {
            let (one, mut first) = far(PlatformName::Discord, latency);
            let (other, mut second) = far(PlatformName::Twitch, latency);
            let platforms = vec![one, other];
            let config =
                "[shop]\nrooms = [\"console\", \"discord:1\", \"twitch:ana\"]\n".to_owned();
            let plan = Plan { stock: 3, config, platforms, ..Plan::default() };
            let shop = Shop::open(plan).await;
            let view = shop.app.engine.views().get(shop.sale).expect("a view");
            let opened_at = view.opened_at.expect("it is open");
            let last = first.heard(Said::Opened).await.0;
            let last = second.heard(Said::Opened).await.0.max(last);
            shop.close().await;
            last.since(opened_at)
        });
        row.ours.push(took.millis() as f64);
        row.reference.push(latency.as_secs_f64() * 1000.0);
    }
    row
}

/// From a webhook that pays the last unit to "sold out", handed to the chat service; idle besides.
pub fn webhook_to_line() -> Vec<Row> {
    const SALES: usize = 100;
    let mut times = runtime().block_on(async {
        let (far, mut hears) = far(PlatformName::Discord, Duration::ZERO);
        let config = "[shop]\nrooms = [\"discord:1\"]\n".to_owned();
        let plan = Plan { stock: 1, warm: 1, config, platforms: vec![far], ..Plan::default() };
        let mut shop = Shop::closed(plan).await;
        let mut times = Vec::new();
        for _ in 0..SALES {
            shop.start("!sale start mug 30m", 1).await;
            shop.claims(1, 1).await;
            hears.heard(Said::Opened).await;
            let paid = shop.payments().await.swap_remove(0);
            tokio::time::sleep(Duration::from_millis(20)).await;
            let sent = Instant::now();
            client::run(shop.address(), 1, 1, move |_| paid.clone()).await;
            times.push(hears.heard(Said::SoldOut).await.1 - sent);
        }
        shop.close().await;
        times
    });
    times.sort_unstable();
    let row = |percent: usize, goal| {
        let time = times[times.len() * percent / 100].as_secs_f64() * 1000.0;
        Row::single(format!("webhook to line handed to chat, idle, p{percent}"), time, "ms", goal)
    };
    vec![row(50, "≤ 2"), row(99, "≤ 10")]
}
