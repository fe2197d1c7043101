//! Waiting for a buyer's payment page.

use std::time::Duration;

use super::Engine;
use crate::{
    clock::Span,
    id::HoldId,
    sale::{Sale, hold::HoldState},
};

/// Whatever the clock says, nobody waits longer.
const AT_MOST: Duration = Duration::from_secs(10);

impl Engine {
    /// The payment page of a hold, once it is handed over; `None` if that takes longer than
    /// `wait`, or if there will be none.
    pub async fn handed_over(&self, hold: HoldId, wait: Span) -> Option<String> {
        let deadline = self.now() + wait;
        let mut views = self.views().follow(hold.sale);
        loop {
            let look = move |sale: &Sale| {
                sale.hold(hold).map(|hold| {
                    let opening = matches!(hold.state, HoldState::Opening { .. });
                    (hold.page().map(|page| page.url.clone()), opening)
                })
            };
            match self.look(hold.sale, look).await {
                Ok(Some((None, true))) => {}
                Ok(Some((url, _))) => return url,
                _ => return None,
            }
            let Some(views) = views.as_mut() else {
                // Looking made it known: from here on it is followed, and looked at once more.
                views = Some(self.views().follow(hold.sale)?);
                continue;
            };
            let changed = tokio::select! {
                changed = views.changed() => changed.is_ok(),
                () = self.clock().sleep_until(deadline) => false,
                () = tokio::time::sleep(AT_MOST) => false,
            };
            if !changed {
                return None;
            }
        }
    }
}
