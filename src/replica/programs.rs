//! The programs on one database, each with a row that says it is there and how it is set. Whose
//! settings differ is told once, after two looks some seconds apart: in an update some programs
//! are older than others for a while.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{
    clock::time_of,
    settings::{Names, Settings},
};
use crate::{
    clock::{Span, Timestamp},
    engine::Engine,
    sale::template::{Template, Templates},
    store::{Doc, DocChange, Store, StoreError},
};

/// How often each writes its row and reads the others'.
pub const ROUND: Span = Span::from_secs(10);

/// Whoever has not written for this long is gone.
const GONE: Span = Span::from_secs(30);

/// Rows of programs that were killed are removed after this.
const REMOVED: Span = Span::from_mins(2);

/// Documents about it, one for each program.
const KIND: &str = "program";

/// What to do about it.
const MEND: &str =
    "Give every program the same config.toml and secrets, and start again those that have the old";

/// What a program writes of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// When it was there last.
    at: Timestamp,
    /// Where it listens.
    address: String,
    settings: Settings,
}

/// What is told of the programs' settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// They differ, and how.
    Differ(String),
    /// They differed, and are alike again.
    Alike,
}

/// One program's view of all on its database.
pub struct Programs {
    engine: Engine,
    id: String,
    address: String,
    keys: Settings,
    shelf: Templates,
    told: Mutex<Told>,
}

impl Programs {
    /// A program that listens at `address` with these settings.
    pub(super) fn new(engine: &Engine, id: &str, ours: Ours) -> Self {
        let Ours { address, keys, shelf } = ours;
        let told = Mutex::default();
        Self { engine: engine.clone(), id: id.to_owned(), address, keys, shelf, told }
    }

    /// Writes our row, reads the others', and says what is to be told, in the log as well.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn round(&self) -> Result<Option<Word>, StoreError> {
        let shelf = self.shelf.read().unwrap_or_else(PoisonError::into_inner).clone();
        let ours = Row {
            at: self.engine.now(),
            address: self.address.clone(),
            settings: self.keys.with(&shelf),
        };
        let store = self.engine.store();
        let docs = store.docs(KIND, None).await?;
        let version = docs.iter().find(|doc| doc.id == self.id).map_or(0, |doc| doc.version);
        // Should somebody take it for gone and remove it meanwhile, the next round writes it anew.
        let _written = store.put_docs(vec![change(&self.id, version, Some(&ours))]).await?;
        let mut others = BTreeMap::new();
        for doc in docs.iter().filter(|doc| doc.id != self.id) {
            match row(doc) {
                Some(row) if ours.at.since(row.at) < GONE => {
                    others.insert(doc.id.clone(), row);
                }
                Some(row) if ours.at.since(row.at) < REMOVED => {}
                // Another may be first: then it is gone as well.
                _ => {
                    let _gone = store.put_docs(vec![change(&doc.id, doc.version, None)]).await?;
                }
            }
        }
        let word = self.told.lock().unwrap_or_else(PoisonError::into_inner).hears(&ours, &others);
        match &word {
            Some(Word::Differ(how)) => {
                tracing::warn!("programs on this database have different settings: {how}. {MEND}.");
            }
            Some(Word::Alike) => {
                tracing::info!("all programs on this database have the same settings again");
            }
            None => {}
        }
        Ok(word)
    }

    /// Takes our row away: whoever leaves politely is gone at once.
    ///
    /// # Errors
    /// If the store does not answer; the row is then removed by others.
    pub async fn leave(&self) -> Result<(), StoreError> {
        let store = self.engine.store();
        if let Some(doc) = store.doc(KIND, &self.id).await? {
            let _gone = store.put_docs(vec![change(&self.id, doc.version, None)]).await?;
        }
        Ok(())
    }

    /// Goes round until stopped.
    pub(super) async fn run(&self, stop: CancellationToken) {
        loop {
            // That the database is away is told by whoever keeps our turns.
            if let Err(error) = self.round().await {
                tracing::debug!(%error, "the programs' settings were not compared");
            }
            tokio::select! {
                () = self.engine.clock().sleep_until(self.engine.now() + ROUND) => {}
                () = stop.cancelled() => break,
            }
        }
        if let Err(error) = self.leave().await {
            tracing::debug!(%error, "others take this program for running half a minute longer");
        }
    }
}

/// What a program says of itself.
pub struct Ours {
    address: String,
    keys: Settings,
    shelf: Templates,
}

impl Ours {
    /// A program at that address whose configuration has these keys and values.
    pub fn new(keys: &BTreeMap<String, String>, address: SocketAddr, shelf: &Templates) -> Self {
        let keys = Settings::of(keys, &BTreeMap::new());
        Self { address: address.to_string(), keys, shelf: shelf.clone() }
    }
}

/// What was seen and what was told.
#[derive(Debug, Default)]
struct Told {
    /// For each program how it differs, and when it had last written when that was first seen.
    seen: BTreeMap<String, (Timestamp, Vec<String>)>,
    /// Whether nothing differed last time.
    was_alike: bool,
    told: BTreeSet<String>,
}

impl Told {
    /// What is to be told now. A difference counts once its program has written again since it was
    /// first seen: one that was killed in an update writes no more.
    fn hears(&mut self, ours: &Row, others: &BTreeMap<String, Row>) -> Option<Word> {
        let mut seen = BTreeMap::new();
        let mut settled = true;
        for (id, other) in others {
            let how = compared(&ours.settings, other, "this one");
            let since = match self.seen.get(id) {
                Some((since, before)) if *before == how => *since,
                _ => other.at,
            };
            settled &= how.is_empty() || other.at > since;
            seen.insert(id.clone(), (since, how));
        }
        self.seen = seen;
        let found: BTreeSet<String> =
            self.seen.values().flat_map(|(_, how)| how.iter().cloned()).collect();
        let was_alike = std::mem::replace(&mut self.was_alike, found.is_empty());
        if !settled || found == self.told || found.is_empty() && !was_alike {
            return None;
        }
        self.told = found;
        Some(match self.told.is_empty() {
            true => Word::Alike,
            false => Word::Differ(listed(&self.told)),
        })
    }
}

/// How the running programs' settings differ from these keys and templates: one sentence for each,
/// with its mend.
///
/// # Errors
/// If the store does not answer.
pub async fn differing(
    store: &dyn Store,
    keys: &BTreeMap<String, String>,
    templates: &BTreeMap<String, Template>,
) -> Result<Vec<String>, StoreError> {
    let Some(now) = time_of(store).await? else { return Ok(Vec::new()) };
    let ours = Settings::of(keys, templates);
    let rows = store.docs(KIND, None).await?;
    let running = rows.iter().filter_map(row).filter(|row| now.since(row.at) < GONE);
    let said: BTreeSet<String> = running
        .map(|row| compared(&ours, &row, "this configuration"))
        .filter(|how| !how.is_empty())
        .map(|how| format!("{}. {MEND}", how.join("; ")))
        .collect();
    Ok(said.into_iter().collect())
}

fn compared(ours: &Settings, other: &Row, we: &str) -> Vec<String> {
    let they = format!("the program at {}", other.address);
    ours.differences(&other.settings, Names { theirs: &they, ours: we })
}

fn listed(found: &BTreeSet<String>) -> String {
    found.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
}

/// What a program wrote; none if a version that we do not know wrote it.
fn row(doc: &Doc) -> Option<Row> {
    serde_json::from_value(doc.body.clone()).ok()
}

fn change(id: &str, expected: i64, row: Option<&Row>) -> DocChange {
    let body = row.and_then(|row| serde_json::to_value(row).ok());
    DocChange { kind: KIND, id: id.to_owned(), parent: String::new(), expected, body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(secs: i64, name: &str) -> Row {
        let keys = [("shop.name".to_owned(), format!("{name:?}"))].into();
        Row {
            at: Timestamp::from_millis(secs * 1000),
            address: "10.0.0.2:80".to_owned(),
            settings: Settings::of(&keys, &BTreeMap::new()),
        }
    }

    fn hears(told: &mut Told, others: &[(&str, Row)]) -> Option<Word> {
        let others = others.iter().map(|(id, row)| ((*id).to_owned(), row.clone())).collect();
        told.hears(&row(0, "Ana"), &others)
    }

    #[test]
    fn a_difference_is_told_at_the_second_look_and_once_and_so_is_its_end() {
        let mut told = Told::default();
        assert_eq!(hears(&mut told, &[("b", row(0, "Ana"))]), None);
        assert_eq!(hears(&mut told, &[("b", row(10, "Bo"))]), None);
        let how = "the program at 10.0.0.2:80 has shop.name = \"Bo\", this one \"Ana\"";
        let differ = Some(Word::Differ(how.to_owned()));
        assert_eq!(hears(&mut told, &[("b", row(20, "Bo"))]), differ);
        assert_eq!(hears(&mut told, &[("b", row(30, "Bo"))]), None);
        // A third one that differs in the same way is nothing new.
        assert_eq!(hears(&mut told, &[("b", row(40, "Bo")), ("c", row(40, "Bo"))]), None);
        assert_eq!(hears(&mut told, &[("b", row(50, "Bo")), ("c", row(50, "Bo"))]), None);
        // Another difference is.
        assert_eq!(hears(&mut told, &[("b", row(60, "Cy"))]), None);
        assert!(matches!(hears(&mut told, &[("b", row(70, "Cy"))]), Some(Word::Differ(_))));
        assert_eq!(hears(&mut told, &[("b", row(80, "Ana"))]), None);
        assert_eq!(hears(&mut told, &[("b", row(90, "Ana"))]), Some(Word::Alike));
        assert_eq!(hears(&mut told, &[]), None);
    }

    #[test]
    fn who_wrote_the_last_time_before_an_update_raises_no_alarm() {
        let mut told = Told::default();
        for _ in 0..3 {
            assert_eq!(hears(&mut told, &[("b", row(0, "Bo"))]), None);
        }
        assert_eq!(hears(&mut told, &[]), None);
        assert_eq!(hears(&mut told, &[]), None);
    }
}
