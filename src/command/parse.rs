//! From a line of chat to a [`Command`].
//!
//! ```text
//! line  = "!sale" verb { word | "#" number | time | key "=" value }
//! value = bare word | quotation mark, anything, quotation mark
//! time  = [ "-" ] one or more of <n>h <n>m <n>s, in that order
//! ```
//! Verbs, templates, keys and units are case-insensitive. A guess is suggested, never run.

use super::{
    Args, Command, REHEARSAL_STOP, Spec,
    guess::{clip, known_templates, odd_word, stray, unknown_key, unknown_template, unknown_verb},
    words::{Mistake, Word, split, time},
};
use crate::{notice::visible::visible, sale::template::Overrides};

/// The word that starts every command.
pub const PREFIX: &str = "!sale";

/// The longest line that is read, in characters; longer ones hold no command of ours.
const LINE_CHARS_MAX: usize = 600;

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
    let spaced = |c: char| if c == '\t' { ' ' } else { c };
    let line: String = line.chars().take(2 * LINE_CHARS_MAX).map(spaced).collect();
    visible(&line).chars().filter(|c| !c.is_control()).take(LINE_CHARS_MAX).collect()
}

/// Reads what stands behind the prefix. `templates` are the names that exist.
///
/// # Errors
/// A [`Mistake`] says what is wrong and how to fix it.
pub fn parse(rest: &str, templates: &[&str]) -> Result<Command, Mistake> {
    let words = split(rest)?;
    if words.iter().any(|word| !word.quoted && word.text.eq_ignore_ascii_case(PREFIX)) {
        return Err(Mistake("One command at a time: send each in a line of its own.".to_owned()));
    }
    let Some((verb, args)) = words.split_first() else {
        return Ok(Command::Help { verb: None });
    };
    let Some(spec) = Spec::of(&verb.text.to_lowercase()) else {
        return Err(unknown_verb(verb, args, templates));
    };
    let mut args = Cursor { words: args.to_vec(), at: 0 };
    let command = match spec.args {
        Args::Template { number } => template_command(spec, number, &mut args, templates)?,
        Args::Rehearsal => rehearsal(spec, &mut args, templates)?,
        Args::Sale => match (spec.verb, args.sale()?) {
            ("stop", None) if args.take("all") => Command::StopAll,
            ("retry", None) if args.take("all") => Command::Retry { sale: None },
            (verb, sale) => sale_command(verb, sale),
        },
        Args::SaleTime => {
            let sale = args.sale()?;
            Command::Extend { sale, by_ms: signed_time(spec, &mut args)? }
        }
        Args::SaleUnits => {
            let sale = args.sale()?;
            Command::Restock { sale, units: signed_units(spec, &mut args)? }
        }
        Args::Verb => match args.next() {
            None => Command::Help { verb: None },
            Some(word) => Command::Help { verb: Some(help_on(&word)?) },
        },
        Args::SaleWord => {
            let sale = args.sale()?;
            let missing = || Mistake(format!("Which one? For example: {}", spec.examples[0]));
            Command::Why { sale, what: args.next().ok_or_else(missing)?.text }
        }
        Args::Nothing => plain_command(spec),
    };
    args.finish(spec)?;
    Ok(command)
}

struct Cursor {
    words: Vec<Word>,
    at: usize,
}

impl Cursor {
    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += usize::from(word.is_some());
        word
    }

    /// What was not read yet.
    fn rest(&self) -> &[Word] {
        self.words.get(self.at..).unwrap_or_default()
    }

    /// Whether that word comes next; if so, it is taken.
    fn take(&mut self, word: &str) -> bool {
        let there = self.rest().first().is_some_and(|next| next.text.eq_ignore_ascii_case(word));
        self.at += usize::from(there);
        there
    }

    /// `#7`, wherever it stands.
    fn sale(&mut self) -> Result<Option<u32>, Mistake> {
        let Some(found) = self.rest().iter().position(|word| word.text.starts_with('#')) else {
            return Ok(None);
        };
        let word = self.words.remove(self.at + found);
        let digits = word.text.trim_start_matches('#');
        let number = digits.parse().map_err(|_| {
            Mistake(format!("Not a sale's number: #{}. See !sale list", clip(digits)))
        })?;
        Ok(Some(number))
    }

    fn finish(mut self, spec: &Spec) -> Result<(), Mistake> {
        self.next().map_or(Ok(()), |word| Err(stray(spec, &word)))
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

/// A verb that nothing follows.
fn plain_command(spec: &Spec) -> Command {
    match spec.verb {
        "list" => Command::List,
        "undo" => Command::Undo,
        "again" => Command::Again,
        "yes" => Command::Yes,
        // What changes nothing is the safe reading of a verb that this list forgot.
        _ => Command::Help { verb: Spec::of(spec.verb) },
    }
}

fn template_command(
    spec: &Spec,
    number: bool,
    args: &mut Cursor,
    templates: &[&str],
) -> Result<Command, Mistake> {
    if number && args.rest().first().is_some_and(|word| word.text.starts_with('#')) {
        let missing = || Mistake(format!("Which one? For example: {}", spec.examples[0]));
        return Ok(Command::Open { sale: args.sale()?.ok_or_else(missing)? });
    }
    let template = template_name(spec, args, templates)?;
    let Given { overrides, .. } = given(spec, args, templates)?;
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
    let Given { overrides, crowd, speed } = given(spec, args, templates)?;
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
    if word.option().is_some() {
        return Err(missing());
    }
    let known = templates.iter().find(|name| name.to_lowercase() == word.text.to_lowercase());
    known
        .map(|name| (*name).to_owned())
        .ok_or_else(|| unknown_template(spec, &word.text, args.rest(), templates))
}

/// A time and `key=value`s.
#[derive(Default)]
struct Given {
    overrides: Overrides,
    crowd: Option<u32>,
    speed: Option<u32>,
}

fn given(spec: &Spec, args: &mut Cursor, templates: &[&str]) -> Result<Given, Mistake> {
    let mut given = Given::default();
    let first = args.at;
    while let Some(word) = args.next() {
        match word.option() {
            Some(("", _)) => {
                let behind = args.rest();
                return Err(odd_word(spec, templates, &[], &word.text, behind));
            }
            // `stock= 5`, which says less than it should.
            Some((key, "")) if !word.quoted && is_value(args.rest().first()) => {
                let behind = args.rest();
                return Err(odd_word(spec, templates, &[], key, behind));
            }
            Some((key, value)) => option(spec, &mut given, &key.to_lowercase(), value)?,
            None => match time(&word.text) {
                Ok(time) => set(&mut given.overrides.duration, time, "The time")?,
                Err(_) => {
                    let before = &args.words[first..args.at - 1];
                    let behind = args.rest();
                    return Err(odd_word(spec, templates, before, &word.text, behind));
                }
            },
        }
    }
    Ok(given)
}

/// Whether a word could be the value that is missing before it.
fn is_value(word: Option<&Word>) -> bool {
    word.is_some_and(|word| word.option().is_none())
}

fn option(spec: &Spec, given: &mut Given, key: &str, value: &str) -> Result<(), Mistake> {
    if !spec.args.keys().any(|(known, _)| known == key) {
        return Err(match key.trim_start_matches('-') {
            bare if bare != key && spec.args.keys().any(|(known, _)| known == bare) => {
                Mistake(format!("Write it without dashes: {bare}={}", clip(value)))
            }
            _ => unknown_key(spec, key),
        });
    }
    let found = &mut given.overrides;
    match key {
        "stock" => set(&mut found.stock, whole(key, value)?, "stock="),
        "crowd" => set(&mut given.crowd, whole(key, value)?, "crowd="),
        "speed" => set(&mut given.speed, whole(key, value)?, "speed="),
        "price" => set(&mut found.price, value.to_owned(), "price="),
        "hold" => {
            let time = time(value).map_err(|error| Mistake(format!("hold=: {error}.")))?;
            set(&mut found.hold, time, "hold=")
        }
        "title" => set(&mut found.title, value.to_owned(), "title="),
        _ => set(&mut found.image, value.to_owned(), "image="),
    }
}

fn whole(key: &str, value: &str) -> Result<u32, Mistake> {
    value.parse().map_err(|_| Mistake(format!("{key}= takes a whole number, not {}.", clip(value))))
}

fn set<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), Mistake> {
    if slot.is_some() {
        return Err(Mistake(format!("{what} is given twice.")));
    }
    *slot = Some(value);
    Ok(())
}

fn signed_time(spec: &Spec, args: &mut Cursor) -> Result<i64, Mistake> {
    let word = args
        .next()
        .ok_or_else(|| Mistake(format!("By how much? Write it like: {}", spec.examples[0])))?;
    let (sign, rest) = match word.text.strip_prefix(['-', '−']) {
        Some(rest) => (-1, rest),
        None => (1, word.text.strip_prefix('+').unwrap_or(&word.text)),
    };
    let span = time(rest).map_err(|error| Mistake(format!("{error}.")))?;
    Ok(sign * span.millis())
}

fn signed_units(spec: &Spec, args: &mut Cursor) -> Result<i64, Mistake> {
    let word = args
        .next()
        .ok_or_else(|| Mistake(format!("By how many? Write it like: {}", spec.examples[0])))?;
    let text = word.text.strip_prefix('+').unwrap_or(&word.text);
    let units: i32 = text.parse().map_err(|_| {
        Mistake(format!("Not a number: {}. Write it like: {}", clip(text), spec.examples[0]))
    })?;
    Ok(i64::from(units))
}

fn help_on(word: &Word) -> Result<&'static Spec, Mistake> {
    Spec::of(&word.text.to_lowercase()).ok_or_else(|| unknown_verb(word, &[], &[]))
}

#[cfg(test)]
mod tests {
    use super::{super::SPECS, *};
    use crate::clock::Span;

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
    fn every_verb_is_a_command_of_its_own() {
        let mut kinds = Vec::new();
        for spec in SPECS {
            let command = said(spec.examples[0]).expect(spec.verb);
            let kind = std::mem::discriminant(&command);
            assert!(!kinds.contains(&kind), "{} is read as {command:?}", spec.verb);
            kinds.push(kind);
        }
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
    fn a_tab_is_a_space() {
        assert_eq!(said("\t!sale\tlist"), Ok(Command::List));
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
    fn mistakes_are_answered_with_their_fix() {
        let cases = [
            ("!sale strat mug", "No such command: strat. Did you mean: !sale start mug?"),
            ("!sale start mgu 10m", "No template mgu. Did you mean mug?"),
            ("!sale start zzz", "No template zzz. Templates: mug, Fern."),
            (
                "!sale start",
                "Which template? Templates: mug, Fern. Write it like: !sale start mug 10m",
            ),
            ("!sale start mug 10", "10 what? Write 10m for minutes or 10s for seconds."),
            ("!sale start mug 10x", "No such unit: x. Times look like 90s, 10m or 1h30m."),
            ("!sale start mug 5m 6m", "The time is given twice."),
            ("!sale start mug stok=4", "No option stok=. Did you mean stock=?"),
            ("!sale start mug stock=-1", "stock= takes a whole number, not -1."),
            ("!sale start mug title=\"x", "A closing \" is missing."),
            ("!sale stop #x", "Not a sale's number: #x. See !sale list"),
            ("!sale stop now", "I don't understand \"now\" here. Try: !sale stop"),
            (
                "!sale start mug crowd=9",
                "No option crowd=. start takes stock= price= hold= title= image=.",
            ),
            ("!sale rehearse mug sped=9", "No option sped=. Did you mean speed=?"),
            ("!sale rehearse mug crowd=many", "crowd= takes a whole number, not many."),
            (
                "!sale rehearse stop now",
                "I don't understand \"now\" here. Try: !sale rehearse mug 10m crowd=200 speed=10",
            ),
            ("!sale dance", "No such command: dance. See !sale help"),
            ("!sale restock", "By how many? Write it like: !sale restock 3"),
        ];
        for (line, answer) in cases {
            assert_eq!(said(line), Err(answer.to_owned()), "{line}");
        }
    }
    #[test]
    fn what_people_type_first_is_answered_with_what_they_meant() {
        let cases = [
            ("start mug title=Blue Fern 10m", "Put it in quotes: title=\"Blue Fern\""),
            ("start mug 10m stock = 5", "Write it without spaces: stock=5"),
            ("start mug stock =5", "Write it without spaces: stock=5"),
            ("start mug stock= 5", "Write it without spaces: stock=5"),
            ("start mug stock:4", "Write it without spaces: stock=4"),
            ("start mug --stock 4", "Write it without spaces: stock=4"),
            ("start mug --stock=4", "Write it without dashes: stock=4"),
            ("start mug 10m, stock=4", "Leave out the \",\": 10m"),
            ("start mug mug", "One template per sale: mug is one too many."),
            ("start mug -- hurry", "I don't understand \"--\" here. Try: !sale start mug 10m"),
            ("start mug =", "I don't understand \"=\" here. Try: !sale start mug 10m"),
            ("start mug 10m stock", "I don't understand \"stock\" here. Try: !sale start mug 10m"),
            ("start mug stock=4 stock=5", "stock= is given twice."),
            ("start 99", "No template 99. Did you mean: !sale start #99?"),
            ("arm 99", "No template 99. Templates: mug, Fern, blue-fern."),
            ("start blue fern 10m", "No template blue. Did you mean blue-fern?"),
            ("mug 10m", "No such command: mug. Did you mean: !sale start mug 10m?"),
            ("stop 99", "I don't understand \"99\" here. Did you mean: !sale stop #99?"),
            ("pause 5m", "A pause has no time: it lasts until !sale resume"),
            ("pause all", "There is no pause for all sales. Give a number: !sale pause #7"),
            (
                "again 5m",
                "again takes nothing: the sale starts as it was. To change something: \
                 !sale start TEMPLATE 5m",
            ),
            ("cancel", "No such command: cancel. Did you mean: !sale stop?"),
            ("end #7", "No such command: end. Did you mean: !sale stop #7?"),
            ("begin mug", "No such command: begin. Did you mean: !sale start mug?"),
            ("unpause", "No such command: unpause. Did you mean: !sale resume?"),
            ("help close", "No such command: close. Did you mean: !sale stop?"),
            (
                "again #1",
                "again takes no number: the last sale starts once more, as it was. For another \
                 one: !sale start TEMPLATE",
            ),
            ("why", "Which one? For example: !sale why 4"),
            ("status; !sale stop all", "One command at a time: send each in a line of its own."),
            ("status !SALE list", "One command at a time: send each in a line of its own."),
            (
                "status; stop",
                "No such command: status;. Did you mean status? See !sale help status",
            ),
            ("strat mgu", "No such command: strat. Did you mean start? See !sale help start"),
            (
                "start mug hold=0",
                "hold=: A time must be longer than nothing. Times look like 90s, 10m or 1h30m.",
            ),
            (
                "start mug 0",
                "A time must be longer than nothing. Times look like 90s, 10m or 1h30m.",
            ),
            ("💥", "No such command: 💥. See !sale help"),
        ];
        for (rest, answer) in cases {
            let answered = parse(rest, &["mug", "Fern", "blue-fern"]).map_err(|wrong| wrong.0);
            assert_eq!(answered, Err(answer.to_owned()), "{rest}");
        }
    }

    #[test]
    fn what_can_mean_one_thing_only_is_taken() {
        let mins = |mins| Overrides { duration: Some(Span::from_mins(mins)), ..Default::default() };
        for time in ["10 m", "10 min", "10min", "10 minutes", "10M"] {
            assert_eq!(said(&format!("!sale start mug {time}")), start(mins(10)), "{time}");
        }
        assert_eq!(said("!sale start mug 1h 30m"), start(mins(90)));
        let titled = Overrides { title: Some("Blue Fern".to_owned()), ..Default::default() };
        for title in ["'Blue Fern'", "«Blue Fern»", "“Blue Fern”"] {
            assert_eq!(said(&format!("!sale start mug title={title}")), start(titled.clone()));
        }
        let (sale, by_ms) = (Some(1), 300_000);
        assert_eq!(said("!sale extend 5m #1"), Ok(Command::Extend { sale, by_ms }));
        assert_eq!(said("!sale extend 5 min #1"), Ok(Command::Extend { sale, by_ms }));
        assert_eq!(said("!sale restock 3 #1"), Ok(Command::Restock { sale, units: 3 }));
        assert_eq!(said("!sale why 4 #1"), Ok(Command::Why { sale, what: "4".to_owned() }));
        assert_eq!(said("!sale stop all"), Ok(Command::StopAll));
        assert_eq!(said("!sale retry all"), Ok(Command::Retry { sale: None }));
    }

    #[test]
    fn no_verb_is_read_as_another_one() {
        for spec in SPECS.iter().filter(|spec| spec.args == Args::Nothing) {
            let read = parse(spec.verb, &[]);
            assert!(!matches!(read, Ok(Command::Help { .. })), "{}: {read:?}", spec.verb);
        }
    }
}
