//! Timed, stock-limited sales run from a stream's chat.

pub mod clock;
pub mod file;
pub mod finding;
pub mod id;
pub mod lossy;
pub mod mac;
pub mod meter;
pub mod money;
pub mod net;
pub mod room;
pub mod secret;

pub mod command;
pub mod notice;
pub mod report;
pub mod sale;
pub mod shop;
pub mod view;

pub mod platform;
pub mod provider;
pub mod store;

pub mod announce;
pub mod broom;
pub mod budget;
pub mod chat;
pub mod engine;
pub mod gate;
pub mod http;
pub mod listen;
pub mod reconcile;
pub mod replica;
pub mod sandbox;
pub mod timer;
pub mod waiting;
pub mod worker;

pub mod app;
pub mod cli;
pub mod config;
pub mod demo;
pub mod probe;
