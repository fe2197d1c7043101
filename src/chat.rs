//! Messages to commands to events: who may, what they mean, and what they are answered.
//!
//! Knows no platform. Rights come first, so that a viewer learns nothing from a moderator's verb.

mod answer;
mod deed;
pub mod rehearse;
mod verbs;
mod viewer;
mod why;
mod wish;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use self::{rehearse::Stage, verbs::How};
use crate::{
    clock::{Span, Timestamp},
    command::{
        Command,
        parse::{ours, parse},
    },
    engine::{Engine, TellError, say_target},
    meter,
    notice::text,
    platform::{Platform, Reply, Wish},
    room::{Message, PlatformName, Role, Room},
    sale::{
        event::ClaimLimits,
        refusal::Refusal,
        template::{Template, Templates},
    },
    shop::Outcome,
    store::{Seen, StoreError},
};

/// The same text from one person within this time counts once.
const REPEAT_WITHIN: Span = Span::from_secs(2);

/// What is said instead of doing the same twice.
const SAME_AGAIN: &str =
    "The same as just now: not done twice. To do it once more, say it again in 2 seconds.";

/// More recent messages than this are not remembered.
const RECENT_MAX: usize = 1000;

/// Turns messages into commands and commands into events.
pub struct Chat {
    engine: Engine,
    templates: Templates,
    rooms: Vec<Room>,
    mod_rooms: Vec<Room>,
    limits: ClaimLimits,
    /// What each person said last: when, what, and in which message.
    recent: Mutex<HashMap<String, (Timestamp, String, String)>>,
    /// When a room last heard the link because a viewer asked.
    linked: Mutex<HashMap<Room, Timestamp>>,
    platforms: Vec<Arc<dyn Platform>>,
    /// Where sales are rehearsed.
    stage: OnceLock<Arc<dyn Stage>>,
}

/// Why a command is not done.
enum No {
    /// An answer; that the message was heard is not noted yet.
    Say(String),
    /// An answer; that the message was heard is on disk.
    Refused(String),
    /// An answer; it may be done or not.
    Unsure(String),
    /// Silence: somebody heard it before.
    Repeated,
}

impl From<TellError> for No {
    fn from(error: TellError) -> Self {
        match error {
            TellError::Refused(refusal) => Self::Say(text::refusal(&refusal)),
            TellError::Duplicate => Self::Repeated,
            TellError::Unknown => Self::Say("There is no such sale.".to_owned()),
            TellError::Busy => Self::Say("Too much at once. Please try again.".to_owned()),
            TellError::Quarantined(why) => {
                tracing::error!(why, "a command was set aside");
                Self::Say("Internal error; nothing was changed. See the log.".to_owned())
            }
            TellError::Store(StoreError::Unsure(why)) => {
                tracing::error!(why, "a command may be stored or not");
                let says = "The database went away at that very moment: it may be done or not. \
                            Look with !sale status before you say it again.";
                Self::Unsure(says.to_owned())
            }
            TellError::Store(error) => {
                tracing::error!(%error, "a command could not be stored");
                Self::Say(format!("Nothing was changed: {error}."))
            }
        }
    }
}

impl From<Refusal> for No {
    fn from(refusal: Refusal) -> Self {
        Self::Say(text::refusal(&refusal))
    }
}

impl Chat {
    /// A chat over the engine, for these rooms.
    pub fn new(
        engine: Engine,
        templates: Templates,
        rooms: Vec<Room>,
        mod_rooms: Vec<Room>,
        limits: ClaimLimits,
        platforms: Vec<Arc<dyn Platform>>,
    ) -> Self {
        let (recent, linked, stage) = Default::default();
        Self { engine, templates, rooms, mod_rooms, limits, recent, linked, platforms, stage }
    }

    /// The engine it tells.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The templates as they are now.
    pub fn templates(&self) -> Arc<BTreeMap<String, Template>> {
        self.templates.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a message; `None` is silence.
    pub async fn hear(&self, message: &Message) -> Option<Reply> {
        let Some(rest) = ours(&message.text) else { return self.for_viewers(message).await };
        if message.role < Role::Moderator {
            return None;
        }
        meter::message(message.room.platform.as_str());
        let templates = self.templates();
        let names: Vec<&str> = templates.keys().map(String::as_str).collect();
        let command = parse(&rest, &names);
        if let Some(before) = self.repeated(message, &rest) {
            // A question has its answer already, and a chat is not filled by who types twice.
            let acts = command.is_ok_and(|command| !only_looks(&command));
            let is_here = message.room.platform == PlatformName::Console;
            let says = is_here && acts && before != message.id;
            return says.then(|| Reply::line(SAME_AGAIN.to_owned()));
        }
        let answer = match command {
            Ok(command) => self.obey(message, command).await,
            Err(mistake) => Err(No::Say(mistake.0)),
        };
        match answer {
            Ok(answer) => {
                self.remember(message, &rest);
                (!answer.lines.is_empty()).then_some(answer)
            }
            Err(No::Repeated) => None,
            Err(No::Refused(line) | No::Unsure(line)) => Some(Reply::line(line)),
            // The other replicas may well have it done.
            Err(No::Say(line)) if self.engine.is_shared() && !self.engine.is_in_touch() => {
                Some(Reply::line(format!(
                    "{line} Should another answer follow, that one counts: the bot runs more than once."
                )))
            }
            // A refusal is said once, too, however many replicas heard the message.
            Err(No::Say(line)) => self.first_to_hear(message).await.then(|| Reply::line(line)),
        }
    }

    async fn obey(&self, message: &Message, command: Command) -> Result<Reply, No> {
        let Some(verb) = command.changes() else { return self.look(message, command).await };
        let first = self.begins(message, verb).await?;
        let asked = matches!(command, Command::Yes);
        match self.act(message, command).await {
            // Whoever was first has the question, and answers.
            Err(No::Say(_)) if asked && !first => Err(No::Repeated),
            Err(no @ (No::Say(_) | No::Refused(_))) => {
                if first {
                    self.ended(message, Outcome::Refused).await;
                }
                Err(no)
            }
            done => done,
        }
    }

    /// Does what changes something.
    async fn act(&self, message: &Message, command: Command) -> Result<Reply, No> {
        match command {
            Command::Start { template, overrides } => {
                self.start(message, &template, &overrides, How::Start).await
            }
            Command::Arm { template, overrides } => {
                self.start(message, &template, &overrides, How::Arm).await
            }
            Command::Next { template, overrides } => {
                self.start(message, &template, &overrides, How::Next).await
            }
            Command::Again => self.again(message).await,
            Command::Open { sale } => self.open(message, sale).await,
            Command::Stop { sale } => self.stop(message, sale).await,
            Command::StopAll => self.stop_all(message).await,
            Command::Extend { sale, by_ms } => self.extend(message, sale, by_ms).await,
            Command::Pause { sale } => self.pause(message, sale).await,
            Command::Resume { sale } => self.resume(message, sale).await,
            Command::Restock { sale, units } => self.restock(message, sale, units).await,
            Command::Yes => self.yes(message).await,
            _ => Err(No::Repeated),
        }
    }

    /// Does what changes nothing of a sale.
    async fn look(&self, message: &Message, command: Command) -> Result<Reply, No> {
        if command == Command::Undo {
            return self.undo(message).await;
        }
        if !self.first_to_hear(message).await {
            return Err(No::Repeated);
        }
        let looked = match command {
            Command::Status { sale } => self.status(sale).await,
            Command::List => Ok(self.list().await),
            Command::Links { sale } => self.links(sale).await,
            Command::Report { sale } => self.report(sale).await,
            Command::Retry { sale } => self.retry(sale).await,
            Command::Why { sale, what } => self.why(sale, &what).await,
            Command::Rehearse { template, overrides, crowd, speed } => {
                let begun = self.rehearse(message, (&template, &overrides), crowd, speed);
                self.hides_what_was_before(message, "rehearsal").await?;
                begun
            }
            Command::EndRehearsal => self.end_rehearsal(message),
            Command::Help { verb } => Ok(Reply::lines(crate::command::help(verb))),
            _ => Err(No::Repeated),
        };
        // It is on disk that this was heard: a refusal needs no second note.
        looked.map_err(|no| match no {
            No::Say(line) => No::Refused(line),
            other => other,
        })
    }

    /// The message in which the same person just said the same, and nothing else since. What failed
    /// does not count.
    fn repeated(&self, message: &Message, rest: &str) -> Option<String> {
        let now = self.engine.now();
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, text, id) = recent.get(&message.user.key())?;
        let same = *text == rest.to_lowercase();
        (same && now.since(*before) < REPEAT_WITHIN && *before <= now).then(|| id.clone())
    }

    fn remember(&self, message: &Message, rest: &str) {
        let now = self.engine.now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() > RECENT_MAX {
            recent.retain(|_, (at, ..)| now.since(*at) < REPEAT_WITHIN);
        }
        recent.insert(message.user.key(), (now, rest.to_lowercase(), message.id.clone()));
    }

    /// Whether it is this program that sends to a platform at present.
    pub fn sends_to(&self, platform: PlatformName) -> bool {
        self.engine.acts_for(&say_target(platform.as_str()))
    }

    /// Whether no other replica takes care of a press. A second claim of the same person finds the
    /// first, so alone there is nothing to note.
    pub async fn first_to_see(&self, wish: &Wish) -> bool {
        let seen = Seen { source: format!("wish:{}", wish.room.platform), id: wish.id.clone() };
        !self.engine.is_shared() || self.first_to_note(seen).await
    }

    /// Enters the message in the store; false if another replica was first.
    async fn first_to_hear(&self, message: &Message) -> bool {
        self.first_to_note(seen(message)).await
    }

    async fn first_to_note(&self, seen: Seen) -> bool {
        match self.engine.store().hear(seen, self.engine.now()).await {
            Ok(first) => first,
            Err(error) => {
                // Better answered twice than not at all.
                tracing::error!(%error, "a message could not be noted");
                true
            }
        }
    }
}

/// The message as something that must count once.
fn seen(message: &Message) -> Seen {
    Seen { source: format!("chat:{}", message.room.platform), id: message.id.clone() }
}

/// Whether a command only asks.
fn only_looks(command: &Command) -> bool {
    matches!(
        command,
        Command::Status { .. }
            | Command::List
            | Command::Links { .. }
            | Command::Report { .. }
            | Command::Why { .. }
            | Command::Help { .. }
    )
}
