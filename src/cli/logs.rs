//! Logs: to standard error, as much as `LIVETILL_LOG` says, never with a secret.

use std::io::IsTerminal;

use tracing::Level;
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    fmt::layer,
    layer::{Filter, SubscriberExt},
    registry,
    util::SubscriberInitExt,
};

/// Starts the logs; `LIVETILL_LOG` says how much, like `info` or `livetill=debug`.
pub(super) fn start() {
    let wanted = std::env::var("LIVETILL_LOG").unwrap_or_else(|_| "warn".to_owned());
    let json = std::env::var("LIVETILL_LOG_FORMAT").is_ok_and(|format| format == "json");
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let logs = layer().with_writer(std::io::stderr);
    let logs = if json {
        logs.json().boxed()
    } else {
        logs.with_ansi(colour).with_target(false).compact().boxed()
    };
    // A second start in one process (tests) keeps the first.
    let _ = registry().with(logs.with_filter(quiet(&wanted))).try_init();
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
