//! Discord: one live message per sale and room, slash commands, and a button that makes a hold.
//!
//! Two halves that share nothing but queues: a thread that listens (`gateway`), and calls of the
//! HTTP API on the program's own runtime that speak. Knows no rule of a sale; whoever presses is
//! only handed on.

mod book;
mod card;
mod desk;
mod doctor;
mod ear;
mod escape;
mod gateway;
mod health;
mod interaction;
mod kind;
mod live;
mod press;
mod rights;
mod settings;
mod slash;
mod speak;
mod waiting;
mod wire;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use serenity::model::id::{ApplicationId, ChannelId, UserId};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use self::{
    book::Book,
    desk::{Desk, Incoming},
    health::{Pulse, TOKEN_MEND},
    rights::Moderators,
    waiting::Waiting,
    wire::{Failed, Wire},
};
pub use self::{doctor::check, settings::Settings, slash::Hints};
use super::{
    Grant, Health, Heard, Limits, Platform, Post, Reply, SayError, Standing, Updates, Wish,
};
use crate::{
    clock::{Clock, Span, Timestamp},
    finding::Finding,
    room::{Message, PlatformName, Room},
    store::Store,
    view::View,
};

/// Things heard and not yet worked off; more are dropped, with an error in the log.
const INCOMING_MAX: usize = 1024;

/// A room that is closed to us is tried again after this, for what nobody is told anyway.
const KNOCK_EVERY: Span = Span::from_secs(60);

/// What Discord needs.
pub struct Setup {
    /// What the owner decided, token included.
    pub config: Settings,
    /// Rooms that hear of sales.
    pub rooms: Vec<Room>,
    /// Rooms where only moderators read; commands are heard in both.
    pub mod_rooms: Vec<Room>,
    /// What browsers call our pages; addresses below it stay links.
    pub base_url: String,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Remembers which message shows which sale.
    pub store: Arc<dyn Store>,
}

/// Discord as a chat platform.
pub struct Discord {
    config: Settings,
    moderators: Moderators,
    announce_role: String,
    /// Where commands are heard, and where only moderators read.
    rooms: HashSet<u64>,
    mod_rooms: Vec<u64>,
    /// The beginning of our own addresses.
    own: String,
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    wire: Wire,
    book: Book,
    waiting: Waiting,
    health: Pulse,
    /// Our own user and application id, once known.
    me: AtomicU64,
    application: AtomicU64,
    /// Rooms closed to us, and when they were last tried.
    closed: Mutex<HashMap<ChannelId, Timestamp>>,
}

impl Discord {
    /// Discord for these rooms; connects nowhere yet.
    pub fn new(setup: Setup) -> Arc<Self> {
        let Setup { config, rooms, mod_rooms, base_url, clock, store } = setup;
        let ids = |rooms: &[Room]| -> Vec<u64> {
            let ours = rooms.iter().filter(|room| room.platform == PlatformName::Discord);
            ours.filter_map(|room| room.channel.parse().ok()).filter(|id| *id > 0).collect()
        };
        let mod_rooms = ids(&mod_rooms);
        Arc::new(Self {
            moderators: Moderators::of(&config),
            announce_role: config.announce_role.clone(),
            rooms: ids(&rooms).into_iter().chain(mod_rooms.iter().copied()).collect(),
            mod_rooms,
            own: format!("{base_url}/"),
            wire: Wire::new(&config),
            book: Book::new(store.clone()),
            waiting: Waiting::default(),
            health: Pulse::new(clock.clone()),
            me: AtomicU64::new(0),
            application: AtomicU64::new(0),
            closed: Mutex::default(),
            config,
            clock,
            store,
        })
    }

    /// Connects and hands on what is heard until stopped. The task ends when the farewell is said.
    pub fn connect(
        self: &Arc<Self>,
        hints: Hints,
        heard: mpsc::Sender<Heard>,
        stop: CancellationToken,
    ) -> JoinHandle<()> {
        let (to, incoming) = mpsc::channel::<Incoming>(INCOMING_MAX);
        let desk = Arc::new(Desk { discord: self.clone(), hints, heard });
        let (gone, ended) = oneshot::channel::<()>();
        let (discord, stopped) = (self.clone(), stop.clone());
        std::thread::spawn(move || {
            gateway::listen(&discord, &to, &stopped);
            // The receiver may be gone: nobody waits for the farewell.
            let _ = gone.send(());
        });
        tokio::spawn(async move {
            desk.run(incoming, stop).await;
            // An error means that the thread is gone: just as well.
            let _ = ended.await;
        })
    }

    fn met(&self, application: ApplicationId, me: UserId) {
        self.wire.set_application(application);
        self.application.store(application.get(), Ordering::Relaxed);
        self.me.store(me.get(), Ordering::Relaxed);
    }

    fn me(&self) -> u64 {
        self.me.load(Ordering::Relaxed)
    }

    fn application(&self) -> u64 {
        self.application.load(Ordering::Relaxed)
    }

    fn channel(&self, room: &Room) -> Result<ChannelId, SayError> {
        let id = room.channel.parse().ok().filter(|id: &u64| *id > 0);
        id.map(ChannelId::new).ok_or_else(|| SayError::Refused(format!("{room} is no channel")))
    }

    /// What a failed call means for whoever wanted to say something. A room that is closed to us is
    /// told of once, in the log and to the moderators.
    async fn trouble(&self, channel: ChannelId, failed: Failed) -> SayError {
        let lacks = match failed {
            Failed::Away(says) => return SayError::Retry(says),
            Failed::TooManyEdits => return SayError::Retry(failed.to_string()),
            Failed::BadToken => {
                self.health.set(Standing::Broken(TOKEN_MEND.to_owned()));
                return SayError::Retry(failed.to_string());
            }
            Failed::Refused(says) => return SayError::Refused(says),
            Failed::Gone { ref says, .. } => {
                format!("there is no channel {channel} any more ({says})")
            }
            Failed::NoAccess => {
                format!("the bot lacks View Channel in channel {channel}: {MEND}")
            }
            Failed::NotAllowed => {
                format!("the bot lacks Send Messages in channel {channel}: {MEND}")
            }
            Failed::NotThere(ref says) => {
                format!("channel {channel} takes no messages ({says}): {}", kind::NAME_ANOTHER)
            }
            Failed::NoHistory => {
                format!("the bot lacks Read Message History in channel {channel}: {MEND}")
            }
        };
        if self.note_closed(channel) {
            let room = Room::new(PlatformName::Discord, channel.to_string());
            let precise = match failed {
                Failed::NoHistory | Failed::Gone { .. } => None,
                _ => doctor::obstacle(&self.wire, &room, self.me()).await,
            };
            // What Discord answered may name the wrong right; the channel itself tells.
            let lacks = match precise {
                Some(precise) => format!("{precise} ({lacks})"),
                None => lacks.clone(),
            };
            tracing::error!("{lacks}");
            let body = self.plain(&format!("Discord: {lacks}"), None);
            for room in self.mod_rooms.iter().filter(|room| **room != channel.get()) {
                // That room may be closed, too; the log has it.
                let _ = self.wire.post(ChannelId::new(*room), &body).await;
            }
        }
        SayError::Refused(lacks)
    }

    /// True the first time.
    fn note_closed(&self, channel: ChannelId) -> bool {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.insert(channel, self.clock.now()).is_none()
    }

    fn works(&self, channel: ChannelId) {
        let mut closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        closed.remove(&channel);
    }

    /// Whether a room is known to be closed to us, and was tried a moment ago.
    fn is_closed(&self, room: &Room) -> bool {
        let closed = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        let tried = self.channel(room).ok().and_then(|channel| closed.get(&channel).copied());
        tried.is_some_and(|at| self.clock.now().since(at) < KNOCK_EVERY)
    }
}

const MEND: &str = "give it in the channel's settings, Permissions";

#[async_trait]
impl Platform for Discord {
    fn name(&self) -> PlatformName {
        PlatformName::Discord
    }

    fn limits(&self, _room: &Room) -> Limits {
        // Discord takes 50 requests a second from a bot. What it takes in one channel, about 5 in
        // 5 s, serenity learns from the answers' headers, and waits by itself.
        let updates = Updates::Edits(Span::from_secs(2));
        Limits { sends: 40, within: Span::from_secs(1), updates }
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.tell(post).await
    }

    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.respond(to, reply).await
    }

    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        self.speak(room, lines).await
    }

    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError> {
        if self.is_closed(room) {
            return Ok(());
        }
        match self.refresh(room, view, line).await {
            // It was told when it was found out.
            Err(SayError::Refused(_)) if self.is_closed(room) => Ok(()),
            shown => shown,
        }
    }

    async fn grant(&self, wish: &Wish, grant: &Grant) -> Result<(), SayError> {
        self.hand_out(wish, grant).await
    }

    fn health(&self) -> Option<Health> {
        Some(self.health.get())
    }

    async fn check(&self, rooms: &[Room]) -> Vec<Finding> {
        let mut found = doctor::examine(&self.wire, rooms).await;
        let told = found.iter().any(|finding| finding.key == "discord.intents");
        if self.health.is_wordless() && !told {
            found.push(Finding::warning("discord.intents", health::CONTENT_MEND));
        }
        found
    }
}
