//! Asking: which orders were paid, and how refunds stand. Webhooks prove little, this is sure.
//!
//! Orders can be searched by time and not by our references, so that each new one is read once to
//! see whose it is. The seller's other orders are among them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{MutexGuard, PoisonError},
};

use serde_json::json;

use super::{
    Noventiq, SEARCH,
    order::{Order, ids},
};
use crate::{
    clock::{Span, Timestamp},
    provider::{News, StatusAsk, rest::Fault},
};

/// Their clock may differ from ours, and a payment may be listed late: looked back so far.
const MARGIN: Span = Span::from_mins(5);

/// What was told is told again after this long, in case it got lost on the way.
const TELL_AGAIN: Span = Span::from_secs(60);

/// What is known of an order is forgotten after this long.
const FORGET: Span = Span::from_mins(30);

/// A search answers so many orders at the most as Noventiq set up; from this many on it may have
/// been cut off, and is asked for again in two halves.
const CUT_FROM: usize = 20;

/// Not halved any further.
const NARROWEST: Span = Span::from_secs(10);

/// Searches in one round, and orders read in one.
const SEARCHES_MAX: usize = 64;
const READS_MAX: usize = 40;

/// A sale that began longer ago is asked about link by link.
const BY_TIME: Span = Span::from_secs(3 * 24 * 3600);

/// What was looked at.
#[derive(Default)]
pub(super) struct Looked {
    /// Every payment of that time is known.
    covered: Option<(Timestamp, Timestamp)>,
    orders: HashMap<String, Known>,
}

struct Known {
    order: Option<Order>,
    read: Timestamp,
    told: Option<Timestamp>,
}

/// As searches take it: whole seconds, with an offset.
fn date(at: Timestamp) -> String {
    let text = at.rfc3339();
    format!("{}+00:00", text.get(..19).unwrap_or(&text))
}

impl Noventiq {
    pub(super) async fn news(&self, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let mut news = match self.first_unknown(ask) {
            Some(from) => self.news_since(from, ask).await?,
            None => self.news_of_links(ask).await?,
        };
        for id in &ask.again {
            let order = self.order(id.as_str()).await?;
            news.extend(order.and_then(|order| order.fact_once_paid()).map(News::Payment));
        }
        for (payment, refund) in &ask.refunds {
            let fact = self.refund_state(payment, refund.as_deref(), ask.now).await?;
            news.extend(fact.map(News::Refund));
        }
        Ok(news)
    }

    fn looked(&self) -> MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From when on there may be payments that are not known; `None` if too much of the seller's
    /// business would have to be looked through.
    fn first_unknown(&self, ask: &StatusAsk) -> Option<Timestamp> {
        let covered = self.looked().covered.filter(|(from, _)| *from <= ask.since);
        match covered {
            Some((_, to)) => Some((to - MARGIN).max(ask.since)),
            None => (ask.now.since(ask.since) < BY_TIME).then_some(ask.since),
        }
    }

    async fn news_since(&self, from: Timestamp, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let drift = self.client.drift().size();
        let found = self.paid_between(from - drift, ask.now + MARGIN + drift).await?;
        let mut reads = 0;
        for id in &found {
            if self.looked().orders.contains_key(id) {
                continue;
            }
            reads += 1;
            if reads > READS_MAX {
                break;
            }
            let order = self.order(id).await?;
            let known = Known { order, read: ask.now, told: None };
            self.looked().orders.insert(id.clone(), known);
        }
        let mut looked = self.looked();
        let news = found.iter().filter_map(|id| looked.orders.get_mut(id)?.news(ask)).collect();
        if reads <= READS_MAX {
            let since = looked.covered.map_or(ask.since, |(since, _)| since.min(ask.since));
            // Between two stretches that do not touch there may be more.
            let since = if from <= ask.since { ask.since } else { since };
            looked.covered = Some((since, ask.now));
        }
        looked.orders.retain(|_, known| ask.now.since(known.read) < FORGET);
        Ok(news)
    }

    /// Ids of orders paid between two times.
    async fn paid_between(
        &self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<BTreeSet<String>, Fault> {
        let mut all = BTreeSet::new();
        let mut left = vec![(from, to)];
        for _ in 0..SEARCHES_MAX {
            let Some((from, to)) = left.pop() else { return Ok(all) };
            let wanted =
                json!({ "status": "paid", "pay_date_from": date(from), "pay_date_to": date(to) });
            let found = ids(&self.client.post(SEARCH, &wanted).await?);
            let half = Span::from_millis(to.since(from).millis() / 2);
            if found.len() >= CUT_FROM && half >= NARROWEST {
                left.extend([(from, from + half), (from + half, to)]);
            }
            all.extend(found);
        }
        Err(Fault::Lost("Noventiq has more orders than can be looked through".to_owned()))
    }

    async fn news_of_links(&self, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let mut news = Vec::new();
        for (hold, page) in &ask.pages {
            let order = self.order_of(&page.id).await?;
            if let Some(mut fact) = order.and_then(|order| order.fact()) {
                fact.hold = fact.hold.or(Some(*hold));
                news.push(News::Payment(fact));
            }
        }
        Ok(news)
    }
}

impl Known {
    /// What there is to tell of it at present: only of orders of ours.
    fn news(&mut self, ask: &StatusAsk) -> Option<News> {
        let order = self.order.as_ref()?;
        let on_page = ask.pages.iter().any(|(_, page)| order.page.as_ref() == Some(&page.id));
        if order.hold.is_none() && !on_page {
            return None;
        }
        if self.told.is_some_and(|told| ask.now.since(told) < TELL_AGAIN) {
            return None;
        }
        let fact = order.fact()?;
        self.told = Some(ask.now);
        Some(News::Payment(fact))
    }
}
