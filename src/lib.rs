//! Timed, stock-limited sales run from a stream's chat.

pub mod clock;
pub mod id;
pub mod money;
pub mod room;

pub mod command;
pub mod notice;
pub mod sale;
pub mod shop;
pub mod view;

pub mod platform;
pub mod provider;
pub mod store;

pub mod engine;
