//! Asking: what became of pages, refunds and the stock. Webhooks are fast, this is sure.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::{Square, close::payment_ids, error::Fault, item, listing::Notes, money::payment_fact};
use crate::{
    clock::Span,
    id::HoldId,
    provider::{News, StatusAsk, rest::list},
    sale::hold::Checkout,
};

/// A *sold out* mark counts as set by hand once it was seen this long with units in stock: after
/// a restock Square needs a moment to take its own mark back.
const MARK_SETTLES: Span = Span::from_secs(5);

impl Square {
    pub(super) async fn news(&self, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let mut news = self.page_news(&ask.pages).await?;
        for (payment, refund) in &ask.refunds {
            match self.refund_state(payment, refund.as_deref()).await {
                Ok(fact) => news.extend(fact.map(News::Refund)),
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(fault),
            }
        }
        for id in ask.fees.iter().chain(ask.again.iter().filter(|id| !ask.fees.contains(id))) {
            news.extend(payment_fact(&self.payment(id.as_str()).await?).map(News::Payment));
        }
        if let Some(notes) = ask.listing.as_ref().and_then(Notes::read) {
            news.extend(self.listing_state(&notes, ask).await?);
        }
        Ok(news)
    }

    async fn page_news(&self, pages: &[(HoldId, Checkout)]) -> Result<Vec<News>, Fault> {
        let by_order: HashMap<&str, &(HoldId, Checkout)> =
            pages.iter().filter_map(|page| Some((page.1.order.as_deref()?, page))).collect();
        if by_order.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = by_order.keys().copied().collect();
        let body = json!({ "location_id": self.location, "order_ids": ids });
        let answer = self.client.post("/v2/orders/batch-retrieve", &body).await?;
        let mut news = Vec::new();
        for order in list(&answer, "/orders") {
            let id = order["id"].as_str().unwrap_or_default();
            let Some((hold, page)) = by_order.get(id) else { continue };
            news.extend(self.order_news(order, *hold, page).await?);
        }
        Ok(news)
    }

    async fn order_news(
        &self,
        order: &Value,
        hold: HoldId,
        page: &Checkout,
    ) -> Result<Vec<News>, Fault> {
        let mut news = Vec::new();
        let payments = payment_ids(order);
        for id in &payments {
            let payment = match self.payment(id).await {
                Ok(payment) => payment,
                // The order names it: it is only not visible yet, and the others are.
                Err(fault) if fault.is_not_found() => continue,
                Err(fault) => return Err(fault),
            };
            let Some(mut fact) = payment_fact(&payment) else { continue };
            fact.hold = Some(hold);
            fact.checkout = Some(page.id.clone());
            news.push(News::Payment(fact));
        }
        if payments.is_empty() && order["state"] == "CANCELED" && !page.closed {
            news.push(News::PageClosed { checkout: page.id.clone() });
        }
        Ok(news)
    }

    /// The item's stock and its *sold out* mark, when there is reason to look.
    async fn listing_state(&self, notes: &Notes, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let variation = notes.variation.as_str();
        let watched = self.seen().marks.contains_key(variation);
        if !ask.listing_changed && !watched {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> =
            notes.modifiers.values().map(String::as_str).chain([variation]).collect();
        let body = json!({ "object_ids": ids });
        let answer = self.client.post("/v2/catalog/batch-retrieve", &body).await?;
        let found = list(&answer, "/objects");
        let is_marked = |id: &str| {
            let object = found.iter().find(|one| one["id"] == id)?;
            Some(item::sold_out(object, &notes.location))
        };
        let choice = |(name, id): (&String, &String)| {
            let (sale, delivery) = (notes.sale, name.clone());
            Some(News::ChoiceSoldOut { sale, delivery, set: is_marked(id)? })
        };
        let mut news: Vec<News> = notes.modifiers.iter().filter_map(choice).collect();
        let marked = is_marked(variation).unwrap_or(false);
        let Some(stock) = self.stock(variation).await? else { return Ok(news) };
        let mut seen = self.seen();
        if let Some(at) = stock.at
            && seen.counts.insert(variation.to_owned(), stock) != Some(stock)
        {
            news.push(News::Count { sale: notes.sale, count: stock.count, at });
        }
        // With nothing in stock the mark is Square's own, whoever sold the last unit.
        if marked && stock.count > 0 {
            let since = *seen.marks.entry(variation.to_owned()).or_insert(ask.now);
            if ask.now.since(since) >= MARK_SETTLES {
                news.push(News::SoldOut { sale: notes.sale, set: true });
            }
        } else if seen.marks.remove(variation).is_some() || ask.listing_changed {
            news.push(News::SoldOut { sale: notes.sale, set: false });
        }
        Ok(news)
    }
}
