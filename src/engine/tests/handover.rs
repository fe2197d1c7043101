//! Whoever waits for a page gets it as soon as it is there, and no longer waits when there is none.

use tokio::join;

use super::bench::Bench;
use crate::{
    clock::Span,
    engine::Origin,
    id::HoldId,
    sale::{
        event::Event,
        tests::play::{Play, template},
    },
};

/// Bo waits for a page; and what happens until it can be paid.
fn waits(payable: bool) -> (Play, HoldId, Vec<Event>) {
    let mut play = Play::open(template());
    play.claim("first").expect("takes the first page");
    let bo = play.claim("bo").expect("free");
    let mut done = play.clone();
    done.payable = payable;
    done.work();
    let events = done.history[play.history.len()..].to_vec();
    (play, bo, events)
}

#[tokio::test]
async fn a_page_is_handed_over_when_it_is_there_by_a_program_that_never_heard_of_the_sale() {
    for known in [true, false] {
        let (play, bo, events) = waits(true);
        let bench = Bench::new(&play).await;
        bench.nobody_wakes();
        if known {
            bench.engine.look(bench.sale, |_| ()).await.expect("there");
        }
        let happens = async {
            for event in events {
                bench.tell(event, Origin::Any).await.expect("an outcome");
            }
        };
        let (page, ()) = join!(bench.engine.handed_over(bo, Span::from_secs(5)), happens);
        let stored = bench.stored().await;
        let url = stored.hold(bo).and_then(|hold| hold.page()).map(|page| page.url.clone());
        assert!(url.is_some() && page == url, "known: {known}: {page:?}");
        // Once more, and it is there at once.
        assert_eq!(bench.engine.handed_over(bo, Span::ZERO).await, url);
    }
}

#[tokio::test]
async fn nobody_waits_for_a_page_that_will_not_come() {
    let (play, bo, _) = waits(true);
    let bench = Bench::new(&play).await;
    bench.nobody_wakes();
    let nobody = HoldId { n: 99, ..bo };
    assert_eq!(bench.engine.handed_over(nobody, Span::from_secs(5)).await, None);
    let let_go = bench.tell(Event::LetGo { hold: bo }, Origin::Any);
    let (page, told) = join!(bench.engine.handed_over(bo, Span::from_secs(5)), let_go);
    told.expect("may let go");
    assert_eq!(page, None);
}
