//! Another program that speaks with our chat account: two shops that sell one shelf. It is told
//! once, and kept for `livetill check`.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use super::{Listener, deliver};
use crate::{id::SaleId, platform::announces, room::Room, store::DocChange};

/// Documents about it, one for each platform.
pub const DOUBLE: &str = "double";

/// What is wrong, and the mend.
pub const DOUBLE_MEND: &str = "Another program speaks with this bot's account and opens sales of \
                               its own: what is sold twice is not counted twice. End one of the \
                               two, or give each its own account; programs of one shop share a \
                               PostgreSQL database.";

/// Whether it was told in this life.
#[derive(Default)]
pub(super) struct Told(AtomicBool);

impl Listener {
    /// Our account said something that came in from outside. Twitch shows nobody their own lines,
    /// so there what a program alone hears of itself is somebody else's; else the button tells whose
    /// a line is, by a sale that this database knows or does not, or the link does. What a
    /// person types with the account is no opening, and no alarm; nor is what a former life said.
    pub(super) async fn own_account_said(
        &self,
        (room, text): (&Room, &str),
        is_echoed: bool,
        sale: Option<SaleId>,
    ) {
        let engine = self.chat.engine();
        let opening = announces(text);
        let links = text.split(|c: char| c.is_whitespace() || "<>()*".contains(c));
        let mut links = links.filter(|word| word.starts_with("http") && word.ends_with("/live"));
        let elsewhere = links.any(|link| link != engine.link());
        let alone = !is_echoed && !engine.is_shared();
        // A sale is in the database before it is announced, whoever of this shop announces it.
        let theirs = match sale {
            Some(sale) => matches!(engine.store().load(sale).await, Ok(None)),
            None => elsewhere || alone,
        };
        if !opening || !theirs || self.told.0.swap(true, Ordering::Relaxed) {
            return;
        }
        tracing::error!(%room, "{DOUBLE_MEND}");
        let id = room.platform.to_string();
        let store = engine.store();
        let known = store.doc(DOUBLE, &id).await.ok().flatten();
        let change = DocChange {
            kind: DOUBLE,
            id,
            parent: room.to_string(),
            expected: known.map_or(0, |doc| doc.version),
            body: Some(json!({ "at": engine.now().millis() })),
        };
        if let Err(error) = store.put_docs(vec![change]).await {
            tracing::warn!(%error, "that another program speaks could not be kept");
        }
        for room in self.mod_rooms.iter() {
            let lines = [DOUBLE_MEND.to_owned()];
            let said = self.platform(room.platform).map(|platform| platform.say(room, &lines));
            deliver(room, said).await;
        }
    }
}
