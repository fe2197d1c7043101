//! The doctor and the audit, asked of the stand-in.

use std::sync::Arc;

use livetill::{
    clock::{Clock, SystemClock},
    config,
    id::SystemEntropy,
    probe::{Prober, spread},
    provider::{
        Call, Provider,
        square::{self, Square},
    },
    sale::template::Template,
    secret::Secret,
};

use crate::{
    square::{
        crowd::follow,
        fake::{Fake, LOCATION, NOTIFICATION_URL, TOKEN},
        shop::{MUG, Shop},
    },
    world::{ManualClock, crypto, mins},
};

const TEST_ARRIVED: &str = "providers.square.notification_url: Square's test event to \
                            https://shop.example/webhooks/square was answered with 200";

pub fn account(fake: &Fake, token: &str, location: &str) -> Square {
    crypto();
    let config = square::Settings {
        api_url: fake.url.clone(),
        location_id: location.to_owned(),
        notification_url: NOTIFICATION_URL.to_owned(),
        access_token: Secret::from(token),
        ..square::Settings::default()
    };
    Square::new(&config, "http://127.0.0.1:8080").expect("a client")
}

fn template(text: &str) -> Template {
    let raw = toml::from_str::<config::Config>(text).expect("reads").templates;
    config::templates(&raw).expect("good").remove("mug").expect("it")
}

async fn says(square: &Square, template: &Template, mend: bool) -> Vec<String> {
    let found = square.check(&[template], mend).await;
    found.into_iter().map(|one| format!("{}: {}", one.key, one.says)).collect()
}

#[tokio::test]
async fn each_trouble_is_named_with_its_mend() {
    let fake = Fake::start(ManualClock::new()).await;
    let mug = template(MUG);
    let found = says(&account(&fake, "wrong", LOCATION), &mug, false).await;
    assert!(found.len() == 1 && found[0].contains("LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN"));
    let found = says(&account(&fake, TOKEN, "L404"), &mug, false).await;
    assert!(found.len() == 1 && found[0].starts_with("providers.square.location_id"), "{found:?}");
    let euro = template(&format!(
        "{MUG}currency = \"EUR\"\n[templates.mug.square]\ncategory_id = \"GONE\"\n"
    ));
    let found = says(&account(&fake, TOKEN, LOCATION), &euro, false).await.join("\n");
    assert!(found.contains("templates.mug.currency: The shop sells in USD"), "{found}");
    assert!(found.contains("templates.mug.square.category_id: Square knows no GONE"), "{found}");
    assert!(found.contains("no webhook subscription sends to https://shop.example"), "{found}");
}

#[tokio::test]
async fn a_subscription_is_made_once_and_completed() {
    let fake = Fake::start(ManualClock::new()).await;
    let (square, mug) = (account(&fake, TOKEN, LOCATION), template(MUG));
    let found = says(&square, &mug, true).await;
    assert!(found.len() == 1 && found[0].contains("SIGNATURE_KEYS"), "{found:?}");
    assert!(!found[0].contains("a-new-key"), "a secret is not printed");
    assert_eq!(says(&square, &mug, false).await, [TEST_ARRIVED]);
    for one in fake.books().subscriptions.values_mut() {
        one["event_types"] = serde_json::json!(["payment.updated", "invoice.paid"]);
    }
    let found = says(&square, &mug, false).await;
    assert!(found[0].contains("leaves out") && found[0].contains("refund.updated"), "{found:?}");
    let found = says(&square, &mug, true).await;
    assert!(found[0].ends_with("fixed") && found[1] == TEST_ARRIVED, "{found:?}");
    assert_eq!(says(&square, &mug, false).await, [TEST_ARRIVED]);
    let books = fake.books();
    assert_eq!(books.subscriptions.len(), 1);
    let kept = books.subscriptions.values().next().expect("one");
    assert!(kept["event_types"].to_string().contains("invoice.paid"), "others' events stay");
    assert!(books.wrong.is_empty(), "{:?}", books.wrong);
}

#[tokio::test]
async fn the_test_event_is_tried_and_its_answer_comes_with_the_mend() {
    let fake = Fake::start(ManualClock::new()).await;
    let (square, mug) = (account(&fake, TOKEN, LOCATION), template(MUG));
    says(&square, &mug, true).await;
    for (status, is_error, mend) in [
        (200, false, "answered with 200"),
        (401, true, "copy the subscription's signature key"),
        (404, true, "lead that address to its listener"),
        (502, false, "start it and check again"),
        (0, false, "by nobody"),
    ] {
        fake.books().faults.hook_status = Some(status);
        let found = square.check(&[&mug], false).await;
        assert_eq!(found.len(), 1);
        assert!(found[0].says.contains(mend), "{status}: {}", found[0].says);
        assert_eq!(found[0].is_error(), is_error, "{status}");
    }
    let books = fake.books();
    assert!(books.wrong.is_empty(), "{:?}", books.wrong);
}

#[tokio::test]
async fn a_round_of_probing_measures_each_step_and_leaves_nothing() {
    let clock = ManualClock::new();
    follow(clock.clone());
    let fake = Fake::start(clock).await;
    fake.books().faults.stale_reads = 1;
    let prober = Prober {
        provider: Arc::new(account(&fake, TOKEN, LOCATION)),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        page: "https://shop.example/live".to_owned(),
    };
    // The stand-in's clock follows ours within a moment.
    while fake.books().now < SystemClock.now().millis() - 2000 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let round = prober.round(&template(MUG)).await.expect("a round");
    assert_eq!(round.failed, None);
    assert!(round.payable_ms >= 1000, "looked twice: {round:?}");
    assert_eq!(spread(&[round], |round| round.item_ms).map(|s| s.p50 == s.max), Some(true));
    let books = fake.books();
    assert!(books.objects.is_empty() && books.wrong.is_empty(), "{:?}", books.wrong);
    assert!(books.orders.values().all(|order| order["state"] == "CANCELED"));
}

#[tokio::test]
async fn the_audit_finds_what_was_left_and_removes_it() {
    let delivery = "delivery = [{ name = \"ship\", label = \"Ship\", fee = \"6.00\" }]\n";
    let mut shop = Shop::new(&format!("{MUG}{delivery}")).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    shop.world.clicks("bo").await;
    let square = account(&shop.square, TOKEN, LOCATION);
    let sale = shop.world.newest().id;
    let left = square.left_behind().await.expect("an answer");
    let mut kinds: Vec<&str> = left.iter().map(|one| one.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["item", "modifier list", "payment link"], "the paid link stays alone");
    assert!(left.iter().all(|one| one.sale == Some(sale)));
    for (n, one) in left.iter().enumerate() {
        let call = Call { key: format!("k{n}"), now: shop.world.clock.now(), first: true };
        square.remove(one, &call).await.expect("removed");
    }
    assert!(square.left_behind().await.expect("an answer").is_empty());
    assert_eq!(shop.looks_at_page("bo").await.status, 404);
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}
