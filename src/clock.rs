//! Time as data: instants, spans and the clock they come from.
//!
//! Nothing else in the crate reads the system clock; `.clippy.toml` holds that.

use std::{
    fmt,
    future::Future,
    ops::{Add, Sub},
    pin::Pin,
    str::FromStr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since the Unix epoch, UTC.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A length of time in whole milliseconds, never negative.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(i64);

/// Where "now" comes from, and the only way to wait for a later one.
pub trait Clock: Send + Sync + 'static {
    /// The present instant, by which deadlines are judged.
    fn now(&self) -> Timestamp;

    /// What the machine's clock says, wherever it was set to meanwhile: for times that another
    /// machine gave or will judge, like that of a signature.
    fn wall(&self) -> Timestamp {
        self.now()
    }

    /// Moves the clock by so many milliseconds. One that nobody sets stays as it is.
    fn shift(&self, _by: i64) {}

    /// Resolves once `now()` has reached `until`, or a little later.
    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The computer's clock, read once in the life of a program and moved on by the time that really
/// passes: setting the machine's clock lengthens and cuts nothing. A new program begins with what
/// the machine's clock says then.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Span {
        Span((self.0 - earlier.0).max(0))
    }

    /// RFC 3339 in UTC with milliseconds, as the public API prints it.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map_or_else(|_| String::from("0000-00-00T00:00:00Z"), |at| format!("{at:.3}"))
    }

    /// Reads RFC 3339; `None` if `text` is something else.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let at: jiff::Timestamp = text.parse().ok()?;
        Some(Self(at.as_millisecond()))
    }

    /// Reads the time of a `Date` header, `Thu, 01 Jan 2026 00:00:00 GMT`.
    pub fn parse_http_date(text: &str) -> Option<Self> {
        let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?;
        Some(Self(at.timestamp().as_millisecond()))
    }
}

impl Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds; negative becomes zero.
    pub const fn from_millis(ms: i64) -> Self {
        Self(if ms < 0 { 0 } else { ms })
    }

    /// From whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self::from_millis(secs * 1000)
    }

    /// From whole minutes.
    pub const fn from_mins(mins: i64) -> Self {
        Self::from_secs(mins * 60)
    }

    /// Milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down.
    pub const fn secs(self) -> i64 {
        self.0 / 1000
    }

    /// Whether it is zero.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The standard library's type.
    pub fn to_std(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }

    /// `self - other`, zero at least.
    pub fn minus(self, other: Self) -> Self {
        Self((self.0 - other.0).max(0))
    }

    /// In words for people: `3m42s`, `10 min`, `45 s`.
    pub fn words(self) -> String {
        let secs = self.secs();
        match (secs / 60, secs % 60) {
            (0, s) => format!("{s} s"),
            (m, 0) if m % 60 == 0 => format!("{} h", m / 60),
            (m, 0) => format!("{m} min"),
            (m, s) if m < 60 => format!("{m}m{s:02}s"),
            (m, s) => format!("{}h{:02}m{s:02}s", m / 60, m % 60),
        }
    }
}

/// How a clock was set that jumped by so many milliseconds: `1 h back`, `10 min forward`.
pub fn jump_words(ms: i64) -> String {
    let by = Span::from_millis(ms.abs()).words();
    format!("{by} {}", if ms < 0 { "back" } else { "forward" })
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

/// Prints the form that [`Span::from_str`] reads: `1h30m`, `10m`, `90s`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.secs();
        let (h, m, s) = (secs / 3600, secs / 60 % 60, secs % 60);
        if h > 0 {
            write!(f, "{h}h")?;
        }
        if m > 0 {
            write!(f, "{m}m")?;
        }
        if s > 0 || secs == 0 {
            write!(f, "{s}s")?;
        }
        Ok(())
    }
}

/// Why a text is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// A number without its unit.
    #[error("{0} what? Write {0}m for minutes or {0}s for seconds")]
    NoUnit(String),
    /// A unit other than `h`, `m`, `s`.
    #[error("No such unit: {0}. Times look like 90s, 10m or 1h30m")]
    Unit(String),
    /// No time at all.
    #[error("A time must be longer than nothing. Times look like 90s, 10m or 1h30m")]
    Zero,
    /// Longer than anything that is meant.
    #[error("{0} is too long: 9600h at most")]
    Long(String),
    /// Anything else.
    #[error("Not a time: {0}. Times look like 90s, 10m or 1h30m")]
    Form(String),
}

/// The longest length of time that is read, in seconds: 400 days.
const LONGEST_SECS: i64 = 9600 * 3600;

/// Strict: one or more of `<n>h`, `<n>m`, `<n>s`, in that order, nothing else.
impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let shown = || text.chars().take(20).collect::<String>();
        let form = || SpanError::Form(shown());
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            let none = text.bytes().all(|b| b == b'0');
            return Err(if none { SpanError::Zero } else { SpanError::NoUnit(shown()) });
        }
        let mut rest = text;
        let mut secs = 0_i64;
        let mut largest_left = i64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            let number: i64 = number.parse().map_err(|_| form())?;
            let unit_len = tail.bytes().take_while(|b| !b.is_ascii_digit()).count();
            let (unit, tail) = tail.split_at(unit_len);
            let scale = match unit {
                "h" => 3600,
                "m" => 60,
                "s" => 1,
                "" => return Err(SpanError::NoUnit(number.to_string())),
                other if other.chars().all(char::is_alphabetic) => {
                    return Err(SpanError::Unit(other.chars().take(12).collect()));
                }
                _ => return Err(form()),
            };
            if scale >= largest_left {
                return Err(form());
            }
            largest_left = scale;
            secs = number
                .checked_mul(scale)
                .and_then(|part| secs.checked_add(part))
                .filter(|total| *total <= LONGEST_SECS)
                .ok_or_else(|| SpanError::Long(shown()))?;
            rest = tail;
        }
        if secs == 0 {
            return Err(if text.is_empty() { form() } else { SpanError::Zero });
        }
        Ok(Self::from_secs(secs))
    }
}

/// How far the program's time is ahead of the time since the machine began, in milliseconds.
static AHEAD: OnceLock<AtomicI64> = OnceLock::new();

fn ahead() -> &'static AtomicI64 {
    AHEAD.get_or_init(|| AtomicI64::new(machine_time() - passed()))
}

/// Milliseconds since the Unix epoch as the machine's clock is set.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
fn machine_time() -> i64 {
    let since =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds that passed since some moment in the past, whatever the machine's clock is set to.
/// While the machine sleeps they pass as well.
#[cfg(target_os = "linux")]
fn passed() -> i64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000)
}

/// Milliseconds that passed since some moment in the past, whatever the machine's clock is set to.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time that passes")]
fn passed() -> i64 {
    static FIRST: OnceLock<std::time::Instant> = OnceLock::new();
    let since = FIRST.get_or_init(std::time::Instant::now).elapsed();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp(ahead().load(Ordering::Relaxed).saturating_add(passed()))
    }

    fn wall(&self) -> Timestamp {
        Timestamp(machine_time())
    }

    fn shift(&self, by: i64) {
        ahead().fetch_add(by, Ordering::Relaxed);
    }

    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        /// A sleep cannot see this clock being moved or the machine asleep, so it looks again this
        /// often.
        const LONGEST_NAP: Duration = Duration::from_secs(30);
        Box::pin(async move {
            loop {
                let left = until.since(self.now()).to_std();
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LONGEST_NAP)).await;
            }
        })
    }
}

/// Another clock, run several times as fast from the moment it is made.
pub struct FastClock {
    inner: Arc<dyn Clock>,
    from: Timestamp,
    speed: i64,
}

impl FastClock {
    /// `inner`, `speed` times as fast from now on.
    pub fn new(inner: Arc<dyn Clock>, speed: u32) -> Self {
        Self { from: inner.now(), inner, speed: i64::from(speed.max(1)) }
    }
}

impl Clock for FastClock {
    fn now(&self) -> Timestamp {
        let passed = self.inner.now().0.saturating_sub(self.from.0);
        Timestamp(self.from.0.saturating_add(passed.saturating_mul(self.speed)))
    }

    fn sleep_until(&self, until: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Rounded up, so that the time has come when the other clock says so.
        let ahead = until.since(self.from).0;
        let inner = ahead / self.speed + i64::from(ahead % self.speed != 0);
        self.inner.sleep_until(self.from + Span(inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print() {
        for (text, secs) in [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1h5s", 3605)] {
            assert_eq!(text.parse(), Ok(Span::from_secs(secs)), "{text}");
        }
        assert_eq!(Span::from_secs(90).to_string(), "1m30s");
        assert_eq!(Span::from_secs(5400).to_string(), "1h30m");
    }

    #[test]
    fn strict_about_everything_else() {
        let bad = ["", "m", "10", "-5m", "5m5m", "30s10m", "1.5h", "10x", "10 m", "PT5M", "0s"];
        for text in bad {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("99999999999999999999m".parse::<Span>().is_err());
        assert_eq!(
            "10".parse::<Span>().map_err(|e| e.to_string()),
            Err("10 what? Write 10m for minutes or 10s for seconds".to_owned())
        );
        assert_eq!("10x".parse::<Span>(), Err(SpanError::Unit("x".to_owned())));
        for none in ["0", "00", "0s", "0h0m"] {
            assert_eq!(none.parse::<Span>(), Err(SpanError::Zero), "{none}");
        }
        assert_eq!("9600h".parse::<Span>(), Ok(Span::from_mins(9600 * 60)));
        assert_eq!("9600h1s".parse::<Span>(), Err(SpanError::Long("9600h1s".to_owned())));
    }

    #[test]
    fn times_print_as_rfc3339() {
        let at = Timestamp::from_millis(1_767_225_600_123);
        assert_eq!(at.rfc3339(), "2026-01-01T00:00:00.123Z");
        assert_eq!(Timestamp::parse_rfc3339(&at.rfc3339()), Some(at));
        let date = Timestamp::parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT");
        assert_eq!(date, Timestamp::parse_rfc3339("2026-01-01T00:00:00Z"));
        assert_eq!(Timestamp::parse_http_date("today"), None);
    }
}
