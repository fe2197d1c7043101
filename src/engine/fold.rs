//! Many events, one commit: decides them in turn over one sale and gathers what to write.

use std::{
    collections::{BTreeSet, HashSet},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{Engine, Origin};
use crate::{
    clock::Timestamp,
    id::{EffectId, HoldId, PaymentId, SaleId},
    provider::ReturnPages,
    sale::{
        Decision, Sale, decide,
        effect::{Due, Effect},
        event::Event,
        hold::{Hold, HoldState},
        offer::Code,
        refusal::Refusal,
    },
    store::{Commit, JournalLine, QueuedEffect, SaleChange, Seen},
};

/// How one event of a batch fared, before the commit.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    Decided(Option<HoldId>),
    Refused(Refusal),
    Duplicate,
    /// It broke the program: a panic or an invariant.
    Poison(String),
}

/// Gathers decisions over one sale until they are committed together.
pub(super) struct Fold<'a> {
    engine: &'a Engine,
    sale: &'a mut Sale,
    now: Timestamp,
    expected: u64,
    holds: BTreeSet<HoldId>,
    pages: Vec<(HoldId, crate::id::CheckoutId, Option<String>)>,
    payments: BTreeSet<PaymentId>,
    journal: Vec<JournalLine>,
    seen: HashSet<Seen>,
    /// Codes that other orders used up, as far as the store told.
    used: &'a [Seen],
    commit: Commit,
}

impl<'a> Fold<'a> {
    /// `used` is what the store said came before.
    pub(super) fn new(engine: &'a Engine, sale: &'a mut Sale, used: &'a [Seen]) -> Self {
        let now = engine.now();
        let expected = sale.head.revision;
        let commit = Commit { at: now, ..Commit::default() };
        Self {
            engine,
            sale,
            now,
            expected,
            holds: BTreeSet::new(),
            pages: Vec::new(),
            payments: BTreeSet::new(),
            journal: Vec::new(),
            seen: HashSet::new(),
            used,
            commit,
        }
    }

    /// Decides one event and takes the decision over. A refused event changes nothing, but what
    /// caused it counts as heard.
    pub(super) fn add(&mut self, event: &Arc<Event>, by: &str, origin: &Origin) -> Verdict {
        // The same thing twice in one batch: the first one counts.
        if let Origin::Seen(seen) = origin
            && !self.seen.insert(seen.clone())
        {
            return Verdict::Duplicate;
        }
        let sale = &*self.sale;
        let now = self.now;
        let decided = catch_unwind(AssertUnwindSafe(|| decide(sale, event, now)));
        let verdict = match decided {
            Ok(Ok(_)) if self.uses_again(event) => Verdict::Refused(Refusal::CodeUsed),
            Ok(Ok(decision)) => {
                let hold = decision.hold;
                self.take(decision, event, by);
                Verdict::Decided(hold)
            }
            Ok(Err(Refusal::Broken(what))) => return Verdict::Poison(what.to_owned()),
            Ok(Err(refusal)) => Verdict::Refused(refusal),
            Err(panic) => return Verdict::Poison(panic_text(panic.as_ref())),
        };
        self.settle(origin);
        verdict
    }

    /// Whether a claim brings a code that another order has.
    fn uses_again(&self, event: &Event) -> bool {
        let (Event::Claimed(claim) | Event::Joined(claim)) = event else { return false };
        let mut codes = claim.extras.codes.iter().map(seen_of);
        codes.any(|code| self.used.contains(&code) || self.commit.seen.contains(&code))
    }

    /// A code belongs to its hold for as long as that is not released; the store holds it to one.
    fn note_codes(&mut self, decision: &Decision) {
        for hold in decision.holds.iter().filter(|hold| !hold.extras.codes.is_empty()) {
            let has = |hold: &Hold| !matches!(hold.state, HoldState::Released { .. });
            let had = self
                .sale
                .hold(hold.id)
                .is_some_and(|old| has(old) && old.extras.codes == hold.extras.codes);
            let codes = hold.extras.codes.iter().map(seen_of);
            match (had, has(hold)) {
                (true, false) => {
                    for code in codes {
                        self.commit.seen.retain(|seen| *seen != code);
                        self.commit.freed.push(code);
                    }
                }
                // A late payment that is kept takes no code from somebody who has it by now.
                (false, true) => {
                    let free = |code: &Seen| !self.used.contains(code);
                    self.commit.seen.extend(codes.filter(free));
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    fn settle(&mut self, origin: &Origin) {
        match origin {
            Origin::Any => {}
            Origin::Seen(seen) => self.commit.seen.push(seen.clone()),
            Origin::Effect(id, token) => self.commit.done.push((id.clone(), token.clone())),
            Origin::Parked(id, token, why) => {
                self.commit.parked.push((id.clone(), token.clone(), why.clone()));
            }
        }
    }

    fn take(&mut self, mut decision: Decision, event: &Arc<Event>, by: &str) {
        if !decision.changed {
            return;
        }
        self.note_codes(&decision);
        self.holds.extend(decision.holds.iter().map(|hold| hold.id));
        self.payments.extend(decision.payments.iter().map(|payment| payment.fact.id.clone()));
        self.pages.append(&mut decision.pages);
        let effects = std::mem::take(&mut decision.effects);
        let moves = std::mem::take(&mut decision.moves);
        self.sale.apply(decision);
        let head = &self.sale.head;
        self.journal.push(JournalLine {
            revision: head.revision,
            at: head.last_at,
            by: by.to_owned(),
            stock: head.stock,
            event: Some(event.clone()),
            moves,
            quarantined: None,
        });
        self.commit.effects.extend(queue(self.engine, self.sale, head.revision, &effects));
    }

    /// Sets a poisonous event aside: the journal keeps it, moderators hear of it, and whatever
    /// caused it counts as done, so that it does not come back for ever.
    pub(super) fn quarantine(&mut self, event: &Event, by: &str, origin: &Origin, why: &str) {
        self.sale.head.revision += 1;
        self.sale.head.note = Some(format!("set aside: {why}"));
        self.journal.push(JournalLine {
            revision: self.sale.head.revision,
            at: self.now,
            by: by.to_owned(),
            stock: self.sale.head.stock,
            event: None,
            moves: Vec::new(),
            quarantined: Some(format!("{why}: {}", event_text(event))),
        });
        let origin = match origin {
            Origin::Effect(id, token) => Origin::Parked(
                id.clone(),
                token.clone(),
                format!("its outcome was set aside: {why}"),
            ),
            other => other.clone(),
        };
        self.settle(&origin);
        let notice = crate::notice::Notice::Trouble {
            number: self.sale.head.number,
            title: self.sale.head.template.title.clone(),
            trouble: crate::notice::Trouble::Parked {
                what: "work off an event".to_owned(),
                why: why.to_owned(),
            },
        };
        let told: Vec<Due> = self
            .sale
            .head
            .mod_rooms
            .iter()
            .map(|room| Effect::Announce { room: room.clone(), notice: notice.clone() })
            .map(|effect| Due { effect, at: self.now })
            .collect();
        let revision = self.sale.head.revision;
        self.commit.effects.extend(queue(self.engine, self.sale, revision, &told));
    }

    /// Whether anything must be written.
    pub(super) fn is_empty(&self) -> bool {
        let Commit { seen, done, parked, .. } = &self.commit;
        self.journal.is_empty() && seen.is_empty() && done.is_empty() && parked.is_empty()
    }

    /// Whether the sale changed.
    pub(super) fn changed(&self) -> bool {
        !self.journal.is_empty()
    }

    pub(super) fn finish(mut self) -> Commit {
        if !self.journal.is_empty() {
            let sale = &*self.sale;
            self.commit.sale = Some(SaleChange {
                head: sale.head.clone(),
                expected: Some(self.expected),
                wake_at: sale.next_deadline(),
                holds: self.holds.iter().filter_map(|id| sale.hold_as_it_is(*id)).collect(),
                pages: self.pages,
                payments: self.payments.iter().filter_map(|p| sale.payment(p).cloned()).collect(),
                journal: self.journal,
            });
        } else {
            // That nothing changes was decided about this revision, too.
            self.commit.guard = Some((self.sale.head.id, self.expected));
        }
        self.commit
    }
}

/// Effects as they enter the outbox, each with its request frozen.
pub(super) fn queue(
    engine: &Engine,
    sale: &Sale,
    revision: u64,
    effects: &[Due],
) -> Vec<QueuedEffect> {
    let id = sale.head.id;
    let pages = engine.inner.parts.pages.as_ref();
    effects
        .iter()
        .enumerate()
        .map(|(position, Due { effect, at })| QueuedEffect {
            id: EffectId::of_sale(id, revision, position),
            sale: id,
            lane: effect.lane(id),
            target: target(sale, effect),
            class: sale.class_of(effect),
            due_at: *at,
            queued_at: sale.head.last_at,
            body: frame(engine, sale, effect, pages),
            effect: effect.clone(),
        })
        .collect()
}

/// Who carries an effect out: a provider, or a platform's sender.
fn target(sale: &Sale, effect: &Effect) -> String {
    match effect {
        Effect::Announce { room, .. } => say_target(room.platform.as_str()),
        _ => sale.head.template.provider.clone(),
    }
}

/// The outbox name of a platform's sender.
pub(crate) fn say_target(platform: &str) -> String {
    format!("say:{platform}")
}

fn frame(
    engine: &Engine,
    sale: &Sale,
    effect: &Effect,
    pages: &dyn ReturnPages,
) -> serde_json::Value {
    if matches!(effect, Effect::Announce { .. }) {
        return serde_json::Value::Null;
    }
    match engine.provider(&sale.head.template.provider) {
        Some(provider) => provider.frame(sale, effect, pages),
        // The worker of that name parks it with a reason.
        None => serde_json::Value::Null,
    }
}

fn event_text(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_else(|_| format!("{event:?}"))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned());
    format!("the program stumbled: {}", text.unwrap_or_default())
}

/// A code as something that counts once.
fn seen_of(code: &Code) -> Seen {
    Seen { source: format!("code:{}", code.list), id: code.mark.clone() }
}

/// Removes the ids that were heard before from what a sale's letters brought.
pub(super) fn is_repeated(origin: &Origin, repeated: &[Seen]) -> bool {
    matches!(origin, Origin::Seen(seen) if repeated.contains(seen))
}

/// A new sale's first commit.
pub(super) fn first_commit(
    engine: &Engine,
    sale: &Sale,
    decision: &Decision,
    event: Event,
    by: &str,
) -> Commit {
    let head = &decision.head;
    let line = JournalLine {
        revision: head.revision,
        at: head.last_at,
        by: by.to_owned(),
        stock: head.stock,
        event: Some(Arc::new(event)),
        moves: decision.moves.clone(),
        quarantined: None,
    };
    let id: SaleId = head.id;
    debug_assert_eq!(id, sale.head.id);
    Commit {
        effects: queue(engine, sale, head.revision, &decision.effects),
        sale: Some(SaleChange {
            head: head.clone(),
            expected: None,
            wake_at: sale.next_deadline(),
            holds: Vec::new(),
            pages: Vec::new(),
            payments: Vec::new(),
            journal: vec![line],
        }),
        at: head.last_at,
        ..Commit::default()
    }
}
