//! What comes with the program: the lists of `.cargo/deny.toml`, held to every crate in
//! `Cargo.lock` and to what `cargo metadata` says of it.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

const DENY: &str = include_str!("../../.cargo/deny.toml");
const LOCK: &str = include_str!("../../Cargo.lock");

fn rules() -> toml::Table {
    DENY.parse().expect("TOML")
}

fn names<'a>(list: &'a toml::Value, key: Option<&str>) -> BTreeSet<&'a str> {
    let list = list.as_array().expect("a list");
    let text = |one: &'a toml::Value| key.map_or(Some(one), |key| one.get(key))?.as_str();
    list.iter().filter_map(text).collect()
}

fn crates() -> Vec<toml::Table> {
    let lock: toml::Table = LOCK.parse().expect("TOML");
    let packages = lock["package"].as_array().expect("a list");
    packages.iter().map(|package| package.as_table().expect("a table").clone()).collect()
}

#[test]
fn every_crate_comes_from_the_one_registry() {
    let rules = rules();
    let allowed = names(&rules["sources"]["allow-registry"], None);
    for package in crates() {
        let name = package["name"].as_str().expect("a name");
        match package.get("source").and_then(toml::Value::as_str) {
            None => assert_eq!(name, "livetill"),
            Some(source) => {
                let registry = source.strip_prefix("registry+").unwrap_or(source);
                assert!(allowed.contains(registry), "{name} is from {source}");
                assert!(package.contains_key("checksum"), "{name} has no checksum");
            }
        }
    }
}

#[test]
fn what_is_banned_is_not_there_and_there_is_one_tls_stack() {
    let rules = rules();
    let banned = rules["bans"]["deny"].as_array().expect("a list");
    let all = crates();
    for ban in banned {
        let name = ban["crate"].as_str().expect("a name");
        assert!(all.iter().all(|package| package["name"].as_str() != Some(name)), "{name}");
    }
    let has = |name: &str| all.iter().any(|package| package["name"].as_str() == Some(name));
    assert!(has("rustls") && has("ring"), "the one TLS stack");
}

/// Whether a licence expression can be met: `OR` chooses, `AND` asks for all; the old `/` is `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    either(&mut words, allowed)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn either(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut any = all_of(words, allowed);
    while words.next_if_eq(&"OR").is_some() {
        any |= all_of(words, allowed);
    }
    any
}

fn all_of(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    let mut all = one(words, allowed);
    while words.next_if_eq(&"AND").is_some() {
        all &= one(words, allowed);
    }
    all
}

fn one(words: &mut Words<'_>, allowed: &BTreeSet<&str>) -> bool {
    match words.next() {
        Some("(") => {
            let inside = either(words, allowed);
            assert_eq!(words.next(), Some(")"));
            inside
        }
        // An exception only gives more rights.
        Some(name) => {
            if words.next_if_eq(&"WITH").is_some() {
                words.next();
            }
            allowed.contains(name)
        }
        None => false,
    }
}

#[test]
fn licence_expressions_are_read() {
    let allowed = BTreeSet::from(["MIT", "ISC"]);
    for fine in ["MIT", "GPL-3.0 OR MIT", "MIT/Apache-2.0", "(GPL-2.0 OR MIT) AND ISC"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND Zlib", "", "Apache-2.0/Zlib"] {
        assert!(!is_allowed(wrong, &allowed), "{wrong}");
    }
}

#[test]
fn every_licence_is_on_the_list() {
    let rules = rules();
    let allowed = names(&rules["licenses"]["allow"], None);
    let said = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo");
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let said: Value = serde_json::from_slice(&said.stdout).expect("JSON");
    let packages = said["packages"].as_array().expect("a list");
    assert!(packages.len() > 200, "the whole tree");
    let more = |name: &str| {
        let exceptions = rules["licenses"]["exceptions"].as_array().expect("a list");
        let own = exceptions.iter().filter(|one| one["crate"].as_str() == Some(name));
        own.flat_map(|one| names(&one["allow"], None)).collect::<Vec<_>>()
    };
    let is_fine = |package: &Value| {
        let more = more(package["name"].as_str().unwrap_or_default());
        let allowed = allowed.iter().copied().chain(more).collect();
        is_allowed(package["license"].as_str().unwrap_or_default(), &allowed)
    };
    let wrong: Vec<String> = packages
        .iter()
        .filter(|package| !is_fine(package))
        .map(|package| format!("{}: {}", package["name"], package["license"]))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    for name in ["LICENSE-MIT", "LICENSE-APACHE"] {
        let path = format!("{}/docs/licenses/{name}", env!("CARGO_MANIFEST_DIR"));
        assert!(std::fs::metadata(&path).is_ok_and(|meta| meta.len() > 500), "{path}");
    }
}
