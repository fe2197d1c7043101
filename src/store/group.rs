//! Group commit: one writer, and one sync for everything that waited.
//!
//! Each write has a savepoint of its own, so that one that is refused takes nothing else with it.

use sqlx::{AnyConnection, Connection};
use tokio::sync::{mpsc, oneshot};

use super::{
    StoreError,
    write::{Write, Written, write},
};

/// Writes that may wait at a time. Far above what callers keep in flight; a bound all the same.
const QUEUE_MAX: usize = 8192;

/// Writes in one transaction at the most: keeps the wait of the first one short.
const GROUP_MAX: usize = 256;

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
    /// Starts the writer on a connection of its own; it ends with its last handle.
    pub(super) fn start(db: AnyConnection) -> Self {
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(run(db, queue));
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

async fn run(mut db: AnyConnection, mut queue: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while queue.recv_many(&mut group, GROUP_MAX).await > 0 {
        let answers = write_group(&mut db, &group).await;
        for (job, answer) in group.drain(..).zip(answers) {
            // Nobody waits any more: it is on disk all the same.
            let _ = job.answer.send(answer);
        }
    }
    if let Err(error) = db.close().await {
        tracing::warn!(%error, "closing the database");
    }
}

async fn write_group(db: &mut AnyConnection, group: &[Job]) -> Vec<Answer> {
    match try_group(db, group).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::error!(%error, writes = group.len(), "a transaction failed whole");
            group.iter().map(|_| Err(error.clone())).collect()
        }
    }
}

async fn try_group(db: &mut AnyConnection, group: &[Job]) -> Result<Vec<Answer>, StoreError> {
    if let [job] = group {
        return alone(db, &job.write).await.map(|answer| vec![answer]);
    }
    let mut transaction = db.begin().await?;
    let mut answers = Vec::with_capacity(group.len());
    for job in group {
        let mut savepoint = transaction.begin().await?;
        let answer = write(&mut savepoint, &job.write).await;
        let keep = matches!(&answer, Ok(written) if !written.takes_back());
        if keep {
            savepoint.commit().await?;
        } else {
            savepoint.rollback().await?;
        }
        // Out of reach in the middle: whether the rest can be written is anybody's guess.
        if matches!(answer, Err(StoreError::Away(_) | StoreError::Full)) {
            let error = answer.expect_err("just matched");
            transaction.rollback().await?;
            return Err(error);
        }
        answers.push(answer);
    }
    transaction.commit().await?;
    Ok(answers)
}

/// One write needs no savepoint beside its transaction.
async fn alone(db: &mut AnyConnection, job: &Write) -> Result<Answer, StoreError> {
    let mut transaction = db.begin().await?;
    let answer = write(&mut transaction, job).await;
    match &answer {
        Ok(written) if !written.takes_back() => transaction.commit().await?,
        _ => transaction.rollback().await?,
    }
    Ok(answer)
}
