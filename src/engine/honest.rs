//! What may be shown of a sale at this moment: never that it sells once its end has passed or the
//! store is out of reach, whatever was last heard of it.

use std::{collections::BTreeMap, sync::Arc};

use tokio_util::sync::CancellationToken;

use super::Engine;
use crate::{
    clock::Span,
    id::SaleId,
    view::{State, View},
};

/// How soon whoever follows a sale hears that its last view is no longer so.
const LOOK_EVERY: Span = Span::from_millis(500);

/// Sales of which something else is shown than what is known: at which revision, and what.
type Doubted = BTreeMap<SaleId, (u64, State)>;

impl Engine {
    /// A view as it may be shown now.
    pub fn honest(&self, view: Arc<View>) -> Arc<View> {
        let view = view.at(self.now());
        if self.is_in_touch() { view } else { view.out_of_touch() }
    }

    /// What may be shown now, newest sale first.
    pub fn shown(&self) -> Vec<Arc<View>> {
        self.views().all().into_iter().map(|view| self.honest(view)).collect()
    }

    /// The same without sales that are closed.
    pub fn shown_live(&self) -> Vec<Arc<View>> {
        self.views().live().into_iter().map(|view| self.honest(view)).collect()
    }

    /// What viewers may buy from, or could a moment ago, newest sale first.
    pub fn on(&self) -> Vec<Arc<View>> {
        self.views().on(|view| self.honest(view))
    }

    /// A sale that viewers may see. Another program may have opened it, and chat heard of it,
    /// before we did: whoever comes from there is not told that there is nothing.
    pub async fn public(&self, id: SaleId) -> Option<Arc<View>> {
        let known = || {
            let view = self.views().get(id).map(|view| self.honest(view));
            view.filter(|view| view.is_public())
        };
        if let Some(view) = known() {
            return Some(view);
        }
        self.catch_up(id).await;
        known()
    }

    /// The same for [`Engine::on`].
    pub async fn on_by_now(&self) -> Vec<Arc<View>> {
        let on = self.on();
        if !on.is_empty() {
            return on;
        }
        for view in self.views().live().iter().filter(|view| !view.is_public()) {
            self.catch_up(view.id).await;
        }
        self.on()
    }

    /// Has a sale shown as it is stored, where others may have changed it.
    async fn catch_up(&self, id: SaleId) {
        if self.is_shared() && self.is_in_touch() {
            // Looking is what loads it. Without an answer it is shown as it was known.
            let _ = self.look(id, |_| ()).await;
        }
    }

    /// Views that still hold as they are. Of the others nothing is said unasked: a notice tells
    /// how they ended, or goes on.
    pub fn certain(&self) -> Vec<Arc<View>> {
        let mut views = self.views().all();
        views.retain(|view| Arc::ptr_eq(view, &self.honest(view.clone())));
        views
    }

    /// Has everybody who follows a sale look again when its view no longer holds, and when it
    /// holds again; until stopped.
    pub async fn keep_honest(self, stop: CancellationToken) {
        let mut doubted = Doubted::new();
        loop {
            self.look_again(&mut doubted);
            tokio::select! {
                () = self.clock().sleep_until(self.now() + LOOK_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    fn look_again(&self, doubted: &mut Doubted) {
        let live = self.views().live();
        doubted.retain(|id, _| live.iter().any(|view| view.id == *id));
        for view in live {
            let shown = (view.revision, self.honest(view.clone()).state);
            let changed = if shown.1 == view.state {
                // A newer view rings by itself.
                doubted.remove(&view.id).is_some_and(|before| before.0 == view.revision)
            } else {
                doubted.insert(view.id, shown) != Some(shown)
            };
            if changed {
                self.views().ring(view.id);
            }
        }
    }
}
