//! How long a shop's provider needs until something can be paid: a sale in miniature, made, seen
//! to be payable, closed and removed again, round by round. No sale is stored and nobody hears.

pub mod history;

use std::{collections::VecDeque, sync::Arc};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Clock, Span, Timestamp},
    id::{Entropy, HoldId, SaleId},
    mac::short_hash,
    provider::{Call, Outcome, Provider, ProviderError, ReturnPages},
    room::{PlatformName, Room, User},
    sale::{
        Phase, Sale, decide,
        effect::{Due, Effect},
        event::{Event, Start},
        start,
        template::{Capabilities, Template},
    },
    worker::{event_of, rejected},
};

/// Attempts at one call before a round is given up.
const ATTEMPTS_MAX: u32 = 20;

/// What one round took.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    /// Until the item stood at the provider.
    pub item_ms: i64,
    /// From there until the provider had made a page.
    pub page_ms: i64,
    /// From there until the page was seen to be payable.
    pub payable_ms: i64,
    /// Until the page was certainly closed.
    pub close_ms: i64,
    /// Until the item was gone.
    pub retire_ms: i64,
    /// Why it never became payable.
    pub failed: Option<String>,
}

impl Round {
    /// From the start until something could be paid.
    pub fn until_payable(&self) -> i64 {
        self.item_ms + self.page_ms + self.payable_ms
    }
}

/// Percentiles of one step, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Half the rounds were at most this.
    pub p50: i64,
    /// All but one in twenty were at most this.
    pub p95: i64,
    /// The longest.
    pub max: i64,
}

/// The spread of what `step` took in the rounds that came to something.
pub fn spread(rounds: &[Round], step: impl Fn(&Round) -> i64) -> Option<Spread> {
    let mut all: Vec<i64> = rounds.iter().filter(|r| r.failed.is_none()).map(step).collect();
    all.sort_unstable();
    let at = |share: usize| all.get((all.len() * share).div_ceil(100).saturating_sub(1)).copied();
    Some(Spread { p50: at(50)?, p95: at(95)?, max: at(100)? })
}

/// Buyers of a round come back to nothing: there are none.
struct Nowhere(String);

impl ReturnPages for Nowhere {
    fn hold_page(&self, _hold: HoldId) -> String {
        self.0.clone()
    }
    fn sale_page(&self, _sale: SaleId) -> String {
        self.0.clone()
    }
}

/// Asks a provider to do what a sale needs, once.
pub struct Prober {
    /// The provider.
    pub provider: Arc<dyn Provider>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Where buyers would return to.
    pub page: String,
}

impl Prober {
    /// One round with one unit of `template`. Whatever was made is removed, also when it failed.
    ///
    /// # Errors
    /// If something could not be removed: it is named.
    pub async fn round(&self, template: &Template) -> Result<Round> {
        let began = self.clock.now();
        let template = Template { stock: 1, warm: 0, ask: Vec::new(), ..template.clone() };
        let order = Start {
            id: SaleId::new(began, self.entropy.bytes()),
            number: 0,
            template: Arc::new(template),
            capabilities: Capabilities { retire_after: Span::ZERO, ..self.provider.capabilities() },
            rooms: Vec::new(),
            mod_rooms: Vec::new(),
            by: User { platform: PlatformName::Console, id: "probe".into(), name: "probe".into() },
            asked_in: Room::console(),
            arm: true,
        };
        let Ok((sale, decision)) = start(&order, began) else {
            bail!("the template is outside its own bounds");
        };
        let mut run = Run { prober: self, sale, queue: VecDeque::new(), round: Round::default() };
        run.queue(decision.effects);
        run.until_closed(began).await?;
        Ok(run.round)
    }
}

/// A round under way.
struct Run<'a> {
    prober: &'a Prober,
    sale: Sale,
    queue: VecDeque<(Due, serde_json::Value)>,
    round: Round,
}

impl Run<'_> {
    /// Freezes each effect's request, as the outbox does.
    fn queue(&mut self, effects: Vec<Due>) {
        let pages = Nowhere(self.prober.page.clone());
        for due in effects {
            let body = self.prober.provider.frame(&self.sale, &due.effect, &pages);
            self.queue.push_back((due, body));
        }
    }

    async fn until_closed(&mut self, began: Timestamp) -> Result<()> {
        let mut last = began;
        while let Some((due, body)) = self.queue.pop_front() {
            if matches!(due.effect, Effect::Announce { .. }) {
                continue;
            }
            self.prober.clock.sleep_until(due.at).await;
            let event = self.carry_out(&due.effect, body).await?;
            let now = self.prober.clock.now();
            self.note(&event, now.since(last).millis());
            if !matches!(due.effect, Effect::Probe { .. }) {
                last = now;
            }
            self.tell(&event, now);
            if matches!(self.sale.head.phase, Phase::Armed { .. }) {
                last = now;
                self.tell(&Event::Stopped, now);
            }
        }
        if !self.sale.head.is_closed() {
            bail!("a round came to no end");
        }
        Ok(())
    }

    fn note(&mut self, event: &Event, took: i64) {
        match event {
            Event::Provisioned { .. } => self.round.item_ms = took,
            Event::CheckoutOpened { .. } => self.round.page_ms = took,
            Event::Probed { .. } => self.round.payable_ms = took,
            Event::CheckoutClosed { .. } => self.round.close_ms = took,
            Event::Retired => self.round.retire_ms = took,
            _ => {}
        }
    }

    fn tell(&mut self, event: &Event, now: Timestamp) {
        // What the sale refuses changes nothing, here as in the running program.
        let Ok(mut decision) = decide(&self.sale, event, now) else { return };
        let effects = std::mem::take(&mut decision.effects);
        self.sale.apply(decision);
        if let Phase::Closing { end } | Phase::Closed { end, .. } = &self.sale.head.phase
            && end.reason == crate::sale::EndReason::Failed
        {
            self.round.failed.clone_from(&self.sale.head.note);
        }
        self.queue(effects);
    }

    async fn carry_out(&self, effect: &Effect, mut body: serde_json::Value) -> Result<Event> {
        let mut key = short_hash(&format!("{} {effect:?}", self.sale.head.id));
        let mut says = String::new();
        for attempt in 0..ATTEMPTS_MAX {
            let now = self.prober.clock.now();
            let call = Call { key: key.clone(), now, first: attempt == 0 };
            let answer: Result<Outcome, _> =
                self.prober.provider.perform(effect, &body, &call).await;
            let wait = match answer {
                Ok(outcome) => match event_of(effect, outcome) {
                    Some(event) => return Ok(event),
                    None => bail!("{}: no fitting answer", effect.word()),
                },
                Err(ProviderError::Reject { says }) => match rejected(effect, &says) {
                    Some(event) => return Ok(event),
                    None => bail!("{}: {says}", effect.word()),
                },
                Err(ProviderError::Amend { body: other, says: why }) => {
                    key = short_hash(&format!("{key} again"));
                    (body, says) = (other, why);
                    Span::ZERO
                }
                Err(ProviderError::Retry { says: why, after }) => {
                    says = why;
                    after.unwrap_or(Span::from_secs(1))
                }
                Err(ProviderError::SlowDown { after }) => {
                    "asked to slow down".clone_into(&mut says);
                    after.unwrap_or(Span::from_secs(1))
                }
            };
            self.prober.clock.sleep_until(now + wait).await;
        }
        bail!("{}: given up after {ATTEMPTS_MAX} attempts: {says}", effect.word())
    }
}
