//! The crash matrix: the program dies after its n-th commit or its n-th effect, for every n of a
//! sale that opens, sells, expires a hold, gets a late payment and closes. Whatever n, the sale
//! ends closed, settled and retired, and every state notice is said once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use livetill::{
    clock::{Clock, Timestamp},
    id::{EffectId, Entropy, HoldId, SaleId},
    platform::{Limits, Platform, Post, Reply, SayError},
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError,
    },
    reconcile::{Round, sweep},
    room::{Message, PlatformName, Room},
    sale::{
        Sale,
        effect::Effect,
        payment::PaymentFact,
        template::{Capabilities, Template},
    },
    shop::Shop,
    store::{
        Commit, Committed, Doc, DocChange, JournalLine, LeaseAsk, Leased, OldSale, OutboxCount,
        PageRef, ParkedEffect, Peers, PutOff, SaleLine, Seen, Store, StoreError, Work,
    },
    view::View,
};
use tokio::sync::Notify;

use crate::{
    database::Engine,
    world::{Browser, MUG, Seeded, Setup, World, mins},
};

/// Counts down to the crash; whoever brings it to zero never returns.
pub struct Fuse {
    left: AtomicI64,
    pub blown: Notify,
}

impl Fuse {
    pub fn new(left: i64) -> Arc<Self> {
        Arc::new(Self { left: AtomicI64::new(left), blown: Notify::new() })
    }

    fn is_blown(&self) -> bool {
        self.left.load(Ordering::SeqCst) <= 0
    }

    /// One more step was done: this may be the last.
    async fn step(&self) {
        if self.left.fetch_sub(1, Ordering::SeqCst) <= 1 {
            self.dead().await;
        }
    }

    /// Nothing happens any more after the crash.
    async fn alive(&self) {
        if self.is_blown() {
            self.dead().await;
        }
    }

    async fn dead(&self) {
        self.blown.notify_waiters();
        self.blown.notify_one();
        std::future::pending::<()>().await;
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    Commits,
    Effects,
}

struct FusedStore {
    inner: Arc<dyn Store>,
    fuse: Arc<Fuse>,
    counts: bool,
}

/// The whole `impl`, since an attribute cannot see through a macro inside it.
macro_rules! fused_store {
    ({ $($written:tt)* } $($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for FusedStore {
            $($written)*
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
                self.fuse.alive().await;
                self.inner.$name($($arg),*).await
            })*
        }
    };
}

fused_store! {
    {
        fn peers(&self) -> Option<&dyn Peers> {
            self.inner.peers()
        }

        async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
            self.fuse.alive().await;
            let committed = self.inner.commit(commit).await;
            if self.counts && matches!(committed, Ok(Committed::Applied)) {
                self.fuse.step().await;
            }
            committed
        }

        async fn put_docs(&self, docs: Vec<DocChange>) -> Result<bool, StoreError> {
            self.fuse.alive().await;
            let done = self.inner.put_docs(docs).await;
            if self.counts && matches!(done, Ok(true)) {
                self.fuse.step().await;
            }
            done
        }

        async fn lease(&self, ask: LeaseAsk) -> Result<Option<Leased>, StoreError> {
            self.fuse.alive().await;
            let leased = self.inner.lease(ask).await;
            if self.counts && matches!(leased, Ok(Some(_))) {
                self.fuse.step().await;
            }
            leased
        }

        async fn clear_archived(&self, sale: SaleId) -> Result<bool, StoreError> {
            self.fuse.alive().await;
            let cleared = self.inner.clear_archived(sale).await;
            if self.counts && matches!(cleared, Ok(true)) {
                self.fuse.step().await;
            }
            cleared
        }
    }
    load(sale: SaleId) -> Option<Sale>;
    hold_of(provider: &str, page: &PageRef) -> Option<HoldId>;
    sale_of_payment(provider: &str, payment: &str) -> Option<SaleId>;
    doc(kind: &str, id: &str) -> Option<Doc>;
    docs(kind: &str, parent: Option<&str>) -> Vec<Doc>;
    end_leases(target: &str, now: Timestamp) -> ();
    next_effect(target: &str) -> Option<Timestamp>;
    sales(limit: u32) -> Vec<SaleLine>;
    live_sales() -> Vec<SaleId>;
    sale_numbered(number: u32) -> Option<SaleId>;
    shop() -> Shop;
    secret(fresh: [u8; 32]) -> [u8; 32];
    shop_id() -> Option<String>;
    due_sales(now: Timestamp) -> Vec<SaleId>;
    next_wake() -> Option<Timestamp>;
    hear(seen: Seen, at: Timestamp) -> bool;
    forget(before: Timestamp) -> bool;
    postpone(put_off: PutOff) -> ();
    outbox() -> OutboxCount;
    parked() -> Vec<ParkedEffect>;
    work_of(sale: SaleId) -> Vec<Work>;
    retry(id: EffectId, now: Timestamp) -> bool;
    unmatched() -> Vec<(String, PaymentFact)>;
    journal(sale: SaleId) -> Vec<JournalLine>;
    old_sales(before: Timestamp, after: u32, limit: u32) -> Vec<OldSale>;
    archived() -> u64;
    books(sale: SaleId) -> Option<(Sale, Vec<JournalLine>)>;
}

struct FusedPlatform {
    inner: Arc<dyn Platform>,
    fuse: Arc<Fuse>,
    counts: bool,
}

#[async_trait]
impl Platform for FusedPlatform {
    fn name(&self) -> PlatformName {
        self.inner.name()
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.fuse.alive().await;
        let said = self.inner.announce(post).await;
        if self.counts {
            self.fuse.step().await;
        }
        said
    }

    fn limits(&self, room: &Room) -> Limits {
        self.inner.limits(room)
    }

    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.fuse.alive().await;
        self.inner.reply(to, reply).await
    }

    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        self.fuse.alive().await;
        self.inner.say(room, lines).await
    }

    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.fuse.alive().await;
        self.inner.show(room, view, line).await
    }
}

struct FusedProvider {
    inner: Arc<dyn Provider>,
    fuse: Arc<Fuse>,
    counts: bool,
}

#[async_trait]
impl Provider for FusedProvider {
    fn name(&self) -> &'static str {
        self.inner.name()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn accepts(&self, template: &Template) -> Result<(), String> {
        self.inner.accepts(template)
    }
    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> serde_json::Value {
        self.inner.frame(sale, effect, pages)
    }
    async fn perform(
        &self,
        effect: &Effect,
        body: &serde_json::Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        self.fuse.alive().await;
        let outcome = self.inner.perform(effect, body, call).await;
        if self.counts && outcome.is_ok() {
            self.fuse.step().await;
        }
        outcome
    }
    fn calls(&self, effect: &Effect) -> u32 {
        self.inner.calls(effect)
    }
    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        self.fuse.alive().await;
        self.inner.status(ask).await
    }
    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        self.inner.verify(webhook, now)
    }
    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        self.inner.parse(webhook)
    }
    async fn confirm(&self, delivery: Delivery) -> Result<Delivery, ProviderError> {
        self.fuse.alive().await;
        self.inner.confirm(delivery).await
    }
    async fn forget(&self, sale: SaleId) -> Result<bool, ProviderError> {
        self.fuse.alive().await;
        self.inner.forget(sale).await
    }
    fn checkout_hosts(&self) -> Vec<String> {
        self.inner.checkout_hosts()
    }
}

/// What has been done so far by the people around; they remember it over crashes.
#[derive(Default)]
struct People {
    started: bool,
    ana: Option<Browser>,
    bo: Option<Browser>,
    ana_paid: bool,
    bo_paid_late: bool,
    bo_gone_at: Option<Timestamp>,
    cy_place: Option<Browser>,
    cy: Option<Browser>,
    cy_paid: bool,
}

/// How the evening goes on after Bo's time ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    /// Nobody takes his unit; he pays after all, and it is kept. The clock ends the sale.
    Kept,
    /// Cy waited in line for it, takes and pays it: sold out. Bo pays after all, and is refunded.
    Refunded,
}

/// Two units. Ana pays; Bo's time runs out and he pays all the same, on a page that the provider
/// said was closed.
async fn evening(world: &mut World, people: &mut People, story: Story) {
    if !people.started {
        // A moderator who got no answer looks, and types again.
        if world.app.engine.views().all().is_empty() {
            world.says_quietly("!sale start mug 10m").await;
        }
        people.started = true;
    }
    world.settle().await;
    if world.app.engine.views().all().is_empty() {
        world.says_quietly("!sale start mug 10m").await;
    }
    come(world, "ana", &mut people.ana).await;
    come(world, "bo", &mut people.bo).await;
    if !people.ana_paid && people.ana.is_some() {
        people.ana_paid = world.pay_now("ana").await;
    }
    if story == Story::Refunded {
        wait_in_line(world, "cy", &mut people.cy_place).await;
    }
    let gone_at = *people.bo_gone_at.get_or_insert(world.clock.now() + mins(4));
    let left = gone_at.since(world.clock.now());
    world.advance(left).await;
    if story == Story::Refunded {
        take_offer(world, people).await;
        if !people.cy_paid && people.cy.is_some() {
            people.cy_paid = world.pay_now("cy").await;
        }
        world.advance(mins(1)).await;
    }
    if !people.bo_paid_late && people.bo.is_some() {
        people.bo_paid_late = world.pay_now("bo").await;
    }
    world.advance(mins(15)).await;
    world.runs_out().await;
    sweep(&world.app.engine, Round::All).await.expect("asks");
    world.runs_out().await;
}

/// Somebody claims, unless they did before the crash.
async fn come(world: &mut World, name: &str, slot: &mut Option<Browser>) {
    if let Some(browser) = slot {
        world.browsers.insert(name.to_owned(), browser.clone());
        return;
    }
    world.clicks(name).await;
    let browser = world.browser(name);
    if browser.at.as_ref().is_some_and(|at| at.contains("/sandbox/pay/")) {
        *slot = Some(browser);
    }
}

/// Somebody joins the line, unless they did before the crash.
async fn wait_in_line(world: &mut World, name: &str, slot: &mut Option<Browser>) {
    if let Some(browser) = slot {
        world.browsers.insert(name.to_owned(), browser.clone());
        return;
    }
    let url = world.url(&format!("/sales/{}/line", world.newest().id));
    if world.posts(name, &url, &[]).await.status == 303 {
        *slot = Some(world.browser(name));
    }
}

/// Cy takes what came free, unless she did before the crash.
async fn take_offer(world: &mut World, people: &mut People) {
    if let Some(browser) = &people.cy {
        world.browsers.insert("cy".to_owned(), browser.clone());
        return;
    }
    let Some(place) = people.cy_place.as_ref().and_then(|browser| browser.at.clone()) else {
        return;
    };
    let url = world.url(&format!("{place}/accept"));
    world.posts("cy", &url, &[]).await;
    let browser = world.browser("cy");
    if browser.at.as_ref().is_some_and(|at| at.contains("/sandbox/pay/")) {
        people.cy = Some(browser);
    }
}

/// How one life of the program ended.
enum Life {
    Crashed,
    Finished,
}

pub fn setup(config: &str, count: Count, fuse: &Arc<Fuse>, base: &Setup) -> Setup {
    let (store_fuse, provider_fuse) = (fuse.clone(), fuse.clone());
    let platform_fuse = fuse.clone();
    Setup {
        config: config.to_owned(),
        dir: base.dir.clone(),
        database: base.database.clone(),
        clock: base.clock.clone(),
        seed: base.seed,
        lines: base.lines.clone(),
        platforms: Vec::new(),
        wrap_store: Arc::new(move |inner| {
            let fuse = store_fuse.clone();
            Arc::new(FusedStore { inner, fuse, counts: count == Count::Commits })
        }),
        wrap: Arc::new(move |inner| {
            let fuse = provider_fuse.clone();
            Arc::new(FusedProvider { inner, fuse, counts: count == Count::Effects })
        }),
        wrap_platform: Arc::new(move |inner| {
            let fuse = platform_fuse.clone();
            Arc::new(FusedPlatform { inner, fuse, counts: count == Count::Effects })
        }),
    }
}

/// One life in a runtime of its own, so that nothing of it survives.
fn live(setup: &Setup, fuse: &Arc<Fuse>, people: &mut People, story: Story) -> Life {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let life = runtime.block_on(async {
        let blown = fuse.blown.notified();
        tokio::pin!(blown);
        blown.as_mut().enable();
        tokio::select! {
            () = async {
                let mut world = World::build(setup).await;
                evening(&mut world, people, story).await;
                world.app.stop().await;
            } => Life::Finished,
            () = blown => Life::Crashed,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    life
}

const TWO: &str = "\n[providers.sandbox]\ncalls_per_second = 100000\n[providers.sandbox.faults]\n\
                   close_ignored = 1.0\nwebhook_doubled = 0.5\n";

fn config() -> String {
    MUG.replace("stock = 3", "stock = 2").replace("warm = 0", "warm = 1") + TWO
}

/// Runs the evening with a crash after `n` steps; answers whether the crash came at all.
fn crash_after(n: i64, count: Count, story: Story) -> bool {
    crash_on(Engine::of_worlds(), n, count, story)
}

fn crash_on(engine: Engine, n: i64, count: Count, story: Story) -> bool {
    let base = Setup::on(engine, &config());
    let fuse = Fuse::new(n);
    let mut people = People::default();
    let first = setup(&config(), count, &fuse, &base);
    let crashed = matches!(live(&first, &fuse, &mut people, story), Life::Crashed);
    let said_before = base.lines.lock().expect("unpoisoned").len();
    if crashed {
        // The dead process takes its lease with it only as time passes, as in real life.
        base.clock.advance(livetill::clock::Span::from_millis(50));
        let forever = Fuse::new(i64::MAX);
        let second = setup(&config(), count, &forever, &base);
        // Who was in the middle of something tries again.
        assert!(
            matches!(live(&second, &forever, &mut people, story), Life::Finished),
            "{count:?} {n}"
        );
    }
    judge(&base, n, count, said_before, (crashed, story));
    crashed
}

fn judge(base: &Setup, n: i64, count: Count, said_before: usize, (crashed, story): (bool, Story)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let world = World::build(&Setup {
            config: config(),
            dir: base.dir.clone(),
            database: base.database.clone(),
            clock: base.clock.clone(),
            seed: 99,
            lines: Arc::default(),
            platforms: Vec::new(),
            wrap_store: Arc::new(|store| store),
            wrap: Arc::new(|provider| provider),
            wrap_platform: Arc::new(|platform| platform),
        })
        .await;
        let what = format!("crash after {n} {count:?}");
        let (rest, parked) = world.app.at_rest().await.expect("the store");
        assert!(rest && parked == 0, "{what}: something is left to do ({parked} parked)");
        let sales = world.app.engine.views().all();
        assert_eq!(sales.len(), 1, "{what}: one sale");
        assert!(sales[0].closed, "{what}: {:?}", sales[0]);
        if !crashed && story == Story::Refunded {
            assert_eq!(sales[0].state.word(), "sold_out", "Cy waited, was offered one, and paid");
        }
        world.proves().await;
        assert_eq!(world.app.sandbox.left_behind().await, Ok(vec![]), "{what}");
        world.app.stop().await;
    });
    drop(runtime);
    // Each life has a port of its own; everything else must be the same to the letter.
    let said: Vec<String> = base.lines.lock().expect("unpoisoned").clone();
    let said: Vec<String> =
        said.iter().map(|line| line.split("http://").next().expect("a part").to_owned()).collect();
    for word in ["SALE OPEN", "ENDED", "SOLD OUT", "CANCELLED"] {
        let lines: Vec<(usize, &String)> =
            said.iter().enumerate().filter(|(_, line)| line.starts_with(word)).collect();
        let repeated = lines.len() == 2
            && crashed
            && lines[0].1 == lines[1].1
            && lines[0].0 + 1 == said_before
            && lines[1].0 >= said_before;
        assert!(lines.len() <= 1 || repeated, "crash after {n} {count:?}: {said:#?}");
    }
    let ended =
        said.iter().filter(|line| ["ENDED", "SOLD OUT"].iter().any(|word| line.starts_with(word)));
    assert!(ended.count() >= 1, "crash after {n} {count:?}: no end notice in {said:#?}");
}

fn whole_matrix(count: Count, story: Story, at_least: i64) {
    let mut n = 1;
    // Several at once: each is mostly waiting.
    loop {
        let threads: Vec<_> =
            (n..n + 4).map(|n| std::thread::spawn(move || crash_after(n, count, story))).collect();
        let crashed: Vec<bool> =
            threads.into_iter().map(|thread| thread.join().expect("the matrix holds")).collect();
        n += 4;
        if crashed.iter().any(|crashed| !crashed) {
            break;
        }
    }
    assert!(n > at_least, "the evening has more steps than {n}");
    println!("crash matrix over {count:?}, {story:?}: about {n} steps");
}

#[test]
fn a_sample_of_it_holds_on_postgres() {
    let random = Seeded::new(5);
    let mut crashes = 0;
    for (count, steps) in [(Count::Commits, 40), (Count::Effects, 12)] {
        for story in [Story::Kept, Story::Refunded] {
            for _ in 0..3 {
                let n = 1 + i64::from(random.bytes()[0]) % steps;
                crashes += i32::from(crash_on(Engine::Postgres, n, count, story));
            }
        }
    }
    assert!(crashes >= 8, "{crashes}");
}

#[test]
fn every_commit_may_be_the_last() {
    whole_matrix(Count::Commits, Story::Kept, 32);
}

#[test]
fn every_commit_may_be_the_last_before_a_refund() {
    whole_matrix(Count::Commits, Story::Refunded, 40);
}

#[test]
fn every_effect_may_be_the_last() {
    whole_matrix(Count::Effects, Story::Kept, 8);
}

#[test]
fn every_effect_may_be_the_last_before_a_refund() {
    whole_matrix(Count::Effects, Story::Refunded, 12);
}
