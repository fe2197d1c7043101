//! Money that comes in parts, and money of another amount.

use super::{
    play::{Page, Play, template, usd},
    reversals::{at, refunded},
};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId, PaymentId},
    report::Report,
    sale::{
        event::{CloseAnswer, Event},
        payment::{Fate, PaymentFact, PaymentStatus, RefundReason},
        template::Template,
    },
};

pub(super) fn part(play: &mut Play, hold: HoldId, id: &str, amount: &str) -> PaymentFact {
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

pub(super) fn claimed(stock: u32) -> (Play, HoldId) {
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

#[test]
fn a_part_on_another_page_goes_back_however_the_hold_is_decided() {
    let last = [(["8", "10"], "paid"), (["10", "10"], "lapsed"), (["25", "0"], "lapsed")];
    for (on_its_page, state) in last {
        let (mut play, ana) = claimed(1);
        // The answer that told of the first page was lost, so a second one was made.
        let lost = part(&mut play, ana, "a", "9");
        let lost = PaymentFact {
            id: PaymentId::from("lost"),
            checkout: Some(CheckoutId::from("lost")),
            order: Some("O2".to_owned()),
            ..lost
        };
        let (mut play, ana) = {
            let (play, same) = claimed(1);
            assert_eq!(same, ana, "worlds are alike");
            (play, same)
        };
        play.deliver(&lost);
        assert_eq!(play.fate(&lost), "pending");
        for (id, amount) in ["b", "c"].iter().zip(on_its_page).filter(|(_, amount)| *amount != "0")
        {
            part(&mut play, ana, id, amount);
        }
        play.run_out();
        assert_eq!(play.state(ana), state, "{on_its_page:?}");
        let payment = play.sale.payment(&lost.id).expect("known");
        assert!(
            matches!(payment.fate, Fate::Refund { why: RefundReason::Incomplete, .. }),
            "{on_its_page:?}: {:?}",
            payment.fate
        );
        assert_eq!((payment.fact.refunded, play.sale.head.parts), (900, 0));
    }
}
