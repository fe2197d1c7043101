//! From a line of chat to a [`Command`].
//!
//! ```text
//! line  = "!sale" verb { word | "#" number | time | key "=" value }
//! value = bare word | '"' anything '"'
//! time  = [ "-" ] one or more of <n>h <n>m <n>s, in that order
//! ```
//! Verbs, templates and keys are case-blind. A guess is suggested, never run.

use super::{Args, Command, REHEARSAL_STOP, SPECS, Spec};
use crate::{clock::Span, notice::visible::visible, sale::template::Overrides};

/// The word that starts every command.
pub const PREFIX: &str = "!sale";

/// The longest line that is read, in characters; longer ones hold no command of ours.
const LINE_CHARS_MAX: usize = 600;

/// A mistake, answered with its mend. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mistake(pub String);

/// The part of a line behind our prefix, invisible characters removed; `None` if it is not ours.
pub fn ours(line: &str) -> Option<String> {
    let clean = clean(line);
    let clean = clean.trim_start();
    let head = clean.get(..PREFIX.len())?;
    let rest = &clean[PREFIX.len()..];
    let ends = rest.chars().next().is_none_or(char::is_whitespace);
    (head.eq_ignore_ascii_case(PREFIX) && ends).then(|| rest.trim().to_owned())
}

/// A line without invisible characters, and no longer than anything of ours.
pub fn clean(line: &str) -> String {
    // Nobody's long line is looked at to its end.
    let line: String = line.chars().take(2 * LINE_CHARS_MAX).collect();
    visible(&line).chars().filter(|c| !c.is_control()).take(LINE_CHARS_MAX).collect()
}

/// Reads what stands behind the prefix. `templates` are the names that exist.
///
/// # Errors
/// A [`Mistake`] says what is wrong and how to mend it.
pub fn parse(rest: &str, templates: &[&str]) -> Result<Command, Mistake> {
    let words = split(rest)?;
    let Some((verb, args)) = words.split_first() else {
        return Ok(Command::Help { verb: None });
    };
    let Some(spec) = Spec::of(&verb.to_lowercase()) else {
        return Err(unknown_verb(verb, args));
    };
    let mut args = Cursor { words: args.to_vec(), at: 0 };
    let command = match spec.args {
        Args::Template { number } => template_command(spec, number, &mut args, templates)?,
        Args::Rehearsal => rehearsal(spec, &mut args, templates)?,
        Args::Sale => {
            // All is what it means without a number.
            let all = spec.verb == "retry" && args.take("all");
            sale_command(spec.verb, if all { None } else { args.number()? })
        }
        Args::SaleTime => {
            let sale = args.number()?;
            Command::Extend { sale, by_ms: signed_time(spec, &mut args)? }
        }
        Args::SaleUnits => {
            let sale = args.number()?;
            Command::Restock { sale, units: signed_units(spec, &mut args)? }
        }
        Args::Verb => Command::Help { verb: args.next().map(|word| help_on(&word)).transpose()? },
        Args::SaleWord => {
            let sale = args.number()?;
            let mend = || Mistake(format!("Why what? Write it like: {}", spec.examples[0]));
            Command::Why { sale, what: args.next().ok_or_else(mend)? }
        }
        Args::Nothing => match spec.verb {
            "list" => Command::List,
            "undo" => Command::Undo,
            "again" => Command::Again,
            _ => Command::Yes,
        },
    };
    args.finish(spec)?;
    Ok(command)
}

struct Cursor {
    words: Vec<String>,
    at: usize,
}

impl Cursor {
    fn next(&mut self) -> Option<String> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    /// Whether that word comes next; if so, it is taken.
    fn take(&mut self, word: &str) -> bool {
        let there = self.words.get(self.at).is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(there);
        there
    }

    /// `#7`, if that is what comes next.
    fn number(&mut self) -> Result<Option<u32>, Mistake> {
        let Some(digits) = self.words.get(self.at).and_then(|word| word.strip_prefix('#')) else {
            return Ok(None);
        };
        let number = digits.parse().map_err(|_| {
            Mistake(format!("Not a sale's number: #{}. See !sale list", clip(digits)))
        })?;
        self.at += 1;
        Ok(Some(number))
    }

    fn finish(mut self, spec: &Spec) -> Result<(), Mistake> {
        match self.next() {
            None => Ok(()),
            Some(word) => Err(Mistake(format!(
                "Too much: {}. Write it like: {}",
                clip(&word),
                spec.examples[0]
            ))),
        }
    }
}

fn sale_command(verb: &str, sale: Option<u32>) -> Command {
    match verb {
        "stop" => Command::Stop { sale },
        "pause" => Command::Pause { sale },
        "resume" => Command::Resume { sale },
        "links" => Command::Links { sale },
        "report" => Command::Report { sale },
        "retry" => Command::Retry { sale },
        _ => Command::Status { sale },
    }
}

fn template_command(
    spec: &Spec,
    number: bool,
    args: &mut Cursor,
    templates: &[&str],
) -> Result<Command, Mistake> {
    if number && let Some(sale) = args.number()? {
        return Ok(Command::Open { sale });
    }
    let template = template_name(spec, args, templates)?;
    let Given { overrides, .. } = given(spec, args)?;
    Ok(match spec.verb {
        "arm" => Command::Arm { template, overrides },
        "next" => Command::Next { template, overrides },
        _ => Command::Start { template, overrides },
    })
}

fn rehearsal(spec: &Spec, args: &mut Cursor, templates: &[&str]) -> Result<Command, Mistake> {
    if args.take(REHEARSAL_STOP) {
        return Ok(Command::EndRehearsal);
    }
    let template = template_name(spec, args, templates)?;
    let Given { overrides, crowd, speed } = given(spec, args)?;
    Ok(Command::Rehearse { template, overrides, crowd, speed })
}

fn template_name(spec: &Spec, args: &mut Cursor, templates: &[&str]) -> Result<String, Mistake> {
    let missing = || {
        Mistake(format!(
            "Which template? {}. Write it like: {}",
            known_templates(templates),
            spec.examples[0]
        ))
    };
    let word = args.next().ok_or_else(missing)?;
    if word.contains('=') {
        return Err(missing());
    }
    let known = templates.iter().find(|name| name.to_lowercase() == word.to_lowercase());
    known.map(|name| (*name).to_owned()).ok_or_else(|| unknown_template(&word, templates))
}

/// A time and `key=value`s.
#[derive(Default)]
struct Given {
    overrides: Overrides,
    crowd: Option<u32>,
    speed: Option<u32>,
}

fn given(spec: &Spec, args: &mut Cursor) -> Result<Given, Mistake> {
    let mut given = Given::default();
    let found = &mut given.overrides;
    while let Some(word) = args.next() {
        let Some((key, value)) = word.split_once('=') else {
            let time = word.parse().map_err(|error| Mistake(format!("{error}.")))?;
            set(&mut found.duration, time, "the time")?;
            continue;
        };
        let value = value.to_owned();
        let key = key.to_lowercase();
        if !spec.args.keys().any(|(known, _)| known == key) {
            return Err(unknown_key(spec, &key));
        }
        match key.as_str() {
            "stock" => set(&mut found.stock, whole(&key, &value)?, "stock=")?,
            "crowd" => set(&mut given.crowd, whole(&key, &value)?, "crowd=")?,
            "speed" => set(&mut given.speed, whole(&key, &value)?, "speed=")?,
            "price" => set(&mut found.price, value, "price=")?,
            "hold" => {
                let time = value.parse().map_err(|error| Mistake(format!("hold=: {error}.")))?;
                set(&mut found.hold, time, "hold=")?;
            }
            "title" => set(&mut found.title, value, "title=")?,
            _ => set(&mut found.image, value, "image=")?,
        }
    }
    Ok(given)
}

fn whole(key: &str, value: &str) -> Result<u32, Mistake> {
    value.parse().map_err(|_| Mistake(format!("{key}= takes a whole number, not {}.", clip(value))))
}

fn set<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), Mistake> {
    if slot.is_some() {
        return Err(Mistake(format!("Twice: {what}. Once is enough.")));
    }
    *slot = Some(value);
    Ok(())
}

fn signed_time(spec: &Spec, args: &mut Cursor) -> Result<i64, Mistake> {
    let word = args
        .next()
        .ok_or_else(|| Mistake(format!("By how much? Write it like: {}", spec.examples[0])))?;
    let (sign, rest) = match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(&word)),
    };
    let span: Span = rest.parse().map_err(|error| Mistake(format!("{error}.")))?;
    Ok(sign * span.millis())
}

fn signed_units(spec: &Spec, args: &mut Cursor) -> Result<i64, Mistake> {
    let word = args
        .next()
        .ok_or_else(|| Mistake(format!("By how many? Write it like: {}", spec.examples[0])))?;
    let units: i32 = word.strip_prefix('+').unwrap_or(&word).parse().map_err(|_| {
        Mistake(format!("Not a number: {}. Write it like: {}", clip(&word), spec.examples[0]))
    })?;
    Ok(i64::from(units))
}

fn help_on(word: &str) -> Result<&'static Spec, Mistake> {
    Spec::of(&word.to_lowercase()).ok_or_else(|| unknown_verb(word, &[]))
}

fn unknown_verb(verb: &str, args: &[String]) -> Mistake {
    let names = SPECS.iter().map(|spec| spec.verb);
    match nearest(verb, names) {
        Some(guess) => {
            let rest: String = args.iter().map(|arg| format!(" {}", quoted(arg))).collect();
            Mistake(format!(
                "No such command: {}. Did you mean: !sale {guess}{}?",
                clip(verb),
                clip_to(&rest, 80)
            ))
        }
        None => Mistake(format!("No such command: {}. See !sale help", clip(verb))),
    }
}

fn unknown_template(word: &str, templates: &[&str]) -> Mistake {
    match nearest(word, templates.iter().copied()) {
        Some(guess) => Mistake(format!("No template {}. Did you mean {guess}?", clip(word))),
        None => Mistake(format!("No template {}. {}.", clip(word), known_templates(templates))),
    }
}

fn unknown_key(spec: &Spec, key: &str) -> Mistake {
    match nearest(key, spec.args.keys().map(|(key, _)| key)) {
        Some(guess) => Mistake(format!("No option {}=. Did you mean {guess}=?", clip(key))),
        None => {
            let keys: Vec<String> = spec.args.keys().map(|(key, _)| format!("{key}=")).collect();
            let verb = spec.verb;
            Mistake(format!("No option {}=. {verb} takes {}.", clip(key), keys.join(" ")))
        }
    }
}

fn known_templates(templates: &[&str]) -> String {
    match templates {
        [] => "There are none: add one to config.toml".to_owned(),
        some => format!("There is: {}", clip_to(&some.join(", "), 200)),
    }
}

/// The known word closest to what was typed, if it is close enough to be what was meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Splits at white space; double quotes, straight or curly, keep words together.
fn split(text: &str) -> Result<Vec<String>, Mistake> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut begun = false;
    let mut in_quotes = false;
    for c in text.chars() {
        match c {
            '"' | '“' | '”' | '„' => {
                in_quotes = !in_quotes;
                begun = true;
            }
            c if c.is_whitespace() && !in_quotes => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if in_quotes {
        return Err(Mistake("A quotation mark is missing its partner.".to_owned()));
    }
    if begun {
        words.push(word);
    }
    Ok(words)
}

fn quoted(word: &str) -> String {
    match word.split_once('=') {
        Some((key, value)) if value.contains(' ') => format!("{key}=\"{value}\""),
        _ => word.to_owned(),
    }
}

fn clip(text: &str) -> String {
    clip_to(text, 24)
}

fn clip_to(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> Result<Command, String> {
        let rest = ours(line).ok_or("not ours")?;
        parse(&rest, &["mug", "Fern"]).map_err(|mistake| mistake.0)
    }

    fn start(overrides: Overrides) -> Result<Command, String> {
        Ok(Command::Start { template: "mug".to_owned(), overrides })
    }

    #[test]
    fn a_start_with_everything() {
        let all = Overrides {
            duration: Some(Span::from_mins(10)),
            stock: Some(4),
            price: Some("$22.50".to_owned()),
            title: Some("Blue Fern's = \u{e9}".to_owned()),
            image: Some("https://x.example/a.png".to_owned()),
            hold: Some(Span::from_secs(90)),
        };
        let line = "!SALE Start MUG 10m title=\"Blue Fern's = é\" price=$22.50 Stock=4 \
                    hold=90s image=https://x.example/a.png";
        assert_eq!(said(line), start(all));
        assert_eq!(
            said("!sale start fern")
                .map(|c| matches!(c, Command::Start { template, .. } if template == "Fern")),
            Ok(true)
        );
    }

    #[test]
    fn every_verb_and_every_example_is_read() {
        for spec in SPECS {
            for example in spec.examples {
                assert!(said(example).is_ok(), "{example}: {:?}", said(example));
            }
        }
        assert_eq!(said("!sale"), Ok(Command::Help { verb: None }));
        assert_eq!(
            said("!sale extend #7 -2m"),
            Ok(Command::Extend { sale: Some(7), by_ms: -120_000 })
        );
        assert_eq!(said("!sale restock +3"), Ok(Command::Restock { sale: None, units: 3 }));
        assert_eq!(said("!sale start #12"), Ok(Command::Open { sale: 12 }));
    }

    #[test]
    fn a_rehearsal_takes_what_a_start_takes_and_more() {
        let overrides = Overrides {
            duration: Some(Span::from_mins(10)),
            stock: Some(5),
            ..Overrides::default()
        };
        let (template, crowd, speed) = ("mug".to_owned(), Some(200), Some(10));
        assert_eq!(
            said("!sale rehearse mug 10m crowd=200 stock=5 speed=10"),
            Ok(Command::Rehearse { template, overrides, crowd, speed })
        );
        assert_eq!(said("!sale rehearse STOP"), Ok(Command::EndRehearsal));
    }

    #[test]
    fn invisible_characters_do_not_matter() {
        assert_eq!(
            said("\u{200B}!sale\u{E0000} sta\u{34F}rt mug\u{E0001}"),
            start(Overrides::default())
        );
    }

    #[test]
    fn other_lines_are_not_ours() {
        for line in
            ["", "hello", "!sales start", "!sal", "sale start mug", "x !sale start", "!säle"]
        {
            assert_eq!(ours(line), None, "{line}");
        }
    }

    #[test]
    fn mistakes_are_answered_with_their_mend() {
        let cases = [
            ("!sale strat mug", "No such command: strat. Did you mean: !sale start mug?"),
            ("!sale start mgu 10m", "No template mgu. Did you mean mug?"),
            ("!sale start zzz", "No template zzz. There is: mug, Fern."),
            (
                "!sale start",
                "Which template? There is: mug, Fern. Write it like: !sale start mug 10m",
            ),
            ("!sale start mug 10", "10 what? Write 10m for minutes or 10s for seconds."),
            ("!sale start mug 10x", "No such unit: x. Times look like 90s, 10m or 1h30m."),
            ("!sale start mug 5m 6m", "Twice: the time. Once is enough."),
            ("!sale start mug stok=4", "No option stok=. Did you mean stock=?"),
            ("!sale start mug stock=-1", "stock= takes a whole number, not -1."),
            ("!sale start mug title=\"x", "A quotation mark is missing its partner."),
            ("!sale stop #x", "Not a sale's number: #x. See !sale list"),
            ("!sale stop now", "Too much: now. Write it like: !sale stop"),
            (
                "!sale start mug crowd=9",
                "No option crowd=. start takes stock= price= hold= title= image=.",
            ),
            ("!sale rehearse mug sped=9", "No option sped=. Did you mean speed=?"),
            ("!sale rehearse mug crowd=many", "crowd= takes a whole number, not many."),
            (
                "!sale rehearse stop now",
                "Too much: now. Write it like: !sale rehearse mug 10m crowd=200 speed=10",
            ),
            ("!sale dance", "No such command: dance. See !sale help"),
            ("!sale restock", "By how many? Write it like: !sale restock 3"),
        ];
        for (line, answer) in cases {
            assert_eq!(said(line), Err(answer.to_owned()), "{line}");
        }
    }
}
