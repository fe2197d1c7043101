//! Asks providers about everything that is not settled: webhooks make us fast, this makes us right.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, TellError},
    id::SaleId,
    provider::{Provider, StatusAsk},
    sale::{
        Sale,
        hold::HoldState,
        payment::{Fate, RefundStatus},
    },
};

/// How often a running sale is asked about.
pub const EVERY: Span = Span::from_secs(3);

/// How often closed sales with something unsettled are asked about.
pub const CLOSED_EVERY: Span = Span::from_secs(60);

/// For how long after its end a sale is asked about at all.
const WATCH_FOR: Span = Span::from_secs(48 * 3600);

/// For how long where pages cannot be closed: the slowest service cancels an unpaid order after so
/// long (Noventiq's order statuses).
const LATE_FOR: Span = Span::from_secs(90 * 24 * 3600);

/// After the first days, such a sale is asked about once a day.
const DAY: Span = Span::from_secs(24 * 3600);

/// Pages asked about in one call; the tightest provider takes a hundred ids.
const PAGES_MAX: usize = 100;

/// A payment may be dated a little before the page we know was made.
const MARGIN: Span = Span::from_secs(60);

/// Which sales to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Those that run.
    Running,
    /// Also those that closed not long ago.
    All,
}

/// Asks about every unsettled sale once.
///
/// # Errors
/// If the store fails; a provider that does not answer is asked again next time.
pub async fn sweep(engine: &Engine, round: Round) -> Result<(), TellError> {
    let changed = engine.take_changed();
    for sale in sales(engine, round).await? {
        let now = engine.now();
        let Some((provider, asks)) = engine.look(sale, move |s| question(s, now)).await? else {
            continue;
        };
        let Some(provider) = engine.provider(&provider).cloned() else { continue };
        // One replica asks for all; whoever heard that something changed asks as well.
        if !engine.acts_for(provider.name()) && !changed.contains(provider.name()) {
            continue;
        }
        // Word of a change may get lost: now and then the listing is looked at without one.
        let listing_changed = round == Round::All || changed.contains(provider.name());
        for (n, ask) in asks.into_iter().enumerate() {
            let ask = StatusAsk { listing_changed: listing_changed && n == 0, ..ask };
            if !ask_about(engine, &provider, sale, &ask).await? && ask.listing_changed {
                engine.listing_changed(provider.name());
            }
        }
    }
    engine.match_again().await
}

/// Puts one question; says whether it was answered.
async fn ask_about(
    engine: &Engine,
    provider: &Arc<dyn Provider>,
    sale: SaleId,
    ask: &StatusAsk,
) -> Result<bool, TellError> {
    match provider.status(ask).await {
        Ok(news) => {
            for one in news {
                engine.take(provider.name(), one, None).await?;
            }
            Ok(true)
        }
        Err(error) => {
            tracing::warn!(%sale, provider = provider.name(), %error, "no answer about its state");
            Ok(false)
        }
    }
}

async fn sales(engine: &Engine, round: Round) -> Result<Vec<SaleId>, TellError> {
    let mut sales = engine.store().live_sales().await?;
    if round == Round::All {
        let now = engine.now();
        for line in engine.store().sales(200).await? {
            let end = line.head.phase.end();
            let late = !line.head.capabilities.revocable;
            let asked = end.is_some_and(|end| is_asked_about(now.since(end.at), late));
            if line.head.is_closed() && asked {
                sales.push(line.id);
            }
        }
    }
    Ok(sales)
}

/// Whether a sale that ended so long ago is asked about in this round; `late` if its pages cannot be
/// closed.
fn is_asked_about(ago: Span, late: bool) -> bool {
    // Two rounds: one may be slow, or fall into a restart.
    let of_the_day = ago.millis() % DAY.millis() < 2 * CLOSED_EVERY.millis();
    ago < WATCH_FOR || (late && ago < LATE_FOR && of_the_day)
}

/// What to ask about a sale; `None` if everything is settled.
fn question(sale: &Sale, now: Timestamp) -> Option<(String, Vec<StatusAsk>)> {
    // Where no page can be closed, one whose units went back can be paid all the same.
    let for_ever = !sale.head.capabilities.revocable;
    let pages: Vec<_> = sale
        .holds()
        .filter(|hold| !matches!(hold.state, HoldState::Paid { .. }))
        .flat_map(|hold| hold.checkouts.iter().map(move |page| (hold, page)))
        .filter(|(hold, page)| !page.closed || (for_ever && hold.opened_at.is_some()))
        .map(|(hold, page)| (hold.id, page.clone()))
        .collect();
    let refunds: Vec<_> = sale
        .payments()
        .filter_map(|payment| match &payment.fate {
            Fate::Refund { status: RefundStatus::Requested, refund, .. } => {
                Some((payment.fact.id.to_string(), refund.clone()))
            }
            _ => None,
        })
        .collect();
    let pending = sale.payments().any(|p| p.fate == Fate::Pending && !p.is_settled());
    if pages.is_empty() && refunds.is_empty() && !pending && sale.head.is_closed() {
        return None;
    }
    let since = sale.head.started_at - MARGIN;
    let listing = sale.head.listing().cloned();
    let ask = StatusAsk { listing, since, now, ..StatusAsk::default() };
    let mut asks: Vec<StatusAsk> = pages
        .chunks(PAGES_MAX)
        .map(|pages| StatusAsk { pages: pages.to_vec(), ..ask.clone() })
        .collect();
    if asks.is_empty() {
        asks.push(ask);
    }
    asks[0].refunds = refunds;
    debug_assert!(now >= since);
    Some((sale.head.template.provider.clone(), asks))
}

/// Asks again and again until stopped.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let mut next_all = engine.now();
    loop {
        let now = engine.now();
        let round = if now >= next_all { Round::All } else { Round::Running };
        if round == Round::All {
            next_all = now + CLOSED_EVERY;
        }
        if let Err(error) = sweep(&engine, round).await {
            tracing::error!(%error, "a round of questions failed");
        }
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_that_comes_late_is_looked_for_daily() {
        let hours = |n: i64| Span::from_secs(n * 3600);
        for late in [false, true] {
            assert!(is_asked_about(hours(47), late), "often, while it is fresh");
            assert!(!is_asked_about(hours(49), late) && !is_asked_about(hours(91 * 24), late));
            assert_eq!(is_asked_about(hours(72), late), late);
            assert_eq!(is_asked_about(hours(89 * 24) + Span::from_secs(90), late), late);
        }
    }
}
