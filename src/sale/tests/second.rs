//! What a second fact about the same money does: another amount, another date, another payment, the
//! same once more by another way.

use super::{
    parts::{claimed, part},
    play::{CloseMood, Page, Play, template, usd},
    refunds::{news, payment, tell},
    reversals::{alarms, at, moved, refunded, total},
};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId, PaymentId},
    report::Report,
    sale::{
        effect::Effect,
        event::{Claim, CloseAnswer, Event, Verdict},
        hold::Checkout,
        payment::{Fate, Fee, PaymentFact, PaymentStatus, RefundStatus},
        template::{CheckoutShape, Template},
    },
};

#[test]
fn a_second_payment_is_refunded_whatever_its_amount_and_the_hold_stays_paid() {
    for amount in ["18", "17", "18.01", "25"] {
        for splits in [true, false] {
            let (mut play, ana) = claimed(1);
            play.sale.head.capabilities.splits = splits;
            let first = play.pay(ana);
            let second =
                PaymentFact { id: PaymentId::from("again"), amount: usd(amount), ..first.clone() };
            play.deliver(&second);
            play.deliver(&second);
            play.work();
            assert_eq!((play.fate(&first), play.state(ana)), ("kept", "paid"), "{amount}");
            assert_eq!(play.fate(&second), "refunded", "{amount}");
            assert_eq!(Report::of(&play.sale, &[]).extra.double.count, 1, "{amount}");
        }
    }
    // Of nothing, nothing goes back: what was delivered for it is a person's matter.
    let (mut play, ana) = claimed(1);
    let first = play.pay(ana);
    let free = PaymentFact { id: PaymentId::from("free"), amount: usd("0"), ..first };
    play.deliver(&free);
    assert_eq!((play.fate(&free), play.state(ana)), ("person", "paid"));
}

#[test]
fn a_second_payment_gives_back_what_is_left_of_it() {
    for (back, asked) in [(0, Some(1800)), (500, Some(1300)), (1800, None)] {
        let (mut play, ana) = claimed(1);
        let first = play.pay(ana);
        let second = PaymentFact { id: PaymentId::from("again"), refunded: back, ..first };
        play.deliver(&second);
        let amounts = play.todo.iter().filter_map(|(effect, _)| match effect {
            Effect::Refund { amount, .. } => Some(amount.minor),
            _ => None,
        });
        assert_eq!(amounts.collect::<Vec<_>>(), asked.into_iter().collect::<Vec<_>>());
        play.work();
        assert_eq!((play.fate(&second), payment(&play, &second).fact.refunded), ("refunded", 1800));
    }
}

/// Ana lets go of two units, of which `taken` are somebody else's by now; her page can be paid.
fn two_let_go(taken: u32) -> (Play, HoldId, CheckoutId) {
    let mut play = Play::open(Template { per_buyer: 2, ..template() });
    let ana = play.claims(Claim { units: 2, ..Play::claim_of("ana") }).expect("free");
    play.work();
    let page = play.page_of(ana);
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    play.work();
    play.claims(Claim { units: taken, ..Play::claim_of("bo") }).expect("free again");
    play.reopen(&page);
    (play, ana, page)
}

#[test]
fn a_late_payment_of_two_units_needs_room_for_two() {
    for (taken, fate) in [(1, "kept"), (2, "refunding")] {
        let (mut play, ana, page) = two_let_go(taken);
        let fact = play.pay_page(&page).expect("payable");
        play.deliver(&fact);
        assert_eq!(play.fate(&fact), fate, "{taken} taken");
        assert_eq!(payment(&play, &fact).surplus, taken == 2);
        assert_eq!(play.state(ana), if taken == 1 { "paid" } else { "released" });
    }
}

#[test]
fn a_wrong_amount_on_a_page_whose_units_are_gone_takes_nothing() {
    // In one piece, and in two that are too much together.
    for pieces in [vec!["36.01"], vec!["20", "20"]] {
        let (mut play, ana, _) = two_let_go(2);
        let facts: Vec<_> =
            pieces.iter().map(|amount| part(&mut play, ana, amount, amount)).collect();
        let ids = facts.iter().map(|fact| play.fate(fact)).collect::<Vec<_>>();
        assert!(ids.iter().all(|fate| *fate == "person") || pieces.len() == 2, "{ids:?}");
        assert_eq!((play.state(ana), play.sale.head.free()), ("released", 1), "{pieces:?}");
    }
    let (mut play, ana, _) = two_let_go(2);
    let one = part(&mut play, ana, "a", "20");
    let two = PaymentFact { amount: usd("20"), ..one.clone() };
    let two = PaymentFact { id: PaymentId::from("b"), ..two };
    play.deliver(&two);
    assert_eq!((play.fate(&one), play.fate(&two)), ("person", "person"));
}

#[test]
fn money_that_nobody_decides_is_put_before_a_person_in_time_and_once() {
    let lines = |play: &mut Play, what: &str| {
        play.work();
        play.heard("console").iter().filter(|line| line.contains(what)).count()
    };
    // A payment under way.
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    let pending = PaymentFact { status: PaymentStatus::Pending, ..fact.clone() };
    play.deliver(&pending);
    play.now = play.now + Span::from_secs(30 * 60 - 1);
    play.deliver(&pending);
    assert_eq!(play.fate(&fact), "pending");
    play.now = play.now + Span::from_secs(1);
    play.deliver(&pending);
    play.deliver(&pending);
    assert_eq!(play.fate(&fact), "person");
    assert_eq!(lines(&mut play, "it has been under way for"), 1);
    play.deliver(&fact);
    assert_eq!(play.fate(&fact), "kept", "it came after all");

    // A refund under way, and one that fails.
    let asked = || {
        let (mut play, ana) = claimed(1);
        let first = play.pay(ana);
        let second = PaymentFact { id: PaymentId::from("again"), ..first };
        play.deliver(&second);
        play.todo.retain(|(effect, _)| !matches!(effect, Effect::Refund { .. }));
        (play, second)
    };
    let (mut play, fact) = asked();
    for days in [9, 10, 11] {
        moved(&mut play, &fact, "r", RefundStatus::Requested, days);
        let fate = if days < 11 { "refunding" } else { "person" };
        assert_eq!(play.fate(&fact), fate, "{days}");
        play.now = play.now + Span::from_secs(5 * 24 * 3600);
    }
    assert_eq!(lines(&mut play, "its refund has been under way"), 1);
    let (mut play, fact) = asked();
    moved(&mut play, &fact, "r", RefundStatus::Failed, 1);
    moved(&mut play, &fact, "r", RefundStatus::Failed, 1);
    assert_eq!(lines(&mut play, "its refund failed: FAILED"), 1);

    // Money that may be gone though the goods were promised for it.
    let (mut play, ana) = claimed(1);
    let fact = play.pay(ana);
    for _ in 0..2 {
        tell(&mut play, news(&fact, Some("back"), RefundStatus::Unknown, 1800));
    }
    assert_eq!((play.fate(&fact), alarms(&mut play, &fact)), ("person", 1));
}

#[test]
fn an_older_word_about_a_payment_changes_nothing_but_its_fee() {
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    // Money that comes in is never overlooked, however old the word is that says so.
    let pending = PaymentFact { status: PaymentStatus::Pending, as_of: at(10), ..fact.clone() };
    play.deliver(&pending);
    play.deliver(&PaymentFact { as_of: at(5), refunded: 500, ..fact.clone() });
    assert_eq!((play.fate(&fact), payment(&play, &fact).fact.refunded), ("kept", 500));
    total(&mut play, &fact, 700, 20);
    let fee = Fee { money: usd("0.82"), as_of: at(6).expect("a time") };
    let old = PaymentFact { as_of: at(6), refunded: 0, fee: Some(fee), ..fact.clone() };
    play.deliver(&old);
    let known = payment(&play, &fact);
    assert_eq!((known.fact.refunded, known.fact.fee, known.fact.as_of), (700, Some(fee), at(20)));
    assert_eq!(play.fate(&fact), "kept");
}

#[test]
fn one_of_two_parts_that_falls_and_comes_back_is_kept_again() {
    let (mut play, ana) = claimed(1);
    let one = part(&mut play, ana, "a", "10");
    let two = part(&mut play, ana, "b", "8");
    // The hold was paid by the last of them.
    for fact in [&one, &two] {
        play.deliver(&PaymentFact { status: PaymentStatus::Failed, as_of: at(1), ..fact.clone() });
        assert_eq!(play.fate(fact), "person");
        play.deliver(&PaymentFact { as_of: at(2), ..fact.clone() });
        assert_eq!((play.fate(fact), play.state(ana)), ("kept", "paid"));
    }
    // Before it bought anything, a part that falls is nobody's alarm, and no part any more.
    let (mut play, ana) = claimed(1);
    let one = part(&mut play, ana, "a", "10");
    play.deliver(&PaymentFact { status: PaymentStatus::Failed, as_of: at(1), ..one.clone() });
    let two = part(&mut play, ana, "b", "8");
    assert_eq!((play.fate(&one), play.fate(&two)), ("pending", "pending"));
    assert_eq!((alarms(&mut play, &one), play.state(ana)), (0, "open"));
}

#[test]
fn parts_of_others_are_left_alone_and_each_has_its_own_time() {
    let mut play = Play::open(template());
    let [ana, bo, cy] = ["ana", "bo", "cy"].map(|who| play.claim(who).expect("free"));
    play.work();
    for hold in [ana, bo] {
        play.tell(Event::LetGo { hold }).expect("may let go");
    }
    play.work();
    // News of both come after their pages were closed, a minute apart.
    let first = part(&mut play, ana, "a", "10");
    play.pass(Span::from_secs(60));
    let second = part(&mut play, bo, "b", "10");
    let waits = part(&mut play, cy, "c", "10");
    assert_eq!(play.sale.next_deadline(), Some(play.now + Span::from_secs(60)));
    play.pass(Span::from_secs(60).minus(Span::from_millis(1)));
    assert_eq!(play.fate(&first), "pending");
    play.pass(Span::from_millis(1));
    let fates = [&first, &second, &waits].map(|fact| play.fate(fact));
    assert_eq!(fates, ["refunding", "pending", "pending"]);
    play.pass(Span::from_secs(60));
    let fates = [&first, &second, &waits].map(|fact| play.fate(fact));
    assert_eq!(fates, ["refunding", "refunding", "pending"], "Cy may still pay the rest");
    part(&mut play, cy, "d", "8");
    assert_eq!(play.fate(&waits), "kept");
    // What ends one hold gives back nothing of another.
    let dee = play.claim("dee").expect("free");
    let eve = play.claim("eve").expect("free");
    play.work();
    let waits = part(&mut play, dee, "e", "10");
    play.tell(Event::LetGo { hold: eve }).expect("may let go");
    play.work();
    assert_eq!((play.state(eve), play.fate(&waits)), ("released", "pending"));
}

#[test]
fn a_part_goes_back_when_its_page_is_closed_or_can_not_be() {
    for mood in [CloseMood::Honest, CloseMood::Cannot] {
        let (mut play, ana) = claimed(1);
        let one = part(&mut play, ana, "a", "10");
        play.pass(Span::from_mins(3));
        let (close, _) = play.todo.pop_front().expect("asks to close");
        play.perform(&close, mood);
        assert_eq!(play.fate(&one), "refunding", "{mood:?}");
        assert_eq!(play.sale.head.parts, 0);
    }
    // What the answer itself brings is less than the price, and the page is closed with it.
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    let one = part(&mut play, ana, "a", "10");
    play.pass(Span::from_mins(3));
    let answer = CloseAnswer::AlreadyPaid {
        payment: Box::new(PaymentFact { hold: None, ..one.clone() }),
        more: Vec::new(),
    };
    play.tell(Event::CheckoutClosed { hold: ana, nth: 1, checkout: Some(page), answer })
        .expect("an outcome");
    assert_eq!((play.state(ana), play.fate(&one)), ("released", "refunding"));
}

#[test]
fn what_closing_finds_belongs_to_the_hold_even_where_the_provider_does_not_say_so() {
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    play.pass(Span::from_mins(3));
    let payment = Box::new(PaymentFact { hold: None, ..fact.clone() });
    let answer = CloseAnswer::AlreadyPaid { payment, more: Vec::new() };
    play.tell(Event::CheckoutClosed { hold: ana, nth: 1, checkout: Some(page), answer })
        .expect("an outcome");
    assert_eq!((play.fate(&fact), play.state(ana)), ("kept", "paid"));
    assert!(play.hold(ana).checkouts[0].closed, "nobody asks about it any more");
}

#[test]
fn what_a_page_asks_for_is_the_price_of_it() {
    for (paid, fate) in [("19.44", "kept"), ("18", "pending"), ("20", "person")] {
        let mut play = Play::open(template());
        play.claim("first").expect("takes the first page");
        let ana = play.claim("ana").expect("free");
        let (order, _) = play.todo.pop_front().expect("ordered");
        let Some(Event::CheckoutOpened { hold, checkout }) =
            play.outcome(&order, CloseMood::Honest)
        else {
            panic!("a page");
        };
        let checkout = Checkout { total: usd("19.44"), ..checkout };
        let page = checkout.id.clone();
        play.tell(Event::CheckoutOpened { hold, checkout }).expect("an outcome");
        play.tell(Event::Probed { hold, checkout: page.clone(), verdict: Verdict::Payable })
            .expect("an outcome");
        let fact = play.pay_page(&page).expect("payable");
        let fact = PaymentFact { amount: usd(paid), ..fact };
        play.deliver(&fact);
        assert_eq!(play.fate(&fact), fate, "{paid}");
        assert_eq!(play.state(ana) == "paid", fate == "kept");
    }
}

#[test]
fn a_paid_hold_has_its_other_pages_closed_and_never_the_paid_one() {
    for named in [true, false] {
        let mut play = Play::open(template());
        play.claim("first").expect("takes the first page");
        play.payable = false;
        let ana = play.claim("ana").expect("free");
        play.work();
        while play.hold(ana).checkouts.len() < 2 {
            play.pass(Span::from_secs(1));
            play.work();
        }
        play.todo.clear();
        let pages: Vec<_> = play.hold(ana).checkouts.iter().map(|page| page.id.clone()).collect();
        let fact = play.pay_page(&pages[0]).expect("payable");
        let fact = PaymentFact { checkout: fact.checkout.filter(|_| named), ..fact };
        play.deliver(&fact);
        assert_eq!(play.state(ana), "paid");
        let closes = play.todo.iter().filter_map(|(effect, _)| match effect {
            Effect::CloseCheckout { checkout, .. } => checkout.clone(),
            _ => None,
        });
        // Where nobody says which of two was paid, both are: one of them finds its payment.
        assert_eq!(closes.collect::<Vec<_>>(), if named { pages[1..].to_vec() } else { pages });
    }
    let (mut play, ana) = claimed(1);
    let fact = play.pay_page(&play.page_of(ana)).expect("payable");
    play.deliver(&PaymentFact { checkout: None, ..fact });
    let closes = play.waiting(|effect| matches!(effect, Effect::CloseCheckout { .. }));
    assert_eq!((play.state(ana), closes), ("paid", 0), "there is but one");
}

#[test]
fn whether_a_payment_was_late_is_settled_when_it_first_comes() {
    let shared = Template { checkout: CheckoutShape::Shared, stock: 5, ..template() };
    let mut play = Play::open(shared);
    let page = play.page_of(HoldId::shared(play.sale.head.id));
    let in_time = play.pay_page(&page).expect("payable");
    play.deliver(&in_time);
    let late = play.pay_page(&page).expect("payable");
    play.pass(Span::from_mins(10));
    play.deliver(&late);
    let is_late = |play: &Play| [&in_time, &late].map(|fact| payment(play, fact).late);
    assert_eq!(is_late(&play), [false, true]);
    // It falls and comes back when the sale is over.
    play.run_out();
    assert_eq!(play.pages[&page].1, Page::Closed);
    let fell = PaymentFact { status: PaymentStatus::Failed, as_of: at(1), ..in_time.clone() };
    play.deliver(&fell);
    play.deliver(&PaymentFact { as_of: at(2), ..in_time.clone() });
    assert_eq!((is_late(&play), play.fate(&in_time)), ([false, true], "kept"));
    assert_eq!(refunded(&play), (0, 0, 3600));
    assert!(matches!(payment(&play, &late).fate, Fate::Kept));
}
