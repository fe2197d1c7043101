//! Ways to find holds without looking at all of them. Derived, never stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    hold::{Hold, HoldState},
    share::Networks,
};
use crate::{
    clock::Timestamp,
    id::{Buyer, HoldId},
};

#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    by_buyer: HashMap<Buyer, BTreeSet<HoldId>>,
    pub(super) networks: Networks,
    deadlines: BTreeSet<(Timestamp, HoldId)>,
    opening: BTreeSet<HoldId>,
    line: BTreeSet<HoldId>,
    warm: BTreeMap<Option<String>, BTreeSet<HoldId>>,
    ready: BTreeMap<Option<String>, BTreeSet<HoldId>>,
}

impl Index {
    pub(super) fn add(&mut self, hold: &Hold) {
        if let Some(buyer) = &hold.buyer {
            self.by_buyer.entry(buyer.clone()).or_default().insert(hold.id);
        }
        self.networks.add(hold);
        if let Some(deadline) = hold.deadline() {
            self.deadlines.insert((deadline, hold.id));
        }
        match hold.state {
            HoldState::Opening { .. } => {
                self.opening.insert(hold.id);
            }
            HoldState::Waiting { .. } => {
                self.line.insert(hold.id);
            }
            HoldState::Warm if !hold.id.is_shared() => {
                self.warm.entry(hold.delivery.clone()).or_default().insert(hold.id);
                if hold.proven().is_some() {
                    self.ready.entry(hold.delivery.clone()).or_default().insert(hold.id);
                }
            }
            HoldState::Warm
            | HoldState::Discarding
            | HoldState::Offered { .. }
            | HoldState::Open { .. }
            | HoldState::Closing { .. }
            | HoldState::Paid { .. }
            | HoldState::Released { .. }
            | HoldState::Lapsed { .. } => {}
        }
    }

    pub(super) fn remove(&mut self, hold: &Hold) {
        // A buyer keeps their holds for good; only the other tables follow the state.
        self.networks.remove(hold);
        if let Some(deadline) = hold.deadline() {
            self.deadlines.remove(&(deadline, hold.id));
        }
        self.opening.remove(&hold.id);
        self.line.remove(&hold.id);
        for table in [&mut self.warm, &mut self.ready] {
            if let Some(set) = table.get_mut(&hold.delivery) {
                set.remove(&hold.id);
            }
        }
    }

    pub(super) fn of_buyer(&self, buyer: &Buyer) -> impl Iterator<Item = &HoldId> {
        self.by_buyer.get(buyer).into_iter().flatten()
    }

    pub(super) fn first_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Holds whose own deadline has come; with `all`, every hold that has one.
    pub(super) fn due(&self, now: Timestamp, all: bool) -> Vec<HoldId> {
        self.deadlines.iter().take_while(|(at, _)| all || *at <= now).map(|(_, id)| *id).collect()
    }

    pub(super) fn place(&self, id: HoldId) -> Option<usize> {
        self.opening.contains(&id).then(|| self.opening.range(..id).count())
    }

    pub(super) fn place_in_line(&self, id: HoldId) -> Option<usize> {
        self.line.contains(&id).then(|| self.line.range(..id).count())
    }

    /// Those who wait, first come first.
    pub(super) fn line(&self) -> impl Iterator<Item = HoldId> {
        self.line.iter().copied()
    }

    pub(super) fn first_ready(&self, delivery: &Option<String>) -> Option<HoldId> {
        self.ready.get(delivery)?.first().copied()
    }

    pub(super) fn all_ready(&self) -> impl Iterator<Item = HoldId> {
        self.ready.values().flatten().copied()
    }

    pub(super) fn warm_count(&self, delivery: &Option<String>) -> usize {
        self.warm.get(delivery).map_or(0, BTreeSet::len)
    }

    pub(super) fn all_warm(&self) -> impl Iterator<Item = HoldId> {
        self.warm.values().flatten().copied()
    }
}
