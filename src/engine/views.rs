//! The newest view of every recent sale, and a bell for whoever renders them.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::{id::SaleId, view::View};

/// The newest view of every recent sale.
pub struct Views {
    views: RwLock<BTreeMap<SaleId, watch::Sender<Arc<View>>>>,
    bell: watch::Sender<u64>,
}

impl Default for Views {
    fn default() -> Self {
        Self { views: RwLock::default(), bell: watch::Sender::new(0) }
    }
}

impl Views {
    /// Sales that are over are kept up to this number, for pages and lists.
    pub const KEPT_MAX: u32 = 50;

    /// Puts a view in place of an older one; never the other way round.
    pub(super) fn publish(&self, view: View) {
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        let id = view.id;
        let view = Arc::new(view);
        match views.get(&id) {
            Some(known) => {
                let newer = known.send_if_modified(|old| {
                    let newer = view.revision > old.revision;
                    if newer {
                        *old = view;
                    }
                    newer
                });
                if !newer {
                    return;
                }
            }
            None => {
                views.insert(id, watch::Sender::new(view));
                Self::forget_old(&mut views);
            }
        }
        drop(views);
        self.bell.send_modify(|n| *n += 1);
    }

    fn forget_old(views: &mut BTreeMap<SaleId, watch::Sender<Arc<View>>>) {
        let over: Vec<SaleId> =
            views.iter().filter(|(_, v)| v.borrow().closed).map(|(id, _)| *id).collect();
        let excess = over.len().saturating_sub(Self::KEPT_MAX as usize);
        for id in over.into_iter().take(excess) {
            views.remove(&id);
        }
    }

    /// The newest view of a sale.
    pub fn get(&self, sale: SaleId) -> Option<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.get(&sale).map(|view| view.borrow().clone())
    }

    /// A stream of a sale's views.
    pub fn follow(&self, sale: SaleId) -> Option<watch::Receiver<Arc<View>>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.get(&sale).map(watch::Sender::subscribe)
    }

    /// Has whoever follows a sale look at it again.
    pub(super) fn ring(&self, sale: SaleId) {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.get(&sale) {
            view.send_modify(|_| {});
        }
        drop(views);
        self.bell.send_modify(|n| *n += 1);
    }

    /// All views, newest sale first.
    pub fn all(&self) -> Vec<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = views.values().map(|view| view.borrow().clone()).collect();
        all.sort_by_key(|view| std::cmp::Reverse(view.number));
        all
    }

    /// What viewers may buy from, or could a moment ago, as `seen`; newest sale first.
    pub(super) fn on(&self, seen: impl Fn(Arc<View>) -> Arc<View>) -> Vec<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let is_on = |view: &View| view.state.is_public() && !view.state.is_over();
        let on = views.values().filter(|view| is_on(&view.borrow()));
        let mut on: Vec<_> = on.map(|view| seen(view.borrow().clone())).collect();
        drop(views);
        on.retain(|view| is_on(view));
        on.sort_by_key(|view| std::cmp::Reverse(view.number));
        on
    }

    /// Sales that are not closed, newest first.
    pub fn live(&self) -> Vec<Arc<View>> {
        let mut live = self.all();
        live.retain(|view| !view.closed);
        live
    }

    /// Rings with every change of any view.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }
}
