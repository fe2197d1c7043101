//! Asks providers about everything that is not settled: webhooks make us fast, this makes us right.

use std::{collections::BTreeSet, sync::Arc};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, TellError},
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    provider::{Provider, StatusAsk},
    sale::{
        Sale,
        hold::{Checkout, Hold, HoldState},
        payment::{Fate, Payment, PaymentStatus, RefundStatus},
    },
};

/// How often a running sale is asked about.
pub const EVERY: Span = Span::from_secs(3);

/// How often closed sales are looked through for what is to be asked.
pub const CLOSED_EVERY: Span = Span::from_secs(60);

/// For how long after its end a sale with something unsettled is asked about often.
const WATCH_FOR: Span = Span::from_secs(48 * 3600);

/// For how long it is asked about at all: the slowest service cancels an unpaid order after so long
/// (Noventiq's order statuses).
const LATE_FOR: Span = Span::from_secs(90 * 24 * 3600);

/// After the first days, such a sale is asked about once a day.
const DAY: Span = Span::from_secs(24 * 3600);

/// A sale with nothing unsettled is asked about for as long as a page of it might be paid all the
/// same (Polar's open sessions live for a day), or something of it given back: until the first age,
/// as often as the second says.
const LOOK_BACK: [(Span, Span); 4] = [
    (Span::from_mins(15), Span::from_mins(1)),
    (Span::from_mins(2 * 60), Span::from_mins(10)),
    (Span::from_mins(8 * 60), Span::from_mins(30)),
    (Span::from_mins(25 * 60), Span::from_mins(60)),
];

/// Payments looked at once more in one round; each may take a call.
const AGAIN_MAX: usize = 20;

/// Pages asked about in one call; the tightest provider takes a hundred ids.
const PAGES_MAX: usize = 100;

/// A fee that was not told this long after its payment is not asked for any more.
const FEES_WITHIN: Span = Span::from_secs(3600);

/// Fees asked about in one round; each may take a call.
const FEES_MAX: usize = 20;

/// A payment may be dated a little before the page we know was made.
const MARGIN: Span = Span::from_secs(60);

/// Which sales to ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// Those that run.
    Running,
    /// Also those that closed not long ago, as often as their age says, and pages that were closed.
    All,
    /// All of it at once, whatever was asked lately: the first and the last question of a program's
    /// life.
    Whole,
}

impl Round {
    fn is_wide(self) -> bool {
        self != Self::Running
    }
}

/// Asks about every unsettled sale once.
///
/// # Errors
/// If the store fails; a provider that does not answer is asked again next time.
pub async fn sweep(engine: &Engine, round: Round) -> Result<(), TellError> {
    let changed = engine.take_changed();
    // Fees come late, and nothing waits for them: they are asked about now and then.
    let tellers = engine.providers().filter(|one| round.is_wide() && one.tells_fees());
    let tellers: Vec<&'static str> = tellers.map(|one| one.name()).collect();
    for sale in sales(engine, round).await? {
        let now = engine.now();
        let tellers = tellers.clone();
        let look = move |s: &Sale| question(s, &tellers, now, round);
        let Some((provider, asks)) = engine.look(sale, look).await? else { continue };
        let Some(provider) = engine.provider(&provider).cloned() else { continue };
        // One replica asks for all; whoever heard that something changed asks as well.
        if !engine.acts_for(provider.name()) && !changed.contains(provider.name()) {
            continue;
        }
        // Word of a change may get lost: now and then the listing is looked at without one.
        let listing_changed = round.is_wide() || changed.contains(provider.name());
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
    if round.is_wide() {
        let now = engine.now();
        for line in engine.store().sales(200).await? {
            let end = line.head.phase.end();
            let asked = end.is_some_and(|end| is_asked_about(now.since(end.at)));
            if line.head.is_closed() && asked {
                sales.push(line.id);
            }
        }
    }
    Ok(sales)
}

/// Whether a sale that ended so long ago is looked at in this round, for what is unsettled of it.
fn is_asked_about(ago: Span) -> bool {
    // Two rounds: one may be slow, or fall into a restart.
    let of_the_day = ago.millis() % DAY.millis() < 2 * CLOSED_EVERY.millis();
    ago < WATCH_FOR || (ago < LATE_FOR && of_the_day)
}

/// How often a sale that ended so long ago is asked about though all of it is settled. By its age
/// alone, so that neither a restart nor another replica forgets it.
fn looks_back_every(ago: Span) -> Option<Span> {
    LOOK_BACK.iter().find(|(until, _)| ago < *until).map(|(_, every)| *every)
}

/// Whether a sale that ended so long ago is asked about in this round though all of it is settled.
fn is_looked_back_at(ago: Span, round: Round) -> bool {
    looks_back_every(ago).is_some_and(|every| {
        round == Round::Whole || ago.millis() % every.millis() < 2 * CLOSED_EVERY.millis()
    })
}

/// The number of the time a sale is asked about, for what goes in turn: counted as slowly as it is
/// asked about, or some of it would never get its turn.
fn turn(sale: &Sale, now: Timestamp) -> usize {
    let ago = sale.head.phase.end().map(|end| now.since(end.at));
    let times = match ago.and_then(|ago| Some((ago, looks_back_every(ago)?))) {
        Some((ago, every)) if sale.head.is_closed() => ago.millis() / every.millis(),
        _ => now.millis() / CLOSED_EVERY.millis(),
    };
    usize::try_from(times).unwrap_or(0)
}

/// What to ask about a sale; `None` if everything is settled. `tellers` are providers that tell
/// fees.
fn question(
    sale: &Sale,
    tellers: &[&str],
    now: Timestamp,
    round: Round,
) -> Option<(String, Vec<StatusAsk>)> {
    let ago = sale.head.phase.end().map(|end| now.since(end.at));
    let closed = sale.head.is_closed();
    let look_back =
        closed && round.is_wide() && ago.is_some_and(|ago| is_looked_back_at(ago, round));
    let turn = turn(sale, now);
    let may_be_paid = look_back || (!closed && round.is_wide());
    let mut pages = open_pages(sale);
    if may_be_paid {
        let all = closed_pages(sale);
        // A whole look leaves nothing for later: there may be none.
        let max = if round == Round::Whole { all.len() } else { PAGES_MAX };
        pages.extend(in_turn(all, max, turn));
    }
    let refunds: Vec<_> = sale
        .payments()
        .filter_map(|payment| match &payment.fate {
            Fate::Refund { status: RefundStatus::Requested, refund, .. } => {
                Some((payment.fact.id.to_string(), refund.clone()))
            }
            _ => None,
        })
        .collect();
    let pending =
        sale.payments().any(|p| matches!(p.fate, Fate::Pending | Fate::Part) && !p.is_settled());
    let tells = tellers.contains(&sale.head.template.provider.as_str());
    let fees = if tells { without_fee(sale, now) } else { Vec::new() };
    let settled = pages.is_empty() && refunds.is_empty() && fees.is_empty() && !pending;
    if settled && closed && !look_back {
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
    asks[0].fees = fees;
    if may_be_paid {
        asks[0].again = again(sale, turn);
        let done = sale.payments().filter_map(|payment| match &payment.fate {
            Fate::Refund { status: RefundStatus::Done, refund: Some(refund), .. } => {
                Some((payment.fact.id.to_string(), Some(refund.clone())))
            }
            _ => None,
        });
        asks[0].refunds.extend(in_turn(done.collect(), AGAIN_MAX, turn));
    }
    debug_assert!(now >= since);
    Some((sale.head.template.provider.clone(), asks))
}

/// Pages that are or may be open, and have no payment yet that is ours.
fn open_pages(sale: &Sale) -> Vec<(HoldId, Checkout)> {
    pages(sale, |hold, page| may_be_open(sale, hold, page))
}

/// Where no page can be closed, one whose units went back can be paid as well.
fn may_be_open(sale: &Sale, hold: &Hold, page: &Checkout) -> bool {
    let is_paid = matches!(hold.state, HoldState::Paid { .. });
    !is_paid && (!page.closed || (!sale.head.capabilities.revocable && was_seen(hold)))
}

/// Pages that a buyer saw and that are closed or paid: whoever was on one as it closed may have
/// paid it, and a service may say *closed* of a page that it lets be paid. Money that is known is
/// looked at by itself; a page that many share may have more.
fn closed_pages(sale: &Sale) -> Vec<(HoldId, Checkout)> {
    let pages_paid: BTreeSet<&CheckoutId> =
        sale.payments().filter_map(|one| one.fact.checkout.as_ref()).collect();
    let orders_paid: BTreeSet<&str> =
        sale.payments().filter_map(|one| one.fact.order.as_deref()).collect();
    let is_known = |page: &Checkout| {
        pages_paid.contains(&page.id)
            || page.order.as_deref().is_some_and(|order| orders_paid.contains(order))
    };
    pages(sale, |hold, page| {
        let asked = may_be_open(sale, hold, page);
        !asked && was_seen(hold) && (hold.id.is_shared() || !is_known(page))
    })
}

fn was_seen(hold: &Hold) -> bool {
    hold.opened_at.is_some() || hold.id.is_shared()
}

fn pages(sale: &Sale, fits: impl Fn(&Hold, &Checkout) -> bool) -> Vec<(HoldId, Checkout)> {
    let all = sale.holds().flat_map(|hold| hold.checkouts.iter().map(move |page| (hold, page)));
    all.filter(|(hold, page)| fits(hold, page))
        .map(|(hold, page)| (hold.id, page.clone()))
        .collect()
}

/// Payments to look at once more.
fn again(sale: &Sale, turn: usize) -> Vec<PaymentId> {
    let money = |payment: &&Payment| {
        payment.fact.status == PaymentStatus::Completed || payment.reversed.is_some()
    };
    in_turn(sale.payments().filter(money).map(|p| p.fact.id.clone()).collect(), AGAIN_MAX, turn)
}

/// As many as one round takes, and others in the next.
fn in_turn<T>(mut all: Vec<T>, max: usize, turn: usize) -> Vec<T> {
    if all.len() > max {
        let rounds = all.len().div_ceil(max);
        all.rotate_left(turn % rounds * max);
        all.truncate(max);
    }
    all
}

/// Payments whose fee the provider has not told yet, and may still.
fn without_fee(sale: &Sale, now: Timestamp) -> Vec<PaymentId> {
    let waits = |payment: &&Payment| {
        payment.fact.status == PaymentStatus::Completed
            && payment.fact.fee.is_none()
            && now.since(payment.seen_at) < FEES_WITHIN
    };
    sale.payments().filter(waits).map(|p| p.fact.id.clone()).take(FEES_MAX).collect()
}

/// Asks about everything before a polite end.
pub async fn once_more(engine: &Engine) {
    ask(engine, Round::Whole).await;
}

async fn ask(engine: &Engine, round: Round) {
    if let Err(error) = sweep(engine, round).await {
        tracing::error!(%error, "a round of questions failed");
    }
}

/// Asks again and again until stopped.
pub async fn run(engine: Engine, stop: CancellationToken) {
    let mut next_all = None;
    loop {
        let now = engine.now();
        let round = match next_all {
            None => Round::Whole,
            Some(at) if now >= at => Round::All,
            Some(_) => Round::Running,
        };
        if round.is_wide() {
            next_all = Some(now + CLOSED_EVERY);
        }
        ask(&engine, round).await;
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + EVERY) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::{
        engine::tests::bench::Bench,
        id::HoldId,
        sale::{
            event::Event,
            payment::{Fee, PaymentFact},
            template::Template,
            tests::play::{Play, template, usd},
        },
    };

    fn hours(n: i64) -> Span {
        Span::from_secs(n * 3600)
    }

    #[test]
    fn what_is_unsettled_is_looked_for_often_and_then_daily() {
        assert!(is_asked_about(hours(47)), "often, while it is fresh");
        assert!(!is_asked_about(hours(49)) && !is_asked_about(hours(91 * 24)));
        assert!(is_asked_about(hours(72)));
        assert!(is_asked_about(hours(89 * 24) + Span::from_secs(90)));
    }

    #[test]
    fn what_is_settled_is_looked_back_at_for_a_day_ever_more_slowly() {
        let rounds = |from: i64, to: i64| {
            (from..to)
                .filter(|minute| is_looked_back_at(Span::from_mins(*minute), Round::All))
                .count()
        };
        assert_eq!(rounds(0, 15), 15, "each minute at first");
        assert!(rounds(15, 120) < 25 && rounds(120, 480) < 30 && rounds(480, 1500) < 40);
        assert!(rounds(23 * 60, 25 * 60) > 0, "a day after");
        assert_eq!(rounds(1500, 10_000), 0);
        let whole = |hours| is_looked_back_at(self::hours(hours), Round::Whole);
        assert!(whole(7) && whole(24) && !whole(26), "a new life asks at once");
    }

    #[test]
    fn everything_gets_its_turn_however_slowly_a_sale_is_asked_about() {
        let running = Play::open(template());
        let (closed, _) = closed(true);
        let end = closed.sale.head.phase.end().expect("over").at;
        // When a sale is asked about, three times in a row.
        let times = [(&running, running.now, 1), (&closed, end, 1), (&closed, end + hours(1), 10)];
        let slow = [(&closed, end + hours(4), 30), (&closed, end + hours(20), 60)];
        for (play, from, every) in times.into_iter().chain(slow) {
            let mut seen = BTreeSet::new();
            for n in 0..3 {
                let turn = turn(&play.sale, from + Span::from_mins(n * every));
                let some = in_turn((0..50).collect(), AGAIN_MAX, turn);
                assert_eq!(some.len(), AGAIN_MAX);
                seen.extend(some);
            }
            assert_eq!(seen.len(), 50, "every {every} minutes");
        }
    }

    #[test]
    fn a_look_at_the_whole_leaves_no_closed_page_for_later() {
        let mut play = Play::open(Template { stock: 10, per_buyer: 1, ..template() });
        for n in 0..2 * PAGES_MAX {
            let hold = play.claim(&format!("b{n}")).expect("free");
            play.work();
            play.tell(Event::LetGo { hold }).expect("may let go");
            play.work();
        }
        let pages = |play: &Play, after, round| -> Vec<usize> {
            let asked = question(&play.sale, &[], play.now + after, round);
            asked.expect("asked about").1.iter().map(|ask| ask.pages.len()).collect()
        };
        assert_eq!(pages(&play, Span::ZERO, Round::All), [PAGES_MAX]);
        assert_eq!(pages(&play, Span::ZERO, Round::Whole), [PAGES_MAX, PAGES_MAX]);
        play.tell(Event::Stopped).expect("open");
        play.run_out();
        assert_eq!(pages(&play, hours(1), Round::Whole), [PAGES_MAX, PAGES_MAX]);
    }

    /// A sale whose only hold was let go of, and that is closed since.
    fn closed(revocable: bool) -> (Play, HoldId) {
        let mut play = Play::open(template());
        play.sale.head.capabilities.revocable = revocable;
        let ana = play.claim("ana").expect("free");
        play.work();
        play.tell(Event::LetGo { hold: ana }).expect("may let go");
        play.tell(Event::Stopped).expect("open");
        play.run_out();
        assert!(play.sale.head.is_closed());
        (play, ana)
    }

    fn asks(play: &Play, after: Span, round: Round) -> Option<StatusAsk> {
        let end = play.sale.head.phase.end().map_or(play.now, |end| end.at);
        let asked = question(&play.sale, &["model"], end + after, round);
        asked.map(|(provider, mut asks)| {
            assert_eq!((provider.as_str(), asks.len()), ("model", 1));
            asks.remove(0)
        })
    }

    #[test]
    fn a_payment_under_way_on_a_closed_sale_is_asked_about_until_it_is_decided() {
        let (mut play, ana) = closed(true);
        let fact = play.money(ana, usd("18"));
        // Days later: nobody looks back so long at what is settled.
        let late = hours(72);
        for round in [Round::Running, Round::All] {
            assert_eq!(asks(&play, late, round).map(|_| ()), None);
            let mut play = play.clone();
            play.deliver(&PaymentFact { status: PaymentStatus::Pending, ..fact.clone() });
            let ask = asks(&play, late, round).expect("asked about");
            assert_eq!(ask.since, play.sale.head.started_at - Span::from_secs(60));
            play.deliver(&fact);
            assert_eq!(asks(&play, late, round).map(|ask| ask.fees.len()), None, "it is kept");
        }
        play.deliver(&PaymentFact { status: PaymentStatus::Failed, ..fact });
        assert_eq!(asks(&play, late, Round::All).map(|_| ()), None, "it came to nothing");
    }

    #[test]
    fn a_page_that_may_be_paid_all_the_same_is_asked_about() {
        // Nowhere but where no page can be closed, and in the first day after the end.
        for (revocable, after, pages) in
            [(true, hours(72), None), (false, hours(72), Some(1)), (true, hours(1), Some(1))]
        {
            let (mut play, ana) = closed(revocable);
            let asked = asks(&play, after, Round::All).map(|ask| ask.pages.len());
            assert_eq!(asked, pages, "{revocable} {after:?}");
            // Once it is paid nobody asks about its pages any more.
            let fee = Some(Fee { money: usd("0.82"), as_of: play.now });
            let fact = PaymentFact { fee, ..play.money(ana, usd("18")) };
            play.deliver(&fact);
            let asked = asks(&play, after, Round::All).map(|ask| (ask.pages.len(), ask.again));
            // But for a day about the payment, which may be taken back.
            assert_eq!(asked, (after == hours(1)).then(|| (0, vec![fact.id])));
        }
        assert!(asks(&closed(true).0, hours(1), Round::Running).is_none(), "not in every round");
    }

    #[test]
    fn refunds_under_way_are_asked_about_and_what_is_done_is_looked_at_again() {
        let mut play = Play::open(template());
        let ana = play.claim("ana").expect("free");
        play.work();
        let first = play.pay(ana);
        let second = PaymentFact { id: PaymentId::from("again"), ..first.clone() };
        play.deliver(&second);
        let refunds = |play: &Play, round| {
            let ask = question(&play.sale, &[], play.now, round).expect("it runs").1.remove(0);
            (ask.refunds, ask.again.len(), ask.fees.len())
        };
        let known = |refund: Option<&str>| ("again".to_owned(), refund.map(str::to_owned));
        assert_eq!(refunds(&play, Round::Running), (vec![known(None)], 0, 0));
        play.work();
        assert_eq!(refunds(&play, Round::Running), (vec![], 0, 0));
        assert_eq!(refunds(&play, Round::All), (vec![known(Some("r"))], 2, 0));
        // What was taken back is looked at, whatever it is now.
        let at = Some(play.now);
        play.deliver(&PaymentFact { status: PaymentStatus::Failed, as_of: at, ..first });
        assert_eq!(refunds(&play, Round::All).1, 2);
    }

    #[test]
    fn a_fee_is_asked_for_an_hour_or_until_it_is_told() {
        let mut play = Play::open(template());
        let ana = play.claim("ana").expect("free");
        play.work();
        let fact = play.pay(ana);
        let fees = |play: &Play, after| {
            let now = play.now + after;
            question(&play.sale, &["model"], now, Round::All).expect("it runs").1[0].fees.len()
        };
        assert_eq!(fees(&play, Span::ZERO), 1);
        assert_eq!(fees(&play, hours(1).minus(Span::from_millis(1))), 1);
        assert_eq!(fees(&play, hours(1)), 0);
        let fee = Some(Fee { money: usd("0.82"), as_of: play.now });
        play.deliver(&PaymentFact { fee, ..fact });
        assert_eq!(fees(&play, Span::ZERO), 0);
    }

    #[tokio::test]
    async fn word_of_a_change_is_kept_until_somebody_answers() {
        let bench = Bench::new(&Play::open(template())).await;
        bench.stub.is_away.store(true, Ordering::SeqCst);
        bench.engine.listing_changed("model");
        sweep(&bench.engine, Round::Running).await.expect("asks");
        assert_eq!(bench.engine.take_changed(), ["model".to_owned()].into());
        bench.stub.is_away.store(false, Ordering::SeqCst);
        bench.engine.listing_changed("model");
        sweep(&bench.engine, Round::Running).await.expect("asks");
        assert!(bench.engine.take_changed().is_empty());
    }
}
