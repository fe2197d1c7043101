//! Webhooks still to be delivered, as part of the books.

use serde_json::json;

use super::{
    book::{Hook, LedgerError},
    faults::happens,
    ledger::{HOOK, Ledger, change, read},
};
use crate::{
    clock::{Span, Timestamp},
    store::{Doc, DocChange},
};

type Result<T> = std::result::Result<T, LedgerError>;

impl Ledger {
    /// The webhooks for one piece of news: none, one or two, now or later, as the faults say.
    pub(super) fn hooks(&self, kind: &str, data: &serde_json::Value) -> Vec<DocChange> {
        let now = self.clock.now();
        let event_id = self.new_id("event");
        let event = json!({ "id": event_id, "type": kind, "at": now.rfc3339(), "data": data });
        let copies = if happens(self.faults.webhook_dropped, self.random()) {
            0
        } else if happens(self.faults.webhook_doubled, self.random()) {
            2
        } else {
            1
        };
        (0..copies)
            .map(|_| {
                let late = i64::from(self.faults.webhook_late_ms);
                let late = late * i64::from(self.random()) / 65536;
                let due_at = now + Span::from_millis(late);
                let hook = Hook { event: event.clone(), due_at, attempts: 0 };
                change(HOOK, &self.new_id("hook"), &event_id, 0, &hook)
            })
            .collect()
    }

    /// Webhooks that are due, and when the next one will be.
    pub(super) async fn due_hooks(&self) -> Result<(Vec<(Doc, Hook)>, Option<Timestamp>)> {
        let now = self.clock.now();
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        for doc in self.store.docs(HOOK, None).await? {
            let hook: Hook = read(&doc)?;
            if hook.due_at <= now {
                due.push((doc, hook));
            } else {
                next = Some(next.map_or(hook.due_at, |at| at.min(hook.due_at)));
            }
        }
        due.sort_by_key(|(_, hook)| hook.due_at);
        Ok((due, next))
    }

    /// Notes that a webhook arrived, or when it is tried again; past the last try it is dropped.
    pub(super) async fn settle_hook(&self, doc: &Doc, hook: &Hook, arrived: bool) -> Result<()> {
        /// Tries in all, the pause doubling from one second: about half an hour.
        const HOOK_TRIES_MAX: u32 = 11;
        let attempts = hook.attempts + 1;
        let body = (!arrived && attempts < HOOK_TRIES_MAX).then(|| {
            let due_at = self.clock.now() + Span::from_secs(1 << attempts.min(10));
            let again = Hook { due_at, attempts, ..hook.clone() };
            serde_json::to_value(again).expect("our own types serialise")
        });
        let settled = DocChange {
            kind: HOOK,
            id: doc.id.clone(),
            parent: doc.parent.clone(),
            expected: doc.version,
            body,
        };
        self.store.put_docs(vec![settled]).await?;
        Ok(())
    }
}
