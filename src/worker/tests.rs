//! Work that is repeated, given up or not wanted, and leases that outlast it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use async_trait::async_trait;

use super::{CALL_DEADLINE, Hand, LEASE, Ran, TELL_AGAIN_AFTER, Worker, pace::Pace};
use crate::{
    clock::{Clock, Span, Timestamp},
    engine::tests::bench::{Bench, Stub},
    id::HoldId,
    platform::{Limits, Platform, Post, Reply, SayError, Updates},
    provider::{News, Outcome, ProviderError},
    room::{Message, PlatformName, Room},
    sale::{
        effect::Effect,
        event::Event,
        payment::PaymentFact,
        tests::play::{CloseMood, Play, template},
    },
    store::Store,
    view::View,
};

#[test]
fn a_lease_outlasts_its_call_and_the_telling_of_what_came_of_it() {
    let telling: std::time::Duration = TELL_AGAIN_AFTER.iter().sum();
    assert!(LEASE.to_std() > CALL_DEADLINE + telling, "{LEASE:?}");
}

/// Bo waits for a page that is to be made.
fn ordered() -> (Play, HoldId) {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let bo = play.claim("bo").expect("free");
    (play, bo)
}

fn worker(bench: &Bench) -> Worker {
    Worker::new(bench.engine.clone(), Hand::Provider(bench.stub.clone()), Pace::new(1e6, 1e6))
}

fn will_say(bench: &Bench, answer: Result<Outcome, ProviderError>) {
    bench.stub.answers.lock().expect("unpoisoned").push_back(answer);
}

fn retry(after: Option<Span>) -> ProviderError {
    ProviderError::Retry { says: "not now".to_owned(), after }
}

/// Runs what is due; says whether that was something.
async fn runs(bench: &Bench) -> bool {
    worker(bench).run_one().await.expect("works") == Ran::One
}

async fn due_at(bench: &Bench) -> Option<Timestamp> {
    bench.store.next_effect("model").await.expect("reads")
}

#[tokio::test]
async fn another_worker_gets_nothing_until_the_lease_is_over() {
    let (play, _) = ordered();
    for idempotent in [true, false] {
        let stub = Stub { idempotent, ..Stub::default() };
        let bench = Bench::with(&play, stub).await;
        bench.lease("t").await.expect("work");
        assert!(bench.lease("u").await.is_none());
        // The process is gone. Without keys to repeat by, what it did is waited for.
        worker(&bench).recover().await.expect("ends leases");
        assert_eq!(bench.lease("v").await.is_some(), idempotent);
        let (play, _) = ordered();
        let bench = Bench::new(&play).await;
        let got = worker(&bench).lease().await.expect("leases");
        let super::Lease::Got(leased) = got else { panic!("work") };
        bench.pass(LEASE.minus(Span::from_millis(1)));
        assert!(bench.lease("u").await.is_none());
        bench.pass(Span::from_millis(1));
        assert_eq!(bench.lease("u").await.expect("work").id, leased.id);
    }
}

#[tokio::test]
async fn only_the_first_attempt_at_a_request_is_a_first_one() {
    let (play, _) = ordered();
    let bench = Bench::new(&play).await;
    let body = serde_json::json!({ "without": "the address" });
    will_say(&bench, Err(ProviderError::SlowDown { after: Some(Span::from_secs(1)) }));
    will_say(&bench, Err(retry(None)));
    will_say(&bench, Err(ProviderError::Amend { body, says: "a bad address".to_owned() }));
    will_say(&bench, Err(retry(None)));
    for _ in 0..4 {
        assert!(runs(&bench).await);
        bench.pass(Span::from_secs(5));
    }
    let calls = bench.stub.calls.lock().expect("unpoisoned").clone();
    // Being asked to slow down is no attempt. A changed request has a key of its own, and is no
    // first one all the same: what was wrong with the first is not certain.
    assert_eq!(calls.iter().map(|call| call.first).collect::<Vec<_>>(), [true, true, false, false]);
    let keys: Vec<_> = calls.iter().map(|call| call.key.as_str()).collect();
    assert!(keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3], "{keys:?}");
}

#[tokio::test]
async fn what_the_provider_asks_for_is_waited_for() {
    let (play, _) = ordered();
    let bench = Bench::new(&play).await;
    will_say(&bench, Err(retry(Some(Span::from_secs(100)))));
    assert!(runs(&bench).await);
    let waits = due_at(&bench).await.expect("put off").since(bench.clock.now());
    // Up to a fifth shorter or longer.
    assert!((80..=120).contains(&waits.secs()), "{waits:?}");
}

#[tokio::test]
async fn what_nobody_wants_any_more_is_not_sent() {
    let (mut play, bo) = ordered();
    play.tell(Event::LetGo { hold: bo }).expect("may let go");
    let bench = Bench::new(&play).await;
    while runs(&bench).await {}
    assert!(bench.stub.calls.lock().expect("unpoisoned").is_empty());
    assert_eq!(bench.stored().await.hold(bo).expect("there").state.word(), "released");
}

#[tokio::test]
async fn a_page_that_is_given_up_is_nothing_to_take_up_again_and_a_listing_is() {
    for (play, parked) in [(ordered().0, 0), (Play::new(template()), 1)] {
        let bench = Bench::new(&play).await;
        let leased = bench.lease("t").await.expect("work");
        let is_page = matches!(leased.effect, Effect::OpenCheckout { .. });
        assert_eq!(is_page, parked == 0);
        worker(&bench).park(&leased, "away").await.expect("told");
        let left = bench.store.parked().await.expect("reads");
        assert_eq!(left.len(), parked);
        let own = bench.store.work_of(bench.sale).await.expect("reads");
        assert_eq!(own.iter().filter(|work| work.effect == leased.effect).count(), parked);
    }
}

/// The page that the provider makes, and what is paid on it before anybody heard of it.
fn made(play: &mut Play) -> (Outcome, PaymentFact) {
    let order = play.todo.front().expect("ordered").0.clone();
    let Some(Event::CheckoutOpened { checkout, .. }) = play.outcome(&order, CloseMood::Honest)
    else {
        panic!("a page");
    };
    let fact = play.pay_page(&checkout.id).expect("payable");
    (Outcome::Opened(checkout), PaymentFact { hold: None, ..fact })
}

#[tokio::test]
async fn what_was_done_is_told_again_when_the_store_was_away() {
    let (mut play, bo) = ordered();
    let (page, fact) = made(&mut play);
    let bench = Bench::new(&play).await;
    // It was paid before its page was known.
    bench.engine.take("model", News::Payment(fact), None).await.expect("stored");
    will_say(&bench, Ok(page));
    bench.store.fails.store(2, Ordering::SeqCst);
    assert!(runs(&bench).await);
    assert_eq!(bench.stub.calls.lock().expect("unpoisoned").len(), 1, "and it was done once");
    assert_eq!(bench.stored().await.hold(bo).expect("there").state.word(), "paid");
    assert!(bench.store.unmatched().await.expect("reads").is_empty());
}

/// A chat that hears everything, or nothing at first.
#[derive(Default)]
struct Chat {
    deaf: AtomicU32,
    heard: Mutex<Vec<(String, bool)>>,
}

#[async_trait]
impl Platform for Chat {
    fn name(&self) -> PlatformName {
        PlatformName::Twitch
    }

    fn limits(&self, _: &Room) -> Limits {
        Limits {
            sends: 100,
            within: Span::from_secs(1),
            updates: Updates::Lines(Span::from_secs(1)),
        }
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.heard.lock().expect("unpoisoned").push((post.line.clone(), post.again));
        let less = |n: u32| n.checked_sub(1);
        match self.deaf.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less) {
            Ok(_) => Err(SayError::Retry("away".to_owned())),
            Err(_) => Ok(()),
        }
    }

    async fn reply(&self, _: &Message, _: &Reply) -> Result<(), SayError> {
        Ok(())
    }

    async fn say(&self, _: &Room, _: &[String]) -> Result<(), SayError> {
        Ok(())
    }

    async fn show(&self, _: &Room, _: &Arc<View>, _: &str) -> Result<(), SayError> {
        Ok(())
    }
}

#[tokio::test]
async fn what_is_no_longer_so_is_not_said_late_and_a_repetition_is_known_as_one() {
    // Everything is done but what is to be said: that it opened.
    let mut play = Play::new(template());
    while let Some(at) =
        play.todo.iter().position(|(effect, _)| !matches!(effect, Effect::Announce { .. }))
    {
        let (effect, _) = play.todo.remove(at).expect("found just now");
        play.perform(&effect, CloseMood::Honest);
    }
    for (late, over, said) in [(59, true, 2), (60, true, 1), (60, false, 2)] {
        let mut play = play.clone();
        if over {
            play.tell(Event::Stopped).expect("open");
            play.todo.truncate(1);
        }
        let bench = Bench::new(&play).await;
        let chat = Arc::new(Chat { deaf: AtomicU32::new(1), ..Chat::default() });
        let pace = Pace::new(1.0, 1.0);
        let hand = Hand::Platform(chat.clone());
        let worker = Worker::new(bench.engine.clone(), hand, pace);
        assert_eq!(worker.run_one().await.expect("works"), Ran::One);
        bench.pass(Span::from_secs(late));
        assert_eq!(worker.run_one().await.expect("works"), Ran::One);
        let heard = chat.heard.lock().expect("unpoisoned").clone();
        assert!(heard.iter().all(|(line, _)| line.starts_with("SALE OPEN")), "{heard:?}");
        let again: Vec<_> = heard.iter().map(|(_, again)| *again).collect();
        assert_eq!(again, [false, true][..said], "{late} s late, over: {over}");
    }
}

#[tokio::test]
async fn a_call_without_an_end_is_one_whose_outcome_nobody_knows() {
    let (play, bo) = ordered();
    let bench = Bench::new(&play).await;
    bench.stub.is_stuck.store(true, Ordering::SeqCst);
    let quick = Worker { within: std::time::Duration::from_millis(1), ..worker(&bench) };
    assert_eq!(quick.run_one().await.expect("works"), Ran::One);
    assert!(due_at(&bench).await.expect("put off") > bench.clock.now());
    assert_eq!(bench.stored().await.hold(bo).expect("there").state.word(), "opening");
    // It is repeated under the same key, and not as a first one.
    bench.stub.is_stuck.store(false, Ordering::SeqCst);
    will_say(&bench, Err(retry(None)));
    bench.pass(Span::from_secs(5));
    assert!(runs(&bench).await);
    let calls = bench.stub.calls.lock().expect("unpoisoned").clone();
    assert!(calls[0].key == calls[1].key && calls[0].first && !calls[1].first);
}

#[tokio::test]
async fn what_the_provider_asks_for_makes_no_wait_shorter() {
    let (play, _) = ordered();
    let bench = Bench::new(&play).await;
    for _ in 0..6 {
        will_say(&bench, Err(retry(Some(Span::from_millis(1)))));
        assert!(runs(&bench).await);
        let waits = due_at(&bench).await.expect("put off").since(bench.clock.now());
        assert!(waits >= Span::from_millis(800), "{waits:?}");
        bench.pass(Span::from_secs(20));
    }
}

#[tokio::test]
async fn an_effect_is_paced_by_all_the_calls_that_it_takes() {
    let (play, _) = ordered();
    let bench = Bench::with(&play, Stub { more_calls: 3, ..Stub::default() }).await;
    let hand = Hand::Provider(bench.stub.clone());
    let worker = Worker::new(bench.engine.clone(), hand, Pace::new(1.0, 1.0));
    will_say(&bench, Err(ProviderError::SlowDown { after: Some(Span::from_millis(1)) }));
    assert_eq!(worker.run_one().await.expect("works"), Ran::One);
    let now = bench.clock.now();
    let Ran::NotBefore(at) = worker.run_one().await.expect("works") else { panic!("at once") };
    assert!(at.since(now) >= Span::from_secs(4), "{:?}", at.since(now));
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_none() {
    let (play, bo) = ordered();
    let bench = Bench::new(&play).await;
    will_say(&bench, Ok(Outcome::Retired));
    assert!(runs(&bench).await);
    assert!(due_at(&bench).await.expect("put off") > bench.clock.now());
    assert_eq!(bench.stored().await.hold(bo).expect("there").state.word(), "opening");
}
