//! Payments that belong to nothing so far: matched as soon as their page is known, whatever was
//! forgotten meanwhile, and dropped when they are surely somebody else's.

use std::sync::atomic::Ordering;

use super::bench::{Bench, once, seen};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    provider::News,
    sale::{
        effect::Effect,
        event::Event,
        hold::Checkout,
        payment::PaymentFact,
        tests::play::{CloseMood, Play, template},
    },
    store::Store,
};

/// Bo's page is made and paid, and the answer that tells of it is on its way.
fn unheard() -> (Play, HoldId, Checkout, PaymentFact) {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let bo = play.claim("bo").expect("free");
    let (order, _) = play.todo.pop_front().expect("ordered");
    assert!(matches!(order, Effect::OpenCheckout { .. }));
    let Some(Event::CheckoutOpened { checkout, .. }) = play.outcome(&order, CloseMood::Honest)
    else {
        panic!("a page");
    };
    let fact = play.pay_page(&checkout.id).expect("payable");
    let checkout = Checkout { order: Some("O1".to_owned()), ..checkout };
    (play, bo, checkout, PaymentFact { hold: None, ..fact })
}

async fn arrives(bench: &Bench, fact: &PaymentFact) {
    let news = News::Payment(fact.clone());
    bench.engine.take("model", news, Some(seen("e1"))).await.expect("stored");
    assert_eq!(bench.store.unmatched().await.expect("reads").len(), 1);
}

async fn opened(bench: &Bench, hold: HoldId, checkout: &Checkout) {
    let event = Event::CheckoutOpened { hold, checkout: checkout.clone() };
    bench.tell(event, once("opened")).await.expect("an outcome");
}

async fn is_paid(bench: &Bench, hold: HoldId) -> bool {
    let word = bench.stored().await.hold(hold).expect("there").state.word();
    assert_eq!(bench.store.unmatched().await.expect("reads").is_empty(), word == "paid");
    word == "paid"
}

#[tokio::test]
async fn it_is_matched_as_its_page_is_known_by_whichever_name() {
    for by_order in [true, false] {
        let (play, bo, page, fact) = unheard();
        let fact = match by_order {
            true => PaymentFact { checkout: None, order: Some("O1".to_owned()), ..fact },
            false => fact,
        };
        let bench = Bench::new(&play).await;
        // Nothing waited so far.
        bench.engine.match_again().await.expect("looks");
        arrives(&bench, &fact).await;
        bench.engine.match_again().await.expect("looks");
        opened(&bench, bo, &page).await;
        assert!(!is_paid(&bench, bo).await);
        bench.engine.match_page(&page).await.expect("matched");
        assert!(is_paid(&bench, bo).await, "by order: {by_order}");
    }
}

#[tokio::test]
async fn after_a_restart_it_is_matched_without_any_other_news() {
    let (play, bo, page, fact) = unheard();
    let bench = Bench::new(&play).await;
    arrives(&bench, &fact).await;
    opened(&bench, bo, &page).await;
    bench.another().match_again().await.expect("matched");
    assert!(is_paid(&bench, bo).await);
}

#[tokio::test]
async fn one_that_comes_after_a_round_that_found_nothing_is_looked_at() {
    let (play, bo, page, fact) = unheard();
    let bench = Bench::new(&play).await;
    bench.engine.match_again().await.expect("nothing waits");
    arrives(&bench, &fact).await;
    opened(&bench, bo, &page).await;
    bench.engine.match_again().await.expect("matched");
    assert!(is_paid(&bench, bo).await);
}

#[tokio::test]
async fn what_is_surely_foreign_is_dropped_and_the_rest_is_asked_about_now_and_then() {
    let (play, bo, _, fact) = unheard();
    let bench = Bench::new(&play).await;
    let elsewhere = HoldId { sale: SaleId::new(play.now, [9; 16]), n: 1 };
    arrives(&bench, &PaymentFact { hold: Some(elsewhere), ..fact.clone() }).await;
    bench.engine.match_again().await.expect("looks");
    assert!(bench.store.unmatched().await.expect("reads").is_empty(), "of another database");

    for n in 0..8 {
        let stray = PaymentFact { id: PaymentId::from(format!("s{n}")), ..fact.clone() };
        bench.engine.take("model", News::Payment(stray), None).await.expect("stored");
    }
    let asked = || bench.stub.asked_whose.load(Ordering::SeqCst);
    for all in [5, 8, 8] {
        bench.engine.match_again().await.expect("looks");
        assert_eq!(asked(), all, "a few in each round, and each once for a while");
    }
    bench.pass(Span::from_mins(10));
    bench.engine.match_again().await.expect("looks");
    assert_eq!(asked(), 13);
    // One of them turns out to be ours; the others are forgotten after days, and no sooner.
    *bench.stub.whose.lock().expect("unpoisoned") = Some(bo);
    bench.pass(Span::from_mins(10));
    bench.engine.match_again().await.expect("looks");
    assert_eq!(bench.stored().await.payments().count(), 5);
    *bench.stub.whose.lock().expect("unpoisoned") = None;
    let left = |bench: &Bench| bench.store.clone();
    assert_eq!(left(&bench).unmatched().await.expect("reads").len(), 3);
    bench.pass(Span::from_secs(3 * 24 * 3600).minus(Span::from_mins(20)));
    bench.engine.match_again().await.expect("looks");
    assert_eq!(left(&bench).unmatched().await.expect("reads").len(), 3);
    bench.pass(Span::from_millis(1));
    bench.engine.match_again().await.expect("looks");
    assert!(left(&bench).unmatched().await.expect("reads").is_empty());
}

#[tokio::test]
async fn a_correction_counts_only_of_what_is_known_and_needs_no_other_name() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay(ana);
    let bench = Bench::new(&play).await;
    let unknown = PaymentFact { id: PaymentId::from("other"), ..fact.clone() };
    let unknown = PaymentFact { hold: None, checkout: Some(CheckoutId::from("x")), ..unknown };
    bench.engine.take("model", News::Correction(unknown), None).await.expect("taken");
    assert!(bench.store.unmatched().await.expect("reads").is_empty());
    let known =
        PaymentFact { hold: None, checkout: None, order: None, refunded: 500, ..fact.clone() };
    bench.engine.take("model", News::Correction(known), None).await.expect("taken");
    let stored = bench.stored().await;
    assert_eq!(stored.payment(&fact.id).expect("known").fact.refunded, 500);
    assert_eq!(stored.payment(&fact.id).expect("known").hold, Some(ana));
}

#[tokio::test]
async fn a_page_of_ours_says_more_than_a_reference_that_is_not() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.pay_page(&play.page_of(ana)).expect("payable");
    let bench = Bench::new(&play).await;
    let elsewhere = HoldId { sale: SaleId::new(play.now, [9; 16]), n: 1 };
    let fact = PaymentFact { hold: Some(elsewhere), ..fact };
    bench.engine.take("model", News::Payment(fact), None).await.expect("taken");
    assert!(is_paid(&bench, ana).await);
}

#[tokio::test]
async fn a_stray_is_heard_once() {
    let (play, _, _, fact) = unheard();
    let bench = Bench::new(&play).await;
    arrives(&bench, &fact).await;
    assert!(!bench.store.hear(seen("e1"), play.now).await.expect("writes"), "it was heard");
}

#[tokio::test]
async fn a_page_that_the_provider_closed_by_itself_is_closed() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let page = play.page_of(ana);
    let bench = Bench::new(&play).await;
    for checkout in [CheckoutId::from("of somebody else"), page.clone()] {
        let news = News::PageClosed { checkout };
        bench.engine.take("model", news, None).await.expect("taken");
    }
    let stored = bench.stored().await;
    let hold = stored.hold(ana).expect("there");
    assert!(hold.checkout(&page).expect("its page").closed, "{hold:?}");
}
