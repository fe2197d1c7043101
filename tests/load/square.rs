//! How long a sale takes to open at Square, whose every call takes a while: the program's own
//! adapter against the stand-in of the tests.

#[path = "../it/square/catalog.rs"]
mod catalog;
#[path = "../it/square/checkout.rs"]
mod checkout;
#[path = "../it/square/contract.rs"]
mod contract;
#[expect(dead_code, reason = "tests use the rest of it")]
#[path = "../it/square/fake.rs"]
mod fake;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use livetill::{clock::SystemClock, room::PlatformName, view::State};

use self::fake::{Fake, KEY, LOCATION, NOTIFICATION_URL, TOKEN};
use crate::{
    rooms::{Hears, Said, far},
    row::{self, Row},
    shop::{Plan, Shop, runtime, until},
};

/// From the command to the line that says the sale is open, handed to a chat service: from
/// nothing, and for a sale that was armed before.
pub fn opening(latency: Duration, pairs: usize) -> Vec<Row> {
    let row = |what: &str, goal| {
        let what = format!("{what} at Square, calls of {} ms", latency.as_millis());
        Row::new(what, "ms", goal)
    };
    let mut cold = row("!sale start to SALE OPEN", "≤ 4 ×");
    let mut armed = row("!sale start of an armed sale to SALE OPEN", "≤ 0.1 ×");
    for _ in row::pairs(&cold.what, pairs) {
        let (from_nothing, from_armed, calls) = runtime().block_on(one(latency));
        for (row, took) in [(&mut cold, from_nothing), (&mut armed, from_armed)] {
            row.ours.push(took.as_secs_f64() * 1000.0);
            row.reference.push(latency.as_secs_f64() * 1000.0);
        }
        cold.note = format!("beside one call; {}, and the page itself", calls.join(", "));
        armed.note = "beside one call".to_owned();
    }
    vec![cold, armed]
}

/// Both times, and what was asked of Square until the first sale was open.
async fn one(latency: Duration) -> (Duration, Duration, Vec<String>) {
    let fake = Fake::start(Arc::new(SystemClock)).await;
    fake.books().faults.latency = latency;
    let (far, mut hears) = far(PlatformName::Discord, Duration::ZERO);
    let key = |name: &str| format!("LIVETILL_PROVIDERS__SQUARE__{name}");
    let plan = Plan {
        stock: 20,
        warm: 1,
        template: "provider = \"square\"",
        config: format!(
            "[shop]\nrooms = [\"discord:1\"]\n[providers.square]\napi_url = \"{}\"\n\
             location_id = \"{LOCATION}\"\nnotification_url = \"{NOTIFICATION_URL}\"\n\
             calls_per_second = 100000\n",
            fake.url
        ),
        environment: HashMap::from([
            (key("ACCESS_TOKEN"), TOKEN.to_owned()),
            (key("SIGNATURE_KEYS"), KEY.to_owned()),
        ]),
        platforms: vec![far],
        ..Plan::default()
    };
    let shop = Shop::closed(plan).await;
    let before = fake.books().calls.len();
    let from_nothing = opens(&shop, &mut hears, "!sale start mug 10m").await;
    let calls = fake.books().calls[before..].to_vec();
    shop.says("!sale arm mug 10m").await;
    let number = until("armed", async || {
        let mut views = shop.app.engine.views().all().into_iter();
        views.find(|view| view.state == State::Armed).map(|view| view.number)
    });
    let number = number.await;
    let from_armed = opens(&shop, &mut hears, &format!("!sale start #{number}")).await;
    shop.close().await;
    (from_nothing, from_armed, calls)
}

async fn opens(shop: &Shop, hears: &mut Hears, line: &str) -> Duration {
    let said = Instant::now();
    shop.says(line).await;
    hears.heard(Said::Opened).await.1 - said
}
