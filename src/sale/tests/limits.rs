//! Money that comes after the time was over, and what one person and one code may have.

use super::play::{Play, offers, template};
use crate::{
    clock::Span,
    id::HoldId,
    report::Report,
    sale::{
        event::{Claim, Event},
        offer::{Code, Extras},
        payment::PaymentFact,
        template::Template,
    },
};

/// A claim whose time runs out, and whose page can be paid all the same.
fn expired(play: &mut Play, claim: Claim) -> HoldId {
    let hold = play.claims(claim).expect("free");
    play.work();
    play.pass(play.sale.head.template.hold);
    play.work();
    assert_eq!(play.state(hold), "released");
    let page = play.page_of(hold);
    play.reopen(&page);
    hold
}

fn pay(play: &mut Play, hold: HoldId) -> PaymentFact {
    let fact = play.pay_page(&play.page_of(hold)).expect("payable");
    play.deliver(&fact);
    fact
}

#[test]
fn whoever_pays_two_pages_of_which_one_is_theirs_gets_one_back() {
    for late_first in [true, false] {
        let mut play = Play::open(Template { stock: 5, ..template() });
        let first = expired(&mut play, Play::claim_of("ana"));
        let second = play.claim("ana").expect("another try");
        play.work();
        let order = if late_first { [first, second] } else { [second, first] };
        let [kept, back] = order.map(|hold| pay(&mut play, hold));
        assert_eq!((play.fate(&kept), play.fate(&back)), ("kept", "refunding"), "{late_first}");
        assert_eq!(Report::of(&play.sale, &[]).extra.limit.count, 1);
        play.run_out();
        assert_eq!((play.fate(&back), play.sale.head.tally.paid), ("refunded", 1));
        let states = [first, second].map(|hold| play.state(hold));
        let ends = if late_first { ["paid", "released"] } else { ["released", "paid"] };
        assert_eq!(states, ends);
        assert!(play.sale.head.is_closed());
    }
}

#[test]
fn many_pages_of_one_person_come_to_what_one_person_may_have() {
    let mut play = Play::open(Template { stock: 5, per_buyer: 2, ..template() });
    let pages: Vec<_> = (0..3).map(|_| expired(&mut play, Play::claim_of("ana"))).collect();
    let bo = expired(&mut play, Play::claim_of("bo"));
    let facts: Vec<_> = pages.into_iter().map(|hold| pay(&mut play, hold)).collect();
    let fates: Vec<_> = facts.iter().map(|fact| play.fate(fact)).collect();
    assert_eq!(fates, ["kept", "kept", "refunding"]);
    let other = pay(&mut play, bo);
    assert_eq!(play.fate(&other), "kept", "others are as they were");
}

#[test]
fn a_code_that_somebody_else_has_by_now_buys_nothing_late() {
    let with_code = |who: &str, base: &Template| {
        let code = Code { list: "friends".into(), mark: "m".into() };
        let extras = Extras {
            special: Some("code:friends".into()),
            codes: [code].into(),
            ..base.offers.plain()
        };
        Claim { extras, ..Play::claim_of(who) }
    };
    for late_first in [true, false] {
        let base = Template { stock: 5, offers: offers(5), ..template() };
        let mut play = Play::open(base.clone());
        let ana = expired(&mut play, with_code("ana", &base));
        let bo = play.claims(with_code("bo", &base)).expect("the code is free again");
        play.work();
        let (late, in_time) = if late_first {
            let late = pay(&mut play, ana);
            (late, pay(&mut play, bo))
        } else {
            let in_time = pay(&mut play, bo);
            (pay(&mut play, ana), in_time)
        };
        assert_eq!((play.fate(&late), play.fate(&in_time)), ("refunding", "kept"));
    }
    // As long as nobody else has it, it is theirs.
    let base = Template { stock: 5, offers: offers(5), ..template() };
    let mut play = Play::open(base.clone());
    let ana = expired(&mut play, with_code("ana", &base));
    let late = pay(&mut play, ana);
    assert_eq!(play.fate(&late), "kept");
}

#[test]
fn what_closing_finds_is_bound_as_well() {
    let mut play = Play::open(Template { stock: 5, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay_page(&play.page_of(ana)).expect("payable");
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    let again = play.claim("ana").expect("another try");
    // Its close is asked for, and finds the payment.
    play.work();
    assert_eq!((play.fate(&fact), play.state(ana)), ("kept", "paid"));
    let second = pay(&mut play, again);
    assert_eq!(play.fate(&second), "refunding");
    play.pass(Span::from_mins(10));
    play.run_out();
    assert_eq!(play.sale.head.tally.paid, 1);
}
