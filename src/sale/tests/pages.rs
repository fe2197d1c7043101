//! Pages that come twice, late, dead or not at all, and pages that cannot be closed.

use super::play::{CloseMood, Play, template};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId},
    sale::{
        ListingState, Phase, decide,
        effect::{Class, Effect},
        event::{CloseAnswer, Event, Listing, Verdict},
        hold::{HoldState, Lapse},
        template::{CheckoutShape, Template},
    },
};

fn secs(n: i64) -> Span {
    Span::from_secs(n)
}

fn is_close(effect: &Effect) -> bool {
    matches!(effect, Effect::CloseCheckout { .. })
}

fn is_order(effect: &Effect) -> bool {
    matches!(effect, Effect::OpenCheckout { .. })
}

/// Lines in the moderators' room with these words.
fn told(play: &mut Play, words: &str) -> usize {
    play.work();
    play.heard("console").iter().filter(|line| line.contains(words)).count()
}

/// Ana waits for a page that nobody can pay so far.
fn waiting(template: Template) -> (Play, HoldId) {
    let mut play = Play::open(template);
    play.claim("first").expect("takes the first page");
    play.payable = false;
    let ana = play.claim("ana").expect("free");
    play.work();
    (play, ana)
}

fn changes(play: &Play, event: &Event) -> bool {
    decide(&play.sale, event, play.now).expect("outcomes are never refused").changed
}

#[test]
fn outcomes_that_are_told_twice_change_nothing() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let ana = play.claim("ana").expect("free");
    play.work();
    let outcome =
        |event: &&Event| matches!(event, Event::CheckoutOpened { .. } | Event::Provisioned { .. });
    let outcomes: Vec<_> = play.history.iter().filter(outcome).cloned().collect();
    assert_eq!(outcomes.len(), 3);
    for event in &outcomes {
        assert!(!changes(&play, event), "{event:?}");
    }
    // That a page was refused which is there is no news either.
    let refused = Event::CheckoutRejected { hold: ana, nth: 1, says: "no".into() };
    assert!(!changes(&play, &refused));
    let mut play = Play::new(template());
    play.payable = false;
    play.work();
    let made = play.history.iter().find(|e| matches!(e, Event::Provisioned { .. })).cloned();
    assert!(!changes(&play, &made.expect("made")), "no second first page");
    let canary = play.sale.holds().next().expect("ordered").id;
    let refused = Event::CheckoutRejected { hold: canary, nth: 1, says: "no".into() };
    assert!(!changes(&play, &refused));
}

#[test]
fn a_page_that_was_closed_is_shown_to_nobody() {
    let (mut play, ana) = waiting(template());
    let page = play.page_of(ana);
    let answer = CloseAnswer::Closed;
    let closed = Event::CheckoutClosed { hold: ana, nth: 1, checkout: Some(page.clone()), answer };
    play.tell(closed).expect("news");
    let payable = Event::Probed { hold: ana, checkout: page.clone(), verdict: Verdict::Payable };
    play.tell(payable).expect("an outcome");
    assert_eq!((play.state(ana), play.hold(ana).page()), ("opening", None));
    // Nor does a sale open with one.
    let mut sale = Play::new(template());
    for _ in 0..2 {
        let (effect, _) = sale.todo.pop_front().expect("provisions, then orders");
        sale.perform(&effect, CloseMood::Honest);
    }
    let hold = sale.sale.holds().next().expect("ordered").id;
    let checkout = sale.page_of(hold);
    let answer = CloseAnswer::Closed;
    sale.tell(Event::CheckoutClosed { hold, nth: 1, checkout: Some(checkout.clone()), answer })
        .expect("news");
    sale.tell(Event::Probed { hold, checkout, verdict: Verdict::Payable }).expect("an outcome");
    assert!(matches!(sale.sale.head.phase, Phase::Arming { .. }));
    let probe = Effect::Probe { hold: ana, checkout: CheckoutId::from("unknown") };
    assert!(!play.sale.wants(&probe));
}

#[test]
fn nobody_waits_for_more_than_three_pages_and_each_is_given_up_at_its_limit() {
    let (mut play, ana) = waiting(template());
    let mut ordered = Vec::new();
    let mut closed = None;
    for second in 0..290 {
        ordered.push(play.hold(ana).ordered);
        assert!(play.hold(ana).making.len() <= 1, "one after the other");
        if play.hold(ana).checkouts[0].closed && closed.is_none() {
            closed = Some(second);
            assert_eq!(play.state(ana), "opening", "the others may still come up");
        }
        play.pass(secs(1));
        play.work();
    }
    assert_eq!(ordered.iter().max(), Some(&3));
    assert_eq!(closed, Some(60), "the first one, when it was a minute old");
    assert_eq!(told(&mut play, "creating payment pages"), 1);
    assert_eq!(play.state(ana), "released");
}

#[test]
fn a_page_is_not_the_last_while_another_is_being_made() {
    let (mut play, ana) = waiting(template());
    // The order of the second one lies at the provider.
    while play.hold(ana).ordered < 2 {
        play.pass(secs(1));
        while let Some(at) =
            play.todo.iter().position(|(effect, at)| *at <= play.now && !is_order(effect))
        {
            let (effect, _) = play.todo.remove(at).expect("found just now");
            play.perform(&effect, CloseMood::Honest);
        }
    }
    let order = play.todo.iter().position(|(effect, _)| is_order(effect)).expect("ordered");
    let (order, _) = play.todo.remove(order).expect("found just now");
    for _ in 0..60 {
        play.pass(secs(1));
        play.work();
        assert!(play.hold(ana).ordered <= 2, "no third one while the second is on its way");
    }
    assert_eq!((play.state(ana), play.hold(ana).checkouts[0].closed), ("opening", true));
    play.payable = true;
    play.perform(&order, CloseMood::Honest);
    play.work();
    assert_eq!(play.state(ana), "open");
}

#[test]
fn a_payment_under_way_is_asked_about_ever_more_slowly_and_then_told_once() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    let start = play.now;
    let mut asked = Vec::new();
    while play.state(ana) == "closing" {
        let at = play.todo.iter().position(|(effect, _)| is_close(effect)).expect("asks again");
        let (close, at) = play.todo.remove(at).expect("found just now");
        play.now = play.now.max(at);
        asked.push(play.now.since(start).secs());
        play.perform(&close, CloseMood::Pending);
    }
    assert_eq!(asked[..4], [0, 5, 10, 15]);
    assert_eq!(asked[11..15], [55, 60, 75, 90]);
    assert_eq!((play.state(ana), asked.last()), ("lapsed", Some(&600)), "not a moment longer");
    assert_eq!(told(&mut play, "has been under way for"), 1);
    play.run_out();
    assert_eq!(play.claim("bo"), Err(crate::sale::refusal::Refusal::Over));
    let fact = play.pay(ana);
    assert_eq!(play.fate(&fact), "kept", "money that comes after all counts");
}

#[test]
fn that_a_page_cannot_be_closed_is_told_where_somebody_might_pay_it() {
    let cannot = "cannot be closed";
    let closes = |play: &mut Play, mood| {
        while let Some(at) = play.todo.iter().position(|(effect, _)| is_close(effect)) {
            let (close, _) = play.todo.remove(at).expect("found just now");
            play.perform(&close, mood);
        }
    };
    for revocable in [true, false] {
        let mut play = Play::open(template());
        play.sale.head.capabilities.revocable = revocable;
        let ana = play.claim("ana").expect("free");
        play.work();
        play.tell(Event::LetGo { hold: ana }).expect("may let go");
        closes(&mut play, CloseMood::Cannot);
        assert_eq!(play.state(ana), "lapsed");
        // Where no page ever can, that is no news.
        assert_eq!(told(&mut play, cannot), usize::from(revocable));
    }
    // One that nobody was shown, and the one that everybody is.
    for (shape, times) in [(CheckoutShape::PerBuyer, 0), (CheckoutShape::Shared, 1)] {
        let mut play = Play::open(Template { checkout: shape, ..template() });
        play.tell(Event::Stopped).expect("open");
        closes(&mut play, CloseMood::Cannot);
        assert_eq!(told(&mut play, cannot), times, "{shape:?}");
        play.run_out();
        assert!(play.sale.head.is_closed());
    }
}

#[test]
fn what_nobody_knows_to_be_made_is_closed_and_no_longer_counts_as_being_made() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let ana = play.claim("ana").expect("free");
    let (order, _) = play.todo.pop_front().expect("ordered");
    play.tell(Event::Parked { effect: order, why: "away".into() }).expect("told");
    assert_eq!(play.state(ana), "closing", "perhaps it was made");
    let closes = play.todo.iter().position(|(effect, _)| is_close(effect)).expect("asks");
    let (close, _) = play.todo.remove(closes).expect("found just now");
    assert!(matches!(close, Effect::CloseCheckout { checkout: None, .. }));
    play.tell(Event::Parked { effect: close, why: "away".into() }).expect("told");
    assert_eq!((play.state(ana), play.hold(ana).making.len()), ("lapsed", 0));
}

#[test]
fn a_warm_page_that_comes_to_nothing_rests_the_pool_and_is_told_once() {
    let mut play = Play::open(Template { warm: 2, stock: 9, ..template() });
    let refuse = |play: &mut Play| {
        let mut refused = 0;
        while let Some(at) = play.todo.iter().position(|(effect, _)| is_order(effect)) {
            let Some((Effect::OpenCheckout { hold, nth }, _)) = play.todo.remove(at) else {
                panic!("an order");
            };
            let says = "no more pages".to_owned();
            play.tell(Event::CheckoutRejected { hold, nth, says }).expect("an outcome");
            refused += 1;
        }
        refused
    };
    play.claim("ana").expect("free");
    assert!(refuse(&mut play) > 0);
    assert_eq!(play.sale.next_deadline(), Some(play.now + secs(10)), "the pool wakes by itself");
    play.claim("bo").expect("free");
    assert!(refuse(&mut play) <= 1, "Bo's own page at the most: the pool rests");
    play.pass(secs(10).minus(Span::from_millis(1)));
    assert_eq!(play.waiting(is_order), 0);
    play.pass(Span::from_millis(1));
    assert_eq!(play.waiting(is_order), 2);
    assert_eq!(refuse(&mut play), 2);
    assert_eq!(told(&mut play, "no more pages"), 1, "once per reason");
}

#[test]
fn a_start_whose_only_page_is_refused_fails_at_once() {
    let mut play = Play::new(template());
    let (provision, _) = play.todo.pop_front().expect("provisions");
    play.perform(&provision, CloseMood::Honest);
    let hold = play.sale.holds().next().expect("ordered").id;
    play.todo.clear();
    play.tell(Event::CheckoutRejected { hold, nth: 1, says: "no such item".into() }).expect("told");
    let end = play.sale.head.phase.end().expect("failed");
    assert_eq!((end.reason, end.at), (crate::sale::EndReason::Failed, play.now));
    assert_eq!(told(&mut play, "no such item"), 1, "it is not started, and that is all");
}

#[test]
fn the_pool_is_no_larger_than_what_is_left_and_empty_where_it_is_of_no_use() {
    let warm = |play: &Play| play.sale.holds().filter(|h| h.state == HoldState::Warm).count();
    let mut play = Play::open(Template { warm: 5, ..template() });
    play.claim("ana").expect("free");
    play.work();
    assert_eq!(warm(&play), 2, "two are left");
    // One of them comes to nothing, and is replaced unless the item is marked by hand.
    for (set, orders) in [(true, 0), (false, 1)] {
        let mut play = Play::open(Template { warm: 1, ..template() });
        play.claim("ana").expect("free");
        play.tell(Event::SoldOutMarked { set }).expect("told");
        let (order, _) = play.todo.iter().find(|(e, _)| is_order(e)).expect("ordered").clone();
        let Effect::OpenCheckout { hold, nth } = order else { panic!("an order") };
        play.todo.clear();
        play.tell(Event::CheckoutRejected { hold, nth, says: "no".into() }).expect("told");
        play.pass(secs(10));
        assert_eq!(play.waiting(is_order), orders, "marked: {set}");
    }
    // Whoever is asked something gets a page that was made with the answers.
    let ask = vec![crate::sale::template::Ask::Email];
    let mut play = Play::open(Template { warm: 2, ask, ..template() });
    play.pass(secs(20));
    assert_eq!((warm(&play), play.waiting(is_order)), (1, 0), "only the first page");
}

#[test]
fn an_armed_sale_looks_at_its_pages_again_and_trusts_none_that_failed_the_look() {
    let patient = Template { ready_limit: secs(300), ..template() };
    let mut play = Play::start(patient, true);
    play.work();
    assert_eq!(play.sale.next_deadline(), Some(play.now + secs(60)), "looks again by itself");
    play.payable = false;
    play.pass(secs(60));
    play.work();
    play.tell(Event::Opened).expect("armed");
    let Phase::Arming { give_up_at, stay: false, .. } = play.sale.head.phase else {
        panic!("it opened with a page that cannot be paid: {:?}", play.sale.head.phase);
    };
    assert_eq!(give_up_at, play.now + secs(300), "the time to get ready begins anew");
    let orders = play.history.iter().filter(|e| matches!(e, Event::CheckoutOpened { .. })).count();
    assert_eq!((orders, play.waiting(is_order)), (1, 0), "the page it has is looked at again");
    play.payable = true;
    play.pass(secs(5));
    play.work();
    let Phase::Open { opened_at, ends_at } = play.sale.head.phase else { panic!("open") };
    assert_eq!((opened_at, ends_at), (play.now, play.now + Span::from_mins(10)));
}

#[test]
fn what_was_lost_and_turns_up_is_removed_and_then_nothing_is_left() {
    let mut play = Play::new(template());
    let (provision, _) = play.todo.pop_front().expect("provisions");
    play.tell(Event::Parked { effect: provision, why: "away".into() }).expect("told");
    let listing = Listing(serde_json::json!(1));
    play.tell(Event::Provisioned { listing: listing.clone() }).expect("told");
    play.tell(Event::Provisioned { listing: listing.clone() }).expect("told");
    assert_eq!(play.waiting(|effect| *effect == Effect::Retire), 1, "once");
    assert_eq!(play.sale.head.listing, ListingState::Left { listing: Some(listing) });
    play.tell(Event::Retired).expect("told");
    assert_eq!(play.sale.head.listing, ListingState::Gone);
}

#[test]
fn pages_of_an_ending_sale_are_closed_before_buyers_get_new_ones_and_no_buyer_waits_for_a_warm_one()
{
    let mut play = Play::start(Template { warm: 1, ..template() }, false);
    let (provision, _) = play.todo.pop_front().expect("provisions");
    play.perform(&provision, CloseMood::Honest);
    let canary = play.sale.holds().next().expect("ordered").id;
    let open = |hold| Effect::OpenCheckout { hold, nth: 1 };
    let close = |hold| Effect::CloseCheckout { hold, nth: 1, checkout: None };
    assert_eq!(play.sale.class_of(&open(canary)), Class::Prepare);
    play.work();
    let warm = play.sale.holds().last().expect("warm").id;
    play.claim("first").expect("takes the first page");
    let warm = if play.state(warm) == "warm" {
        warm
    } else {
        play.sale.holds().find(|h| h.state == HoldState::Warm).expect("warm").id
    };
    assert_eq!(play.sale.class_of(&open(warm)), Class::Warm);
    assert_eq!(play.sale.class_of(&close(warm)), Class::Close);
    play.tell(Event::Stopped).expect("open");
    assert_eq!(play.sale.class_of(&close(warm)), Class::Ending);
    assert_eq!(play.sale.class_of(&Effect::Retire), Class::Ending);
    assert!(Class::Ending < Class::Buyer && Class::Buyer < Class::Close);
    // And all of them are closed before the item itself is removed.
    play.todo.retain(|(effect, _)| !is_close(effect));
    play.work();
    assert_eq!(play.waiting(|effect| *effect == Effect::Retire), 0);
    assert!(matches!(play.sale.head.phase, Phase::Closing { .. }));
}

#[test]
fn why_a_hold_ended_is_its_own_time_or_the_sale_s() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.tell(Event::Stopped).expect("open");
    let why = |play: &Play, hold| match play.hold(hold).state {
        HoldState::Closing { why, .. } => why,
        _ => panic!("not closing"),
    };
    assert_eq!(why(&play, ana), Lapse::SaleEnded);
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(Span::from_mins(3));
    assert_eq!(why(&play, ana), Lapse::TimeUp);
}
