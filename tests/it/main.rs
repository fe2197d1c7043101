//! Everything that needs the whole program: real sockets, a real database, a hand-moved clock.

mod architecture;
mod budget;
mod claims;
mod commands;
mod config;
mod crash;
mod crowd;
mod discord;
mod evening;
mod faults;
mod line;
mod pages;
mod polar;
mod program;
mod square;
mod store;
mod twitch;
mod webhooks;
mod world;
