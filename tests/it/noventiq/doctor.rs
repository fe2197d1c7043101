//! The doctor, the probe and the audit, asked of the stand-in.

use std::process::{Command, Output};

use livetill::{
    provider::{
        Provider,
        noventiq::{self, Noventiq},
    },
    secret::Secret,
};

use crate::{
    noventiq::{
        fake::{Fake, USERNAME},
        shop::{KEYS, SECRET, write_secrets},
    },
    world::{ManualClock, crypto},
};

pub fn account(fake: &Fake, password: &str) -> Noventiq {
    crypto();
    let config = noventiq::Settings {
        api_url: fake.url.clone(),
        market_id: 17,
        username: Secret::from(USERNAME),
        password: Secret::from(password),
        webhook_secret: Secret::from(SECRET),
        ..noventiq::Settings::default()
    };
    Noventiq::new(&config, "https://shop.example", ManualClock::new()).expect("a client")
}

/// Runs the program against the stand-in.
async fn run(fake: &Fake, args: &[&str], more: &str, variables: &[(&str, &str)]) -> Output {
    let dir = tempfile::tempdir().expect("a folder");
    let config = format!(
        "[shop]\npublic_url = \"https://shop.example\"\n[providers.noventiq]\napi_url = \"{}\"\n\
         {more}\n{KEYS}",
        fake.url
    );
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    write_secrets(dir.path());
    let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
    command.args(args).current_dir(dir.path()).envs(variables.iter().copied());
    let run = move || command.output().expect("runs");
    let out = tokio::task::spawn_blocking(run).await.expect("ends");
    drop(dir);
    out
}

fn text(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[tokio::test]
async fn a_good_account_is_good() {
    let fake = Fake::start(ManualClock::new()).await;
    let out = run(&fake, &["check"], "market_id = 17", &[]).await;
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(
        text(&out).contains("order.payment.succeeded and product.returned go to https://shop.")
    );
    assert!(!text(&out).contains(SECRET), "{}", text(&out));
    assert!(fake.books().wrong.is_empty());
}

#[tokio::test]
async fn each_trouble_is_named_with_its_key() {
    let fake = Fake::start(ManualClock::new()).await;
    let password = ("LIVETILL_PROVIDERS__NOVENTIQ__PASSWORD", "wrong");
    let currency = ("LIVETILL_TEMPLATES__KEYS__CURRENCY", "CHF");
    let secret = ("LIVETILL_PROVIDERS__NOVENTIQ__WEBHOOK_SECRET", " ");
    let email = ("LIVETILL_PROVIDERS__NOVENTIQ__USERNAME", "seller");
    for (more, variables, says) in [
        ("", vec![password], "FAIL  providers.noventiq.password: "),
        ("", vec![password], "LIVETILL_PROVIDERS__NOVENTIQ__PASSWORD"),
        ("market_id = 18", vec![], "FAIL  providers.noventiq.market_id: "),
        ("", vec![currency], "FAIL  templates.keys.currency: "),
        ("", vec![secret], "FAIL  providers.noventiq.webhook_secret: "),
        ("", vec![email], "FAIL  providers.noventiq.password: "),
    ] {
        let out = run(&fake, &["check"], more, &variables).await;
        assert_eq!(out.status.code(), Some(1), "{more}: {}", text(&out));
        assert!(text(&out).contains(says), "{more}: {}", text(&out));
    }
    let away = fake.clone();
    away.books().faults.away = true;
    let out = run(&fake, &["check"], "", &[]).await;
    assert!(text(&out).contains("FAIL  providers.noventiq."), "{}", text(&out));
}

#[tokio::test]
async fn probe_measures_and_audit_says_what_it_cannot_know() {
    let fake = Fake::start(ManualClock::new()).await;
    let out = run(&fake, &["probe", "keys", "--rounds", "2"], "", &[]).await;
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(text(&out).contains("start to payable"), "{}", text(&out));
    assert_eq!(fake.calls("POST /v1/generate_buy_link"), 2);
    let out = run(&fake, &["audit"], "", &[]).await;
    assert_eq!(out.status.code(), Some(0), "{}", text(&out));
    assert!(
        text(&out).contains("noventiq: links cannot be listed or taken back"),
        "{}",
        text(&out)
    );
    assert!(account(&fake, "x").left_behind().await.expect("an answer").is_empty());
}
