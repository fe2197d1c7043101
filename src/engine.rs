//! Takes what happened, has it decided, commits, and answers. The only caller of `decide`.
//!
//! One mailbox per sale: everything that waits for a sale is decided in turn and committed
//! together. The engine knows no platform and no page; effects are somebody else's to carry out.

mod archive;
mod fold;
pub mod given_up;
mod handover;
mod honest;
mod intake;
mod mailbox;
pub mod standing;
mod start;
#[cfg(test)]
pub(crate) mod tests;
mod views;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use tokio::sync::{Notify, mpsc, oneshot, watch};

pub(crate) use self::fold::say_target;
use self::standing::Standing;
pub use self::{archive::Archival, start::StartOrder, views::Views};
use crate::{
    clock::{Clock, Timestamp},
    id::{EffectId, Entropy, HoldId, SaleId},
    provider::{Provider, ReturnPages},
    sale::{Sale, event::Event, refusal::Refusal},
    shop::Shop,
    store::{Commit, Committed, Seen, Store, StoreError},
    view::View,
};

/// Letters that may wait for one sale; more are turned away with "busy".
const LETTERS_MAX: usize = 16_384;

/// How often a commit is decided anew when somebody else was first.
const TRIES_MAX: u32 = 16;

/// Everything the engine needs, handed in by the wiring.
pub struct Parts {
    /// Where sales live.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Providers by name.
    pub providers: BTreeMap<String, Arc<dyn Provider>>,
    /// Where buyers return to.
    pub pages: Arc<dyn ReturnPages>,
    /// The address posted in chat.
    pub link: String,
}

/// A handle to the engine; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    parts: Parts,
    boxes: Mutex<HashMap<SaleId, mpsc::Sender<Letter>>>,
    views: Views,
    /// Counts up when effects were queued or done.
    work: watch::Sender<u64>,
    /// Rung when a deadline came nearer.
    wake: Notify,
    /// The nearest deadline the timer knows, in milliseconds.
    earliest: AtomicI64,
    /// Rung when the shop's row changed.
    shop_bell: Notify,
    /// Serialises changes of the shop's row in this process.
    shop: tokio::sync::Mutex<()>,
    /// Whether payments wait for their sale.
    unmatched: AtomicBool,
    /// Pages and orders of those, as far as this program heard of them; and when it was asked last
    /// whose a payment is.
    strays: Mutex<intake::Strays>,
    /// Providers that said something changed in what they list.
    changed: Mutex<BTreeSet<String>>,
    /// How we stand among the programs that share our store.
    standing: Standing,
}

/// What caused an event, so that it counts once.
#[derive(Clone, Debug)]
pub enum Origin {
    /// Nothing to remember: repeating it does no harm.
    Any,
    /// A message or webhook with an id of its own.
    Seen(Seen),
    /// The outcome of an effect.
    Effect(EffectId, String),
    /// An effect given up, and why.
    Parked(EffectId, String, String),
}

/// The answer to an event that was committed.
#[derive(Clone, Debug)]
pub struct Told {
    /// The hold a claim got.
    pub hold: Option<HoldId>,
    /// Its payment page, if it has one already.
    pub page: Option<String>,
    /// The sale as it is now.
    pub view: Arc<View>,
}

/// Why an event was not taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TellError {
    /// No, and why: an answer for a person.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// It was taken before.
    #[error("it was taken before")]
    Duplicate,
    /// There is no such sale.
    #[error("there is no such sale")]
    Unknown,
    /// Too much waits already.
    #[error("too much waits already")]
    Busy,
    /// It broke a rule of the program itself; it is set aside in the journal.
    #[error("set aside: {0}")]
    Quarantined(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub(super) type Reply = Result<Told, TellError>;
type Look = Box<dyn FnOnce(Result<&Sale, TellError>) + Send>;

/// Something for one sale's mailbox.
enum Letter {
    /// Something happened.
    Event { event: Arc<Event>, by: String, origin: Origin, reply: oneshot::Sender<Reply> },
    /// Somebody wants to look.
    Look(Look),
}

impl Engine {
    /// A new engine over its parts. Starts nothing by itself.
    pub fn new(parts: Parts) -> Self {
        let inner = Inner {
            parts,
            boxes: Mutex::default(),
            views: Views::default(),
            work: watch::Sender::new(0),
            wake: Notify::new(),
            earliest: AtomicI64::new(i64::MAX),
            shop_bell: Notify::new(),
            shop: tokio::sync::Mutex::default(),
            unmatched: AtomicBool::new(true),
            strays: Mutex::default(),
            standing: Standing::default(),
            changed: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Tells a sale what happened; answers once it is on disk.
    ///
    /// # Errors
    /// See [`TellError`]; nothing has changed then.
    pub async fn tell(&self, sale: SaleId, event: Event, by: &str, origin: Origin) -> Reply {
        let (reply, answer) = oneshot::channel();
        let by = by.to_owned();
        self.post(sale, Letter::Event { event: Arc::new(event), by, origin, reply })?;
        // The mailbox went down with its task: nothing was committed for us.
        answer.await.unwrap_or(Err(TellError::Busy))
    }

    /// Looks at a sale as it is now.
    ///
    /// # Errors
    /// If there is no such sale, or it cannot be loaded.
    pub async fn look<T: Send + 'static>(
        &self,
        sale: SaleId,
        look: impl FnOnce(&Sale) -> T + Send + 'static,
    ) -> Result<T, TellError> {
        let (reply, answer) = oneshot::channel();
        let look = Box::new(move |sale: Result<&Sale, TellError>| {
            // Whoever asked may be gone.
            let _ = reply.send(sale.map(look));
        });
        self.post(sale, Letter::Look(look))?;
        answer.await.unwrap_or(Err(TellError::Busy))
    }

    /// Has a sale loaded and shown, if what is shown is older than `revision`.
    pub(crate) fn newer(&self, sale: SaleId, revision: u64) {
        let known = self.views().get(sale).is_some_and(|view| view.revision >= revision);
        let look = Box::new(|_: Result<&Sale, TellError>| {});
        if !known && let Err(error) = self.post(sale, Letter::Look(look)) {
            tracing::warn!(%error, %sale, "a sale changed elsewhere and could not be looked at");
        }
    }

    fn post(&self, sale: SaleId, letter: Letter) -> Result<(), TellError> {
        let mut boxes = self.inner.boxes.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = boxes.entry(sale).or_insert_with(|| mailbox::open(self, sale));
        match sender.try_send(letter) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Full(_)) => Err(TellError::Busy),
            // Its task died; the next letter opens a new one.
            Err(mpsc::error::TrySendError::Closed(_)) => {
                boxes.remove(&sale);
                Err(TellError::Busy)
            }
        }
    }

    /// Changes the shop's row by a pure function; `None` from it changes nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn shop_change<T>(
        &self,
        change: impl FnMut(&Shop, Timestamp) -> Option<(Shop, T)>,
    ) -> Result<Option<T>, TellError> {
        self.shop_change_once(None, change).await
    }

    /// The same, once for what caused it.
    ///
    /// # Errors
    /// [`TellError::Duplicate`] if that was seen before; or if the store fails.
    pub async fn shop_change_once<T>(
        &self,
        seen: Option<Seen>,
        mut change: impl FnMut(&Shop, Timestamp) -> Option<(Shop, T)>,
    ) -> Result<Option<T>, TellError> {
        let _turn = self.inner.shop.lock().await;
        for _ in 0..TRIES_MAX {
            let at = self.now();
            let shop = self.store().shop().await?;
            let Some((next, answer)) = change(&shop, at) else { return Ok(None) };
            let seen = seen.iter().cloned().collect();
            let commit = Commit { shop: Some(next), seen, at, ..Commit::default() };
            match self.store().commit(commit).await? {
                Committed::Applied => {
                    self.inner.shop_bell.notify_one();
                    return Ok(Some(answer));
                }
                Committed::Stale => {}
                Committed::Duplicate(_) => return Err(TellError::Duplicate),
            }
        }
        Err(TellError::Busy)
    }

    /// Loads what runs, so that every surface has something to show.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn load_views(&self) -> Result<(), TellError> {
        let lines = self.store().sales(Views::KEPT_MAX).await?;
        let live = self.store().live_sales().await?;
        for id in lines.iter().map(|line| line.id).chain(live) {
            let engine = self.clone();
            self.look(id, move |sale| engine.publish(sale)).await?;
        }
        Ok(())
    }

    /// Takes up again what was given up; `false` if there is no such work.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn retry_parked(&self, id: EffectId) -> Result<bool, StoreError> {
        let taken = self.store().retry(id, self.now()).await?;
        self.signal(taken, None);
        Ok(taken)
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.inner.parts.clock.now()
    }

    /// The clock.
    pub fn clock(&self) -> &dyn Clock {
        self.inner.parts.clock.as_ref()
    }

    /// Randomness.
    pub fn entropy(&self) -> &dyn Entropy {
        self.inner.parts.entropy.as_ref()
    }

    /// The store.
    pub fn store(&self) -> &dyn Store {
        self.inner.parts.store.as_ref()
    }

    /// What is known of every recent sale; what may be shown of it is [`Engine::honest`].
    pub fn views(&self) -> &Views {
        &self.inner.views
    }

    /// The address posted in chat.
    pub fn link(&self) -> &str {
        &self.inner.parts.link
    }

    /// Where buyers return to.
    pub fn pages(&self) -> &dyn ReturnPages {
        self.inner.parts.pages.as_ref()
    }

    /// Providers that said something changed in what they list, since the last time.
    pub fn take_changed(&self) -> BTreeSet<String> {
        std::mem::take(&mut self.inner.changed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers that a provider's listings are to be looked at in the next round of questions.
    pub fn listing_changed(&self, provider: &str) {
        let mut changed = self.inner.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(provider.to_owned());
    }

    /// The provider called `name`.
    pub fn provider(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.inner.parts.providers.get(name)
    }

    /// All providers.
    pub fn providers(&self) -> impl Iterator<Item = &Arc<dyn Provider>> {
        self.inner.parts.providers.values()
    }

    /// Rings when effects were queued or done: a worker looks at the outbox again then.
    pub fn work_bell(&self) -> watch::Receiver<u64> {
        self.inner.work.subscribe()
    }

    /// Resolves when a deadline came nearer.
    pub async fn deadline_moved(&self) {
        self.inner.wake.notified().await;
    }

    /// Has every worker look whether there is something to do.
    pub(crate) fn ring(&self) {
        self.signal(true, None);
    }

    /// Another program may have changed the shop's row.
    pub(crate) fn shop_moved(&self) {
        self.inner.shop_bell.notify_one();
    }

    /// Resolves when the shop's row changed.
    pub async fn shop_changed(&self) {
        self.inner.shop_bell.notified().await;
    }

    /// Tells the engine which deadline the timer will wake for.
    pub fn will_wake_at(&self, at: Option<Timestamp>) {
        let at = at.map_or(i64::MAX, Timestamp::millis);
        self.inner.earliest.store(at, Ordering::SeqCst);
    }

    fn publish(&self, sale: &Sale) {
        self.inner.views.publish(View::of(sale, self.link()));
    }

    /// After a commit: wakes whoever has something to do now.
    fn signal(&self, work: bool, wake_at: Option<Timestamp>) {
        if work {
            self.inner.work.send_modify(|n| *n += 1);
        }
        if let Some(at) = wake_at
            && at.millis() < self.inner.earliest.load(Ordering::SeqCst)
        {
            self.inner.wake.notify_one();
        }
    }
}
