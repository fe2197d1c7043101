//! Several replicas on one database: in one process to see every word, and as real programs that
//! are killed again and again.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
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
use serde_json::Value;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
};

use crate::{
    database::{Database, server},
    world::{MUG, World, client, crypto, eventually, mins},
};

/// One replica's way to the database, which can be cut.
struct Way {
    url: String,
    cut: watch::Sender<bool>,
}

impl Way {
    async fn to(database: &Database) -> Self {
        let (before, place) = database.url().split_once('@').expect("a user");
        let (server, name) = place.split_once('/').expect("a database");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let here = listener.local_addr().expect("an address");
        let cut = watch::Sender::new(false);
        let (state, server) = (cut.subscribe(), server.to_owned());
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut state, server) = (state.clone(), server.clone());
                tokio::spawn(async move {
                    let pass = async {
                        let mut far = TcpStream::connect(&server).await?;
                        copy_bidirectional(&mut near, &mut far).await
                    };
                    tokio::select! {
                        // However it ends, it ends for both sides.
                        _ = pass => {}
                        _ = state.wait_for(|cut| *cut) => {}
                    }
                });
            }
        });
        Self { url: format!("{before}@{here}/{name}"), cut }
    }
}

/// A chat whose words are kept; every replica is in the same room.
struct Chatter {
    replica: usize,
    said: Arc<Mutex<Vec<(usize, String)>>>,
    /// Never comes to answer, as if killed before.
    dies: Arc<AtomicBool>,
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
        if self.dies.load(Ordering::SeqCst) {
            return std::future::pending().await;
        }
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
    ways: Vec<Way>,
    dying: Vec<Arc<AtomicBool>>,
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
        let (mut ways, mut dying) = (Vec::new(), Vec::new());
        for replica in 0..3 {
            let (way, dies) = (Way::to(&database).await, Arc::<AtomicBool>::default());
            let store = store::open(&way.url, Access::Write).await.expect("a store");
            ways.push(way);
            dying.push(dies.clone());
            let outside = Outside {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms: vec![Arc::new(Chatter { replica, said: said.clone(), dies })],
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
        let three = Self { apps, ears, said, ways, dying, _database: database, _dir: dir };
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

    /// What a replica answers at an address; its words and its status.
    async fn gets(&self, replica: usize, path: &str) -> (u16, String) {
        let url = format!("{}{path}", self.apps[replica].base_url);
        let answer = client().get(url).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }

    /// How a replica says that a sale stands.
    async fn state(&self, replica: usize, number: u32) -> String {
        let (_, sale) = self.gets(replica, &format!("/api/sales/{number}")).await;
        let sale: Value = serde_json::from_str(&sale).expect("JSON");
        sale["state"].as_str().expect("a state").to_owned()
    }

    async fn until(&self, what: &str, fits: impl Fn(&Self) -> bool) {
        for _ in 0..2400 {
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

/// Follows a sale at a replica; everything that came so far.
fn follows(base: &str, number: u32) -> Arc<Mutex<String>> {
    let all: Arc<Mutex<String>> = Arc::default();
    let (came, url) = (all.clone(), format!("{base}/sales/{number}/events"));
    tokio::spawn(async move {
        let mut answer = client().get(url).send().await.expect("it answers");
        while let Ok(Some(part)) = answer.chunk().await {
            came.lock().expect("unpoisoned").push_str(&String::from_utf8_lossy(&part));
        }
    });
    all
}

/// The state in the last event of a stream.
fn last_state(stream: &Mutex<String>) -> Option<String> {
    let all = stream.lock().expect("unpoisoned").clone();
    let last = all.lines().rfind(|line| line.starts_with("data:"))?;
    let view: Value = serde_json::from_str(last.trim_start_matches("data:")).expect("a whole one");
    view["state"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_cut_from_the_database_never_says_that_a_sale_is_open_after_its_end() {
    let three = Three::new().await;
    // One is stopped by hand while it is cut off, the other ends by the clock.
    three.everybody_hears("m1", "!sale start mug 30m").await;
    three.until("the first opens", |three| three.said("SALE OPEN").len() == 1).await;
    three.everybody_hears("m2", "!sale start mug 12s").await;
    three.until("the second opens", |three| three.said("SALE OPEN").len() == 2).await;
    // The one that speaks is cut off: its turn has to pass, too.
    let cut = three.sender().expect("one");
    let other = (cut + 1) % 3;
    let known = async || {
        let all = three.apps[cut].engine.views().all();
        all.len() == 2 && all.iter().all(|view| view.opened_at.is_some())
    };
    eventually("it knows both", known).await;
    let ends_at = three.apps[cut].engine.views().all()[0].ends_at.expect("it is open");
    let base = three.apps[cut].base_url.clone();
    let streams = [follows(&base, 1), follows(&base, 2)];
    eventually("both are followed", async || streams.iter().all(|s| last_state(s).is_some())).await;
    // What was said and not noted down may be said again by whoever comes next.
    let noted = async || {
        three.apps[other].engine.store().outbox().await.is_ok_and(|count| count.waiting == 0)
    };
    eventually("all is noted down", noted).await;
    three.ways[cut].cut.send_replace(true);

    let stop = Message {
        room: "twitch:ana".parse().expect("a room"),
        ..message("m3".into(), "!sale stop #1")
    };
    three.ears[other].send(Heard::Said(stop)).await.expect("listens");
    eventually("another stops it", async || three.state(other, 1).await == "cancelled").await;
    // The clock needs nobody: from its end on, not one answer says that it is open.
    let clock = SystemClock;
    while three.apps[other].engine.views().all()[0].state.word() != "ended" {
        let past = livetill::clock::Clock::now(&clock) >= ends_at;
        let state = three.state(cut, 2).await;
        assert!(!past || state == "ended", "{state} after its end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What somebody did elsewhere is not known to it; that it knows nothing is, within seconds.
    eventually("it notices", async || three.state(cut, 1).await == "paused").await;
    assert_eq!(three.state(cut, 2).await, "ended");
    let heard = async || {
        let states = streams.each_ref().map(|stream| last_state(stream).expect("one"));
        states == ["paused", "ended"]
    };
    eventually("its followers hear it", heard).await;
    for path in ["/live", "/sales/1", "/sales/2", "/overlay", "/api/sales", "/api/sales/1"] {
        let (status, text) = three.gets(cut, path).await;
        assert_eq!(status, 200, "{path}");
        let open = ["data-state=\"open\"", "\"state\":\"open\"", "Get yours", " to go"];
        assert!(!open.iter().any(|words| text.contains(words)), "{path}: {text}");
    }
    let (status, text) = three.gets(cut, "/sales/1").await;
    assert!(status == 200 && text.contains("cannot reach its books"), "{text}");
    let (status, text) = three.gets(cut, "/readyz").await;
    assert!(status == 503 && text.contains("the database has not answered"), "{text}");
    let claim = client().post(format!("{base}/sales/1/holds")).send().await.expect("answers");
    assert_eq!(claim.status(), 503, "nothing is promised");
    for (n, text) in ["!sale status", "ana> !buy"].iter().enumerate() {
        let room = "twitch:ana".parse().expect("a room");
        let asked = Message { room, ..message(format!("q{n}"), text) };
        let said = three.apps[cut].chat.hear(&asked).await.expect("an answer").lines.join(" / ");
        assert!(!said.contains("open") && !said.contains("to go"), "{text}: {said}");
        assert!(*text != "!sale status" || said.starts_with("This may be old news"), "{said}");
    }
    let room = "twitch:ana".parse().expect("a room");
    let asked = Message { room, ..message("q2".into(), "!sale extend #1 5m") };
    let said = three.apps[cut].chat.hear(&asked).await.expect("an answer").lines.join(" / ");
    assert!(said.contains("Should another answer follow"), "{said}");
    three.until("another speaks", |three| three.sender().is_some_and(|n| n != cut)).await;
    let by_the_cut = three.said("").iter().filter(|(by, _)| *by == cut).count();

    three.ways[cut].cut.send_replace(false);
    let whole = async || {
        three.state(cut, 1).await == "cancelled" && three.gets(cut, "/readyz").await.0 == 200
    };
    eventually("it comes back by itself", whole).await;
    three.until("all ends are said", |three| !three.said("ENDED").is_empty()).await;
    three.until("all ends are said", |three| !three.said("CANCELLED").is_empty()).await;
    three.quiet().await;
    for (part, times) in [("SALE OPEN", 2), ("notice ENDED", 1), ("notice CANCELLED", 1)] {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    let turned = three.sender() == Some(cut);
    let now = three.said("").iter().filter(|(by, _)| *by == cut).count();
    assert!(turned || now == by_the_cut, "it spoke out of turn: {:#?}", three.said(""));
    for app in &three.apps {
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_between_acting_and_answering_makes_nobody_act_again() {
    let three = Three::new().await;
    let first = three.sender().expect("one");
    three.dying[first].store(true, Ordering::SeqCst);
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    three.quiet().await;
    assert_eq!(three.said("reply"), [], "the answer died with it");
    three.apps[first].stop().await;
    three.until("another has the turn", |three| three.sender().is_some_and(|n| n != first)).await;
    // A slash command is heard by whoever acknowledged it, whether or not it has the turn.
    let second = three.sender().expect("one");
    let third = 3 - first - second;
    let room: Room = "twitch:ana".parse().expect("a room");
    let pause = Message { aside: true, room, ..message("m2".into(), "!sale pause") };
    three.ears[third].send(Heard::Said(pause)).await.expect("listens");
    three.until("it is answered", |three| !three.said("reply Paused #1").is_empty()).await;
    three.until("it is told", |three| !three.said("PAUSED").is_empty()).await;
    three.quiet().await;
    let replies = three.said("reply");
    assert_eq!((replies.len(), replies[0].0), (1, third), "{replies:?}");
    for (part, times) in [("SALE OPEN", 1), ("notice PAUSED", 1)] {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    assert_eq!(three.apps[second].engine.views().all().len(), 1, "started once");
    for replica in [second, third] {
        three.apps[replica].stop().await;
    }
}

#[tokio::test]
async fn nothing_is_said_of_a_sale_whose_end_came_and_is_not_stored_yet() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.clicks("ben").await;
    world.heard();
    // There is a change to be shown, and the timer is late.
    world.clock.advance(mins(10));
    world.app.announcer.step().await;
    assert_eq!(world.heard(), Vec::<String>::new());
    assert_eq!(world.newest().state.word(), "open", "nobody has stored it");
    for (n, (line, answer)) in [
        ("!sale status", "#1 Fern Mug · ended"),
        ("ana> !buy", "Nothing on right now."),
        ("!sale extend 5m", "Nothing is running."),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = message(format!("q{n}"), line);
        let said = world.app.chat.hear(&asked).await.expect("an answer").lines;
        assert!(said[0].starts_with(answer), "{line}: {said:?}");
    }
    world.advance(mins(5)).await;
    let said = world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("ENDED")).count(), 1, "{said:?}");
    world.done().await;
}
