//! Takes what platforms hear, has it decided, and answers where only the right people read.
//!
//! What is heard in a room is acted on in order, and answered in order; but a room that takes its
//! answers slowly keeps nobody from being acted on.

mod double;

use std::{collections::HashMap, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Sleep, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::double::Told;
pub use self::double::{DOUBLE, DOUBLE_MEND};
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

/// Messages of one platform that may wait to be acted on; what comes then waits at the platform.
const HEARD_MAX: usize = 256;

/// Answers that may wait for one room. More are dropped: nobody types so much in a room that says
/// nothing.
const ANSWERS_MAX: usize = 32;

/// Hears and answers; cheap to clone.
#[derive(Clone)]
pub struct Listener {
    chat: Arc<Chat>,
    platforms: Arc<[Arc<dyn Platform>]>,
    mod_rooms: Arc<[Room]>,
    told: Arc<Told>,
}

/// What was said, and how long it is left to others, counted from when it was heard.
type Due = (Option<Pin<Box<Sleep>>>, Message);

/// Something to be said in answer.
enum Answer {
    /// To whoever sent the message.
    To(Message, Reply),
    /// In another room, since it is not for everybody.
    In(Room, Vec<String>),
}

impl Answer {
    fn room(&self) -> &Room {
        match self {
            Self::To(message, _) => &message.room,
            Self::In(room, _) => room,
        }
    }
}

impl Listener {
    /// A listener that answers through `platforms`.
    pub fn new(chat: Arc<Chat>, platforms: &[Arc<dyn Platform>], mod_rooms: &[Room]) -> Self {
        let told = Arc::default();
        Self { chat, platforms: platforms.into(), mod_rooms: mod_rooms.into(), told }
    }

    /// Works off what one platform hears, in order, until stopped; then what was acted on is still
    /// answered.
    pub async fn run(self, mut heard: mpsc::Receiver<Heard>, stop: CancellationToken) {
        let (pass_on, waiting) = mpsc::channel(HEARD_MAX);
        let hears = async {
            // It ends with this half, and takes the other along.
            let pass_on = pass_on;
            while let Some(heard) = next(&mut heard, &stop).await {
                self.sort(heard, &pass_on).await;
            }
        };
        tokio::join!(hears, self.act(waiting, &stop));
    }

    async fn sort(&self, heard: Heard, pass_on: &mpsc::Sender<Due>) {
        let room = match &heard {
            Heard::Said(message) => &message.room,
            Heard::Wants(wish) => &wish.room,
            Heard::Own { room, text, is_echoed, sale } => {
                let (listener, echoed, sale) = (self.clone(), *is_echoed, *sale);
                let (room, text) = (room.clone(), text.clone());
                tokio::spawn(async move {
                    listener.own_account_said((&room, &text), echoed, sale).await;
                });
                return;
            }
        };
        let wait = (!self.chat.sends_to(room.platform)).then(|| Box::pin(sleep(LEAVE_IT_FOR)));
        match heard {
            Heard::Said(message) => {
                // Nobody listens any more once it is stopped.
                let _ = pass_on.send((wait, message)).await;
            }
            Heard::Own { .. } => {}
            // A wish may wait for its page; nobody else has to.
            Heard::Wants(wish) => {
                let listener = self.clone();
                tokio::spawn(async move {
                    waited(wait).await;
                    listener.wants(&wish).await;
                });
            }
        }
    }

    /// Acts on one message after the other, and has them answered meanwhile.
    async fn act(&self, mut waiting: mpsc::Receiver<Due>, stop: &CancellationToken) {
        let mut mouths = Mouths::new(self);
        while let Some((wait, message)) = next(&mut waiting, stop).await {
            waited(wait).await;
            for answer in self.answers(&message).await {
                mouths.say(answer, message.aside);
            }
        }
        mouths.close().await;
    }

    /// Takes a message and has it answered.
    pub async fn said(&self, message: &Message) {
        for answer in self.answers(message).await {
            self.say(&answer).await;
        }
    }

    /// Acts on a message; what is to be answered, and where.
    async fn answers(&self, message: &Message) -> Vec<Answer> {
        let reply = self.chat.hear(message).await;
        // Whoever waits for a private answer is told, too, that there is none.
        let reply = reply.or_else(|| message.aside.then(Reply::default));
        let Some(reply) = reply else { return Vec::new() };
        let here = !reply.private || message.aside || self.mod_rooms.contains(&message.room);
        if here {
            return vec![Answer::To(message.clone(), reply)];
        }
        let moderators = self.mod_rooms.iter();
        let told = moderators.map(|room| Answer::In(room.clone(), reply.lines.clone()));
        let hint = Reply::line("Sent to the moderators' room.");
        told.chain([Answer::To(message.clone(), hint)]).collect()
    }

    /// Takes a press on *Get yours* and has it answered.
    pub async fn wants(&self, wish: &Wish) {
        if !self.chat.first_to_see(wish).await {
            return;
        }
        let grant = self.chat.grant(wish).await;
        let granted = self.platform(wish.room.platform).map(|p| p.grant(wish, &grant));
        deliver(&wish.room, granted).await;
    }

    async fn say(&self, answer: &Answer) {
        let platform = self.platform(answer.room().platform);
        let said = platform.map(|platform| match answer {
            Answer::To(message, reply) => platform.reply(message, reply),
            Answer::In(room, lines) => platform.say(room, lines),
        });
        deliver(answer.room(), said).await;
    }

    fn platform(&self, name: PlatformName) -> Option<&Arc<dyn Platform>> {
        self.platforms.iter().find(|platform| platform.name() == name)
    }
}

/// The next one, until stopped.
async fn next<T>(queue: &mut mpsc::Receiver<T>, stop: &CancellationToken) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        next = queue.recv() => next,
    }
}

async fn waited(wait: Option<Pin<Box<Sleep>>>) {
    if let Some(wait) = wait {
        wait.await;
    }
}

async fn deliver(room: &Room, said: Option<impl Future<Output = Result<(), SayError>>>) {
    let Some(said) = said else { return };
    match tokio::time::timeout(ANSWER_WITHIN, said).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, %room, "an answer was not delivered"),
        Err(_) => tracing::warn!(%room, "an answer was not delivered in time"),
    }
}

/// Says what is to be answered: in each room one after the other, in all rooms at once.
struct Mouths<'a> {
    listener: &'a Listener,
    rooms: HashMap<Room, mpsc::Sender<Answer>>,
    tasks: TaskTracker,
}

impl<'a> Mouths<'a> {
    fn new(listener: &'a Listener) -> Self {
        Self { listener, rooms: HashMap::new(), tasks: TaskTracker::new() }
    }

    /// Queues an answer; one that only its asker sees waits for no other.
    fn say(&mut self, answer: Answer, aside: bool) {
        if aside {
            let listener = self.listener.clone();
            self.tasks.spawn(async move { listener.say(&answer).await });
            return;
        }
        let room = answer.room().clone();
        let mouth = self.rooms.entry(room.clone()).or_insert_with(|| {
            let (mouth, mut answers) = mpsc::channel(ANSWERS_MAX);
            let listener = self.listener.clone();
            self.tasks.spawn(async move {
                while let Some(answer) = answers.recv().await {
                    listener.say(&answer).await;
                }
            });
            mouth
        });
        if mouth.try_send(answer).is_err() {
            tracing::warn!(%room, "an answer was dropped: too many wait to be said there");
        }
    }

    /// Waits until everything was said.
    async fn close(self) {
        drop(self.rooms);
        self.tasks.close();
        self.tasks.wait().await;
    }
}
