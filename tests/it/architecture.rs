//! Who may know whom: the table of ranks, held to by reading the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module imports modules of lower ranks only, or its own children and siblings.
const RANKS: &[(&str, u32)] = &[
    // words
    ("clock", 0),
    ("file", 0),
    ("finding", 0),
    ("id", 0),
    ("lossy", 0),
    ("mac", 0),
    ("meter", 0),
    ("money", 0),
    ("net", 0),
    ("room", 0),
    ("secret", 0),
    // the core, pure
    ("sale", 1),
    ("notice", 1),
    ("view", 1),
    ("command", 1),
    ("shop", 1),
    ("report", 1),
    // ports
    ("store", 2),
    ("provider", 2),
    ("platform", 2),
    // the shell
    ("engine", 3),
    ("chat", 3),
    ("worker", 3),
    ("timer", 3),
    ("broom", 3),
    ("reconcile", 3),
    ("replica", 3),
    ("announce", 3),
    ("listen", 3),
    ("budget", 3),
    ("waiting", 3),
    ("gate", 3),
    ("http", 3),
    ("sandbox", 3),
    // wiring
    ("config", 4),
    ("app", 5),
    ("demo", 6),
    ("probe", 6),
    ("cli", 7),
];

/// Inside one rank, these may use these.
const BESIDE: &[(&str, &[&str])] = &[
    ("id", &["clock"]),
    ("sale", &["notice", "report"]),
    ("notice", &["sale", "view"]),
    ("view", &["sale"]),
    ("command", &["sale", "notice"]),
    ("shop", &["sale"]),
    ("report", &["sale", "notice"]),
    ("platform", &["store"]),
    ("chat", &["engine"]),
    ("worker", &["engine"]),
    ("timer", &["engine"]),
    ("broom", &["engine"]),
    ("reconcile", &["engine"]),
    ("replica", &["engine", "worker"]),
    ("announce", &["engine"]),
    ("listen", &["chat"]),
    ("waiting", &["engine"]),
    ("http", &["engine", "chat", "gate"]),
];

/// What looks up and may: the reason stands beside it.
const EXCEPTIONS: &[(&str, &str)] = &[
    // The proof reads journal lines, which are the store's type.
    ("report", "store"),
    // The store keeps the shop's row.
    ("store", "shop"),
];

/// Foreign crates and the only places that know them.
const FOREIGN: &[(&str, &[&str])] = &[
    ("sqlx", &["store/"]),
    ("axum", &["http.rs", "http/", "sandbox.rs", "sandbox/"]),
    ("hyper", &["http/serve.rs", "http/timely.rs"]),
    (
        "reqwest",
        &["provider/", "sandbox.rs", "demo/", "gate.rs", "gate/", "platform/twitch/auth.rs"],
    ),
    ("rustyline", &["platform/console.rs"]),
    ("clap", &["cli.rs"]),
    ("metrics", &["meter.rs"]),
    ("qrcode", &["http/qr.rs"]),
    ("askama", &["http/page.rs", "http/overlay.rs", "http/desk_page.rs", "sandbox/web.rs"]),
    ("serenity", &["platform/discord.rs", "platform/discord/"]),
    ("twitch_irc", &["platform/twitch.rs", "platform/twitch/"]),
    ("tokio_rustls", &["platform/twitch/wire.rs"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn all() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("inside").to_string_lossy().into_owned();
            (name, fs::read_to_string(path).expect("text"))
        })
        .collect()
}

fn module(file: &str) -> &str {
    file.split(['/', '.']).next().expect("a name")
}

/// The source without its inline tests and without comments.
fn code(text: &str) -> String {
    let end = text.find("\n#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The modules of ours that a source names, whether as `crate::x` or in a `use crate::{…}`.
fn imports(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let (mut depth, mut name, mut fresh) = (1, String::new(), true);
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 1 => fresh = true,
                    c if depth == 1 && fresh && (c.is_alphanumeric() || c == '_') => name.push(c),
                    c if depth == 1 && fresh && !c.is_whitespace() => fresh = false,
                    _ => {}
                }
                if !name.is_empty() && (!fresh || depth == 0 || c == ',') {
                    found.insert(std::mem::take(&mut name));
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

#[test]
fn imports_point_down() {
    let ranks: BTreeMap<&str, u32> = RANKS.iter().copied().collect();
    let beside: BTreeMap<&str, &[&str]> = BESIDE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in all() {
        let from = module(&file);
        if from == "main" || from == "lib" {
            continue;
        }
        let rank = *ranks.get(from).unwrap_or_else(|| panic!("{file}: no rank for {from}"));
        let text = if file.contains("/tests/") { String::new() } else { code(&text) };
        for to in imports(&text) {
            let Some(to_rank) = ranks.get(to.as_str()) else { continue };
            let fine = to == from
                || *to_rank < rank
                || beside.get(from).is_some_and(|list| list.contains(&to.as_str()))
                || EXCEPTIONS.contains(&(from, to.as_str()));
            if !fine {
                wrong.push(format!("{file} (rank {rank}) uses {to} (rank {to_rank})"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn adapters_know_neither_each_other_nor_the_shell() {
    let shell = [
        "engine",
        "chat",
        "worker",
        "timer",
        "broom",
        "reconcile",
        "replica",
        "announce",
        "listen",
        "budget",
        "waiting",
        "gate",
        "http",
    ];
    for (file, text) in all() {
        let text = code(&text);
        if shell.contains(&module(&file)) {
            for adapter in [
                "sandbox::",
                "console::",
                "SqlStore",
                "discord::",
                "twitch::",
                "square::",
                "polar::",
                "noventiq::",
            ] {
                assert!(!text.contains(adapter), "{file} names {adapter}");
            }
        }
        for (mine, others) in [
            ("provider/", ["crate::engine", "crate::http", "crate::platform"]),
            ("platform/", ["crate::engine", "crate::http", "crate::provider"]),
            ("store/", ["crate::engine", "crate::http", "crate::provider::sandbox"]),
        ] {
            for other in others.iter().filter(|_| file.starts_with(mine)) {
                assert!(!text.contains(other), "{file} names {other}");
            }
        }
    }
}

#[test]
fn foreign_crates_stay_where_they_belong() {
    for (file, text) in all() {
        let text = code(&text);
        for (name, places) in FOREIGN {
            let named =
                text.contains(&format!("{name}::")) || text.contains(&format!("use {name};"));
            let fine = places.iter().any(|place| file.starts_with(place));
            assert!(!named || fine, "{file} names {name}");
        }
    }
}

#[test]
fn the_core_is_pure() {
    for (file, text) in all() {
        let rank =
            RANKS.iter().find(|(name, _)| *name == module(&file)).map_or(9, |(_, rank)| *rank);
        if rank > 1 || file == "clock.rs" {
            continue;
        }
        let text = code(&text);
        for word in ["async ", ".await", "tokio", "SystemTime", "Instant::"] {
            assert!(!text.contains(word), "{file} has {word}");
        }
    }
}

/// A further payment service is a folder of its own and its lines in these.
#[test]
fn payment_services_are_known_by_name_in_their_folders_and_one_list() {
    let lists = ["provider.rs", "config/providers.rs"];
    for name in ["square", "polar", "noventiq"] {
        let own = [format!("provider/{name}.rs"), format!("provider/{name}/")];
        for (file, text) in all() {
            let is_own = file == own[0] || file.starts_with(&own[1]);
            if is_own || lists.contains(&file.as_str()) {
                continue;
            }
            let code = code(&text);
            for word in [format!("\"{name}\""), format!("{name}::"), format!(".{name}.")] {
                assert!(!code.contains(&word), "{file} knows {word}");
            }
        }
    }
}

#[test]
fn files_and_functions_stay_small() {
    for (file, text) in all() {
        if file.contains("/tests/") {
            continue;
        }
        let text = match text.find("\n#[cfg(test)]\nmod tests {") {
            Some(end) => text[..end].to_owned(),
            None => text,
        };
        let lines = text.lines().count();
        assert!(lines <= 400, "{file} has {lines} lines");
        let mut start: Option<(usize, usize, String)> = None;
        for (n, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let is_fn = line
                .trim_start()
                .split('(')
                .next()
                .is_some_and(|head| head.split_whitespace().any(|word| word == "fn"));
            if is_fn && !line.trim_end().ends_with(';') && start.is_none() {
                start = Some((n, indent, line.trim().to_owned()));
            } else if let Some((from, depth, name)) = &start
                && indent == *depth
            {
                // A declaration in a trait has no body.
                let declared = line.trim_end().ends_with(';');
                if line.trim() == "}" {
                    assert!(n - from <= 70, "{file}: {} lines in {name}", n - from);
                }
                if declared || line.trim() == "}" {
                    start = None;
                }
            }
        }
    }
}

#[test]
fn the_top_level_stays_visible_at_a_glance() {
    let allowed = [
        "Cargo.lock",
        "Cargo.toml",
        "README.md",
        "config.toml",
        "docs",
        "migrations",
        "src",
        "target",
        "tests",
    ];
    for entry in fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        // A developer's own runs leave a database here; git ignores it.
        let fine = name.starts_with('.') || name.starts_with("livetill.");
        assert!(fine || allowed.contains(&name.as_str()), "{name} is new at the top");
    }
}
