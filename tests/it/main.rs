//! Everything that needs the whole program: real sockets, a real database, a hand-moved clock.

mod architecture;
mod both;
mod budget;
mod claims;
mod commands;
mod config;
mod crash;
mod crowd;
mod database;
mod desk;
mod discord;
mod evening;
mod faults;
mod fleet;
mod hostile;
mod line;
mod pages;
mod polar;
mod postgres;
mod program;
mod replicas;
mod square;
mod store;
mod twitch;
mod webhooks;
mod world;
