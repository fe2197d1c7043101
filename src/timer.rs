//! The only timer: tells sales that their next deadline has come.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, Origin, TellError},
    sale::event::Event,
};

/// However far the next deadline is, look again after this long: wall clocks jump, and another
/// replica may have moved it.
const LONGEST_SLEEP: Span = Span::from_secs(30);

/// After a failure, look again after this long.
const AFTER_FAILURE: Span = Span::from_secs(1);

/// After one failure upon the other, after this long.
const AFTER_FAILURES: Span = Span::from_secs(5);

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
    let mut failures = 0_u32;
    loop {
        // From here on any nearer deadline rings, so that none falls between query and sleep.
        engine.will_wake_at(None);
        let next = match engine.may_act() {
            true => round(&engine).await,
            false => Ok(None),
        };
        // A store that is away is not hurried by those who look at their sale, though each rings.
        let rest = match next {
            Ok(Some(next)) => {
                failures = 0;
                engine.will_wake_at(Some(next));
                tokio::select! {
                    () = engine.clock().sleep_until(next) => {}
                    () = engine.deadline_moved() => {}
                    () = stop.cancelled() => return,
                }
                continue;
            }
            Ok(None) => AFTER_FAILURE,
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    tracing::error!(%error, "the timer could not do its round");
                }
                if failures > 3 { AFTER_FAILURES } else { AFTER_FAILURE }
            }
        };
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + rest) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Fires what is due; says when to look again.
async fn round(engine: &Engine) -> Result<Option<Timestamp>, TellError> {
    let latest = engine.now() + LONGEST_SLEEP;
    fire_due(engine).await?;
    let next = engine.store().next_wake().await?;
    Ok(Some(next.map_or(latest, |at| at.min(latest))))
}
