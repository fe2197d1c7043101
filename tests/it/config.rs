//! The shipped configuration is the documentation: every key, with its default.

use std::collections::HashMap;

use livetill::{
    config::{Config, Providers, load},
    sale::carry::facts,
};

const SHIPPED: &str = include_str!("../../config.toml");

#[test]
fn what_is_shipped_is_what_holds_without_it() {
    let shipped: Config = toml::from_str(SHIPPED).expect("reads");
    let templates = shipped.templates.clone();
    let nothing = Config { templates, ..Config::default() };
    assert_eq!(shipped, nothing);
}

#[test]
fn the_shipped_template_spells_out_the_defaults() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("config.toml");
    std::fs::write(&path, SHIPPED).expect("written");
    let shipped = load(&path, &HashMap::new()).expect("loads");
    assert!(shipped.warnings.is_empty(), "{:?}", shipped.warnings);
    std::fs::write(&path, "[templates.mug]\nprice = \"18.00\"\nstock = 20\n").expect("written");
    let short = load(&path, &HashMap::new()).expect("loads");
    let (long, short) = (&shipped.templates["mug"], &short.templates["mug"]);
    assert_eq!(long.bounds, short.bounds);
    assert_eq!(
        (long.hold, long.grace, long.duration, long.arm_ttl, long.warm, long.per_buyer),
        (short.hold, short.grace, short.duration, short.arm_ttl, short.warm, short.per_buyer)
    );
    assert_eq!(
        (long.ready_limit, long.opening_limit, long.checkout),
        (short.ready_limit, short.opening_limit, short.checkout)
    );
}

#[test]
fn every_key_is_explained() {
    // Every key stands on a line of its own with a comment above it or behind it.
    let lines: Vec<&str> = SHIPPED.lines().collect();
    for (n, line) in lines.iter().enumerate() {
        let is_key = line.chars().next().is_some_and(char::is_alphabetic) && line.contains(" = ");
        let above = n > 0 && (lines[n - 1].starts_with('#') || lines[n - 1].contains(" = "));
        assert!(!is_key || line.contains('#') || above, "line {}: {line}", n + 1);
    }
}

/// The table of the documentation and the program's own data say the same.
#[test]
fn what_providers_can_do_is_told_as_it_is() {
    let told = include_str!("../../docs/selling.md");
    let providers = Providers::default();
    let known: Vec<_> = providers.all().iter().map(|one| facts(&one.capabilities())).collect();
    for (row, (what, _)) in known[0].iter().enumerate() {
        let yes = known.iter().map(|facts| if facts[row].1 { " yes |" } else { " no |" });
        let line = format!("| {what} |{}", yes.collect::<String>());
        assert!(told.lines().any(|one| one == line), "docs/selling.md lacks: {line}");
    }
}
