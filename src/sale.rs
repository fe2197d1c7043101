//! One timed run of a template: the unit of consistency.
//!
//! [`decide`] takes a sale, an event and the time, and says what changes and what must be done.
//! Nothing here is `async`, reads a clock, draws a random number or talks to anybody; the shell
//! around it does all that. The invariants: `held + paid ≤ stock` at all times, one live hold per
//! buyer, units return only when the provider confirmed that a page can no longer be paid.

pub mod decide;
mod draft;
pub mod effect;
pub mod event;
pub mod hold;
mod index;
pub mod payment;
pub mod refusal;
pub mod template;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub use self::{
    decide::{decide, start},
    draft::{Decision, Move},
};
use self::{
    effect::{Class, Effect},
    event::Listing,
    hold::{Hold, HoldState},
    index::Index,
    payment::Payment,
    template::{Capabilities, Template},
};
use crate::{
    clock::{Span, Timestamp},
    id::{Buyer, HoldId, PaymentId, SaleId},
    room::{Room, User},
};

/// A sale with all its holds and payments.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Everything about it but holds and payments.
    pub head: Head,
    holds: BTreeMap<HoldId, Hold>,
    payments: BTreeMap<PaymentId, Payment>,
    index: Index,
}

/// Everything about a sale but its holds and payments: small, and stored whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its id.
    pub id: SaleId,
    /// Its short number, `#7`.
    pub number: u32,
    /// What it sells.
    pub template: Arc<Template>,
    /// What its provider can do.
    pub capabilities: Capabilities,
    /// Rooms that hear of it.
    pub rooms: Vec<Room>,
    /// Rooms that hear of money and trouble.
    pub mod_rooms: Vec<Room>,
    /// Who asked for it.
    pub started_by: User,
    /// Where.
    pub asked_in: Room,
    /// When.
    pub started_at: Timestamp,
    /// Counts decisions; every surface compares it.
    pub revision: u64,
    /// The latest time the sale has seen; its time never runs backwards.
    pub last_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// Units that exist for it, sold or not.
    pub stock: u32,
    /// Units ever offered: the first stock and all restocks. Bounded by the template.
    pub offered: u32,
    /// Time it was to be open, extensions included. Bounded by the template.
    pub length: Span,
    /// Time spent in finished pauses.
    pub paused_for: Span,
    /// Counters over the holds.
    pub tally: Tally,
    /// The number the next hold gets.
    pub next_n: u32,
    /// What stands at the provider.
    pub listing: ListingState,
    /// What troubles it, for moderators.
    pub note: Option<String>,
    /// Units promised that are not there: somebody must look.
    pub short: u32,
    /// Units known to be sold elsewhere.
    pub outside: u32,
    /// Restocks the provider has not confirmed.
    pub restocking: u32,
    /// A provider's count waiting to be compared with ours.
    pub count: Option<PendingCount>,
    /// The provider shows the item as sold out, marked by hand.
    pub marked_sold_out: bool,
    /// After a refused warm page, no new one before this.
    pub warm_again_at: Option<Timestamp>,
}

/// Where a sale stands; each state with what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Phase {
    /// Being made ready at the provider.
    Arming {
        /// Since when.
        since: Timestamp,
        /// When the start is refused.
        give_up_at: Timestamp,
        /// Stay armed when ready, instead of opening.
        stay: bool,
    },
    /// Ready; waits to be opened.
    Armed {
        /// Since when.
        since: Timestamp,
        /// When it is retired.
        until: Timestamp,
        /// When its warm pages are looked at again.
        probe_at: Timestamp,
    },
    /// Selling.
    Open {
        /// Since when.
        opened_at: Timestamp,
        /// Until when.
        ends_at: Timestamp,
    },
    /// Not selling for a while; its clock stands still.
    Paused {
        /// When it first opened.
        opened_at: Timestamp,
        /// When the pause began.
        since: Timestamp,
        /// Selling time left.
        left: Span,
        /// Why.
        why: PauseReason,
    },
    /// Over; what is open is being settled.
    Closing {
        /// How it ended.
        end: End,
    },
    /// Over and clean.
    Closed {
        /// How it ended.
        end: End,
        /// When the last of it was settled.
        closed_at: Timestamp,
    },
}

/// How a sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// When selling ended.
    pub at: Timestamp,
    /// When it had opened, if it ever did.
    pub opened_at: Option<Timestamp>,
}

/// Why a sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Every unit was paid.
    SoldOut,
    /// The clock.
    TimeUp,
    /// A moderator.
    Stopped,
    /// It could not be made ready.
    Failed,
}

/// Why a sale is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A moderator asked.
    Asked,
    /// Somebody marked the item sold out at the provider.
    ProviderSoldOut,
}

/// What stands at the provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ListingState {
    /// Being made.
    Making,
    /// There.
    Made {
        /// The adapter's notes.
        listing: Listing,
    },
    /// Being removed.
    Retiring {
        /// The adapter's notes.
        listing: Listing,
    },
    /// Nothing is there.
    Gone,
    /// Something may be there; a person must look.
    Left {
        /// The adapter's notes, if it was ever made.
        listing: Option<Listing>,
    },
}

/// Units and holds by state; kept up to date hold by hold, compared with a full scan in tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Units of holds waiting for a page.
    pub opening: u32,
    /// Units of holds with a page.
    pub open: u32,
    /// Units of holds being closed.
    pub closing: u32,
    /// Units taken for ever.
    pub lapsed: u32,
    /// Units paid.
    pub paid: u32,
    /// Holds that are opening, open or closing.
    pub unsettled: u32,
    /// Pages kept warm or being discarded.
    pub warm: u32,
}

/// A provider's count, kept until our own payments up to its time are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCount {
    /// Units the provider has.
    pub count: i64,
    /// As of when.
    pub at: Timestamp,
    /// When to compare.
    pub act_at: Timestamp,
}

impl Tally {
    /// Units held and not paid.
    pub fn held(&self) -> u32 {
        self.opening + self.open + self.closing + self.lapsed
    }

    /// Units held or paid.
    pub fn taken(&self) -> u32 {
        self.held() + self.paid
    }
}

impl Phase {
    /// The word in tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Arming { .. } => "arming",
            Self::Armed { .. } => "armed",
            Self::Open { .. } => "open",
            Self::Paused { .. } => "paused",
            Self::Closing { .. } => "closing",
            Self::Closed { .. } => "closed",
        }
    }

    /// How it ended, if it did.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Closing { end } | Self::Closed { end, .. } => Some(*end),
            Self::Arming { .. } | Self::Armed { .. } | Self::Open { .. } | Self::Paused { .. } => {
                None
            }
        }
    }
}

impl EndReason {
    /// The word in tables and the public view.
    pub fn word(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::TimeUp => "time_up",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl Head {
    /// Units nobody holds.
    pub fn free(&self) -> u32 {
        self.stock.saturating_sub(self.tally.taken())
    }

    /// The moment no page may outlive, whatever its own deadline says.
    pub fn end_limit(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open { ends_at, .. } => Some(*ends_at + self.template.grace),
            Phase::Closing { end } | Phase::Closed { end, .. } => match end.reason {
                EndReason::TimeUp => Some(end.at + self.template.grace),
                EndReason::SoldOut | EndReason::Stopped | EndReason::Failed => Some(end.at),
            },
            Phase::Arming { .. } | Phase::Armed { .. } | Phase::Paused { .. } => None,
        }
    }

    /// When a pause is over for good.
    fn pause_limit(&self, since: Timestamp) -> Timestamp {
        since + self.template.bounds.max_duration.minus(self.paused_for)
    }

    /// Whether it is over and clean.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// When it opened, if it ever did.
    pub fn opened_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open { opened_at, .. } | Phase::Paused { opened_at, .. } => Some(*opened_at),
            Phase::Closing { end } | Phase::Closed { end, .. } => end.opened_at,
            Phase::Arming { .. } | Phase::Armed { .. } => None,
        }
    }

    /// The adapter's notes on what stands at the provider, as far as known.
    pub fn listing(&self) -> Option<&Listing> {
        match &self.listing {
            ListingState::Made { listing } | ListingState::Retiring { listing } => Some(listing),
            ListingState::Left { listing } => listing.as_ref(),
            ListingState::Making | ListingState::Gone => None,
        }
    }
}

impl Sale {
    /// Puts a stored sale together again.
    pub fn assemble(head: Head, holds: Vec<Hold>, payments: Vec<Payment>) -> Self {
        let mut sale = Self {
            head,
            holds: BTreeMap::new(),
            payments: payments.into_iter().map(|p| (p.fact.id.clone(), p)).collect(),
            index: Index::default(),
        };
        for hold in holds {
            sale.index.add(&hold);
            sale.holds.insert(hold.id, hold);
        }
        sale
    }

    /// Takes over what was decided.
    pub fn apply(&mut self, decision: &Decision) {
        self.head = decision.head.clone();
        for hold in &decision.holds {
            if let Some(old) = self.holds.get(&hold.id) {
                self.index.remove(old);
            }
            self.index.add(hold);
            self.holds.insert(hold.id, hold.clone());
        }
        for payment in &decision.payments {
            self.payments.insert(payment.fact.id.clone(), payment.clone());
        }
    }

    /// The hold called `id`.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id)
    }

    /// All holds, oldest first.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values()
    }

    /// All payments.
    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.payments.values()
    }

    /// The payment called `id`.
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id)
    }

    /// All holds of one buyer, oldest first.
    pub fn holds_of<'a>(&'a self, buyer: &'a Buyer) -> impl Iterator<Item = &'a Hold> {
        self.index.of_buyer(buyer).filter_map(|id| self.holds.get(id))
    }

    /// The hold that one buyer has a page for, or waits with.
    pub fn live_hold_of<'a>(&'a self, buyer: &'a Buyer) -> Option<&'a Hold> {
        self.holds_of(buyer).find(|hold| hold.is_live())
    }

    /// How many holds wait for their page before `id` does; `None` if it does not wait.
    pub fn place(&self, id: HoldId) -> Option<usize> {
        self.index.place(id)
    }

    /// When the hold's page will be closed, the sale's end included.
    pub fn deadline_of(&self, hold: &Hold) -> Option<Timestamp> {
        let own = hold.deadline()?;
        Some(self.head.end_limit().map_or(own, |end| own.min(end)))
    }

    /// The next moment at which time alone changes something.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let head = &self.head;
        let phase = match &head.phase {
            Phase::Arming { give_up_at, .. } => Some(*give_up_at),
            Phase::Armed { until, probe_at, .. } => Some(*until.min(probe_at)),
            Phase::Open { ends_at, .. } => Some(*ends_at),
            Phase::Paused { since, .. } => Some(head.pause_limit(*since)),
            Phase::Closing { .. } | Phase::Closed { .. } => None,
        };
        let holds =
            self.index.first_deadline().map(|own| head.end_limit().map_or(own, |end| own.min(end)));
        let count = head.count.map(|count| count.act_at);
        [phase, holds, count, head.warm_again_at].into_iter().flatten().min()
    }

    /// Who waits for an effect, and so how urgent it is.
    pub fn class_of(&self, effect: &Effect) -> Class {
        let ending = matches!(self.head.phase, Phase::Closing { .. } | Phase::Closed { .. });
        match effect {
            Effect::Announce { .. } => Class::Say,
            Effect::Refund { .. } => Class::Refund,
            Effect::Provision | Effect::Restock { .. } => Class::Prepare,
            Effect::CloseCheckout { .. } | Effect::Retire if ending => Class::Ending,
            Effect::CloseCheckout { .. } | Effect::Retire => Class::Close,
            Effect::OpenCheckout { hold, .. } | Effect::Probe { hold, .. } => {
                let warm = self.hold(*hold).is_some_and(|h| h.state == HoldState::Warm);
                match (warm, &self.head.phase) {
                    (true, Phase::Arming { .. }) => Class::Prepare,
                    (true, _) => Class::Warm,
                    (false, _) => Class::Buyer,
                }
            }
        }
    }

    /// Whether an effect, not yet sent, is still wanted; if not it may be dropped unsent.
    pub fn wants(&self, effect: &Effect) -> bool {
        let waits = |h: &Hold| matches!(h.state, HoldState::Opening { .. } | HoldState::Warm);
        match effect {
            Effect::OpenCheckout { hold, .. } => self.hold(*hold).is_some_and(waits),
            Effect::Probe { hold, checkout } => {
                self.hold(*hold).is_some_and(|h| waits(h) && h.checkout(checkout).is_some())
            }
            Effect::Provision
            | Effect::Restock { .. }
            | Effect::CloseCheckout { .. }
            | Effect::Retire
            | Effect::Refund { .. }
            | Effect::Announce { .. } => true,
        }
    }

    /// Compares every counter with a full scan.
    ///
    /// # Errors
    /// Names the first invariant that does not hold.
    pub fn audit(&self) -> Result<(), &'static str> {
        let mut scan = Tally::default();
        let mut live: BTreeMap<&Buyer, u32> = BTreeMap::new();
        for hold in self.holds.values() {
            draft::count(&mut scan, hold);
            if hold.is_live() {
                if let Some(buyer) = &hold.buyer {
                    *live.entry(buyer).or_default() += 1;
                }
            }
        }
        if scan != self.head.tally {
            return Err("the counters differ from the holds");
        }
        if scan.taken() > self.head.stock {
            return Err("more units taken than there are");
        }
        if live.values().any(|n| *n > 1) {
            return Err("a buyer with two live holds");
        }
        if self.head.is_closed() && scan.unsettled > 0 {
            return Err("closed with unsettled holds");
        }
        Ok(())
    }
}
