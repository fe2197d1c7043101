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

/// When to look first for what can be forgotten or archived: a program may run for a show alone,
/// and what begins with it goes first.
pub const FIRST_SWEEP_AFTER: Span = Span::from_mins(1);

/// How often to look after that.
pub const SWEEP_EVERY: Span = Span::from_mins(60);

/// When to look again where the store failed.
const AGAIN_AFTER: Span = Span::from_mins(10);

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
    matches!(error, TellError::Store(error) if !matches!(error, StoreError::Damaged { .. }))
}

/// Sweeps soon after the start, then now and then until stopped; archives sales that ended longer
/// than `archive_after` ago, if there is such a time.
pub async fn run(engine: Engine, archive_after: Option<Span>, stop: CancellationToken) {
    let mut archivist = archive_after.map(Archivist::new);
    let mut pause = FIRST_SWEEP_AFTER;
    loop {
        tokio::select! {
            () = engine.clock().sleep_until(engine.now() + pause) => {}
            () = stop.cancelled() => return,
        }
        tokio::select! {
            well = round(&engine, archivist.as_mut(), &stop) => {
                pause = if well { SWEEP_EVERY } else { AGAIN_AFTER };
            }
            () = stop.cancelled() => return,
        }
    }
}

/// Forgets and archives once; says whether the store did not fail.
async fn round(
    engine: &Engine,
    archivist: Option<&mut Archivist>,
    stop: &CancellationToken,
) -> bool {
    let swept = sweep(engine, stop).await;
    if let Err(error) = &swept {
        tracing::warn!(%error, "what was heard long ago could not be forgotten");
    }
    let Some(archivist) = archivist else { return swept.is_ok() };
    match archivist.pass(engine).await {
        Ok(0) => {}
        Ok(sales) => tracing::info!(sales, "old sales were archived"),
        Err(error) => {
            tracing::warn!(%error, "old sales could not be archived");
            return false;
        }
    }
    swept.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::{
        engine::tests::bench::Bench,
        sale::{
            event::Event,
            tests::{
                archive::over,
                play::{Play, template},
            },
        },
        store::Store,
    };

    const AFTER: Span = Span::from_mins(90 * 24 * 60);

    /// A sale that nobody bought in.
    fn empty(number: u8) -> Play {
        let mut play = Play::numbered(template(), number);
        play.tell(Event::Stopped).expect("open");
        play.run_out();
        play
    }

    /// One that stays whole.
    fn whole(number: u8) -> Play {
        let mut play = empty(number);
        play.sale.head.short = 1;
        play
    }

    /// Sales that are old, and who archives them.
    async fn old(plays: impl IntoIterator<Item = Play>) -> (Bench, Archivist) {
        let mut plays = plays.into_iter();
        let bench = Bench::new(&plays.next().expect("one")).await;
        for play in plays {
            bench.also(&play).await;
        }
        bench.pass(AFTER + Span::from_mins(60));
        (bench, Archivist::new(AFTER))
    }

    #[tokio::test]
    async fn in_one_pass_a_bounded_number_is_archived_and_the_rest_in_the_next() {
        let (bench, mut archivist) = old((7..=58).map(empty)).await;
        for archived in [ARCHIVED_MAX, 2, 0] {
            assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), archived);
        }
        assert_eq!(bench.store.archived().await.expect("counts"), 52);
    }

    #[tokio::test]
    async fn what_stays_whole_is_looked_at_again_a_day_later() {
        let (bench, mut archivist) = old([whole(7)]).await;
        let mut looked = Vec::new();
        for _ in 0..50 {
            archivist.pass(&bench.engine).await.expect("answers");
            looked.push(bench.store.times("old_sales"));
            bench.pass(SWEEP_EVERY);
        }
        assert_eq!([looked[0], looked[23], looked[24], looked[47], looked[48]], [1, 1, 2, 2, 3]);
        // A program that begins looks at once.
        Archivist::new(AFTER).pass(&bench.engine).await.expect("answers");
        assert_eq!(bench.store.times("old_sales"), 4);
    }

    #[tokio::test]
    async fn many_that_stay_whole_keep_no_other_from_its_turn_and_it_begins_again() {
        let last = u8::try_from(LOOKED_MAX).expect("few") + 10;
        let (bench, mut archivist) = old((9..last).map(whole).chain([over(last)])).await;
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 0);
        bench.pass(SWEEP_EVERY);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 1, "the next hour");
        bench.also(&over(7)).await;
        bench.pass(SWEEP_EVERY);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 0, "not at once");
        bench.pass(LOOK_AGAIN_AFTER);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 1, "with the oldest");
    }

    #[tokio::test]
    async fn a_damaged_one_keeps_no_other_from_being_archived() {
        let (bench, mut archivist) = old([over(7), over(8), over(9)]).await;
        bench.store.damaged.store(8, Ordering::SeqCst);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 2);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 0, "a day later");
        bench.store.damaged.store(0, Ordering::SeqCst);
        bench.pass(LOOK_AGAIN_AFTER);
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 1, "mended");
    }

    #[tokio::test]
    async fn a_store_that_is_away_ends_the_pass_and_the_next_one_goes_on_there() {
        let (bench, mut archivist) = old([over(7), over(8)]).await;
        bench.store.fails.store(1, Ordering::SeqCst);
        let error = archivist.pass(&bench.engine).await.expect_err("away");
        assert!(matches!(error, TellError::Store(StoreError::Away(_))), "{error}");
        assert_eq!(archivist.pass(&bench.engine).await.expect("answers"), 2);
    }
}
