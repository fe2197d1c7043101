//! Twitch, against a fake chat server and a fake token service over real sockets.

pub mod fake;
pub mod id;
mod program;
pub mod stage;
mod talk;
pub mod tls;
mod token;
mod trouble;

use crate::logged::is_secret;
