//! A crowd at the door: the whole program with its own loops and the real clock. Nothing here
//! asserts how long anything takes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use livetill::{
    app::{App, Outside},
    clock::SystemClock,
    config,
    id::SystemEntropy,
    platform::console::{Console, message},
    report::prove,
    store::{self, Access},
    view::View,
};
use tokio::net::TcpListener;

use crate::{
    books,
    database::{Database, Engine},
    world::{Browser, PATIENCE, client, crypto},
};

struct Live {
    app: Arc<App>,
    _database: Database,
    _dir: tempfile::TempDir,
}

impl Live {
    async fn new(text: &str) -> Self {
        crypto();
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).expect("written");
        let loaded = config::load(&path, &std::collections::HashMap::new()).expect("a config");
        let database = Database::new(Engine::of_worlds(), dir.path());
        let mut app = App::build(
            &loaded,
            Outside {
                clock: Arc::new(SystemClock),
                entropy: Arc::new(SystemEntropy),
                store: Arc::new(store::open(database.url(), Access::Write).await.expect("a store")),
                listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
                platforms: vec![Console::new(|_| {})],
                wrap: Arc::new(|provider| provider),
            },
        )
        .await
        .expect("an app");
        app.serve().await.expect("serves");
        app.run();
        Self { app: Arc::new(app), _database: database, _dir: dir }
    }

    async fn start(&self, line: &str) -> Arc<View> {
        self.app.hear(&message("start".into(), line)).await;
        self.until(|view| view.state.word() == "open").await
    }

    async fn until(&self, fits: impl Fn(&View) -> bool) -> Arc<View> {
        let mut bell = self.app.engine.views().bell();
        let wait = async {
            loop {
                let newest = self.app.engine.views().all().into_iter().next();
                if let Some(view) = newest.filter(|view| fits(view)) {
                    return view;
                }
                bell.changed().await.expect("the engine lives");
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it comes to that")
    }

    async fn proves(&self) {
        let view = self.until(|view| view.closed).await;
        let store = self.app.engine.store();
        let sale = store.load(view.id).await.expect("the store").expect("the sale");
        let proof = prove(&sale, &store.journal(view.id).await.expect("the store"));
        assert_eq!((proof.oversold, &proof.wrong), (0, &Vec::new()));
        assert!(proof.taken_max <= sale.head.stock);
        books::agree_with_sandbox(self.app.engine.store()).await;
        self.app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_claims_for_twenty_units_with_webhooks_gone_wild() {
    let live = Live::new(
        "[providers.sandbox]\ncalls_per_second = 1000\n\
         [providers.sandbox.faults]\nwebhook_dropped = 0.2\nwebhook_doubled = 0.3\n\
         webhook_late_ms = 1500\n\
         [templates.mug]\nprice = \"18.00\"\nstock = 20\nwarm = 5\nhold = \"10m\"\n",
    )
    .await;
    let view = live.start("!sale start mug 20m").await;
    let base = live.app.base_url.clone();
    let (shared, mut tasks) = (client(), Vec::new());
    for n in 0..500_u32 {
        let base = base.clone();
        let (id, shared) = (view.id, shared.clone());
        tasks.push(tokio::spawn(async move {
            let mut browser = Browser::of(&shared);
            if n % 5 == 0 {
                // A preview agent looks, and looking makes no hold.
                let request = shared.head(format!("{base}/live"));
                let request = request.header("user-agent", "Discordbot/2.0");
                Browser::of(&shared).send(request).await;
            }
            let answer = browser.post(&format!("{base}/sales/{id}/holds"), &[]).await;
            if answer.status != 303 {
                return ("refused", answer.status, answer.text);
            }
            let mut at = answer.location.expect("sent on");
            let mut looks = 0;
            while !at.contains("/sandbox/pay/") {
                looks += 1;
                assert!(looks < 1200, "no page came");
                // In line: the buyer's own page leads on.
                tokio::time::sleep(Duration::from_millis(100)).await;
                let page = browser.get(&format!("{base}{at}")).await.text;
                if let Some(pay) = page.split("class=\"button\" href=\"").nth(1) {
                    pay.split('"').next().expect("an address").clone_into(&mut at);
                }
            }
            let paid = browser.post(&at, &[("do", "pay")]).await;
            ("paid", paid.status, String::new())
        }));
    }
    let mut counts: BTreeMap<(&str, u16), u32> = BTreeMap::new();
    for task in tasks {
        let (what, status, text) = task.await.expect("no panic");
        if what == "refused" {
            assert_eq!(status, 409, "{text}");
            assert!(text.contains("all held") || text.contains("sold out"), "{text}");
        }
        *counts.entry((what, status)).or_default() += 1;
    }
    assert_eq!(counts.get(&("paid", 303)), Some(&20), "{counts:?}");
    assert_eq!(counts.get(&("refused", 409)), Some(&480), "{counts:?}");
    let view = live.until(|view| view.state.is_over()).await;
    assert_eq!((view.state.word(), view.paid), ("sold_out", 20));
    live.proves().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_above_the_providers_pace_waits_in_line_and_nobody_is_dropped() {
    let live = Live::new(
        "[providers.sandbox]\ncalls_per_second = 8\n\
         [templates.mug]\nprice = \"18.00\"\nstock = 40\nwarm = 0\nhold = \"10m\"\n",
    )
    .await;
    let view = live.start("!sale start mug 20m").await;
    let base = live.app.base_url.clone();
    let (shared, mut tasks) = (client(), Vec::new());
    for _ in 0..40_u32 {
        let base = base.clone();
        let (id, shared) = (view.id, shared.clone());
        tasks.push(tokio::spawn(async move {
            let mut browser = Browser::of(&shared);
            let answer = browser.post(&format!("{base}/sales/{id}/holds"), &[]).await;
            assert_eq!(answer.status, 303);
            let mut at = answer.location.expect("sent on");
            let mut places = Vec::new();
            let mut looks = 0;
            while !at.contains("/sandbox/pay/") {
                looks += 1;
                assert!(looks < 1200, "no page came");
                let page = browser.get(&format!("{base}{at}")).await.text;
                if let Some(n) = page.split(" buyers are ahead of you").next().and_then(|before| {
                    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok()
                }) {
                    places.push(n);
                }
                match page.split("class=\"button\" href=\"").nth(1) {
                    Some(pay) => pay.split('"').next().expect("one").clone_into(&mut at),
                    None => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
            let shown = browser.get(&at).await;
            assert!(
                shown.status == 200 && shown.text.contains("<button"),
                "a page that can be paid"
            );
            // An honest place only ever gets better.
            assert!(places.windows(2).all(|two| two[1] <= two[0]), "{places:?}");
            (browser.post(&at, &[("do", "pay")]).await.status, places.len())
        }));
    }
    let mut waited = 0;
    for task in tasks {
        let (status, places) = task.await.expect("no panic");
        assert_eq!(status, 303);
        waited += usize::from(places > 0);
    }
    assert!(waited > 0, "somebody saw their place");
    let view = live.until(|view| view.state.is_over()).await;
    assert_eq!((view.state.word(), view.paid), ("sold_out", 40));
    live.proves().await;
}
