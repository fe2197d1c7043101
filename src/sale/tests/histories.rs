//! Random histories: inputs lost, repeated and reordered, and the four promises at the end.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::archive::money_outlives_its_claims;
use super::play::{CloseMood, Page, Play, delivery, offers, template};
use crate::{
    clock::Span,
    sale::{
        Phase, decide,
        effect::Effect,
        event::{Claim, Event},
        hold::{Hold, HoldState},
        offer::{Extras, Offers},
        payment::{Fate, RefundFact, RefundStatus},
        refusal::Refusal,
        template::{CheckoutShape, Template},
    },
};

#[derive(Clone, Debug)]
enum Step {
    Claim {
        buyer: u8,
        units: u8,
        ship: bool,
        extra: u8,
    },
    Join(u8, u8),
    Accept(u8),
    LetGo(u8),
    Pass(u16),
    Work(u8, CloseMood),
    /// Does the work, and loses or delays the answer: the effect stays in the queue.
    WorkUnheard(u8, CloseMood),
    Park(u8),
    Pay(u8),
    PayPart(u8),
    /// Pays so many cents more than a page asks for, whether or not it was paid already.
    PayOther(u8, i8),
    /// A refund fails, or is done after all, by the provider's later word or an earlier one.
    Turn {
        payment: u8,
        done: bool,
        late: bool,
    },
    Deliver(u8),
    Repeat(u8),
    Payable(bool),
    Extend(i8),
    Pause,
    Resume,
    Restock(i8),
    Open,
    Stop,
    Counted(i8),
    Marked(bool),
    ChoiceMarked {
        ship: bool,
        set: bool,
    },
}

fn mood() -> impl Strategy<Value = CloseMood> {
    prop_oneof![
        6 => Just(CloseMood::Honest),
        1 => Just(CloseMood::Pending),
        1 => Just(CloseMood::Cannot),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..9u8, 1..3u8, any::<bool>(), 0..32u8)
            .prop_map(|(buyer, units, ship, extra)| Step::Claim { buyer, units, ship, extra }),
        4 => (0..9u8, 0..32u8).prop_map(|(buyer, extra)| Step::Join(buyer, extra)),
        4 => any::<u8>().prop_map(Step::Accept),
        2 => any::<u8>().prop_map(Step::LetGo),
        6 => (0..240u16).prop_map(Step::Pass),
        14 => (any::<u8>(), mood()).prop_map(|(n, mood)| Step::Work(n, mood)),
        2 => (any::<u8>(), mood()).prop_map(|(n, mood)| Step::WorkUnheard(n, mood)),
        1 => any::<u8>().prop_map(Step::Park),
        6 => any::<u8>().prop_map(Step::Pay),
        4 => any::<u8>().prop_map(Step::PayPart),
        3 => (any::<u8>(), any::<i8>()).prop_map(|(n, more)| Step::PayOther(n, more)),
        3 => (any::<u8>(), any::<bool>(), any::<bool>())
            .prop_map(|(payment, done, late)| Step::Turn { payment, done, late }),
        4 => any::<u8>().prop_map(Step::Deliver),
        3 => any::<u8>().prop_map(Step::Repeat),
        1 => any::<bool>().prop_map(Step::Payable),
        1 => any::<i8>().prop_map(Step::Extend),
        1 => Just(Step::Pause),
        1 => Just(Step::Resume),
        1 => any::<i8>().prop_map(Step::Restock),
        1 => Just(Step::Open),
        1 => prop_oneof![9 => Just(Step::Pause), 1 => Just(Step::Stop)],
        1 => any::<i8>().prop_map(Step::Counted),
        1 => any::<bool>().prop_map(Step::Marked),
        2 => (any::<bool>(), any::<bool>())
            .prop_map(|(ship, set)| Step::ChoiceMarked { ship, set }),
    ]
}

fn templates() -> impl Strategy<Value = (Template, bool)> {
    let rare = || prop::bool::weighted(0.2);
    (1..6u32, 1..3u32, 0..3u32, any::<bool>(), rare(), rare(), any::<bool>(), 1..3u32).prop_map(
        |(stock, per_buyer, warm, choice, shared, arm, more, stickers)| {
            let delivery =
                if choice { vec![delivery("ship", "8"), delivery("pickup", "0")] } else { vec![] };
            let checkout = if shared { CheckoutShape::Shared } else { CheckoutShape::PerBuyer };
            let offers = if more && !shared { offers(stickers) } else { Offers::default() };
            (Template { stock, per_buyer, warm, delivery, checkout, offers, ..template() }, arm)
        },
    )
}

/// What a buyer chooses, by the bits of a number; with the highest, nothing of it.
fn extras(template: &Template, bits: u8) -> Extras {
    if template.offers.is_empty() || bits & 16 != 0 {
        return Extras::default();
    }
    let size = if bits & 1 == 0 { "M" } else { "XL" };
    let mut extras = template.offers.plain();
    extras.options.insert("size".into(), size.into());
    for (bit, name) in [(2, "sticker"), (4, "card")] {
        if bits & bit != 0 {
            extras.upsells.insert(name.into());
        }
    }
    extras.special = (bits & 8 != 0).then(|| "code:friends".into());
    extras
}

/// No up-sell is promised oftener than there are, and every hold costs what its parts do.
fn offers_are_kept(play: &Play) {
    let template = &play.sale.head.template;
    for upsell in &template.offers.upsells {
        let has = |hold: &&Hold| hold.is_taken() && hold.extras.upsells.contains(&upsell.name);
        let taken = play.sale.holds().filter(has).count();
        assert!(upsell.stock.is_none_or(|stock| taken <= stock as usize), "{taken} promised");
    }
    for hold in play.sale.holds() {
        let extras = &hold.extras;
        let unit = if extras.special.is_some() { 1200 } else { template.price.minor };
        let add = if extras.options.values().any(|size| size == "XL") { 250 } else { 0 };
        let more = |name: &str, price| if extras.upsells.contains(name) { price } else { 0 };
        let fee = if hold.delivery.as_deref() == Some("ship") { 800 } else { 0 };
        let whole = i64::from(hold.units) * (unit + add) + more("sticker", 400) + more("card", 100);
        assert_eq!(hold.amount.minor, whole + fee, "{extras:?}");
    }
}

fn nth<T>(items: &[T], n: u8) -> Option<&T> {
    (!items.is_empty()).then(|| &items[usize::from(n) % items.len()])
}

fn take_step(play: &mut Play, step: &Step) {
    // Refusals are ordinary here; `tell` audits the sale after every event either way.
    match step {
        Step::Claim { buyer, units, ship, extra } => {
            let delivery = (!play.sale.head.template.delivery.is_empty())
                .then(|| if *ship { "ship" } else { "pickup" }.to_owned());
            let units = u32::from(*units);
            let extras = extras(&play.sale.head.template, *extra);
            let claim = Claim { units, delivery, extras, ..Play::claim_of(&format!("b{buyer}")) };
            let closed = is_closed(play, claim.delivery.as_deref());
            let told = play.tell(Event::Claimed(Box::new(claim)));
            assert!(!matches!(told, Err(Refusal::Broken(_))), "{told:?}");
            assert!(!closed || told.is_err(), "claimed with a choice that is sold out");
        }
        Step::Join(buyer, extra) => {
            let delivery = play.sale.head.template.delivery.first().map(|d| d.name.clone());
            let extras = extras(&play.sale.head.template, *extra);
            let claim = Claim { delivery, extras, ..Play::claim_of(&format!("b{buyer}")) };
            let closed = is_closed(play, claim.delivery.as_deref());
            let told = play.tell(Event::Joined(Box::new(claim)));
            assert!(!matches!(told, Err(Refusal::Broken(_))), "{told:?}");
            assert!(!closed || told.is_err(), "in line for a choice that is sold out");
        }
        Step::Accept(n) => {
            let offered = |hold: &&Hold| matches!(hold.state, HoldState::Offered { .. });
            let ids: Vec<_> = play.sale.holds().filter(offered).map(|h| h.id).collect();
            if let Some(hold) = nth(&ids, *n) {
                let _ = play.tell(Event::Accepted { hold: *hold });
            }
        }
        Step::LetGo(n) => {
            let ids: Vec<_> = play.sale.holds().map(|h| h.id).collect();
            if let Some(hold) = nth(&ids, *n) {
                let _ = play.tell(Event::LetGo { hold: *hold });
            }
        }
        Step::Pass(secs) => play.pass(Span::from_secs(i64::from(*secs))),
        Step::Work(n, mood) | Step::WorkUnheard(n, mood) => {
            let due: Vec<usize> =
                (0..play.todo.len()).filter(|i| play.todo[*i].1 <= play.now).collect();
            let Some(at) = nth(&due, *n).copied() else { return };
            let (effect, due_at) = play.todo.remove(at).expect("in range");
            let says = matches!(effect, Effect::Announce { .. });
            if matches!(step, Step::WorkUnheard(..)) && !says {
                // The answer comes much later, from `history`; meanwhile the work is repeated.
                if let Some(event) = play.outcome(&effect, *mood) {
                    play.history.push(event);
                }
                play.todo.push_back((effect, due_at));
            } else {
                play.perform(&effect, *mood);
            }
        }
        Step::Park(n) => {
            let all: Vec<usize> = (0..play.todo.len()).collect();
            let Some(at) = nth(&all, *n).copied() else { return };
            let (effect, _) = play.todo.remove(at).expect("in range");
            play.tell(Event::Parked { effect, why: "given up".into() }).expect("told");
        }
        Step::Turn { payment, done, late } => {
            let ids: Vec<_> = play
                .sale
                .payments()
                .filter(|one| matches!(one.fate, Fate::Refund { .. } | Fate::Person { .. }))
                .map(|one| (one.fact.id.clone(), one.fact.amount.minor))
                .collect();
            let Some((payment, amount)) = nth(&ids, *payment).cloned() else { return };
            let status = if *done { RefundStatus::Done } else { RefundStatus::Failed };
            let as_of = if *late { play.now - Span::from_secs(60) } else { play.now };
            let moved = RefundFact {
                payment,
                refund: Some("r".to_owned()),
                status,
                amount: Some(amount),
                says: None,
                as_of: Some(as_of),
            };
            play.tell(Event::RefundMoved(moved)).expect("news are never refused");
        }
        Step::Pay(n) | Step::PayPart(n) | Step::PayOther(n, _) => {
            let pages: Vec<_> = play.pages.keys().cloned().collect();
            if let Some(page) = nth(&pages, *n) {
                let shown = play.pages[page].0;
                let seen =
                    play.sale.hold(shown).is_some_and(|h| h.buyer.is_some() || h.id.is_shared());
                match step {
                    _ if !seen => {}
                    Step::PayOther(_, more) => drop(play.pay_other(page, i64::from(*more))),
                    Step::PayPart(_) => drop(play.pay_part(page)),
                    _ => drop(play.pay_page(page)),
                }
            }
        }
        Step::Deliver(n) => {
            if let Some(fact) = nth(&play.payments, *n).cloned() {
                play.deliver(&fact);
            }
        }
        Step::Repeat(n) => {
            let outcomes: Vec<Event> =
                play.history.iter().filter(|e| is_news(e)).cloned().collect();
            if let Some(event) = nth(&outcomes, *n) {
                play.tell(event.clone()).expect("outcomes are never refused");
            }
        }
        Step::Payable(payable) => play.payable = *payable,
        Step::Extend(n) => {
            let _ = play.tell(Event::Extended { by_ms: i64::from(*n) * 10_000 });
        }
        Step::Pause => drop(play.tell(Event::Paused)),
        Step::Resume => drop(play.tell(Event::Resumed)),
        Step::Restock(n) => drop(play.tell(Event::Restocked { units: i64::from(*n) / 20 })),
        Step::Open => drop(play.tell(Event::Opened)),
        Step::Stop => drop(play.tell(Event::Stopped)),
        Step::Counted(n) => {
            let count = i64::from(n.unsigned_abs() % 8);
            let at = play.now;
            play.tell(Event::Counted { count, at }).expect("told");
        }
        Step::Marked(set) => {
            play.tell(Event::SoldOutMarked { set: *set }).expect("told");
        }
        Step::ChoiceMarked { ship, set } => {
            let delivery = if *ship { "ship" } else { "pickup" }.to_owned();
            play.tell(Event::ChoiceMarked { delivery, set: *set }).expect("told");
        }
    }
}

fn is_closed(play: &Play, delivery: Option<&str>) -> bool {
    delivery.is_some_and(|name| play.sale.head.is_choice_closed(name))
}

/// Warm pages that nobody may claim, once the first page of the sale is proven.
fn useless_pages(play: &Play) -> Option<usize> {
    let proven = !matches!(play.sale.head.phase, Phase::Arming { .. });
    let useless =
        |hold: &&Hold| hold.state == HoldState::Warm && is_closed(play, hold.delivery.as_deref());
    proven.then(|| play.sale.holds().filter(useless).count())
}

/// News that may come late, twice and out of order.
pub(super) fn is_news(event: &Event) -> bool {
    matches!(
        event,
        Event::Provisioned { .. }
            | Event::CheckoutOpened { .. }
            | Event::CheckoutRejected { .. }
            | Event::Probed { .. }
            | Event::CheckoutClosed { .. }
            | Event::PaymentSeen(_)
            | Event::RefundMoved(_)
            | Event::Retired
            | Event::Ticked
    )
}

/// Every bound of the template, whatever moderators tried.
fn within_bounds(play: &Play) {
    let head = &play.sale.head;
    let bounds = head.template.bounds;
    assert!(head.offered <= bounds.max_stock);
    assert!(head.stock <= bounds.max_stock);
    assert!(head.length <= bounds.max_duration);
    assert!(head.paused_for <= bounds.max_duration);
    if let Phase::Open { opened_at, ends_at } = &head.phase {
        let open_for = ends_at.since(*opened_at).minus(head.paused_for);
        assert!(open_for <= bounds.max_duration, "{open_for:?}");
    }
}

/// Nobody waits for what is free, nobody is passed over, and no line outlives its sale.
fn line_is_served(play: &Play) {
    let head = &play.sale.head;
    let waiting: Vec<_> = play
        .sale
        .holds()
        .filter(|hold| matches!(hold.state, HoldState::Waiting { .. }))
        .map(|hold| hold.id)
        .collect();
    let offered = play.sale.holds().filter(|h| matches!(h.state, HoldState::Offered { .. }));
    match head.phase {
        Phase::Open { .. } if !head.marked_sold_out => {
            assert!(waiting.is_empty() || head.free() == 0, "free, and somebody waits");
        }
        Phase::Closing { .. } | Phase::Closed { .. } => {
            assert!(waiting.is_empty(), "a line outlives its sale");
        }
        _ => {}
    }
    if let (Some(first), Some(last)) = (waiting.first(), offered.map(|hold| hold.id).max()) {
        assert!(last < *first, "somebody was passed over");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("LIVETILL_TEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(600),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_promises_hold_in_every_history(
        (template, arm) in templates(),
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let mut play = Play::start(template, arm);
        for step in &steps {
            let useless = useless_pages(&play);
            take_step(&mut play, step);
            if !matches!(step, Step::ChoiceMarked { .. })
                && let (Some(before), Some(now)) = (useless, useless_pages(&play))
            {
                assert!(now <= before, "a page was made that nobody may claim");
            }
            within_bounds(&play);
            line_is_served(&play);
            offers_are_kept(&play);
            tick_twice_is_tick_once(&play);
        }
        // The dust settles: the provider is well again and every webhook arrives.
        play.payable = true;
        for _ in 0..3 {
            play.run_out();
            for fact in play.payments.clone() {
                play.deliver(&fact);
            }
        }
        play.run_out();
        prop_assert!(play.sale.head.is_closed(), "{:?}", play.sale.head);
        prop_assert!(play.todo.is_empty());
        prop_assert!(play.sale.head.tally.taken() <= play.sale.head.stock);
        for fact in &play.payments {
            let payment = play.sale.payment(&fact.id).expect("every payment is known");
            prop_assert!(payment.fate.is_final(), "{:?}", payment);
            prop_assert!(payment.fate != Fate::Pending);
        }
        let kept: BTreeSet<_> = play
            .sale
            .payments()
            .filter(|p| p.fate == Fate::Kept)
            .map(|p| p.hold.expect("joined"))
            .collect();
        let units: u32 = kept.iter().map(|id| play.sale.hold(*id).expect("known").units).sum();
        prop_assert_eq!(units, play.sale.head.tally.paid);
        prop_assert_eq!(play.sale.head.parts, 0);
        for id in kept {
            let paid: i64 = play
                .sale
                .payments()
                .filter(|p| p.fate == Fate::Kept && p.hold == Some(id))
                .map(|p| p.fact.amount.minor)
                .sum();
            prop_assert_eq!(paid, play.sale.hold(id).expect("known").amount.minor);
        }
        let ends = play.heard(super::play::ROOM).iter().filter(|line| {
            ["SOLD OUT", "ENDED", "CANCELLED"].iter().any(|word| line.starts_with(word))
        }).count();
        let opened = play.heard(super::play::ROOM).iter().filter(|l| l.starts_with("SALE OPEN")).count();
        prop_assert!(ends == usize::from(play.sale.head.opened_at().is_some()) || parked_says(&steps));
        prop_assert!(opened >= ends || parked_says(&steps));
        let shown_and_open = play.pages.iter().any(|(id, (hold, page, _))| {
            *page == Page::Open && play.sale.hold(*hold).is_some_and(|hold| {
                hold.state.word() == "released" && hold.checkout(id).is_some_and(|c| c.closed)
            })
        });
        prop_assert!(!shown_and_open, "released, and its page can still be paid");
        money_outlives_its_claims(&mut play);
    }
}

/// A parked announcement is not said; such histories do not count sentences.
fn parked_says(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Park(_)))
}

fn tick_twice_is_tick_once(play: &Play) {
    let once = decide(&play.sale, &Event::Ticked, play.now).expect("a tick");
    let mut sale = play.sale.clone();
    sale.apply(once);
    let twice = decide(&sale, &Event::Ticked, play.now).expect("a tick");
    assert!(!twice.changed, "a second tick changed something: {:?}", twice.effects);
}
