//! Money among several replicas: news of it may come to any of them, and one calls the provider.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use livetill::{
    app::Wrap,
    clock::{Clock, SystemClock, Timestamp},
    mac::derive,
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, signature::sign_standard,
    },
    sale::{
        Sale,
        effect::Effect,
        template::{Capabilities, Template},
    },
};
use serde_json::{Value, json};

use super::Three;
use crate::world::{Browser, MUG, client, eventually, secs};

/// Pages made: by which replica, and when.
type Calls = Arc<Mutex<Vec<(usize, Timestamp)>>>;

/// Stands between a replica and its provider, and notes every page that is made.
struct Noted {
    inner: Arc<dyn Provider>,
    replica: usize,
    calls: Calls,
}

#[async_trait]
impl Provider for Noted {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn accepts(&self, template: &Template) -> Result<(), String> {
        self.inner.accepts(template)
    }
    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> Value {
        self.inner.frame(sale, effect, pages)
    }
    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        if matches!(effect, Effect::OpenCheckout { .. }) {
            let now = SystemClock.now();
            self.calls.lock().expect("unpoisoned").push((self.replica, now));
        }
        self.inner.perform(effect, body, call).await
    }
    fn calls(&self, effect: &Effect) -> u32 {
        self.inner.calls(effect)
    }
    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.inner.status(ask).await
    }
    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        self.inner.verify(webhook, now)
    }
    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        self.inner.parse(webhook)
    }
    async fn confirm(&self, delivery: Delivery) -> Result<Delivery, ProviderError> {
        self.inner.confirm(delivery).await
    }
    fn checkout_hosts(&self) -> Vec<String> {
        self.inner.checkout_hosts()
    }
}

/// Claims at a replica, and asks there again until there is a page to pay on.
async fn claims(base: String, sale: String) -> String {
    let (mut browser, claim) = (Browser::new(), format!("{base}/sales/{sale}/holds"));
    loop {
        let answer = browser.post(&claim, &[]).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        let to = answer.location.expect("sent on");
        if to.contains("/sandbox/pay/") {
            return to;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn opened(three: &Three) -> String {
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    let knows = |app: &livetill::app::App| app.engine.views().all().len() == 1;
    three.until("all know it", |three| three.apps.iter().all(knows)).await;
    three.apps[0].engine.views().all()[0].id.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_payment_told_to_a_replica_that_never_saw_its_hold_counts_once_whoever_hears_it() {
    let three = Three::new().await;
    let sale = opened(&three).await;
    // Whoever makes no pages and says nothing will be told.
    let busy = [three.whose_turn("sandbox"), three.sender()];
    let told = (0..3).find(|n| !busy.contains(&Some(*n))).expect("one of three");
    let claimed_at = (told + 1) % 3;
    three.ways[told].cut.send_replace(true);
    let page = claims(three.apps[claimed_at].base_url.clone(), sale).await;
    let page = page.rsplit('/').next().expect("an id").to_owned();

    let secret = three.apps[claimed_at].engine.store().secret([0; 32]).await.expect("reads");
    let key = derive(&secret, "sandbox webhook");
    let body = json!({
        "id": "event-ana", "type": "payment.completed",
        "data": {
            "id": "pay_ana", "page": page, "refunded": 0, "status": "completed",
            "amount": { "amount": 1800, "currency": "USD" }, "at": "2026-01-01T00:01:00Z",
        },
    })
    .to_string();
    let send = async |replica: usize| {
        let now = SystemClock.now();
        let sent = client()
            .post(format!("{}/webhooks/sandbox", three.apps[replica].base_url))
            .header("webhook-id", "event-ana")
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", sign_standard(&key, "event-ana", now, body.as_bytes()))
            .body(body.clone())
            .send();
        sent.await.expect("answers").status().as_u16()
    };
    assert_eq!(send(told).await, 503, "what is not stored is not acknowledged");
    three.ways[told].cut.send_replace(false);
    // As providers do: again, until it is taken.
    eventually("it is taken", async || send(told).await == 200).await;
    let paid =
        |three: &Three, n: u32| three.apps.iter().all(|app| app.engine.views().all()[0].paid == n);
    three.until("all know it", |three| paid(three, 1)).await;
    for replica in [0, 1, 2] {
        assert_eq!(send(replica).await, 200, "once more, to everybody");
    }
    three.quiet().await;
    assert!(paid(&three, 1));
    let id = three.apps[0].engine.views().all()[0].id;
    let stored = three.apps[0].engine.store().load(id).await.expect("reads").expect("is there");
    let fates: Vec<_> = stored.payments().map(|payment| payment.fate.word()).collect();
    assert_eq!(fates, ["kept"]);
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_replica_at_a_time_calls_a_provider_and_at_one_pace() {
    const PER_SECOND: u32 = 5;
    let calls = Calls::default();
    let noted = |replica: usize| -> Wrap {
        let calls = calls.clone();
        Arc::new(move |inner| Arc::new(Noted { inner, replica, calls: calls.clone() }))
    };
    let templates = MUG.replace("stock = 3", "stock = 30").replace("max_stock = 10", "");
    let three = Three::with(&templates, PER_SECOND, noted).await;
    let sale = opened(&three).await;
    let pacer = three.whose_turn("sandbox").expect("one");
    let senders = three.apps.iter().filter(|app| app.engine.acts_for("sandbox")).count();
    assert_eq!(senders, 1);
    let made = |from: usize| calls.lock().expect("unpoisoned")[from..].to_vec();
    let before = made(0).len();
    let crowd: Vec<_> = (0..24)
        .map(|n| tokio::spawn(claims(three.apps[n % 3].base_url.clone(), sale.clone())))
        .collect();
    for one in crowd {
        one.await.expect("a page");
    }
    let all = made(before);
    assert!(all.len() >= 23, "{} pages", all.len());
    let others: Vec<_> = all.iter().filter(|(by, _)| *by != pacer).collect();
    assert!(others.is_empty(), "{others:?} besides {pacer}");
    // Each at a pace of its own, three would be done in a third of that.
    let took = all[all.len() - 1].1.since(all[0].1);
    assert!(took >= secs(24 / i64::from(PER_SECOND) - 2), "{took:?}");

    // Cut off, it loses its turn, and whoever has it next calls alone.
    three.ways[pacer].cut.send_replace(true);
    three
        .until("another has the turn", |three| {
            three.whose_turn("sandbox").is_some_and(|n| n != pacer)
        })
        .await;
    let next = three.whose_turn("sandbox").expect("one");
    let before = made(0).len();
    let at = |n: usize| three.apps[(pacer + n) % 3].base_url.clone();
    let crowd: Vec<_> = [1, 2, 1, 2].map(|n| tokio::spawn(claims(at(n), sale.clone()))).into();
    for one in crowd {
        one.await.expect("a page");
    }
    let all = made(before);
    assert!(!all.is_empty() && all.iter().all(|(by, _)| *by == next), "{all:?} besides {next}");
    three.ways[pacer].cut.send_replace(false);
    three.stop().await;
}
