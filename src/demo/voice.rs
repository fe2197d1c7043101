//! How a rehearsal speaks: what it would say in its own rooms is said in the moderators', marked.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::{
    clock::{Clock, Span},
    notice::Notice,
    platform::{Limits, Platform, Post, Reply, SayError, Updates},
    room::{Message, PlatformName, Room},
    view::View,
};

/// What stands before every line and every title of a rehearsal.
pub(super) const MARK: &str = "REHEARSAL · ";

/// Lines not yet said. More only come when no room can be reached; then they are lost.
const LINES_MAX: usize = 256;

/// Lines that come closer together than this are said together.
const GATHER: Span = Span::from_secs(2);

/// A stock line of a rehearsal comes this often at the most, by its own clock: as in a room where
/// every line is a message of its own.
const STOCK_EVERY: Span = Span::from_secs(20);

/// Something to be said.
pub(super) enum Line {
    /// As it is.
    Says(String),
    /// How many are left: only the newest counts.
    Stock(String),
}

/// The only room a rehearsal knows.
pub(super) struct Voice {
    to: mpsc::Sender<Line>,
    lines: AtomicU64,
}

impl Voice {
    /// A voice, and where it comes out.
    pub(super) fn new() -> (Arc<Self>, mpsc::Receiver<Line>) {
        let (to, from) = mpsc::channel(LINES_MAX);
        (Arc::new(Self { to, lines: AtomicU64::new(0) }), from)
    }

    /// What chat would have shown so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Says something that no room of a live sale would hear.
    pub(super) fn aside(&self, line: impl Into<String>) {
        self.put(Line::Says(line.into()));
    }

    fn put(&self, line: Line) {
        if self.to.try_send(line).is_err() {
            tracing::warn!("a line of the rehearsal is lost");
        }
    }

    fn say_one(&self, line: Line) {
        self.lines.fetch_add(1, Ordering::Relaxed);
        self.put(line);
    }
}

#[async_trait]
impl Platform for Voice {
    fn name(&self) -> PlatformName {
        PlatformName::Console
    }

    fn limits(&self, _room: &Room) -> Limits {
        let updates = Updates::Lines(STOCK_EVERY);
        Limits { sends: 1000, within: Span::from_secs(1), updates }
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        let line = Line::Says(post.line.clone());
        match post.notice {
            // Told to moderators only, in a live sale as well.
            Notice::Trouble { .. } => self.put(line),
            _ => self.say_one(line),
        }
        Ok(())
    }

    async fn reply(&self, _to: &Message, reply: &Reply) -> Result<(), SayError> {
        // The answer to the start, which nobody typed.
        tracing::debug!(lines = ?reply.lines, "answered");
        Ok(())
    }

    async fn say(&self, _room: &Room, lines: &[String]) -> Result<(), SayError> {
        for line in lines {
            self.say_one(Line::Says(line.clone()));
        }
        Ok(())
    }

    async fn show(&self, _room: &Room, _view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.say_one(Line::Stock(line.to_owned()));
        Ok(())
    }
}

/// Says what comes in these rooms, until nothing more can come.
pub(super) async fn speak(
    mut lines: mpsc::Receiver<Line>,
    rooms: Vec<Room>,
    platforms: Vec<Arc<dyn Platform>>,
    clock: Arc<dyn Clock>,
) {
    let mut not_before = clock.now();
    while let Some(first) = lines.recv().await {
        let mut batch = Vec::new();
        add(&mut batch, first);
        loop {
            tokio::select! {
                biased;
                more = lines.recv() => match more {
                    Some(line) => add(&mut batch, line),
                    None => break,
                },
                () = clock.sleep_until(not_before) => break,
            }
        }
        let said: Vec<String> = batch.into_iter().map(|line| marked(&line)).collect();
        for room in &rooms {
            let there = platforms.iter().find(|one| one.name() == room.platform);
            let Some(platform) = there else { continue };
            if let Err(error) = platform.say(room, &said).await {
                tracing::warn!(%error, %room, "the rehearsal was not heard");
            }
        }
        not_before = clock.now() + GATHER;
    }
}

/// A newer stock line takes the place of an older one.
fn add(batch: &mut Vec<Line>, line: Line) {
    if matches!(line, Line::Stock(_)) {
        batch.retain(|old| matches!(old, Line::Says(_)));
    }
    batch.push(line);
}

/// With the mark in front, and nowhere else.
fn marked(line: &Line) -> String {
    let (Line::Says(text) | Line::Stock(text)) = line;
    format!("{MARK}{}", text.replace(MARK, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_stands_once_and_only_the_newest_stock_is_told() {
        let mut batch = Vec::new();
        for line in [
            Line::Says("SALE OPEN · REHEARSAL · Fern Mug".to_owned()),
            Line::Stock("REHEARSAL · Fern Mug: 9 left".to_owned()),
            Line::Stock("REHEARSAL · Fern Mug: 8 left".to_owned()),
        ] {
            add(&mut batch, line);
        }
        let said: Vec<String> = batch.iter().map(marked).collect();
        assert_eq!(said, ["REHEARSAL · SALE OPEN · Fern Mug", "REHEARSAL · Fern Mug: 8 left"]);
    }
}
