//! A chat service: the port. Adapters know how their service wants to be spoken to.
//!
//! A platform knows nothing of stock, money or who may do what beyond the role it reads from ids
//! and badges. It is handed words or a [`View`] and says them.

pub mod console;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{
    notice::Notice,
    room::{Message, PlatformName, Room},
    view::View,
};

/// A chat service.
#[async_trait]
pub trait Platform: Send + Sync + 'static {
    /// Which one.
    fn name(&self) -> PlatformName;

    /// Says that a sale changed its state. `key` names the notice; the same key may come twice
    /// after a crash, and then `again` is set.
    async fn announce(&self, post: &Post) -> Result<(), SayError>;

    /// Answers a message; `private` answers are for the asker's eyes only.
    async fn reply(&self, to: &Message, lines: &[String], private: bool) -> Result<(), SayError>;

    /// Brings what the room shows of a sale up to the newest view.
    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError>;
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
    /// It will never be: the room is gone or closed to us.
    #[error("{0}")]
    Refused(String),
}
