//! What is heard is acted on in order and answered in order, also while a chat is mute.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use livetill::{
    clock::Span,
    platform::{
        Heard, Limits, Platform, Post, Reply, SayError, Updates, console::message as typed,
    },
    room::{Message, PlatformName, Room},
    view::View,
};
use tokio::sync::{Semaphore, mpsc};

use crate::world::{MUG, Setup, World, eventually};

/// A chat that lets an answer pass in ana's room only when the test says so.
struct Mute {
    passes: Semaphore,
    said: Mutex<Vec<(Room, String)>>,
}

impl Mute {
    fn said(&self) -> Vec<(Room, String)> {
        self.said.lock().expect("unpoisoned").clone()
    }

    fn said_in(&self, room: &str) -> Vec<String> {
        let room: Room = room.parse().expect("a room");
        self.said().into_iter().filter(|(at, _)| *at == room).map(|(_, line)| line).collect()
    }
}

#[async_trait]
impl Platform for Mute {
    fn name(&self) -> PlatformName {
        PlatformName::Twitch
    }
    fn limits(&self, _room: &Room) -> Limits {
        let within = Span::from_secs(30);
        Limits { sends: 1000, within, updates: Updates::Lines(Span::from_secs(60)) }
    }
    async fn announce(&self, _post: &Post) -> Result<(), SayError> {
        Ok(())
    }
    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        if to.room.channel == "ana" {
            self.passes.acquire().await.expect("open").forget();
        }
        let line = format!("{}: {}", to.id, reply.lines.join(" / "));
        self.said.lock().expect("unpoisoned").push((to.room.clone(), line));
        Ok(())
    }
    async fn say(&self, _room: &Room, _lines: &[String]) -> Result<(), SayError> {
        Ok(())
    }
    async fn show(&self, _room: &Room, _view: &Arc<View>, _line: &str) -> Result<(), SayError> {
        Ok(())
    }
}

/// A world with that chat, and where it hears.
async fn with_mute() -> (World, Arc<Mute>, mpsc::Sender<Heard>) {
    let mute = Arc::new(Mute { passes: Semaphore::new(0), said: Mutex::default() });
    let mut setup = Setup::new(&format!("[shop]\nrooms = [\"twitch:ana\"]\n{MUG}"));
    setup.platforms = vec![mute.clone()];
    let world = World::build(&setup).await;
    let (ear, heard) = mpsc::channel(8);
    world.app.listen(heard);
    (world, mute, ear)
}

async fn hears(ear: &mpsc::Sender<Heard>, room: &str, id: &str, text: &str) {
    let room = room.parse().expect("a room");
    let said = Message { room, ..typed(id.to_owned(), text) };
    ear.send(Heard::Said(said)).await.expect("it listens");
}

#[tokio::test]
async fn a_mute_chat_keeps_nobody_from_being_acted_on_and_answers_keep_their_order() {
    let (mut world, mute, ear) = with_mute().await;
    hears(&ear, "twitch:ana", "1", "!sale start mug 10m").await;
    hears(&ear, "twitch:bo", "2", "!sale dance").await;
    eventually("it is started", async || !world.app.engine.views().all().is_empty()).await;
    world.settle().await;
    assert_eq!(world.newest().state.word(), "open");
    hears(&ear, "twitch:ana", "3", "!sale extend 5m").await;
    hears(&ear, "twitch:ana", "4", "!sale stop").await;
    eventually("it is stopped", async || world.newest().state.is_over()).await;
    // The other room has a voice of its own.
    eventually("the other room hears", async || mute.said_in("twitch:bo").len() == 1).await;
    assert_eq!(mute.said_in("twitch:ana"), Vec::<String>::new(), "nothing was let pass");
    mute.passes.add_permits(3);
    eventually("all is said", async || mute.said_in("twitch:ana").len() == 3).await;
    let said = mute.said_in("twitch:ana");
    assert!(said[0].starts_with("1: Preparing #1"), "{said:?}");
    assert!(said[1].starts_with("3: #1 ends in 15 min"), "{said:?}");
    assert!(said[2].starts_with("4: Stopping #1"), "{said:?}");
    world.settle().await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn answers_for_a_chat_that_stays_mute_do_not_pile_up() {
    let (mut world, mute, ear) = with_mute().await;
    for n in 0..100 {
        hears(&ear, "twitch:ana", &n.to_string(), &format!("!sale dance{n}")).await;
    }
    // Another room is answered once all of these were acted on.
    hears(&ear, "twitch:bo", "101", "!sale dance").await;
    eventually("the other room hears", async || mute.said_in("twitch:bo").len() == 1).await;
    mute.passes.add_permits(1000);
    let heard = async || mute.said_in("twitch:ana").len() >= 32;
    eventually("what waited is said", heard).await;
    hears(&ear, "twitch:ana", "102", "!sale jump").await;
    let last = async || mute.said_in("twitch:ana").iter().any(|line| line.starts_with("102: "));
    eventually("so is what comes now", last).await;
    let said = mute.said_in("twitch:ana");
    assert!(said.len() <= 34, "{} of 101", said.len());
    let order: Vec<u32> = said
        .iter()
        .map(|line| line.split(':').next().expect("an id").parse().expect("a number"))
        .collect();
    assert!(order.is_sorted() && order[0] == 0, "{order:?}");
    world.settle().await;
    world.heard();
    world.done().await;
}
