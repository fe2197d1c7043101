//! One sale's mailbox: drains everything that waits, decides it in turn, commits once, answers.

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::{mpsc, oneshot};

use super::{
    Engine, Inner, LETTERS_MAX, Letter, Origin, Reply, TRIES_MAX, TellError, Told,
    fold::{Fold, Verdict, is_repeated},
};
use crate::{
    id::SaleId,
    sale::{Sale, event::Event},
    store::{Committed, StoreError},
    view::View,
};

/// Letters worked off together at the most: bounds the memory and the wait of the first.
const BATCH_MAX: usize = 1024;

/// A mailbox of a closed sale is put away after this long without a letter.
const IDLE: Duration = Duration::from_secs(60);

/// Mailboxes that may be open while one of a closed sale is still kept: whoever asks for every old
/// sale in turn must not have all of them in memory at once.
const KEPT_MAX: usize = 64;

pub(super) fn open(engine: &Engine, sale: SaleId) -> mpsc::Sender<Letter> {
    let (sender, letters) = mpsc::channel(LETTERS_MAX);
    // Not the engine itself: it owns the sender, and neither would ever end.
    tokio::spawn(run(Arc::downgrade(&engine.inner), sale, letters));
    sender
}

async fn run(engine: Weak<Inner>, id: SaleId, mut letters: mpsc::Receiver<Letter>) {
    let mut batch = Vec::new();
    let mut sale = None;
    loop {
        let got = tokio::time::timeout(IDLE, letters.recv_many(&mut batch, BATCH_MAX)).await;
        let Some(inner) = engine.upgrade() else { return };
        let mut mailbox = Mailbox { engine: Engine { inner }, id, sale: sale.take() };
        match got {
            Ok(0) => return,
            Ok(_) => {
                mailbox.work_off(std::mem::take(&mut batch)).await;
                if mailbox.put_away(&letters, KEPT_MAX) {
                    return;
                }
            }
            Err(_idle) if mailbox.put_away(&letters, 0) => return,
            Err(_idle) => {}
        }
        sale = mailbox.sale;
    }
}

struct Mailbox {
    engine: Engine,
    id: SaleId,
    /// The sale as stored; `None` until loaded, and after anything went wrong.
    sale: Option<Sale>,
}

struct Envelope {
    event: Arc<Event>,
    by: String,
    origin: Origin,
    reply: oneshot::Sender<Reply>,
}

impl Mailbox {
    /// Leaves the table of mailboxes, if nothing came in meanwhile and there is nothing to keep:
    /// no sale, which anybody may ask for under any id, or a closed one among more than `kept`.
    fn put_away(&self, letters: &mpsc::Receiver<Letter>, kept: usize) -> bool {
        // A running sale is kept; nothing is locked for it.
        if self.sale.as_ref().is_some_and(|sale| !sale.head.is_closed()) {
            return false;
        }
        let boxes = &self.engine.inner.boxes;
        let mut boxes = boxes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let goes = letters.is_empty() && (self.sale.is_none() || boxes.len() > kept);
        if goes {
            boxes.remove(&self.id);
        }
        goes
    }

    async fn work_off(&mut self, letters: Vec<Letter>) {
        let mut batch = Vec::new();
        let mut looks = Vec::new();
        for letter in letters {
            match letter {
                Letter::Event { event, by, origin, reply } => {
                    batch.push(Envelope { event, by, origin, reply });
                }
                Letter::Look(look) => looks.push(look),
            }
        }
        if let Err(error) = self.freshen().await {
            for envelope in batch {
                let _ = envelope.reply.send(Err(error.clone()));
            }
            looks.into_iter().for_each(|look| look(Err(error.clone())));
            return;
        }
        self.commit(batch).await;
        // A look wants the sale as it is; after everything that waited it is that, and one commit
        // is not cut into many.
        if looks.is_empty() {
            return;
        }
        let loaded = self.load().await;
        for look in looks {
            match (&loaded, &self.sale) {
                (Ok(()), Some(sale)) => look(Ok(sale)),
                (Ok(()), None) => look(Err(TellError::Unknown)),
                (Err(error), _) => look(Err(error.clone())),
            }
        }
    }

    /// Lets go of the copy in memory if another program changed the sale since, so that nobody is
    /// refused, or told that nothing changes, because of how things once were.
    async fn freshen(&mut self) -> Result<(), TellError> {
        let Some(sale) = self.sale.take() else { return Ok(()) };
        let Some(peers) = self.engine.store().peers() else {
            self.sale = Some(sale);
            return Ok(());
        };
        if peers.revision(self.id).await? == Some(sale.head.revision) {
            self.sale = Some(sale);
        }
        Ok(())
    }

    async fn load(&mut self) -> Result<(), TellError> {
        if self.sale.is_some() {
            return Ok(());
        }
        let sale = self.engine.store().load(self.id).await?.ok_or(TellError::Unknown)?;
        self.engine.publish(&sale);
        self.engine.signal(false, sale.next_deadline());
        self.sale = Some(sale);
        Ok(())
    }

    /// Decides and commits a batch; whatever goes wrong with it as a whole is tried one by one.
    async fn commit(&mut self, mut batch: Vec<Envelope>) {
        if batch.is_empty() {
            return;
        }
        match self.try_commit(&batch).await {
            Ok(replies) => {
                for (envelope, reply) in batch.into_iter().zip(replies) {
                    // Whoever asked may be gone; it is committed all the same.
                    let _ = envelope.reply.send(reply);
                }
            }
            Err(TellError::Store(StoreError::Refused(_)) | TellError::Quarantined(_))
                if batch.len() > 1 =>
            {
                for envelope in batch {
                    Box::pin(self.commit(vec![envelope])).await;
                }
            }
            Err(TellError::Store(StoreError::Refused(why)) | TellError::Quarantined(why)) => {
                let envelope = batch.remove(0);
                let reply = self.quarantine(&envelope, &why).await;
                let _ = envelope.reply.send(Err(reply));
            }
            Err(error) => {
                for envelope in batch {
                    let _ = envelope.reply.send(Err(error.clone()));
                }
            }
        }
    }

    async fn try_commit(&mut self, batch: &[Envelope]) -> Result<Vec<Reply>, TellError> {
        let mut repeated = Vec::new();
        for n in 0..TRIES_MAX {
            self.let_others_go_first(n).await;
            self.load().await?;
            let Some(sale) = self.sale.as_mut() else { return Err(TellError::Unknown) };
            let mut fold = Fold::new(&self.engine, sale, &repeated);
            let mut verdicts = Vec::with_capacity(batch.len());
            for envelope in batch {
                let verdict = if is_repeated(&envelope.origin, &repeated) {
                    Verdict::Duplicate
                } else {
                    fold.add(&envelope.event, &envelope.by, &envelope.origin)
                };
                if let Verdict::Poison(why) = verdict {
                    let number = self.sale.as_ref().map(|sale| sale.head.number);
                    // Its name alone: events hold buyers' names and payment pages.
                    let event = name(&envelope.event);
                    tracing::error!(sale = %self.id, number, event, why, "poison");
                    self.sale = None;
                    return Err(TellError::Quarantined(why));
                }
                verdicts.push(verdict);
            }
            if fold.is_empty() {
                return Ok(self.replies(verdicts));
            }
            let changed = fold.changed();
            let commit = fold.finish();
            let wake_at = commit.sale.as_ref().and_then(|change| change.wake_at);
            let work = !commit.effects.is_empty() || !commit.done.is_empty();
            match self.engine.store().commit(commit).await {
                Ok(Committed::Applied) => {
                    if changed && let Some(sale) = &self.sale {
                        self.engine.publish(sale);
                    }
                    self.engine.signal(work, wake_at);
                    return Ok(self.replies(verdicts));
                }
                Ok(Committed::Stale) => self.sale = None,
                Ok(Committed::Duplicate(keys)) => {
                    self.sale = None;
                    repeated.extend(keys);
                }
                // The copy in memory is ahead of the disk now.
                Err(error) => {
                    self.sale = None;
                    return Err(error.into());
                }
            }
        }
        Err(TellError::Busy)
    }

    /// Waits a random while before the `n`-th repetition, longer each time: programs that commit
    /// to one sale at the same moment must not stay in step.
    async fn let_others_go_first(&self, n: u32) {
        if n > 1 {
            let most = 1_u64 << n.min(7);
            let random = u64::from(self.engine.entropy().bytes()[0]);
            tokio::time::sleep(Duration::from_millis(most * random / 256)).await;
        }
    }

    fn replies(&self, verdicts: Vec<Verdict>) -> Vec<Reply> {
        let Some(sale) = &self.sale else {
            return verdicts.iter().map(|_| Err(TellError::Busy)).collect();
        };
        let view = self.engine.views().get(self.id).filter(|v| v.revision == sale.head.revision);
        let view = view.unwrap_or_else(|| View::of(sale, self.engine.link()).into());
        verdicts
            .into_iter()
            .map(|verdict| match verdict {
                Verdict::Decided(hold) => {
                    let page = hold.and_then(|id| sale.hold(id)?.page());
                    Ok(Told { hold, page: page.map(|page| page.url.clone()), view: view.clone() })
                }
                Verdict::Refused(refusal) => Err(TellError::Refused(refusal)),
                Verdict::Duplicate => Err(TellError::Duplicate),
                Verdict::Poison(why) => Err(TellError::Quarantined(why)),
            })
            .collect()
    }

    async fn quarantine(&mut self, envelope: &Envelope, why: &str) -> TellError {
        self.sale = None;
        if let Err(error) = self.load().await {
            return error;
        }
        let Some(sale) = self.sale.as_mut() else { return TellError::Unknown };
        let mut fold = Fold::new(&self.engine, sale, &[]);
        fold.quarantine(&envelope.event, &envelope.by, &envelope.origin, why);
        let commit = fold.finish();
        let outcome = self.engine.store().commit(commit).await;
        self.sale = None;
        match outcome {
            Ok(_) => TellError::Quarantined(why.to_owned()),
            Err(error) => error.into(),
        }
    }
}

/// The word under which the journal keeps an event.
fn name(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or_default().to_owned()
}
