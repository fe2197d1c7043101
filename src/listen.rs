//! Takes what platforms hear, has it decided, and answers where only the right people read.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    chat::Chat,
    platform::{Heard, Platform, Reply, SayError, Wish},
    room::{Message, PlatformName, Room},
};

/// An answer that takes longer is late for a conversation.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// Whoever does not send to an account at present leaves what is heard there to whoever does, and
/// acts only if nobody has by then. One of them speaks, and it is nearly always the same one.
const LEAVE_IT_FOR: Duration = Duration::from_millis(700);

/// Hears and answers; cheap to clone.
#[derive(Clone)]
pub struct Listener {
    chat: Arc<Chat>,
    platforms: Arc<[Arc<dyn Platform>]>,
    mod_rooms: Arc<[Room]>,
}

impl Listener {
    /// A listener that answers through `platforms`.
    pub fn new(chat: Arc<Chat>, platforms: &[Arc<dyn Platform>], mod_rooms: &[Room]) -> Self {
        Self { chat, platforms: platforms.into(), mod_rooms: mod_rooms.into() }
    }

    /// Works off what one platform hears, in order, until stopped.
    pub async fn run(self, mut heard: mpsc::Receiver<Heard>, stop: CancellationToken) {
        loop {
            tokio::select! {
                something = heard.recv() => match something {
                    Some(heard) => self.take(heard).await,
                    None => return,
                },
                () = stop.cancelled() => return,
            }
        }
    }

    async fn take(&self, heard: Heard) {
        let room = match &heard {
            Heard::Said(message) => &message.room,
            Heard::Wants(wish) => &wish.room,
        };
        let leave_it = (!self.chat.sends_to(room.platform)).then_some(LEAVE_IT_FOR);
        match heard {
            Heard::Said(message) if leave_it.is_none() => self.said(&message).await,
            // A wish may wait for its page; nobody else has to.
            heard => {
                let listener = self.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(leave_it.unwrap_or_default()).await;
                    match heard {
                        Heard::Said(message) => listener.said(&message).await,
                        Heard::Wants(wish) => listener.wants(&wish).await,
                    }
                });
            }
        }
    }

    /// Takes a message and has it answered.
    pub async fn said(&self, message: &Message) {
        let reply = self.chat.hear(message).await;
        // Whoever waits for a private answer is told, too, that there is none.
        let Some(reply) = reply.or_else(|| message.aside.then(Reply::default)) else { return };
        let here = !reply.private || message.aside || self.mod_rooms.contains(&message.room);
        if here {
            self.reply(message, &reply).await;
            return;
        }
        for room in self.mod_rooms.iter() {
            self.deliver(room, self.platform(room.platform).map(|p| p.say(room, &reply.lines)))
                .await;
        }
        self.reply(message, &Reply::line("Sent to the moderators' room.")).await;
    }

    /// Takes a press on *Get yours* and has it answered.
    pub async fn wants(&self, wish: &Wish) {
        if !self.chat.first_to_see(wish).await {
            return;
        }
        let grant = self.chat.grant(wish).await;
        let granted = self.platform(wish.room.platform).map(|p| p.grant(wish, &grant));
        self.deliver(&wish.room, granted).await;
    }

    async fn reply(&self, to: &Message, reply: &Reply) {
        self.deliver(&to.room, self.platform(to.room.platform).map(|p| p.reply(to, reply))).await;
    }

    async fn deliver(&self, room: &Room, said: Option<impl Future<Output = Result<(), SayError>>>) {
        let Some(said) = said else { return };
        match tokio::time::timeout(ANSWER_WITHIN, said).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, %room, "an answer was not delivered"),
            Err(_) => tracing::warn!(%room, "an answer was not delivered in time"),
        }
    }

    fn platform(&self, name: PlatformName) -> Option<&Arc<dyn Platform>> {
        self.platforms.iter().find(|platform| platform.name() == name)
    }
}
