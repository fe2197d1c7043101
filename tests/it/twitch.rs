//! Twitch, against a fake chat server and a fake token service over real sockets.

mod fake;
mod id;
mod program;
mod stage;
mod talk;
mod tls;
mod token;
mod trouble;
