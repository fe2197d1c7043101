//! Asking: what was paid for a sale, and how refunds stand. Webhooks are fast, this is sure: Polar
//! switches an endpoint off after ten failures in a row.

use std::{collections::HashMap, sync::PoisonError};

use serde_json::Value;

use super::{
    Polar,
    money::{is_ours, order_fact},
    options::MARK,
};
use crate::{
    clock::{Span, Timestamp},
    provider::{
        News, StatusAsk,
        rest::{Fault, segment},
    },
};

/// What was told and did not change is told again after this long, in case it got lost.
const TELL_AGAIN: Span = Span::from_secs(60);

/// What was told of each order, and when.
pub(super) type Told = HashMap<String, (Value, Timestamp)>;

impl Polar {
    pub(super) async fn news(&self, ask: &StatusAsk) -> Result<Vec<News>, Fault> {
        let of_listing = ask.listing.as_ref().and_then(|listing| listing.0["sale"].as_str());
        let sale = match (of_listing, ask.pages.first()) {
            (Some(sale), _) => Some(sale.to_owned()),
            (None, Some((hold, _))) => Some(hold.sale.to_string()),
            (None, None) => None,
        };
        let mut news = Vec::new();
        if let Some(sale) = sale {
            let filter = segment(&format!("metadata[{MARK}_sale]"));
            let path = format!("/v1/orders/?sorting=-created_at&{filter}={}", segment(&sale));
            let orders = self.client.all(&path).await?;
            let ours = orders.iter().filter(|order| is_ours(order));
            let fresh = ours.filter(|order| self.is_news(order, ask.now));
            news.extend(fresh.filter_map(order_fact).map(News::Payment));
        }
        for (payment, refund) in &ask.refunds {
            let fact = self.refund_state(payment, refund.as_deref()).await?;
            news.extend(fact.map(News::Refund));
        }
        Ok(news)
    }

    /// One call lists all that was ever paid for a sale, every few seconds.
    fn is_news(&self, order: &Value, now: Timestamp) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, (_, at)| now.since(*at) < TELL_AGAIN);
        let id = order["id"].as_str().unwrap_or_default();
        let state = ["status", "refundable_amount", "platform_fee_amount"];
        let state: Value = state.iter().map(|name| order[*name].clone()).collect();
        if told.get(id).is_some_and(|(before, _)| *before == state) {
            return false;
        }
        told.insert(id.to_owned(), (state, now));
        true
    }
}
