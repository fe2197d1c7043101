//! A world to test in: the real program on a free port, a clock moved by hand, a console whose
//! lines are read, and browsers that click and pay over real HTTP.
//!
//! Nothing acts by itself: every verb ends by working off whatever is due. A world that is closed
//! with [`World::done`] fails if anything said was not read or anything is left to do.

use std::{
    collections::BTreeMap,
    error::Error,
    future::Future,
    io,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use livetill::{
    app::{App, Outside, Wrap},
    clock::{Clock, Span, Timestamp},
    config,
    demo::stage::Rehearsals,
    id::{Entropy, SaleId},
    platform::{
        Platform,
        console::{Console, message},
    },
    report::prove,
    store::{self, Access, OpenError, SqlStore, Store},
    timer,
    view::View,
    worker::Ran,
};
use tempfile::TempDir;
use tokio::{net::TcpListener, sync::watch};

use crate::{
    books,
    database::{Database, Engine},
    logged,
};

/// Nothing that comes to pass at all takes longer, however busy the machine is.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// A clock that stands still until it is moved.
pub struct ManualClock {
    now: watch::Sender<i64>,
    /// How far the machine's clock was set apart from it.
    set: AtomicI64,
}

impl ManualClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { now: watch::Sender::new(1_767_225_600_000), set: AtomicI64::default() })
    }

    pub fn advance(&self, span: Span) {
        self.now.send_modify(|now| *now += span.millis());
    }

    /// Somebody sets the machine's clock by so many milliseconds.
    pub fn set_machine(&self, by: i64) {
        self.set.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(*self.now.borrow())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.now().millis() + self.set.load(Ordering::Relaxed))
    }

    fn shift(&self, by: i64) {
        self.set.fetch_sub(by, Ordering::Relaxed);
        self.now.send_modify(|now| *now += by);
    }

    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            // The clock lives as long as anybody sleeps by it.
            let _ = now.wait_for(|now| *now >= until.millis()).await;
        })
    }
}

/// Random numbers that are the same every time.
pub struct Seeded(AtomicU64);

impl Seeded {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))))
    }

    fn next(&self) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        let mut z = self.0.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

impl Entropy for Seeded {
    fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.next().to_be_bytes());
        bytes[8..].copy_from_slice(&self.next().to_be_bytes());
        bytes
    }
}

/// A template that most tests use: three mugs, nothing warm but the first page.
pub const MUG: &str = r#"
[templates.mug]
title = "Fern Mug"
price = "18.00"
stock = 3
warm = 0
max_stock = 10
max_duration = "30m"
"#;

/// Stands between the program and its store.
pub type WrapStore = Arc<dyn Fn(Arc<dyn Store>) -> Arc<dyn Store> + Send + Sync>;

/// Stands between the program and its chat.
pub type WrapPlatform = Arc<dyn Fn(Arc<dyn Platform>) -> Arc<dyn Platform> + Send + Sync>;

/// How a world is made.
pub struct Setup {
    pub config: String,
    pub dir: Arc<TempDir>,
    pub database: Arc<Database>,
    pub clock: Arc<ManualClock>,
    pub seed: u64,
    pub wrap_store: WrapStore,
    pub wrap: Wrap,
    pub wrap_platform: WrapPlatform,
    /// Chat services besides the console.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// Lines that were said, in this life and earlier ones.
    pub lines: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    pub fn new(config: &str) -> Self {
        Self::on(Engine::of_worlds(), config)
    }

    pub fn on(engine: Engine, config: &str) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a folder"));
        Self {
            config: config.to_owned(),
            database: Arc::new(Database::new(engine, dir.path())),
            dir,
            clock: ManualClock::new(),
            seed: 1,
            wrap_store: Arc::new(|store| store),
            wrap: Arc::new(|provider| provider),
            wrap_platform: Arc::new(|platform| platform),
            platforms: Vec::new(),
            lines: Arc::default(),
        }
    }
}

/// The program and the people around it.
pub struct World {
    pub app: App,
    pub clock: Arc<ManualClock>,
    pub browsers: BTreeMap<String, Browser>,
    lines: Arc<Mutex<Vec<String>>>,
    said: AtomicI64,
    pub database: Arc<Database>,
    dir: Arc<TempDir>,
}

/// One person's browser.
#[derive(Clone)]
pub struct Browser {
    client: reqwest::Client,
    pub cookie: Option<String>,
    /// Where it was last sent.
    pub at: Option<String>,
}

/// What a request was answered.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

/// Whether a connection was not taken in time.
fn was_not_let_in(error: &reqwest::Error) -> bool {
    let mut causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let late = |io: &io::Error| io.kind() == io::ErrorKind::TimedOut;
    error.is_connect() && causes.any(|cause| cause.downcast_ref::<io::Error>().is_some_and(late))
}

/// Opens a store; a life before this one may be about to let go of it, and a server on a busy
/// machine may take its time to let anybody in.
pub async fn opened(url: &str) -> SqlStore {
    let open = async {
        loop {
            match store::open(url, Access::Write).await {
                Err(OpenError::Busy(_) | OpenError::Unreachable { .. }) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                opened => return opened.expect("a store"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, open).await.expect("the store is let go")
}

pub fn crypto() {
    // Installed by whichever test comes first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    logged::listen();
}

pub fn client() -> reqwest::Client {
    crypto();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .no_proxy()
        .build()
        .expect("a client")
}

impl Browser {
    pub fn new() -> Self {
        Self::of(&client())
    }

    /// One of many on a machine whose connections they share.
    pub fn of(client: &reqwest::Client) -> Self {
        Self { client: client.clone(), cookie: None, at: None }
    }

    pub async fn get(&mut self, url: &str) -> Answer {
        let request = self.client.get(url);
        self.send(request).await
    }

    pub async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Answer {
        let request = self.client.post(url).form(form);
        self.send(request).await
    }

    pub async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Answer {
        if let Some(cookie) = &self.cookie {
            request = request.header("cookie", cookie);
        }
        let answer = loop {
            let request = request.try_clone().expect("no stream");
            match request.send().await {
                // Nothing was sent yet: a busy machine lets a crowd in by and by.
                Err(error) if was_not_let_in(&error) => {}
                answer => break answer.expect("the server answers"),
            }
        };
        let headers = answer.headers().clone();
        for set in headers.get_all("set-cookie") {
            let pair = set.to_str().expect("text").split(';').next().expect("a pair");
            logged::is_private(pair.split_once('=').map_or(pair, |(_, value)| value));
            self.cookie = Some(pair.to_owned());
        }
        let location = headers.get("location").map(|to| to.to_str().expect("text").to_owned());
        if let Some(to) = &location {
            logged::leads(to);
            self.at.clone_from(&location);
        }
        let status = answer.status().as_u16();
        Answer { status, location, headers, text: answer.text().await.expect("a body") }
    }
}

impl World {
    pub async fn new(config: &str) -> Self {
        Self::build(&Setup::new(config)).await
    }

    pub async fn build(setup: &Setup) -> Self {
        Self::with_platforms(setup, |_, _| Vec::new()).await
    }

    /// A world with more platforms than the console, made of the store and the shop's address.
    pub async fn with_platforms(
        setup: &Setup,
        more: impl FnOnce(&Arc<dyn Store>, &str) -> Vec<Arc<dyn Platform>>,
    ) -> Self {
        crypto();
        let path = setup.dir.path().join("config.toml");
        let mut text = setup.config.clone();
        if !text.contains("[providers.sandbox]") {
            text.push_str("\n[providers.sandbox]\ncalls_per_second = 100000\n");
        }
        std::fs::write(&path, text).expect("written");
        let loaded = config::load(&path, &std::collections::HashMap::new()).expect("a config");
        logged::hides(&loaded.config);
        let store: Arc<dyn Store> = Arc::new(opened(setup.database.url()).await);
        let lines = setup.lines.clone();
        let sink = lines.clone();
        let console = Console::new(move |line| sink.lock().expect("unpoisoned").push(line));
        let store = (setup.wrap_store)(store);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base_url = format!("http://{}", listener.local_addr().expect("an address"));
        let mut platforms = vec![(setup.wrap_platform)(console)];
        platforms.extend(setup.platforms.iter().cloned());
        platforms.extend(more(&store, &base_url));
        let life = u64::try_from(lines.lock().expect("unpoisoned").len()).expect("small");
        let entropy = Seeded::new(setup.seed.wrapping_add(life.wrapping_mul(7919)));
        let mut app = App::build(
            &loaded,
            Outside {
                clock: setup.clock.clone(),
                entropy: entropy.clone(),
                store,
                listener,
                platforms,
                wrap: setup.wrap.clone(),
            },
        )
        .await
        .expect("an app");
        let stage = Rehearsals::beside(&app, &loaded.config, setup.clock.clone(), entropy);
        app.chat.rehearses_on(stage);
        app.serve().await.expect("serves");
        Self {
            app,
            clock: setup.clock.clone(),
            browsers: BTreeMap::new(),
            lines,
            said: AtomicI64::new(setup.clock.now().millis()),
            database: setup.database.clone(),
            dir: setup.dir.clone(),
        }
    }

    /// The folder with the configuration.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.app.base_url)
    }

    /// A line typed at the console; a name and `>` in front speaks as a viewer. Answers
    /// everything that was said since the last time.
    pub async fn says(&mut self, line: &str) -> Vec<String> {
        let n = self.said.fetch_add(1, Ordering::Relaxed);
        self.app.hear(&message(format!("m{n}"), line)).await;
        self.settle().await;
        self.heard()
    }

    /// Everything said since the last time.
    pub fn heard(&mut self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock().expect("unpoisoned"))
    }

    /// Works off whatever is due, until nothing is.
    pub async fn settle(&self) {
        for _ in 0..100_000 {
            let mut quiet = timer::fire_due(&self.app.engine).await.expect("the timer") == 0;
            for worker in &self.app.workers {
                while worker.run_one().await.expect("a worker") == Ran::One {
                    quiet = false;
                }
            }
            quiet &= self.app.sandbox.deliver_due().await.expect("webhooks") == 0;
            self.app.waiting.step().await.expect("what waits");
            self.app.announcer.step().await;
            if quiet {
                return;
            }
        }
        panic!("it never comes to rest");
    }

    /// Moves the clock, stopping at every deadline on the way.
    pub async fn advance(&self, span: Span) {
        let until = self.clock.now() + span;
        loop {
            self.settle().await;
            let now = self.clock.now();
            let next = self.next_event().await.filter(|at| *at > now && *at < until);
            match next {
                Some(at) => self.clock.advance(at.since(now)),
                None => break,
            }
        }
        self.clock.advance(until.since(self.clock.now()));
        self.settle().await;
    }

    /// The next moment at which something is due.
    async fn next_event(&self) -> Option<Timestamp> {
        let store = self.app.engine.store();
        let mut all = vec![store.next_wake().await.expect("the store")];
        let shop = store.shop().await.expect("the store");
        all.extend(shop.asks.iter().map(|ask| Some(ask.until)));
        for worker in &self.app.workers {
            all.push(store.next_effect(worker.target()).await.expect("the store"));
        }
        all.push(self.app.announcer.step().await);
        all.into_iter().flatten().filter(|at| *at > self.clock.now()).min()
    }

    /// Runs `request` while the world goes on working.
    pub async fn during<T: Send + 'static>(
        &self,
        request: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let task = tokio::spawn(request);
        loop {
            self.settle().await;
            if task.is_finished() {
                self.settle().await;
                return task.await.expect("no panic");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// The newest sale.
    pub fn newest(&self) -> Arc<View> {
        self.app.engine.views().all().into_iter().next().expect("there is a sale")
    }

    pub fn browser(&mut self, who: &str) -> Browser {
        self.browsers.entry(who.to_owned()).or_insert_with(Browser::new).clone()
    }

    /// A buyer presses *Get yours* with these form fields.
    pub async fn claims(&mut self, who: &str, form: &[(&str, &str)]) -> Answer {
        let url = self.url(&format!("/sales/{}/holds", self.newest().id));
        self.posts(who, &url, form).await
    }

    /// A buyer presses *Get yours*.
    pub async fn clicks(&mut self, who: &str) -> Answer {
        self.claims(who, &[]).await
    }

    /// A buyer sends a form.
    pub async fn posts(&mut self, who: &str, url: &str, form: &[(&str, &str)]) -> Answer {
        let mut browser = self.browser(who);
        let url = url.to_owned();
        let form: Vec<(String, String)> =
            form.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let (browser, answer) = self
            .during(async move {
                let form: Vec<(&str, &str)> =
                    form.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                let answer = browser.post(&url, &form).await;
                (browser, answer)
            })
            .await;
        self.browsers.insert(who.to_owned(), browser);
        answer
    }

    /// A buyer looks at a page.
    pub async fn looks(&mut self, who: &str, path: &str) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { self.url(path) };
        let mut browser = self.browser(who);
        let (browser, answer) = self
            .during(async move {
                let answer = browser.get(&url).await;
                (browser, answer)
            })
            .await;
        self.browsers.insert(who.to_owned(), browser);
        answer
    }

    /// A buyer presses *Pay* on the page they were last sent to.
    pub async fn pays(&mut self, who: &str) -> Answer {
        let page = self.browser(who).at.expect("was sent somewhere");
        assert!(page.contains("/sandbox/pay/"), "{who} is at {page}");
        self.posts(who, &page, &[("do", "pay")]).await
    }

    /// Types a line and leaves what was said unread.
    pub async fn says_quietly(&mut self, line: &str) {
        let n = self.said.fetch_add(1, Ordering::Relaxed);
        self.app.hear(&message(format!("m{n}"), line)).await;
        self.settle().await;
    }

    /// Presses *Pay*, if the page the buyer was sent to can be paid; answers whether it is paid.
    pub async fn pay_now(&mut self, who: &str) -> bool {
        let page = self.browser(who).at.unwrap_or_default();
        if !page.contains("/sandbox/pay/") {
            return true;
        }
        // The address may be of an earlier life of the program, on another port.
        let page = match page.split_once("/sandbox/") {
            Some((_, rest)) => self.url(&format!("/sandbox/{rest}")),
            None => page,
        };
        let shown = self.looks(who, &page).await;
        if shown.text.contains("Thank you") {
            return true;
        }
        self.posts(who, &page, &[("do", "pay")]).await;
        self.looks(who, &page).await.text.contains("Thank you")
    }

    /// Runs everything to its end, moving the clock as far as it takes.
    pub async fn runs_out(&self) {
        for _ in 0..10_000 {
            self.settle().await;
            match self.next_event().await {
                Some(at) => self.clock.advance(at.since(self.clock.now())),
                None => return,
            }
        }
        panic!("it never ends");
    }

    /// Recomputes every sale from its journal, and compares its receipt with the sandbox's books.
    pub async fn proves(&self) {
        for view in self.app.engine.views().all() {
            self.prove(view.id).await;
        }
        books::agree_with_sandbox(self.app.engine.store()).await;
    }

    async fn prove(&self, id: SaleId) {
        let store = self.app.engine.store();
        let sale = store.load(id).await.expect("the store").expect("the sale");
        let proof = prove(&sale, &store.journal(id).await.expect("the store"));
        assert_eq!((proof.oversold, &proof.wrong), (0, &Vec::new()), "#{}", sale.head.number);
        for payment in sale.payments() {
            assert!(payment.is_settled(), "{payment:?}");
        }
    }

    /// Ends the world: everything read, everything done, everything proven.
    pub async fn done(mut self) {
        self.runs_out().await;
        let unread = self.heard();
        assert!(unread.is_empty(), "said and not read: {unread:#?}");
        let (rest, parked) = self.app.at_rest().await.expect("the store");
        assert!(rest, "something is left to do");
        assert_eq!(parked, 0, "something was given up");
        self.proves().await;
        assert_eq!(self.app.sandbox.left_behind().await, Ok(vec![]), "left at the provider");
        self.app.stop().await;
    }
}

/// Waits until that holds: a condition on real sockets and tasks, so with all the patience that a
/// busy machine may ask for.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, wait).await.is_ok(), "it never came to that: {what}");
}

pub fn mins(n: i64) -> Span {
    Span::from_mins(n)
}

pub fn secs(n: i64) -> Span {
    Span::from_secs(n)
}
