//! What the desk answered last: shown by a page that can be reloaded, from any replica.

use serde_json::json;

use super::super::Web;
use crate::store::DocChange;

/// The document that holds the answers.
const KIND: &str = "desk";
const ID: &str = "answers";

/// Answers kept, the newest ones.
const KEPT_MAX: usize = 8;

/// Writing is tried again this often when another answer was faster.
const TRIES: usize = 4;

/// Keeps an answer; by which id it is found. `None` if the store does not take it.
pub(super) async fn keep(web: &Web, lines: &[String]) -> Option<String> {
    let id = hex::encode(web.engine.entropy().bytes());
    let store = web.engine.store();
    for _ in 0..TRIES {
        let before = store.doc(KIND, ID).await.ok()?;
        let expected = before.as_ref().map_or(0, |doc| doc.version);
        let mut all = before.and_then(|doc| doc.body.as_array().cloned()).unwrap_or_default();
        all.insert(0, json!({ "id": id, "lines": lines }));
        all.truncate(KEPT_MAX);
        let change = DocChange {
            kind: KIND,
            id: ID.to_owned(),
            parent: String::new(),
            expected,
            body: Some(all.into()),
        };
        if store.put_docs(vec![change]).await.ok()? {
            return Some(id);
        }
    }
    None
}

/// The lines of an answer; none if it is not kept any more.
pub(super) async fn answer(web: &Web, id: &str) -> Vec<String> {
    let Ok(Some(doc)) = web.engine.store().doc(KIND, ID).await else { return Vec::new() };
    let all = doc.body.as_array().cloned().unwrap_or_default();
    let found = all.into_iter().find(|one| one["id"] == id);
    found.and_then(|mut one| serde_json::from_value(one["lines"].take()).ok()).unwrap_or_default()
}
