//! What a further word about a refund does: the same once more by another way, another one, one that
//! fails, one that is taken back.

use super::{
    parts::claimed,
    play::Play,
    reversals::{alarms, moved, surplus, total},
};
use crate::{
    id::PaymentId,
    sale::{
        effect::Effect,
        event::Event,
        payment::{Payment, PaymentFact, RefundFact, RefundStatus},
    },
};

pub fn payment<'a>(play: &'a Play, fact: &PaymentFact) -> &'a Payment {
    play.sale.payment(&fact.id).expect("known")
}

pub fn news(
    of: &PaymentFact,
    refund: Option<&str>,
    status: RefundStatus,
    amount: i64,
) -> RefundFact {
    RefundFact {
        payment: of.id.clone(),
        refund: refund.map(str::to_owned),
        status,
        amount: Some(amount),
        says: None,
        as_of: None,
    }
}

pub fn tell(play: &mut Play, news: RefundFact) {
    play.tell(Event::RefundMoved(news)).expect("news");
}

#[test]
fn a_part_given_back_counts_once_by_whatever_way_it_is_told() {
    use RefundStatus::Done;
    let paid = || {
        let (mut play, ana) = claimed(1);
        let fact = play.pay(ana);
        (play, fact)
    };
    let back = |play: &Play, fact: &PaymentFact| payment(play, fact).fact.refunded;
    // By its own news, and then by the payment's total.
    let (mut play, fact) = paid();
    tell(&mut play, news(&fact, Some("r1"), Done, 500));
    total(&mut play, &fact, 500, 2);
    tell(&mut play, news(&fact, Some("r1"), Done, 500));
    assert_eq!(back(&play, &fact), 500);
    // The other way round.
    let (mut play, fact) = paid();
    total(&mut play, &fact, 500, 2);
    tell(&mut play, news(&fact, Some("r1"), Done, 500));
    assert_eq!(back(&play, &fact), 500);
    // A second one is another.
    tell(&mut play, news(&fact, Some("r2"), Done, 300));
    assert_eq!((back(&play, &fact), play.fate(&fact)), (800, "kept"));
    total(&mut play, &fact, 800, 3);
    assert_eq!(back(&play, &fact), 800);
    // Never more than was paid, nor less than nothing.
    tell(&mut play, news(&fact, Some("r3"), Done, -700));
    assert_eq!(back(&play, &fact), 800);
    tell(&mut play, news(&fact, Some("r4"), Done, 99_900));
    assert_eq!((back(&play, &fact), play.fate(&fact)), (1800, "refunded"));
    assert!(payment(&play, &fact).refunds.values().all(|one| (0..=1800).contains(&one.amount)));
}

#[test]
fn refunds_that_are_kept_apart_have_an_end() {
    let (mut play, ana) = claimed(1);
    let fact = play.pay(ana);
    for n in 0..150 {
        tell(&mut play, news(&fact, Some(&format!("r{n}")), RefundStatus::Done, 1));
    }
    assert_eq!(payment(&play, &fact).refunds.len(), 100);
    tell(&mut play, news(&fact, Some("r0"), RefundStatus::Failed, 1));
    assert_eq!(payment(&play, &fact).fact.refunded, 99, "what is known is still heard of");
}

#[test]
fn refunds_that_fail_one_after_the_other_are_told_once() {
    let (mut play, ana) = claimed(1);
    let fact = play.pay(ana);
    for refund in ["r1", "r2"] {
        tell(&mut play, news(&fact, Some(refund), RefundStatus::Done, 500));
    }
    for refund in ["r1", "r2"] {
        tell(&mut play, news(&fact, Some(refund), RefundStatus::Failed, 500));
    }
    assert_eq!((play.fate(&fact), payment(&play, &fact).fact.refunded), ("person", 0));
    assert_eq!(alarms(&mut play, &fact), 1);
}

#[test]
fn a_total_that_shrinks_takes_back_what_it_lost_and_no_more() {
    let (mut play, ana) = claimed(1);
    let fact = play.pay(ana);
    total(&mut play, &fact, 500, 1);
    tell(&mut play, news(&fact, Some("r1"), RefundStatus::Done, 500));
    tell(&mut play, news(&fact, Some("r2"), RefundStatus::Done, 300));
    // The second one was never in the total.
    total(&mut play, &fact, 0, 2);
    assert_eq!((play.fate(&fact), payment(&play, &fact).fact.refunded), ("person", 300));
}

#[test]
fn it_takes_a_newer_word_to_take_money_off_the_books_again() {
    let (mut play, fact) = surplus();
    moved(&mut play, &fact, "r", RefundStatus::Failed, 20);
    moved(&mut play, &fact, "r", RefundStatus::Done, 20);
    assert_eq!(play.fate(&fact), "person", "as old as the known");
    moved(&mut play, &fact, "r", RefundStatus::Done, 21);
    assert_eq!(play.fate(&fact), "refunded");
    // It is under way once more: the money is with the shop.
    moved(&mut play, &fact, "r", RefundStatus::Requested, 22);
    assert_eq!((play.fate(&fact), payment(&play, &fact).fact.refunded), ("refunding", 0));
}

#[test]
fn a_refund_without_a_name_is_not_counted_beside_the_same_one_with_its_name() {
    let (mut play, ana) = claimed(1);
    let fact = play.pay(ana);
    tell(&mut play, news(&fact, None, RefundStatus::Done, 1800));
    assert_eq!(play.fate(&fact), "refunded");
    moved(&mut play, &fact, "r", RefundStatus::Failed, 5);
    assert_eq!((play.fate(&fact), payment(&play, &fact).fact.refunded), ("person", 0));
    tell(&mut play, news(&fact, Some("r3"), RefundStatus::Done, 500));
    assert_eq!(payment(&play, &fact).fact.refunded, 500);
}

#[test]
fn a_refund_that_is_done_is_not_undone_by_giving_up_its_repetition() {
    let (mut play, ana) = claimed(1);
    let first = play.pay(ana);
    let second = PaymentFact { id: PaymentId::from("again"), ..first };
    play.deliver(&second);
    let refund = play.todo.iter().find(|(e, _)| matches!(e, Effect::Refund { .. }));
    let effect = refund.expect("asked for").0.clone();
    moved(&mut play, &second, "theirs", RefundStatus::Done, 1);
    assert_eq!(play.fate(&second), "refunded");
    play.tell(Event::Parked { effect: effect.clone(), why: "away".into() }).expect("told");
    assert_eq!(play.fate(&second), "refunded");
    // One that is not done is given to a person.
    let third = PaymentFact { id: PaymentId::from("third"), ..second };
    play.deliver(&third);
    let effect = Effect::Refund { payment: third.id.clone(), amount: third.amount };
    play.tell(Event::Parked { effect, why: "away".into() }).expect("told");
    assert_eq!(play.fate(&third), "person");
}
