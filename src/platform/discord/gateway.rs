//! The listening half: serenity's gateway client on a thread and a runtime of its own.
//!
//! It stays apart because a connection closed without a reason keeps serenity 0.12.5 busy, without
//! ever yielding, until its next heartbeat: whatever shares its runtime stands still meanwhile.
//! Nothing is decided or sent here.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use serenity::{
    Error,
    all::{ClientBuilder, Context, Event, RawEventHandler},
    async_trait,
    gateway::{ConnectionStage, GatewayError, ShardManager},
    model::gateway::GatewayIntents,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Discord,
    desk::Incoming,
    ear::Ear,
    health::{CONTENT_MEND, INTENT_MEND, TOKEN_MEND},
    interaction::Interaction,
    wire::{Failed, Wire, client},
};
use crate::platform::Standing;

/// Between two attempts to connect, when serenity itself gave up.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// How often to look whether the connection stands.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A polite farewell takes no longer.
const FAREWELL: Duration = Duration::from_secs(3);

/// Application flags (Discord's reference of *Application*): Message Content is switched on, for a
/// verified application or for a small one.
const CONTENT_FLAGS: u64 = 1 << 18 | 1 << 19;

/// Whether an application may ask for the words of messages.
pub(super) fn may_read(flags: u64) -> bool {
    flags & CONTENT_FLAGS != 0
}

/// How a connection ended.
enum End {
    Stopped,
    /// It may be tried again.
    Away(String),
    /// A person is needed.
    Broken(&'static str),
}

/// Listens until stopped, or until a person is needed.
pub(super) fn listen(
    discord: &Arc<Discord>,
    to: &mpsc::Sender<Incoming>,
    stop: &CancellationToken,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            discord.health.set(Standing::Broken(format!("no thread for Discord: {error}")));
            return;
        }
    };
    runtime.block_on(async {
        loop {
            match connect(discord, to, stop).await {
                End::Stopped => return,
                End::Broken(mend) => {
                    tracing::error!("{mend}");
                    discord.health.set(Standing::Broken(mend.to_owned()));
                    return;
                }
                End::Away(why) => {
                    tracing::warn!(why, "Discord is away; trying again");
                    discord.health.set(Standing::Away(why));
                }
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                () = stop.cancelled() => return,
            }
        }
    });
}

async fn connect(
    discord: &Arc<Discord>,
    to: &mpsc::Sender<Incoming>,
    stop: &CancellationToken,
) -> End {
    // Connections belong to the runtime that opened them: this half has its own.
    let wire = Wire::new(&discord.config);
    let intents = match intents(discord, &wire).await {
        Ok(intents) => intents,
        Err(end) => return end,
    };
    let url = match wire.gateway().await {
        Ok(url) => url,
        Err(Failed::BadToken) => return End::Broken(TOKEN_MEND),
        Err(failed) => return End::Away(failed.to_string()),
    };
    let handler = Handler { discord: discord.clone(), to: to.clone() };
    let http = client(&discord.config).build();
    let built = ClientBuilder::new_with_http(http, intents).raw_event_handler(handler).await;
    let mut client = match built {
        Ok(client) => client,
        Err(error) => return End::Away(error.to_string()),
    };
    // Left alone, serenity dials the real Discord when it cannot learn the address.
    *client.ws_url.lock().await = url;
    let shards = client.shard_manager.clone();
    tokio::select! {
        ended = client.start() => match ended {
            Ok(()) => End::Away("the connection ended".to_owned()),
            Err(error) => sort(&error),
        },
        () = watch(discord, &shards) => End::Stopped,
        () = stop.cancelled() => {
            if tokio::time::timeout(FAREWELL, shards.shutdown_all()).await.is_err() {
                tracing::debug!("no farewell from Discord");
            }
            End::Stopped
        }
    }
}

/// What to ask for: the words of messages only if the application may, since Discord closes the
/// connection of one that asks and may not.
async fn intents(discord: &Discord, wire: &Wire) -> Result<GatewayIntents, End> {
    let without = GatewayIntents::GUILDS | GatewayIntents::GUILD_MESSAGES;
    match wire.about_me().await {
        Ok(application) if application.flags.is_some_and(|flags| !may_read(flags)) => {
            if discord.health.lacks_words() {
                tracing::warn!("{CONTENT_MEND}");
            }
            Ok(without)
        }
        Err(Failed::BadToken) => Err(End::Broken(TOKEN_MEND)),
        Ok(_) | Err(_) => Ok(without | GatewayIntents::MESSAGE_CONTENT),
    }
}

fn sort(error: &Error) -> End {
    match error {
        Error::Gateway(GatewayError::InvalidAuthentication | GatewayError::NoAuthentication) => {
            End::Broken(TOKEN_MEND)
        }
        Error::Gateway(
            GatewayError::DisallowedGatewayIntents | GatewayError::InvalidGatewayIntents,
        ) => End::Broken(INTENT_MEND),
        other => End::Away(other.to_string()),
    }
}

/// Notes when the connection is lost; its return is told by Discord itself.
async fn watch(discord: &Discord, shards: &ShardManager) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let runners = shards.runners.lock().await;
        let up = runners.values().any(|runner| runner.stage == ConnectionStage::Connected);
        drop(runners);
        if !up && discord.health.is_up() {
            let why = "the connection was lost; it comes back by itself".to_owned();
            discord.health.set(Standing::Away(why));
        }
    }
}

struct Handler {
    discord: Arc<Discord>,
    to: mpsc::Sender<Incoming>,
}

impl Handler {
    fn hand_over(&self, incoming: Incoming) {
        if self.to.try_send(incoming).is_err() {
            tracing::error!("more comes from Discord than can be worked off; something was lost");
        }
    }

    fn used(&self, interaction: serde_json::Result<Value>) {
        match interaction.and_then(serde_json::from_value::<Interaction>) {
            Ok(interaction) => self.hand_over(Incoming::Used(Box::new(interaction))),
            Err(error) => tracing::warn!(%error, "an interaction could not be read"),
        }
    }
}

#[async_trait]
impl RawEventHandler for Handler {
    async fn raw_event(&self, context: Context, event: Event) {
        match event {
            Event::Ready(event) => {
                self.discord.met(event.ready.application.id, event.ready.user.id);
                self.discord.health.set(Standing::Up);
            }
            Event::Resumed(_) => self.discord.health.set(Standing::Up),
            Event::GuildCreate(event) => {
                let guild = event.guild;
                let channels = guild.channels.keys().map(|id| id.get());
                let threads = guild.threads.iter().map(|thread| thread.id.get());
                if channels.chain(threads).any(|id| self.discord.rooms.contains(&id)) {
                    self.hand_over(Incoming::Joined(guild.id));
                }
            }
            Event::MessageCreate(event) => {
                match self.discord.overhear(&event.message, &context.cache) {
                    Ear::Heard(message) => self.hand_over(Incoming::Said(Box::new(message))),
                    Ear::Own(room, text, sale) => {
                        self.hand_over(Incoming::Own(room, text, sale));
                    }
                    Ear::Wordless if self.discord.health.lacks_words() => {
                        tracing::warn!("{CONTENT_MEND}");
                    }
                    Ear::Wordless | Ear::Nothing => {}
                }
            }
            Event::InteractionCreate(event) => {
                let kind = u8::from(event.interaction.kind());
                self.used(serde_json::to_value(&event.interaction).map(|mut value| {
                    // serenity keeps it elsewhere.
                    value["type"] = kind.into();
                    value
                }));
            }
            // serenity could not read it; we ask for less.
            Event::Unknown(event) if event.kind == "INTERACTION_CREATE" => {
                self.used(Ok(event.value));
            }
            Event::Unknown(event)
                if ["MESSAGE_CREATE", "GUILD_CREATE", "READY"].contains(&event.kind.as_str()) =>
            {
                tracing::warn!(kind = event.kind, "Discord sent something that cannot be read");
            }
            _ => {}
        }
    }
}
