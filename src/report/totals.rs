//! What is counted from a sale's claims and its journal, and is kept when these are archived.

use super::{people, prove};
use crate::{
    sale::{
        Sale,
        archive::{Figures, Funnel},
        hold::{Hold, HoldState},
    },
    store::JournalLine,
};

/// The figures of a sale: counted, or as they were when it was archived.
pub(super) fn figures(sale: &Sale, journal: &[JournalLine]) -> Figures {
    if let Some(archived) = &sale.head.archived {
        return archived.figures;
    }
    let claims = || sale.holds().filter(|hold| hold.buyer.is_some());
    let given_back = |hold: &&Hold| matches!(hold.state, HoldState::Released { .. });
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Figures {
        claimed: count(claims().count()),
        lapsed: count(claims().filter(given_back).count()),
        funnel: Funnel::of(sale),
        delay: people::delays(sale, journal),
        commits: 0,
        taken_max: 0,
    }
}

/// What is kept of a sale whose details go.
///
/// # Errors
/// Says what does not agree in its books: then nothing of them may go.
pub fn to_keep(sale: &Sale, journal: &[JournalLine]) -> Result<Figures, String> {
    let proof = prove(sale, journal);
    if proof.oversold > 0 {
        return Err(format!("{} units were sold above the stock", proof.oversold));
    }
    if let Some(wrong) = proof.wrong.into_iter().next() {
        return Err(wrong);
    }
    let aside = journal.iter().find_map(|line| line.quarantined.as_ref());
    if aside.is_some() {
        return Err("something that was said of it is set aside for a person".to_owned());
    }
    let (commits, taken_max) = (proof.commits, proof.taken_max);
    Ok(Figures { commits, taken_max, ..figures(sale, journal) })
}
