//! Group commit: one writer, and one sync for everything that waited.
//!
//! The connection may break at any moment: nothing is acknowledged that was not committed, and a
//! group is repeated only if it surely was not.

use std::{pin::pin, sync::Arc, time::Duration};

use sqlx::{AnyConnection, Connection};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use super::{
    StoreError,
    listener::Speaker,
    log::{Displaced, Log},
    place::Place,
    pulse::{LATELY, Pulse, TRIAL_REST, Watch},
    together::{keeps, together},
    trial::{Room, prove_row, prove_tables},
    write::{Write, Written},
};

/// Writes that may wait at a time. Far above what callers keep in flight; a bound all the same.
const QUEUE_MAX: usize = 8192;

/// Writes in one transaction at the most: keeps the wait of the first one short.
const GROUP_MAX: usize = 256;

/// How often a group is tried in all while others are in its way.
const TRIES_MAX: u32 = 4;

/// A write that takes longer than this fails, for whoever asks whether we are ready.
const LATE_AFTER: Duration = Duration::from_secs(3);

/// A connection that was given up may take this long to say farewell.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) type Answer = Result<Written, StoreError>;

pub(super) struct Job {
    pub(super) write: Write,
    answer: oneshot::Sender<Answer>,
}

enum Order {
    Write(Job),
    /// Write what waits, then close the database and say so.
    Close(oneshot::Sender<()>),
}

/// A handle to the one writer.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    orders: mpsc::Sender<Order>,
    pub(super) pulse: Arc<Pulse>,
}

impl Writer {
    /// Starts the writer on a connection of its own; it ends with its last handle. Whoever shares
    /// the database hears of its commits through `speaker`.
    pub(super) fn start(
        place: Place,
        db: AnyConnection,
        speaker: Option<Arc<Speaker>>,
        log: Option<Log>,
    ) -> Self {
        let (orders, queue) = mpsc::channel(QUEUE_MAX);
        let pulse = Arc::<Pulse>::default();
        let line = Line { place, db: Some(db), speaker, log, pulse: pulse.clone() };
        tokio::spawn(line.run(queue));
        Self { orders, pulse }
    }

    /// Writes, and answers once it is on disk. While the writer is stuck nobody waits for what is
    /// known; its own trials find out when it works again.
    pub(super) async fn write(&self, write: Write) -> Answer {
        if let Some(why) = self.pulse.stuck() {
            return Err(why);
        }
        let gone = || StoreError::Away("the store is closed".to_owned());
        let (answer, answered) = oneshot::channel();
        let order = Order::Write(Job { write, answer });
        self.orders.send(order).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// Writes what waits, and closes the database; nothing can be written after that.
    pub(super) async fn close(&self) {
        let (closed, done) = oneshot::channel();
        if self.orders.send(Order::Close(closed)).await.is_ok() {
            // Whoever closes it twice has nothing to wait for.
            let _ = done.await;
        }
    }
}

/// The connection for writing, and where to get another when it breaks.
struct Line {
    place: Place,
    db: Option<AnyConnection>,
    speaker: Option<Arc<Speaker>>,
    /// Of a file that is ours alone.
    log: Option<Log>,
    pulse: Arc<Pulse>,
}

/// A group of which nothing was acknowledged.
struct Failed {
    error: StoreError,
    /// Whether it may work now.
    again: bool,
}

impl Line {
    async fn run(mut self, mut queue: mpsc::Receiver<Order>) {
        let mut orders = Vec::with_capacity(GROUP_MAX);
        let mut group = Vec::with_capacity(GROUP_MAX);
        let (rest, lately) = (pin!(sleep(TRIAL_REST)), pin!(sleep(LATELY)));
        let mut watch = Watch::new(rest, lately);
        let mut closes = None;
        while closes.is_none() {
            let failing = self.pulse.is_failing();
            tokio::select! {
                biased;
                () = &mut watch.rest, if watch.rests => watch.rests = false,
                () = &mut watch.lately, if !watch.stale => watch.time_passed(&self.pulse),
                // What fails is tried again unasked.
                () = std::future::ready(()), if failing && !watch.rests => {
                    self.try_out().await;
                    watch.tried(&self.pulse);
                }
                () = self.pulse.asked(), if !failing && !watch.rests => {
                    if watch.stale {
                        self.try_out().await;
                    }
                    watch.tried(&self.pulse);
                }
                taken = queue.recv_many(&mut orders, GROUP_MAX) => {
                    if taken == 0 {
                        break;
                    }
                    for order in orders.drain(..) {
                        match order {
                            Order::Write(job) => group.push(job),
                            Order::Close(closed) => closes = Some(closed),
                        }
                    }
                    // They came while the write before them was stuck.
                    if let Some(why) = self.pulse.stuck() {
                        for job in group.drain(..) {
                            let _ = job.answer.send(Err(why.clone()));
                        }
                    } else if self.write_all(&mut group).await {
                        watch.wrote(&self.pulse);
                    }
                }
            }
        }
        self.close(closes).await;
    }

    /// Writes a group and answers everybody; says whether a sale's change was among what is kept.
    async fn write_all(&mut self, group: &mut Vec<Job>) -> bool {
        // They wait side by side, so any order is right; this one keeps two programs from
        // taking the same rows crosswise.
        group.sort_by_cached_key(|job| job.write.turn());
        let pulse = self.pulse.clone();
        let mut answers = in_time(&pulse, self.write(group)).await;
        let kept = group.iter().zip(&answers).filter(|(_, answer)| keeps(answer));
        let newest = kept.filter_map(|(job, _)| job.write.of_a_sale()).next_back();
        // Before anybody hears of it.
        if let (Some(log), Some(newest)) = (&mut self.log, newest)
            && let Err(changed) = log.note(newest)
        {
            let why = StoreError::Unsure(changed.explain(&self.place));
            self.note_failure(&why, group.len());
            answers = group.iter().map(|_| Err(why.clone())).collect();
        }
        for (job, answer) in group.drain(..).zip(answers) {
            // Nobody waits any more: it is on disk all the same.
            let _ = job.answer.send(answer);
        }
        if let Some(log) = &mut self.log {
            log.fold_if_long().await;
        }
        newest.is_some()
    }

    async fn close(mut self, closed: Option<oneshot::Sender<()>>) {
        if let (Some(log), Some(db)) = (&mut self.log, &mut self.db) {
            if log.displaced() == Some(Displaced::LogChanged) {
                tracing::error!("the database's log is not the one that was written: it is left");
                // Whoever closes the last connection would fold that log into the file.
                std::mem::forget(self.db.take());
            } else if closed.is_some()
                // Without a polite end there is nobody to wait for it: SQLite does it by itself.
                && let Err(error) = log.end(db).await
            {
                tracing::warn!(%error, "the newest part of the database stays in its -wal file");
            }
        }
        if let Some(db) = self.db
            && let Err(error) = db.close().await
        {
            tracing::warn!(%error, "closing the database");
        }
        if let Some(closed) = closed {
            // Whoever closed it may be gone.
            let _ = closed.send(());
        }
    }

    async fn write(&mut self, group: &[Job]) -> Vec<Answer> {
        if group.is_empty() {
            return Vec::new();
        }
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt(group).await {
                Ok(answers) => return answers,
                Err(failed) if failed.again && tries < TRIES_MAX => {
                    tracing::warn!(error = %failed.error, "a transaction is repeated");
                }
                Err(Failed { error, .. }) => {
                    if !matches!(error, StoreError::Conflict(_)) {
                        self.note_failure(&error, group.len());
                    }
                    return group.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
    }

    async fn attempt(&mut self, group: &[Job]) -> Result<Vec<Answer>, Failed> {
        self.in_place().await.map_err(|error| Failed { error, again: false })?;
        let (mut db, fresh) = match self.db.take() {
            Some(db) => (db, false),
            None => (Self::connect(&self.place, self.speaker.as_deref()).await?, true),
        };
        let mut sealing = false;
        let speaks = self.speaker.is_some();
        let work = together(&mut db, self.place.begin(), group, speaks, &mut sealing);
        let error = match timeout(self.place.patience(), work).await {
            Ok(Ok(answers)) => {
                self.db = Some(db);
                return Ok(answers);
            }
            Ok(Err(error)) => error,
            Err(_) => too_long(),
        };
        give_up(db).await;
        Err(match error {
            // What it was about to commit, nobody knows.
            StoreError::Away(why) if sealing => {
                Failed { error: StoreError::Unsure(why), again: false }
            }
            // Nothing was committed. An old connection may have broken while nobody looked.
            error @ StoreError::Away(_) => Failed { error, again: !fresh },
            error => {
                let again = matches!(error, StoreError::Conflict(_));
                Failed { error, again }
            }
        })
    }

    /// A connection in place of one that was given up. It proves that it writes before anything
    /// is acknowledged on it.
    async fn connect(place: &Place, speaker: Option<&Speaker>) -> Result<AnyConnection, Failed> {
        let connect = async {
            let mut db = place.writer().await?;
            if let Some(speaker) = speaker {
                speaker.introduce(&mut db).await?;
            }
            Ok::<_, sqlx::Error>(db)
        };
        let failed = |error| Failed { error, again: false };
        let mut db = connect.await.map_err(|error| failed(error.into()))?;
        let proof = timeout(place.patience(), prove_row(&mut db, place.begin(), Room::Claim));
        match proof.await.unwrap_or_else(|_| Err(too_long())) {
            Ok(()) => Ok(db),
            Err(error) => {
                give_up(db).await;
                Err(failed(error))
            }
        }
    }

    /// Tries whether everything can be written, and notes it.
    async fn try_out(&mut self) {
        let pulse = self.pulse.clone();
        match in_time(&pulse, self.trial()).await {
            Ok(()) => {
                if pulse.works() {
                    tracing::info!("the database can be written again");
                }
            }
            Err(error) => self.note_failure(&error, 0),
        }
    }

    /// Whether file and log are those that were written last.
    async fn in_place(&mut self) -> Result<(), StoreError> {
        let Some(log) = &mut self.log else { return Ok(()) };
        let Some(moved) = log.displaced() else { return Ok(()) };
        if moved == Displaced::LogRemoved
            && let Some(db) = &mut self.db
        {
            log.save_removed(db).await;
        }
        Err(StoreError::Away(moved.explain(&self.place)))
    }

    async fn trial(&mut self) -> Result<(), StoreError> {
        self.in_place().await?;
        let mut db = match self.db.take() {
            Some(db) => db,
            None => {
                let connect = Self::connect(&self.place, self.speaker.as_deref());
                connect.await.map_err(|failed| failed.error)?
            }
        };
        let room = if self.pulse.is_failing() { Room::Claim } else { Room::Little };
        let work = prove_tables(&mut db, self.place.begin(), room);
        let done = timeout(self.place.patience(), work).await;
        match done.unwrap_or_else(|_| Err(too_long())) {
            Ok(()) => {
                self.db = Some(db);
                Ok(())
            }
            Err(error) => {
                give_up(db).await;
                Err(error)
            }
        }
    }

    /// Said once, however many writes fail until it works again.
    fn note_failure(&mut self, error: &StoreError, writes: usize) {
        if self.pulse.failed(error.clone()) {
            tracing::error!(%error, writes, "the database cannot be written");
        } else {
            tracing::debug!(%error, writes, "the database still cannot be written");
        }
    }
}

fn too_long() -> StoreError {
    StoreError::Away("it takes too long".to_owned())
}

/// Waits for what is written; whoever asks meanwhile hears that it takes too long.
async fn in_time<T>(pulse: &Pulse, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = timeout(LATE_AFTER, &mut work).await {
        return done;
    }
    let secs = LATE_AFTER.as_secs();
    if pulse.sticks(StoreError::Away(format!("a write has waited for more than {secs} s"))) {
        tracing::error!("a write has waited for more than {secs} s: is the database locked?");
    }
    work.await
}

/// Closes a connection after an error. Where its transaction stands then, driver and database may
/// see differently: SQLite takes a transaction back by itself when the disk is full, and the
/// driver counts it on.
async fn give_up(db: AnyConnection) {
    // However it goes, the connection is gone.
    let _ = timeout(FAREWELL, db.close()).await;
}
