//! Square's clock is not this machine's.

use livetill::{clock::Span, finding::Level};

use crate::{
    square::{
        doctor::account,
        fake::{Fake, LOCATION, TOKEN},
        options::{stock_item, with},
        shop::{MUG, Shop},
    },
    world::{ManualClock, mins, secs},
};
use livetill::provider::Provider;

async fn sells_whatever_the_clocks_say(template: &str, drift_ms: i64) {
    let mut shop = Shop::new(template).await;
    shop.square.books().faults.drift_ms = drift_ms;
    let reused = template.contains("reuse");
    if reused {
        stock_item(&shop, 1800);
    }
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    shop.says("!sale restock 2").await;
    shop.passes(secs(20)).await;
    let view = shop.world.newest();
    assert_eq!((view.paid, view.left, view.held), (1, 4, 0), "{drift_ms}");
    let counts: Vec<i64> = shop.square.books().counts.values().map(|(count, _)| *count).collect();
    assert_eq!(counts, [4], "{drift_ms}: what Square has in stock");
    let id = view.id;
    let sale = shop.world.app.engine.store().load(id).await.expect("the store").expect("the sale");
    assert!(sale.payments().all(|one| !one.late && !one.surplus), "{drift_ms}");
    shop.world.clicks("bo").await;
    shop.pays("bo").await;
    shop.world.advance(mins(14)).await;
    shop.asks().await;
    assert!(shop.world.newest().closed, "{drift_ms}");
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn a_sale_runs_with_a_clock_that_is_seconds_or_minutes_off() {
    for seconds in [-300, -60, -3, 3, 60, 300] {
        sells_whatever_the_clocks_say(MUG, seconds * 1000).await;
    }
}

#[tokio::test]
async fn a_reused_item_is_never_counted_in_the_future() {
    let reuse = with("strategy = \"reuse\"\nvariation_id = \"VAR\"");
    for millis in [-300_000, -2_200, -1_200, 60_000] {
        sells_whatever_the_clocks_say(&reuse, millis).await;
    }
}

#[tokio::test]
async fn check_names_a_clock_that_is_off() {
    let fake = Fake::start(ManualClock::new()).await;
    for (drift, says) in [
        (Span::ZERO.millis(), None),
        (-3000, Some("behind this machine's")),
        (-60_000, Some("behind this machine's")),
        (300_000, Some("ahead of this machine's")),
    ] {
        fake.books().faults.drift_ms = drift;
        let found = account(&fake, TOKEN, LOCATION).check(&[], false).await;
        let told: Vec<_> = found.iter().filter(|one| one.says.contains("clock is")).collect();
        match says {
            // A busy machine may see the answer late, and take that for seconds behind.
            None => assert!(told.iter().all(|one| one.says.contains("behind")), "{told:?}"),
            Some(says) => {
                assert_eq!(told.len(), 1, "{drift}: {found:?}");
                assert!(
                    told[0].says.contains(says) && told[0].level == Level::Warning,
                    "{drift}: {told:?}"
                );
                assert!(told[0].says.contains("NTP"), "{told:?}");
            }
        }
    }
}
