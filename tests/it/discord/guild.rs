//! A server with people in it, the program, and the fake between them.

use std::sync::Arc;

use livetill::{
    clock::Span,
    platform::{
        Heard, Platform, Standing,
        discord::{Discord, Hints, Settings as Config, Setup},
    },
    store::Store,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    fake::{Fake, Seen},
    fixtures::{ANA, MANAGERS, MIA, MODS, SHOP, TOKEN, interaction, message, user},
};
use crate::world::{PATIENCE, Setup as WorldSetup, World, eventually};

/// The rooms every test of this kind has.
pub const ROOMS: &str = "[shop]\nrooms = [\"console\", \"discord:1001\"]\n\
                         mod_rooms = [\"discord:1002\"]\n";

/// A person: id, name, roles.
#[derive(Clone, Copy)]
pub struct Who(pub u64, pub &'static str, pub &'static [u64]);

/// May manage the server.
pub const MOD: Who = Who(MIA, "Mia", &[MANAGERS]);
/// A viewer.
pub const VIEWER: Who = Who(ANA, "Ana", &[]);

pub struct Guild {
    pub world: World,
    pub fake: Arc<Fake>,
    pub discord: Arc<Discord>,
    pub heard: mpsc::Receiver<Heard>,
    stop: CancellationToken,
    gone: Option<tokio::task::JoinHandle<()>>,
}

/// What differs from the ordinary.
pub struct Odd {
    pub fake: Arc<Fake>,
    pub setup: WorldSetup,
    pub config: Box<dyn Fn(&mut Config)>,
}

impl Odd {
    pub async fn new(templates: &str) -> Self {
        crate::world::crypto();
        crate::logged::is_secret(TOKEN);
        let setup = WorldSetup::new(&format!("{ROOMS}{templates}"));
        Self { fake: Fake::start().await, setup, config: Box::new(|_| {}) }
    }

    /// A life of the program over the same folder, clock and Discord; not waited for.
    pub async fn begin(&self) -> Guild {
        let mut config = Config {
            enabled: true,
            api_url: self.fake.url.clone(),
            token: TOKEN.into(),
            ..Config::default()
        };
        (self.config)(&mut config);
        let made: Arc<std::sync::Mutex<Option<Arc<Discord>>>> = Arc::default();
        let slot = made.clone();
        let clock = self.setup.clock.clone();
        let build = move |store: &Arc<dyn Store>, base_url: &str| {
            let discord = Discord::new(Setup {
                config: config.clone(),
                rooms: vec!["discord:1001".parse().expect("a room")],
                mod_rooms: vec!["discord:1002".parse().expect("a room")],
                base_url: base_url.to_owned(),
                clock: clock.clone(),
                store: store.clone(),
            });
            *slot.lock().expect("unpoisoned") = Some(discord.clone());
            vec![discord as Arc<dyn Platform>]
        };
        let world = World::with_platforms(&self.setup, build).await;
        let discord = made.lock().expect("unpoisoned").take().expect("made");
        let (heard, hears) = mpsc::channel(256);
        let stop = CancellationToken::new();
        let (chat, engine) = (world.app.chat.clone(), world.app.engine.clone());
        let hints = Hints {
            templates: Box::new(move || chat.templates().keys().cloned().collect()),
            sales: Box::new(move || engine.views().live()),
        };
        let gone = discord.connect(hints, heard, stop.clone());
        Guild { world, fake: self.fake.clone(), discord, heard: hears, stop, gone: Some(gone) }
    }

    /// The same, connected.
    pub async fn live(&self) -> Guild {
        let guild = self.begin().await;
        guild.is_up().await;
        guild.world.settle().await;
        guild
    }
}

impl Guild {
    pub async fn new(templates: &str) -> Self {
        Odd::new(templates).await.live().await
    }

    pub fn standing(&self) -> Standing {
        self.discord.health().expect("it has one").standing
    }

    /// Waits for a standing.
    pub async fn stands(&self, what: &str, fits: impl Fn(&Standing) -> bool) {
        eventually(what, async || {
            let standing = self.standing();
            let there = fits(&standing);
            // It stays so.
            let broken = matches!(standing, Standing::Broken(_));
            assert!(there || !broken, "{what}: it is {standing:?}");
            there
        })
        .await;
    }

    pub async fn is_up(&self) {
        self.stands("up", |standing| *standing == Standing::Up).await;
        // The server is known once its commands are there.
        let before = self.fake.with(|all| all.registered.len());
        if before == 0 {
            self.fake.until("commands", |all| !all.registered.is_empty()).await;
        }
    }

    /// The next thing heard.
    pub async fn next(&mut self) -> Heard {
        let next = tokio::time::timeout(PATIENCE, self.heard.recv()).await;
        next.expect("something is heard").expect("it is connected")
    }

    /// Works off the next thing heard, as the program does.
    pub async fn work_off(&mut self) -> Heard {
        let heard = self.next().await;
        let (listener, something) = (self.world.app.listener.clone(), heard.clone());
        self.world
            .during(async move {
                match something {
                    Heard::Said(message) => listener.said(&message).await,
                    Heard::Wants(wish) => listener.wants(&wish).await,
                    own @ Heard::Own { .. } => panic!("{own:?}"),
                }
            })
            .await;
        heard
    }

    /// Somebody types in a channel; whether it is heard is another matter.
    pub fn types(&self, who: Who, channel: u64, text: &str) -> u64 {
        let id = self.fake.fresh();
        let said = message(id, channel, &user(who.0, who.1), who.2, text);
        self.fake.event("MESSAGE_CREATE", said);
        id
    }

    /// A moderator types, and it is worked off. Answers what the bot replied.
    pub async fn says(&mut self, who: Who, text: &str) -> Vec<String> {
        let id = self.types(who, SHOP, text);
        self.work_off().await;
        self.replies(SHOP, id)
    }

    /// What the bot replied to a message.
    pub fn replies(&self, channel: u64, to: u64) -> Vec<String> {
        let messages = self.fake.messages(channel);
        let to = to.to_string();
        messages
            .iter()
            .filter(|message| message["message_reference"]["message_id"] == to.as_str())
            .map(|message| message["content"].as_str().expect("text").to_owned())
            .collect()
    }

    /// Somebody uses a slash command; the token under which it is answered.
    pub fn uses(&self, who: Who, channel: u64, verb: &str, options: &[(&str, Value)]) -> String {
        let options: Vec<Value> = options
            .iter()
            .map(|(name, value)| json!({ "name": name, "type": 3, "value": value }))
            .collect();
        let data = json!({
            "id": "7777", "name": "sale", "type": 1, "guild_id": "100",
            "options": [{ "name": verb, "type": 1, "options": options }],
        });
        self.interact(who, channel, 2, data, None)
    }

    /// Somebody presses a button or chooses in a menu under a message.
    pub fn presses(
        &self,
        who: Who,
        channel: u64,
        under: &Value,
        custom_id: &str,
        values: &[&str],
    ) -> String {
        let data = if values.is_empty() {
            json!({ "custom_id": custom_id, "component_type": 2 })
        } else {
            json!({ "custom_id": custom_id, "component_type": 3, "values": values })
        };
        self.interact(who, channel, 3, data, Some(under))
    }

    pub fn interact(
        &self,
        who: Who,
        channel: u64,
        kind: u8,
        data: Value,
        under: Option<&Value>,
    ) -> String {
        let id = self.fake.fresh();
        let rights = if who.2.contains(&MANAGERS) { 1 << 5 } else { 0 };
        let mut used = interaction(id, kind, channel, &user(who.0, who.1), who.2, rights);
        used["data"] = data;
        let token = used["token"].as_str().expect("text").to_owned();
        if let Some(under) = under {
            used["message"] = under.clone();
            self.fake.with(|all| {
                let seen = all.seen.entry(token.clone()).or_default();
                seen.under = under["id"].as_str().map(str::to_owned);
            });
        }
        self.fake.event("INTERACTION_CREATE", used);
        token
    }

    pub fn seen(&self, token: &str) -> Seen {
        self.fake.with(|all| all.seen.get(token).cloned().unwrap_or_default())
    }

    /// Waits until an interaction was answered for good.
    pub async fn answered(&self, token: &str) -> Seen {
        let done = |seen: &Seen| seen.shown.is_some() || seen.dropped || seen.kinds == [8];
        self.fake.until("an answer", |all| all.seen.get(token).is_some_and(done)).await;
        self.seen(token)
    }

    /// The one live message of the shop's room.
    pub fn card(&self) -> Value {
        let live = self.fake.live(SHOP);
        assert_eq!(live.len(), 1, "exactly one live message: {live:#?}");
        live[0].clone()
    }

    pub fn advance(&self, span: Span) -> impl Future<Output = ()> + '_ {
        self.world.advance(span)
    }

    /// Ends this life the hard way: nothing is finished, nothing is said.
    pub async fn kill(mut self) {
        self.stop.cancel();
        let gone = self.gone.take().expect("connected");
        gone.await.expect("ends");
        // Only so that the database is let go; nothing of a sale ends by it.
        self.world.app.stop().await;
    }

    /// Ends everything and checks what must hold at the end of any test.
    pub async fn done(mut self) {
        let unheard = self.heard.try_recv();
        assert!(unheard.is_err(), "heard and not worked off: {unheard:?}");
        self.world.runs_out().await;
        self.world.heard();
        self.fake.done();
        self.nothing_leaked();
        self.stop.cancel();
        let gone = self.gone.take().expect("connected");
        tokio::time::timeout(PATIENCE, gone).await.expect("it says farewell").expect("ends");
        self.world.done().await;
    }

    /// No public message holds a payment page, a token or a provider's error.
    fn nothing_leaked(&self) {
        for channel in [SHOP, MODS] {
            for message in self.fake.messages(channel) {
                let text = message.to_string();
                for secret in ["/sandbox/pay/", "/holds/", TOKEN, "interaction-"] {
                    assert!(!text.contains(secret), "{secret} is shown to all: {text}");
                }
            }
        }
    }
}

/// The buttons and menus of a message, by custom id or address.
pub fn controls(message: &Value) -> Vec<String> {
    let rows = message["components"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .flat_map(|row| row["components"].as_array().cloned().unwrap_or_default())
        .map(|one| one["custom_id"].as_str().or(one["url"].as_str()).unwrap_or_default().to_owned())
        .collect()
}

/// The control of a message that begins so.
pub fn control(message: &Value, begins: &str) -> String {
    let all = controls(message);
    let found = all.iter().find(|one| one.starts_with(begins)).cloned();
    found.unwrap_or_else(|| panic!("no {begins} among {all:?}"))
}
