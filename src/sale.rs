//! One timed run of a template: the unit of consistency.
//!
//! [`decide()`] takes a sale, an event and the time, and says what changes and what must be done.
//! Nothing here is `async`, reads a clock, draws a random number or talks to anybody; the shell
//! around it does all that. The invariants: `held + paid ≤ stock` at all times, one live hold per
//! buyer, units return only when the provider confirmed that a page can no longer be paid.

pub mod archive;
pub mod carry;
pub mod decide;
mod draft;
pub mod effect;
pub mod event;
mod head;
pub mod hold;
mod index;
pub mod offer;
pub mod payment;
pub mod refusal;
pub mod share;
pub mod template;
#[cfg(test)]
pub(crate) mod tests;

use std::{collections::BTreeMap, sync::Arc};

pub use self::{
    decide::{decide, start},
    draft::{Decision, Move},
    head::{End, EndReason, Head, ListingState, PauseReason, PendingCount, Phase, Tally},
};
use self::{
    effect::{Class, Effect},
    hold::{Hold, HoldState},
    index::Index,
    payment::{Fate, Payment},
};
use crate::{
    clock::Timestamp,
    id::{Buyer, HoldId, PaymentId},
};

/// A sale with all its holds and payments.
#[derive(Clone, Debug)]
pub struct Sale {
    /// Everything about it but holds and payments.
    pub head: Head,
    /// Shared with what is being written of them.
    holds: BTreeMap<HoldId, Arc<Hold>>,
    payments: BTreeMap<PaymentId, Payment>,
    index: Index,
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
            sale.holds.insert(hold.id, Arc::new(hold));
        }
        sale
    }

    /// Takes over what was decided.
    pub fn apply(&mut self, decision: Decision) {
        self.head = decision.head;
        if self.head.archived.is_some() {
            self.holds.clear();
            self.index = Index::default();
        }
        for hold in decision.holds {
            if let Some(old) = self.holds.get(&hold.id) {
                self.index.remove(old);
            }
            self.index.add(&hold);
            self.holds.insert(hold.id, Arc::new(hold));
        }
        for payment in decision.payments {
            self.payments.insert(payment.fact.id.clone(), payment);
        }
    }

    /// The hold called `id`.
    pub fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id).map(Arc::as_ref)
    }

    /// The same, to be kept beyond the next change.
    pub fn hold_as_it_is(&self, id: HoldId) -> Option<Arc<Hold>> {
        self.holds.get(&id).cloned()
    }

    /// All holds, oldest first.
    pub fn holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values().map(Arc::as_ref)
    }

    /// All payments.
    pub fn payments(&self) -> impl Iterator<Item = &Payment> {
        self.payments.values()
    }

    /// The payment called `id`.
    pub fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id)
    }

    /// The other payments that were kept for the same hold.
    pub fn kept_beside<'a>(&'a self, payment: &'a Payment) -> impl Iterator<Item = &'a Payment> {
        let splits = self.head.capabilities.splits && payment.fate == Fate::Kept;
        let hold = payment.hold.filter(|_| splits);
        let beside = move |other: &&Payment| {
            hold.is_some()
                && other.hold == hold
                && other.fact.id != payment.fact.id
                && other.fate == Fate::Kept
        };
        self.payments().filter(beside)
    }

    /// The units that stand beside a payment in a list of all: several payments for one hold are one
    /// parcel, and its units stand beside the one that completed it.
    pub fn units_of(&self, payment: &Payment) -> Option<u32> {
        if self.head.archived.is_some() {
            return payment.units;
        }
        let hold = payment.hold.and_then(|id| self.hold(id))?;
        let completed_it = match &hold.state {
            HoldState::Paid { payment: by, .. } => *by == payment.fact.id,
            _ => true,
        };
        let alone = self.kept_beside(payment).next().is_none();
        (completed_it || alone).then_some(hold.units)
    }

    /// All holds of one buyer, oldest first.
    pub fn holds_of<'a>(&'a self, buyer: &'a Buyer) -> impl Iterator<Item = &'a Hold> {
        self.index.of_buyer(buyer).filter_map(|id| self.hold(*id))
    }

    /// The hold that one buyer has a page for, or waits with.
    pub fn live_hold_of<'a>(&'a self, buyer: &'a Buyer) -> Option<&'a Hold> {
        self.holds_of(buyer).find(|hold| hold.is_live())
    }

    /// The hold that a claim leads to instead of a new one: the live one, or what came of the same
    /// form before, unless its units went back.
    pub fn hold_instead<'a>(&'a self, buyer: &'a Buyer, form: Option<u32>) -> Option<&'a Hold> {
        self.holds_of(buyer).find(|hold| {
            let same = form.is_some() && hold.form == form;
            hold.is_live() || (same && !matches!(hold.state, HoldState::Released { .. }))
        })
    }

    /// How many holds wait for their page before `id` does; `None` if it does not wait.
    pub fn place(&self, id: HoldId) -> Option<usize> {
        self.index.place(id)
    }

    /// How many wait in line for a unit before `id` does; `None` if it does not.
    pub fn place_in_line(&self, id: HoldId) -> Option<usize> {
        self.index.place_in_line(id)
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
        [phase, holds, count, head.warm_again_at, head.parts_until].into_iter().flatten().min()
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
        let mut added = BTreeMap::new();
        let mut live: BTreeMap<&Buyer, u32> = BTreeMap::new();
        for hold in self.holds.values() {
            draft::count(&mut scan, hold);
            draft::count_added(&mut added, hold);
            if hold.is_live()
                && let Some(buyer) = &hold.buyer
            {
                *live.entry(buyer).or_default() += 1;
            }
        }
        if self.head.archived.is_some() {
            // The counters are all there is of the holds.
            return if self.holds.is_empty() { Ok(()) } else { Err("archived, and it has holds") };
        }
        if scan != self.head.tally || added != self.head.added {
            return Err("the counters differ from the holds");
        }
        if scan.taken() > self.head.stock {
            return Err("more units taken than there are");
        }
        if live.values().any(|n| *n > 1) {
            return Err("a buyer with two live holds");
        }
        if self.head.is_closed() && scan.unsettled + scan.waiting > 0 {
            return Err("closed with unsettled holds");
        }
        Ok(())
    }
}
