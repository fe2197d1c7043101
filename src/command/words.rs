//! A line as words: quotation marks keep words together, and a time may be written in several.

use crate::clock::{Span, SpanError};

/// A mistake, answered with its mend. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(pub String);

/// One word of a line, its quotation marks removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub text: String,
    /// Whether it was in quotation marks, wholly or in part.
    pub quoted: bool,
}

/// Pairs of quotation marks: what opens, and what may close. A single one opens only at the start
/// of a word or of a value, and closes only at the end of a word: others are apostrophes.
const QUOTES: &[(&[char], &[char])] = &[
    (&['"', '“', '”', '„'], &['"', '“', '”', '„']),
    (&['«', '»'], &['«', '»']),
    (&['\'', '‘', '‚'], &['\'', '’', '‘']),
];

/// The place in [`QUOTES`] of the single ones.
const SINGLE: usize = 2;

/// Splits at white space outside quotation marks; then joins what is one time: `10 min`, `1h 30m`.
///
/// # Errors
/// Says which quotation mark is not closed.
pub fn split(text: &str) -> Result<Vec<Word>, Mistake> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut open: Option<(usize, char)> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends_word = chars.peek().is_none_or(|next| next.is_whitespace());
        if let Some((kind, _)) = open {
            if QUOTES[kind].1.contains(&c) && (kind != SINGLE || ends_word) {
                open = None;
            } else {
                word.get_or_insert_with(Word::new).text.push(c);
            }
            continue;
        }
        if c.is_whitespace() {
            words.extend(word.take());
            continue;
        }
        let so_far = word.get_or_insert_with(Word::new);
        let starts_value = so_far.text.is_empty() || so_far.text.ends_with('=');
        let kind = QUOTES.iter().position(|(opens, _)| opens.contains(&c));
        match kind.filter(|kind| *kind != SINGLE || starts_value) {
            Some(kind) => {
                open = Some((kind, c));
                so_far.quoted = true;
            }
            None => so_far.text.push(c),
        }
    }
    if let Some((kind, opened)) = open {
        let closing = if opened == '«' { '»' } else { ['"', '»', '\''][kind] };
        return Err(Mistake(format!("A closing {closing} is missing.")));
    }
    words.extend(word);
    Ok(joined(words))
}

impl Word {
    fn new() -> Self {
        Self { text: String::new(), quoted: false }
    }

    /// Key and value of `key=value`.
    pub fn option(&self) -> Option<(&str, &str)> {
        self.text.split_once('=')
    }

    /// As it could be typed again.
    pub fn typed(&self) -> String {
        match self.option() {
            Some((key, value)) if value.contains(char::is_whitespace) => {
                format!("{key}=\"{value}\"")
            }
            _ => self.text.clone(),
        }
    }
}

/// Puts the parts of a time together that were written apart.
fn joined(words: Vec<Word>) -> Vec<Word> {
    let mut joined: Vec<Word> = Vec::with_capacity(words.len());
    for word in words {
        joined.push(word);
        // `1 h 30 min` becomes one from its end: the last two first, then those two with `1h`.
        while let [.., first, second] = joined.as_slice()
            && !first.quoted
            && !second.quoted
            && let Some(text) = one_time(&first.text, &second.text)
        {
            joined.truncate(joined.len() - 2);
            joined.push(Word { text, quoted: false });
        }
    }
    joined
}

/// Two words that are one time, like `10` and `min`, or `hold=1m` and `30s`. Two numbers one after
/// the other, as in `3 5m`, are not: the first one was meant as something else.
fn one_time(first: &str, second: &str) -> Option<String> {
    let ends_in_digit = first.ends_with(|c: char| c.is_ascii_digit());
    if ends_in_digit && second.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let (before, number) = match first.split_once('=') {
        Some((key, value)) if key.eq_ignore_ascii_case("hold") => (&first[..=key.len()], value),
        Some(_) => return None,
        None => ("", first),
    };
    let sign = if number.starts_with(['-', '+']) { &number[..1] } else { "" };
    let both = format!("{}{second}", &number[sign.len()..]);
    let whole = time(&both).ok()?;
    Some(format!("{before}{sign}{whole}"))
}

/// Reads a time as people type it: `10m`, `10M`, `10min`, `2hours`.
///
/// # Errors
/// Says what is wrong with it.
pub fn time(text: &str) -> Result<Span, SpanError> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_digit = c.is_ascii_digit();
        let end = rest.find(|c: char| c.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (part, tail) = rest.split_at(end);
        plain.push_str(if is_digit { part } else { unit(part).unwrap_or(part) });
        rest = tail;
    }
    plain.parse()
}

/// The short form of a unit of time.
fn unit(text: &str) -> Option<&'static str> {
    Some(match text.to_lowercase().as_str() {
        "h" | "hr" | "hrs" | "hour" | "hours" => "h",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Result<Vec<String>, String> {
        let words = split(line).map_err(|mistake| mistake.0)?;
        Ok(words.into_iter().map(|word| word.text).collect())
    }

    #[test]
    fn every_kind_of_quotation_mark_keeps_words_together() {
        for quoted in [
            "\"Blue Fern\"",
            "'Blue Fern'",
            "“Blue Fern”",
            "„Blue Fern“",
            "«Blue Fern»",
            "‘Blue Fern’",
        ] {
            assert_eq!(
                texts(&format!("mug title={quoted} 10m")),
                Ok(vec!["mug".to_owned(), "title=Blue Fern".to_owned(), "10m".to_owned()]),
                "{quoted}"
            );
        }
    }

    #[test]
    fn an_apostrophe_is_no_quotation_mark() {
        assert_eq!(texts("title=Fern's x"), Ok(vec!["title=Fern's".to_owned(), "x".to_owned()]));
        assert_eq!(texts("title='Fern's mug'"), Ok(vec!["title=Fern's mug".to_owned()]));
        assert_eq!(texts("title=\"Fern's mug\""), Ok(vec!["title=Fern's mug".to_owned()]));
    }

    #[test]
    fn a_quotation_that_is_not_closed_names_the_mark() {
        assert_eq!(texts("title=\"Blue"), Err("A closing \" is missing.".to_owned()));
        assert_eq!(texts("title='Blue"), Err("A closing ' is missing.".to_owned()));
        assert_eq!(texts("title=«Blue"), Err("A closing » is missing.".to_owned()));
    }

    #[test]
    fn a_time_may_be_written_in_several_words() {
        for (typed, read) in [
            ("10 m", "10m"),
            ("10 min", "10m"),
            ("10 Minutes", "10m"),
            ("1 hour 30 min", "1h30m"),
            ("1h 30m", "1h30m"),
            ("-5 min", "-5m"),
            ("hold=90 sec", "hold=1m30s"),
        ] {
            assert_eq!(texts(typed), Ok(vec![read.to_owned()]), "{typed}");
        }
        for apart in ["5m 6m", "stock=5 m", "3 mug", "\"5\" m", "3 5m", "hold=1 5m", "10 5m"] {
            assert_eq!(texts(apart).map(|words| words.len()), Ok(2), "{apart}");
        }
        assert_eq!(time("10M"), Ok(Span::from_mins(10)));
        assert_eq!(time("2hours"), Ok(Span::from_mins(120)));
    }
}
