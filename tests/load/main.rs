//! Measures what counts, each row beside its reference in the same run.
//!
//! `tests/bench [--json] [--pairs N]`. Rows are run in pairs, ours and the reference by turns, and
//! medians are printed: this is no test, and nothing here is asserted.
#![expect(clippy::disallowed_methods, reason = "a benchmark looks at the clock")]

mod claims;
mod client;
mod reference;
mod rooms;

use std::time::Duration;

/// One measured row.
pub struct Row {
    /// What is measured.
    pub what: String,
    /// What ours came to, one entry per pair.
    pub ours: Vec<f64>,
    /// What the reference came to.
    pub reference: Vec<f64>,
    /// Of both.
    pub unit: &'static str,
    /// The ratio aimed at.
    pub goal: &'static str,
    /// The slowest percent of ours and of the reference.
    pub p99: Option<(Duration, Duration)>,
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let json = args.iter().any(|arg| arg == "--json");
    let pairs = args
        .iter()
        .position(|arg| arg == "--pairs")
        .and_then(|at| args.get(at + 1)?.parse().ok())
        .unwrap_or(5);
    // One crypto provider for every client; another test may have been first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut rows = Vec::new();
    for connections in [64, 512] {
        if !json {
            eprintln!("durable claims, {connections} connections, {pairs} pairs …");
        }
        rows.push(claims::durable(connections, pairs));
    }
    if !json {
        eprintln!("clicks at a distant provider …");
    }
    rows.extend(claims::clicks(Duration::from_millis(300), pairs.min(3)));
    rows.push(rooms::announced(Duration::from_millis(100), pairs));
    if json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        println!("{}", serde_json::to_string_pretty(&rows).expect("serialises"));
    } else {
        print(&rows);
    }
}

fn as_json(row: &Row) -> serde_json::Value {
    serde_json::json!({
        "what": row.what,
        "unit": row.unit,
        "ours": median(&row.ours),
        "reference": median(&row.reference),
        "ratio": median(&row.ours) / median(&row.reference),
        "goal": row.goal,
        "ours_p99_ms": row.p99.map(|(ours, _)| ours.as_secs_f64() * 1000.0),
        "reference_p99_ms": row.p99.map(|(_, reference)| reference.as_secs_f64() * 1000.0),
        "pairs": row.ours.len(),
    })
}

fn print(rows: &[Row]) {
    println!(
        "{:<44} {:>10} {:>10} {:>6}  {:<8} {:>9} {:>9}",
        "what", "ours", "reference", "ratio", "goal", "p99 ours", "p99 ref"
    );
    for row in rows {
        let (ours, reference) = (median(&row.ours), median(&row.reference));
        let ms = |at: Option<Duration>| {
            at.map_or_else(String::new, |at| format!("{:.1} ms", at.as_secs_f64() * 1000.0))
        };
        println!(
            "{:<44} {:>10.0} {:>10.0} {:>6.2}  {:<8} {:>9} {:>9}",
            format!("{} ({})", row.what, row.unit),
            ours,
            reference,
            ours / reference,
            row.goal,
            ms(row.p99.map(|(ours, _)| ours)),
            ms(row.p99.map(|(_, reference)| reference)),
        );
    }
}
