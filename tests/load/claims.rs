//! Durable claims with warm checkouts: POST → decided, journalled, on disk → 303.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use livetill::{
    app::{App, Outside},
    clock::{SystemClock, Timestamp},
    config,
    id::{CheckoutId, SystemEntropy},
    platform::{
        Platform,
        console::{Console, message},
    },
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError,
    },
    sale::{
        Sale,
        effect::Effect,
        event::{CloseAnswer, Listing},
        hold::Checkout,
        template::{Capabilities, Template},
    },
    store::{self, Access},
};
use tokio::net::TcpListener;

use crate::{Row, client, reference};

/// Claims in one run: enough to last, few enough to be made warm in a reasonable time.
const CLAIMS: usize = 6_000;

/// A provider whose every call takes that long; none, so that only the engine is measured.
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

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Ours beside a bare axum over a group-commit writer of one row.
pub fn durable(connections: usize, pairs: usize) -> Row {
    let mut row = Row {
        what: format!("durable claims, {connections} connections"),
        ours: Vec::new(),
        reference: Vec::new(),
        unit: "/s",
        goal: "≥ 0.5",
        p99: None,
    };
    let mut slowest = (Duration::ZERO, Duration::ZERO);
    for _ in 0..pairs {
        let ours = runtime().block_on(ours(connections));
        let reference = runtime().block_on(bare(connections));
        assert_eq!(ours.classes[3], CLAIMS, "every claim is answered with a page");
        row.ours.push(ours.per_second);
        row.reference.push(reference.per_second);
        slowest = (slowest.0.max(ours.p99), slowest.1.max(reference.p99));
    }
    row.p99 = Some(slowest);
    row
}

async fn bare(connections: usize) -> client::Run {
    let dir = tempfile::tempdir().expect("a folder");
    let address = reference::claims(&dir.path().join("bare.db")).await;
    client::run(address, connections, CLAIMS, |_| {
        b"POST /holds HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".to_vec()
    })
    .await
}

async fn ours(connections: usize) -> client::Run {
    let shop = Shop::open(CLAIMS, CLAIMS, Duration::ZERO).await;
    shop.claims(connections, CLAIMS).await
}

/// How long a click takes until the payment page, at a provider whose calls take `latency`: while
/// warm pages last, and without any.
pub fn clicks(latency: Duration, pairs: usize) -> Vec<Row> {
    const BUYERS: usize = 100;
    let row = |what: &str, goal| Row {
        what: format!("click to page, {what}, calls of {} ms, p95", latency.as_millis()),
        ours: Vec::new(),
        reference: Vec::new(),
        unit: "ms",
        goal,
        p99: None,
    };
    let (mut warm, mut cold) = (row("warm", "≤ 50 ms"), row("cold", "≈ 1 call"));
    for _ in 0..pairs {
        for (row, pages) in [(&mut warm, BUYERS), (&mut cold, 0)] {
            let run = runtime().block_on(async {
                let shop = Shop::open(BUYERS, pages, latency).await;
                let connections = if pages == 0 { 16 } else { BUYERS };
                shop.claims(connections, if pages == 0 { 16 } else { BUYERS }).await
            });
            row.ours.push(run.p95.as_secs_f64() * 1000.0);
            row.reference.push(latency.as_secs_f64() * 1000.0);
        }
    }
    vec![warm, cold]
}

/// A running sale with its warm pages made.
pub struct Shop {
    app: App,
    sale: livetill::id::SaleId,
    _dir: tempfile::TempDir,
}

impl Shop {
    async fn open(stock: usize, warm: usize, latency: Duration) -> Self {
        Self::open_in("", Vec::new(), (stock, warm, latency)).await
    }

    /// A shop with more rooms than the console: stock, warm pages, latency of the provider.
    pub async fn open_in(
        rooms: &str,
        mut platforms: Vec<Arc<dyn Platform>>,
        (stock, warm, latency): (usize, usize, Duration),
    ) -> Self {
        platforms.push(Console::new(|_| {}));
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        let text = format!(
            "{rooms}[templates.mug]\nprice = \"18.00\"\nstock = {stock}\nmax_stock = {stock}\n\
             warm = {warm}\n[providers.sandbox]\ncalls_per_second = 100000\n"
        );
        std::fs::write(&path, text).expect("written");
        let loaded = config::load(&path, &std::collections::HashMap::new()).expect("a config");
        let url = format!("sqlite:{}", dir.path().join("livetill.db").display());
        let mut app = App::build(
            &loaded,
            Outside {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store::open(&url, Access::Write).await.expect("a store")),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms,
                wrap: Arc::new(move |inner| Arc::new(Distant(inner, latency))),
            },
        )
        .await
        .expect("an app");
        app.serve().await.expect("serves");
        app.run();
        app.hear(&message("start".into(), "!sale start mug 30m")).await;
        let sale = all_warm(&app, warm).await;
        Self { app, sale, _dir: dir }
    }

    /// When the sale opened.
    pub fn opened_at(&self) -> Timestamp {
        let view = self.app.engine.views().get(self.sale);
        view.and_then(|view| view.opened_at).expect("it is open")
    }

    /// Ends the program.
    pub async fn close(self) {
        self.app.stop().await;
    }

    async fn claims(self, connections: usize, claims: usize) -> client::Run {
        let (address, id): (SocketAddr, _) = (self.app.address, self.sale);
        let run = client::run(address, connections, claims, move |_| {
            format!("POST /sales/{id}/holds HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
                .into_bytes()
        })
        .await;
        self.app.stop().await;
        run
    }
}

/// Waits until every page is warm.
async fn all_warm(app: &App, pages: usize) -> livetill::id::SaleId {
    loop {
        if let Some(view) = app.engine.views().all().first() {
            let id = view.id;
            let warm = app
                .engine
                .look(id, |sale| sale.holds().filter(|hold| hold.proven().is_some()).count())
                .await;
            if warm.expect("a sale") >= pages && view.state.is_public() {
                return id;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
