//! Takes what the gateway hands over, on the program's own runtime: acknowledges interactions
//! within Discord's three seconds and hands on what they mean.

use std::sync::Arc;

use serde_json::{Value, json};
use serenity::model::id::{GuildId, InteractionId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    Discord,
    interaction::{Interaction, Member, kind},
    press::Press,
    slash::{self, Hints},
    wire::{Failed, defer_private, defer_update, private},
};
use crate::{
    id::SaleId,
    platform::{Heard, Wish},
    room::{Message, PlatformName, Role, Room, User},
    store::DocChange,
};

/// What the gateway hands over.
pub(super) enum Incoming {
    /// Somebody said something.
    Said(Box<Message>),
    /// Our own account announced a sale.
    Own(Room, String, Option<SaleId>),
    /// Somebody used a command, a button or a menu.
    Used(Box<Interaction>),
    /// A server with one of our rooms is there.
    Joined(GuildId),
}

/// The document that names the commands registered in a server.
const COMMANDS: &str = "discord_commands";

const NOT_HERE: &str = "Sales are not run from this channel.";
const NOT_YOU: &str = "Only the shop's moderators can do that.";
const NOT_YOURS: &str = "Only the one who was asked can confirm.";
const NOT_KNOWN: &str = "That is not known any more.";

/// Works until nothing comes any more.
pub(super) struct Desk {
    pub discord: Arc<Discord>,
    pub hints: Hints,
    pub heard: mpsc::Sender<Heard>,
}

impl Desk {
    pub(super) async fn run(
        self: Arc<Self>,
        mut incoming: mpsc::Receiver<Incoming>,
        stop: CancellationToken,
    ) {
        loop {
            let next = tokio::select! {
                next = incoming.recv() => next,
                () = stop.cancelled() => return,
            };
            match next {
                Some(Incoming::Said(message)) => self.hand_on(Heard::Said(*message)).await,
                Some(Incoming::Own(room, text, sale)) => {
                    self.hand_on(Heard::Own { room, text, is_echoed: true, sale }).await;
                }
                Some(Incoming::Used(interaction)) => {
                    let desk = self.clone();
                    tokio::spawn(async move { desk.used(*interaction).await });
                }
                Some(Incoming::Joined(guild)) => {
                    let desk = self.clone();
                    tokio::spawn(async move { desk.register(guild).await });
                }
                None => return,
            }
        }
    }

    async fn hand_on(&self, heard: Heard) {
        // Nobody listens any more: the program is ending.
        let _ = self.heard.send(heard).await;
    }

    async fn used(&self, interaction: Interaction) {
        let done = match (interaction.kind, &interaction.member, self.room(&interaction)) {
            (kind::AUTOCOMPLETE, Some(member), Some(_)) => self.suggest(&interaction, member).await,
            (kind::AUTOCOMPLETE, _, _) => self.answer(&interaction, &choices(Vec::new())).await,
            (kind::COMMAND, Some(member), Some(room)) => {
                self.command(&interaction, member, room).await
            }
            (kind::COMPONENT, Some(member), Some(room)) => {
                self.pressed(&interaction, member, room).await
            }
            (kind::COMMAND | kind::COMPONENT, _, _) => {
                self.answer(&interaction, &private(NOT_HERE)).await
            }
            _ => Ok(()),
        };
        if let Err(error) = done {
            tracing::warn!(%error, kind = interaction.kind, "an interaction was not answered");
        }
    }

    /// Which of our rooms it was in.
    fn room(&self, interaction: &Interaction) -> Option<Room> {
        interaction.guild_id.as_ref()?;
        let channel = interaction.channel_id.as_deref()?;
        let ours = channel.parse().is_ok_and(|id: u64| self.discord.rooms.contains(&id));
        ours.then(|| Room::new(PlatformName::Discord, channel))
    }

    async fn suggest(&self, interaction: &Interaction, member: &Member) -> Result<(), Failed> {
        let may = self.role(member) == Role::Moderator;
        let found = if may { slash::suggestions(interaction, &self.hints) } else { Vec::new() };
        self.answer(interaction, &choices(found)).await
    }

    async fn command(
        &self,
        interaction: &Interaction,
        member: &Member,
        room: Room,
    ) -> Result<(), Failed> {
        let role = self.role(member);
        let Some(text) = slash::line(interaction) else {
            return self.answer(interaction, &private(NOT_KNOWN)).await;
        };
        if role < Role::Moderator {
            return self.answer(interaction, &private(NOT_YOU)).await;
        }
        // Not acknowledged is not done: the moderator sees a failure and tries again.
        self.wait_for(interaction, &defer_private()).await?;
        let message = Message {
            id: interaction.id.clone(),
            room,
            user: user(member),
            role,
            text,
            aside: true,
        };
        self.hand_on(Heard::Said(message)).await;
        Ok(())
    }

    async fn pressed(
        &self,
        interaction: &Interaction,
        member: &Member,
        room: Room,
    ) -> Result<(), Failed> {
        let chosen = interaction.data.values.first();
        match Press::read(&interaction.data.custom_id) {
            Some(Press::Get(sale)) => {
                self.wait_for(interaction, &defer_private()).await?;
                self.wish(interaction, member, room, (sale, None, None)).await
            }
            Some(Press::Delivery(sale)) => {
                self.wait_for(interaction, &defer_update()).await?;
                self.wish(interaction, member, room, (sale, chosen.cloned(), None)).await
            }
            Some(Press::Units(sale, delivery)) => {
                let units = chosen.and_then(|n| n.parse().ok()).filter(|n| *n > 0).unwrap_or(1);
                self.wait_for(interaction, &defer_update()).await?;
                self.wish(interaction, member, room, (sale, delivery, Some(units))).await
            }
            Some(Press::Confirm(asker)) => self.confirm(interaction, member, room, asker).await,
            None => self.answer(interaction, &private(NOT_KNOWN)).await,
        }
    }

    async fn wish(
        &self,
        interaction: &Interaction,
        member: &Member,
        room: Room,
        (sale, delivery, units): (SaleId, Option<String>, Option<u32>),
    ) -> Result<(), Failed> {
        let id = interaction.id.clone();
        let roles = member.roles.clone();
        let wish = Wish { id, room, user: user(member), sale, delivery, units, roles };
        self.hand_on(Heard::Wants(wish)).await;
        Ok(())
    }

    async fn confirm(
        &self,
        interaction: &Interaction,
        member: &Member,
        room: Room,
        asker: u64,
    ) -> Result<(), Failed> {
        let role = self.role(member);
        if member.user.id != asker.to_string() || role < Role::Moderator {
            return self.answer(interaction, &private(NOT_YOURS)).await;
        }
        self.wait_for(interaction, &defer_update()).await?;
        let message = Message {
            id: interaction.id.clone(),
            room,
            user: user(member),
            role,
            text: "!sale yes".to_owned(),
            // The answer takes the question's place, and is as private as that was.
            aside: interaction.message.as_ref().is_some_and(|on| on.is_ephemeral()),
        };
        self.hand_on(Heard::Said(message)).await;
        Ok(())
    }

    /// Acknowledges, and notes that an answer is to come.
    async fn wait_for(&self, interaction: &Interaction, body: &Value) -> Result<(), Failed> {
        self.answer(interaction, body).await?;
        let now = self.discord.clock.now();
        self.discord.waiting.put(&interaction.id, &interaction.token, now);
        Ok(())
    }

    async fn answer(&self, interaction: &Interaction, body: &Value) -> Result<(), Failed> {
        let id = interaction.id.parse().ok().filter(|id: &u64| *id > 0);
        let id = id.ok_or_else(|| Failed::Refused("an interaction without an id".to_owned()))?;
        self.discord.wire.answer(InteractionId::new(id), &interaction.token, body).await
    }

    fn role(&self, member: &Member) -> Role {
        self.discord.moderators.role(&member.user.id, &member.roles, member.rights())
    }

    /// Registers the commands in a server, if they are not the same as last time.
    async fn register(&self, guild: GuildId) {
        if let Err(why) = self.try_register(guild).await {
            tracing::warn!(%guild, why, "the slash commands were not registered");
        }
    }

    async fn try_register(&self, guild: GuildId) -> Result<(), String> {
        let commands = slash::commands(self.discord.moderators.by_id());
        let print = slash::fingerprint(&commands, &self.discord.application().to_string());
        let known = self.discord.store.doc(COMMANDS, &guild.to_string()).await;
        let known = known.map_err(|error| error.to_string())?;
        if known.as_ref().is_some_and(|doc| doc.body["fingerprint"] == print.as_str()) {
            return Ok(());
        }
        let done = self.discord.wire.register(guild, &commands).await;
        done.map_err(|failed| match failed {
            Failed::NoAccess => "invite the bot with the scope applications.commands".to_owned(),
            other => other.to_string(),
        })?;
        let change = DocChange {
            kind: COMMANDS,
            id: guild.to_string(),
            parent: String::new(),
            expected: known.map_or(0, |doc| doc.version),
            body: Some(json!({ "fingerprint": print })),
        };
        // Lost, it is only registered once more.
        self.discord.store.put_docs(vec![change]).await.map(drop).map_err(|e| e.to_string())
    }
}

fn choices(found: Vec<Value>) -> Value {
    json!({ "type": 8, "data": { "choices": found } })
}

fn user(member: &Member) -> User {
    User {
        platform: PlatformName::Discord,
        id: member.user.id.clone(),
        name: member.shown().to_owned(),
    }
}
