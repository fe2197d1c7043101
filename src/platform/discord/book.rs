//! Which message shows which sale in which room: kept in the store, so that a restart goes on
//! editing the same message.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex as Turn;

use crate::{
    clock::Timestamp,
    id::SaleId,
    platform::SayError,
    room::Room,
    store::{DocChange, Store},
};

const KIND: &str = "discord_message";

/// Sales remembered without asking the store; more are read anew.
const KEPT_MAX: usize = 200;

/// The messages of all sales.
pub(super) struct Book {
    store: Arc<dyn Store>,
    pages: Mutex<Pages>,
}

/// By sale and channel.
type Pages = HashMap<(SaleId, String), Arc<Turn<Page>>>;

/// What is known of one sale in one room. Its holder alone may change the message.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Whether the store was asked.
    known: bool,
    version: i64,
    /// What the store has.
    pub kept: Option<Kept>,
    /// Revision and fingerprint of what the message shows; unknown after a restart.
    pub shown: Option<(u64, u64)>,
    /// Changes of stock are not shown before then.
    pub rests_until: Timestamp,
}

/// What outlives the program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The message that is edited; none once it was deleted for good.
    pub message: Option<String>,
    /// When it was posted, where that is known.
    #[serde(default)]
    pub posted_at: Option<Timestamp>,
    /// Whether it was deleted and posted anew already.
    pub restored: bool,
    /// The reply that said how it ended.
    pub result: Option<String>,
}

impl Book {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, pages: Mutex::default() }
    }

    /// The page of a sale in a room; whoever locks it has their turn at the message.
    pub(super) fn page(&self, sale: SaleId, room: &Room) -> Arc<Turn<Page>> {
        let mut pages = self.pages.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.len() > KEPT_MAX {
            // A page in use has a second owner.
            pages.retain(|_, page| Arc::strong_count(page) > 1);
        }
        pages.entry((sale, room.channel.clone())).or_default().clone()
    }

    /// Reads what the store has, the first time.
    pub(super) async fn know(
        &self,
        page: &mut Page,
        sale: SaleId,
        room: &Room,
    ) -> Result<(), SayError> {
        if page.known {
            return Ok(());
        }
        let doc = self.store.doc(KIND, &id(sale, room)).await;
        let doc = doc.map_err(|error| SayError::Retry(error.to_string()))?;
        if let Some(doc) = doc {
            page.version = doc.version;
            page.kept = serde_json::from_value(doc.body).ok();
        }
        page.known = true;
        Ok(())
    }

    /// Keeps a change.
    pub(super) async fn keep(
        &self,
        page: &mut Page,
        sale: SaleId,
        room: &Room,
        kept: Kept,
    ) -> Result<(), SayError> {
        let body = serde_json::to_value(&kept).map_err(|e| SayError::Retry(e.to_string()))?;
        let change = DocChange {
            kind: KIND,
            id: id(sale, room),
            parent: sale.to_string(),
            expected: page.version,
            body: Some(body),
        };
        match self.store.put_docs(vec![change]).await {
            Ok(true) => {
                page.version += 1;
                page.kept = Some(kept);
                Ok(())
            }
            Ok(false) => {
                page.known = false;
                Err(SayError::Retry("another process wrote first".to_owned()))
            }
            Err(error) => Err(SayError::Retry(error.to_string())),
        }
    }
}

fn id(sale: SaleId, room: &Room) -> String {
    format!("{sale}:{}", room.channel)
}
