//! Group commit: one writer, and one sync for everything that waited.
//!
//! Each write has a savepoint of its own, so that one that is refused takes nothing else with it.
//! The connection may break at any moment: nothing is acknowledged that was not committed, and a
//! group is repeated only if it surely was not.

use std::sync::Arc;

use sqlx::{AnyConnection, Connection};
use tokio::sync::{mpsc, oneshot};

use super::{
    StoreError,
    listener::Speaker,
    news,
    place::Place,
    write::{Write, Written, write},
};
use crate::meter;

/// Writes that may wait at a time. Far above what callers keep in flight; a bound all the same.
const QUEUE_MAX: usize = 8192;

/// Writes in one transaction at the most: keeps the wait of the first one short.
const GROUP_MAX: usize = 256;

/// How often a group is tried in all while others are in its way.
const TRIES_MAX: u32 = 4;

type Answer = Result<Written, StoreError>;

struct Job {
    write: Write,
    answer: oneshot::Sender<Answer>,
}

/// A handle to the one writer.
#[derive(Clone, Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    /// Starts the writer on a connection of its own; it ends with its last handle. Whoever shares
    /// the database hears of its commits through `speaker`.
    pub(super) fn start(place: Place, db: AnyConnection, speaker: Option<Arc<Speaker>>) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let line = Line { place, db: Some(db), speaker };
        tokio::spawn(line.run(queue));
        Self { jobs }
    }

    /// Writes, and answers once it is on disk.
    pub(super) async fn write(&self, write: Write) -> Answer {
        let gone = || StoreError::Away("the writer is gone".to_owned());
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { write, answer }).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// The connection for writing, and where to get another when it breaks.
struct Line {
    place: Place,
    db: Option<AnyConnection>,
    speaker: Option<Arc<Speaker>>,
}

/// A group of which nothing was acknowledged.
struct Failed {
    error: StoreError,
    /// Whether it may work now.
    again: bool,
}

impl Line {
    async fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(GROUP_MAX);
        while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
            // They wait side by side, so any order is right; this one keeps two programs from
            // taking the same rows crosswise.
            group.sort_by_cached_key(|job| job.write.turn());
            let answers = self.write(&group).await;
            for (job, answer) in group.drain(..).zip(answers) {
                // Nobody waits any more: it is on disk all the same.
                let _ = job.answer.send(answer);
            }
        }
        if let Some(db) = self.db
            && let Err(error) = db.close().await
        {
            tracing::warn!(%error, "closing the database");
        }
    }

    async fn write(&mut self, group: &[Job]) -> Vec<Answer> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt(group).await {
                Ok(answers) => return answers,
                Err(failed) if failed.again && tries < TRIES_MAX => {
                    tracing::warn!(error = %failed.error, "a transaction is repeated");
                }
                Err(Failed { error, .. }) => {
                    tracing::error!(%error, writes = group.len(), "a transaction failed whole");
                    return group.iter().map(|_| Err(error.clone())).collect();
                }
            }
        }
    }

    async fn attempt(&mut self, group: &[Job]) -> Result<Vec<Answer>, Failed> {
        let (mut db, fresh) = match self.db.take() {
            Some(db) => (db, false),
            None => (connect(&self.place, self.speaker.as_deref()).await?, true),
        };
        let mut sealing = false;
        let speaks = self.speaker.is_some();
        let work = try_group(&mut db, group, speaks, &mut sealing);
        let done = match tokio::time::timeout(self.place.patience(), work).await {
            Ok(done) => done,
            Err(_) => Err(StoreError::Away("it takes too long".to_owned())),
        };
        match done {
            Ok(answers) => {
                self.db = Some(db);
                Ok(answers)
            }
            // The connection is given up: what it was about to commit, nobody knows.
            Err(StoreError::Away(why)) if sealing => {
                Err(Failed { error: StoreError::Unsure(why), again: false })
            }
            // Nothing was committed. An old connection may have broken while nobody looked.
            Err(error @ StoreError::Away(_)) => Err(Failed { error, again: !fresh }),
            Err(error) => {
                self.db = Some(db);
                let again = matches!(error, StoreError::Conflict(_));
                Err(Failed { error, again })
            }
        }
    }
}

async fn connect(place: &Place, speaker: Option<&Speaker>) -> Result<AnyConnection, Failed> {
    let connect = async {
        let mut db = place.writer().await?;
        if let Some(speaker) = speaker {
            speaker.introduce(&mut db).await?;
        }
        Ok(db)
    };
    connect.await.map_err(|error: sqlx::Error| Failed { error: error.into(), again: false })
}

/// Writes a group in one transaction. `sealing` is set right before the commit: an error after
/// that leaves its outcome open.
async fn try_group(
    db: &mut AnyConnection,
    group: &[Job],
    speaks: bool,
    sealing: &mut bool,
) -> Result<Vec<Answer>, StoreError> {
    let mut transaction = db.begin().await?;
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        // One write needs no savepoint beside its transaction.
        let answer = if group.len() == 1 {
            write(&mut transaction, &job.write).await
        } else {
            let mut savepoint = transaction.begin().await?;
            let answer = write(&mut savepoint, &job.write).await;
            if keeps(&answer) {
                savepoint.commit().await?;
            } else if !is_fatal(&answer) {
                savepoint.rollback().await?;
            }
            answer
        };
        // Whether the rest can be written is anybody's guess.
        match answer {
            Err(error) if is_fatal_error(&error) => {
                // Also when that fails: a connection lost takes its transaction with it.
                let _ = transaction.rollback().await;
                return Err(error);
            }
            answer => answers.push(answer),
        }
    }
    if !answers.iter().any(keeps) {
        transaction.rollback().await?;
        return Ok(answers);
    }
    if speaks {
        let kept = group.iter().zip(&answers).filter(|(_, answer)| keeps(answer));
        if let Some(text) = news::of(kept.map(|(job, _)| &job.write)) {
            news::tell(&mut transaction, text).await?;
        }
    }
    *sealing = true;
    transaction.commit().await?;
    meter::commit(group.len());
    Ok(answers)
}

fn keeps(answer: &Answer) -> bool {
    matches!(answer, Ok(written) if !written.takes_back())
}

fn is_fatal(answer: &Answer) -> bool {
    matches!(answer, Err(error) if is_fatal_error(error))
}

/// Errors that concern the transaction rather than one write.
fn is_fatal_error(error: &StoreError) -> bool {
    match error {
        StoreError::Away(_)
        | StoreError::Unsure(_)
        | StoreError::Full
        | StoreError::Conflict(_) => true,
        StoreError::Refused(_) | StoreError::Damaged { .. } => false,
    }
}
