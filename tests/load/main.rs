//! Measures what counts, each row beside its reference in the same run.
//!
//! `tests/bench [--json] [--pairs N] [--only WORD]`. Rows are run in pairs, ours and the reference
//! by turns, and medians are printed: this is no test, and no time is asserted here.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod child;
mod claims;
mod client;
mod count;
#[expect(dead_code, reason = "tests use the rest of it")]
#[path = "../it/database.rs"]
mod database;
#[expect(dead_code, reason = "tests use the rest of it")]
mod discord;
mod listeners;
mod pages;
mod program;
mod reference;
mod rooms;
mod row;
mod shop;
mod square;
mod stock;
#[expect(dead_code, reason = "tests use the rest of it")]
mod twitch;
mod webhooks;

use std::time::{Duration, Instant};

use self::row::Row;

/// A group of rows, and how it is made from a number of pairs.
type Group = (&'static str, fn(usize) -> Vec<Row>);

const GROUPS: [Group; 14] = [
    ("redirects", |pairs| [64, 512].map(|n| pages::redirects(n, pairs)).into()),
    ("pages", |pairs| vec![pages::live(64, pairs)]),
    ("refusals", |pairs| vec![pages::sold_out(64, pairs), pages::all_held(64, pairs)]),
    ("claims", |pairs| [64, 512].into_iter().flat_map(|n| claims::durable(n, pairs)).collect()),
    ("webhooks", |pairs| vec![webhooks::durable(64, pairs)]),
    ("postgres", |pairs| vec![claims::on_postgres(64, pairs), webhooks::on_postgres(64, pairs)]),
    ("open loop", |_| webhooks::open_loop()),
    ("chat", |pairs| {
        let mut rows = claims::clicks(Duration::from_millis(300), pairs.min(3));
        rows.push(rooms::announced(Duration::from_millis(100), pairs));
        rows.extend(rooms::webhook_to_line());
        rows
    }),
    ("square", |pairs| square::opening(Duration::from_millis(300), pairs.min(3))),
    ("listeners", |_| listeners::listeners()),
    ("sales", |_| stock::sales(1)),
    ("journal", |pairs| stock::journal(pairs.min(3))),
    ("program", |pairs| {
        let mut rows = program::cold_start(pairs);
        rows.extend(program::idle_memory());
        rows.push(program::size());
        rows
    }),
    ("instructions", |_| count::instructions()),
];

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let json = args.iter().any(|arg| arg == "--json");
    let pairs = after("--pairs").and_then(|text| text.parse().ok()).unwrap_or(5);
    let only = after("--only").unwrap_or_default();
    // One crypto provider for every client; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // As in the program itself.
    livetill::meter::start().expect("figures");
    // What this program does for itself, in a process of its own.
    match args.get(1).map(String::as_str) {
        Some("--listen") => return listeners::crowd(&args[2..]),
        Some("--serve") => return count::serve(&args[2..]),
        Some("--serve-bare") => return count::serve_bare(&args[2..]),
        Some(_) | None => {}
    }
    let mut groups = GROUPS.iter().filter(|(name, _)| name.contains(&only)).peekable();
    if groups.peek().is_none() {
        let names: Vec<_> = GROUPS.iter().map(|(name, _)| *name).collect();
        eprintln!("no group is called {only}: there are {}", names.join(", "));
        std::process::exit(2);
    }
    let mut rows = Vec::new();
    for (name, measure) in groups {
        eprintln!("{name} …");
        let began = Instant::now();
        rows.extend(measure(pairs));
        eprintln!("{name}: {:.0} s", began.elapsed().as_secs_f64());
    }
    row::print(&rows, json);
}
