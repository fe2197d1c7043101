//! Logs: to standard error, as much as `LIVETILL_LOG` says, never with a secret. Nobody who logs
//! waits for whoever reads, and what repeats itself is counted.

pub mod repeats;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    sync::Arc,
    time::Duration,
};

use tracing::Level;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::layer,
    layer::{Filter, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

use self::repeats::{Counted, Repeats};
use crate::{
    clock::Clock,
    lossy::{self, visible, visible_json},
};

/// How long the end waits for whoever reads logs and console.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

/// How often to look whether something repeated itself.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// Starts the logs; `LIVETILL_LOG` says how much, like `info` or `livetill=debug`.
pub(super) fn start(clock: Arc<dyn Clock>) -> Repeats {
    let wanted = std::env::var("LIVETILL_LOG").unwrap_or_else(|_| "warn".to_owned());
    let json = std::env::var("LIVETILL_LOG_FORMAT").is_ok_and(|format| format == "json");
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let form = match (json, colour) {
        (true, _) => Form::Json,
        (false, true) => Form::Coloured,
        (false, false) => Form::Plain,
    };
    let logs = layer().with_writer(move || Event(form));
    let repeats = Repeats::new(clock);
    let counted = repeats.clone();
    let logs = if json {
        logs.json().map_event_format(|format| Counted { format, repeats: counted }).boxed()
    } else {
        let logs = logs.with_ansi(colour).with_target(false).compact();
        logs.map_event_format(|format| Counted { format, repeats: counted }).boxed()
    };
    // A second start in one process (tests) keeps the first.
    let _ = registry().with(logs.with_filter(quiet(&wanted))).try_init();
    std::panic::set_hook(Box::new(panicked));
    repeats
}

/// Tells now and then what repeated itself, for ever.
pub(super) async fn tell_repeats(repeats: Repeats) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        repeats.tell(false);
    }
}

/// Writes what waits to be written, as far as somebody reads it.
pub(super) fn finish(repeats: &Repeats) {
    repeats.tell(true);
    flush();
}

fn flush() {
    lossy::stdout().flush(FLUSH_WITHIN);
    lossy::stderr().flush(FLUSH_WITHIN);
}

/// A panic is told like everything else: in a thread that serves, a full pipe must not hold it.
fn panicked(panic: &std::panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("without a name");
    let mut told = format!("livetill: thread {name}: {panic}");
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        told.push_str(&format!("\n{trace}"));
    }
    lossy::stderr().line(&told);
    if name == "main" {
        // It is the end.
        flush();
    }
}

/// One event on its way out: a line, whatever was put into it.
struct Event(Form);

#[derive(Clone, Copy)]
enum Form {
    Plain,
    /// With colours, which are ours.
    Coloured,
    Json,
}

impl io::Write for Event {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        lossy::stderr().line(&one_line(line, self.0));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A line without what a terminal obeys.
fn one_line(line: &str, form: Form) -> String {
    match form {
        Form::Plain => visible(line),
        Form::Coloured => line.split('\u{1b}').map(visible).collect::<Vec<_>>().join("\u{1b}"),
        Form::Json => visible_json(line),
    }
}

/// What of `wanted` may be said.
///
/// Below warnings serenity prints whole requests, with tokens and buyers' pages in them. The
/// Twitch library says what we say ourselves, and its most detailed level prints the token.
pub fn quiet<S>(wanted: &str) -> impl Filter<S> + use<S> {
    let filter: Targets =
        wanted.parse().unwrap_or_else(|_| Targets::new().with_default(Level::WARN));
    filter
        .with_target("serenity", Level::WARN)
        .and(filter_fn(|meta| !meta.target().starts_with("twitch_irc")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_line_moves_the_terminal() {
        let line = "an id: \u{202e}x\r\nERROR forged \u{9b}2J";
        assert_eq!(one_line(line, Form::Plain), r"an id: \u{202e}x\r\nERROR forged \u{9b}2J");
        assert_eq!(one_line("\u{1b}[2J", Form::Plain), r"\u{1b}[2J");
        let warn = "\u{1b}[33m WARN\u{1b}[0m";
        assert_eq!(one_line(&format!("{warn} a\rb"), Form::Coloured), format!("{warn} a\\rb"));
        let json = serde_json::json!({ "id": "\u{202e}\u{1b}\n" }).to_string();
        let shown = one_line(&json, Form::Json);
        assert!(shown.is_ascii());
        let read: serde_json::Value = serde_json::from_str(&shown).expect("still JSON");
        assert_eq!(read["id"], "\u{202e}\u{1b}\n");
    }
}
