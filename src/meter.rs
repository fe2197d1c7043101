//! What is counted and measured, for Prometheus. One function per figure, so that names and labels
//! stand in one place.
//!
//! Names follow the Prometheus conventions: base units, `_total` for counters. Labels take few
//! values: never an id, a buyer or an address.

use std::{array::from_fn, sync::OnceLock, time::Duration};

use metrics::{
    Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};

const SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];

/// Starts counting; a second call in one process keeps the first.
///
/// # Errors
/// If the buckets are refused.
pub fn start() -> Result<(), BuildError> {
    if handle().get().is_some() {
        return Ok(());
    }
    let recorder = PrometheusBuilder::new().set_buckets(SECONDS)?.build_recorder();
    // Both only fail if somebody was faster.
    let _ = handle().set(recorder.handle());
    let _ = metrics::set_global_recorder(recorder);
    describe();
    Ok(())
}

/// Until it is dropped, what this thread counts goes nowhere.
pub fn nowhere() -> metrics::LocalRecorderGuard<'static> {
    static NOWHERE: metrics::NoopRecorder = metrics::NoopRecorder;
    metrics::set_default_local_recorder(&NOWHERE)
}

fn handle() -> &'static OnceLock<PrometheusHandle> {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    &HANDLE
}

/// Everything counted so far, in Prometheus' text format.
pub fn render() -> String {
    handle().get().map(PrometheusHandle::render).unwrap_or_default()
}

/// Frees what old observations take; to be called now and then.
pub fn upkeep() {
    if let Some(handle) = handle().get() {
        handle.run_upkeep();
    }
}

fn describe() {
    describe_counter!("livetill_claims_total", "Claims, by outcome");
    describe_counter!("livetill_webhooks_total", "Webhooks, by provider and answer");
    describe_counter!("livetill_effects_total", "Work carried out, by target, kind and outcome");
    describe_histogram!("livetill_effect_seconds", "How long a piece of work took");
    describe_histogram!("livetill_click_to_checkout_seconds", "From a claim to its payment page");
    describe_counter!(
        "livetill_http_requests_total",
        "Requests, by first part of the path and status class"
    );
    describe_counter!(
        "livetill_messages_total",
        "Chat messages heard that were for us, by platform"
    );
    describe_counter!("livetill_commits_total", "Transactions on disk, each with one sync");
    describe_counter!("livetill_writes_total", "Writes they held");
    describe_gauge!("livetill_sales", "Sales that are not closed, by state");
    describe_gauge!("livetill_units", "Units of running sales: left, held, paid");
    describe_gauge!("livetill_waiting_buyers", "Buyers in line for what may come free");
    describe_gauge!("livetill_outbox", "Work: waiting, or given up and before a person");
    describe_gauge!("livetill_lines_lost", "Lines of log or console that nobody read in time");
    describe_gauge!("livetill_connections", "Connections: all, and streams among them");
    describe_counter!(
        "livetill_connections_ended_total",
        "Streams and idle connections that gave way because the listener was full"
    );
    describe_gauge!("livetill_chat_up", "1 if a chat platform hears and speaks");
}

/// A claim was answered.
pub fn claim(outcome: &'static str) {
    counter!("livetill_claims_total", "outcome" => outcome).increment(1);
}

/// A webhook was answered.
pub fn webhook(provider: &str, status: u16) {
    let labels = [("provider", provider.to_owned()), ("status", status.to_string())];
    counter!("livetill_webhooks_total", &labels).increment(1);
}

/// A piece of work was carried out, or not.
pub fn effect(target: &str, effect: &'static str, outcome: &'static str, took: Duration) {
    let target = target.to_owned();
    let labels =
        [("target", target), ("effect", effect.to_owned()), ("outcome", outcome.to_owned())];
    counter!("livetill_effects_total", &labels).increment(1);
    histogram!("livetill_effect_seconds", &labels[..2]).record(took.as_secs_f64());
}

/// A buyer's page was handed over that long after the claim.
pub fn click_to_checkout(took: Duration) {
    histogram!("livetill_click_to_checkout_seconds").record(took.as_secs_f64());
}

/// Requests answered, by part of the site and status class. Each figure is looked up once: doing so
/// costs more than counting does.
pub struct Requests<const PARTS: usize> {
    parts: [&'static str; PARTS],
    figures: [[OnceLock<Counter>; CLASSES.len()]; PARTS],
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

impl<const PARTS: usize> Requests<PARTS> {
    /// Figures for the parts of those names.
    pub fn new(parts: [&'static str; PARTS]) -> Self {
        Self { parts, figures: from_fn(|_| from_fn(|_| OnceLock::new())) }
    }

    /// A request for the `part`-th of them was answered.
    pub fn answered(&self, part: usize, status: u16) {
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let (path, status) = (self.parts[part], CLASSES[class]);
        let figure = self.figures[part][class].get_or_init(
            || counter!("livetill_http_requests_total", "path" => path, "status" => status),
        );
        figure.increment(1);
    }
}

/// A transaction is on disk, with that many writes in it.
pub fn commit(writes: usize) {
    counter!("livetill_commits_total").increment(1);
    counter!("livetill_writes_total").increment(writes as u64);
}

/// So many connections gave way to others.
pub fn gave_way(connections: u64) {
    counter!("livetill_connections_ended_total").increment(connections);
}

/// A message for us was heard.
pub fn message(platform: &'static str) {
    counter!("livetill_messages_total", "platform" => platform).increment(1);
}

/// How things stand, set just before they are read.
pub fn stand(name: &'static str, label: &'static str, value: &str, n: f64) {
    gauge!(name, label => value.to_owned()).set(n);
}
