//! What was probably meant. A guess is suggested, never run.

use super::{
    Args, SPECS, Spec,
    parse::parse,
    words::{Mistake, Word, time},
};

/// Words that other programs, and people, use for our verbs.
const SYNONYMS: &[(&str, &[&str])] = &[
    ("start", &["begin", "open", "go", "launch", "sell", "run", "create", "new"]),
    ("arm", &["prepare", "ready"]),
    ("stop", &["cancel", "end", "close", "finish", "abort", "kill"]),
    ("extend", &["longer", "prolong", "time"]),
    ("pause", &["hold", "freeze", "wait"]),
    ("resume", &["unpause", "continue", "unfreeze"]),
    ("restock", &["stock", "add", "refill"]),
    ("status", &["state", "info", "how", "left"]),
    ("list", &["ls", "sales", "templates", "show"]),
    ("next", &["queue", "enqueue", "after"]),
    ("again", &["repeat", "replay", "restart", "rerun"]),
    ("undo", &["revert", "oops", "back"]),
    ("yes", &["y", "ok", "confirm"]),
    ("links", &["link", "pages"]),
    ("report", &["summary", "stats", "sold"]),
    ("why", &["explain", "what", "find"]),
    ("rehearse", &["rehearsal", "demo", "test", "simulate", "practice"]),
    ("help", &["commands", "?", "usage"]),
];

/// The known word closest to what was typed, if it is close enough to be what was meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    known
        .map(|name| (strsim::damerau_levenshtein(&word, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= (name.chars().count() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The verb that was probably meant.
fn verb_meant(verb: &str) -> Option<&'static str> {
    let verb = verb.to_lowercase();
    let by_another_word = SYNONYMS.iter().find(|(_, words)| words.contains(&verb.as_str()));
    let near = || nearest(&verb, SPECS.iter().map(|spec| spec.verb));
    by_another_word.map(|(verb, _)| *verb).or_else(near)
}

/// Answers a verb that there is not.
pub(super) fn unknown_verb(verb: &Word, args: &[Word], templates: &[&str]) -> Mistake {
    let typed = |words: &[Word]| -> String {
        words.iter().map(|word| format!(" {}", word.typed())).collect()
    };
    let meant = |verb: &str| {
        let whole = format!("{verb}{}", typed(args));
        // What would be refused as well is not proposed.
        match parse(&whole, templates) {
            Ok(_) => format!(": !sale {}?", clip_to(&whole, 80)),
            Err(_) => format!(" {verb}? See !sale help {verb}"),
        }
    };
    let is_template = templates.iter().any(|name| name.to_lowercase() == verb.text.to_lowercase());
    let meant = if is_template {
        let whole = format!("start {}{}", verb.text, typed(args));
        Some(format!(": !sale {}?", clip_to(&whole, 80)))
    } else {
        verb_meant(&verb.text).map(meant)
    };
    let verb = clip(&verb.text);
    Mistake(match meant {
        Some(meant) => format!("No such command: {verb}. Did you mean{meant}"),
        None => format!("No such command: {verb}. See !sale help"),
    })
}

/// Answers a template that there is not. `behind` is what follows the word.
pub(super) fn unknown_template(
    spec: &Spec,
    word: &str,
    behind: &[Word],
    templates: &[&str],
) -> Mistake {
    let shown = clip(word);
    let number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    if number && matches!(spec.args, Args::Template { number: true }) {
        return Mistake(format!(
            "No template {shown}. Did you mean: !sale {} #{shown}?",
            spec.verb
        ));
    }
    let guess =
        in_two_words(word, behind, templates).or_else(|| nearest(word, templates.iter().copied()));
    Mistake(match guess {
        Some(guess) => format!("No template {shown}. Did you mean {guess}?"),
        None => format!("No template {shown}. {}.", known_templates(templates)),
    })
}

/// A template whose name was typed with spaces: `blue fern` for `blue-fern`.
fn in_two_words<'a>(word: &str, behind: &[Word], templates: &[&'a str]) -> Option<&'a str> {
    let bare = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    let mut typed = word.to_owned();
    for next in behind.iter().take(3) {
        typed.push_str(&next.text);
        let same = |name: &&&str| bare(name) == bare(&typed);
        if let Some(name) = templates.iter().find(same) {
            return Some(*name);
        }
    }
    None
}

/// Answers an option that the verb does not take.
pub(super) fn unknown_key(spec: &Spec, key: &str) -> Mistake {
    match nearest(key, spec.args.keys().map(|(key, _)| key)) {
        Some(guess) => Mistake(format!("No option {}=. Did you mean {guess}=?", clip(key))),
        None => {
            let keys: Vec<String> = spec.args.keys().map(|(key, _)| format!("{key}=")).collect();
            let verb = spec.verb;
            Mistake(format!("No option {}=. {verb} takes {}.", clip(key), keys.join(" ")))
        }
    }
}

/// The templates there are, in words.
pub(super) fn known_templates(templates: &[&str]) -> String {
    match templates {
        [] => "There are none: add one to config.toml".to_owned(),
        some => format!("Templates: {}", clip_to(&some.join(", "), 200)),
    }
}

/// Answers a word that does not belong behind a verb without options.
pub(super) fn stray(spec: &Spec, word: &Word) -> Mistake {
    let shown = clip(&word.text);
    let (verb, example) = (spec.verb, spec.examples[0]);
    let is_time = time(&word.text).is_ok();
    let is_number = word.text.bytes().all(|b| b.is_ascii_digit());
    let takes_sale = !matches!(spec.args, Args::Nothing | Args::Verb | Args::Rehearsal);
    Mistake(match verb {
        "pause" if is_time => "A pause has no time: it lasts until !sale resume".to_owned(),
        "again" if shown.starts_with('#') => "again takes no number: the last sale starts once \
            more, as it was. For another one: !sale start TEMPLATE"
            .to_owned(),
        "again" => format!(
            "again takes nothing: the sale starts as it was. To change something: \
             !sale start TEMPLATE {shown}"
        ),
        _ if is_number && takes_sale => {
            format!("I don't understand \"{shown}\" here. Did you mean: !sale {verb} #{shown}?")
        }
        _ if word.text.eq_ignore_ascii_case("all") && takes_sale => {
            format!("There is no {verb} for all sales. Give a number: !sale {verb} #7")
        }
        _ => format!("I don't understand \"{shown}\" here. Try: {example}"),
    })
}

/// Answers a word among options that is neither a time nor an option. `before` and `behind` are
/// its neighbours, without the template.
pub(super) fn odd_word(
    spec: &Spec,
    templates: &[&str],
    before: &[Word],
    word: &str,
    behind: &[Word],
) -> Mistake {
    let known = |key: &str| spec.args.keys().any(|(known, _)| known.eq_ignore_ascii_case(key));
    let next = behind.first().map(|word| word.text.as_str());
    if let Some(text) = unquoted_text(before, word, behind) {
        return Mistake(text);
    }
    // `stock = 5`, `stock =5`, `stock 5`
    if known(word)
        && let Some(next) = next
    {
        let value = next.trim_start_matches('=');
        let value = if value.is_empty() { behind.get(1).map_or("", |w| &w.text) } else { value };
        return write_as(word, value);
    }
    // `stock:4`
    if let Some((key, value)) = word.split_once(':').filter(|(key, _)| known(key)) {
        return write_as(key, value);
    }
    // `--stock 4`, `--stock=4`
    if let Some(option) = word.strip_prefix('-').map(|rest| rest.trim_start_matches('-')) {
        let (key, value) = option.split_once('=').unwrap_or((option, next.unwrap_or_default()));
        if known(key) {
            return write_as(key, value);
        }
    }
    if let Some(bare) = word.strip_suffix([',', ';']).filter(|bare| !bare.is_empty()) {
        return Mistake(format!("Leave out the \"{}\": {}", &word[bare.len()..], clip(bare)));
    }
    if templates.iter().any(|name| name.eq_ignore_ascii_case(word)) {
        return Mistake(format!("One template per sale: {} is one too many.", clip(word)));
    }
    match word.chars().next() {
        Some(c) if c.is_ascii_digit() => match time(word) {
            Err(error) => Mistake(format!("{error}.")),
            Ok(_) => Mistake(format!("I don't understand \"{}\" here.", clip(word))),
        },
        _ => {
            let shown = clip(word);
            Mistake(format!("I don't understand \"{shown}\" here. Try: {}", spec.examples[0]))
        }
    }
}

fn write_as(key: &str, value: &str) -> Mistake {
    let key = key.to_lowercase();
    let quote = if value.contains(char::is_whitespace) { "\"" } else { "" };
    match value {
        "" => Mistake(format!("{key}= needs a value.")),
        _ => Mistake(format!("Write it without spaces: {key}={quote}{}{quote}", clip(value))),
    }
}

/// `title=Blue Fern`: the words of a text that is not in quotation marks.
fn unquoted_text(before: &[Word], word: &str, behind: &[Word]) -> Option<String> {
    let last = before.last().filter(|last| !last.quoted)?;
    let (key, begun) = last.option()?;
    if !key.eq_ignore_ascii_case("title") {
        return None;
    }
    let is_text = |word: &&Word| word.option().is_none() && time(&word.text).is_err();
    let more = behind.iter().take_while(is_text).map(|word| word.text.as_str());
    let words: Vec<&str> = [begun, word].into_iter().chain(more).collect();
    Some(format!("Put it in quotes: title=\"{}\"", clip_to(words.join(" ").trim(), 80)))
}

/// A word as it may be shown in an answer.
pub(super) fn clip(text: &str) -> String {
    clip_to(text, 24)
}

fn clip_to(text: &str, chars: usize) -> String {
    match text.char_indices().nth(chars) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
