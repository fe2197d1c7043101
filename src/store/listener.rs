//! Hears what other programs commit to the same PostgreSQL database.
//!
//! A connection of its own, since notifications reach only a session that listens. They are a
//! hint, never the truth: whoever misses some looks by itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use sqlx::{AnyConnection, Executor, Row, postgres::PgListener, query};
use tokio::sync::mpsc;

use super::{
    Change, news,
    postgres::{CHANNEL, dialled},
    sql,
};

/// Changes that may wait to be looked at; past that, the database keeps them.
const WAITING_MAX: usize = 1024;

/// After a connection was lost, try again after this long.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// A connection that was silent this long is asked whether it is still there.
const SILENT_FOR: Duration = Duration::from_secs(20);

/// And answers within this, or is given up.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// Who tells: what we told ourselves need not be heard.
#[derive(Debug, Default)]
pub(super) struct Speaker {
    /// The server's number for our connection for writing.
    pid: AtomicI32,
}

impl Speaker {
    /// Notes that this connection is ours.
    pub(super) async fn introduce(&self, db: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let row = query(sql::SELECT_BACKEND).fetch_one(db).await?;
        self.pid.store(row.try_get::<i32, _>("pid")?, Ordering::SeqCst);
        Ok(())
    }

    fn is(&self, pid: u32) -> bool {
        i64::from(pid) == i64::from(self.pid.load(Ordering::SeqCst))
    }
}

/// Begins to listen; ends when nobody wants to hear any more.
pub(super) fn listen(url: SecretString, speaker: Arc<Speaker>) -> mpsc::Receiver<Change> {
    let (tell, told) = mpsc::channel(WAITING_MAX);
    tokio::spawn(async move {
        while !tell.is_closed() {
            if let Err(error) = hear(&url, &speaker, &tell).await {
                tracing::warn!(%error, "changes of other replicas are not heard for a while");
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN_AFTER) => {}
                () = tell.closed() => {}
            }
        }
    });
    told
}

/// Listens on one connection until it is lost.
async fn hear(
    url: &SecretString,
    speaker: &Speaker,
    tell: &mpsc::Sender<Change>,
) -> Result<(), sqlx::Error> {
    let mut ear = within(async {
        let mut ear = PgListener::connect(&dialled(url.expose_secret())).await?;
        ear.eager_reconnect(false);
        ear.listen(CHANNEL).await?;
        Ok(ear)
    })
    .await?;
    // Listening first, reading after: nothing falls between the two.
    let mut change = Some(Change::Anything);
    loop {
        if let Some(change) = change.take()
            && tell.send(change).await.is_err()
        {
            return Ok(());
        }
        let heard = tokio::select! {
            heard = ear.try_recv() => heard?,
            () = tell.closed() => return Ok(()),
            () = tokio::time::sleep(SILENT_FOR) => {
                within(async { ear.execute("select 1").await }).await?;
                continue;
            }
        };
        match heard {
            Some(heard) if speaker.is(heard.process_id()) => {}
            Some(heard) => change = Some(news::read(heard.payload())),
            None => return Ok(()),
        }
    }
}

async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let late = || sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    tokio::time::timeout(ANSWERS_WITHIN, work).await.unwrap_or_else(|_| Err(late()))
}
