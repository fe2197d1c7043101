//! Several replicas on one database: in one process to see every word, and as real programs that
//! are killed again and again.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use livetill::{
    app::{App, Outside},
    clock::{Span, SystemClock},
    config,
    id::SystemEntropy,
    platform::{
        Grant, Heard, Limits, Platform, Post, Reply, SayError, Updates, Wish, console::message,
    },
    room::{Message, PlatformName, Room},
    store::{self, Access},
    view::View,
};
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    database::{Database, server},
    world::{MUG, crypto},
};

/// A chat whose words are kept; every replica is in the same room.
struct Chatter {
    replica: usize,
    said: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Chatter {
    fn note(&self, line: String) {
        self.said.lock().expect("unpoisoned").push((self.replica, line));
    }
}

#[async_trait]
impl Platform for Chatter {
    fn name(&self) -> PlatformName {
        PlatformName::Twitch
    }
    fn limits(&self, _room: &Room) -> Limits {
        let within = Span::from_secs(30);
        Limits { sends: 1000, within, updates: Updates::Edits(Span::from_millis(50)) }
    }
    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.note(format!("notice {}", post.line));
        Ok(())
    }
    async fn reply(&self, _to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.note(format!("reply {}", reply.lines.join(" / ")));
        Ok(())
    }
    async fn say(&self, _room: &Room, lines: &[String]) -> Result<(), SayError> {
        self.note(format!("say {}", lines.join(" / ")));
        Ok(())
    }
    async fn show(&self, _room: &Room, view: &Arc<View>, _line: &str) -> Result<(), SayError> {
        self.note(format!("show {}", view.left));
        Ok(())
    }
    async fn grant(&self, _wish: &Wish, grant: &Grant) -> Result<(), SayError> {
        let word = if matches!(grant, Grant::Yours { .. }) { "yours" } else { "no" };
        self.note(format!("grant {word}"));
        Ok(())
    }
}

struct Three {
    apps: Vec<App>,
    ears: Vec<mpsc::Sender<Heard>>,
    said: Arc<Mutex<Vec<(usize, String)>>>,
    _database: Database,
    _dir: tempfile::TempDir,
}

impl Three {
    async fn new() -> Self {
        crypto();
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        let text = "[shop]\nrooms = [\"twitch:ana\"]\nmod_rooms = [\"twitch:ana\"]\n\
                    [providers.sandbox]\ncalls_per_second = 1000\n";
        std::fs::write(&path, format!("{text}{MUG}")).expect("written");
        let loaded = config::load(&path, &std::collections::HashMap::new()).expect("a config");
        let database = Database::on(&server());
        let said: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (mut apps, mut ears) = (Vec::new(), Vec::new());
        for replica in 0..3 {
            let store = store::open(database.url(), Access::Write).await.expect("a store");
            let outside = Outside {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms: vec![Arc::new(Chatter { replica, said: said.clone() })],
                wrap: Arc::new(|provider| provider),
            };
            let mut app = App::build(&loaded, outside).await.expect("an app");
            app.serve().await.expect("serves");
            app.run();
            let (ear, heard) = mpsc::channel(100);
            app.listen(heard);
            apps.push(app);
            ears.push(ear);
        }
        let three = Self { apps, ears, said, _database: database, _dir: dir };
        three.until("one has the turn", |three| three.sender().is_some()).await;
        three
    }

    /// Whose turn it is to speak.
    fn sender(&self) -> Option<usize> {
        self.apps.iter().position(|app| app.engine.acts_for("say:twitch"))
    }

    async fn everybody_hears(&self, id: &str, text: &str) {
        let room: Room = "twitch:ana".parse().expect("a room");
        let said = Message { room: room.clone(), ..message(id.to_owned(), text) };
        for ear in &self.ears {
            ear.send(Heard::Said(said.clone())).await.expect("listens");
        }
    }

    fn said(&self, part: &str) -> Vec<(usize, String)> {
        let said = self.said.lock().expect("unpoisoned");
        said.iter().filter(|(_, line)| line.contains(part)).cloned().collect()
    }

    async fn until(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        for _ in 0..600 {
            if fits(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: {:#?}", self.said.lock().expect("unpoisoned"));
    }

    /// Long enough for whoever would say it a second time.
    async fn quiet(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_three_replicas_hear_is_done_once_and_answered_once() {
    let three = Three::new().await;
    let senders = three.apps.iter().filter(|app| app.engine.acts_for("say:twitch")).count();
    assert_eq!(senders, 1, "one sends to the account");
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    three.everybody_hears("m2", "!sale status").await;
    three.everybody_hears("m3", "!sale dance").await;
    let sale = three.apps[0].engine.views().all()[0].id;
    let wish = Wish {
        id: "press".into(),
        room: "twitch:ana".parse().expect("a room"),
        user: message("x".into(), "bo> hi").user,
        sale,
        delivery: None,
        units: None,
        roles: Vec::new(),
    };
    for ear in &three.ears {
        ear.send(Heard::Wants(wish.clone())).await.expect("listens");
    }
    three.until("it is granted", |three| !three.said("grant").is_empty()).await;
    three.until("two are left", |three| !three.said("show 2").is_empty()).await;
    three.quiet().await;
    for (part, times) in
        [("reply Preparing", 1), ("SALE OPEN", 1), ("grant yours", 1), ("grant", 1), ("reply", 3)]
    {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    // Everybody shows the same.
    let views: BTreeSet<(u64, u32)> = three
        .apps
        .iter()
        .map(|app| app.engine.views().get(sale).expect("known everywhere"))
        .map(|view| (view.revision, view.left))
        .collect();
    assert_eq!(views.len(), 1, "{views:?}");
    // Notices, shows and answers all came from the one whose turn it is.
    let speakers: BTreeSet<usize> = three
        .said("")
        .into_iter()
        .filter(|(_, line)| !line.starts_with("grant"))
        .map(|(replica, _)| replica)
        .collect();
    assert_eq!(speakers.into_iter().collect::<Vec<_>>(), [three.sender().expect("one")]);
    for app in &three.apps {
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_sender_leaves_another_speaks_and_nothing_is_said_twice() {
    let three = Three::new().await;
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    let first = three.sender().expect("one");
    three.apps[first].stop().await;
    three.until("another has the turn", |three| three.sender().is_some_and(|n| n != first)).await;
    let second = three.sender().expect("one");
    // Whoever left hears nothing any more.
    let room: Room = "twitch:ana".parse().expect("a room");
    let stop = Message { room, ..message("m2".into(), "!sale stop") };
    for (n, ear) in three.ears.iter().enumerate() {
        if n != first {
            ear.send(Heard::Said(stop.clone())).await.expect("listens");
        }
    }
    three.until("it is over", |three| !three.said("CANCELLED").is_empty()).await;
    three.quiet().await;
    assert_eq!(three.said("CANCELLED").len(), 1, "{:#?}", three.said(""));
    assert_eq!(three.said("CANCELLED")[0].0, second);
    assert_eq!(three.said("SALE OPEN").len(), 1, "{:#?}", three.said(""));
    for (n, app) in three.apps.iter().enumerate() {
        if n != first {
            app.stop().await;
        }
    }
}
