//! Twitch on the command line: set up from the configuration, logged in, looked at.

use std::{path::Path, sync::Arc};

use anyhow::Result;

use super::Ended;
use crate::{
    clock::{Clock, SystemClock},
    config::Loaded,
    finding::Finding,
    platform::{
        Platform,
        twitch::{Prompt, Setup, Twitch, login, public_roots, token_file},
    },
    room::Room,
};

/// Twitch, if it is switched on.
pub(super) fn open(
    loaded: &Loaded,
    path: &Path,
    clock: &Arc<dyn Clock>,
) -> Result<Option<Arc<Twitch>>> {
    let config = &loaded.config;
    if !config.twitch.enabled {
        return Ok(None);
    }
    let twitch = Twitch::new(Setup {
        config: config.twitch.clone(),
        token_file: token_file(path),
        rooms: rooms(loaded),
        clock: clock.clone(),
        trust: public_roots(),
    })?;
    Ok(Some(twitch))
}

fn rooms(loaded: &Loaded) -> Vec<Room> {
    let shop = &loaded.config.shop;
    shop.rooms.iter().chain(&shop.mod_rooms).cloned().collect()
}

/// `login twitch`: shows an address, waits until a person has agreed there, keeps the tokens.
pub(super) async fn log_in(loaded: &Loaded, path: &Path) -> Result<Ended> {
    let file = token_file(path);
    let show = |prompt: &Prompt| {
        println!("Open {} in a browser, logged in at Twitch as the bot account.", prompt.address);
        println!("Code: {} (good for {})", prompt.code, prompt.within.words());
    };
    let who = login(&loaded.config.twitch, &file, &SystemClock, show).await?;
    println!("Logged in as {who}; the tokens are in {}.", file.display());
    if !loaded.config.twitch.enabled {
        println!("Next: set twitch.enabled = true and add \"twitch:<channel>\" to shop.rooms.");
    }
    Ok(Ended::Well)
}

/// `check`: what Twitch says of the account, its rights and the rooms.
pub(super) async fn check(loaded: &Loaded, path: &Path) -> Result<Vec<Finding>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Some(twitch) = open(loaded, path, &clock)? else { return Ok(Vec::new()) };
    let found = twitch.check(&rooms(loaded)).await;
    if found.is_empty() {
        let says = "token and rooms are fine; the bot moderates each";
        return Ok(vec![Finding::ok("twitch", says)]);
    }
    Ok(found)
}
