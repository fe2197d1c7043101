//! A world whose moderators sit in Twitch.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use livetill::{
    platform::{
        Platform, Standing,
        twitch::{Settings as Config, Setup as TwitchSetup, Twitch, public_roots, token_file},
    },
    room::{PlatformName, Room},
    secret::Secret,
};
use tokio_util::sync::CancellationToken;

use super::{
    fake::{BOT, Chat, Person, ROOM},
    id::{CLIENT, Id},
};
use crate::world::{MUG, PATIENCE, Setup, World};

/// The world, the chat server, the token service and the bot's place in it.
pub struct Stage {
    pub world: World,
    pub chat: Arc<Chat>,
    pub id: Id,
    pub twitch: Arc<Twitch>,
    setup: Setup,
    config: Config,
    read: usize,
    /// Logins seen by the time it was last up.
    logins: usize,
    said: AtomicU64,
    stop: CancellationToken,
}

/// How a stage is set.
pub struct Scene {
    pub setup: Setup,
    pub id: Id,
    pub chat: Arc<Chat>,
    pub config: Config,
}

impl Scene {
    pub async fn new() -> Self {
        crate::world::crypto();
        let config = format!("{MUG}\n[shop]\nrooms = [\"console\", \"twitch:{ROOM}\"]\n");
        let setup = Setup::new(&config);
        let id = Id::start().await;
        let chat = Arc::new(Chat::start(&id, setup.clock.clone()).await);
        let config = Config {
            enabled: true,
            login: BOT.to_owned(),
            server: format!("tcp://{}", chat.address),
            client_id: CLIENT.to_owned(),
            auth_url: id.url(),
            token: Secret::from("access-1"),
            refresh_token: Secret::from("refresh-1"),
            ..Config::default()
        };
        Self { setup, id, chat, config }
    }

    pub fn token_file(&self) -> PathBuf {
        token_file(&self.setup.dir.path().join("config.toml"))
    }

    pub fn twitch(&self) -> Arc<Twitch> {
        for secret in [&self.config.token, &self.config.refresh_token] {
            crate::logged::is_secret(secret.expose());
        }
        Twitch::new(TwitchSetup {
            config: self.config.clone(),
            token_file: self.token_file(),
            rooms: vec![Room::console(), room()],
            clock: self.setup.clock.clone(),
            trust: public_roots(),
        })
        .expect("a set-up")
    }

    /// Raises the curtain; does not wait for the bot.
    pub async fn play(mut self) -> Stage {
        let twitch = self.twitch();
        self.setup.platforms = vec![twitch.clone()];
        let world = World::build(&self.setup).await;
        let stop = CancellationToken::new();
        let (heard, hears) = tokio::sync::mpsc::channel(64);
        world.app.listen(hears);
        tokio::spawn(twitch.clone().connect(heard, stop.clone()));
        let Self { setup, id, chat, config } = self;
        let read = chat.state().shown.len();
        Stage {
            world,
            chat,
            id,
            twitch,
            setup,
            config,
            read,
            logins: 0,
            said: AtomicU64::new(0),
            stop,
        }
    }
}

pub fn room() -> Room {
    Room::new(PlatformName::Twitch, ROOM)
}

impl Stage {
    /// A stage with the bot in its room.
    pub async fn new() -> Self {
        let mut stage = Scene::new().await.play().await;
        stage.is_up().await;
        stage
    }

    pub fn standing(&self) -> Standing {
        self.twitch.health().expect("a connection").standing
    }

    pub async fn is_up(&mut self) {
        self.until("the bot is in", |stage| stage.standing() == Standing::Up).await;
        self.logins = self.chat.state().logins.len();
    }

    /// The bot has lost its connection, and is back with another.
    pub async fn comes_back(&mut self) {
        let known = self.logins;
        self.until("another login", move |stage| stage.chat.state().logins.len() > known).await;
        self.is_up().await;
    }

    /// Works until the condition holds.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while !holds(self) {
            self.world.settle().await;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
                () = &mut patience => panic!(
                    "never: {what}; {:?}, shown {:?}, came {:?}",
                    self.standing(), self.chat.shown(), self.chat.state().came
                ),
            }
        }
    }

    /// Somebody says something; answers the lines that are shown until one has `part` in it.
    pub async fn says(&mut self, who: &Person, text: &str, part: &str) -> Vec<String> {
        self.whispers(who, text);
        self.sees(part).await
    }

    /// Somebody says something, and nobody waits.
    pub fn whispers(&self, who: &Person, text: &str) -> String {
        let n = self.said.fetch_add(1, Ordering::Relaxed);
        // Unique over the lives of the program, like Twitch's own ids.
        let id = format!("msg-{n}-{:p}", Arc::as_ptr(&self.twitch));
        self.chat.says(who, &id, text);
        id
    }

    /// Waits until a new line with `part` in it is shown; answers all new ones.
    pub async fn sees(&mut self, part: &str) -> Vec<String> {
        let read = self.read;
        let part = part.to_owned();
        let what = format!("shown: {part}");
        self.until(&what, move |stage| {
            stage.chat.shown()[read..].iter().any(|line| line.contains(&part))
        })
        .await;
        self.world.settle().await;
        self.saw()
    }

    /// What was shown since the last look.
    pub fn saw(&mut self) -> Vec<String> {
        let shown = self.chat.shown();
        let new = shown[self.read..].to_vec();
        self.read = shown.len();
        new
    }

    /// The program ends, however it stands, and begins anew on the same files.
    pub async fn restarts(self) -> Self {
        let Self { world, chat, id, setup, config, stop, .. } = self;
        stop.cancel();
        world.app.stop().await;
        drop(world);
        while chat.connections() > 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Scene { setup, id, chat, config }.play().await
    }

    /// The curtain falls: no rule was broken, everything is done.
    pub async fn done(mut self) {
        self.world.heard();
        self.world.runs_out().await;
        self.world.heard();
        let violations = std::mem::take(&mut self.chat.state().violations);
        assert!(violations.is_empty(), "against Twitch's rules: {violations:#?}");
        self.stop.cancel();
        self.world.done().await;
    }
}
