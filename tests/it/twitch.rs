//! Twitch, against a fake chat server and a fake token service over real sockets.

mod fake;
mod id;
mod stage;
mod talk;
mod token;
mod trouble;
