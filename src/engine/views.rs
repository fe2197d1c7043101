//! The newest view of every recent sale, and a bell for whoever renders them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::{id::SaleId, view::View};

/// The newest view of every recent sale.
pub struct Views {
    views: RwLock<Known>,
    bell: watch::Sender<u64>,
}

#[derive(Default)]
struct Known {
    all: BTreeMap<SaleId, watch::Sender<Arc<View>>>,
    /// Those that are on: the link asks for them at every click, however many more there are.
    on: BTreeSet<SaleId>,
}

impl Known {
    fn forget_old(&mut self) {
        let over: Vec<SaleId> =
            self.all.iter().filter(|(_, v)| v.borrow().closed).map(|(id, _)| *id).collect();
        let excess = over.len().saturating_sub(Views::KEPT_MAX as usize);
        for id in over.into_iter().take(excess) {
            self.all.remove(&id);
            self.on.remove(&id);
        }
    }
}

fn is_on(view: &View) -> bool {
    view.is_public() && !view.state.is_over()
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
        let (id, on) = (view.id, is_on(&view));
        let view = Arc::new(view);
        match views.all.get(&id) {
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
                views.all.insert(id, watch::Sender::new(view));
                views.forget_old();
                // Somebody looked at an old one: nothing has changed for anybody.
                if !views.all.contains_key(&id) {
                    return;
                }
            }
        }
        if on {
            views.on.insert(id);
        } else {
            views.on.remove(&id);
        }
        drop(views);
        self.bell.send_modify(|n| *n += 1);
    }

    /// The newest view of a sale.
    pub fn get(&self, sale: SaleId) -> Option<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.all.get(&sale).map(|view| view.borrow().clone())
    }

    /// A stream of a sale's views.
    pub fn follow(&self, sale: SaleId) -> Option<watch::Receiver<Arc<View>>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views.all.get(&sale).map(watch::Sender::subscribe)
    }

    /// Has whoever follows a sale look at it again.
    pub(super) fn ring(&self, sale: SaleId) {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = views.all.get(&sale) {
            view.send_modify(|_| {});
        }
        drop(views);
        self.bell.send_modify(|n| *n += 1);
    }

    /// All views, newest sale first.
    pub fn all(&self) -> Vec<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = views.all.values().map(|view| view.borrow().clone()).collect();
        all.sort_by_key(|view| std::cmp::Reverse(view.number));
        all
    }

    /// What viewers may buy from, or could a moment ago, as `seen`; newest sale first.
    pub(super) fn on(&self, seen: impl Fn(Arc<View>) -> Arc<View>) -> Vec<Arc<View>> {
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        let on = views.on.iter().filter_map(|id| views.all.get(id));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sale::tests::play::{Play, template};

    fn view(play: &Play, revision: u64) -> View {
        let mut view = View::of(&play.sale, "LINK");
        view.revision = revision;
        view
    }

    #[test]
    fn a_view_is_replaced_by_a_newer_one_alone() {
        let views = Views::default();
        let play = Play::open(template());
        let id = play.sale.head.id;
        views.publish(view(&play, 5));
        let mut follows = views.follow(id).expect("known");
        let mut bell = views.bell();
        follows.mark_unchanged();
        bell.mark_unchanged();
        let mut older = view(&play, 4);
        older.state = crate::view::State::Arming;
        views.publish(older);
        let same = View { title: "another".to_owned(), ..view(&play, 5) };
        views.publish(same);
        let known = views.get(id).expect("known");
        assert_eq!((known.revision, known.title.as_str()), (5, "Fern Mug"));
        assert!(!follows.has_changed().expect("open") && !bell.has_changed().expect("open"));
        assert_eq!(views.on(|view| view).len(), 1, "it is still on");
        views.publish(view(&play, 6));
        assert_eq!(views.get(id).expect("known").revision, 6);
        assert!(follows.has_changed().expect("open") && bell.has_changed().expect("open"));
    }

    #[test]
    fn of_sales_that_are_over_the_oldest_are_forgotten() {
        let views = Views::default();
        let play = Play::open(template());
        let all: Vec<SaleId> = (0..Views::KEPT_MAX as u8 + 2)
            .map(|n| SaleId::new(play.now + crate::clock::Span::from_secs(n.into()), [n; 16]))
            .collect();
        for (n, id) in all.iter().enumerate() {
            let number = u32::try_from(n).expect("few");
            views.publish(View { id: *id, number, closed: n > 0, ..view(&play, 5) });
        }
        let known: Vec<bool> = all.iter().map(|id| views.get(*id).is_some()).collect();
        // The first one runs.
        assert!(known[0] && !known[1] && known[2..].iter().all(|known| *known), "{known:?}");
    }
}
