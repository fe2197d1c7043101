//! One of several programs on one store: takes its turns, compares clocks, and hears what the
//! others commit. Whoever is killed or cut off loses its turns to the others within seconds.

mod clock;
pub mod programs;
mod settings;

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use self::{
    clock::Offset,
    programs::{Ours, Programs},
};
use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, Views},
    store::{Change, Holding, Peers, StoreError, Turn},
    worker::Worker,
};

/// How often turns are kept and clocks compared.
pub const BEAT: Span = Span::from_secs(1);

/// How long a turn lasts if it is not kept.
pub const TURN: Span = Span::from_secs(5);

/// A turn is used only until this long before its end: more than two clocks may be apart.
const MARGIN: Span = Span::from_millis(1500);

/// However much was heard, all revisions are compared every so many beats.
const BEATS_PER_ROUND: u32 = 5;

/// One of several programs on one store.
pub struct Replica {
    engine: Engine,
    /// A name for this process.
    owner: String,
    /// Whoever acts in turns.
    workers: Vec<Worker>,
    /// How far the store's clock is from the time that all programs keep.
    offset: Mutex<Option<Offset>>,
    programs: Programs,
}

impl Replica {
    /// A replica whose workers take turns with those of others; `None` where the store is ours
    /// alone.
    pub fn new(engine: &Engine, workers: &[Worker], ours: Ours) -> Option<Arc<Self>> {
        engine.store().peers()?;
        let owner = hex::encode(engine.entropy().bytes());
        Some(Arc::new(Self {
            engine: engine.clone(),
            programs: Programs::new(engine, &owner, ours),
            owner,
            workers: workers.to_vec(),
            offset: Mutex::default(),
        }))
    }

    /// How the others are set.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    fn offset(&self) -> Option<Offset> {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_offset(&self, offset: Offset) {
        *self.offset.lock().unwrap_or_else(PoisonError::into_inner) = Some(offset);
    }

    /// Compares clocks, and takes or keeps every turn that can be had.
    ///
    /// # Errors
    /// If the store does not answer; turns then end by themselves.
    pub async fn beat(&self) -> Result<(), StoreError> {
        let Some(peers) = self.engine.store().peers() else { return Ok(()) };
        self.compare_clocks(peers).await?;
        if !self.engine.may_act() {
            return self.leave().await;
        }
        for worker in &self.workers {
            match self.ask(peers, worker, TURN).await? {
                Holding::Kept => {}
                Holding::Taken => {
                    tracing::info!(target = worker.target(), "it is our turn");
                    worker.recover().await?;
                    self.engine.ring();
                }
                Holding::Others => {
                    if self.engine.note_turn(worker.target(), None) {
                        tracing::warn!(target = worker.target(), "somebody else took our turn");
                    }
                }
            }
        }
        Ok(())
    }

    /// Asks for a turn of that length, and notes it if it is ours.
    async fn ask(
        &self,
        peers: &dyn Peers,
        worker: &Worker,
        length: Span,
    ) -> Result<Holding, StoreError> {
        let now = self.engine.now();
        let (name, owner) = (worker.target().to_owned(), self.owner.clone());
        let turn = Turn { name, owner, now, until: now + length };
        let holding = peers.take_turn(turn).await?;
        if matches!(holding, Holding::Kept | Holding::Taken) {
            let ends = Timestamp::from_millis((now + length).millis() - MARGIN.millis());
            self.engine.note_turn(worker.target(), Some(ends));
        }
        Ok(holding)
    }

    /// Gives every turn of ours to whoever wants it.
    ///
    /// # Errors
    /// If the store does not answer; turns then end by themselves.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let Some(peers) = self.engine.store().peers() else { return Ok(()) };
        for worker in &self.workers {
            if self.engine.note_turn(worker.target(), None) {
                let (name, owner) = (worker.target().to_owned(), self.owner.clone());
                let (now, until) = (self.engine.now(), Timestamp::default());
                let _given = peers.take_turn(Turn { name, owner, now, until }).await?;
            }
        }
        Ok(())
    }

    /// Compares what is shown here with what is stored, and has everything loaded that differs.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn look_around(&self) -> Result<(), StoreError> {
        let Some(peers) = self.engine.store().peers() else { return Ok(()) };
        for (sale, revision) in peers.revisions(Views::KEPT_MAX).await? {
            self.engine.newer(sale, revision);
        }
        self.engine.ring();
        self.engine.shop_moved();
        Ok(())
    }

    /// Beats, and compares everything now and then, settings included, until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        // Turns are kept however long the others' settings take to read.
        tokio::join!(self.beats(stop.clone()), self.programs.run(stop));
    }

    async fn beats(&self, stop: CancellationToken) {
        let mut beats = 0_u32;
        loop {
            let mut went = self.beat().await;
            if went.is_ok() && beats.is_multiple_of(BEATS_PER_ROUND) {
                went = self.look_around().await;
                if went.is_ok() {
                    went = self.follow_database().await.map(drop);
                }
            }
            if let Err(error) = went {
                tracing::error!(%error, "the other replicas are out of reach");
            }
            beats = beats.wrapping_add(1);
            tokio::select! {
                () = self.engine.clock().sleep_until(self.engine.now() + BEAT) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Takes over what others commit, until stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let Some(peers) = self.engine.store().peers() else { return };
        let mut changes = peers.changes();
        loop {
            let change = tokio::select! {
                change = changes.recv() => change,
                () = stop.cancelled() => return,
            };
            match change {
                Some(Change::Known { sales, work, shop }) => {
                    for (sale, revision) in sales {
                        self.engine.newer(sale, revision);
                    }
                    if work {
                        self.engine.ring();
                    }
                    if shop {
                        self.engine.shop_moved();
                    }
                }
                Some(Change::Anything) => {
                    if let Err(error) = self.look_around().await {
                        tracing::warn!(%error, "what others changed could not be read");
                    }
                }
                None => return,
            }
        }
    }
}
