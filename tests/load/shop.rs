//! The program with a running sale, at a provider that does as it is told.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use livetill::{
    app::{App, Outside},
    clock::{Clock, SystemClock, Timestamp},
    config,
    id::{CheckoutId, HoldId, SaleId, SystemEntropy},
    platform::{
        Platform,
        console::{Console, message},
    },
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, signature,
    },
    sale::{
        Sale,
        effect::Effect,
        event::{CloseAnswer, Listing},
        hold::{Checkout, HoldState},
        template::{Capabilities, Template},
    },
    store::{self, Access},
    view::State,
};
use tokio::net::TcpListener;

use crate::client::{self, Request};

/// How long anything may take until it counts as lost.
const AT_MOST: Duration = Duration::from_secs(120);

/// How often it is told how many pages are made.
const PAGES_STEP: usize = 1_000;

/// The sandbox as a provider whose every call takes that long; none, so that only the engine is
/// measured.
struct Distant(Arc<dyn Provider>, Duration);

#[async_trait]
impl Provider for Distant {
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
    fn accepts(&self, template: &Template) -> Result<(), String> {
        self.0.accepts(template)
    }
    fn frame(&self, sale: &Sale, effect: &Effect, _: &dyn ReturnPages) -> serde_json::Value {
        match effect {
            Effect::OpenCheckout { hold, .. } => {
                serde_json::json!(sale.hold(*hold).map(|hold| hold.amount))
            }
            _ => serde_json::Value::Null,
        }
    }
    async fn perform(
        &self,
        effect: &Effect,
        body: &serde_json::Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        if !self.1.is_zero() {
            tokio::time::sleep(self.1).await;
        }
        Ok(match effect {
            Effect::OpenCheckout { nth, .. } => Outcome::Opened(Checkout {
                id: CheckoutId::from(call.key.as_str()),
                nth: *nth,
                order: None,
                url: format!("https://pay.example/{}", call.key),
                total: serde_json::from_value(body.clone()).expect("an amount"),
                made_at: call.now,
                proven: true,
                closed: false,
            }),
            Effect::CloseCheckout { .. } => Outcome::Closed(CloseAnswer::Closed),
            Effect::Retire => Outcome::Retired,
            _ => Outcome::Provisioned(Listing(serde_json::Value::Null)),
        })
    }
    fn calls(&self, _: &Effect) -> u32 {
        0
    }
    async fn status(&self, _: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        Ok(Vec::new())
    }
    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        self.0.verify(webhook, now)
    }
    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        self.0.parse(webhook)
    }
    fn checkout_hosts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Waits until there is something; what never comes is a fault and no slow machine.
pub async fn until<T>(what: &str, mut come: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = async {
        loop {
            if let Some(it) = come().await {
                return it;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(AT_MOST, wait).await;
    waited.unwrap_or_else(|_| panic!("{what}: it never came to that"))
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// How a shop is set up.
#[derive(Clone, Default)]
pub struct Plan {
    /// Units.
    pub stock: usize,
    /// Pages made ahead.
    pub warm: usize,
    /// What a call to the provider takes.
    pub latency: Duration,
    /// More of the template.
    pub template: &'static str,
    /// More of the configuration.
    pub config: String,
    /// Keys and secrets, as from the environment.
    pub environment: HashMap<String, String>,
    /// Chat services beside the console.
    pub platforms: Vec<Arc<dyn Platform>>,
    /// Its database; a file of its own if empty.
    pub url: String,
    /// Without a console: nobody is told anything.
    pub mute: bool,
    /// Its time, if not the computer's.
    pub clock: Option<Arc<dyn Clock>>,
}

/// A running program.
pub struct Shop {
    pub app: App,
    pub sale: SaleId,
    _dir: tempfile::TempDir,
}

impl Shop {
    /// A shop with one open sale and its pages made.
    pub async fn open(plan: Plan) -> Self {
        let warm = plan.warm;
        let mut shop = Self::closed(plan).await;
        shop.start("!sale start mug 30m", warm).await;
        shop
    }

    /// A shop without a sale.
    pub async fn closed(plan: Plan) -> Self {
        let Plan { stock, warm, latency, template, config, environment, url, .. } = plan;
        let Plan { mut platforms, mute, clock, .. } = plan;
        if !mute {
            platforms.push(Console::new(|_| {}));
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        let text = format!(
            "{config}\n[templates.mug]\nprice = \"18.00\"\nstock = {stock}\nmax_stock = {stock}\n\
             warm = {warm}\nhold = \"20m\"\nduration = \"30m\"\nsales_per_hour = 100000\n{template}\n\
             [providers.sandbox]\ncalls_per_second = 100000\n"
        );
        std::fs::write(&path, text).expect("written");
        let loaded = config::load(&path, &environment).expect("a config");
        let url = if url.is_empty() { file(dir.path()) } else { url };
        let mut app = App::build(
            &loaded,
            Outside {
                clock: clock.unwrap_or_else(|| Arc::new(SystemClock)),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store::open(&url, Access::Write).await.expect("a store")),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms,
                wrap: Arc::new(move |inner| match inner.name() {
                    "sandbox" => Arc::new(Distant(inner, latency)),
                    _ => inner,
                }),
            },
        )
        .await
        .expect("an app");
        app.serve().await.expect("serves");
        app.run();
        Self { app, sale: SaleId::from_bytes([0; 16]), _dir: dir }
    }

    /// A moderator says a line. Each is another person: what one person says twice within two
    /// seconds counts once.
    pub async fn says(&self, line: &str) {
        static SAID: AtomicU64 = AtomicU64::new(0);
        let n = SAID.fetch_add(1, Ordering::Relaxed);
        let mut message = message(format!("m{n}"), line);
        message.user.id = format!("mod{n}");
        self.app.hear(&message).await;
    }

    /// A start of goods that no other sale offers: a second sale of the same is asked about.
    fn its_own(&self, line: &str) -> String {
        static STARTED: AtomicU64 = AtomicU64::new(1000);
        format!("{line} title=\"Mug {}\"", STARTED.fetch_add(1, Ordering::Relaxed))
    }

    /// Starts one more sale, and waits for its pages.
    pub async fn start(&mut self, line: &str, warm: usize) {
        self.says(&self.its_own(line)).await;
        self.sale = until(line, async || {
            let newest = self.app.engine.views().all().into_iter().next();
            let view = newest.filter(|view| view.id != self.sale && view.is_public())?;
            Some(view.id)
        })
        .await;
        let mut made = 0;
        while made < warm {
            made = until("pages", async || {
                let ready = |sale: &Sale| sale.holds().filter(|h| h.proven().is_some()).count();
                let ready = self.app.engine.look(self.sale, ready).await.expect("a sale");
                (ready >= warm.min(made + PAGES_STEP)).then_some(ready)
            })
            .await;
            if made < warm {
                eprintln!("    {made} of {warm} pages made");
            }
        }
    }

    /// Says one line so many times, and waits until all the sales of it are in that state.
    pub async fn start_many(&self, sales: usize, line: &str, state: State) {
        for _ in 0..sales {
            self.says(&self.its_own(line)).await;
        }
        until(line, async || {
            let views = self.app.engine.views().all();
            let there = views.iter().filter(|view| view.state == state).count();
            (there >= sales).then_some(())
        })
        .await;
    }

    pub fn address(&self) -> SocketAddr {
        self.app.address
    }

    /// A claim, each from a browser of its own.
    pub fn claim(&self) -> Request {
        let id = self.sale;
        Arc::new(move |_| claim_on(id))
    }

    /// Claims as fast as `connections` allow.
    pub async fn claims(&self, connections: usize, claims: usize) -> client::Run {
        let claim = self.claim();
        client::run(self.address(), connections, claims, move |n| claim(n)).await
    }

    /// Signed webhooks, each of which pays one of the open holds.
    pub async fn payments(&self) -> Vec<Vec<u8>> {
        let pages = |sale: &Sale| -> Vec<(HoldId, CheckoutId)> {
            let open = sale.holds().filter(|hold| matches!(hold.state, HoldState::Open { .. }));
            open.filter_map(|hold| Some((hold.id, hold.page()?.id.clone()))).collect()
        };
        let pages = self.app.engine.look(self.sale, pages).await.expect("a sale");
        let key = self.key().await;
        let now = self.app.engine.now();
        let pay = |(hold, page): &(HoldId, CheckoutId)| {
            let id = format!("evt_{hold}");
            let body = serde_json::json!({ "id": id, "type": "payment.completed", "data": {
                "id": format!("pay_{hold}"), "reference": hold, "page": page.as_str(),
                "amount": { "amount": 1800, "currency": "USD" },
                "refunded": 0, "status": "completed", "at": now.rfc3339(),
            }})
            .to_string();
            let signature = signature::sign_standard(&key, &id, now, body.as_bytes());
            format!(
                "POST /webhooks/sandbox HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n\
                 webhook-id: {id}\r\nwebhook-timestamp: {}\r\nwebhook-signature: {signature}\r\n\
                 content-length: {}\r\n\r\n{body}",
                now.seconds(),
                body.len()
            )
            .into_bytes()
        };
        pages.iter().map(pay).collect()
    }

    /// The key under which the sandbox signs.
    pub async fn key(&self) -> Vec<u8> {
        let secret = self.app.engine.store().secret([0; 32]).await.expect("a secret");
        livetill::mac::derive(&secret, "sandbox webhook")
    }

    /// Ends the program.
    pub async fn close(self) {
        self.app.stop().await;
    }
}

/// A claim on that sale, by whoever has no cookie.
pub fn claim_on(sale: SaleId) -> Vec<u8> {
    format!("POST /sales/{sale}/holds HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 0\r\n\r\n")
        .into()
}

pub fn file(dir: &Path) -> String {
    format!("sqlite:{}", dir.join("livetill.db").display())
}
