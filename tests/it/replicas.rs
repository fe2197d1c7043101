//! Several replicas on one database, in one process to see every word and every call.

mod chat;
mod clock;
mod cut;
mod money;
mod settings;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use livetill::{
    app::{App, Outside, Wrap},
    clock::{Span, SystemClock},
    config,
    id::SystemEntropy,
    platform::{
        Grant, Heard, Limits, Platform, Post, Reply, SayError, Updates, Wish, console::message,
    },
    room::{Message, PlatformName, Room},
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
    world::{MUG, client, crypto, opened},
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
        Self::with(MUG, 1000, |_| Arc::new(|provider| provider)).await
    }

    /// Replicas that sell `templates`, with something between each and its provider.
    async fn with(templates: &str, calls_per_second: u32, wrap: impl Fn(usize) -> Wrap) -> Self {
        crypto();
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        let text = format!(
            "[shop]\nrooms = [\"twitch:ana\"]\nmod_rooms = [\"twitch:ana\"]\n\
             [providers.sandbox]\ncalls_per_second = {calls_per_second}\n{templates}"
        );
        std::fs::write(&path, text).expect("written");
        let loaded = config::load(&path, &std::collections::HashMap::new()).expect("a config");
        let database = Database::on(&server());
        let said: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let (mut apps, mut ears) = (Vec::new(), Vec::new());
        let (mut ways, mut dying) = (Vec::new(), Vec::new());
        for replica in 0..3 {
            let (way, dies) = (Way::to(&database).await, Arc::<AtomicBool>::default());
            let store = opened(&way.url).await;
            ways.push(way);
            dying.push(dies.clone());
            let outside = Outside {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms: vec![Arc::new(Chatter { replica, said: said.clone(), dies })],
                wrap: wrap(replica),
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
        self.whose_turn("say:twitch")
    }

    fn whose_turn(&self, target: &str) -> Option<usize> {
        self.apps.iter().position(|app| app.engine.acts_for(target))
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

    async fn stop(&self) {
        for app in &self.apps {
            app.stop().await;
        }
    }

    /// Long enough for whoever would say it a second time.
    async fn quiet(&self) {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
