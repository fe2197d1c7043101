//! Forgets what nobody will say again, so that a database does not grow for ever.

use tokio_util::sync::CancellationToken;

use crate::{clock::Span, engine::Engine, store::StoreError};

/// What was heard is known this long. Providers send a webhook again for three days at the most,
/// chat services for minutes; by hand people do it for some weeks.
pub const KNOWN_FOR: Span = Span::from_mins(45 * 24 * 60);

/// How often to look for what can be forgotten.
const SWEEP_EVERY: Span = Span::from_mins(60);

/// Between two strokes: whoever sells goes first.
const BETWEEN: Span = Span::from_millis(200);

/// Forgets everything that is old enough; says how often there was something.
///
/// # Errors
/// If the store fails; what is left is forgotten the next time.
pub async fn sweep(engine: &Engine, stop: &CancellationToken) -> Result<u32, StoreError> {
    let before = engine.now() - KNOWN_FOR;
    let mut strokes = 0;
    while engine.store().forget(before).await? {
        strokes += 1;
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + BETWEEN) => {}
            () = stop.cancelled() => break,
        }
    }
    Ok(strokes)
}

/// Sweeps now and then until stopped.
pub async fn run(engine: Engine, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = sweep(&engine, &stop).await {
            tracing::warn!(%error, "what was heard long ago could not be forgotten");
        }
    }
}
