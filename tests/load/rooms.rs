//! From the opening of a sale until every room has its line, at chat services that take their time.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use livetill::{
    clock::{Clock, Span, SystemClock, Timestamp},
    notice::Notice,
    platform::{Limits, Platform, Post, Reply, SayError, Updates},
    room::{Message, PlatformName, Room},
    view::View,
};
use tokio::sync::mpsc;

use crate::{Row, claims};

/// A chat service that answers after a while.
struct Far {
    name: PlatformName,
    latency: Duration,
    said: mpsc::UnboundedSender<Timestamp>,
}

#[async_trait]
impl Platform for Far {
    fn name(&self) -> PlatformName {
        self.name
    }
    fn limits(&self, _: &Room) -> Limits {
        let updates = Updates::Lines(Span::from_secs(20));
        Limits { sends: 100, within: Span::from_secs(30), updates }
    }
    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        tokio::time::sleep(self.latency).await;
        if matches!(post.notice, Notice::Opened { .. }) {
            // The measurement may be over.
            let _ = self.said.send(SystemClock.now());
        }
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
    let mut row = Row {
        what: format!("opening to line in two rooms, sends of {} ms", latency.as_millis()),
        ours: Vec::new(),
        reference: Vec::new(),
        unit: "ms",
        goal: "≤ 1000 ms",
        p99: None,
    };
    for _ in 0..pairs {
        let took = claims::runtime().block_on(async {
            let (said, mut hears) = mpsc::unbounded_channel();
            let far =
                |name| -> Arc<dyn Platform> { Arc::new(Far { name, latency, said: said.clone() }) };
            let platforms = vec![far(PlatformName::Discord), far(PlatformName::Twitch)];
            let rooms = "[shop]\nrooms = [\"console\", \"discord:1\", \"twitch:ana\"]\n";
            let shop = claims::Shop::open_in(rooms, platforms, (3, 0, Duration::ZERO)).await;
            let opened_at = shop.opened_at();
            let mut last = opened_at;
            for _ in 0..2 {
                last = last.max(hears.recv().await.expect("a line in each room"));
            }
            shop.close().await;
            last.since(opened_at)
        });
        row.ours.push(took.millis() as f64);
        row.reference.push(latency.as_secs_f64() * 1000.0);
    }
    row
}
