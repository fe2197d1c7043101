//! Letters that are worked off together, each as if it had come alone.
//!
//! What is told in one `join!` waits in the mailbox before its task runs, and is one batch.

use std::sync::atomic::Ordering;

use tokio::join;

use super::bench::{Bench, once};
use crate::{
    clock::Span,
    engine::{Origin, TellError},
    id::{Buyer, HoldId},
    sale::{
        effect::Effect,
        event::{Claim, CloseAnswer, Event, Verdict},
        hold::Lapse,
        offer::{Code, Extras},
        refusal::Refusal,
        template::Template,
        tests::play::{CloseMood, Play, template},
    },
    shop::Shop,
    store::Store,
};

fn open(stock: u32) -> Play {
    Play::open(Template { stock, ..template() })
}

fn with_code(who: &str) -> Box<Claim> {
    let codes = vec![Code { list: "vip".into(), mark: "m1".into() }];
    let extras = Extras { codes, admitted: true, ..Extras::default() };
    Box::new(Claim { extras, ..Play::claim_of(who) })
}

fn claim(who: &str) -> Event {
    Event::Claimed(Box::new(Play::claim_of(who)))
}

fn minutes(n: i64) -> Event {
    Event::Extended { by_ms: n * 60_000 }
}

fn code_used<T: std::fmt::Debug>(told: &Result<T, TellError>) -> bool {
    matches!(told, Err(TellError::Refused(Refusal::CodeUsed)))
}

#[tokio::test]
async fn the_same_delivery_twice_in_one_batch_is_booked_once_and_at_once() {
    let mut play = open(1);
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let fact = play.pay_page(&page).expect("payable");
    let bench = Bench::new(&play).await;
    let paid = || Event::PaymentSeen(Box::new(fact.clone()));
    let (one, two) = join!(bench.tell(paid(), once("e1")), bench.tell(paid(), once("e1")));
    assert!(one.is_ok(), "{one:?}");
    assert!(matches!(two, Err(TellError::Duplicate)), "{two:?}");
    assert_eq!(bench.stored().await.head.tally.paid, 1);
    // And once more after a restart.
    let again = bench.another().tell(bench.sale, paid(), "test", once("e1")).await;
    assert!(matches!(again, Err(TellError::Duplicate)), "{again:?}");
}

#[tokio::test]
async fn what_was_heard_before_is_left_out_and_its_neighbours_count_once() {
    let bench = Bench::new(&open(3)).await;
    let before = bench.lines().await;
    bench.tell(minutes(1), once("a")).await.expect("open");
    let length = bench.stored().await.head.length;
    let engine = bench.another();
    let tell = |id: &str, n| engine.tell(bench.sale, minutes(n), "test", once(id));
    let (one, two, three) = join!(tell("b", 2), tell("a", 1), tell("c", 4));
    assert!(one.is_ok() && three.is_ok(), "{one:?} {three:?}");
    assert!(matches!(two, Err(TellError::Duplicate)), "{two:?}");
    assert_eq!(bench.stored().await.head.length, length + Span::from_mins(6));
    assert_eq!(bench.lines().await, before + 3);
}

#[tokio::test]
async fn what_is_refused_counts_as_heard_and_what_changes_nothing_is_not_kept() {
    let mut play = open(1);
    play.claim("ana").expect("free");
    let bench = Bench::new(&play).await;
    let refused = bench.tell(claim("bo"), once("m1")).await;
    assert!(matches!(refused, Err(TellError::Refused(Refusal::AllHeld))), "{refused:?}");
    let again = bench.tell(claim("bo"), once("m1")).await;
    assert!(matches!(again, Err(TellError::Duplicate)), "{again:?}");
    let before = bench.stored().await.head.revision;
    let lines = bench.lines().await;
    bench.tell(Event::Ticked, Origin::Any).await.expect("a tick");
    bench.tell(Event::Done, once("d")).await.expect("nothing to tell");
    assert_eq!(bench.stored().await.head.revision, before);
    assert_eq!((bench.lines().await, lines), (play.journal.len(), play.journal.len()));
}

#[tokio::test]
async fn two_claims_of_one_batch_get_two_holds_and_each_its_work() {
    let bench = Bench::new(&open(3)).await;
    let tell = |who| bench.tell(claim(who), Origin::Any);
    let before = bench.store.commits.load(Ordering::SeqCst);
    // The first takes the page that was made ahead.
    let (ana, bo, cy) = join!(tell("ana"), tell("bo"), tell("cy"));
    assert!(ana.expect("free").page.is_some());
    assert_eq!(bench.store.commits.load(Ordering::SeqCst), before + 1, "committed together");
    let ids = [bo, cy].map(|told| told.expect("free").hold.expect("a hold"));
    assert_ne!(ids[0], ids[1]);
    let work = bench.store.work_of(bench.sale).await.expect("reads");
    let orders = work.iter().filter_map(|work| match work.effect {
        Effect::OpenCheckout { hold, .. } => Some(hold),
        _ => None,
    });
    assert_eq!(orders.collect::<Vec<_>>(), ids);
}

#[tokio::test]
async fn a_look_is_shown_what_waited_before_it_and_beside_it() {
    let bench = Bench::new(&open(3)).await;
    let look = bench.engine.look(bench.sale, |sale| sale.head.tally.taken());
    let (taken, told) = join!(look, bench.tell(claim("ana"), Origin::Any));
    told.expect("free");
    assert_eq!(taken.expect("there"), 1);
}

#[tokio::test]
async fn a_code_is_one_hold_s_whether_it_is_claimed_or_waited_with() {
    for together in [true, false] {
        for waits in [true, false] {
            let mut play = open(if waits { 1 } else { 3 });
            play.claim("first").expect("takes the first page");
            let bench = Bench::new(&play).await;
            let event = |who: &str| match waits {
                true => Event::Joined(with_code(who)),
                false => Event::Claimed(with_code(who)),
            };
            let (one, two) = match together {
                true => join!(
                    bench.tell(event("ana"), Origin::Any),
                    bench.tell(event("bo"), Origin::Any)
                ),
                false => (
                    bench.tell(event("ana"), Origin::Any).await,
                    bench.tell(event("bo"), Origin::Any).await,
                ),
            };
            assert!(one.is_ok(), "{one:?}");
            assert!(code_used(&two), "together: {together}, in line: {waits}: {two:?}");
        }
    }
    // Nor does it matter that the page was there before it.
    let bench = Bench::new(&open(3)).await;
    let told = bench.tell(Event::Claimed(with_code("ana")), Origin::Any).await.expect("free");
    assert!(told.page.is_some(), "a page made ahead");
    assert!(code_used(&bench.tell(Event::Claimed(with_code("bo")), Origin::Any).await));
}

#[tokio::test]
async fn a_code_let_go_in_the_batch_that_claimed_it_is_free_and_then_the_next_one_s() {
    for at_once in [true, false] {
        let mut play = open(1);
        play.claim("first").expect("takes the first page");
        let bench = Bench::new(&play).await;
        let ana = HoldId { sale: bench.sale, n: play.sale.head.next_n };
        let joins = |who| bench.tell(Event::Joined(with_code(who)), Origin::Any);
        let leaves = || bench.tell(Event::LetGo { hold: ana }, Origin::Any);
        let (joined, left, next) = if at_once {
            join!(joins("ana"), leaves(), joins("bo"))
        } else {
            let (joined, left) = join!(joins("ana"), leaves());
            (joined, left, joins("bo").await)
        };
        assert_eq!(joined.expect("a place").hold, Some(ana));
        left.expect("may leave");
        next.expect("the code is free again");
        assert!(code_used(&joins("cy").await), "it is Bo's now");
        // So it is after a restart.
        let late = bench.another();
        let late = late.tell(bench.sale, Event::Joined(with_code("dee")), "test", Origin::Any);
        assert!(code_used(&late.await), "{at_once}");
    }
}

#[tokio::test]
async fn a_late_payment_takes_no_code_from_whoever_has_it_now() {
    let mut play = open(3);
    let ana = play.claims(*with_code("ana")).expect("free");
    play.work();
    let page = play.page_of(ana);
    play.tell(Event::LetGo { hold: ana }).expect("may let go");
    play.work();
    play.reopen(&page);
    let fact = play.pay_page(&page).expect("payable");
    let bench = Bench::new(&play).await;
    bench.tell(Event::Claimed(with_code("bo")), Origin::Any).await.expect("the code is free");
    let paid = Event::PaymentSeen(Box::new(fact.clone()));
    bench.tell(paid, once("e1")).await.expect("money is never refused");
    let stored = bench.stored().await;
    assert_eq!(stored.hold(ana).expect("there").state.word(), "released");
    assert_eq!(stored.payment(&fact.id).expect("there").fate.word(), "refunding");
    let bos = stored.holds_of(&Buyer::from("bo")).next().expect("his").id;
    // Bo lets go; nothing is stuck.
    bench.tell(Event::LetGo { hold: bos }, Origin::Any).await.expect("may let go");
}

#[tokio::test]
async fn after_a_commit_that_failed_only_what_is_stored_is_shown_and_it_can_be_said_again() {
    let bench = Bench::new(&open(1)).await;
    bench.tell(Event::Ticked, Origin::Any).await.expect("loads it");
    bench.store.fails.store(1, Ordering::SeqCst);
    let lost = bench.tell(claim("ana"), once("m1")).await;
    assert!(matches!(lost, Err(TellError::Store(_))), "{lost:?}");
    let look = |sale: &crate::sale::Sale| (sale.head.tally.taken(), sale.head.revision);
    let shown = bench.engine.look(bench.sale, look).await.expect("there");
    assert_eq!(shown, look(&bench.stored().await));
    assert_eq!(shown.0, 0);
    bench.tell(claim("ana"), once("m1")).await.expect("free, and not heard before");
    assert_eq!(bench.stored().await.head.tally.taken(), 1);
    bench.engine.look(bench.sale, |sale| sale.audit()).await.expect("there").expect("sound");
}

#[tokio::test]
async fn what_was_decided_about_an_older_revision_is_decided_again() {
    let mut play = open(1);
    let ana = play.claim("ana").expect("free");
    let bench = Bench::new(&play).await;
    bench.tell(Event::Ticked, Origin::Any).await.expect("loads it");
    // Another program lets Ana's hold go, whose page was never made.
    let other = bench.another();
    let closed = || Event::CheckoutClosed {
        hold: ana,
        nth: 1,
        checkout: play.hold(ana).checkouts.first().map(|page| page.id.clone()),
        answer: CloseAnswer::Closed,
    };
    for event in [Event::LetGo { hold: ana }, closed()] {
        other.tell(bench.sale, event, "other", Origin::Any).await.expect("told");
    }
    let stored = bench.stored().await;
    let state = &stored.hold(ana).expect("there").state;
    assert!(
        matches!(state, crate::sale::hold::HoldState::Released { why: Lapse::LetGo, .. }),
        "{state:?}"
    );
    // A no that rests on how things were is no answer; nor does a yes overwrite what came since.
    bench.tell(claim("bo"), once("m1")).await.expect("free by now");
    other.tell(bench.sale, minutes(1), "other", Origin::Any).await.expect("open");
    bench.tell(minutes(2), once("m2")).await.expect("open");
    let length = bench.stored().await.head.length;
    assert_eq!(length, play.sale.head.length + Span::from_mins(3));
}

/// A sale with no number left: whatever needs a new one breaks the program.
fn no_numbers(mut play: Play) -> Play {
    play.sale.head.next_n = u32::MAX;
    play
}

#[tokio::test]
async fn one_that_breaks_the_program_is_set_aside_and_takes_nothing_with_it() {
    let mut play = open(3);
    play.claim("first").expect("takes the first page");
    let bench = Bench::new(&no_numbers(play)).await;
    let before = bench.stored().await.head.length;
    let (one, poison, two) = join!(
        bench.tell(minutes(1), once("a")),
        bench.tell(claim("bo"), once("b")),
        bench.tell(minutes(2), once("c"))
    );
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    assert!(matches!(poison, Err(TellError::Quarantined(_))), "{poison:?}");
    let length = bench.stored().await.head.length;
    assert_eq!(length, before + Span::from_mins(3), "each once");
    // However often it comes back, it is set aside once.
    let again = bench.tell(claim("bo"), once("b")).await;
    assert!(matches!(again, Err(TellError::Quarantined(_))), "{again:?}");
    let journal = bench.store.journal(bench.sale).await.expect("reads");
    assert_eq!(journal.iter().filter(|line| line.quarantined.is_some()).count(), 1);
}

#[tokio::test]
async fn work_whose_outcome_breaks_the_program_waits_for_a_person() {
    let mut play = Play::new(Template { warm: 2, ..template() });
    for _ in 0..2 {
        let (effect, _) = play.todo.pop_front().expect("provisions, then orders");
        play.perform(&effect, CloseMood::Honest);
    }
    let Some((Effect::Probe { hold, checkout }, _)) = play.todo.front().cloned() else {
        panic!("a page to look at: {:?}", play.todo);
    };
    let bench = Bench::new(&no_numbers(play)).await;
    let leased = bench.lease("t").await.expect("work");
    // The page is fine: the sale opens, and orders more of them.
    let told = bench
        .tell(
            Event::Probed { hold, checkout, verdict: Verdict::Payable },
            Origin::Effect(leased.id.clone(), leased.token),
        )
        .await;
    assert!(matches!(told, Err(TellError::Quarantined(_))), "{told:?}");
    let parked = bench.store.parked().await.expect("reads");
    assert_eq!(parked.iter().map(|one| &one.id).collect::<Vec<_>>(), [&leased.id]);
}

#[tokio::test]
async fn moderators_hear_of_what_was_set_aside() {
    let mut play = open(3);
    play.claim("first").expect("takes the first page");
    let bench = Bench::new(&no_numbers(play)).await;
    let told = bench.tell(claim("bo"), once("b")).await;
    assert!(matches!(told, Err(TellError::Quarantined(_))), "{told:?}");
    let work = bench.store.work_of(bench.sale).await.expect("reads");
    let trouble = work.iter().filter(|one| match &one.effect {
        Effect::Announce { room, notice } => {
            let said = crate::notice::text::line(notice, "LINK");
            *room == crate::room::Room::console() && said.contains("work off an event")
        }
        _ => false,
    });
    assert_eq!(trouble.count(), 1, "{work:?}");
}

#[tokio::test]
async fn changes_of_the_shop_that_meet_are_all_made() {
    let bench = Bench::new(&open(1)).await;
    let other = bench.another();
    let next = |shop: &Shop| Shop {
        version: shop.version + 1,
        next_number: shop.next_number + 1,
        ..shop.clone()
    };
    let change = |engine: &crate::engine::Engine| {
        let engine = engine.clone();
        async move { engine.shop_change(|shop, _| Some((next(shop), ()))).await }
    };
    let before = bench.store.shop().await.expect("reads").next_number;
    for _ in 0..8 {
        let (one, two) = join!(change(&bench.engine), change(&other));
        assert_eq!((one.expect("made"), two.expect("made")), (Some(()), Some(())));
    }
    assert_eq!(bench.store.shop().await.expect("reads").next_number, before + 16);
}

#[tokio::test]
async fn given_up_work_of_another_sale_is_not_taken_up() {
    let bench = Bench::new(&Play::new(template())).await;
    let leased = bench.lease("t").await.expect("work");
    let event = Event::Parked { effect: leased.effect.clone(), why: "away".to_owned() };
    let origin = Origin::Parked(leased.id.clone(), leased.token, "away".to_owned());
    bench.tell(event, origin).await.expect("told");
    let number = bench.stored().await.head.number;
    for (of, taken) in [(Some(number + 1), 0), (Some(number), 1), (None, 0)] {
        assert_eq!(bench.engine.retry_all(of).await.expect("looks"), taken, "{of:?}");
    }
}
