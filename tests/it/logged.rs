//! Secrets are never logged: everything that any test's program logs is read, and the first line
//! with a secret in it ends the whole run.
//!
//! Tokens, keys and headers may stand in no line at all; what belongs to a buyer (the token of a
//! hold, the address of a payment page, a cookie) in none of level `info` and above.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use livetill::{cli::logs::quiet, clock::SystemClock, config::Config, secret::Secret};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::{discord, square, twitch, world::ManualClock};

/// Shorter texts stand in innocent lines.
const SECRET_MIN: usize = 6;

/// Lines that are looked at once more when a further secret becomes known.
const LINES_KEPT: usize = 500;

#[derive(Default)]
struct Ear {
    secrets: BTreeSet<String>,
    private: BTreeSet<String>,
    lines: VecDeque<(Level, String)>,
    heard: usize,
}

static EAR: Mutex<Option<Ear>> = Mutex::new(None);

fn ear() -> MutexGuard<'static, Option<Ear>> {
    EAR.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ear {
    fn leak(&self, level: Level, line: &str) -> Option<String> {
        let low = line.to_ascii_lowercase();
        if low.contains("bearer ") || low.contains("authorization:") {
            return Some("an Authorization header".to_owned());
        }
        let secret = self.secrets.iter().find(|secret| line.contains(secret.as_str()));
        let private = self.private.iter().filter(|_| level <= Level::INFO);
        secret.or_else(|| private.into_iter().find(|one| line.contains(one.as_str()))).cloned()
    }

    fn hears(&mut self, level: Level, line: String) -> Option<String> {
        self.heard += 1;
        let leak = self.leak(level, &line);
        self.lines.push_back((level, line));
        if self.lines.len() > LINES_KEPT {
            self.lines.pop_front();
        }
        leak
    }

    fn learns(&mut self, text: &str, private: bool) -> Option<(String, String)> {
        let text = text.trim();
        let set = if private { &mut self.private } else { &mut self.secrets };
        if text.len() < SECRET_MIN || !set.insert(text.to_owned()) {
            return None;
        }
        let shows = |(level, line): &&(Level, String)| {
            line.contains(text) && (!private || *level <= Level::INFO)
        };
        self.lines.iter().find(shows).map(|(_, line)| (text.to_owned(), line.clone()))
    }
}

/// A failed assertion in a thread of the program could go unseen; the end of the run cannot.
fn told(leak: Option<(String, String)>) {
    if let Some((secret, line)) = leak {
        let _ = writeln!(std::io::stderr(), "\nLOGGED, and must not be: {secret}\nin: {line}");
        std::process::exit(101);
    }
}

struct Layered;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Layered {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, at: Context<'_, S>) {
        let mut words = Words::default();
        attributes.record(&mut words);
        if let Some(span) = at.span(id) {
            span.extensions_mut().insert(words);
        }
    }

    fn on_event(&self, event: &Event<'_>, at: Context<'_, S>) {
        let mut words = Words::default();
        event.record(&mut words);
        for span in at.event_scope(event).into_iter().flatten() {
            if let Some(more) = span.extensions().get::<Words>() {
                words.0.push_str(&more.0);
            }
        }
        let (level, line) = (*event.metadata().level(), words.0);
        let leak = ear().get_or_insert_default().hears(level, line.clone());
        told(leak.map(|secret| (secret, line)));
    }
}

#[derive(Default)]
struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, "{}={value} ", field.name());
    }
}

/// Reads every log of this process from now on. `LIVETILL_TEST_LOG=trace` reads the libraries'
/// most detailed words too.
pub fn listen() {
    let wanted = std::env::var("LIVETILL_TEST_LOG");
    let wanted = wanted.unwrap_or_else(|_| "livetill=trace,info".to_owned());
    // Installed by whichever test comes first.
    let _ = registry().with(Layered.with_filter(quiet(&wanted))).try_init();
}

/// A secret that no line may hold.
pub fn is_secret(text: &str) {
    let leak = ear().get_or_insert_default().learns(text, false);
    told(leak);
}

/// Something of a buyer's that no line of level `info` or above may hold.
pub fn is_private(text: &str) {
    let leak = ear().get_or_insert_default().learns(text, true);
    told(leak);
}

/// An address that a browser was sent to: a payment page, or the buyer's own by its token.
pub fn leads(to: &str) {
    if to.contains("/holds/") {
        is_private(
            to.rsplit("/holds/").next().and_then(|rest| rest.split('/').next()).unwrap_or(to),
        );
    } else if to.starts_with("http") && !to.ends_with("/live") && !to.contains("/sales/") {
        is_private(to);
    }
}

/// Every secret of a configuration.
pub fn hides(config: &Config) {
    let Config { http, shop, discord, twitch, providers, .. } = config;
    let all: [&Secret; 13] = [
        &shop.check_secret,
        &http.desk_token,
        &discord.token,
        &twitch.token,
        &twitch.client_secret,
        &twitch.refresh_token,
        &providers.square.access_token,
        &providers.square.signature_keys,
        &providers.polar.access_token,
        &providers.polar.webhook_secret,
        &providers.noventiq.username,
        &providers.noventiq.password,
        &providers.noventiq.webhook_secret,
    ];
    for secret in all {
        secret.expose().split(',').for_each(is_secret);
    }
}

#[test]
fn the_ear_hears_and_knows_a_secret_when_it_hears_one() {
    listen();
    let span = tracing::error_span!("effect", sale = "sale-of-the-canary", number = 7);
    span.in_scope(|| tracing::warn!(why = "a canary sings", "repeating"));
    let lines = ear().as_ref().map(|ear| ear.lines.clone()).unwrap_or_default();
    let (_, line) = lines.iter().find(|(_, line)| line.contains("a canary sings")).expect("heard");
    for part in ["message=repeating", "sale=sale-of-the-canary", "number=7"] {
        assert!(line.contains(part), "{line}");
    }

    let mut own = Ear::default();
    own.learns("tok-of-nobody-1", false);
    own.learns("https://pay.example/page-1", true);
    for (level, line, leaks) in [
        (Level::WARN, "nothing to see", false),
        (Level::TRACE, "header tok-of-nobody-1", true),
        (Level::TRACE, "to https://pay.example/page-1", false),
        (Level::INFO, "to https://pay.example/page-1", true),
        (Level::TRACE, "Authorization: x", true),
    ] {
        assert_eq!(own.hears(level, line.to_owned()).is_some(), leaks, "{line}");
    }
    // A secret that becomes known only after it was logged is found as well.
    own.hears(Level::TRACE, "the later-known-token".to_owned());
    assert!(own.learns("later-known-token", false).is_some());
}

/// The program with Square, Discord and Twitch, every word of its log kept: a whole sale.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_sale_at_the_most_detailed_level_logs_no_secret() {
    crate::world::crypto();
    let clock = ManualClock::new();
    square::crowd::follow(clock.clone());
    let square = square::fake::Fake::start(clock).await;
    let discord = discord::fake::Fake::start().await;
    let id = twitch::id::Id::start().await;
    let chat = twitch::fake::Chat::start(&id, Arc::new(SystemClock)).await;
    let dir = tempfile::tempdir().expect("a folder");
    let more = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n\
         [shop]\nrooms = [\"console\", \"discord:1001\", \"twitch:{}\"]\n\
         [discord]\nenabled = true\napi_url = \"{}\"\n\
         [twitch]\nenabled = true\nlogin = \"{}\"\nclient_id = \"{}\"\nserver = \"tcp://{}\"\n\
         auth_url = \"{}\"\n{}",
        twitch::fake::ROOM,
        discord.url,
        twitch::fake::BOT,
        twitch::id::CLIENT,
        chat.address,
        id.url(),
        square::shop::MUG,
    );
    let config = square::shop::config(&square, &more, "");
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    let secrets = [
        ("LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN", square::fake::TOKEN),
        ("LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS", square::fake::KEY),
        ("LIVETILL_DISCORD__TOKEN", discord::fixtures::TOKEN),
        ("LIVETILL_TWITCH__TOKEN", "access-1"),
        ("LIVETILL_TWITCH__REFRESH_TOKEN", "refresh-1"),
        ("LIVETILL_HTTP__DESK_TOKEN", "desk-token-0123456789"),
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
        .current_dir(dir.path())
        .envs(secrets)
        .env("LIVETILL_LOG", "trace")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let out = child.stdout.take().expect("piped");
    let log = child.stderr.take().expect("piped");
    let read = |from: Box<dyn std::io::Read + Send>| {
        let text = Arc::new(Mutex::new(Vec::new()));
        let (sink, mut from) = (text.clone(), from);
        let done = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut buffer) {
                sink.lock().expect("unpoisoned").extend_from_slice(&buffer[..n]);
            }
        });
        (text, done)
    };
    let (said, said_done) = read(Box::new(out));
    let (logged, logged_done) = read(Box::new(log));
    let text = |of: &Arc<Mutex<Vec<u8>>>| {
        String::from_utf8_lossy(&of.lock().expect("unpoisoned")).into_owned()
    };
    let until = async |part: &str| {
        for _ in 0..6000 {
            if text(&said).contains(part) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never: {part} in {}", text(&said));
    };
    until("Type ").await;
    stdin.write_all(b"!sale start mug 60s stock=1\n").expect("written");
    until("SALE OPEN").await;
    let base = text(&said);
    let base = base.split("open ").nth(1).and_then(|rest| rest.split("/live").next());
    let base = base.expect("a link").to_owned();
    let mut browser = crate::world::Browser::new();
    let sales = browser.get(&format!("{base}/api/sales")).await.text;
    let sales: serde_json::Value = serde_json::from_str(&sales).expect("JSON");
    let claim = format!("{base}/sales/{}/holds", sales[0]["id"].as_str().expect("an id"));
    let mut page = String::new();
    for _ in 0..600 {
        page = browser.post(&claim, &[]).await.location.expect("sent on");
        if page.starts_with(&square.url) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let link = page.rsplit('/').next().expect("an id");
    let order = square.books().links[link]["order_id"].as_str().expect("an order").to_owned();
    square.books().pay(&order);
    // A wrong token at the desk, and a webhook that nobody signed.
    browser.post(&format!("{base}/desk/login"), &[("token", "a-guess")]).await;
    browser.post(&format!("{base}/webhooks/square"), &[("x", "y")]).await;
    until("SOLD OUT").await;
    drop(stdin);
    let pid = child.id().to_string();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let ended = tokio::task::spawn_blocking(move || child.wait().expect("ends"));
    assert_eq!(ended.await.expect("no panic").code(), Some(0));
    tokio::task::spawn_blocking(move || {
        said_done.join().expect("read");
        logged_done.join().expect("read");
    })
    .await
    .expect("no panic");
    let log = text(&logged);
    assert!(log.contains("served") && log.contains("turned away"), "the log is there: {log}");
    for (name, secret) in secrets {
        assert!(!log.contains(secret), "{name} is logged");
    }
    let line = log.lines().find(|line| line.to_ascii_lowercase().contains("bearer "));
    assert_eq!(line, None, "an Authorization header is logged");
    for private in [page.as_str(), browser.cookie.as_deref().unwrap_or("no cookie")] {
        let line = log.lines().find(|line| {
            let loud = ["INFO", "WARN", "ERROR"].iter().any(|level| line.contains(level));
            loud && line.contains(private)
        });
        assert_eq!(line, None, "{private} is logged");
    }
}
