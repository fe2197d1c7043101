//! The program itself, connected to a Discord.

use std::{
    io::Write,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::{
    fake::Fake,
    fixtures::{MANAGERS, MIA, SHOP, TOKEN, message, user},
};
use crate::home::Home;

fn folder(fake: &Fake, more: &str) -> Home {
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:0\"\n[shop]\nrooms = [\"discord:1001\"]\n\
         [discord]\nenabled = true\napi_url = \"{}\"\n{more}\n\
         [templates.mug]\ntitle = \"Fern Mug\"\nprice = \"18.00\"\nstock = 3\n",
        fake.url
    );
    Home::new(&config)
}

fn livetill(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livetill"));
    command.args(args).current_dir(dir).env_remove("LIVETILL_LOG").env("RUST_BACKTRACE", "0");
    command.env("LIVETILL_DISCORD__TOKEN", TOKEN).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::piped());
    command
}

async fn ends(child: Child, what: &str) -> Output {
    let wait = tokio::task::spawn_blocking(move || child.wait_with_output());
    let ended = tokio::time::timeout(Duration::from_secs(30), wait).await;
    ended.unwrap_or_else(|_| panic!("{what}: it does not end")).expect("no panic").expect("ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn it_stays_when_input_ends_and_leaves_at_a_signal() {
    let fake = Fake::start().await;
    let dir = folder(&fake, "");
    let mut child = livetill(dir.path(), &[]).spawn().expect("starts");
    drop(child.stdin.take());
    fake.until("commands", |all| !all.registered.is_empty()).await;
    let said = message(fake.fresh(), SHOP, &user(MIA, "Mia"), &[MANAGERS], "!sale start mug 10m");
    fake.event("MESSAGE_CREATE", said);
    fake.until("the sale", |all| {
        let mut messages = all.messages.get("1001").into_iter().flat_map(|m| m.values());
        messages.any(|message| message["embeds"].as_array().is_some_and(|e| !e.is_empty()))
    })
    .await;
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let ended = ends(child, "a signal").await;
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    let shown = format!("{}{}", text(&ended.stdout), text(&ended.stderr));
    assert!(!shown.contains(TOKEN), "{shown}");
    fake.done();
}

#[tokio::test]
async fn a_wrong_token_ends_it_with_the_mend_unless_it_may_go_without() {
    let fake = Fake::start().await;
    fake.with(|all| all.token = "another".to_owned());
    let dir = folder(&fake, "");
    let child = livetill(dir.path(), &[]).spawn().expect("starts");
    let ended = ends(child, "a wrong token").await;
    let says = text(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{says}");
    assert!(says.contains("set LIVETILL_DISCORD__TOKEN") && !says.contains(TOKEN), "{says}");

    let dir = folder(&fake, "required = false");
    let mut child = livetill(dir.path(), &[]).spawn().expect("starts");
    let tried = fake.with(|all| all.calls.len());
    fake.until("it tries", |all| all.calls.len() > tried).await;
    let stdin = child.stdin.as_mut().expect("piped");
    stdin.write_all(b"!sale list\n").expect("written");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(child.try_wait().expect("asked").is_none(), "it goes on");
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    let ended = ends(child, "a signal").await;
    assert_eq!(ended.status.code(), Some(0));
    assert!(text(&ended.stdout).contains("mug · Fern Mug"), "{}", text(&ended.stdout));
}

#[tokio::test]
async fn check_names_what_is_wrong_in_discord() {
    let fake = Fake::start().await;
    fake.with(|all| all.closed.insert("1001".to_owned(), 50_001));
    let dir = folder(&fake, "");
    let mut check = livetill(dir.path(), &["check", "--json"]);
    let ended = ends(check.spawn().expect("starts"), "check").await;
    assert_eq!(ended.status.code(), Some(1));
    let rows: Vec<Value> = serde_json::from_slice(&ended.stdout).expect("JSON");
    let row = rows.iter().find(|row| row["key"] == "discord:1001").expect("the room");
    assert!(row["says"].as_str().expect("text").contains("permissions=84992"), "{row}");
    fake.with(|all| all.closed.clear());
    let mut check = livetill(dir.path(), &["check"]);
    let ended = ends(check.spawn().expect("starts"), "check").await;
    let says = text(&ended.stdout);
    assert!(says.contains("ok    discord: token, intents and rooms are fine"), "{says}");
}
