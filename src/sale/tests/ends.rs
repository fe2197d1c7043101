//! How a sale ends: on the spot, after the fact, and what is said of it.

use super::play::{Play, ROOM, capabilities, delivery, moderator, template};
use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    room::Room,
    sale::{
        EndReason, ListingState, Phase,
        effect::Effect,
        event::{Event, Start},
        hold::HoldState,
        start,
        template::{Capabilities, Template},
    },
};

fn secs(n: i64) -> Span {
    Span::from_secs(n)
}

#[test]
fn the_item_stays_until_the_provider_had_its_quiet_time() {
    let mut play = Play::open(template());
    play.sale.head.capabilities =
        Capabilities { retire_after: Span::from_mins(1), ..capabilities() };
    play.tell(Event::Stopped).expect("open");
    let end = play.now;
    play.work();
    let due = |play: &Play| {
        let retire = play.todo.iter().find(|(effect, _)| *effect == Effect::Retire);
        retire.map(|(_, at)| *at)
    };
    assert_eq!(due(&play), Some(end + Span::from_mins(1)), "counted from the end of selling");
    assert!(matches!(play.sale.head.phase, Phase::Closing { .. }));
    // What took longer than that is not waited for again.
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(Span::from_mins(9));
    play.claim("bo").expect("free");
    play.work();
    play.pass(Span::from_mins(3));
    assert_eq!(due(&play), None, "Bo's page is not closed yet");
    play.work();
    assert_eq!((play.state(ana), play.listings), ("released", 0), "at once");
}

#[test]
fn everybody_who_may_still_pay_is_counted_as_paying() {
    let mut play = Play::open(template());
    play.pass(Span::from_mins(8));
    let ana = play.claim("ana").expect("free");
    play.work();
    play.claim("bo").expect("free");
    play.work();
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    let close = play.todo.len();
    play.pass(Span::from_mins(2).minus(secs(1)));
    play.claim("cy").expect("free");
    assert!(play.todo.len() > close, "neither Ana's page is closed nor Cy's made");
    play.pass(secs(1));
    play.work();
    assert_eq!(play.heard(ROOM)[1], "ENDED · Fern Mug · 0 of 3 sold, 3 still paying");
}

#[test]
fn the_last_payment_sells_it_out_even_as_its_time_is_up() {
    let mut play = Play::open(Template { stock: 1, ..template() });
    play.pass(Span::from_mins(9));
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    play.now = play.now + Span::from_mins(1);
    play.deliver(&fact);
    assert_eq!(play.sale.head.phase.end().map(|end| end.reason), Some(EndReason::SoldOut));
}

#[test]
fn what_was_left_behind_and_is_removed_by_hand_is_gone() {
    let mut play = Play::open(template());
    play.tell(Event::Stopped).expect("open");
    play.work();
    play.todo.clear();
    play.tell(Event::Parked { effect: Effect::Retire, why: "away".into() }).expect("told");
    assert!(play.sale.head.is_closed(), "it does not keep the sale from closing");
    assert!(matches!(play.sale.head.listing, ListingState::Left { listing: Some(_) }));
    play.tell(Event::Retired).expect("tried again by a person");
    assert_eq!(play.sale.head.listing, ListingState::Gone);
}

#[test]
fn nothing_outlives_the_end_of_its_sale_and_the_timer_knows_it() {
    let mut play = Play::open(template());
    play.pass(Span::from_mins(9));
    play.claim("ana").expect("free");
    play.work();
    let Phase::Open { ends_at, .. } = play.sale.head.phase else { panic!("open") };
    play.pass(Span::from_mins(1));
    // Her own time is longer than the grace.
    let hold = play.sale.holds().find(|h| matches!(h.state, HoldState::Open { .. })).expect("open");
    assert_eq!(hold.deadline(), Some(ends_at + Span::from_mins(2)));
    let mut play = Play::open(template());
    play.pass(Span::from_mins(9) + secs(30));
    let ana = play.claim("ana").expect("free");
    play.work();
    play.pass(secs(30));
    let limit = ends_at + Span::from_mins(2);
    assert!(play.hold(ana).deadline() > Some(limit));
    assert_eq!((play.sale.deadline_of(play.hold(ana)), play.sale.next_deadline()), {
        (Some(limit), Some(limit))
    });
}

#[test]
fn why_a_start_failed_is_read_by_moderators_alone() {
    let chat: Room = ROOM.parse().expect("a room");
    let now = Timestamp::from_millis(1_767_225_600_000);
    for (asked_in, bare) in [(chat.clone(), 1), (Room::console(), 0)] {
        let order = Start {
            id: SaleId::new(now, [1; 16]),
            number: 7,
            template: std::sync::Arc::new(template()),
            capabilities: capabilities(),
            rooms: vec![chat.clone()],
            mod_rooms: vec![Room::console()],
            by: moderator(),
            asked_in,
            arm: false,
        };
        let (sale, _) = start(&order, now).expect("starts");
        let mut play = Play::new(template());
        play.sale = sale;
        let says = "the key of the shop is wrong".to_owned();
        play.tell(Event::ProvisionRejected { says }).expect("told");
        play.work();
        let said = play.heard(ROOM);
        assert_eq!(said.len(), bare);
        assert!(said.iter().all(|line| !line.contains("key")), "{said:?}");
        let told: Vec<_> = play.heard("console");
        assert_eq!(told.iter().filter(|line| line.contains("the key of the shop")).count(), 1);
        assert_eq!(told.len(), 1, "{told:?}");
    }
}

#[test]
fn the_first_page_is_made_for_a_choice_that_can_be_had() {
    let choices = vec![delivery("ship", "8"), delivery("pickup", "0")];
    let mut play = Play::new(Template { delivery: choices, warm: 1, ..template() });
    play.tell(Event::ChoiceMarked { delivery: "ship".into(), set: true }).expect("told");
    play.work();
    let made: Vec<_> = play.sale.holds().map(|hold| hold.delivery.as_deref()).collect();
    assert_eq!(made, [Some("pickup")], "nor are pages kept warm for another");
}
