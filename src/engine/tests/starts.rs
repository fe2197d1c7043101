//! Starts: each message once, and the same goods once at a time.

use super::bench::{Bench, seen};
use crate::{
    clock::Span,
    engine::{StartOrder, TellError},
    room::Room,
    sale::{
        Phase,
        event::Event,
        refusal::Refusal,
        template::Template,
        tests::play::{Play, moderator, template},
    },
    store::Store,
};

fn order(title: &str) -> StartOrder {
    StartOrder {
        template: Template { title: title.to_owned(), ..template() },
        rooms: Vec::new(),
        mod_rooms: vec![Room::console()],
        by: moderator(),
        asked_in: Room::console(),
        arm: false,
        second: false,
        seen: None,
    }
}

#[tokio::test]
async fn a_message_that_comes_again_starts_nothing_again() {
    let bench = Bench::new(&Play::open(template())).await;
    let order = StartOrder { seen: Some(seen("m1")), ..order("Another Mug") };
    let view = bench.engine.start(&order).await.expect("starts");
    assert_eq!(view.title, "Another Mug");
    for engine in [bench.engine.clone(), bench.another()] {
        bench.pass(Span::from_secs(1));
        let again = engine.start(&StartOrder { second: true, ..order.clone() }).await;
        assert!(matches!(again, Err(TellError::Duplicate)), "{again:?}");
    }
    assert_eq!(bench.store.live_sales().await.expect("reads").len(), 2);
}

#[tokio::test]
async fn the_same_goods_are_sold_once_at_a_time_until_they_are_no_longer() {
    let play = Play::open(template());
    let bench = Bench::new(&play).await;
    let title = play.sale.head.template.title.clone();
    for engine in [bench.engine.clone(), bench.another()] {
        let no = engine.start(&order(&title)).await;
        let expected = Refusal::OnAlready { number: 7, title: title.clone() };
        assert!(matches!(&no, Err(TellError::Refused(no)) if *no == expected), "{no:?}");
    }
    let second = StartOrder { second: true, ..order(&title) };
    bench.engine.start(&second).await.expect("it was asked for");
    // One that only waits for its last buyers offers nothing any more.
    let mut play = Play::open(template());
    play.claim("ana").expect("free");
    play.work();
    play.tell(Event::Stopped).expect("open");
    assert!(matches!(play.sale.head.phase, Phase::Closing { .. }), "{:?}", play.sale.head.phase);
    let bench = Bench::new(&play).await;
    bench.engine.start(&order(&title)).await.expect("starts");
}
