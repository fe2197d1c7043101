//! The proof: a sale's ledger recomputed from its journal, without the rules that made it.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;

use crate::{
    sale::{Move, Sale, archive::Archived, hold::HoldState, payment::Fate},
    store::JournalLine,
};

/// What the journal proves about a sale, recomputed without the rules that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Units taken above the stock, at the worst commit.
    pub oversold: u32,
    /// Most units taken at any commit.
    pub taken_max: u32,
    /// Commits looked at.
    pub commits: u32,
    /// Whatever does not agree, in words.
    pub wrong: Vec<String>,
    /// The day since which the journal is archived, if it is: until then it was proven once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
}

/// Recomputes a sale's ledger from its journal and compares it with what is stored.
pub fn prove(sale: &Sale, journal: &[JournalLine]) -> Proof {
    if let Some(archived) = &sale.head.archived {
        return prove_archived(sale, archived, journal);
    }
    let mut proof = Proof::default();
    let mut holds: BTreeMap<u32, (Cow<'static, str>, u32)> = BTreeMap::new();
    let mut added = Added::default();
    let mut revision = 0;
    for line in journal {
        proof.commits += 1;
        if line.revision <= revision {
            proof.wrong.push(format!("revision {} comes after {revision}", line.revision));
        }
        revision = line.revision;
        for step in &line.moves {
            added.step(step);
            let was = holds.insert(step.n, (step.to.clone(), step.units));
            let was = was.map(|(state, _)| state);
            if was != step.from {
                let from = step.from.as_deref().unwrap_or("nothing");
                let was = was.as_deref().unwrap_or("nothing");
                proof.wrong.push(format!("hold {} left {from}, but was {was}", step.n));
            }
        }
        let taken: u32 =
            holds.values().filter(|(state, _)| is_taken(state)).map(|(_, units)| units).sum();
        proof.taken_max = proof.taken_max.max(taken);
        proof.oversold = proof.oversold.max(taken.saturating_sub(line.stock));
        proof.oversold = proof.oversold.max(added.over(sale));
    }
    ends_at(sale, revision, &mut proof);
    compare(sale, &holds, &mut proof);
    proof
}

/// What can be told of a sale without its journal: what was proven when that went, and that what
/// stayed agrees with it.
fn prove_archived(sale: &Sale, archived: &Archived, journal: &[JournalLine]) -> Proof {
    let figures = archived.figures;
    let mut proof = Proof {
        taken_max: figures.taken_max,
        commits: figures.commits,
        archived: Some(archived.day()),
        ..Proof::default()
    };
    let mut revision = archived.revision - 1;
    for line in journal.iter().filter(|line| line.revision >= archived.revision) {
        if line.revision <= revision {
            proof.wrong.push(format!("revision {} comes after {revision}", line.revision));
        }
        revision = line.revision;
    }
    ends_at(sale, revision, &mut proof);
    let kept: u32 = sale
        .payments()
        .filter(|payment| payment.fate == Fate::Kept)
        .filter_map(|payment| payment.units)
        .sum();
    let paid = sale.head.tally.paid;
    if kept > paid {
        proof.wrong.push(format!("{paid} units are paid, {kept} are kept"));
    }
    if let Err(broken) = sale.audit() {
        proof.wrong.push(broken.to_owned());
    }
    proof
}

fn ends_at(sale: &Sale, revision: u64, proof: &mut Proof) {
    let is = sale.head.revision;
    if revision != is {
        let wrong = format!("the journal ends at revision {revision}, the sale is at {is}");
        proof.wrong.push(wrong);
    }
}

/// Up-sells that are taken, by their name.
#[derive(Default)]
struct Added(BTreeMap<String, BTreeSet<u32>>);

impl Added {
    fn step(&mut self, step: &Move) {
        for name in &step.added {
            let holders = self.0.entry(name.clone()).or_default();
            if is_taken(&step.to) {
                holders.insert(step.n);
            } else {
                holders.remove(&step.n);
            }
        }
    }

    /// How many are taken above what there are, of the worst of them.
    fn over(&self, sale: &Sale) -> u32 {
        let over = self.0.iter().filter_map(|(name, holders)| {
            let stock = sale.head.template.offers.upsell(name)?.stock?;
            Some(u32::try_from(holders.len()).unwrap_or(u32::MAX).saturating_sub(stock))
        });
        over.max().unwrap_or(0)
    }
}

fn is_taken(state: &str) -> bool {
    matches!(state, "offered" | "opening" | "open" | "closing" | "paid" | "lapsed")
}

/// The stored holds and payments against the recomputed ones.
fn compare(sale: &Sale, holds: &BTreeMap<u32, (Cow<'static, str>, u32)>, proof: &mut Proof) {
    for hold in sale.holds() {
        match holds.get(&hold.id.n) {
            Some((state, units)) if state == hold.state.word() && *units == hold.units => {}
            other => {
                let says = other.map_or("nothing of it".to_owned(), |(state, units)| {
                    format!("{state} with {units}")
                });
                proof.wrong.push(format!(
                    "hold {} is {} with {} units, the journal says {says}",
                    hold.id.n,
                    hold.state.word(),
                    hold.units
                ));
            }
        }
        if let HoldState::Paid { payment, .. } = &hold.state {
            let joined = sale.payment(payment).is_some_and(|p| p.hold == Some(hold.id));
            if !joined {
                proof.wrong.push(format!("hold {} is paid by no payment", hold.id.n));
            }
        }
    }
    if holds.len() != sale.holds().count() {
        proof.wrong.push("the journal knows holds that are not stored".to_owned());
    }
    // Several payments may have been kept for one hold.
    let kept: BTreeSet<_> = sale
        .payments()
        .filter(|payment| payment.fate == Fate::Kept)
        .filter_map(|payment| payment.hold)
        .collect();
    let paid = sale.head.tally.paid;
    let refunded_elsewhere: u32 = sale
        .holds()
        .filter_map(|hold| match &hold.state {
            HoldState::Paid { .. } if !kept.contains(&hold.id) => Some(hold.units),
            _ => None,
        })
        .sum();
    let kept: u32 = kept.iter().filter_map(|id| sale.hold(*id)).map(|hold| hold.units).sum();
    if kept + refunded_elsewhere != paid {
        proof.wrong.push(format!("{paid} units are paid, {kept} are kept"));
    }
    if let Err(broken) = sale.audit() {
        proof.wrong.push(broken.to_owned());
    }
}
