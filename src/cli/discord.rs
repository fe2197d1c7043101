//! Discord on the command line: set up from the configuration, looked at.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    app::{App, base_url},
    clock::Clock,
    config::Loaded,
    finding::Finding,
    platform::discord::{self, Discord, Hints},
    store::Store,
};

/// Discord, if it is switched on.
pub(super) fn open(
    loaded: &Loaded,
    address: SocketAddr,
    clock: &Arc<dyn Clock>,
    store: &Arc<dyn Store>,
) -> Option<Arc<Discord>> {
    let config = &loaded.config;
    config.discord.enabled.then(|| {
        Discord::new(discord::Setup {
            config: config.discord.clone(),
            rooms: config.shop.rooms.clone(),
            mod_rooms: config.shop.mod_rooms.clone(),
            base_url: base_url(config, address),
            clock: clock.clone(),
            store: store.clone(),
        })
    })
}

/// What Discord suggests while a moderator types.
pub(super) fn hints(app: &App) -> Hints {
    let (chat, engine) = (app.chat.clone(), app.engine.clone());
    Hints {
        templates: Box::new(move || chat.templates().keys().cloned().collect()),
        sales: Box::new(move || engine.views().live()),
    }
}

/// `check`: what Discord says of the bot, its intents and its rooms.
pub(super) async fn check(loaded: &Loaded) -> Vec<Finding> {
    let config = &loaded.config;
    if !config.discord.enabled {
        return Vec::new();
    }
    let rooms: Vec<_> = config.shop.rooms.iter().chain(&config.shop.mod_rooms).cloned().collect();
    let found = discord::check(&config.discord, &rooms).await;
    if found.is_empty() {
        let says = "token, intents and rooms are fine";
        return vec![Finding::ok("discord", says)];
    }
    found
}
