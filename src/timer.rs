//! The only timer: tells sales that their next deadline has come.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Span,
    engine::{Engine, Origin, TellError},
    sale::event::Event,
};

/// However far the next deadline is, look again after this long: wall clocks jump, and another
/// replica may have moved it.
const LONGEST_SLEEP: Span = Span::from_secs(30);

/// After a failure, look again after this long.
const AFTER_FAILURE: Span = Span::from_secs(1);

/// Tells every due sale that time has passed; says how many there were.
///
/// # Errors
/// If a sale could not be told; it stays due.
pub async fn fire_due(engine: &Engine) -> Result<usize, TellError> {
    let due = engine.store().due_sales(engine.now()).await?;
    let ticks = due.iter().map(|sale| engine.tell(*sale, Event::Ticked, "clock", Origin::Any));
    for told in join_all(ticks).await {
        told?;
    }
    Ok(due.len())
}

/// Fires deadlines until stopped.
pub async fn run(engine: Engine, stop: CancellationToken) {
    loop {
        // From here on any nearer deadline rings, so that none falls between query and sleep.
        engine.will_wake_at(None);
        let now = engine.now();
        if !engine.may_act() {
            tokio::select! {
                () = engine.clock().sleep_until(now + AFTER_FAILURE) => continue,
                () = stop.cancelled() => return,
            }
        }
        let next = match fire_due(&engine).await {
            Ok(_) => match engine.store().next_wake().await {
                Ok(next) => next.map_or(now + LONGEST_SLEEP, |at| at.min(now + LONGEST_SLEEP)),
                Err(error) => after_failure(&engine, &error),
            },
            Err(error) => after_failure(&engine, &error),
        };
        engine.will_wake_at(Some(next));
        tokio::select! {
            () = engine.clock().sleep_until(next) => {}
            () = engine.deadline_moved() => {}
            () = stop.cancelled() => return,
        }
    }
}

fn after_failure(engine: &Engine, error: &dyn std::fmt::Display) -> crate::clock::Timestamp {
    tracing::error!(%error, "the timer could not do its round");
    engine.now() + AFTER_FAILURE
}
