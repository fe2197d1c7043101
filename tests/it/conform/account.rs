//! `livetill check`, `probe` and `audit`, run as an owner runs them, against every stand-in.

use std::{
    path::Path,
    process::{Command, Output},
};

use livetill::clock::{Clock, SystemClock};

use super::{
    shop::{template, write_secrets},
    till::{Account, Lack, Start, Till},
};
use crate::{square::crowd::follow, world::ManualClock};

/// Where there is an account, it sends webhooks.
const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";

/// An account elsewhere sends webhooks here.
const SHOP: &str = "[shop]\npublic_url = \"https://shop.example\"\n";

/// A folder as the owner's: configuration and secrets.
fn folder(till: &dyn Till, currency: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let shop = if till.secrets().is_empty() { "" } else { SHOP };
    let config = format!("{shop}{HTTP}{}{}", till.config(), template(till, 3, currency));
    std::fs::write(dir.path().join("config.toml"), config).expect("written");
    write_secrets(till, dir.path());
    dir
}

/// The program itself. The stand-in must be able to answer meanwhile.
async fn run(dir: &Path, args: &[&str], environment: Vec<(String, &'static str)>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
    command.args(args).current_dir(dir).env_remove("LIVETILL_LOG").envs(environment);
    let ended = tokio::task::spawn_blocking(move || command.output());
    ended.await.expect("no panic").expect("starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

pub async fn check_says_what_an_account_lacks(start: Start) {
    let till = start(ManualClock::new()).await;
    let expected = till.account(None);
    let dir = folder(till.as_ref(), "USD");
    let output = run(dir.path(), &["check"], Vec::new()).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let Some(fine) = expected else { return };
    assert!(said.contains(&format!("ok    {}", fine.key)) && !said.contains("FAIL"), "{said}");
    for lack in [Lack::Token, Lack::Currency, Lack::Webhook] {
        let Account { key, environment } = till.account(Some(lack)).expect("there is one");
        let dir = folder(till.as_ref(), if lack == Lack::Currency { "CHF" } else { "USD" });
        let output = run(dir.path(), &["check"], named(till.as_ref(), environment)).await;
        let said = text(&output);
        assert_eq!(output.status.code(), Some(1), "{lack:?}: {said}");
        assert!(said.contains(&format!("FAIL  {key}")), "{lack:?}: {said}");
        for (name, secret) in till.secrets() {
            assert!(!said.contains(&secret), "{name} is not printed: {said}");
        }
    }
}

/// Secrets as the environment names them; it wins over the file.
fn named(till: &dyn Till, all: Vec<(&str, &'static str)>) -> Vec<(String, &'static str)> {
    let name = till.name().to_uppercase();
    let named = |(key, value)| (format!("LIVETILL_PROVIDERS__{name}__{key}"), value);
    all.into_iter().map(named).collect()
}

pub async fn probe_prints_its_table_and_leaves_nothing(start: Start) {
    let clock = ManualClock::new();
    follow(clock.clone());
    let till = start(clock.clone()).await;
    // The stand-in's clock follows ours within a moment.
    while SystemClock.now().since(clock.now()).millis() > 2000 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let dir = folder(till.as_ref(), "USD");
    let output = run(dir.path(), &["probe", "mug", "--rounds", "2"], Vec::new()).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in ["round 2: item", "p50", "start to payable", "retire"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let output = run(dir.path(), &["audit"], Vec::new()).await;
    assert!(text(&output).ends_with("Nothing is left behind.\n"), "{}", text(&output));
    assert_eq!(output.status.code(), Some(0));
}
