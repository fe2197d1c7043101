//! The same warning over and over is said once a minute, and counted: whoever can cause one must
//! not be able to fill the log.

use std::{
    collections::{BTreeMap, HashMap, hash_map::DefaultHasher},
    fmt::{self, Write as _},
    hash::{Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing::{
    Event, Level, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

use crate::clock::{Clock, Span, Timestamp};

/// What was said is not said again within this time.
const WITHIN: Span = Span::from_mins(1);

/// Different lines of one kind (one place in the source) that may be said within that time.
const WARNINGS_MAX: usize = 5;
const ERRORS_MAX: usize = 20;

/// What is quoted of a line that was kept back.
const QUOTED_MAX: usize = 160;

/// Lines with this target are said, however many there are: a list that is printed once.
pub const LISTED: &str = "livetill::listed";

/// Keeps back what repeats itself; cheap to clone.
#[derive(Clone)]
pub struct Repeats {
    clock: Arc<dyn Clock>,
    kinds: Arc<Mutex<HashMap<Identifier, Kind>>>,
}

/// What came from one place in the source.
#[derive(Default)]
struct Kind {
    /// When its minute began.
    since: Timestamp,
    /// Marks of what was said in it.
    said: Vec<u64>,
    /// What was kept back: how often, and the first such line.
    more: u64,
    quoted: String,
}

impl Repeats {
    /// Counts by this clock.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, kinds: Arc::default() }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<Identifier, Kind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how often what was kept back, once its minute is over; or now, at the end.
    pub fn tell(&self, at_the_end: bool) {
        let now = self.clock.now();
        let mut told = BTreeMap::new();
        {
            let mut kinds = self.kinds();
            for kind in kinds.values_mut().filter(|kind| kind.more > 0) {
                if at_the_end || is_over(kind.since, now) {
                    let more = std::mem::take(&mut kind.more);
                    *told.entry(std::mem::take(&mut kind.quoted)).or_insert(0) += more;
                }
            }
            kinds.retain(|_, kind| kind.more > 0 || !is_over(kind.since, now));
        }
        for (line, more) in told {
            tracing::warn!(target: LISTED, "{more} more like it: {line}");
        }
    }

    /// Whether a line may be said.
    fn admits(&self, kind: Identifier, level: Level, line: &str) -> bool {
        let now = self.clock.now();
        let max = if level == Level::ERROR { ERRORS_MAX } else { WARNINGS_MAX };
        let mut hasher = DefaultHasher::new();
        line.hash(&mut hasher);
        let mark = hasher.finish();
        let mut kinds = self.kinds();
        let kind = kinds.entry(kind).or_default();
        if is_over(kind.since, now) {
            kind.said.clear();
            kind.since = now;
        }
        if kind.said.len() < max && !kind.said.contains(&mark) {
            kind.said.push(mark);
            return true;
        }
        if kind.more == 0 {
            kind.quoted = line.chars().take(QUOTED_MAX).collect();
        }
        kind.more += 1;
        false
    }
}

/// A clock that was set back begins a new minute.
fn is_over(since: Timestamp, now: Timestamp) -> bool {
    now < since || now.since(since) >= WITHIN
}

/// Writes events as `F` does, but for those that are kept back: they are nothing.
///
/// Not a filter: tracing-subscriber panics where a layer's filter turns an event away by its words.
pub struct Counted<F> {
    /// Writes what may be said.
    pub format: F,
    /// Says what may be.
    pub repeats: Repeats,
}

impl<S, N, F> FormatEvent<S, N> for Counted<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        at: &FmtContext<'_, S, N>,
        to: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let meta = event.metadata();
        // Who asks for details gets them all.
        let always = *meta.level() > Level::WARN || meta.target() == LISTED;
        let mut line = Line(String::new());
        if !always {
            event.record(&mut line);
        }
        match always || self.repeats.admits(meta.callsite(), *meta.level(), &line.0) {
            true => self.format.format_event(at, to, event),
            false => Ok(()),
        }
    }
}

/// An event's words in one line, the message first.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let space = if self.0.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => {
                let words = format!("{value:?}{space}");
                self.0.insert_str(0, &words);
                Ok(())
            }
            name => write!(self.0, "{space}{name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::Pin};

    use tracing_subscriber::{fmt::layer, layer::SubscriberExt, registry};

    use super::*;

    struct Hand(Mutex<Timestamp>);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            *self.0.lock().expect("unpoisoned")
        }

        fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(std::future::pending())
        }
    }

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Heard {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("unpoisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_warning_is_said_once_a_minute_and_counted() {
        let clock = Arc::new(Hand(Mutex::new(Timestamp::from_millis(1_000_000))));
        let repeats = Repeats::new(clock.clone());
        let heard = Heard::default();
        let all = || -> Vec<String> {
            let bytes = std::mem::take(&mut *heard.0.lock().expect("unpoisoned"));
            String::from_utf8(bytes).expect("text").lines().map(str::to_owned).collect()
        };
        let to = heard.clone();
        let logs = layer().with_writer(move || to.clone()).without_time().with_target(false);
        let counted = repeats.clone();
        let logs =
            logs.with_ansi(false).map_event_format(|format| Counted { format, repeats: counted });
        let warns = |n: u32| tracing::warn!(n, "turned away");
        tracing::subscriber::with_default(registry().with(logs), || {
            for _ in 0..515 {
                warns(1);
            }
            assert_eq!(all(), [" WARN turned away n=1"]);
            for n in 2..500 {
                warns(n);
            }
            assert_eq!(all().len(), WARNINGS_MAX - 1, "what differs is bounded, too");
            repeats.tell(false);
            assert!(all().is_empty(), "the minute is not over");
            *clock.0.lock().expect("unpoisoned") = Timestamp::from_millis(1_060_000);
            repeats.tell(false);
            assert_eq!(all(), [" WARN 1008 more like it: turned away n=1"]);
            warns(1);
            warns(1);
            assert_eq!(all(), [" WARN turned away n=1"], "a new minute");
            // A clock set back does not silence anything.
            *clock.0.lock().expect("unpoisoned") = Timestamp::from_millis(1_000);
            warns(1);
            assert_eq!(all(), [" WARN turned away n=1"]);
            repeats.tell(true);
            assert_eq!(all(), [" WARN 1 more like it: turned away n=1"]);
            for _ in 0..30 {
                tracing::info!("asked for");
                tracing::warn!(target: LISTED, "a list");
            }
            assert_eq!(all().len(), 60);
        });
    }
}
