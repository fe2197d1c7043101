//! Carries effects out: leases a row, runs it without a transaction, commits what came of it.
//!
//! One worker per provider or platform. It decides nothing: outcomes become events.

mod outcome;
pub mod pace;
mod retry;
mod say;
#[cfg(test)]
mod tests;
mod wait;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument;

pub(crate) use self::outcome::{event_of, rejected};
use self::{
    outcome::{not_sent, span, word},
    pace::Pace,
    wait::SLOWED,
};
use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, Origin, TellError},
    meter,
    platform::Platform,
    provider::{Call, Outcome, Provider, ProviderError},
    sale::{
        effect::{Class, Effect},
        event::Event,
    },
    store::{LeaseAsk, Leased, PutOff, StoreError},
};

/// A call to a provider, retries inside the adapter included, must be over by then.
const CALL_DEADLINE: Duration = Duration::from_secs(20);

/// A lease outlasts the call by a margin, so that no second worker starts while one may still act.
const LEASE: Span = Span::from_secs(30);

/// Waits before an outcome is told again: together less than a lease lasts beyond a call.
const TELL_AGAIN_AFTER: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

/// Effects of one target under way at a time.
const CONCURRENT_MAX: usize = 16;

/// With nothing due, look again after this long.
const LONGEST_SLEEP: Span = Span::from_secs(10);

/// Who carries effects out.
#[derive(Clone)]
pub enum Hand {
    /// A payment service.
    Provider(Arc<dyn Provider>),
    /// A chat service.
    Platform(Arc<dyn Platform>),
}

/// Works off the outbox of one target.
#[derive(Clone)]
pub struct Worker {
    engine: Engine,
    hand: Hand,
    target: String,
    pace: Arc<Mutex<Pace>>,
    /// How long a call may take.
    within: Duration,
}

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ran {
    /// One effect.
    One,
    /// Nothing was due.
    Nothing,
    /// Something is due, but not before then: the provider's pace.
    NotBefore(Timestamp),
}

impl Worker {
    /// A worker for one provider or platform.
    pub fn new(engine: Engine, hand: Hand, pace: Pace) -> Self {
        let target = match &hand {
            Hand::Provider(provider) => provider.name().to_owned(),
            Hand::Platform(platform) => crate::engine::say_target(platform.name().as_str()),
        };
        let pace = Arc::new(Mutex::new(pace));
        Self { engine, hand, target, pace, within: CALL_DEADLINE }
    }

    /// The outbox name it works for.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How many calls per second it makes at present; `None` for platforms.
    pub fn calls_per_second(&self) -> Option<f64> {
        matches!(self.hand, Hand::Provider(_)).then(|| self.pace().rate())
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends leases left by the process before this one, where repeating at once is safe: a
    /// provider without idempotency keys waits its leases out, and so does what is said in chat
    /// if the process before may only have been slow.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn recover(&self) -> Result<(), StoreError> {
        let safe = match &self.hand {
            Hand::Provider(provider) => provider.capabilities().idempotent,
            Hand::Platform(_) => !self.engine.is_shared(),
        };
        if safe {
            self.engine.store().end_leases(&self.target, self.engine.now()).await?;
        }
        Ok(())
    }

    /// Leases and carries out one effect.
    ///
    /// # Errors
    /// If the store fails; the effect stays leased until its lease runs out.
    pub async fn run_one(&self) -> Result<Ran, TellError> {
        match self.lease().await? {
            Lease::Got(leased) => {
                self.carry_out(*leased).await?;
                Ok(Ran::One)
            }
            Lease::Nothing => Ok(Ran::Nothing),
            Lease::NotBefore(at) => Ok(Ran::NotBefore(at)),
        }
    }

    /// Works until stopped; then finishes what is under way.
    pub async fn run(self, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(CONCURRENT_MAX));
        let tasks = TaskTracker::new();
        let mut bell = self.engine.work_bell();
        while !stop.is_cancelled() {
            bell.borrow_and_update();
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let until = match self.lease_in_turn().await {
                Ok(Lease::Got(leased)) => {
                    let worker = self.clone();
                    tasks.spawn(async move {
                        if let Err(error) = worker.carry_out(*leased).await {
                            tracing::error!(%error, target = worker.target, "an outcome was not stored");
                        }
                        drop(slot);
                    });
                    continue;
                }
                Ok(Lease::NotBefore(at)) => at,
                Ok(Lease::Nothing) => self.next_due().await,
                Err(error) => {
                    tracing::error!(%error, target = self.target, "no work could be leased");
                    self.engine.now() + Span::from_secs(1)
                }
            };
            drop(slot);
            tokio::select! {
                () = self.engine.clock().sleep_until(until) => {}
                _ = bell.changed() => {}
                () = stop.cancelled() => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    async fn next_due(&self) -> Timestamp {
        let latest = self.engine.now() + LONGEST_SLEEP;
        match self.engine.store().next_effect(&self.target).await {
            Ok(Some(at)) => at.min(latest),
            Ok(None) => latest,
            Err(_) => self.engine.now() + Span::from_secs(1),
        }
    }

    /// Leases nothing while another replica works for this target.
    async fn lease_in_turn(&self) -> Result<Lease, StoreError> {
        if self.engine.acts_for(&self.target) {
            return self.lease().await;
        }
        // The bell rings when that changes.
        Ok(Lease::NotBefore(self.engine.now() + LONGEST_SLEEP))
    }

    async fn lease(&self) -> Result<Lease, StoreError> {
        let now = self.engine.now();
        let (ready_at, first) = {
            let pace = self.pace();
            (pace.ready_at(now), pace.goes_first())
        };
        if ready_at > now && matches!(self.hand, Hand::Provider(_)) {
            return Ok(Lease::NotBefore(ready_at));
        }
        let token = hex::encode(self.engine.entropy().bytes());
        let ask = LeaseAsk { target: self.target.clone(), now, until: now + LEASE, token, first };
        let Some(leased) = self.engine.store().lease(ask).await? else {
            return Ok(Lease::Nothing);
        };
        if let Hand::Provider(provider) = &self.hand {
            self.pace().spend(now, provider.calls(&leased.effect), leased.class);
        }
        Ok(Lease::Got(Box::new(leased)))
    }

    async fn carry_out(&self, leased: Leased) -> Result<(), TellError> {
        let number = self.engine.views().get(leased.sale).map(|view| view.number);
        let span = span(&leased, number);
        let work = async {
            match &self.hand {
                Hand::Provider(provider) => self.call(provider.as_ref(), leased).await,
                Hand::Platform(platform) => self.say(platform.as_ref(), leased).await,
            }
        };
        work.instrument(span).await
    }

    async fn call(&self, provider: &dyn Provider, leased: Leased) -> Result<(), TellError> {
        let effect = leased.effect.clone();
        let first = leased.attempts == 1 && leased.generation == 0;
        if first {
            let asked = effect.clone();
            let wanted = self.engine.look(leased.sale, move |sale| sale.wants(&asked)).await?;
            if !wanted {
                return self.tell(&leased, not_sent(&effect)).await;
            }
        }
        let call = Call { key: retry::key(&leased), now: self.engine.now(), first };
        let work = provider.perform(&effect, &leased.body, &call);
        let answer = tokio::time::timeout(self.within, work).await;
        let took = self.engine.now().since(call.now).to_std();
        let answer = answer.unwrap_or_else(|_| {
            let says = format!("no answer within {} s", self.within.as_secs());
            Err(ProviderError::Retry { says, after: None })
        });
        meter::effect(&self.target, effect.word(), word(&answer), took);
        match answer {
            Ok(outcome) => {
                self.pace().went_well();
                let opened = match &outcome {
                    Outcome::Opened(page) => Some(page.clone()),
                    _ => None,
                };
                match event_of(&effect, outcome) {
                    Some(event) => self.tell(&leased, event).await?,
                    None => {
                        self.put_off(&leased, "the adapter gave no fitting answer", None).await?
                    }
                }
                if let Some(page) = opened {
                    self.engine.match_page(&page).await?;
                }
                Ok(())
            }
            Err(error) => self.failed(&leased, error).await,
        }
    }

    async fn failed(&self, leased: &Leased, error: ProviderError) -> Result<(), TellError> {
        match error {
            ProviderError::Retry { says, after } => {
                tracing::warn!(says, attempt = leased.attempts, "repeating");
                self.say_delayed(leased, &says).await;
                self.put_off(leased, &says, after).await
            }
            ProviderError::SlowDown { after } => {
                let now = self.engine.now();
                let at = self.pace().slow_down(now, after);
                self.say_slowed(leased).await;
                self.not_before(leased, at, SLOWED).await
            }
            ProviderError::Reject { says } => {
                tracing::warn!(says, "refused by the provider");
                match rejected(&leased.effect, &says) {
                    Some(event) => self.tell(leased, event).await,
                    None => self.park(leased, &says).await,
                }
            }
            ProviderError::Amend { body, says } => {
                let put_off = PutOff {
                    id: leased.id.clone(),
                    token: leased.token.clone(),
                    due_at: self.engine.now(),
                    why: says,
                    body: Some(body),
                    counts: true,
                };
                Ok(self.engine.store().postpone(put_off).await?)
            }
        }
    }

    /// Takes it up again at a set time; the attempt does not count.
    async fn not_before(&self, leased: &Leased, at: Timestamp, why: &str) -> Result<(), TellError> {
        let put_off = PutOff {
            id: leased.id.clone(),
            token: leased.token.clone(),
            due_at: at,
            why: why.to_owned(),
            body: None,
            counts: false,
        };
        Ok(self.engine.store().postpone(put_off).await?)
    }

    /// Repeats later, along the schedule of the effect's class; past its end a person is asked.
    async fn put_off(
        &self,
        leased: &Leased,
        why: &str,
        after: Option<Span>,
    ) -> Result<(), TellError> {
        let Some(wait) = retry::wait(leased.class, leased.attempts) else {
            return self.park(leased, why).await;
        };
        let wait = wait.max(after.unwrap_or_default());
        let put_off = PutOff {
            id: leased.id.clone(),
            token: leased.token.clone(),
            due_at: self.engine.now() + retry::jitter(wait, self.engine.entropy().bytes()[0]),
            why: why.to_owned(),
            body: None,
            counts: true,
        };
        Ok(self.engine.store().postpone(put_off).await?)
    }

    async fn park(&self, leased: &Leased, why: &str) -> Result<(), TellError> {
        tracing::error!(why, "given up");
        let event = Event::Parked { effect: leased.effect.clone(), why: why.to_owned() };
        let (id, token) = (leased.id.clone(), leased.token.clone());
        let origin = match leased.effect {
            // The sale goes another way from here; there is nothing left to take up again.
            Effect::OpenCheckout { .. } | Effect::Probe { .. } => Origin::Effect(id, token),
            _ => Origin::Parked(id, token, why.to_owned()),
        };
        self.engine.tell(leased.sale, event, "worker", origin).await.map(drop)
    }

    /// Tells the sale what came of an effect. What was done cannot be done again for nothing, so
    /// while the lease lasts a store out of reach is asked again; telling it twice does no harm.
    async fn tell(&self, leased: &Leased, event: Event) -> Result<(), TellError> {
        let by = format!("worker:{}", self.target);
        let mut waits = TELL_AGAIN_AFTER.iter();
        loop {
            let origin = Origin::Effect(leased.id.clone(), leased.token.clone());
            match self.engine.tell(leased.sale, event.clone(), &by, origin).await {
                // Set aside in the journal, and the effect parked with it.
                Ok(_) | Err(TellError::Quarantined(_)) => return Ok(()),
                Err(error @ (TellError::Store(_) | TellError::Busy)) => {
                    let Some(wait) = waits.next() else { return Err(error) };
                    tracing::warn!(%error, target = self.target, "an outcome waits to be stored");
                    tokio::time::sleep(*wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

enum Lease {
    Got(Box<Leased>),
    Nothing,
    NotBefore(Timestamp),
}

/// Who goes first when the pace is the bottleneck: at least one call in four closes pages.
pub(crate) const CLOSES_ONE_IN: u32 = 4;

/// Whether calls of a class close pages.
pub(crate) fn closes(class: Class) -> bool {
    matches!(class, Class::Close | Class::Ending)
}
