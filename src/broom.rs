//! Forgets what nobody will say again, and archives what nobody looks at any more, so that a
//! database does not grow for ever.

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::{Archival, Engine, TellError},
    store::StoreError,
};

/// What was heard is known this long. Providers send a webhook again for three days at the most,
/// chat services for minutes; by hand people do it for some weeks.
pub const KNOWN_FOR: Span = Span::from_mins(45 * 24 * 60);

/// How often to look for what can be forgotten or archived.
pub const SWEEP_EVERY: Span = Span::from_mins(60);

/// Sales that are archived in one pass at the most.
const ARCHIVED_MAX: u32 = 50;

/// Old sales that are looked at in one pass at the most.
const LOOKED_MAX: u32 = 100;

/// So long after all were looked at it begins again with the oldest: what has to stay whole does so
/// for long.
pub const LOOK_AGAIN_AFTER: Span = Span::from_mins(24 * 60);

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
            () = engine.rest() => {}
            () = stop.cancelled() => break,
        }
    }
    Ok(strokes)
}

/// Archives sales that ended longer than some time ago, a bounded number in one pass.
#[derive(Clone, Copy, Debug)]
pub struct Archivist {
    /// Sales that ended longer ago are archived.
    after: Span,
    /// The number of the sale that was looked at last; the next pass goes on behind it.
    at: u32,
    /// When to begin again, once all were looked at.
    again_at: Option<Timestamp>,
}

impl Archivist {
    /// One that begins with the oldest sale.
    pub fn new(after: Span) -> Self {
        Self { after, at: 0, again_at: None }
    }

    /// One pass; says how many sales were archived in it, or had something left of them removed.
    /// What is wrong with one sale does not keep the others from their turn.
    ///
    /// # Errors
    /// If the store fails; the next pass begins with the same sale.
    pub async fn pass(&mut self, engine: &Engine) -> Result<u32, TellError> {
        if self.again_at.is_some_and(|at| engine.now() < at) {
            return Ok(0);
        }
        let before = engine.now() - self.after;
        let old = engine.store().old_sales(before, self.at, LOOKED_MAX).await?;
        let all = old.len() < LOOKED_MAX as usize;
        let mut archived = 0;
        for (number, line) in old {
            if archived == ARCHIVED_MAX {
                return Ok(archived);
            }
            let done = match line {
                Ok(line) => engine.archive(&line, before).await,
                Err(damaged) => Err(damaged.into()),
            };
            match done {
                Ok(Archival::Done) => archived += 1,
                Ok(Archival::Left) => {}
                Ok(Archival::Whole(why)) => tracing::debug!(number, why, "a sale stays whole"),
                Err(error) if is_of_all(&error) => return Err(error),
                Err(error) => tracing::warn!(%error, number, "an old sale could not be archived"),
            }
            self.at = number;
        }
        if all {
            (self.at, self.again_at) = (0, Some(engine.now() + LOOK_AGAIN_AFTER));
        }
        Ok(archived)
    }
}

/// Whether the next sale would fare no better.
fn is_of_all(error: &TellError) -> bool {
    match error {
        TellError::Store(error) => !matches!(error, StoreError::Damaged { .. }),
        TellError::Busy => true,
        _ => false,
    }
}

/// Sweeps now and then until stopped; archives sales that ended longer than `archive_after` ago, if
/// there is such a time.
pub async fn run(engine: Engine, archive_after: Option<Span>, stop: CancellationToken) {
    let mut archivist = archive_after.map(Archivist::new);
    loop {
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + SWEEP_EVERY) => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = sweep(&engine, &stop).await {
            tracing::warn!(%error, "what was heard long ago could not be forgotten");
        }
        let Some(archivist) = &mut archivist else { continue };
        tokio::select! {
            done = archivist.pass(&engine) => match done {
                Ok(0) => {}
                Ok(sales) => tracing::info!(sales, "old sales were archived"),
                Err(error) => tracing::warn!(%error, "old sales could not be archived"),
            },
            () = stop.cancelled() => return,
        }
    }
}
