//! The doctor and the audit, asked of the stand-in.

use std::process::Command;

use livetill::{
    clock::Clock,
    config,
    finding::Finding,
    provider::{
        Call, Provider,
        polar::{self, Polar},
    },
    sale::template::Template,
    secret::Secret,
};

use crate::{
    polar::{
        fake::{Fake, TOKEN},
        shop::{PLAN, SECRET, Shop, config},
    },
    setup::write_secrets,
    world::{ManualClock, crypto, mins},
};

fn account(fake: &Fake, token: &str) -> Polar {
    crypto();
    let config = polar::Settings {
        api_url: fake.url.clone(),
        access_token: Secret::from(token),
        ..polar::Settings::default()
    };
    Polar::new(&config, "https://shop.example").expect("a client")
}

fn template(text: &str) -> Template {
    let raw = toml::from_str::<config::Config>(text).expect("reads").templates;
    config::templates(&raw).expect("good").remove("plan").expect("it")
}

async fn says(polar: &Polar, template: &Template, mend: bool) -> Vec<String> {
    let found = polar.check(&[template], mend).await;
    found.into_iter().map(|one| format!("{}: {}", one.key, one.says)).collect()
}

#[tokio::test]
async fn each_trouble_is_named_with_its_mend() {
    let fake = Fake::start(ManualClock::new()).await;
    let found = says(&account(&fake, "wrong"), &template(PLAN), false).await;
    assert!(found.len() == 1 && found[0].contains("LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN"));
    let euro = template(&format!("{PLAN}currency = \"EUR\"\n"));
    let found = says(&account(&fake, TOKEN), &euro, false).await.join("\n");
    assert!(found.contains("templates.plan.currency: the organization sells in USD"), "{found}");
    assert!(
        found.contains("no webhook endpoint at Polar sends to https://shop.example"),
        "{found}"
    );
}

#[tokio::test]
async fn an_endpoint_is_made_once_and_mended() {
    let fake = Fake::start(ManualClock::new()).await;
    let (polar, plan) = (account(&fake, TOKEN), template(PLAN));
    let found = says(&polar, &plan, true).await;
    assert!(found.len() == 1 && found[0].contains("WEBHOOK_SECRET"), "{found:?}");
    assert!(!found[0].contains("a-new-secret"), "a secret is not printed");
    assert!(says(&polar, &plan, false).await.is_empty());
    for one in fake.books().endpoints.values_mut() {
        one["enabled"] = false.into();
    }
    let found = says(&polar, &plan, false).await;
    assert!(found[0].contains("switched off"), "{found:?}");
    says(&polar, &plan, true).await;
    assert!(says(&polar, &plan, false).await.is_empty());
    assert_eq!(fake.books().endpoints.len(), 1);
    assert!(fake.books().wrong.is_empty());
}

#[tokio::test]
async fn the_audit_finds_what_was_left_and_removes_it() {
    let mut shop = Shop::new(PLAN).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    let polar = account(&shop.polar, TOKEN);
    let left = polar.left_behind().await.expect("an answer");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].sale, Some(shop.world.newest().id));
    let call = Call { key: "k".to_owned(), now: shop.world.clock.now(), first: true };
    polar.remove(&left[0], &call).await.expect("removed");
    assert!(polar.left_behind().await.expect("an answer").is_empty());
    assert_eq!(shop.pays_silently("ana").await.status, 422);
    shop.passes(mins(14)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn each_scope_that_the_token_lacks_is_named_and_no_other() {
    const NEEDED: [&str; 5] = [
        "products:write",
        "checkout_links:write",
        "checkouts:write",
        "orders:read",
        "refunds:write",
    ];
    let fake = Fake::start(ManualClock::new()).await;
    let (polar, plan) = (account(&fake, TOKEN), template(PLAN));
    says(&polar, &plan, true).await;
    assert!(says(&polar, &plan, false).await.is_empty());
    let made = fake.books().products.len();
    for scope in NEEDED {
        fake.books().faults.lacks = Some(scope);
        let found = polar.check(&[&plan], false).await;
        let wrong: Vec<_> = found.iter().filter(|one| one.is_error()).collect();
        assert_eq!(wrong.len(), 1, "{scope}: {found:?}");
        assert_eq!(wrong[0].key, "providers.polar.access_token");
        for other in NEEDED {
            assert_eq!(wrong[0].says.contains(other), other == scope, "{scope}: {wrong:?}");
        }
    }
    // What only helps is a warning.
    for scope in ["webhooks:write", "organizations:read"] {
        fake.books().faults.lacks = Some(scope);
        let found = polar.check(&[&plan], false).await;
        assert!(!found.iter().any(Finding::is_error), "{scope}: {found:?}");
    }
    let books = fake.books();
    assert_eq!(books.products.len(), made, "looking makes nothing");
    assert!(books.sessions.is_empty() && books.links.is_empty());
    assert!(books.refunds.is_empty() && books.wrong.is_empty());
}

#[tokio::test]
async fn the_program_ends_with_an_error_where_a_scope_is_missing() {
    let fake = Fake::start(ManualClock::new()).await;
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[shop]\npublic_url = \"https://shop.example\"\n[http]\nlisten = \"127.0.0.1:0\"\n{}",
        config(&fake, PLAN, "")
    );
    std::fs::write(dir.path().join("config.toml"), text).expect("written");
    let secrets = [
        ("LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN", TOKEN),
        ("LIVETILL_PROVIDERS__POLAR__WEBHOOK_SECRET", SECRET),
    ];
    write_secrets(dir.path(), &secrets);
    says(&account(&fake, TOKEN), &template(PLAN), true).await;
    for (lacks, code, word) in [
        (None, Some(0), "answers, and has what the templates need"),
        (Some("refunds:write"), Some(1), "FAIL  providers.polar.access_token: the token lacks"),
    ] {
        fake.books().faults.lacks = lacks;
        let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
        command.arg("check").current_dir(dir.path()).env_remove("LIVETILL_LOG");
        let ended = tokio::task::spawn_blocking(move || command.output());
        let output = ended.await.expect("no panic").expect("starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), code, "{lacks:?}: {said}");
        assert!(said.contains(word), "{lacks:?}: {said}");
    }
}
