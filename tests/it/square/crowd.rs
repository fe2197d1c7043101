//! A crowd larger than Square's rate: the whole program with its own loops and the real clock.

use std::{sync::Arc, time::Duration};

use livetill::{
    app::{App, Outside},
    clock::{Clock, Span, SystemClock},
    config,
    id::SystemEntropy,
    platform::console::{Console, message},
    report::prove,
    store::{self, Access},
};
use tokio::net::TcpListener;

use crate::{
    books,
    database::{Database, Engine},
    square::{
        fake::{Fake, KEY, NOTIFICATION_URL, TOKEN},
        shop::{config as square_config, list, sign},
    },
    world::{Browser, ManualClock, client, crypto},
};

/// Square keeps its own time; here it follows the real one.
pub fn follow(clock: Arc<ManualClock>) {
    tokio::spawn(async move {
        loop {
            let behind = SystemClock.now().since(clock.now());
            clock.advance(behind);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_larger_than_eight_calls_a_second_is_served_in_turn() {
    let crowd = crowd();
    crypto();
    let clock = ManualClock::new();
    follow(clock.clone());
    let fake = Fake::start(clock).await;
    fake.books().faults.rate = 8;
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    let mug = format!(
        "[templates.mug]\nprovider = \"square\"\nprice = \"18.00\"\nstock = {crowd}\nwarm = 5\n\
         [http]\nholds_per_address = {crowd}\n"
    );
    let text =
        square_config(&fake, &mug, "").replace("calls_per_second = 100000", "calls_per_second = 6");
    std::fs::write(&path, text).expect("written");
    let secrets = [("ACCESS_TOKEN", TOKEN), ("SIGNATURE_KEYS", KEY)]
        .map(|(name, value)| (format!("LIVETILL_PROVIDERS__SQUARE__{name}"), value.to_owned()));
    let loaded = config::load(&path, &secrets.into()).expect("a config");
    let database = Database::new(Engine::of_worlds(), dir.path());
    let outside = Outside {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        store: Arc::new(store::open(database.url(), Access::Write).await.expect("a store")),
        listener: TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        platforms: vec![Console::new(|_| {})],
        wrap: Arc::new(|provider| provider),
    };
    let mut app = App::build(&loaded, outside).await.expect("an app");
    app.serve().await.expect("serves");
    app.run();
    app.hear(&message("start".into(), "!sale start mug 10m")).await;
    until(&app, |app| app.engine.views().all()[0].state.word() == "open").await;
    let id = app.engine.views().all()[0].id;
    let base = app.base_url.clone();
    // One store of connections; each clone keeps its own cookie.
    let visitor = Browser::new();
    let began = SystemClock.now();
    let buyers: Vec<_> = (0..crowd)
        .map(|n| tokio::spawn(buys(visitor.clone(), base.clone(), id.to_string(), n, crowd)))
        .collect();
    let mut longest = 0;
    for buyer in buyers {
        let places = buyer.await.expect("no panic").expect("nobody is dropped");
        assert!(places.is_sorted_by(|before, now| before >= now), "sent back: {places:?}");
        longest = longest.max(places.first().copied().unwrap_or(0));
    }
    assert!(0 < longest && longest < crowd, "nobody waited, or behind more than there are");
    println!(
        "{crowd} served in {}, the longest line {longest}",
        SystemClock.now().since(began).words()
    );
    // Webhooks come in one heap, as they may.
    let events: Vec<_> = fake.books().events.drain(..).collect();
    for event in events {
        let body = event.to_string();
        let signature = sign(NOTIFICATION_URL, KEY, body.as_bytes());
        let sent = client()
            .post(format!("{base}/webhooks/square"))
            .header("x-square-hmacsha256-signature", signature)
            .body(body)
            .send()
            .await;
        assert_eq!(sent.expect("answers").status(), 200);
    }
    until(&app, |app| app.engine.views().all()[0].paid == crowd).await;
    // Nothing moves any more between the two readings.
    app.stop().await;
    let sale = app.engine.store().load(id).await.expect("the store").expect("the sale");
    let proof = prove(&sale, &app.engine.store().journal(id).await.expect("the store"));
    assert_eq!((proof.oversold, &proof.wrong), (0, &Vec::new()));
    assert_eq!(fake.books().payments.len(), crowd as usize);
    books::agree(app.engine.store(), "square", &list(&fake)).await;
    let wrong = std::mem::take(&mut fake.books().wrong);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Buyers, as many as there are units; `LIVETILL_TEST_CROWD` says otherwise.
fn crowd() -> u32 {
    std::env::var("LIVETILL_TEST_CROWD").ok().and_then(|n| n.parse().ok()).unwrap_or(60)
}

/// All come within this time, one after the other.
const COME_WITHIN_MS: u64 = 5000;

/// How often a buyer's page is looked at.
const LOOK_EVERY_MS: u64 = 500;

/// Claims, waits in line on the buyer's own page, pays; answers the places in line that were shown
/// meanwhile, or where it ended instead.
async fn buys(
    mut browser: Browser,
    base: String,
    sale: String,
    n: u32,
    crowd: u32,
) -> Result<Vec<u32>, String> {
    tokio::time::sleep(Duration::from_millis(COME_WITHIN_MS * u64::from(n) / u64::from(crowd)))
        .await;
    let answer = browser.post(&format!("{base}/sales/{sale}/holds"), &[]).await;
    let Some(mut at) = answer.location.filter(|_| answer.status == 303) else {
        return Err(answer.text);
    };
    let mut places = Vec::new();
    let mut page = String::new();
    // Twice the time that the rate allows for.
    for _ in 0..40 + 2 * crowd {
        if at.contains("/u/") {
            let order = browser.get(&at).await.location.expect("sent on");
            let host = at.split("/u/").next().expect("a host").to_owned();
            let paid = browser.post(&format!("{host}{order}/pay"), &[]).await;
            return if paid.status == 303 { Ok(places) } else { Err(paid.text) };
        }
        tokio::time::sleep(Duration::from_millis(LOOK_EVERY_MS)).await;
        page = browser.get(&format!("{base}{at}")).await.text;
        places.extend(place(&page));
        if let Some(pay) = page.split("class=\"button\" href=\"").nth(1) {
            pay.split('"').next().expect("an address").clone_into(&mut at);
        }
    }
    Err(page)
}

/// How many are served before, as a buyer's page says.
fn place(page: &str) -> Option<u32> {
    if page.contains("One buyer is ahead of you") {
        return Some(1);
    }
    let before = page.split(" buyers are ahead of you").next().filter(|part| *part != page)?;
    before.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

async fn until(app: &App, fits: impl Fn(&App) -> bool) {
    let mut bell = app.engine.views().bell();
    let wait = async {
        while !fits(app) {
            bell.changed().await.expect("the engine lives");
        }
    };
    let limit = Span::from_secs(300).to_std();
    tokio::time::timeout(limit, wait).await.expect("it comes to that");
}
