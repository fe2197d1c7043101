//! A decision while it is being made: changes laid over a sale that stays as it was.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use super::{
    Head, ListingState, Sale, Tally,
    effect::{Due, Effect},
    hold::{Hold, HoldState},
    payment::{Fate, Payment},
    refusal::Refusal,
};
use crate::{
    clock::Timestamp,
    id::{CheckoutId, HoldId, PaymentId},
    notice::{Notice, Trouble},
    room::Room,
};

/// Yes: what changes and what must be done.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The new head.
    pub head: Head,
    /// Holds that are new or changed.
    pub holds: Vec<Hold>,
    /// Payments that are new or changed.
    pub payments: Vec<Payment>,
    /// What must be done, in order.
    pub effects: Vec<Due>,
    /// How holds moved, for the journal.
    pub moves: Vec<Move>,
    /// Pages that are new: hold, page, the provider's order.
    pub pages: Vec<(HoldId, CheckoutId, Option<String>)>,
    /// The hold that a claim got.
    pub hold: Option<HoldId>,
    /// Whether anything changed at all; late and repeated events often change nothing.
    pub changed: bool,
}

/// One hold going from one state to another, as the journal keeps it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Move {
    /// The hold's number.
    pub n: u32,
    /// The state it was in; none if it is new.
    pub from: Option<Cow<'static, str>>,
    /// The state it is in.
    pub to: Cow<'static, str>,
    /// Its units.
    pub units: u32,
    /// Its up-sells.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub added: BTreeSet<String>,
}

/// Adds one hold to the counters.
pub(super) fn count(tally: &mut Tally, hold: &Hold) {
    let Tally { opening, open, closing, lapsed, paid, unsettled, warm, waiting } = tally;
    let units = match hold.state {
        HoldState::Offered { .. } | HoldState::Opening { .. } => opening,
        HoldState::Open { .. } => open,
        HoldState::Closing { .. } => closing,
        HoldState::Lapsed { .. } => lapsed,
        HoldState::Paid { .. } => paid,
        HoldState::Warm | HoldState::Discarding => {
            *warm += 1;
            return;
        }
        HoldState::Waiting { .. } => {
            *waiting += 1;
            return;
        }
        HoldState::Released { .. } => return,
    };
    *units += hold.units;
    if !hold.is_settled() {
        *unsettled += 1;
    }
}

/// Adds a hold's up-sells to what is taken of them.
pub(super) fn count_added(added: &mut BTreeMap<String, u32>, hold: &Hold) {
    for name in hold.extras.upsells.iter().filter(|_| hold.is_taken()) {
        *added.entry(name.clone()).or_default() += 1;
    }
}

/// Takes a hold's up-sells out again.
fn uncount_added(added: &mut BTreeMap<String, u32>, hold: &Hold) {
    for name in hold.extras.upsells.iter().filter(|_| hold.is_taken()) {
        match added.get_mut(name) {
            Some(n) if *n > 1 => *n -= 1,
            Some(_) | None => drop(added.remove(name)),
        }
    }
}

/// Takes one hold out of the counters.
fn uncount(tally: &mut Tally, hold: &Hold) {
    let mut one = Tally::default();
    count(&mut one, hold);
    let Tally { opening, open, closing, lapsed, paid, unsettled, warm, waiting } = one;
    tally.opening -= opening;
    tally.open -= open;
    tally.closing -= closing;
    tally.lapsed -= lapsed;
    tally.paid -= paid;
    tally.unsettled -= unsettled;
    tally.warm -= warm;
    tally.waiting -= waiting;
}

pub(super) struct Draft<'a> {
    base: &'a Sale,
    pub(super) now: Timestamp,
    pub(super) head: Head,
    holds: BTreeMap<HoldId, Hold>,
    payments: BTreeMap<PaymentId, Payment>,
    effects: Vec<Due>,
    answer: Option<HoldId>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a Sale, now: Timestamp) -> Self {
        let mut head = base.head.clone();
        let now = now.max(head.last_at);
        head.last_at = now;
        Self {
            base,
            now,
            head,
            holds: BTreeMap::new(),
            payments: BTreeMap::new(),
            effects: Vec::new(),
            answer: None,
        }
    }

    /// The sale as it was; its indexes do not know this draft's changes.
    pub(super) fn base(&self) -> &'a Sale {
        self.base
    }

    pub(super) fn hold(&self, id: HoldId) -> Option<&Hold> {
        self.holds.get(&id).or_else(|| self.base.hold(id))
    }

    pub(super) fn payment(&self, id: &PaymentId) -> Option<&Payment> {
        self.payments.get(id).or_else(|| self.base.payment(id))
    }

    /// Puts a hold in place of what stood under its id, counters included.
    pub(super) fn put(&mut self, hold: Hold) {
        if let Some(old) = self.holds.get(&hold.id).or_else(|| self.base.hold(hold.id)) {
            if *old == hold {
                return;
            }
            uncount(&mut self.head.tally, old);
            uncount_added(&mut self.head.added, old);
        }
        count(&mut self.head.tally, &hold);
        count_added(&mut self.head.added, &hold);
        self.holds.insert(hold.id, hold);
    }

    pub(super) fn put_payment(&mut self, payment: Payment) {
        let old = self.payment(&payment.fact.id);
        if old != Some(&payment) {
            let was_part = old.is_some_and(|old| old.fate == Fate::Part);
            let parts = self.head.parts + u32::from(payment.fate == Fate::Part);
            self.head.parts = parts.saturating_sub(u32::from(was_part));
            self.payments.insert(payment.fact.id.clone(), payment);
        }
    }

    /// Every warm page as of now, the shared one included.
    pub(super) fn warm_ids(&self) -> Vec<HoldId> {
        let shared = HoldId::shared(self.head.id);
        let old = self.base.index.all_warm().chain([shared]);
        let mut ids: Vec<HoldId> = old.chain(self.holds.keys().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| self.hold(*id).is_some_and(|hold| hold.state == HoldState::Warm));
        ids
    }

    /// How many warm pages there are as of now for one delivery choice.
    pub(super) fn warm_count(&self, delivery: &Option<String>) -> usize {
        let is_warm = |hold: &Hold| hold.state == HoldState::Warm && hold.delivery == *delivery;
        let changed = self.holds.values().filter(|hold| is_warm(hold)).count();
        let was = |id: &HoldId| self.base.hold(*id).is_some_and(is_warm);
        let before = self.base.index.warm_count(delivery);
        before + changed - self.holds.keys().filter(|id| was(id)).count()
    }

    /// The first `n` of those who wait, as of now.
    pub(super) fn waiting_ids(&self, n: usize) -> Vec<HoldId> {
        let waits = |id: &HoldId| {
            self.hold(*id).is_some_and(|hold| matches!(hold.state, HoldState::Waiting { .. }))
        };
        // New ones have higher numbers than any the index knows.
        let new = self.holds.keys().copied().filter(|id| self.base.hold(*id).is_none());
        self.base.index.line().chain(new).filter(waits).take(n).collect()
    }

    /// Payments that are parts of a price, as of now; nearly always there are none.
    pub(super) fn parts(&self) -> Vec<Payment> {
        if self.head.parts == 0 {
            return Vec::new();
        }
        let unchanged = self.base.payments().filter(|p| !self.payments.contains_key(&p.fact.id));
        let all = unchanged.chain(self.payments.values());
        all.filter(|payment| payment.fate == Fate::Part).cloned().collect()
    }

    /// Every payment joined to a hold, as of now.
    pub(super) fn payments_of(&self, hold: HoldId) -> Vec<Payment> {
        let unchanged = self.base.payments().filter(|p| !self.payments.contains_key(&p.fact.id));
        let all = unchanged.chain(self.payments.values());
        all.filter(|payment| payment.hold == Some(hold)).cloned().collect()
    }

    /// Every hold of which that is true as of now.
    pub(super) fn ids_where(&self, is: impl Fn(&Hold) -> bool) -> Vec<HoldId> {
        let unchanged = self.base.holds().filter(|hold| !self.holds.contains_key(&hold.id));
        unchanged.chain(self.holds.values()).filter(|hold| is(hold)).map(|hold| hold.id).collect()
    }

    /// The id for a new hold.
    pub(super) fn next_id(&mut self) -> HoldId {
        let n = self.head.next_n;
        self.head.next_n += 1;
        HoldId { sale: self.head.id, n }
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effect_at(effect, self.now);
    }

    pub(super) fn effect_at(&mut self, effect: Effect, at: Timestamp) {
        self.effects.push(Due { effect, at });
    }

    /// Says something in every room of the sale.
    pub(super) fn announce(&mut self, notice: &Notice) {
        for room in self.head.rooms.clone() {
            self.effect(Effect::Announce { room, notice: notice.clone() });
        }
    }

    /// Says something where only moderators read.
    pub(super) fn tell(&mut self, trouble: Trouble) {
        let notice = Notice::Trouble {
            number: self.head.number,
            title: self.head.template.title.clone(),
            trouble,
        };
        for room in self.head.mod_rooms.clone() {
            self.effect(Effect::Announce { room, notice: notice.clone() });
        }
    }

    /// Says in the moderators' rooms of other platforms that a room does not take the opening.
    pub(super) fn tell_elsewhere(&mut self, room: &Room, trouble: Trouble) {
        let notice = Notice::Trouble {
            number: self.head.number,
            title: self.head.template.title.clone(),
            trouble,
        };
        let mut rooms = self.head.mod_rooms.clone();
        rooms.retain(|other| other.platform != room.platform);
        for room in rooms {
            self.effect(Effect::Announce { room, notice: notice.clone() });
        }
    }

    pub(super) fn answer(&mut self, hold: HoldId) {
        self.answer = Some(hold);
    }

    /// Ends the draft: counts the revision and holds the result to the invariants.
    pub(super) fn finish(mut self) -> Result<Decision, Refusal> {
        // That time went on is no change.
        let last_at = std::mem::replace(&mut self.head.last_at, self.base.head.last_at);
        let changed = !self.holds.is_empty()
            || !self.payments.is_empty()
            || !self.effects.is_empty()
            || self.head != self.base.head;
        self.head.last_at = last_at;
        if changed {
            self.head.revision += 1;
        }
        self.check()?;
        let moves = self.moves();
        let pages = self.pages();
        Ok(Decision {
            head: self.head,
            holds: self.holds.into_values().collect(),
            payments: self.payments.into_values().collect(),
            effects: self.effects,
            moves,
            pages,
            hold: self.answer,
            changed,
        })
    }

    fn check(&self) -> Result<(), Refusal> {
        let Head { tally, stock, .. } = &self.head;
        if tally.taken() > *stock {
            return Err(Refusal::Broken("more units taken than there are"));
        }
        for (name, taken) in &self.head.added {
            let stock = self.head.template.offers.upsell(name).and_then(|one| one.stock);
            if stock.is_some_and(|stock| *taken > stock) {
                return Err(Refusal::Broken("more of an up-sell taken than there are"));
            }
        }
        if self.head.is_closed() && (tally.unsettled > 0 || tally.warm > 0) {
            return Err(Refusal::Broken("closed with something unsettled"));
        }
        if self.head.is_closed()
            && !matches!(self.head.listing, ListingState::Gone | ListingState::Left { .. })
        {
            return Err(Refusal::Broken("closed with a listing at the provider"));
        }
        Ok(())
    }

    fn pages(&self) -> Vec<(HoldId, CheckoutId, Option<String>)> {
        let known =
            |hold: &Hold, id| self.base.hold(hold.id).is_some_and(|h| h.checkout(id).is_some());
        self.holds
            .values()
            .flat_map(|hold| hold.checkouts.iter().map(move |page| (hold, page)))
            .filter(|(hold, page)| !known(hold, &page.id))
            .map(|(hold, page)| (hold.id, page.id.clone(), page.order.clone()))
            .collect()
    }

    fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for hold in self.holds.values() {
            let from = self.base.hold(hold.id).map(|old| old.state.word());
            let to = hold.state.word();
            if from != Some(to) {
                let (from, to) = (from.map(Cow::Borrowed), Cow::Borrowed(to));
                let (units, added) = (hold.units, hold.extras.upsells.clone());
                moves.push(Move { n: hold.id.n, from, to, units, added });
            }
        }
        moves
    }
}
