//! One time for all programs on a store: the database's clock and an offset that is kept beside
//! the sales. A program's own time is measured and cannot jump, so where both part after they
//! agreed, the database's clock was set: the offset takes that up, and no sale is cut or lengthened.
//! As soon as nothing runs, the database's clock is followed again.

use super::Replica;
use crate::{
    clock::{Timestamp, jump_words},
    engine::standing::Reading,
    store::{DocChange, Peers, Store, StoreError},
};

/// The document that keeps the offset, in milliseconds.
const STORE: &str = "store";
const CLOCK: &str = "clock";

/// How often two programs may change the offset at the same moment before the next beat decides.
const TRIES: u32 = 3;

/// What is known of the offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offset {
    version: i64,
    ms: i64,
    /// Whether this program set it.
    ours: bool,
}

/// The time that all programs on a store keep, for whoever only looks; `None` where there is one
/// program at most.
pub(super) async fn time_of(store: &dyn Store) -> Result<Option<Timestamp>, StoreError> {
    let Some(peers) = store.peers() else { return Ok(None) };
    let offset = store.doc(STORE, CLOCK).await?.and_then(|doc| doc.body.as_i64());
    let now = peers.now().await?.millis() + offset.unwrap_or_default();
    Ok(Some(Timestamp::from_millis(now)))
}

impl Replica {
    /// Reads the store's clock and compares it with ours.
    pub(super) async fn compare_clocks(&self, peers: &dyn Peers) -> Result<(), StoreError> {
        for _ in 0..TRIES {
            let stored = self.stored_offset().await?;
            let sent = self.engine.now();
            let theirs = Timestamp::from_millis(peers.now().await?.millis() + stored.ms);
            let reading = Reading::new(sent, theirs, self.engine.now());
            let known = self.offset();
            let agreed = self.engine.clocks_agreed();
            if reading.agrees() || (known.is_some() && !agreed) {
                self.keep_offset(stored);
                self.engine.note_clock(reading);
                return Ok(());
            }
            let Some(known) = known else {
                // A new program: its machine's clock may be the one from which the offset counts.
                self.keep_offset(stored);
                let moved = reading.moved(stored.ms);
                if moved.agrees() {
                    self.engine.clock().shift(-reading.ahead);
                }
                self.engine.note_clock(if moved.agrees() { moved } else { reading });
                return Ok(());
            };
            let changed = known.version != stored.version;
            // Whoever followed the database did so while nothing ran; a sale that was started at that
            // very moment keeps its time.
            let follows =
                changed && (known.ours || self.engine.store().live_sales().await?.is_empty());
            if follows {
                self.keep_offset(stored);
                self.engine.clock().shift(-reading.ahead);
                tracing::info!(ms = -reading.ahead, "the time of the other programs is followed");
            } else if self.set_offset(stored, stored.ms + reading.ahead).await? {
                tracing::warn!(
                    "The database's clock was set {}. What runs keeps its time; set that clock \
                     right, best by NTP.",
                    jump_words(-reading.ahead)
                );
            }
        }
        Ok(())
    }

    /// Follows the database's clock again if it was set and nothing runs whose end that would move.
    /// Says whether it is followed now.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn follow_database(&self) -> Result<bool, StoreError> {
        let Some(known) = self.offset().filter(|known| known.ms != 0) else { return Ok(false) };
        if !self.engine.clocks_agreed() {
            return Ok(false);
        }
        let followed = self
            .engine
            .while_idle(async || {
                let followed = self.set_offset(known, 0).await?;
                if followed {
                    self.engine.clock().shift(-known.ms);
                }
                Ok(followed)
            })
            .await?;
        if followed {
            tracing::info!(ms = -known.ms, "nothing runs: the database's clock is followed now");
        }
        Ok(followed)
    }

    async fn stored_offset(&self) -> Result<Offset, StoreError> {
        let doc = self.engine.store().doc(STORE, CLOCK).await?;
        let (version, ms) =
            doc.map_or((0, 0), |doc| (doc.version, doc.body.as_i64().unwrap_or_default()));
        let ours = self.offset().is_some_and(|known| known.ours && known.version == version);
        Ok(Offset { version, ms, ours })
    }

    /// Changes the offset unless another program does; says whether it is changed.
    async fn set_offset(&self, from: Offset, ms: i64) -> Result<bool, StoreError> {
        let change = DocChange {
            kind: STORE,
            id: CLOCK.to_owned(),
            parent: String::new(),
            expected: from.version,
            body: Some(ms.into()),
        };
        let done = self.engine.store().put_docs(vec![change]).await?;
        if done {
            self.keep_offset(Offset { version: from.version + 1, ms, ours: true });
        }
        Ok(done)
    }
}
