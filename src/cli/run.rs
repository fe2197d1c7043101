//! `run`: the bot.

mod rest;

use std::{
    collections::{BTreeSet, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{net::TcpListener, sync::mpsc, task::JoinHandle};

use self::rest::to_the_end;
use super::{Ended, logs::repeats::LISTED, warn_of};
use crate::{
    app::{App, Outside, Wrap},
    clock::{Clock, SystemClock},
    config::{Config, Loaded, reload_templates},
    demo::stage::Rehearsals,
    gate::empty_lists,
    id::SystemEntropy,
    lossy, meter,
    notice::text,
    platform::{
        Platform, Standing,
        console::{Console, Input},
        discord::Discord,
        twitch::Twitch,
    },
    room::PlatformName,
    store::{self, Access, Store},
};

/// What was heard on one platform and is not worked off yet.
const HEARD_MAX: usize = 256;

/// How often to look whether there is anything left to do.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long farewells to chat services may take.
const FAREWELL: Duration = Duration::from_secs(4);

/// How long closing the database may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(20);

/// How often to look whether the configuration changed.
const RELOAD_EVERY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    loaded: Loaded,
    path: PathBuf,
    environment: HashMap<String, String>,
) -> Result<Ended> {
    warn_of(&loaded);
    meter::start().context("the figures for /metrics cannot be kept")?;
    let url = &loaded.config.store.url;
    let store = store::open(url, Access::Write).await?;
    store.belongs_to(loaded.config.shop.identity(), true).await?;
    let store: Arc<dyn Store> = Arc::new(store);
    for finding in empty_lists(Some(store.as_ref()), &loaded.templates).await? {
        tracing::warn!(target: LISTED, "{}: {}", finding.key, finding.says);
    }
    let ended = run_on(&store, &loaded, path, environment).await;
    // However it ended: who copies the database now has all of it in one file.
    if tokio::time::timeout(CLOSE_WITHIN, store.close()).await.is_err() {
        tracing::warn!("the database could not be closed in time; nothing is lost");
    }
    ended
}

async fn run_on(
    store: &Arc<dyn Store>,
    loaded: &Loaded,
    path: PathBuf,
    environment: HashMap<String, String>,
) -> Result<Ended> {
    let (config, store) = (&loaded.config, store.clone());
    let listener = TcpListener::bind(config.http.listen).await.with_context(|| {
        format!("cannot listen on {}: is something else there? Set http.listen", config.http.listen)
    })?;
    let entropy = Arc::new(SystemEntropy);
    let (console, input) = if config.console.enabled {
        let words = loaded.templates.keys().cloned().collect();
        let (console, input) = Console::open(entropy.as_ref(), words);
        (Some(console), Some(input))
    } else {
        (None, None)
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let address = listener.local_addr().context("the listener has no address")?;
    let chats = Chats {
        discord: super::discord::open(loaded, address, &clock, &store),
        twitch: super::twitch::open(loaded, &path, &clock)?,
    };
    let mut platforms = chats.platforms();
    platforms.extend(console.iter().map(|console| console.clone() as Arc<dyn Platform>));
    let required: Vec<_> = platforms.iter().filter(|p| must_work(config, p)).cloned().collect();
    let wrap: Wrap = Arc::new(|provider| provider);
    let (time, chance) = (clock.clone(), entropy.clone());
    let outside = Outside { clock, entropy, store, listener, platforms, wrap };
    let mut app = App::build(loaded, outside).await?;
    app.chat.rehearses_on(Rehearsals::beside(&app, config, time, chance));
    app.serve().await?;
    // Before anybody is told that it runs: from here on a signal is a polite end.
    let stopped = stopped();
    greet(&app, console.as_deref());
    app.run();
    let farewells = chats.connect(&app);
    let reload = tokio::spawn(reload(path, environment, app.templates.clone(), console.clone()));
    // With another platform connected, the end of standard input ends nothing.
    let stays = !farewells.is_empty();
    let ended = tokio::select! {
        ended = until_done(&app, input, stays, stopped) => ended,
        mend = broken(&app, &required) => {
            say(&mend);
            Ok(Ended::Failed)
        }
    };
    reload.abort();
    app.stop().await;
    for farewell in farewells {
        // A farewell that takes too long is not waited for.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
    }
    ended
}

/// Chat services that are switched on.
struct Chats {
    discord: Option<Arc<Discord>>,
    twitch: Option<Arc<Twitch>>,
}

impl Chats {
    fn platforms(&self) -> Vec<Arc<dyn Platform>> {
        let discord = self.discord.iter().map(|one| one.clone() as Arc<dyn Platform>);
        discord.chain(self.twitch.iter().map(|one| one.clone() as Arc<dyn Platform>)).collect()
    }

    /// Begins to listen and speak; what comes back ends once each has said farewell.
    fn connect(&self, app: &App) -> Vec<JoinHandle<()>> {
        let ear = || {
            let (heard, hears) = mpsc::channel(HEARD_MAX);
            app.listen(hears);
            (heard, app.stop_token().clone())
        };
        let mut farewells = Vec::new();
        if let Some(discord) = &self.discord {
            let (heard, stop) = ear();
            farewells.push(discord.connect(super::discord::hints(app), heard, stop));
        }
        if let Some(twitch) = &self.twitch {
            let (heard, stop) = ear();
            farewells.push(tokio::spawn(twitch.clone().connect(heard, stop)));
        }
        farewells
    }
}

/// Whether the program is of no use to its owner without that platform.
fn must_work(config: &Config, platform: &Arc<dyn Platform>) -> bool {
    match platform.name() {
        PlatformName::Discord => config.discord.required,
        PlatformName::Twitch => config.twitch.required,
        PlatformName::Console => false,
    }
}

/// Resolves when a platform that must work needs a person and nothing runs: a sale is never
/// stopped for a chat.
async fn broken(app: &App, required: &[Arc<dyn Platform>]) -> String {
    // What worked once today is reported when it breaks, and ends nothing.
    let mut worked = BTreeSet::new();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let mend = required.iter().find_map(|platform| match platform.health()?.standing {
            Standing::Broken(mend) if !worked.contains(&platform.name()) => {
                Some(format!("{}: {mend}", platform.name()))
            }
            Standing::Up => {
                worked.insert(platform.name());
                None
            }
            Standing::Broken(_) | Standing::Starting | Standing::Away(_) => None,
        });
        let Some(mend) = mend else { continue };
        if app.engine.views().live().is_empty() {
            return mend;
        }
    }
}

fn greet(app: &App, console: Option<&Console>) {
    let page = format!("{}/live", app.base_url);
    let templates = app.chat.templates();
    let try_this = templates.keys().next().map(|name| format!("!sale start {name} 2m"));
    let try_this = try_this.unwrap_or_else(|| "!sale help".to_owned());
    match console {
        Some(console) => {
            console.print(&format!("Type {try_this} · open {page} · more: !sale help"));
        }
        None => lossy::stdout().line(&format!("Livetill runs. Open {page}")),
    }
    for view in app.engine.shown_live().iter().filter(|view| !view.closed) {
        let line = format!("Goes on: {}", text::status_line(view, app.engine.now()));
        match console {
            Some(console) => console.print(&line),
            None => lossy::stdout().line(&line),
        }
    }
}

/// Says something to whoever started the program; not among the lines of the chat.
fn say(line: &str) {
    lossy::stderr().line(&format!("livetill: {line}"));
}

/// The sales that are not over, as people call them; none if all are.
fn still_on(app: &App) -> Option<String> {
    let live = app.engine.shown_live();
    let on = live.iter().filter(|view| !view.closed);
    let names: Vec<String> =
        on.map(|view| format!("#{} {}", view.number, text::plain(&view.title))).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// What whoever ends the program in mid-sale must know.
fn left_on(app: &App) {
    if let Some(on) = still_on(app) {
        say(&format!(
            "{on} is not over: its time runs on, and it goes on when livetill is started again. \
             Meanwhile nobody can buy"
        ));
    }
}

/// Works until there is nothing left to do, or until told to stop.
async fn until_done(
    app: &App,
    input: Option<mpsc::Receiver<Input>>,
    stays: bool,
    stopped: impl Future<Output = ()>,
) -> Result<Ended> {
    tokio::pin!(stopped);
    let Some(mut input) = input else {
        stopped.await;
        left_on(app);
        return Ok(Ended::Well);
    };
    let mut warned = false;
    loop {
        tokio::select! {
            line = input.recv() => match line {
                Some(Input::Said(message)) => app.hear(&message).await,
                // A key pressed by mistake ends no sale: it is asked once.
                Some(Input::Interrupted) => match still_on(app).filter(|_| !warned) {
                    Some(on) => {
                        warned = true;
                        say(&format!(
                            "{on} is not over. Control-C once more ends livetill; the sale goes on \
                             when it is started again. To end the sale: !sale stop"
                        ));
                    }
                    None => {
                        left_on(app);
                        return Ok(Ended::Well);
                    }
                },
                Some(Input::End) | None => break,
            },
            () = &mut stopped => {
                left_on(app);
                return Ok(Ended::Well);
            }
        }
    }
    if stays {
        say("standard input has ended; the other chats go on");
        stopped.await;
        left_on(app);
        return Ok(Ended::Well);
    }
    match still_on(app) {
        Some(on) => say(&format!(
            "standard input has ended: livetill ends when {on} is over. Control-C ends it at once"
        )),
        None => say(
            "standard input has ended and no sale is on, so livetill ends. To run it without a \
             terminal, set console.enabled = false",
        ),
    }
    to_the_end(app, &mut stopped).await
}

/// Listens for SIGINT and SIGTERM, or what Windows has instead, from this call on; resolves when
/// one comes.
fn stopped() -> impl Future<Output = ()> {
    #[cfg(unix)]
    let signals = {
        use tokio::signal::unix::{SignalKind, signal};
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    };
    #[cfg(windows)]
    let signals = {
        use tokio::signal::windows::{ctrl_c, ctrl_close};
        // A closed window leaves a few seconds.
        (ctrl_c(), ctrl_close())
    };
    async move {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            // Without signals there is Control-C alone.
            return drop(tokio::signal::ctrl_c().await);
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Takes changed templates over; running sales keep their copies.
async fn reload(
    path: PathBuf,
    environment: HashMap<String, String>,
    templates: crate::sale::template::Templates,
    console: Option<Arc<Console>>,
) {
    let say = |line: String| match &console {
        Some(console) => console.print(&line),
        None => tracing::warn!("{line}"),
    };
    let mut known = stamp(&path);
    loop {
        tokio::time::sleep(RELOAD_EVERY).await;
        let now = stamp(&path);
        if now == known {
            continue;
        }
        known = now;
        match reload_templates(&path, &environment) {
            Ok(new) => {
                let names: Vec<String> = new.keys().cloned().collect();
                let mut slot = templates.write().unwrap_or_else(std::sync::PoisonError::into_inner);
                if **slot != new {
                    *slot = Arc::new(new);
                    drop(slot);
                    say(format!("Templates reloaded: {}", names.join(", ")));
                }
            }
            Err(error) => say(format!("The templates stay as they were. {error}")),
        }
    }
}

fn stamp(path: &Path) -> Option<(std::time::SystemTime, u64)> {
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
