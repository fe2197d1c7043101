//! An engine on a database of its own, and a sale in it as the model of the rules left it.

use std::{
    collections::{BTreeMap, VecDeque},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use tempfile::TempDir;

use crate::{
    clock::{Clock, Span, Timestamp},
    engine::{Engine, Origin, Parts, TellError, Told, say_target},
    id::{EffectId, Entropy, HoldId, SaleId},
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, Whose,
    },
    sale::{
        Head, Sale,
        effect::Effect,
        event::Event,
        payment::PaymentFact,
        template::{Capabilities, Template},
        tests::play::{Play, capabilities},
    },
    shop::Shop,
    store::{
        Access, Commit, Committed, Doc, DocChange, JournalLine, LeaseAsk, Leased, OldSale,
        OutboxCount, PageRef, ParkedEffect, PutOff, QueuedEffect, SaleChange, SaleLine, Seen,
        Store, StoreError, Work, open,
    },
};

/// A clock that stands still until it is moved; whoever may wait moves it.
pub(crate) struct Still(AtomicI64, AtomicBool);

impl Still {
    pub(crate) fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.millis()), AtomicBool::new(false))
    }
}

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        if self.1.load(Ordering::SeqCst) {
            return Box::pin(std::future::pending());
        }
        self.0.fetch_max(until.millis(), Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// Random numbers that are the same every time.
#[derive(Default)]
pub(crate) struct Counted(AtomicU64);

impl Entropy for Counted {
    fn bytes(&self) -> [u8; 16] {
        let n = self.0.fetch_add(1, Ordering::SeqCst);
        u128::from(n).to_be_bytes()
    }
}

struct Nowhere;

impl ReturnPages for Nowhere {
    fn hold_page(&self, hold: HoldId) -> String {
        format!("/holds/{hold}")
    }

    fn sale_page(&self, sale: SaleId) -> String {
        format!("/sales/{sale}")
    }
}

/// A provider that says what it is told to, and remembers what it was asked.
#[derive(Default)]
pub(crate) struct Stub {
    pub(crate) answers: Mutex<VecDeque<Result<Outcome, ProviderError>>>,
    pub(crate) calls: Mutex<Vec<Call>>,
    pub(crate) idempotent: bool,
    pub(crate) asked_whose: AtomicU32,
    pub(crate) whose: Mutex<Option<HoldId>>,
    /// Calls that each effect takes beyond one.
    pub(crate) more_calls: u32,
    /// Whether its answers never come.
    pub(crate) is_stuck: AtomicBool,
    /// Whether it answers questions about its state.
    pub(crate) is_away: AtomicBool,
    /// What it says next when it is to forget a sale; then, that nothing is left.
    pub(crate) forgets: Mutex<VecDeque<Result<bool, ProviderError>>>,
}

#[async_trait]
impl Provider for Stub {
    fn name(&self) -> &'static str {
        "model"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { idempotent: self.idempotent, ..capabilities() }
    }

    fn accepts(&self, _: &Template) -> Result<(), String> {
        Ok(())
    }

    fn frame(&self, _: &Sale, _: &Effect, _: &dyn ReturnPages) -> serde_json::Value {
        serde_json::Value::Null
    }

    async fn perform(
        &self,
        _: &Effect,
        _: &serde_json::Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        self.calls.lock().expect("unpoisoned").push(call.clone());
        if self.is_stuck.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.answers.lock().expect("unpoisoned").pop_front().expect("an answer")
    }

    fn calls(&self, _: &Effect) -> u32 {
        1 + self.more_calls
    }

    async fn status(&self, _: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        match self.is_away.load(Ordering::SeqCst) {
            true => Err(ProviderError::Retry { says: "away".to_owned(), after: None }),
            false => Ok(Vec::new()),
        }
    }

    fn verify(&self, _: &Webhook, _: Timestamp) -> Result<Verified, WebhookError> {
        Err(WebhookError::Signature)
    }

    fn parse(&self, _: &Verified) -> Result<Delivery, WebhookError> {
        Err(WebhookError::Signature)
    }

    async fn whose(&self, _: &PaymentFact) -> Result<Whose, ProviderError> {
        self.asked_whose.fetch_add(1, Ordering::SeqCst);
        Ok(self.whose.lock().expect("unpoisoned").map_or(Whose::Unknown, Whose::Ours))
    }

    async fn forget(&self, _: SaleId) -> Result<bool, ProviderError> {
        self.forgets.lock().expect("unpoisoned").pop_front().unwrap_or(Ok(false))
    }

    fn checkout_hosts(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A store that loses some commits: nothing of them is written.
pub(crate) struct Lossy {
    inner: Arc<dyn Store>,
    /// So many of the next commits fail.
    pub(crate) fails: AtomicU32,
    /// So many were asked for.
    pub(crate) commits: AtomicU32,
    /// The number of a sale that cannot be read.
    pub(crate) damaged: AtomicU32,
    /// What was asked, by the name of the call.
    pub(crate) asked: Mutex<Vec<&'static str>>,
    /// What happens right after a call of that name was answered, once.
    pub(crate) meanwhile: Mutex<Option<(&'static str, Meanwhile)>>,
}

type Meanwhile = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Lossy {
    fn new(inner: Arc<dyn Store>) -> Self {
        let (fails, commits, damaged) = (AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0));
        Self {
            inner,
            fails,
            commits,
            damaged,
            asked: Mutex::default(),
            meanwhile: Mutex::default(),
        }
    }

    /// How often a call was made.
    pub(crate) fn times(&self, call: &str) -> usize {
        self.asked.lock().expect("unpoisoned").iter().filter(|name| **name == call).count()
    }

    async fn answered(&self, call: &'static str) {
        self.asked.lock().expect("unpoisoned").push(call);
        let now = self.meanwhile.lock().expect("unpoisoned").take_if(|(name, _)| *name == call);
        if let Some((_, work)) = now {
            work.await;
        }
    }
}

/// The whole `impl`, since an attribute cannot see through a macro inside it.
macro_rules! lossy {
    ($($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Lossy {
            async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
                self.commits.fetch_add(1, Ordering::SeqCst);
                let less = |n: u32| n.checked_sub(1);
                if self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
                    return Err(StoreError::Away("lost".to_owned()));
                }
                self.inner.commit(commit).await
            }

            async fn old_sales(
                &self,
                before: Timestamp,
                after: u32,
                limit: u32,
            ) -> Result<Vec<OldSale>, StoreError> {
                let mut sales = self.inner.old_sales(before, after, limit).await?;
                let damaged = self.damaged.load(Ordering::SeqCst);
                for (_, line) in sales.iter_mut().filter(|(number, _)| *number == damaged) {
                    let (table, id, what) = ("sale", damaged.to_string(), "nonsense".to_owned());
                    *line = Err(StoreError::Damaged { table, id, what });
                }
                self.answered("old_sales").await;
                Ok(sales)
            }

            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, StoreError> {
                let answer = self.inner.$name($($arg),*).await;
                self.answered(stringify!($name)).await;
                answer
            })*
        }
    };
}

lossy! {
    load(sale: SaleId) -> Option<Sale>;
    hold_of(provider: &str, page: &PageRef) -> Option<HoldId>;
    sale_of_payment(provider: &str, payment: &str) -> Option<SaleId>;
    doc(kind: &str, id: &str) -> Option<Doc>;
    docs(kind: &str, parent: Option<&str>) -> Vec<Doc>;
    put_docs(docs: Vec<DocChange>) -> bool;
    lease(ask: LeaseAsk) -> Option<Leased>;
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
    archived() -> u64;
    clear_archived(sale: SaleId) -> bool;
    journal(sale: SaleId) -> Vec<JournalLine>;
    books(sale: SaleId) -> Option<(Sale, Vec<JournalLine>)>;
}

/// An engine, and what it stands on.
pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) store: Arc<Lossy>,
    pub(crate) clock: Arc<Still>,
    pub(crate) stub: Arc<Stub>,
    pub(crate) sale: SaleId,
    _dir: TempDir,
}

impl Bench {
    /// With a sale as it stands on the table, and the effects that wait there.
    pub(crate) async fn new(play: &Play) -> Self {
        Self::with(play, Stub::default()).await
    }

    pub(crate) async fn with(play: &Play, stub: Stub) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("x.db").display());
        let inner = Arc::new(open(&url, Access::Write).await.expect("a store"));
        inner.secret([1; 32]).await.expect("made");
        let store = Arc::new(Lossy::new(inner));
        put(&*store, play).await;
        let clock = Arc::new(Still::at(play.now));
        let stub = Arc::new(stub);
        let engine = engine(&store, &clock, &stub);
        Self { engine, store, clock, stub, sale: play.sale.head.id, _dir: dir }
    }

    /// Another program on the same store: the same one after a restart.
    pub(crate) fn another(&self) -> Engine {
        engine(&self.store, &self.clock, &self.stub)
    }

    /// Another sale beside it.
    pub(crate) async fn also(&self, play: &Play) {
        put(&*self.store.inner, play).await;
    }

    /// From now on no sleep ends: time passes by [`Bench::pass`] alone.
    pub(crate) fn nobody_wakes(&self) {
        self.clock.1.store(true, Ordering::SeqCst);
    }

    pub(crate) fn pass(&self, span: Span) {
        self.clock.0.fetch_add(span.millis(), Ordering::SeqCst);
    }

    pub(crate) async fn tell(&self, event: Event, origin: Origin) -> Result<Told, TellError> {
        self.engine.tell(self.sale, event, "test", origin).await
    }

    /// How many lines its journal has.
    pub(crate) async fn lines(&self) -> usize {
        self.store.journal(self.sale).await.expect("reads").len()
    }

    /// Takes a piece of the provider's work, if one is due.
    pub(crate) async fn lease(&self, token: &str) -> Option<Leased> {
        let now = self.clock.now();
        let until = now + Span::from_secs(30);
        let (target, token) = ("model".to_owned(), token.to_owned());
        let ask = LeaseAsk { target, now, until, token, first: None };
        self.store.lease(ask).await.expect("reads")
    }

    /// The sale as it is on disk.
    pub(crate) async fn stored(&self) -> Sale {
        self.store.load(self.sale).await.expect("reads").expect("is there")
    }
}

fn engine(store: &Arc<Lossy>, clock: &Arc<Still>, stub: &Arc<Stub>) -> Engine {
    let providers: BTreeMap<String, Arc<dyn Provider>> =
        [("model".to_owned(), stub.clone() as Arc<dyn Provider>)].into();
    Engine::new(Parts {
        store: store.clone(),
        clock: clock.clone(),
        entropy: Arc::new(Counted::default()),
        providers,
        pages: Arc::new(Nowhere),
        link: "LINK".to_owned(),
    })
}

/// Stores a sale: how it began, and the rest of it with its work.
async fn put(store: &dyn Store, play: &Play) {
    let first = play.journal.first().expect("it began");
    let head = Head { revision: first.revision, ..play.sale.head.clone() };
    let began = SaleChange {
        head,
        expected: None,
        wake_at: None,
        holds: Vec::new(),
        pages: Vec::new(),
        payments: Vec::new(),
        journal: vec![first.clone()],
    };
    let begins = Commit { sale: Some(began), at: play.now, ..Commit::default() };
    for commit in [begins, the_rest(play, first.revision)] {
        assert_eq!(store.commit(commit).await.expect("writes"), Committed::Applied);
    }
}

fn the_rest(play: &Play, began: u64) -> Commit {
    let sale = &play.sale;
    let head = &sale.head;
    let pages = sale.holds().flat_map(|hold| {
        hold.checkouts.iter().map(|page| (hold.id, page.id.clone(), page.order.clone()))
    });
    let effects = play.todo.iter().enumerate().map(|(n, (effect, at))| QueuedEffect {
        id: EffectId::of_sale(head.id, head.revision, n),
        sale: head.id,
        lane: effect.lane(head.id),
        target: match effect {
            Effect::Announce { room, .. } => say_target(room.platform.as_str()),
            _ => head.template.provider.clone(),
        },
        class: sale.class_of(effect),
        due_at: *at,
        queued_at: head.last_at,
        effect: effect.clone(),
        body: serde_json::Value::Null,
    });
    Commit {
        effects: effects.collect(),
        sale: Some(SaleChange {
            head: head.clone(),
            expected: Some(began),
            wake_at: sale.next_deadline(),
            holds: sale.holds().cloned().map(Arc::new).collect(),
            pages: pages.collect(),
            payments: sale.payments().cloned().collect(),
            journal: play.journal[1..].to_vec(),
        }),
        at: play.now,
        ..Commit::default()
    }
}

pub(crate) fn seen(id: &str) -> Seen {
    Seen { source: "test".into(), id: id.into() }
}

/// Something that counts once.
pub(crate) fn once(id: &str) -> Origin {
    Origin::Seen(seen(id))
}
