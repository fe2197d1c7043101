//! One line of the result.

use std::time::Duration;

use crate::client::Run;

/// Counts pairs, and tells on standard error which is under way.
pub fn pairs(what: &str, pairs: usize) -> impl Iterator<Item = usize> + use<> {
    let what = what.to_owned();
    (1..=pairs).inspect(move |n| eprintln!("  {what}: pair {n} of {pairs}"))
}

/// One measured row: what is measured, ours beside the reference.
#[derive(Default)]
pub struct Row {
    pub what: String,
    /// One entry per pair.
    pub ours: Vec<f64>,
    pub reference: Vec<f64>,
    /// Of both.
    pub unit: &'static str,
    /// What is aimed at.
    pub goal: &'static str,
    /// Times of ours and of the reference, the median of all pairs' each.
    pub runs: Vec<(Run, Run)>,
    /// Whatever else was seen.
    pub note: String,
}

impl Row {
    pub fn new(what: impl Into<String>, unit: &'static str, goal: &'static str) -> Self {
        Self { what: what.into(), unit, goal, ..Self::default() }
    }

    /// A figure without a reference.
    pub fn single(
        what: impl Into<String>,
        figure: f64,
        unit: &'static str,
        goal: &'static str,
    ) -> Self {
        Self { ours: vec![figure], ..Self::new(what, unit, goal) }
    }

    /// One pair of requests per second.
    pub fn add(&mut self, ours: Run, reference: Run) {
        self.ours.push(ours.per_second);
        self.reference.push(reference.per_second);
        self.runs.push((ours, reference));
    }

    fn time(&self, of: impl Fn(&(Run, Run)) -> Duration) -> Option<f64> {
        let times: Vec<f64> = self.runs.iter().map(|run| of(run).as_secs_f64() * 1000.0).collect();
        (!times.is_empty()).then(|| median(&times))
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

pub fn print(rows: &[Row], json: bool) {
    if json {
        let rows: Vec<_> = rows.iter().map(as_json).collect();
        println!("{}", serde_json::to_string_pretty(&rows).expect("serialises"));
        return;
    }
    let label = |row: &Row| format!("{} ({})", row.what, row.unit).replace(" ()", "");
    let wide = rows.iter().map(|row| label(row).chars().count()).max().unwrap_or_default();
    println!(
        "{:<wide$} {:>8} {:>9} {:>5}  {:<10} {:>15} {:>15} {:>13}",
        "what",
        "ours",
        "reference",
        "ratio",
        "goal",
        "p50/p99 ours ms",
        "p50/p99 ref ms",
        "µs CPU each"
    );
    for row in rows {
        let (ours, reference) = (median(&row.ours), median(&row.reference));
        let pair = |a: Option<f64>, b: Option<f64>, digits: usize| match (a, b) {
            (Some(a), Some(b)) => format!("{a:.digits$}/{b:.digits$}"),
            _ => String::new(),
        };
        let figure = |n: f64| match n {
            n if n.is_nan() => String::new(),
            n if n.abs() < 10.0 => format!("{n:.2}"),
            n => format!("{n:.0}"),
        };
        println!(
            "{:<wide$} {:>8} {:>9} {:>5}  {:<10} {:>15} {:>15} {:>13} {}",
            label(row),
            figure(ours),
            figure(reference),
            if reference.is_nan() { String::new() } else { format!("{:.2}", ours / reference) },
            row.goal,
            pair(row.time(|run| run.0.p50), row.time(|run| run.0.p99), 1),
            pair(row.time(|run| run.1.p50), row.time(|run| run.1.p99), 1),
            pair(
                row.time(|run| run.0.cpu).map(|ms| ms * 1000.0),
                row.time(|run| run.1.cpu).map(|ms| ms * 1000.0),
                0
            ),
            row.note,
        );
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
        "ours_p50_ms": row.time(|run| run.0.p50),
        "ours_p99_ms": row.time(|run| run.0.p99),
        "reference_p50_ms": row.time(|run| run.1.p50),
        "reference_p99_ms": row.time(|run| run.1.p99),
        "ours_cpu_ms": row.time(|run| run.0.cpu),
        "reference_cpu_ms": row.time(|run| run.1.cpu),
        "pairs": row.ours.len(),
        "note": row.note,
    })
}
