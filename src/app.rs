//! The wiring: puts store, engine, providers, platforms and listener together, starts and stops
//! them in order.

use std::{
    net::SocketAddr,
    sync::{Arc, RwLock},
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    announce::Announcer,
    broom,
    budget::Budgeted,
    chat::Chat,
    clock::{Clock, Span},
    config::{Config, Loaded},
    engine::{Engine, Parts},
    gate::{CodeKey, Gate},
    http::{
        Memory, Web,
        buyer::{Addresses, Keys},
        door::Doors,
        hosts::Hosts,
        serve::serve,
        service,
    },
    id::Entropy,
    listen::Listener,
    mac::derive,
    net,
    platform::{Heard, Platform},
    provider::{
        Provider,
        sandbox::{Access, Sandbox},
    },
    reconcile,
    replica::{Replica, programs::Ours},
    room::{Message, Room},
    sale::{event::ClaimLimits, template::Templates},
    sandbox,
    store::Store,
    timer,
    waiting::Waiting,
    worker::{Hand, Worker, pace::Pace},
};

/// What is still under way at the end is cut off after this.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Wraps a provider; tests stand in between this way.
pub type Wrap = Arc<dyn Fn(Arc<dyn Provider>) -> Arc<dyn Provider> + Send + Sync>;

/// What the world outside gives the program.
pub struct Outside {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where sales live.
    pub store: Arc<dyn Store>,
    /// The bound listener.
    pub listener: TcpListener,
    /// Chat services.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// Stands between the workers and the providers.
    pub wrap: Wrap,
}

/// The program, put together.
pub struct App {
    /// The engine.
    pub engine: Engine,
    /// Messages go in here.
    pub chat: Arc<Chat>,
    /// One per provider and platform.
    pub workers: Vec<Worker>,
    /// Keeps rooms up to date.
    pub announcer: Arc<Announcer>,
    /// Looks after questions and the queue.
    pub waiting: Arc<Waiting>,
    /// The service behind the sandbox provider.
    pub sandbox: Arc<sandbox::Service>,
    /// Where it listens.
    pub address: SocketAddr,
    /// What browsers call it.
    pub base_url: String,
    /// The templates in use.
    pub templates: Templates,
    /// Hears and answers.
    pub listener: Listener,
    /// Gets along with other programs on the same store, where there can be any.
    pub replica: Option<Arc<Replica>>,
    /// Sales that ended longer ago are archived.
    archive_after: Option<Span>,
    web: Arc<Web>,
    socket: Option<TcpListener>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl App {
    /// Puts everything together; starts nothing.
    ///
    /// # Errors
    /// If the store does not answer or an HTTP client cannot be made.
    pub async fn build(loaded: &Loaded, outside: Outside) -> Result<Self> {
        let config = &loaded.config;
        let Outside { clock, entropy, store, listener, platforms, wrap } = outside;
        let address = listener.local_addr().context("the listener has no address")?;
        let platforms = budgeted(platforms, &clock);
        let base_url = base_url(config, address);
        let secret = store.secret(fresh_secret(entropy.as_ref())).await?;
        let access = access(address, entropy.as_ref(), &secret);
        let adapter = Arc::new(Sandbox::new(access.clone())?);
        let sandbox = sandbox::Service::new(sandbox::Setup {
            store: store.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            settings: config.providers.sandbox.clone(),
            access,
            public_url: base_url.clone(),
        })?;
        let remote = remote_providers(config, &base_url, &clock)?;
        let providers = introduced(remote, adapter, &secret);
        let engine = Engine::new(Parts {
            store,
            clock,
            entropy,
            providers: providers.into_iter().map(|p| (p.name().to_owned(), wrap(p))).collect(),
            pages: Arc::new(Addresses { base_url: base_url.clone(), keys: Keys::new(&secret) }),
            link: format!("{base_url}/live"),
        });
        let templates: Templates = Arc::new(RwLock::new(Arc::new(loaded.templates.clone())));
        let (rooms, mod_rooms) = rooms(config, &platforms);
        let stop = CancellationToken::new();
        let limits = limits(config);
        let chat = chat(&engine, &templates, (&rooms, &mod_rooms), limits, &platforms);
        let web = Arc::new(Web {
            engine: engine.clone(),
            shop_name: config.shop.name.clone(),
            base_url: base_url.clone(),
            keys: Keys::new(&secret),
            trusted_proxies: config.http.trusted_proxies.clone(),
            hosts: Hosts::of(&base_url, &names(config)),
            limits,
            doors: Doors::of(&config.http),
            gate: Gate::new(CodeKey::new(&secret), config.shop.check_secret.clone())?,
            sandbox_public: config.providers.sandbox.allow_public,
            chat: chat.clone(),
            templates: templates.clone(),
            desk_token: config.http.desk_token.clone(),
            memory: Memory::default(),
            platforms: platforms.clone(),
            stop: stop.clone(),
        });
        let workers = workers(&engine, &platforms, config);
        let ours = Ours::new(&config.alike(), address, &templates);
        Ok(Self {
            listener: Listener::new(chat.clone(), &platforms, &mod_rooms),
            chat,
            replica: Replica::new(&engine, &workers, ours),
            workers,
            waiting: Arc::new(Waiting::new(engine.clone(), platforms.clone())),
            announcer: Arc::new(Announcer::new(engine.clone(), platforms, rooms, mod_rooms)),
            engine,
            sandbox,
            address,
            base_url,
            templates,
            archive_after: config.store.archive_after(),
            web,
            socket: Some(listener),
            stop,
            tasks: TaskTracker::new(),
        })
    }

    /// Loads what runs and begins to serve pages and webhooks.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn serve(&mut self) -> Result<()> {
        self.engine.load_views().await?;
        if self.replica.is_none() {
            self.engine.never_runs_back().await?;
            for worker in &self.workers {
                worker.recover().await?;
            }
        }
        if let Some(listener) = self.socket.take() {
            let service = service(self.web.clone(), self.sandbox.routes());
            let stop = self.stop.clone();
            self.tasks.spawn(serve(listener, service, self.web.clone(), stop));
        }
        Ok(())
    }

    /// Starts everything that acts by itself: workers, timer, questions, updates.
    pub fn run(&self) {
        if let Some(replica) = &self.replica {
            self.engine.share();
            self.tasks.spawn(replica.clone().run(self.stop.clone()));
            self.tasks.spawn(replica.clone().follow(self.stop.clone()));
        }
        for worker in &self.workers {
            self.tasks.spawn(worker.clone().run(self.stop.clone()));
        }
        self.tasks.spawn(self.engine.clone().keep_honest(self.stop.clone()));
        self.tasks.spawn(timer::run(self.engine.clone(), self.stop.clone()));
        let old = self.archive_after;
        self.tasks.spawn(broom::run(self.engine.clone(), old, self.stop.clone()));
        self.tasks.spawn(reconcile::run(self.engine.clone(), self.stop.clone()));
        self.tasks.spawn(self.announcer.clone().run(self.stop.clone()));
        self.tasks.spawn(self.announcer.clone().watch_store(self.stop.clone()));
        self.tasks.spawn(self.announcer.clone().watch_clock(self.stop.clone()));
        self.tasks.spawn(self.waiting.clone().run(self.stop.clone()));
        self.tasks.spawn(self.sandbox.clone().run(self.stop.clone()));
    }

    /// Takes a message and has it answered.
    pub async fn hear(&self, message: &Message) {
        self.listener.said(message).await;
    }

    /// Works off what a platform hears, until stopped.
    pub fn listen(&self, heard: mpsc::Receiver<Heard>) {
        self.tasks.spawn(self.listener.clone().run(heard, self.stop.clone()));
    }

    /// Whether nothing runs and nothing waits to be done, and how much was given up.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn at_rest(&self) -> Result<(bool, u64)> {
        let live = self.engine.store().live_sales().await?;
        let outbox = self.engine.store().outbox().await?;
        Ok((live.is_empty() && outbox.waiting == 0, outbox.parked))
    }

    /// Chat services, each behind its budget.
    pub fn platforms(&self) -> &[Arc<dyn Platform>] {
        &self.web.platforms
    }

    /// Has something worked off that ends with the program.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Stops politely: intake first, then what is under way; whatever hangs is cut off.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Some(replica) = &self.replica
            && let Err(error) = replica.leave().await
        {
            tracing::warn!(%error, "the other replicas have to wait for our turns to end");
        }
    }

    /// Ends everything that was started when it is cancelled.
    pub fn stop_token(&self) -> &CancellationToken {
        &self.stop
    }
}

fn budgeted(platforms: Vec<Arc<dyn Platform>>, clock: &Arc<dyn Clock>) -> Vec<Arc<dyn Platform>> {
    platforms
        .into_iter()
        .map(|platform| Arc::new(Budgeted::new(platform, clock.clone())) as _)
        .collect()
}

fn chat(
    engine: &Engine,
    templates: &Templates,
    (rooms, mod_rooms): (&[Room], &[Room]),
    limits: ClaimLimits,
    platforms: &[Arc<dyn Platform>],
) -> Arc<Chat> {
    let (rooms, mod_rooms) = (rooms.to_vec(), mod_rooms.to_vec());
    let platforms = platforms.to_vec();
    Arc::new(Chat::new(engine.clone(), templates.clone(), rooms, mod_rooms, limits, platforms))
}

fn limits(config: &Config) -> ClaimLimits {
    ClaimLimits { per_address: config.http.holds_per_address, tries: config.http.tries_per_buyer }
}

/// The payment services elsewhere that are configured.
///
/// # Errors
/// If an HTTP client cannot be made.
pub(crate) fn remote_providers(
    config: &Config,
    base_url: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Arc<dyn Provider>>> {
    let set_up = config.providers.all().into_iter().filter(|one| one.missing().is_none());
    let made = set_up.map(|one| one.connect(base_url, clock)).collect::<Result<Vec<_>, _>>()?;
    Ok(made.into_iter().flatten().collect())
}

/// How fast a provider is called to begin with, and at the most.
fn pace_of(name: &str, config: &Config) -> Pace {
    let Some(provider) = config.providers.of(name) else { return Pace::new(1.0, 1.0) };
    let (rate, (low, high)) = (f64::from(provider.calls_per_second()), provider.pace());
    Pace::new(rate * low, rate * high)
}

fn workers(engine: &Engine, platforms: &[Arc<dyn Platform>], config: &Config) -> Vec<Worker> {
    let providers = engine.providers().map(|provider| {
        let pace = pace_of(provider.name(), config);
        Worker::new(engine.clone(), Hand::Provider(provider.clone()), pace)
    });
    let platforms = platforms.iter().map(|platform| {
        let pace = Pace::new(1000.0, 1000.0);
        Worker::new(engine.clone(), Hand::Platform(platform.clone()), pace)
    });
    providers.chain(platforms).collect()
}

/// The rooms that hear of sales, and those where only moderators read: the console is one.
/// Where nobody listens and speaks, nothing is sent: it would wait for ever.
fn rooms(config: &Config, platforms: &[Arc<dyn Platform>]) -> (Vec<Room>, Vec<Room>) {
    let mut mod_rooms = config.shop.mod_rooms.clone();
    if config.console.enabled && !mod_rooms.contains(&Room::console()) {
        mod_rooms.push(Room::console());
    }
    let mut rooms = config.shop.rooms.clone();
    let there = |room: &Room| platforms.iter().any(|platform| platform.name() == room.platform);
    rooms.retain(there);
    mod_rooms.retain(there);
    (rooms, mod_rooms)
}

/// Names we are asked by besides our own.
fn names(config: &Config) -> Vec<String> {
    let providers = config.providers.all().into_iter();
    let notified = providers.map(|one| one.notification_url().to_owned());
    config.http.hosts.iter().cloned().chain(notified).collect()
}

/// What browsers call the listener.
pub(crate) fn base_url(config: &Config, address: SocketAddr) -> String {
    if config.shop.public_url.is_empty() {
        return format!("http://{address}");
    }
    config.shop.public_url.clone()
}

/// How the sandbox's adapter reaches its service, which is behind our own listener.
fn access(address: SocketAddr, entropy: &dyn Entropy, secret: &[u8; 32]) -> Access {
    let (address, token) = (net::reachable(address), hex::encode(entropy.bytes()));
    Access { address, token, webhook_key: derive(secret, "sandbox webhook") }
}

/// All providers, told whose marks they make.
fn introduced(
    mut providers: Vec<Arc<dyn Provider>>,
    sandbox: Arc<dyn Provider>,
    secret: &[u8; 32],
) -> Vec<Arc<dyn Provider>> {
    providers.push(sandbox);
    let shop = crate::shop::id_of(secret);
    providers.iter().for_each(|provider| provider.works_for(&shop));
    providers
}

/// A secret that nobody had before.
pub(crate) fn fresh_secret(entropy: &dyn Entropy) -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(&entropy.bytes());
    secret[16..].copy_from_slice(&entropy.bytes());
    secret
}
