//! A chat service: the port. Adapters know how their service wants to be spoken to.
//!
//! A platform knows nothing of stock, money or who may do what beyond the role it reads from ids
//! and badges. It is handed words or a [`View`] and says them.

pub mod console;
pub mod discord;
pub mod twitch;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    clock::{Span, Timestamp},
    finding::Finding,
    id::SaleId,
    notice::Notice,
    room::{Message, PlatformName, Room, User},
    view::View,
};

/// A chat service.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Which one.
    fn name(&self) -> PlatformName;

    /// How much may be said in a room, as things stand.
    fn limits(&self, room: &Room) -> Limits;

    /// Says that a sale changed its state. `key` names the notice; the same key may come twice
    /// after a crash, and then `again` is set.
    async fn announce(&self, post: &Post) -> Result<(), SayError>;

    /// Answers a message where it was said.
    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError>;

    /// Says something in a room that nobody there asked for.
    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError>;

    /// Brings what the room shows of a sale up to the newest view; `line` is the same in words.
    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError>;

    /// Answers a wish, for the eyes of that person only.
    async fn grant(&self, wish: &Wish, grant: &Grant) -> Result<(), SayError> {
        let _ = (wish, grant);
        Err(SayError::Refused("this platform has no buttons".to_owned()))
    }

    /// How the connection stands; `None` for a platform without one.
    fn health(&self) -> Option<Health> {
        None
    }

    /// What is wrong with its account, rights and rooms, each with its mend; empty if all is well.
    /// Asks the service; works without a running connection.
    async fn check(&self, rooms: &[Room]) -> Vec<Finding> {
        let _ = rooms;
        Vec::new()
    }
}

/// What a platform hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Somebody said something.
    Said(Message),
    /// Somebody pressed *Get yours* under a sale.
    Wants(Wish),
    /// Our own account said that a sale is open.
    Own {
        /// Where.
        room: Room,
        /// Its words.
        text: String,
        /// The platform shows us our own lines, too.
        is_echoed: bool,
        /// The sale that its button is for.
        sale: Option<SaleId>,
    },
}

/// Whether a line of our own account announces a sale; a rehearsal sells nothing.
pub fn announces(text: &str) -> bool {
    text.contains("SALE OPEN") && !text.contains("REHEARSAL")
}

/// A press on *Get yours*.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The platform's id of the press, unique on that platform.
    pub id: String,
    /// Where.
    pub room: Room,
    /// Who.
    pub user: User,
    /// Of which sale.
    pub sale: SaleId,
    /// The delivery choice, if they made one.
    pub delivery: Option<String>,
    /// How many, if they said so.
    pub units: Option<u32>,
    /// Ids of the roles they have in that place.
    pub roles: Vec<String>,
}

/// The answer to a wish.
#[derive(Clone, Debug, PartialEq)]
pub enum Grant {
    /// There is something to choose first: delivery, units.
    Choose(Arc<View>),
    /// A unit is theirs for a while.
    Yours {
        /// The sale.
        view: Arc<View>,
        /// How many units.
        units: u32,
        /// The provider's payment page, if it is ready.
        pay: Option<String>,
        /// Their own page: place in line, time left, what became of the money.
        page: String,
        /// Until when they can pay, once the payment page is ready.
        until: Option<Timestamp>,
    },
    /// No, and why.
    No(String),
}

/// An answer to a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// Line by line.
    pub lines: Vec<String>,
    /// For the asker's eyes only.
    pub private: bool,
    /// It asks for a yes: a button may stand for `!sale yes`.
    pub confirm: bool,
}

impl Reply {
    /// One line for everybody in the room.
    pub fn line(line: impl Into<String>) -> Self {
        Self::lines(vec![line.into()])
    }

    /// Lines for everybody in the room.
    pub fn lines(lines: Vec<String>) -> Self {
        Self { lines, ..Self::default() }
    }

    /// Lines for the asker's, or the moderators', eyes only.
    pub fn private(lines: Vec<String>) -> Self {
        Self { lines, private: true, confirm: false }
    }
}

/// How much may be said in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// So many messages …
    pub sends: u32,
    /// … within this time, counted over the whole account.
    pub within: Span,
    /// How stock changes are shown.
    pub updates: Updates,
}

/// How stock changes are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updates {
    /// By editing one message, at most this often.
    Edits(Span),
    /// By printing the line again, at most this often.
    Reprints(Span),
    /// By new lines at milestones, at most this often.
    Lines(Span),
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The standing.
    pub standing: Standing,
    /// Since when.
    pub since: Timestamp,
}

/// How a connection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not there yet.
    Starting,
    /// It hears and speaks.
    Up,
    /// It is away and comes back by itself.
    Away(String),
    /// It needs a person: what is wrong, and the mend.
    Broken(String),
}

/// A state notice on its way to a room.
#[derive(Clone, Debug)]
pub struct Post {
    /// Where to.
    pub room: Room,
    /// What.
    pub notice: Notice,
    /// The same in words.
    pub line: String,
    /// The sale as it is now.
    pub view: Arc<View>,
    /// Names the notice.
    pub key: String,
    /// An earlier attempt may have been heard.
    pub again: bool,
}

/// Why something was not said.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SayError {
    /// Not now: try again.
    #[error("{0}")]
    Retry(String),
    /// Not before then: the budget is used up. Nothing was sent.
    #[error("not before {}", .0.rfc3339())]
    NotBefore(Timestamp),
    /// It will never be: the room is gone or closed to us.
    #[error("{0}")]
    Refused(String),
}
