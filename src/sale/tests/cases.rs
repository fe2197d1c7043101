//! The rules, one example each.

use std::collections::BTreeMap;

use super::play::{CloseMood, Play, ROOM, delivery, template, usd};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId, PaymentId},
    sale::{
        EndReason, Phase,
        effect::Effect,
        event::{Event, Listing},
        payment::{PaymentFact, PaymentStatus, RefundFact, RefundStatus},
        refusal::{Bound, Refusal},
        template::{Ask, CheckoutShape, Template},
    },
};

fn secs(n: i64) -> Span {
    Span::from_secs(n)
}

fn ended(play: &Play) -> Option<EndReason> {
    play.sale.head.phase.end().map(|end| end.reason)
}

#[test]
fn a_sale_sells_out() {
    let mut play = Play::open(template());
    for buyer in ["ana", "bo", "cy"] {
        let hold = play.claim(buyer).expect("free");
        play.work();
        assert_eq!(play.state(hold), "open");
        play.pass(secs(10));
        play.pay(hold);
    }
    assert_eq!(ended(&play), Some(EndReason::SoldOut));
    play.run_out();
    assert!(play.sale.head.is_closed());
    assert_eq!(play.listings, 0);
    assert_eq!(
        play.heard(ROOM),
        [
            "SALE OPEN · Fern Mug · $18 · 3 left · 10 min · LINK",
            "SOLD OUT · Fern Mug · 3 in 30 s · thank you!",
        ]
    );
    assert_eq!(play.claim("dee"), Err(Refusal::SoldOut));
}

#[test]
fn nothing_is_said_and_no_clock_starts_before_a_page_is_proven() {
    let mut play = Play::new(template());
    play.payable = false;
    play.work();
    for _ in 0..20 {
        play.pass(secs(1));
        play.work();
    }
    assert!(matches!(play.sale.head.phase, Phase::Arming { .. }));
    assert!(play.heard(ROOM).is_empty());
    let told = ["#7 Fern Mug · not ready yet: out of stock. It is tried again and again"];
    assert_eq!(play.heard("console"), told, "moderators hear why, once");
    play.payable = true;
    play.pass(secs(1));
    play.work();
    let Phase::Open { opened_at, ends_at } = play.sale.head.phase else { panic!("open") };
    assert_eq!((opened_at, ends_at), (play.now, play.now + Span::from_mins(10)));
}

#[test]
fn a_start_that_never_becomes_payable_is_refused_and_cleaned() {
    let mut play = Play::new(template());
    play.payable = false;
    play.run_out();
    assert_eq!(ended(&play), Some(EndReason::Failed));
    assert!(play.sale.head.is_closed());
    assert_eq!(play.listings, 0);
    assert!(play.heard(ROOM).is_empty());
    let last = "NOT STARTED · #7 Fern Mug · out of stock";
    assert_eq!(play.heard("console").last().expect("words"), last);
    assert_eq!(
        play.pages.values().filter(|(_, page, _)| *page == super::play::Page::Open).count(),
        0
    );
}

#[test]
fn a_buyer_is_only_handed_a_proven_page() {
    let mut play = Play::open(Template { warm: 0, ..template() });
    play.claim("first").expect("takes the first page");
    play.payable = false;
    let hold = play.claim("ana").expect("free");
    play.work();
    assert_eq!(play.state(hold), "opening");
    play.pass(secs(5));
    play.work();
    assert_eq!(play.state(hold), "opening");
    play.payable = true;
    play.pass(secs(1));
    play.work();
    assert_eq!(play.state(hold), "open");
    let deadline = play.sale.deadline_of(play.hold(hold));
    assert_eq!(deadline, Some(play.now + Span::from_mins(3)), "time starts with the page");
}

#[test]
fn a_dead_page_gets_a_second_one_beside_it() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    play.payable = false;
    let hold = play.claim("ana").expect("free");
    play.work();
    while play.hold(hold).ordered < 2 {
        play.pass(secs(1));
        play.work();
    }
    let second = play.hold(hold).checkouts.last().expect("made").id.clone();
    play.tell(Event::Probed {
        hold,
        checkout: second.clone(),
        verdict: crate::sale::event::Verdict::Payable,
    })
    .expect("an outcome");
    assert_eq!(play.hold(hold).page().map(|page| page.id.clone()), Some(second));
    play.work();
    assert_eq!(play.hold(hold).checkouts.iter().filter(|page| page.closed).count(), 1);
}

#[test]
fn the_last_unit_goes_once() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    assert_eq!(play.claim("ana"), Err(Refusal::AlreadyHolding(ana)));
    assert_eq!(play.claim("bo"), Err(Refusal::AllHeld));
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    assert_eq!(play.claim("bo"), Err(Refusal::AllHeld), "the page is not closed yet");
    play.work();
    assert_eq!(play.state(ana), "released");
    play.claim("bo").expect("free again");
}

#[test]
fn a_hold_runs_out_and_returns_only_when_the_provider_says_so() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(secs(180));
    assert_eq!(play.state(ana), "closing");
    let close = play.todo.pop_front().expect("asks to close").0;
    play.perform(&close, CloseMood::Pending);
    assert_eq!(play.claim("bo"), Err(Refusal::AllHeld));
    play.pass(secs(5));
    play.work();
    assert_eq!(play.state(ana), "released");
    play.claim("bo").expect("free again");
}

#[test]
fn a_payment_found_at_closing_is_kept() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    play.pass(secs(180));
    play.work();
    assert_eq!((play.state(ana), play.fate(&fact)), ("paid", "kept"));
    play.deliver(&fact);
    assert_eq!(play.sale.head.tally.paid, 1, "the webhook that comes after changes nothing");
}

#[test]
fn a_page_that_cannot_be_closed_keeps_its_unit_and_a_late_payment_is_kept() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(secs(180));
    let close = play.todo.pop_front().expect("asks to close").0;
    play.perform(&close, CloseMood::Cannot);
    assert_eq!(play.state(ana), "lapsed");
    assert_eq!(play.claim("bo"), Err(Refusal::AllHeld));
    play.run_out();
    assert!(play.sale.head.is_closed(), "it does not keep the sale from closing");
    let fact = play.pay(ana);
    assert_eq!((play.fate(&fact), play.state(ana)), ("kept", "paid"));
    assert!(play.sale.payment(&fact.id).expect("known").late);
}

/// Ana lets go of the last unit, and pays all the same before (`bo` = false) or after Bo took it.
fn late_payment(bo: bool) -> (Play, PaymentFact) {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    play.work();
    if bo {
        play.claim("bo").expect("free");
    }
    // The provider lied about closing.
    play.pages.get_mut(&page).expect("known").1 = super::play::Page::Open;
    let fact = play.pay_page(&page).expect("payable");
    play.deliver(&fact);
    (play, fact)
}

#[test]
fn a_late_payment_is_kept_while_stock_is_left() {
    let (play, fact) = late_payment(false);
    assert_eq!(play.fate(&fact), "kept");
    assert_eq!(ended(&play), Some(EndReason::SoldOut));
}

#[test]
fn a_late_payment_without_stock_is_refunded() {
    let (mut play, fact) = late_payment(true);
    assert_eq!(play.fate(&fact), "refunding");
    assert!(play.sale.payment(&fact.id).expect("known").surplus);
    play.work();
    assert_eq!(play.fate(&fact), "refunded");
    assert_eq!(play.sale.head.tally.taken(), 1);
}

#[test]
fn a_second_payment_for_one_hold_is_refunded() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let first = play.pay(ana);
    let second = PaymentFact { id: PaymentId::from("again"), ..first.clone() };
    play.deliver(&second);
    play.work();
    assert_eq!((play.fate(&first), play.fate(&second)), ("kept", "refunded"));
    assert_eq!(play.sale.head.tally.paid, 1);
}

#[test]
fn another_amount_goes_before_a_person_and_the_unit_stays_taken() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let mut fact = play.pay_page(&page).expect("payable");
    fact.amount = usd("18.01");
    play.deliver(&fact);
    assert_eq!((play.fate(&fact), play.state(ana)), ("person", "lapsed"));
    assert_eq!(play.claim("bo"), Err(Refusal::AllHeld));
    play.work();
    assert!(play.heard("console")[0].contains("paid $18.01, expected $18"));
}

#[test]
fn a_payment_of_an_unknown_hold_goes_before_a_person() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay(ana);
    let stray =
        PaymentFact { id: PaymentId::from("stray"), hold: Some(HoldId { n: 99, ..ana }), ..fact };
    play.deliver(&stray);
    assert_eq!(play.fate(&stray), "person");
}

#[test]
fn a_payment_only_moves_forward() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    let pending = PaymentFact { status: PaymentStatus::Pending, ..fact.clone() };
    play.deliver(&pending);
    assert_eq!((play.state(ana), play.fate(&fact)), ("open", "pending"));
    play.deliver(&fact);
    play.deliver(&pending);
    assert_eq!((play.state(ana), play.fate(&fact)), ("paid", "kept"));
}

#[test]
fn a_refund_made_elsewhere_settles_the_payment() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay(ana);
    play.tell(Event::RefundMoved(RefundFact {
        payment: fact.id.clone(),
        refund: None,
        status: RefundStatus::Done,
        amount: None,
        says: None,
        as_of: None,
    }))
    .expect("an outcome");
    assert_eq!(play.fate(&fact), "refunded");
    assert_eq!(play.sale.head.tally.paid, 1, "putting the unit back is a decision of its own");
}

#[test]
fn a_failed_refund_goes_before_a_person() {
    let (mut play, fact) = late_payment(true);
    play.tell(Event::RefundMoved(RefundFact {
        payment: fact.id.clone(),
        refund: None,
        status: RefundStatus::Failed,
        amount: None,
        says: Some("card closed".into()),
        as_of: None,
    }))
    .expect("an outcome");
    assert_eq!(play.fate(&fact), "person");
}

#[test]
fn time_up_with_buyers_still_paying() {
    let mut play = Play::open(template());
    play.pass(secs(9 * 60));
    let ana = play.claim("ana").expect("free");
    let bo = play.claim("bo").expect("free");
    play.work();
    play.pass(secs(60));
    assert_eq!(ended(&play), Some(EndReason::TimeUp));
    assert_eq!(play.claim("cy"), Err(Refusal::Over));
    play.work();
    assert_eq!(play.heard(ROOM)[1], "ENDED · Fern Mug · 0 of 3 sold, 2 still paying");
    play.pass(secs(60));
    play.pay(ana);
    assert_eq!(play.state(bo), "open");
    play.pass(secs(60));
    assert_eq!(play.state(bo), "closing", "grace is over");
    play.run_out();
    assert!(play.sale.head.is_closed());
    assert_eq!(play.heard(ROOM).len(), 2, "one end notice, whatever happens after it");
}

#[test]
fn buyers_in_line_at_the_end_are_still_served_within_the_grace() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    play.pass(secs(9 * 60 + 59));
    let ana = play.claim("ana").expect("free");
    play.pass(secs(1));
    assert_eq!(play.state(ana), "opening");
    play.work();
    assert_eq!(play.state(ana), "open");
    let deadline = play.sale.deadline_of(play.hold(ana));
    assert_eq!(deadline, Some(play.now + Span::from_mins(2)));
}

#[test]
fn the_clock_rules_before_its_tick() {
    let mut play = Play::open(template());
    play.now = play.now + Span::from_mins(10);
    assert_eq!(play.claim("ana"), Err(Refusal::Over));
    play.now = play.now + Span::from_mins(100);
    play.tell(Event::Ticked).expect("a tick");
    let end = play.sale.head.phase.end().expect("ended");
    assert_eq!(
        end.at,
        end.opened_at.expect("opened") + Span::from_mins(10),
        "on time, asleep or not"
    );
}

#[test]
fn time_never_runs_backwards() {
    let mut play = Play::open(template());
    play.pass(secs(60));
    let before = play.sale.head.last_at;
    play.now = play.now - secs(3600);
    let hold = play.claim("ana").expect("free");
    assert_eq!(play.hold(hold).claimed_at, before);
}

#[test]
fn pause_and_resume_keep_the_selling_time() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(secs(60));
    play.tell(Event::Paused).expect("open");
    assert_eq!(
        play.tell(Event::Paused),
        Err(Refusal::WrongState { verb: "pause", state: "paused" })
    );
    assert_eq!(play.claim("bo"), Err(Refusal::Paused));
    play.pass(secs(100));
    play.pay(ana);
    play.tell(Event::Resumed).expect("paused");
    let Phase::Open { ends_at, .. } = play.sale.head.phase else { panic!("open") };
    assert_eq!(ends_at, play.now + secs(9 * 60));
    assert_eq!(play.sale.head.paused_for, secs(100));
}

#[test]
fn a_pause_ends_the_sale_when_all_pauses_reach_the_longest_duration() {
    let mut play = Play::open(template());
    play.tell(Event::Paused).expect("open");
    play.pass(secs(20 * 60));
    play.tell(Event::Resumed).expect("paused");
    play.tell(Event::Paused).expect("open");
    play.pass(secs(10 * 60 - 1));
    assert!(matches!(play.sale.head.phase, Phase::Paused { .. }));
    play.pass(secs(1));
    assert_eq!(ended(&play), Some(EndReason::TimeUp));
}

#[test]
fn sold_out_by_hand_pauses_and_only_the_cleared_mark_allows_resume() {
    let mut play = Play::open(template());
    play.tell(Event::SoldOutMarked { set: true }).expect("told");
    assert_eq!(play.tell(Event::Resumed), Err(Refusal::ProviderSoldOut));
    play.tell(Event::SoldOutMarked { set: false }).expect("told");
    play.tell(Event::Resumed).expect("cleared");
}

#[test]
fn a_choice_that_is_sold_out_is_refused_and_gets_no_more_warm_pages() {
    let (ship, pickup) = (delivery("ship", "8"), delivery("pickup", "0"));
    let choices = vec![ship, pickup.clone()];
    let mut play = Play::open(Template { warm: 1, delivery: choices, stock: 9, ..template() });
    play.work();
    let pages = |play: &Play| {
        let warm =
            play.sale.holds().filter(|hold| hold.state == crate::sale::hold::HoldState::Warm);
        warm.map(|hold| hold.delivery.clone().expect("a choice")).collect::<Vec<_>>()
    };
    let claim = |who: &str, delivery: &str| {
        let delivery = Some(delivery.to_owned());
        let claim = crate::sale::event::Claim { delivery, ..Play::claim_of(who) };
        Event::Claimed(Box::new(claim))
    };
    let mark = |set| Event::ChoiceMarked { delivery: "ship".into(), set };
    let ana = play.tell(claim("ana", "ship")).expect("free").expect("a hold");
    play.work();
    play.tell(mark(true)).expect("told");
    let no = Refusal::ChoiceSoldOut { label: "ship".into(), left: vec![pickup] };
    assert_eq!(play.tell(claim("bo", "ship")), Err(no));
    assert_eq!(play.state(ana), "open", "who chose it before keeps it");
    play.tell(claim("bo", "pickup")).expect("free");
    play.work();
    assert_eq!(pages(&play), ["ship", "pickup"], "the one there was, and a new one of the other");
    play.tell(mark(false)).expect("told");
    play.tell(claim("cy", "ship")).expect("free again");
    play.tell(Event::ChoiceMarked { delivery: "drone".into(), set: true }).expect("told");
    assert!(play.sale.head.closed_choices.is_empty(), "not a choice of this sale");
    play.run_out();
    assert!(play.sale.head.is_closed());
}

#[test]
fn extend_and_shorten_within_bounds() {
    let mut play = Play::open(template());
    play.tell(Event::Extended { by_ms: 20 * 60_000 }).expect("30 minutes in all");
    let bound = Refusal::Bound(Bound::MaxDuration(Span::from_mins(30)));
    assert_eq!(play.tell(Event::Extended { by_ms: 1000 }), Err(bound));
    play.tell(Event::Extended { by_ms: -25 * 60_000 }).expect("shorter is fine");
    assert_eq!(play.tell(Event::Extended { by_ms: -5 * 60_000 }), Err(Refusal::WouldEnd));
    play.tell(Event::Extended { by_ms: 25 * 60_000 }).expect("back to the bound");
}

#[test]
fn restock_within_bounds_and_never_below_what_is_taken() {
    let mut play = Play::open(template());
    play.tell(Event::Restocked { units: 7 }).expect("10 in all");
    let bound = Refusal::Bound(Bound::MaxStock(10));
    assert_eq!(play.tell(Event::Restocked { units: 1 }), Err(bound));
    for n in 0..8 {
        play.claim(&format!("b{n}")).expect("free");
    }
    play.tell(Event::Restocked { units: -5 }).expect("leaves five");
    assert_eq!((play.sale.head.stock, play.sale.head.short), (8, 3));
    play.work();
    assert!(
        play.heard("console").iter().any(|line| line.contains("3 units sold that you don't have"))
    );
    let one = play.sale.holds().find(|h| h.is_live()).expect("live").id;
    play.tell(Event::LetGo { hold: one }).expect("may let go");
    play.work();
    assert_eq!((play.sale.head.stock, play.sale.head.short), (7, 2), "what comes back is owed");
    assert_eq!(play.claim("late"), Err(Refusal::AllHeld));
    play.tell(Event::Restocked { units: 3 }).expect("fewer than ten offered");
    assert_eq!((play.sale.head.stock, play.sale.head.short), (8, 0));
    assert_eq!(play.tell(Event::Restocked { units: -8 }), Err(Refusal::WouldEnd));
}

#[test]
fn a_stop_closes_every_page_at_once() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.tell(Event::Stopped).expect("open");
    assert_eq!(play.state(ana), "closing");
    play.run_out();
    assert!(play.sale.head.is_closed());
    assert_eq!(play.heard(ROOM)[1], "CANCELLED · Fern Mug · 0 of 3 sold");
    assert_eq!(play.state(ana), "released");
}

#[test]
fn a_stop_while_arming_says_nothing_in_public() {
    let mut play = Play::new(template());
    play.tell(Event::Stopped).expect("arming");
    play.run_out();
    assert!(play.sale.head.is_closed());
    assert!(play.said.is_empty());
    assert_eq!(play.listings, 0, "what was being made is retired when it turns up");
}

#[test]
fn armed_waits_opens_at_once_and_is_retired_when_forgotten() {
    let mut play = Play::start(template(), true);
    play.work();
    assert!(matches!(play.sale.head.phase, Phase::Armed { .. }));
    assert!(play.heard(ROOM).is_empty());
    let calls = play.pages.len();
    play.tell(Event::Opened).expect("armed");
    assert!(matches!(play.sale.head.phase, Phase::Open { .. }));
    assert_eq!(play.pages.len(), calls);

    let mut play = Play::start(template(), true);
    play.work();
    play.run_out();
    assert!(play.sale.head.is_closed());
    assert!(play.heard(ROOM).is_empty());
    assert_eq!(play.listings, 0);
}

#[test]
fn an_armed_sale_whose_page_died_proves_one_before_it_opens() {
    let mut play = Play::start(template(), true);
    play.work();
    play.payable = false;
    play.pass(secs(60));
    play.work();
    play.tell(Event::Opened).expect("armed");
    assert!(matches!(play.sale.head.phase, Phase::Arming { stay: false, .. }));
    play.payable = true;
    play.pass(secs(1));
    play.work();
    assert!(matches!(play.sale.head.phase, Phase::Open { .. }));
}

#[test]
fn warm_pages_are_handed_out_at_once_and_refilled() {
    let choices = vec![delivery("ship", "8"), delivery("pickup", "0")];
    let mut play = Play::open(Template { warm: 2, delivery: choices, stock: 10, ..template() });
    play.work();
    assert_eq!(play.pages.len(), 4);
    assert_eq!(play.sale.head.tally.taken(), 0, "warm pages count as nothing");
    let claim =
        crate::sale::event::Claim { delivery: Some("ship".into()), ..Play::claim_of("ana") };
    let hold = play.tell(Event::Claimed(Box::new(claim))).expect("free").expect("a hold");
    assert_eq!(play.state(hold), "open");
    assert_eq!(play.hold(hold).amount, usd("26"));
    play.work();
    assert_eq!(play.pages.len(), 5);
    play.run_out();
    assert!(play.sale.head.is_closed());
    let open = play.pages.values().filter(|(_, page, _)| *page == super::play::Page::Open);
    assert_eq!(open.count(), 0, "warm pages are closed at the end");
}

#[test]
fn claims_are_held_to_choice_units_answers_tries_and_address() {
    let choices = vec![delivery("ship", "8"), delivery("pickup", "0")];
    let ask = vec![Ask::Email];
    let base = Template { delivery: choices.clone(), ask, per_buyer: 2, ..template() };
    let mut play = Play::open(base);
    let mut claim = Play::claim_of("ana");
    let try_it = |claim: &crate::sale::event::Claim, play: &mut Play| {
        play.tell(Event::Claimed(Box::new(claim.clone())))
    };
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::UnknownDelivery(choices)));
    claim.delivery = Some("pickup".into());
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::MissingAnswer(Ask::Email)));
    claim.answers = BTreeMap::from([(Ask::Email, "a@example.com".to_owned())]);
    claim.units = 3;
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::TooManyUnits { left: 2 }));
    claim.units = 2;
    claim.address = Some("home".into());
    let hold = try_it(&claim, &mut play).expect("fits").expect("a hold");
    assert_eq!(play.hold(hold).amount, usd("36"));
    claim.buyer = "bo".into();
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::TooManyUnits { left: 1 }));
    // Half of seven is three units for one address.
    play.tell(Event::Restocked { units: 4 }).expect("within bounds");
    claim.units = 1;
    try_it(&claim, &mut play).expect("fits");
    claim.buyer = "cy".into();
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::AddressFull));
    claim.address = None;
    for _ in 0..3 {
        let hold = try_it(&claim, &mut play).expect("fits").expect("a hold");
        play.work();
        play.tell(Event::LetGo { hold }).expect("may let go");
        play.work();
    }
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::TooManyTries));
    play.work();
    play.pay(hold);
    claim.buyer = "ana".into();
    assert_eq!(try_it(&claim, &mut play), Err(Refusal::BuyerFull { per_buyer: 2 }));
}

#[test]
fn the_place_in_line_counts_those_who_wait_before() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let bo = play.claim("bo").expect("free");
    let cy = play.claim("cy").expect("free");
    assert_eq!((play.sale.place(bo), play.sale.place(cy)), (Some(0), Some(1)));
    play.work();
    assert_eq!(play.sale.place(cy), None);
}

#[test]
fn a_shared_page_sells_to_all_and_gives_the_surplus_back() {
    let shared = Template { checkout: CheckoutShape::Shared, stock: 2, ..template() };
    let mut play = Play::open(shared);
    assert_eq!(play.claim("ana"), Err(Refusal::SharedCheckout));
    let page = play.page_of(HoldId::shared(play.sale.head.id));
    let facts: Vec<_> = (0..3).map(|_| play.pay_page(&page).expect("payable")).collect();
    for fact in &facts {
        play.deliver(fact);
        play.deliver(fact);
    }
    play.run_out();
    let fates: Vec<_> = facts.iter().map(|fact| play.fate(fact)).collect();
    assert_eq!(fates, ["kept", "kept", "refunded"]);
    assert!(play.sale.payment(&facts[2].id).expect("known").surplus);
    assert!(play.sale.head.is_closed());
}

#[test]
fn an_outcome_that_comes_too_late_is_closed() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let ana = play.claim("ana").expect("free");
    let order = play.todo.pop_front().expect("ordered").0;
    let opened = play.outcome(&order, CloseMood::Honest).expect("an outcome");
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    assert_eq!(play.state(ana), "closing", "a page may be on its way");
    play.tell(opened).expect("an outcome");
    assert_eq!(play.state(ana), "closing");
    play.work();
    assert_eq!(play.state(ana), "released");
}

#[test]
fn an_order_never_sent_is_released_without_a_call() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let ana = play.claim("ana").expect("free");
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    let pages = play.pages.len();
    play.work();
    assert_eq!((play.pages.len(), play.state(ana)), (pages, "released"));
}

#[test]
fn parked_work_takes_the_careful_way_out() {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let ana = play.claim("ana").expect("free");
    let effect = play.todo.pop_front().expect("ordered").0;
    assert!(matches!(effect, Effect::OpenCheckout { .. }));
    play.tell(Event::Parked { effect, why: "away".into() }).expect("told");
    assert_eq!(play.state(ana), "closing", "unknown is not failed");
    let close = play.todo.iter().find(|(e, _)| matches!(e, Effect::CloseCheckout { .. }));
    let effect = close.expect("asks to close").0.clone();
    play.todo.clear();
    play.tell(Event::Parked { effect, why: "away".into() }).expect("told");
    assert_eq!(play.state(ana), "lapsed");
}

#[test]
fn a_lost_provision_is_left_for_a_person_and_retired_if_it_turns_up() {
    let mut play = Play::new(template());
    let provision = play.todo.pop_front().expect("provisions").0;
    play.tell(Event::Parked { effect: provision, why: "away".into() }).expect("told");
    assert!(play.sale.head.is_closed());
    play.tell(Event::Provisioned { listing: Listing(serde_json::json!(1)) }).expect("told");
    assert!(play.todo.iter().any(|(effect, _)| *effect == Effect::Retire));
}

#[test]
fn sales_at_the_till_are_counted_once_and_ours_never() {
    let mut play = Play::open(Template { stock: 5, ..template() });
    let ana = play.claim("ana").expect("free");
    play.work();
    // The provider's count comes before the payment's webhook.
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    let at = play.now;
    play.tell(Event::Counted { count: 4, at }).expect("told");
    play.pass(secs(3));
    play.deliver(&fact);
    play.pass(secs(10));
    assert_eq!((play.sale.head.stock, play.sale.head.outside), (5, 0));
    let at = play.now;
    play.tell(Event::Counted { count: 2, at }).expect("told");
    play.tell(Event::Counted { count: 2, at }).expect("told twice");
    play.pass(secs(10));
    assert_eq!((play.sale.head.stock, play.sale.head.outside), (3, 2));
    let at = play.now;
    play.tell(Event::Counted { count: 2, at }).expect("told");
    play.pass(secs(10));
    assert_eq!((play.sale.head.stock, play.sale.head.outside), (3, 2), "counted once");
}

#[test]
fn unknown_things_change_nothing() {
    let mut play = Play::open(template());
    let before = play.sale.head.clone();
    let ghost = HoldId { sale: before.id, n: 77 };
    for event in [
        Event::CheckoutRejected { hold: ghost, nth: 1, says: "?".into() },
        Event::CheckoutClosed {
            hold: ghost,
            nth: 1,
            checkout: Some(CheckoutId::from("x")),
            answer: crate::sale::event::CloseAnswer::Closed,
        },
        Event::RefundMoved(RefundFact {
            payment: PaymentId::from("x"),
            refund: None,
            status: RefundStatus::Done,
            amount: None,
            says: None,
            as_of: None,
        }),
        Event::Retired,
        Event::Done,
        Event::Ticked,
    ] {
        play.tell(event).expect("answered");
    }
    assert_eq!(play.sale.head, before);
    assert_eq!(play.tell(Event::LetGo { hold: ghost }), Err(Refusal::UnknownHold));
}
