//! Work that was given up and waits for a person: together where sale, kind and reason are the
//! same, with what there is to do about it.

use std::collections::BTreeMap;

use super::Engine;
use crate::{
    id::{EffectId, SaleId},
    store::{Store, StoreError},
};

/// Pieces of work that were given up for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// The sale's number; none if the sale is gone.
    pub number: Option<u32>,
    /// The kind of work.
    pub kind: &'static str,
    /// Why it was given up.
    pub why: String,
    /// The holds, payments and rooms that it is about.
    pub about: Vec<String>,
    /// The pieces.
    pub ids: Vec<EffectId>,
}

impl GivenUp {
    /// The sale, as people call it.
    pub fn sale(&self) -> String {
        self.number.map_or_else(|| "a sale".to_owned(), |number| format!("#{number}"))
    }

    /// What was to be done, how often and to what.
    pub fn what(&self) -> String {
        let mut what = self.kind.replace('_', " ");
        if self.ids.len() > 1 {
            what.push_str(&format!(" ({} times)", self.ids.len()));
        }
        if !self.about.is_empty() {
            what.push_str(&format!(" ({})", self.about.join(", ")));
        }
        what
    }

    /// What there is to do.
    pub fn mend(&self) -> String {
        let path = self.number.map(|number| format!("/sales/{number}")).unwrap_or_default();
        let mut mend =
            format!("Fix the reason, then try again: !sale retry, or the button at /desk{path}");
        if self.kind != "announce" {
            let sale = self.sale();
            mend.push_str(&format!("; for the story of a hold: !sale why {sale} <hold>"));
        }
        mend
    }
}

/// All that was given up.
///
/// # Errors
/// If the store fails.
pub async fn groups(store: &dyn Store) -> Result<Vec<GivenUp>, StoreError> {
    type Pieces = (Vec<String>, Vec<EffectId>);
    let mut groups: BTreeMap<(SaleId, &'static str, String), Pieces> = BTreeMap::new();
    for one in store.parked().await? {
        let about = one.effect.about();
        let group = groups.entry((one.sale, one.effect.word(), one.why)).or_default();
        group.0.extend(about);
        group.1.push(one.id);
    }
    let mut found = Vec::new();
    for ((sale, kind, why), (mut about, ids)) in groups {
        about.dedup();
        let number = store.load(sale).await?.map(|sale| sale.head.number);
        found.push(GivenUp { number, kind, why, about, ids });
    }
    Ok(found)
}

impl Engine {
    /// Takes up again all that was given up, of one sale or of all; how many pieces.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn retry_all(&self, number: Option<u32>) -> Result<usize, StoreError> {
        let mut taken = 0;
        for group in groups(self.store()).await? {
            if number.is_some() && group.number != number {
                continue;
            }
            for id in group.ids {
                taken += usize::from(self.retry_parked(id).await?);
            }
        }
        Ok(taken)
    }
}
