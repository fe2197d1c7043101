//! Durable claims with warm checkouts: POST → decided, journalled, on disk → 303.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use livetill::{
    app::{App, Outside},
    clock::{SystemClock, Timestamp},
    config,
    id::{CheckoutId, SystemEntropy},
    platform::console::{Console, message},
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

/// A provider that answers at once, so that only the engine is measured.
struct Instant(Arc<dyn Provider>);

#[async_trait]
impl Provider for Instant {
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

fn runtime() -> tokio::runtime::Runtime {
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
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    let text = format!(
        "[templates.mug]\nprice = \"18.00\"\nstock = {CLAIMS}\nwarm = {CLAIMS}\n\
         [providers.sandbox]\ncalls_per_second = 100000\n"
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
            platforms: vec![Console::new(|_| {})],
            wrap: Arc::new(|inner| Arc::new(Instant(inner))),
        },
    )
    .await
    .expect("an app");
    app.serve().await.expect("serves");
    app.run();
    app.hear(&message("start".into(), "!sale start mug 30m")).await;
    let id = all_warm(&app).await;
    let address: SocketAddr = app.address;
    let run = client::run(address, connections, CLAIMS, move |_| {
        format!("POST /sales/{id}/holds HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
            .into_bytes()
    })
    .await;
    app.stop().await;
    run
}

/// Waits until every page is warm.
async fn all_warm(app: &App) -> livetill::id::SaleId {
    loop {
        if let Some(view) = app.engine.views().all().first() {
            let id = view.id;
            let warm = app
                .engine
                .look(id, |sale| sale.holds().filter(|hold| hold.proven().is_some()).count())
                .await;
            if warm.expect("a sale") >= CLAIMS {
                return id;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
