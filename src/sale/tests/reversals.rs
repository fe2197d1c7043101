//! Money that goes back and forth, and money that comes in parts.

use super::play::{Page, Play, template, usd};
use crate::{
    clock::{Span, Timestamp},
    id::{HoldId, PaymentId},
    report::{Report, prove},
    sale::{
        event::{CloseAnswer, Event},
        payment::{Fate, PaymentFact, PaymentStatus, RefundFact, RefundStatus},
        template::Template,
    },
};

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(1_767_225_600_000 + seconds * 1000))
}

fn moved(play: &mut Play, of: &PaymentFact, id: &str, status: RefundStatus, as_of: i64) {
    let fact = RefundFact {
        payment: of.id.clone(),
        refund: Some(id.to_owned()),
        status,
        amount: Some(of.amount.minor),
        says: (status == RefundStatus::Failed).then(|| "FAILED".to_owned()),
        as_of: at(as_of),
    };
    play.tell(Event::RefundMoved(fact)).expect("news");
}

fn total(play: &mut Play, of: &PaymentFact, refunded: i64, as_of: i64) {
    play.deliver(&PaymentFact { refunded, as_of: at(as_of), ..of.clone() });
}

/// Paid once too often, and given back.
fn surplus() -> (Play, PaymentFact) {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    let first = play.pay(ana);
    let second = PaymentFact { id: PaymentId::from("again"), as_of: at(1), ..first };
    play.deliver(&second);
    play.work();
    assert_eq!(play.fate(&second), "refunded");
    (play, second)
}

/// Alarms about a payment in the moderators' room.
fn alarms(play: &mut Play, of: &PaymentFact) -> usize {
    play.work();
    let heard = play.heard("console");
    heard.iter().filter(|line| line.contains(&format!("look at payment {}", of.id))).count()
}

fn refunded(play: &Play) -> (i64, i64, i64) {
    let report = Report::of(&play.sale, &[]);
    (report.refunded.minor, report.undecided.minor, report.kept.minor)
}

#[test]
fn a_refund_that_fails_after_it_was_done_is_on_the_books_again() {
    let (mut play, fact) = surplus();
    assert_eq!(refunded(&play), (1800, 0, 1800));
    // The outcome of the call had the id "r".
    moved(&mut play, &fact, "r", RefundStatus::Failed, 20);
    assert_eq!(play.fate(&fact), "person");
    assert_eq!(refunded(&play), (0, 1800, 1800));
    // Heard again, by whatever way, it is no news; nor is what was said before.
    moved(&mut play, &fact, "r", RefundStatus::Failed, 20);
    moved(&mut play, &fact, "r", RefundStatus::Done, 10);
    moved(&mut play, &fact, "r", RefundStatus::Requested, 5);
    total(&mut play, &fact, 0, 21);
    total(&mut play, &fact, 1800, 12);
    assert_eq!(play.fate(&fact), "person");
    assert_eq!(alarms(&mut play, &fact), 1);
    let why = play.heard("console").pop().expect("told");
    assert!(why.contains("a refund of $18 was taken back: FAILED"), "{why}");
    // Given back by somebody at the provider, it is off the books for good.
    moved(&mut play, &fact, "r2", RefundStatus::Done, 30);
    assert_eq!((play.fate(&fact), refunded(&play)), ("refunded", (1800, 0, 1800)));
    assert_eq!(
        prove(&play.sale, &[]).wrong.iter().filter(|w| w.contains("units are paid")).count(),
        0
    );
}

#[test]
fn a_total_that_shrinks_puts_the_money_back_on_the_books() {
    for whole in [false, true] {
        let mut play = Play::open(template());
        let ana = play.claim("ana").expect("free");
        play.work();
        let fact = play.pay(ana);
        let back = if whole { 1800 } else { 500 };
        total(&mut play, &fact, back, 10);
        assert_eq!(play.fate(&fact), if whole { "refunded" } else { "kept" });
        // Older, and told late.
        total(&mut play, &fact, 0, 9);
        assert_eq!(refunded(&play).0, back);
        total(&mut play, &fact, 0, 20);
        assert_eq!((play.fate(&fact), refunded(&play)), ("person", (0, 1800, 0)));
        // The same by polling, which knows no better time.
        play.deliver(&PaymentFact { as_of: None, ..fact.clone() });
        assert_eq!(alarms(&mut play, &fact), 1);
        // Before a newer word it stays there.
        total(&mut play, &fact, 1800, 20);
        assert_eq!(play.fate(&fact), "person");
        total(&mut play, &fact, 1800, 30);
        assert_eq!(play.fate(&fact), "refunded");
    }
}

#[test]
fn a_total_that_lags_behind_its_refund_is_no_reversal() {
    let (mut play, fact) = surplus();
    // The fee is told; the payment does not show its refund yet.
    total(&mut play, &fact, 0, 30);
    total(&mut play, &fact, 0, 31);
    assert_eq!((play.fate(&fact), alarms(&mut play, &fact)), ("refunded", 0));
    total(&mut play, &fact, 1800, 32);
    assert_eq!((play.fate(&fact), refunded(&play).0), ("refunded", 1800));
}

#[test]
fn words_out_of_order_end_as_the_newest_says() {
    use RefundStatus::{Done, Failed, Requested};
    for (order, fate) in [
        ([(Requested, 1), (Done, 2)], "refunded"),
        ([(Done, 2), (Requested, 1)], "refunded"),
        ([(Failed, 2), (Requested, 1)], "person"),
        ([(Failed, 1), (Done, 2)], "refunded"),
        ([(Done, 2), (Failed, 1)], "refunded"),
        ([(Done, 1), (Requested, 2)], "refunding"),
    ] {
        let mut play = Play::open(Template { stock: 1, ..template() });
        let ana = play.claim("ana").expect("free");
        play.work();
        let first = play.pay(ana);
        let second = PaymentFact { id: PaymentId::from("again"), ..first };
        play.deliver(&second);
        for (status, as_of) in order {
            moved(&mut play, &second, "r", status, as_of);
        }
        assert_eq!(play.fate(&second), fate, "{order:?}");
    }
}

#[test]
fn a_dashboard_refund_that_fails_is_none_of_ours_that_was_done() {
    let (mut play, fact) = surplus();
    moved(&mut play, &fact, "theirs", RefundStatus::Failed, 40);
    assert_eq!((play.fate(&fact), alarms(&mut play, &fact)), ("refunded", 0));
    // A part given back by somebody else is not our refund.
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    let first = play.pay(ana);
    let second = PaymentFact { id: PaymentId::from("again"), ..first };
    play.deliver(&second);
    play.tell(Event::RefundMoved(RefundFact {
        payment: second.id.clone(),
        refund: Some("theirs".to_owned()),
        status: RefundStatus::Done,
        amount: Some(500),
        says: None,
        as_of: None,
    }))
    .expect("news");
    assert_eq!(play.fate(&second), "refunding");
    assert_eq!(play.sale.payment(&second.id).expect("known").fact.refunded, 500);
}

#[test]
fn a_payment_that_falls_back_is_put_before_a_person_and_comes_back() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay(ana);
    let says = |status, as_of| PaymentFact { status, as_of: at(as_of), ..fact.clone() };
    play.deliver(&says(PaymentStatus::Completed, 5));
    play.deliver(&says(PaymentStatus::Failed, 4));
    play.deliver(&says(PaymentStatus::Pending, 5));
    assert_eq!(play.fate(&fact), "kept", "older than what is known");
    play.deliver(&says(PaymentStatus::Failed, 6));
    play.deliver(&says(PaymentStatus::Failed, 6));
    assert_eq!((play.fate(&fact), play.state(ana)), ("person", "paid"));
    assert_eq!(alarms(&mut play, &fact), 1);
    assert_eq!(Report::of(&play.sale, &[]).gross.minor, 0, "no money");
    play.deliver(&says(PaymentStatus::Completed, 7));
    assert_eq!((play.fate(&fact), play.state(ana)), ("kept", "paid"));
    assert_eq!(play.sale.head.tally.paid, 1);
    play.deliver(&says(PaymentStatus::Pending, 8));
    assert_eq!((play.fate(&fact), alarms(&mut play, &fact)), ("person", 2));
    play.deliver(&says(PaymentStatus::Completed, 9));
    assert_eq!(play.fate(&fact), "kept");
}

#[test]
fn what_was_stored_before_is_read_and_judged() {
    let (mut play, fact) = surplus();
    let old = serde_json::to_value(play.sale.payment(&fact.id).expect("known")).expect("json");
    let mut old = old;
    for new in ["told", "refunds", "moved_as_of", "reversed"] {
        old.as_object_mut().expect("an object").remove(new);
    }
    let old = serde_json::from_value(old).expect("it reads");
    let mut all: Vec<_> = play.sale.payments().cloned().collect();
    all.retain(|one| one.fact.id != fact.id);
    all.push(old);
    let holds = play.sale.holds().cloned().collect();
    play.sale = crate::sale::Sale::assemble(play.sale.head.clone(), holds, all);
    moved(&mut play, &fact, "r", RefundStatus::Failed, 20);
    assert_eq!((play.fate(&fact), refunded(&play).1), ("person", 1800));
    let line = r#"{"event":"refund_moved","payment":"P","refund":"R","status":"done","amount":5,
                   "says":null}"#;
    let event: Event = serde_json::from_str(line).expect("an old journal reads");
    assert!(matches!(event, Event::RefundMoved(RefundFact { as_of: None, .. })));
}

fn part(play: &mut Play, hold: HoldId, id: &str, amount: &str) -> PaymentFact {
    let page = play.page_of(hold);
    let fact = PaymentFact {
        id: PaymentId::from(id),
        hold: Some(hold),
        checkout: Some(page),
        order: Some("O1".to_owned()),
        amount: usd(amount),
        tip: 0,
        discount: 0,
        refunded: 0,
        status: PaymentStatus::Completed,
        at: play.now,
        link: None,
        fee: None,
        as_of: None,
    };
    play.deliver(&fact);
    fact
}

fn claimed(stock: u32) -> (Play, HoldId) {
    let mut play = Play::open(Template { stock, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    (play, ana)
}

#[test]
fn two_payments_that_make_up_the_price_buy_one_unit() {
    for (first, second) in [("10", "8"), ("8", "10")] {
        let (mut play, ana) = claimed(3);
        let one = part(&mut play, ana, "a", first);
        assert_eq!((play.fate(&one), play.state(ana)), ("pending", "open"));
        assert_eq!(refunded(&play).1, one.amount.minor, "not decided yet");
        play.pass(Span::from_secs(100));
        let two = part(&mut play, ana, "b", second);
        assert_eq!((play.fate(&one), play.fate(&two)), ("kept", "kept"));
        assert_eq!((play.state(ana), play.sale.head.tally.paid), ("paid", 1));
        let report = Report::of(&play.sale, &[]);
        assert_eq!((report.kept.minor, report.completed, report.sold), (1800, 2, 1));
        let units: Vec<_> = report.payments.iter().map(|row| row.units).collect();
        assert_eq!(units.iter().flatten().sum::<u32>(), 1, "one parcel: {units:?}");
        assert_eq!(report.payments[0].together_with, ["b"]);
        // A third one is one too many.
        let three = part(&mut play, ana, "c", "8");
        play.work();
        assert_eq!(play.fate(&three), "refunded");
        assert_eq!(play.sale.head.parts, 0);
    }
}

#[test]
fn parts_whose_rest_never_comes_are_given_back_with_the_hold() {
    let (mut play, ana) = claimed(1);
    let one = part(&mut play, ana, "a", "10");
    play.pass(Span::from_mins(3));
    play.work();
    assert_eq!((play.fate(&one), play.state(ana)), ("refunded", "released"));
    assert_eq!(play.sale.payment(&one.id).expect("known").fact.refunded, 1000);
    // The rest comes when the first part is gone.
    let two = part(&mut play, ana, "b", "8");
    play.work();
    assert_eq!((play.fate(&two), play.sale.head.tally.paid), ("refunded", 0));
    assert_eq!(Report::of(&play.sale, &[]).extra.incomplete.count, 2);
}

#[test]
fn parts_told_after_the_end_wait_for_each_other_and_no_longer() {
    for rest in [true, false] {
        let (mut play, ana) = claimed(1);
        play.pass(Span::from_mins(3));
        play.work();
        assert_eq!(play.state(ana), "released");
        let one = part(&mut play, ana, "a", "10");
        play.pass(Span::from_secs(60));
        if rest {
            let two = part(&mut play, ana, "b", "8");
            assert_eq!((play.fate(&one), play.fate(&two)), ("kept", "kept"));
            assert_eq!(play.state(ana), "paid");
        } else {
            assert!(play.sale.next_deadline().is_some());
            play.pass(Span::from_secs(60));
            play.work();
            assert_eq!(play.fate(&one), "refunded");
        }
    }
}

#[test]
fn both_parts_go_back_when_nothing_is_left() {
    let (mut play, ana) = claimed(1);
    play.pass(Span::from_mins(3));
    play.work();
    play.claim("bo").expect("free again");
    play.work();
    let one = part(&mut play, ana, "a", "10");
    let two = part(&mut play, ana, "b", "8");
    play.work();
    assert_eq!((play.fate(&one), play.fate(&two)), ("refunded", "refunded"));
    let back = |fact: &PaymentFact| play.sale.payment(&fact.id).expect("known").fact.refunded;
    assert_eq!((back(&one), back(&two)), (1000, 800));
    assert_eq!(Report::of(&play.sale, &[]).extra.surplus.count, 2);
}

#[test]
fn a_close_that_finds_both_parts_keeps_both() {
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    play.pages.get_mut(&page).expect("known").1 = Page::Paid;
    let fact = |id: &str, minor: i64| {
        let amount = crate::money::Money::new(minor, usd("1").currency);
        let text = format!(
            r#"{{"id":"{id}","hold":null,"checkout":"{page}","order":"O1","amount":{},"refunded":0,
               "status":"completed","at":1767225600000,"link":null}}"#,
            serde_json::to_string(&amount).expect("json")
        );
        serde_json::from_str::<PaymentFact>(&text).expect("a payment")
    };
    play.pass(Span::from_mins(3));
    play.tell(Event::CheckoutClosed {
        hold: ana,
        nth: 1,
        checkout: Some(page.clone()),
        answer: CloseAnswer::AlreadyPaid {
            payment: Box::new(fact("a", 1000)),
            more: vec![fact("b", 800)],
        },
    })
    .expect("an outcome");
    assert_eq!((play.state(ana), play.sale.head.tally.paid), ("paid", 1));
}

#[test]
fn where_payments_cannot_be_split_another_amount_is_a_person_s_matter() {
    let (mut play, ana) = claimed(1);
    play.sale.head.capabilities.splits = false;
    let fact = part(&mut play, ana, "a", "17.99");
    assert_eq!((play.fate(&fact), play.state(ana)), ("person", "lapsed"));
}

#[test]
fn too_much_in_parts_is_a_person_s_matter() {
    let (mut play, ana) = claimed(1);
    let one = part(&mut play, ana, "a", "10");
    let two = part(&mut play, ana, "b", "10");
    assert_eq!((play.fate(&one), play.fate(&two)), ("person", "person"));
    assert_eq!(play.state(ana), "lapsed");
    // The whole price in one piece after a part: the part goes back.
    let (mut play, ana) = claimed(1);
    let one = part(&mut play, ana, "a", "10");
    let two = part(&mut play, ana, "b", "18");
    play.work();
    assert_eq!((play.fate(&one), play.fate(&two)), ("refunded", "kept"));
}

#[test]
fn nothing_instead_of_the_price_is_a_person_s_matter_and_free_is_paid() {
    let (mut play, ana) = claimed(1);
    let fact = part(&mut play, ana, "a", "0");
    play.deliver(&fact);
    play.deliver(&PaymentFact { as_of: at(9), ..fact.clone() });
    let payment = play.sale.payment(&fact.id).expect("known");
    assert!(matches!(payment.fate, Fate::Person { .. }), "{:?}", payment.fate);
    let (mut play, ana) = claimed(1);
    let free = PaymentFact {
        discount: 1800,
        id: PaymentId::from("f"),
        amount: usd("0"),
        ..part(&mut play, ana, "x", "18")
    };
    let (mut play, ana) = {
        let (play, ana) = claimed(1);
        assert_eq!(free.hold, Some(ana), "worlds are alike");
        (play, ana)
    };
    for _ in 0..3 {
        play.deliver(&PaymentFact { checkout: Some(play.page_of(ana)), ..free.clone() });
        assert_eq!((play.fate(&free), play.state(ana)), ("kept", "paid"));
    }
    assert_eq!(refunded(&play), (0, 0, 0));
}

#[test]
fn a_tip_is_no_part_of_the_price() {
    let (mut play, ana) = claimed(1);
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    let fact = PaymentFact { amount: usd("20"), tip: 200, ..fact };
    play.deliver(&fact);
    assert_eq!((play.fate(&fact), play.state(ana)), ("kept", "paid"));
}
