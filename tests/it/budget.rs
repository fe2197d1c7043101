//! What is said where every line is a message: never too much, never the wrong thing last.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use livetill::{
    clock::{Clock, Span, Timestamp},
    platform::{Limits, Platform, Post, Reply, SayError, Updates},
    room::{Message, PlatformName, Room},
    view::View,
};

use crate::world::{ManualClock, Setup, World, mins, secs};

/// Twenty messages in thirty seconds, and one stock line in twenty.
const SENDS: u32 = 20;
const WITHIN: Span = Span::from_secs(30);
const QUIET: Span = Span::from_secs(20);

/// A platform that says every line anew and keeps count.
struct Strict {
    clock: Arc<ManualClock>,
    lines: Mutex<Vec<(Timestamp, Kind, String)>>,
    away: AtomicBool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    State,
    Answer,
    Stock,
}

impl Strict {
    fn say(&self, kind: Kind, line: &str) {
        self.lines.lock().expect("unpoisoned").push((self.clock.now(), kind, line.to_owned()));
    }

    fn lines(&self) -> Vec<(Timestamp, Kind, String)> {
        self.lines.lock().expect("unpoisoned").clone()
    }

    /// Fails if the budget or the quiet time was broken anywhere.
    fn kept_its_manners(&self) {
        let lines = self.lines();
        for (n, (at, _, _)) in lines.iter().enumerate() {
            let burst = lines[n..].iter().filter(|(other, _, _)| *other < *at + WITHIN).count();
            assert!(burst <= SENDS as usize, "{burst} within {WITHIN}: {lines:#?}");
        }
        let stock: Vec<_> = lines.iter().filter(|(_, kind, _)| *kind == Kind::Stock).collect();
        for pair in stock.windows(2) {
            assert!(pair[1].0.since(pair[0].0) >= QUIET, "{pair:?}");
        }
    }
}

#[async_trait]
impl Platform for Strict {
    fn name(&self) -> PlatformName {
        PlatformName::Console
    }
    fn limits(&self, _: &Room) -> Limits {
        Limits { sends: SENDS, within: WITHIN, updates: Updates::Lines(QUIET) }
    }
    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SayError::Retry("away".to_owned()));
        }
        self.say(Kind::State, &post.line);
        Ok(())
    }
    async fn reply(&self, _: &Message, reply: &Reply) -> Result<(), SayError> {
        self.say(Kind::Answer, &reply.lines.join(" · "));
        Ok(())
    }
    async fn say(&self, _: &Room, lines: &[String]) -> Result<(), SayError> {
        self.say(Kind::Answer, &lines.join(" · "));
        Ok(())
    }
    async fn show(&self, _: &Room, _: &Arc<View>, line: &str) -> Result<(), SayError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(SayError::Retry("away".to_owned()));
        }
        self.say(Kind::Stock, line);
        Ok(())
    }
}

async fn strict(config: &str) -> (World, Arc<Strict>) {
    let mut setup = Setup::new(config);
    let strict = Arc::new(Strict {
        clock: setup.clock.clone(),
        lines: Mutex::default(),
        away: AtomicBool::new(false),
    });
    let platform = strict.clone();
    setup.wrap_platform = Arc::new(move |_| platform.clone());
    (World::build(&setup).await, strict)
}

fn stock_lines(strict: &Strict) -> Vec<String> {
    let lines = strict.lines().into_iter().filter(|(_, kind, _)| *kind == Kind::Stock);
    lines.map(|(_, _, line)| line.split(" · http").next().expect("a part").to_owned()).collect()
}

#[tokio::test]
async fn time_and_stock_are_told_at_milestones_only() {
    let config = "[templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\nstock = 8\nwarm = 0\n";
    let (mut world, strict) = strict(config).await;
    world.says("!sale start mug 10m").await;
    // Three of eight is no milestone yet; four of eight is half.
    for buyer in ["ana", "ben", "cleo"] {
        world.clicks(buyer).await;
        world.pays(buyer).await;
    }
    world.advance(secs(30)).await;
    assert_eq!(stock_lines(&strict), ["Fern Mug: 5 of 8 left · 10 min"], "the last five");
    world.clicks("dora").await;
    world.pays("dora").await;
    world.advance(secs(15)).await;
    assert_eq!(stock_lines(&strict)[1..], ["Fern Mug: 4 of 8 left · 9 min"], "half");
    world.advance(mins(5)).await;
    assert_eq!(stock_lines(&strict)[2..], ["Fern Mug: 4 of 8 left · 5 min"], "half the time");
    world.advance(mins(4)).await;
    assert_eq!(
        stock_lines(&strict)[3..],
        ["Fern Mug: 4 of 8 left · 2 min", "Fern Mug: 4 of 8 left · 1 min"]
    );
    world.advance(mins(4)).await;
    assert!(strict.lines().last().expect("a line").2.starts_with("ENDED · Fern Mug · 4 of 8"));
    strict.kept_its_manners();
    world.done().await;
}

#[tokio::test]
async fn a_thousand_changes_on_four_sales_stay_inside_the_budget() {
    let templates: String = ["a", "b", "c", "d"]
        .map(|name| {
            format!(
                "[templates.{name}]\ntitle = \"Sale {name}\"\nprice = \"1.00\"\nstock = 300\n\
                 max_stock = 300\nwarm = 0\n"
            )
        })
        .concat();
    let (mut world, strict) = strict(&templates).await;
    for name in ["a", "b", "c", "d"] {
        world.says(&format!("!sale start {name} 10m")).await;
    }
    // Stock goes up and down without anybody buying: a thousand changes within a minute.
    let ids: Vec<_> = world.app.engine.views().all().iter().map(|view| view.id).collect();
    for round in 0..250_i64 {
        for id in &ids {
            let units = if round % 10 == 9 { 8 } else { -1 };
            let event = livetill::sale::event::Event::Restocked { units };
            let any = livetill::engine::Origin::Any;
            world.app.engine.tell(*id, event, "test", any).await.expect("restocked");
        }
        world.advance(Span::from_millis(240)).await;
    }
    world.advance(mins(3)).await;
    strict.kept_its_manners();
    // The last word on each sale is true.
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for line in stock_lines(&strict) {
        let (title, rest) = line.split_once(':').expect("a stock line");
        last.insert(title.to_owned(), rest.to_owned());
    }
    for view in world.app.engine.views().all() {
        let told = last.get(&view.title).unwrap_or_else(|| panic!("nothing on {}", view.title));
        let truth = format!(" {} of {} left", view.left, view.stock);
        assert!(told.starts_with(&truth), "{}: {told}, but {truth}", view.title);
    }
    world.advance(mins(13)).await;
    let ends = strict.lines().iter().filter(|(_, _, line)| line.starts_with("ENDED")).count();
    assert_eq!(ends, 4, "state changes are never dropped");
    strict.kept_its_manners();
    world.done().await;
}

#[tokio::test]
async fn a_moderator_is_answered_even_when_much_was_said() {
    let config = "[templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\nstock = 8\nwarm = 0\n\
                  sales_per_hour = 40\n";
    let (mut world, strict) = strict(config).await;
    // Notices use up their share of the budget, and no more.
    for _ in 0..4 {
        world.says_quietly("!sale start mug 10m").await;
        world.clock.advance(Span::from_millis(100));
        let number = world.newest().number;
        world.says_quietly(&format!("!sale stop #{number}")).await;
        world.clock.advance(secs(2));
    }
    let n = strict.lines().len();
    world.says_quietly("!sale list").await;
    let lines = strict.lines();
    assert!(lines[n..].iter().any(|(_, kind, _)| *kind == Kind::Answer), "{lines:#?}");
    world.advance(mins(2)).await;
    let cancelled = strict.lines().iter().filter(|(_, _, l)| l.starts_with("CANCELLED")).count();
    assert_eq!(cancelled, 4, "late, but none is dropped");
    strict.kept_its_manners();
    world.done().await;
}

#[tokio::test]
async fn a_room_that_was_away_hears_how_things_stand_and_nothing_twice() {
    let config = "[templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\nstock = 8\nwarm = 0\n";
    let (mut world, strict) = strict(config).await;
    strict.away.store(true, Ordering::SeqCst);
    world.says("!sale start mug 10m").await;
    world.advance(mins(3)).await;
    world.says("!sale pause").await;
    world.advance(mins(5)).await;
    strict.away.store(false, Ordering::SeqCst);
    world.advance(mins(1)).await;
    let state = |strict: &Strict| -> Vec<String> {
        let lines = strict.lines().into_iter().filter(|(_, kind, _)| *kind == Kind::State);
        lines.map(|(_, _, line)| line).collect()
    };
    let said = state(&strict);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("PAUSED"), "it is paused now, whatever it was before: {said:?}");
    strict.away.store(true, Ordering::SeqCst);
    world.says("!sale resume").await;
    world.advance(mins(60)).await;
    strict.away.store(false, Ordering::SeqCst);
    world.advance(mins(2)).await;
    let said = state(&strict);
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("ENDED · Fern Mug · 0 of 8 sold"), "{said:?}");
    world.done().await;
}
