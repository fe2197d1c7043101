//! `/sale`: the slash commands made of the one table of verbs, and back into the text grammar, so
//! that there is one parser for every platform. Pure.

use std::sync::Arc;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    escape::label,
    interaction::{Choice, Interaction},
    rights::{MANAGE_GUILD, MANAGE_MESSAGES},
};
use crate::{
    command::{Args, REHEARSAL_STOP, SPECS, Spec, parse::PREFIX},
    view::{State, View},
};

/// The command's name: the prefix without its mark.
pub(super) const NAME: &str = "sale";

/// Suggestions shown while typing (Discord takes 25).
const SUGGESTIONS_MAX: usize = 25;

/// Kinds of options (Discord's reference of *Application Command Option Type*).
const SUBCOMMAND: u8 = 1;
const STRING: u8 = 3;

/// What can be suggested while somebody types.
pub struct Hints {
    /// Names of templates.
    pub templates: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Sales that are not closed.
    pub sales: Box<dyn Fn() -> Vec<Arc<View>> + Send + Sync>,
}

/// The whole list of commands to register. `by_id`: who may is configured by ids.
pub(super) fn commands(by_id: bool) -> Value {
    let verbs: Vec<Value> = SPECS
        .iter()
        .map(|spec| {
            json!({
                "type": SUBCOMMAND,
                "name": spec.verb,
                "description": label(spec.does, 100),
                "options": options(spec),
            })
        })
        .collect();
    // Who sees the command; who may use it is checked by us in any case.
    let seen_by = if by_id { MANAGE_MESSAGES } else { MANAGE_GUILD };
    json!([{
        "name": NAME,
        "type": 1,
        "description": "Run timed, stock-limited sales",
        "default_member_permissions": seen_by.to_string(),
        "options": verbs,
    }])
}

/// Names a list of commands, to see whether it changed.
pub(super) fn fingerprint(commands: &Value, application: &str) -> String {
    let digest = Sha256::new().chain_update(application).chain_update(commands.to_string());
    hex::encode(&digest.finalize()[..16])
}

fn options(spec: &Spec) -> Vec<Value> {
    let which = || option("sale", "which sale, if several run", false, true);
    match spec.args {
        Args::Template { .. } | Args::Rehearsal => {
            let what = match spec.args {
                Args::Template { number: true } => "a template, or an armed sale",
                Args::Rehearsal => "a template, or stop",
                _ => "a template",
            };
            let mut all = vec![
                option("what", what, true, true),
                option("time", "how long, like 10m or 1h30m", false, false),
            ];
            all.extend(spec.args.keys().map(|(key, does)| option(key, does, false, false)));
            all
        }
        Args::Sale => vec![which()],
        Args::SaleTime => vec![option("time", "like 5m, or -2m", true, false), which()],
        Args::SaleUnits => vec![option("units", "like 3, or -2", true, false), which()],
        Args::SaleWord => {
            let what = "number of a hold, or id of an order or payment";
            vec![option("what", what, true, false), which()]
        }
        Args::Verb => vec![option("verb", "about which verb", false, true)],
        Args::Nothing => Vec::new(),
    }
}

fn option(name: &str, does: &str, required: bool, suggests: bool) -> Value {
    json!({
        "type": STRING,
        "name": name,
        "description": label(does, 100),
        "required": required,
        "autocomplete": suggests,
    })
}

/// A slash command as the line that somebody could have typed; `None` if it is not ours.
pub(super) fn line(interaction: &Interaction) -> Option<String> {
    let verb = verb(interaction)?;
    let spec = Spec::of(&verb.name)?;
    let mut line = format!("{PREFIX} {}", spec.verb);
    let given = |name: &str| verb.options.iter().find(|one| one.name == name).map(text);
    // Numbers and names come first, as people type them; then times; then keys.
    for name in ["sale", "what", "verb", "time", "units"] {
        let Some(value) = given(name).filter(|value| !value.is_empty()) else { continue };
        let word = match name {
            "sale" => format!("#{}", value.trim_start_matches('#')),
            // People write "1h 30m" where there is a field for it.
            "time" => value.split_whitespace().collect(),
            _ => value,
        };
        line.push(' ');
        line.push_str(&quoted(&word));
    }
    for (key, _) in spec.args.keys() {
        if let Some(value) = given(key).filter(|value| !value.is_empty()) {
            line.push_str(&format!(" {key}={}", quoted(&value)));
        }
    }
    Some(line)
}

fn verb(interaction: &Interaction) -> Option<&Choice> {
    (interaction.data.name == NAME).then(|| interaction.data.options.first()).flatten()
}

fn text(choice: &Choice) -> String {
    match &choice.value {
        Value::String(text) => text.trim().to_owned(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// A value that stays one word, whatever stands in it.
fn quoted(value: &str) -> String {
    let value = value.replace(['"', '“', '”', '„'], "'");
    if value.contains(char::is_whitespace) { format!("\"{value}\"") } else { value }
}

/// Suggestions for the option somebody is typing into.
pub(super) fn suggestions(interaction: &Interaction, hints: &Hints) -> Vec<Value> {
    let Some(verb) = verb(interaction) else { return Vec::new() };
    let Some(typed) = verb.options.iter().find(|one| one.focused == Some(true)) else {
        return Vec::new();
    };
    let sales = |fits: fn(&View) -> bool| {
        (hints.sales)().into_iter().filter(move |view| fits(view)).map(|view| {
            let value = format!("#{}", view.number);
            (format!("{value} {} · {}", view.title, view.state.word().replace('_', " ")), value)
        })
    };
    let all: Vec<(String, String)> = match typed.name.as_str() {
        "what" => {
            let templates = (hints.templates)().into_iter().map(|name| (name.clone(), name));
            let spec = Spec::of(&verb.name).map(|spec| spec.args);
            let opens = spec == Some(Args::Template { number: true });
            let armed = sales(|view| view.state == State::Armed).filter(|_| opens);
            let stop = (spec == Some(Args::Rehearsal)).then(|| REHEARSAL_STOP.to_owned());
            let stop = stop.map(|stop| (stop.clone(), stop));
            armed.chain(templates).chain(stop).collect()
        }
        "sale" => sales(|_| true).collect(),
        "verb" => SPECS.iter().map(|spec| (spec.verb.to_owned(), spec.verb.to_owned())).collect(),
        _ => Vec::new(),
    };
    let begun = text(typed).to_lowercase();
    all.into_iter()
        .filter(|(shown, value)| {
            shown.to_lowercase().contains(&begun) || value.to_lowercase().contains(&begun)
        })
        .filter(|(_, value)| value.chars().count() <= 100)
        .take(SUGGESTIONS_MAX)
        .map(|(shown, value)| json!({ "name": label(&shown, 100), "value": value }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::parse::{ours, parse};

    fn typed(verb: &str, options: &[(&str, Value)]) -> Interaction {
        let options: Vec<Value> =
            options.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        serde_json::from_value(json!({
            "id": "1", "application_id": "2", "type": 2, "token": "t",
            "data": { "name": "sale", "options": [{ "name": verb, "options": options }] },
        }))
        .expect("reads")
    }

    #[test]
    fn a_slash_command_is_the_line_somebody_could_have_typed() {
        let cases = [
            (
                typed("start", &[("what", "mug".into()), ("time", "1h 30m".into())]),
                "!sale start mug 1h30m",
            ),
            (
                typed(
                    "start",
                    &[
                        ("what", "mug".into()),
                        ("title", "Blue \"Fern\" x=1".into()),
                        ("stock", 4.into()),
                    ],
                ),
                "!sale start mug stock=4 title=\"Blue 'Fern' x=1\"",
            ),
            (typed("start", &[("what", "mug stock=900".into())]), "!sale start \"mug stock=900\""),
            (
                typed("extend", &[("time", "-2m".into()), ("sale", "7".into())]),
                "!sale extend #7 -2m",
            ),
            (typed("restock", &[("units", "3".into())]), "!sale restock 3"),
            (typed("stop", &[("sale", "#7".into())]), "!sale stop #7"),
            (typed("list", &[]), "!sale list"),
            (typed("help", &[("verb", "start".into())]), "!sale help start"),
        ];
        for (interaction, said) in cases {
            assert_eq!(line(&interaction).as_deref(), Some(said));
        }
        assert_eq!(line(&typed("dance", &[])), None);
    }

    #[test]
    fn every_verb_can_be_said_by_its_own_options() {
        for spec in SPECS {
            let given: Vec<(String, Value)> = options(spec)
                .iter()
                .map(|option| {
                    let name = option["name"].as_str().expect("a name").to_owned();
                    let value = match name.as_str() {
                        "what" => "mug",
                        "time" => "5m",
                        "hold" => "90s",
                        "sale" => "#7",
                        "units" | "stock" | "crowd" | "speed" => "3",
                        "price" => "20",
                        "verb" => "start",
                        _ => "x",
                    };
                    (name, value.into())
                })
                .collect();
            let given: Vec<(&str, Value)> =
                given.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
            let said = line(&typed(spec.verb, &given)).expect("a line");
            let rest = ours(&said).expect("ours");
            assert!(parse(&rest, &["mug"]).is_ok(), "{said}: {:?}", parse(&rest, &["mug"]));
        }
    }
}
