//! `livetill setup`: the real binary, answered through a pipe.

use std::{
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use livetill::{
    config::{Config, load},
    file,
};

const SHIPPED: &str = include_str!("../../config.toml");

fn setup(dir: &Path, environment: &[(&str, &str)], answers: &[&str]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_livetill"))
        .arg("setup")
        .current_dir(dir)
        .envs(environment.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let text: String = answers.iter().map(|answer| format!("{answer}\n")).collect();
    // It may have ended before the last answer.
    let _ = child.stdin.take().expect("piped").write_all(text.as_bytes());
    child.wait_with_output().expect("ends")
}

fn said(out: &Output) -> String {
    let all = [out.stdout.as_slice(), out.stderr.as_slice()].concat();
    String::from_utf8(all).expect("text")
}

/// Writes a `livetill.env` that its owner alone can read.
pub fn write_secrets(dir: &Path, secrets: &[(&str, &str)]) {
    let text: String = secrets.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    let path = dir.join("livetill.env");
    file::replace(&path, text.as_bytes(), file::Readers::Owner).expect("written");
}

fn files(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).expect("a folder");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn read(dir: &Path) -> livetill::config::Loaded {
    load(&dir.join("config.toml"), &std::collections::HashMap::new()).expect("loads")
}

/// A shop on this machine that sells one thing.
const SMALL: [&str; 12] = [
    "Fern & Co",
    "",
    "none",
    "sandbox",
    "fern",
    "Blue Fern",
    "usd",
    "12.50",
    "5",
    "90s",
    "6",
    "yes",
];

#[test]
fn mistakes_are_asked_again_and_the_comments_stay() {
    let dir = tempfile::tempdir().expect("a folder");
    let answers = [
        "Fern & Co",
        "shop.example/x",
        "",
        "nonsense",
        "none",
        "sqare",
        "sandbox",
        "a b",
        "a.b",
        "fern",
        "",
        "Blue Fern",
        "dollars",
        "usd",
        "",
        "12.345",
        "-1",
        "12.50",
        "many",
        "0",
        "5",
        "10",
        "90s",
        "x",
        "6",
        "perhaps",
        "yes",
    ];
    let out = setup(dir.path(), &[], &answers);
    let said = said(&out);
    assert_eq!(out.status.code(), Some(0), "{said}");
    for mend in [
        "shop.public_url: write it like",
        "one of none, discord, twitch, both",
        "Did you mean square?",
        "the name is typed in chat",
        "templates.fern.title: write 1 to",
        "not a currency: DOLLARS",
        "write the amount, like 18",
        "USD has 2 decimals: 12.345 has more",
        "not an amount: -1",
        "not a number of units: many",
        "10 what? Write 10m",
        "not an amount: x",
        "yes or no?",
        "ok    config: ",
        "Next: livetill, and then !sale start fern",
    ] {
        assert!(said.contains(mend), "{mend} is not in {said}");
    }
    assert_eq!(files(dir.path()), ["config.toml", "livetill.env"]);
    let loaded = read(dir.path());
    let fern = &loaded.templates["fern"];
    assert_eq!(loaded.config.shop.name, "Fern & Co");
    assert_eq!((fern.title.as_str(), fern.price.minor, fern.stock), ("Blue Fern", 1250, 5));
    assert_eq!(fern.delivery.iter().map(|way| way.fee.minor).collect::<Vec<_>>(), [600, 0]);
    assert_eq!(loaded.config.http.desk_token.expose().len(), 64);
    // Whatever was not asked is as it was shipped, word for word.
    let text = std::fs::read_to_string(dir.path().join("config.toml")).expect("text");
    let comments = |text: &str| {
        text.lines().filter(|line| line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(comments(&text), comments(SHIPPED));
    let rest = |config: &Config| {
        let Config { http, store, console, discord, twitch, providers, .. } = config.clone();
        (http.listen, store, console, discord, twitch, providers)
    };
    assert_eq!(rest(&loaded.config), rest(&Config::default()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mode = std::fs::metadata(dir.path().join("livetill.env")).expect("there").mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn answers_that_end_too_soon_write_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    for n in 0..SMALL.len() {
        let out = setup(dir.path(), &[], &SMALL[..n]);
        assert_eq!(out.status.code(), Some(1), "{}", said(&out));
        assert!(said(&out).contains("the answers ended before"), "{}", said(&out));
        assert!(files(dir.path()).is_empty(), "{:?}", files(dir.path()));
    }
    assert_eq!(setup(dir.path(), &[], &SMALL).status.code(), Some(0));
}

#[test]
fn what_is_there_is_replaced_only_after_a_yes_and_kept_beside() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let text = |name: &str| std::fs::read_to_string(at(name)).expect("text");
    std::fs::write(at("config.toml"), SHIPPED).expect("written");
    // As it was shipped there is nothing to lose.
    let out = setup(dir.path(), &[], &[&[""], &SMALL[..]].concat());
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(files(dir.path()), ["config.toml", "livetill.env"]);
    let (first, secrets) = (text("config.toml"), text("livetill.env"));

    let out = setup(dir.path(), &[], &["", "Another"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(said(&out).contains("Nothing was changed."), "{}", said(&out));
    assert_eq!((text("config.toml"), text("livetill.env")), (first.clone(), secrets.clone()));

    let mut other = SMALL;
    other[0] = "Another";
    let out = setup(dir.path(), &[], &[&["yes"], &other[..]].concat());
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(read(dir.path()).config.shop.name, "Another");
    assert_eq!(text("config.toml.old"), first);
    assert_eq!(text("livetill.env"), secrets, "the desk's token is taken over");
    assert_eq!(files(dir.path()), ["config.toml", "config.toml.old", "livetill.env"]);
}

#[test]
fn a_shop_on_square_with_both_chats() {
    let dir = tempfile::tempdir().expect("a folder");
    // Nobody listens there: what check says of Square and Discord is that they cannot be reached.
    let nowhere = [
        ("LIVETILL_PROVIDERS__SQUARE__API_URL", "http://127.0.0.1:9"),
        ("LIVETILL_DISCORD__API_URL", "http://127.0.0.1:9"),
        ("LIVETILL_TWITCH__AUTH_URL", "http://127.0.0.1:9"),
        ("LIVETILL_TWITCH__SERVER", "tcp://127.0.0.1:9"),
    ];
    let answers = [
        "Fern",
        "https://shop.example/",
        "yes",
        "both",
        "",
        "discord-token-1",
        "general",
        "123456789012345678, 223456789012345678",
        "323456789012345678",
        "",
        "",
        "app-1",
        "#plant_lady",
        "Plant_Lady",
        "square",
        "sandbox",
        "square-token-1",
        "",
        "L123",
        "",
        "mug",
        "",
        "",
        "18",
        "",
        "",
        "",
        "no",
    ];
    let out = setup(dir.path(), &nowhere, &answers);
    let said = said(&out);
    assert_eq!(out.status.code(), Some(1), "nothing there answers: {said}");
    for part in [
        "The environment sets LIVETILL_DISCORD__API_URL",
        "this one is needed",
        "not a room: discord:general",
        "not a room: twitch:#plant_lady",
        "square has no location yet",
        "FAIL",
        "Next: livetill login twitch",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("token-1"), "a secret is shown: {said}");
    let loaded = read(dir.path());
    let config = &loaded.config;
    let rooms: Vec<String> = config.shop.rooms.iter().map(ToString::to_string).collect();
    assert_eq!(
        rooms,
        [
            "console",
            "discord:123456789012345678",
            "discord:223456789012345678",
            "twitch:plant_lady"
        ]
    );
    assert_eq!(config.shop.mod_rooms[0].to_string(), "discord:323456789012345678");
    assert_eq!(config.shop.public_url, "https://shop.example");
    assert_eq!(config.http.trusted_proxies.len(), 1);
    assert!(config.discord.enabled && config.twitch.enabled);
    assert_eq!(config.discord.token.expose(), "discord-token-1");
    assert_eq!(config.providers.square.location_id, "L123");
    assert!(!config.providers.sandbox.allow_public);
    assert_eq!(loaded.templates["mug"].provider, "square");
    assert!(loaded.templates["mug"].delivery.is_empty());
}

#[test]
fn a_link_of_noventiq_is_made_of_an_original_product() {
    let dir = tempfile::tempdir().expect("a folder");
    let answers = [
        "Fern",
        "https://shop.example",
        "yes",
        "none",
        "noventiq",
        "api.example",
        "http://127.0.0.1:9",
        "17x",
        "17",
        "shop@example.com",
        "noventiq-password-1",
        "4653375",
        "noventiq-secret-1",
        "tool",
        "Tool",
        "EUR",
        "25",
        "10",
        "10m",
    ];
    let out = setup(dir.path(), &[], &answers);
    let said = said(&out);
    assert_eq!(out.status.code(), Some(1), "nothing there answers: {said}");
    for part in ["write it whole", "write a number", "FAIL"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains("password-1"), "a secret is shown: {said}");
    let loaded = read(dir.path());
    let noventiq = &loaded.config.providers.noventiq;
    assert_eq!((noventiq.market_id, noventiq.username.expose()), (17, "shop@example.com"));
    let tool = &loaded.templates["tool"];
    assert_eq!(
        (tool.provider.as_str(), &tool.options["product_id"]),
        ("noventiq", &4653375.into())
    );
}

#[test]
fn a_public_shop_does_not_sell_from_the_sandbox_unasked() {
    let dir = tempfile::tempdir().expect("a folder");
    let answers = [
        "Fern",
        "https://shop.example",
        "yes",
        "none",
        "sandbox",
        "no",
        "polar",
        "production",
        "polar-token-1",
        "polar-secret-1",
        "brushes",
        "Brush Pack",
        "JPY",
        "1200.5",
        "1200",
        "10",
        "2h",
    ];
    let nowhere = [("LIVETILL_PROVIDERS__POLAR__API_URL", "http://127.0.0.1:9")];
    let out = setup(dir.path(), &nowhere, &answers);
    let said = said(&out);
    for part in ["takes no real money", "JPY has 0 decimals", "Next: livetill"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let loaded = read(dir.path());
    let brushes = &loaded.templates["brushes"];
    assert_eq!((brushes.provider.as_str(), brushes.price.minor), ("polar", 1200));
    assert_eq!(loaded.config.providers.polar.api_url, "https://api.polar.sh");
}
