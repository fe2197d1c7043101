//! Bounds: what one buyer, one network and one moderator may do, counted over every state a hold
//! can be in, and what a provider's count of the stock comes to.

use std::collections::BTreeMap;

use super::{
    parts::part,
    play::{CloseMood, Play, offers, template, usd},
};
use crate::{
    clock::Span,
    id::HoldId,
    sale::{
        Phase,
        effect::Effect,
        event::{Claim, ClaimLimits, Event},
        hold::{HoldState, Lapse},
        offer::Extras,
        payment::PaymentFact,
        refusal::Refusal,
        template::{Ask, Delivery, Template},
    },
};

fn secs(n: i64) -> Span {
    Span::from_secs(n)
}

fn of(who: &str) -> Claim {
    Play::claim_of(who)
}

fn from(who: &str, address: &str) -> Claim {
    Claim { address: Some(address.to_owned()), ..of(who) }
}

fn let_go(play: &mut Play, hold: HoldId) {
    play.tell(Event::LetGo { hold }).expect("may let go");
    play.work();
}

/// Ana's page cannot be closed: her unit stays taken for ever.
fn lapsed(play: &mut Play) -> HoldId {
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(Span::from_mins(3));
    let (close, _) = play.todo.pop_front().expect("asks to close");
    play.perform(&close, CloseMood::Cannot);
    assert_eq!(play.state(ana), "lapsed");
    ana
}

#[test]
fn units_that_can_not_be_taken_back_count_for_their_buyer() {
    let mut play = Play::open(template());
    lapsed(&mut play);
    assert_eq!(play.claim("ana"), Err(Refusal::BuyerFull { per_buyer: 1 }));
    let mut play = Play::open(Template { per_buyer: 2, ..template() });
    lapsed(&mut play);
    let two = Claim { units: 2, ..of("ana") };
    assert_eq!(play.claims(two), Err(Refusal::TooManyUnits { left: 1 }));
    play.claim("ana").expect("one more");
}

#[test]
fn a_try_is_wasted_from_the_moment_it_ends() {
    let limits = ClaimLimits { per_address: 2, tries: 1 };
    let one_try = || Claim { limits, ..of("ana") };
    for by_hand in [true, false] {
        for closed in [true, false] {
            let mut play = Play::open(template());
            let ana = play.claims(one_try()).expect("free");
            play.work();
            if by_hand {
                play.tell(Event::LetGo { hold: ana }).expect("may let go");
                play.tell(Event::LetGo { hold: ana }).expect("pressed twice is once");
            } else {
                play.pass(Span::from_mins(3));
            }
            if closed {
                play.work();
                play.tell(Event::LetGo { hold: ana }).expect("and late is no matter");
            }
            let state = play.state(ana);
            assert_eq!(state, if closed { "released" } else { "closing" });
            assert_eq!(play.claims(one_try()), Err(Refusal::TooManyTries), "{by_hand} {closed}");
        }
    }
}

#[test]
fn a_form_leads_to_what_came_of_it_and_to_nothing_that_is_given_back() {
    let mut play = Play::open(Template { per_buyer: 3, ..template() });
    let form = |n| Claim { form: Some(n), ..of("ana") };
    let first = play.claims(form(1)).expect("free");
    play.work();
    play.pay(first);
    assert_eq!(play.claims(form(1)), Err(Refusal::AlreadyHolding(first)), "sent again");
    let second = play.claims(form(2)).expect("another form");
    play.work();
    let_go(&mut play, second);
    let third = play.claims(form(2)).expect("what was let go can be had again");
    play.work();
    play.pay(third);
    play.claim("ana").expect("without a form, nothing is the same");
}

#[test]
fn one_unit_a_claim_where_the_provider_sells_no_more_and_none_is_no_claim() {
    let mut play = Play::open(Template { per_buyer: 3, ..template() });
    let none = Claim { units: 0, ..of("ana") };
    assert_eq!(play.claims(none), Err(Refusal::TooManyUnits { left: 3 }));
    play.sale.head.capabilities.units = false;
    let two = Claim { units: 2, ..of("ana") };
    assert_eq!(play.claims(two), Err(Refusal::TooManyUnits { left: 1 }));
    play.claim("ana").expect("one");
    // A page that nobody claimed is nobody's to let go.
    let mut play = Play::open(Template { warm: 1, ..template() });
    play.work();
    let warm = play.sale.holds().find(|h| h.state == HoldState::Warm).expect("warm").id;
    assert_eq!(play.tell(Event::LetGo { hold: warm }), Err(Refusal::UnknownHold));
}

#[test]
fn a_page_made_ahead_goes_to_nobody_who_wants_anything_else() {
    let offered = Template { offers: offers(1), per_buyer: 2, stock: 9, ..template() };
    let plain = offered.offers.plain();
    let xl = BTreeMap::from([("size".to_owned(), "XL".to_owned())]);
    let with = |name: &str| Extras { upsells: [name.to_owned()].into(), ..plain.clone() };
    let wishes = [
        (1, plain.clone(), "open", 1800),
        (2, plain.clone(), "opening", 3600),
        (1, Extras { options: xl, ..plain.clone() }, "opening", 2050),
        (1, with("card"), "opening", 1900),
        (1, Extras { special: Some("code:friends".into()), ..plain.clone() }, "opening", 1200),
    ];
    for (units, extras, state, amount) in wishes {
        let mut play = Play::open(offered.clone());
        let claim = Claim { units, extras: extras.clone(), ..of("ana") };
        let ana = play.claims(claim).expect("free");
        let hold = play.hold(ana);
        assert_eq!((hold.state.word(), hold.amount.minor), (state, amount), "{extras:?}");
        assert_eq!((hold.units, &hold.extras), (units, &extras));
    }
    // Nor to anybody who was asked something.
    let mut play = Play::open(Template { ask: vec![Ask::Email], ..template() });
    let answers = BTreeMap::from([(Ask::Email, "a@example.com".to_owned())]);
    let ana = play.claims(Claim { answers: answers.clone(), ..of("ana") }).expect("free");
    assert_eq!((play.state(ana), &play.hold(ana).answers), ("opening", &answers));
}

#[test]
fn an_up_sell_that_is_gone_is_not_sold_waited_for_or_paid_late() {
    let mut play = Play::open(Template { offers: offers(1), ..template() });
    let plain = play.sale.head.template.offers.plain();
    let sticker = Extras { upsells: ["sticker".to_owned()].into(), ..plain.clone() };
    let wants = |who: &str| Claim { extras: sticker.clone(), ..of(who) };
    let ana = play.claims(wants("ana")).expect("the only one");
    play.work();
    let gone = Refusal::UpsellGone { label: "Sticker".into() };
    assert_eq!(play.claims(wants("bo")), Err(gone));
    let page = play.page_of(ana);
    let_go(&mut play, ana);
    play.claims(wants("bo")).expect("free again");
    // Ana pays all the same: a mug is left, but not what she chose with it.
    play.reopen(&page);
    let fact = play.pay_page(&page).expect("payable");
    play.deliver(&fact);
    assert_eq!((play.fate(&fact), play.state(ana)), ("refunding", "released"));
    let mut play = Play::open(Template { offers: offers(1), ..template() });
    for who in ["bo", "cy", "dee"] {
        play.claims(Claim { extras: plain.clone(), ..of(who) }).expect("free");
    }
    // An offer must not come without what was asked for.
    let waits = Refusal::NotInLine { label: "Sticker".into() };
    assert_eq!(play.joins(wants("eve")), Err(waits));
    play.joins(Claim { extras: plain, units: 2, ..of("eve") }).expect("may wait for a mug");
}

#[test]
fn a_wide_network_that_has_much_gets_a_shorter_time_when_stock_runs_short() {
    let bounds = crate::sale::template::Bounds { max_stock: 20, ..template().bounds };
    for (hold, brief) in [(180, 60), (600, 200), (30, 30)] {
        let base = Template { stock: 20, hold: secs(hold), bounds, ..template() };
        let mut play = Play::open(base);
        let limits = ClaimLimits { per_address: 1, tries: 3 };
        for n in 0..6 {
            play.claim(&format!("far{n}")).expect("free");
        }
        let near = |n: u32| Claim { limits, ..from(&format!("near{n}"), &format!("a{n}.b{n}.c")) };
        for n in 0..4 {
            let id = play.claims(near(n)).expect("free");
            assert!(!play.hold(id).brief);
        }
        let last = play.claims(near(4)).expect("free");
        play.work();
        let lasts = play.sale.deadline_of(play.hold(last)).expect("open").since(play.now);
        assert_eq!((play.hold(last).brief, lasts), (true, secs(brief)), "of {hold}");
    }
}

#[test]
fn a_network_that_wastes_without_end_is_not_remembered_for_ever() {
    let mut play = Play::open(template());
    let limits = ClaimLimits { per_address: 1, tries: 3 };
    let wasteful = |n: u32| Claim { limits, ..from(&format!("b{n}"), "net") };
    for n in 0..50 {
        let hold = play.claims(wasteful(n)).expect("free");
        let_go(&mut play, hold);
    }
    assert_eq!(play.claims(wasteful(50)), Err(Refusal::TooManyTries));
    play.claims(from("other", "home")).expect("others are as they were");
}

#[test]
fn the_line_has_an_end_for_one_network_and_for_all() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    play.claim("ana").expect("free");
    for n in 0..14 {
        play.joins(from(&format!("near{n}"), "net")).expect("seven for each of the first two");
    }
    assert_eq!(play.joins(from("near", "net")), Err(Refusal::AddressFull));
    for n in 14..1000 {
        play.joins(of(&format!("far{n}"))).expect("a place");
    }
    assert_eq!(play.sale.head.tally.waiting, 1000);
    assert_eq!(play.joins(of("late")), Err(Refusal::AllHeld));
}

#[test]
fn whoever_waits_waits_for_one_and_an_offer_that_ran_out_is_over() {
    let mut play = Play::open(Template { stock: 2, per_buyer: 2, ..template() });
    let ana = play.claims(Claim { units: 2, ..of("ana") }).expect("free");
    let bo = play.joins(Claim { units: 2, ..of("bo") }).expect("waits");
    assert_eq!((play.hold(bo).units, play.hold(bo).amount), (1, usd("18")));
    play.work();
    let_go(&mut play, ana);
    assert_eq!(play.state(bo), "offered");
    // Exactly as its time is up, before anybody looked at the clock.
    play.now = play.now + secs(75);
    assert_eq!(play.tell(Event::Accepted { hold: bo }), Err(Refusal::HoldOver));
    play.pass(Span::ZERO);
    assert_eq!(play.state(bo), "released");
}

#[test]
fn several_units_that_come_free_at_once_are_shared_as_if_one_by_one() {
    let mut play = Play::open(Template { stock: 4, per_buyer: 4, ..template() });
    let ana = play.claims(Claim { units: 4, ..of("ana") }).expect("free");
    let limits = ClaimLimits { per_address: 1, tries: 3 };
    let near = |n: u32| Claim { limits, ..from(&format!("near{n}"), "net") };
    let near: Vec<_> = (0..4).map(|n| play.joins(near(n)).expect("waits")).collect();
    let far = play.joins(from("far", "home")).expect("waits");
    play.work();
    let_go(&mut play, ana);
    let states: Vec<_> = near.iter().map(|id| play.state(*id)).collect();
    let offered = states.iter().filter(|state| **state == "offered").count();
    // Half of four at the most, and a person from elsewhere does not wait behind the others.
    assert_eq!((offered, play.state(far)), (2, "offered"), "{states:?}");
}

#[test]
fn the_end_of_a_sale_ends_its_line_and_what_was_only_offered() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    let ana = play.claim("ana").expect("free");
    let [bo, cy] = ["bo", "cy"].map(|who| play.joins(of(who)).expect("waits"));
    play.work();
    play.pass(Span::from_mins(9) + secs(30));
    play.work();
    let _ = ana;
    assert_eq!((play.state(bo), play.state(cy)), ("offered", "waiting"));
    play.pass(secs(30));
    assert_eq!((play.state(bo), play.state(cy)), ("released", "released"));
    for id in [bo, cy] {
        let HoldState::Released { why, .. } = play.hold(id).state else { panic!("released") };
        assert_eq!(why, Lapse::SaleEnded);
    }
}

#[test]
fn a_pause_never_shortens_to_nothing_and_all_pauses_count() {
    let mut play = Play::open(template());
    play.pass(Span::from_mins(4));
    play.tell(Event::Paused).expect("open");
    let minutes = |n: i64| Event::Extended { by_ms: n * 60_000 };
    assert_eq!(play.tell(minutes(-6)), Err(Refusal::WouldEnd), "six are left");
    play.tell(minutes(-5)).expect("one stays");
    for _ in 0..2 {
        play.pass(Span::from_mins(7));
        play.tell(Event::Resumed).expect("paused");
        play.tell(Event::Paused).expect("open");
    }
    assert_eq!(play.sale.head.paused_for, Span::from_mins(14));
    let Phase::Paused { since, .. } = play.sale.head.phase else { panic!("paused") };
    assert_eq!(play.sale.next_deadline(), Some(since + Span::from_mins(16)), "it ends by itself");
    // In its very last moment a sale is not paused any more.
    let mut play = Play::open(template());
    play.now = play.now + Span::from_mins(10);
    let over = Refusal::WrongState { verb: "pause", state: "open" };
    assert_eq!(play.tell(Event::Paused), Err(over));
}

#[test]
fn units_that_are_missing_add_up_and_what_the_end_said_stays_said() {
    let mut play = Play::open(Template { stock: 10, ..template() });
    for n in 0..10 {
        play.claim(&format!("b{n}")).expect("free");
    }
    play.work();
    for short in [2, 5] {
        let units = if short == 2 { -2 } else { -3 };
        play.tell(Event::Restocked { units }).expect("leaves some");
        assert_eq!((play.sale.head.stock, play.sale.head.short), (10, short));
    }
    play.tell(Event::Stopped).expect("open");
    assert_eq!(play.sale.head.shown_stock(), 10);
    play.run_out();
    assert_eq!((play.sale.head.stock, play.sale.head.short), (5, 0), "what came back is owed");
    assert_eq!(play.sale.head.shown_stock(), 10, "as it was said at the end");
}

/// Counts, and waits until it is compared; what was sold elsewhere by then.
fn counted(play: &mut Play, count: i64) -> u32 {
    let at = play.now;
    play.tell(Event::Counted { count, at }).expect("told");
    assert_eq!(play.sale.next_deadline(), Some(play.now + secs(10)), "it wakes by itself");
    play.pass(secs(10));
    play.sale.head.outside
}

fn five() -> Play {
    Play::open(Template { stock: 5, per_buyer: 2, ..template() })
}

fn paid(play: &mut Play, who: &str, units: u32) -> PaymentFact {
    let hold = play.claims(Claim { units, ..of(who) }).expect("free");
    play.work();
    play.pay(hold)
}

#[test]
fn a_count_knows_our_own_sales_by_their_date_their_units_and_their_orders() {
    let mut play = five();
    paid(&mut play, "ana", 2);
    assert_eq!(counted(&mut play, 3), 0, "two units are two");
    // Two payments of one order are one sale.
    let mut play = five();
    let ana = play.claim("ana").expect("free");
    play.work();
    part(&mut play, ana, "a", "10");
    assert_eq!(counted(&mut play, 4), 1, "a part bought nothing: that was somebody else");
    part(&mut play, ana, "b", "8");
    assert_eq!(counted(&mut play, 2), 2, "and here is one more");
    // A payment shortly after the count may be in it: clocks differ.
    for (after, elsewhere) in [(0, 0), (5, 0), (6, 1)] {
        let mut play = five();
        let hold = play.claim("ana").expect("free");
        play.work();
        let page = play.page_of(hold);
        let fact = play.pay_page(&page).expect("payable");
        let fact = PaymentFact { at: play.now + secs(after), ..fact };
        let at = play.now;
        play.tell(Event::Counted { count: 4, at }).expect("told");
        play.deliver(&fact);
        play.pass(secs(10));
        assert_eq!(play.sale.head.outside, elsewhere, "{after} s after");
    }
}

#[test]
fn a_count_waits_for_restocks_and_an_older_one_is_no_news() {
    let mut play = five();
    play.tell(Event::Restocked { units: 2 }).expect("within bounds");
    let restock = play.todo.iter().position(|(effect, _)| matches!(effect, Effect::Restock { .. }));
    let (restock, _) = play.todo.remove(restock.expect("told")).expect("found just now");
    assert_eq!(counted(&mut play, 5), 0, "the provider has not added them yet");
    play.pass(secs(10));
    assert_eq!(play.sale.head.outside, 0, "it waits on");
    let at = play.now;
    play.perform(&restock, CloseMood::Honest);
    play.tell(Event::Counted { count: 7, at }).expect("told");
    play.tell(Event::Counted { count: 3, at: at - secs(1) }).expect("told late");
    play.pass(secs(10));
    assert_eq!((play.sale.head.outside, play.sale.head.stock), (0, 7));
    // Nothing is compared once it is over.
    let at = play.now;
    play.tell(Event::Counted { count: 1, at }).expect("told");
    play.tell(Event::Stopped).expect("open");
    assert_eq!(play.sale.head.count, None);
}

#[test]
fn marks_of_a_sale_that_does_not_sell_mean_nothing() {
    let ship = Delivery { ask_address: false, ..super::play::delivery("ship", "8") };
    let mut play = Play::new(Template { delivery: vec![ship], ..template() });
    let mark = |set| Event::ChoiceMarked { delivery: "ship".into(), set };
    play.tell(Event::SoldOutMarked { set: true }).expect("told");
    assert!(!play.sale.head.marked_sold_out, "while it is stocked, that is no mark by hand");
    for _ in 0..2 {
        play.tell(mark(true)).expect("told");
    }
    assert_eq!(play.sale.head.closed_choices, ["ship"], "once");
    play.tell(mark(false)).expect("told");
    play.work();
    play.tell(Event::Stopped).expect("open");
    play.tell(mark(true)).expect("told");
    assert!(play.sale.head.closed_choices.is_empty(), "it is over");
}
