//! What probes measured, kept in a file of its own: one JSON object a line, only ever added to.
//! A running bot keeps the database to itself, and a probe beside it must not lose its numbers.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{Round, Spread, spread};
use crate::clock::Timestamp;

/// One round, with when and of what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// When it began, in milliseconds since 1970.
    pub at: Timestamp,
    /// The template.
    pub template: String,
    /// Whose provider it asked.
    pub provider: String,
    /// What it took.
    pub round: Round,
}

/// The rounds of one hour of the day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hour {
    /// 0 to 23, in UTC.
    pub hour: i64,
    /// Rounds that began in it.
    pub count: usize,
    /// Of these, rounds that came to nothing; the spread leaves them out.
    pub failed: usize,
    /// From the start until something could be paid, in milliseconds.
    pub ms: Option<Spread>,
}

/// Where measurements are kept: beside the configuration.
pub fn file(config: &Path) -> PathBuf {
    config.with_file_name("probes.jsonl")
}

/// Adds a round. One write, so that two probes at a time do not mix their lines.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(file: &Path, measured: &Measured) -> io::Result<()> {
    let mut line = serde_json::to_string(measured)?;
    line.push('\n');
    OpenOptions::new().create(true).append(true).open(file)?.write_all(line.as_bytes())
}

/// Everything kept, oldest first, and the numbers of lines that cannot be read: a full disk may
/// have cut one short.
///
/// # Errors
/// If the file is there and cannot be read.
pub fn read(file: &Path) -> io::Result<(Vec<Measured>, Vec<usize>)> {
    let text = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text?,
    };
    let (mut all, mut unreadable) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        match serde_json::from_str(line) {
            Ok(measured) => all.push(measured),
            Err(_) => unreadable.push(n + 1),
        }
    }
    Ok((all, unreadable))
}

/// Groups rounds by the hour of the day they began in; hours without rounds are left out.
pub fn by_hour(all: &[Measured]) -> Vec<Hour> {
    let of = |measured: &Measured| measured.at.seconds().div_euclid(3600).rem_euclid(24);
    (0..24)
        .filter_map(|hour| {
            let rounds: Vec<Round> =
                all.iter().filter(|one| of(one) == hour).map(|one| one.round.clone()).collect();
            let failed = rounds.iter().filter(|round| round.failed.is_some()).count();
            let ms = spread(&rounds, Round::until_payable);
            (!rounds.is_empty()).then_some(Hour { hour, count: rounds.len(), failed, ms })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(at: &str, ms: i64, failed: Option<&str>) -> Measured {
        let failed = failed.map(str::to_owned);
        Measured {
            at: Timestamp::parse_rfc3339(at).expect("a time"),
            template: "mug".to_owned(),
            provider: "square".to_owned(),
            round: Round { item_ms: ms, page_ms: 20, payable_ms: 3, failed, ..Round::default() },
        }
    }

    #[test]
    fn rounds_of_several_days_are_grouped_by_their_hour() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = file(&dir.path().join("config.toml"));
        assert_eq!(read(&path).expect("nothing yet"), (Vec::new(), Vec::new()));
        for one in [
            measured("2026-11-20T08:30:00Z", 900, None),
            measured("2026-11-20T23:59:59Z", 100, None),
            measured("2026-11-21T08:00:00Z", 500, None),
            measured("2026-11-21T08:59:59Z", 7000, Some("locked")),
        ] {
            keep(&path, &one).expect("kept");
        }
        let mut file = OpenOptions::new().append(true).open(&path).expect("opens");
        file.write_all(b"{\"at\":17\n").expect("written");
        let (all, unreadable) = read(&path).expect("reads");
        assert_eq!((all.len(), unreadable), (4, vec![5]));
        let hours = by_hour(&all);
        let ms = Some(Spread { p50: 523, p95: 923, max: 923 });
        assert_eq!(hours[0], Hour { hour: 8, count: 3, failed: 1, ms });
        assert_eq!((hours.len(), hours[1].hour, hours[1].count), (2, 23, 1));
    }
}
