//! Twitch: hears moderators in the channel's chat, says what happens there.
//!
//! What arrives is known only from what the server sends back: a message counts as said when the
//! server shows our standing behind it, and a refusal comes as a NOTICE.

mod auth;
mod check;
mod desk;
mod file;
mod hear;
mod login;
mod memory;
mod session;
mod settings;
mod speak;
mod token;
mod tokens;
mod verdict;
mod wire;
mod words;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use rustls::RootCertStore;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use twitch_irc::message::PrivmsgMessage;

use self::{
    desk::{Desk, SENDS_MAX, SENDS_MAX_MODERATOR, WITHIN},
    session::{Client, Session},
    speak::Line,
    token::Keeper,
    wire::Dial,
};
pub use self::{
    login::{LoginError, Prompt, login},
    settings::Settings,
};
use super::{Health, Heard, Limits, Platform, Post, Reply, SayError, Updates, announces};
use crate::{
    clock::{Clock, Span},
    finding::Finding,
    room::{Message, PlatformName, Role, Room},
    view::View,
};

/// Between two lines that nobody asked for.
const LINE_EVERY: Span = Span::from_secs(20);

/// Of each ten messages that Twitch allows, one is kept free.
const RESERVE: usize = 10;

/// A stock line that waits longer for its turn is stale.
const STALE_AFTER: Duration = Duration::from_secs(2);

/// After something went wrong that a person mends, look this often whether it was mended.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What Twitch is made of.
pub struct Setup {
    /// What was set.
    pub config: Settings,
    /// The file with the tokens that `livetill login twitch` made.
    pub token_file: PathBuf,
    /// Rooms to be in; those of other platforms are left out.
    pub rooms: Vec<Room>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whose certificates are believed; see [`public_roots`].
    pub trust: Arc<RootCertStore>,
}

/// Why Twitch cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// `twitch.server` is not an address.
    #[error("twitch.server is not an address: {0}")]
    Server(String),
    /// No HTTP client can be made.
    #[error("no HTTP client: {0}")]
    Client(String),
}

/// The certificate authorities that browsers trust.
pub fn public_roots() -> Arc<RootCertStore> {
    Arc::new(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

/// The file with the bot's tokens, beside the configuration.
pub fn token_file(config: &Path) -> PathBuf {
    config.with_file_name(file::NAME)
}

/// Twitch.
pub struct Twitch {
    config: Settings,
    token_file: PathBuf,
    clock: Arc<dyn Clock>,
    keeper: Arc<Keeper>,
    dial: Arc<Dial>,
    desk: Arc<Desk>,
    client: Mutex<Option<Client>>,
    /// One message at a time in each room: answers come without saying to what.
    turns: BTreeMap<String, tokio::sync::Mutex<()>>,
}

impl Twitch {
    /// Twitch as it was set up; connects nowhere yet.
    ///
    /// # Errors
    /// If the server's address cannot be read or no HTTP client can be made.
    pub fn new(setup: Setup) -> Result<Arc<Self>, SetupError> {
        let Setup { config, token_file, rooms, clock, trust } = setup;
        let server = config.chat_server();
        let server = server.ok_or_else(|| SetupError::Server(config.server.clone()))?;
        let rooms: Vec<String> = rooms
            .into_iter()
            .filter(|room| room.platform == PlatformName::Twitch)
            .map(|room| room.channel)
            .collect();
        let keeper = Keeper::new(config.clone(), token_file.clone());
        let keeper = keeper.map_err(|error| SetupError::Client(error.to_string()))?;
        let desk = Desk::new(clock.clone(), &config.login, rooms.iter().cloned());
        let desk = Arc::new(desk);
        Ok(Arc::new(Self {
            keeper: Arc::new(keeper),
            dial: Arc::new(Dial { server, trust, desk: desk.clone() }),
            desk,
            client: Mutex::default(),
            turns: rooms.into_iter().map(|room| (room, tokio::sync::Mutex::default())).collect(),
            config,
            token_file,
            clock,
        }))
    }

    /// Connects, hears and stays connected until stopped. What only a person can mend ends the
    /// connection; it begins anew when the file with the tokens has changed.
    pub async fn connect(self: Arc<Self>, heard: mpsc::Sender<Heard>, stop: CancellationToken) {
        loop {
            self.desk.starting();
            let session = Session::new(&self.keeper, &self.dial, &self.clock);
            self.set_client(Some(session.client.clone()));
            let why = tokio::select! {
                why = session.run(|said| self.hear(said, &heard)) => Some(why),
                () = stop.cancelled() => None,
            };
            self.set_client(None);
            let Some(why) = why else { return };
            self.desk.broken(why);
            tokio::select! {
                () = self.mended() => self.keeper.reload().await,
                () = stop.cancelled() => return,
            }
        }
    }

    fn set_client(&self, client: Option<Client>) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
    }

    /// Resolves when the file with the tokens has changed.
    async fn mended(&self) {
        let stamp = || std::fs::metadata(&self.token_file).and_then(|meta| meta.modified()).ok();
        let before = stamp();
        while stamp() == before {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn hear(&self, said: &PrivmsgMessage, heard: &mpsc::Sender<Heard>) {
        let own = self.desk.own();
        if said.sender.id == own.id
            && announces(&said.message_text)
            && self.turns.contains_key(&said.channel_login)
        {
            let room = Room::new(PlatformName::Twitch, said.channel_login.clone());
            let text = said.message_text.clone();
            // One of them is enough, and there will be more.
            let _ = heard.try_send(Heard::Own { room, text, is_echoed: false, sale: None });
            return;
        }
        // Nothing without the mark of a command is for us; most of a busy chat ends here.
        if !said.message_text.contains('!') || !self.turns.contains_key(&said.channel_login) {
            return;
        }
        let Some(message) = hear::message(said, &own, &self.config.moderator_users) else { return };
        let moderator = message.role == Role::Moderator;
        // Never wait here: answers to our own messages come in through the same task.
        match heard.try_send(Heard::Said(message)) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => {}
            Err(mpsc::error::TrySendError::Full(Heard::Said(message))) if moderator => {
                let heard = heard.clone();
                tokio::spawn(async move { heard.send(Heard::Said(message)).await });
            }
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("too much is said at once: a viewer was not heard");
            }
        }
    }
}

#[async_trait]
impl Platform for Twitch {
    fn name(&self) -> PlatformName {
        PlatformName::Twitch
    }

    fn limits(&self, room: &Room) -> Limits {
        let moderates = self.desk.room(&room.channel, |state| state.moderates).unwrap_or(false);
        let most = if moderates { SENDS_MAX_MODERATOR } else { SENDS_MAX };
        let sends = u32::try_from(most - most / RESERVE).unwrap_or(u32::MAX);
        Limits { sends, within: WITHIN, updates: Updates::Lines(LINE_EVERY) }
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        let notice = Some((post.key.as_str(), post.again));
        self.send(&post.room, Line { notice, ..Line::new(&post.line) }).await
    }

    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        for text in words::pack(&reply.lines) {
            self.send(&to.room, Line { parent: Some(&to.id), ..Line::new(&text) }).await?;
        }
        Ok(())
    }

    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        for text in words::pack(lines) {
            self.send(room, Line::new(&text)).await?;
        }
        Ok(())
    }

    async fn show(&self, room: &Room, _view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.send(room, Line { within: STALE_AFTER, ..Line::new(line) }).await
    }

    fn health(&self) -> Option<Health> {
        Some(self.desk.health())
    }

    async fn check(&self, rooms: &[Room]) -> Vec<Finding> {
        check::check(self, rooms).await
    }
}
