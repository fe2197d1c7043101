//! Money that goes back and forth.

use super::play::{Play, template};
use crate::{
    clock::Timestamp,
    id::PaymentId,
    report::{Report, prove},
    sale::{
        event::Event,
        payment::{PaymentFact, PaymentStatus, RefundFact, RefundStatus},
        template::Template,
    },
};

pub(super) fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp::from_millis(1_767_225_600_000 + seconds * 1000))
}

pub(super) fn moved(play: &mut Play, of: &PaymentFact, id: &str, status: RefundStatus, as_of: i64) {
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

pub(super) fn total(play: &mut Play, of: &PaymentFact, refunded: i64, as_of: i64) {
    play.deliver(&PaymentFact { refunded, as_of: at(as_of), ..of.clone() });
}

/// Paid once too often, and given back.
pub(super) fn surplus() -> (Play, PaymentFact) {
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
pub(super) fn alarms(play: &mut Play, of: &PaymentFact) -> usize {
    play.work();
    let heard = play.heard("console");
    heard.iter().filter(|line| line.contains(&format!("payment {} (", of.id))).count()
}

pub(super) fn refunded(play: &Play) -> (i64, i64, i64) {
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
