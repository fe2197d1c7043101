//! Discord as the program uses it: opened, connected, checked.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    app::{App, base_url},
    clock::Clock,
    config::Loaded,
    platform::discord::{self, Discord, Hints, Setup},
    store::Store,
};

/// What was heard and is not worked off yet.
const HEARD_MAX: usize = 256;

/// How long a farewell may take.
const FAREWELL: Duration = Duration::from_secs(4);

/// Discord, if it is switched on.
pub(super) fn open(
    loaded: &Loaded,
    address: SocketAddr,
    clock: &Arc<dyn Clock>,
    store: &Arc<dyn Store>,
) -> Option<Arc<Discord>> {
    let config = &loaded.config;
    config.discord.enabled.then(|| {
        Discord::new(Setup {
            config: config.discord.clone(),
            rooms: config.shop.rooms.clone(),
            mod_rooms: config.shop.mod_rooms.clone(),
            base_url: base_url(config, address),
            clock: clock.clone(),
            store: store.clone(),
        })
    })
}

/// Connects it to the program, suggestions included.
pub(super) fn connect(discord: &Arc<Discord>, app: &App) -> JoinHandle<()> {
    let (heard, hears) = mpsc::channel(HEARD_MAX);
    app.listen(hears);
    let (chat, engine) = (app.chat.clone(), app.engine.clone());
    let hints = Hints {
        templates: Box::new(move || chat.templates().keys().cloned().collect()),
        sales: Box::new(move || engine.views().live()),
    };
    discord.connect(hints, heard, app.stop_token().clone())
}

/// Waits for its farewell, though not long.
pub(super) async fn leave(connected: Option<JoinHandle<()>>) {
    if let Some(connected) = connected
        && tokio::time::timeout(FAREWELL, connected).await.is_err()
    {
        tracing::debug!("no farewell from Discord");
    }
}

/// What Discord says of the bot's account, its rights and its rooms.
pub(super) async fn check(loaded: &Loaded) -> Vec<(String, bool, String)> {
    let config = &loaded.config;
    if !config.discord.enabled {
        return Vec::new();
    }
    let rooms: Vec<_> = config.shop.rooms.iter().chain(&config.shop.mod_rooms).cloned().collect();
    let found = discord::check(&config.discord, &rooms).await;
    if found.is_empty() {
        return vec![("discord".into(), true, "token, intents and rooms are fine".into())];
    }
    found.into_iter().map(|finding| (finding.key, finding.warning, finding.says)).collect()
}
