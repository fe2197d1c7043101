//! The names of environment variables: one that sets nothing is not passed over in silence.

use std::{collections::HashMap, path::Path};

use super::{Config, Providers, load::ConfigError};
use crate::{command::guess::nearest, finding::Finding};

/// Keys in the environment begin with this; `__` stands between levels.
pub(super) const PREFIX: &str = "LIVETILL_";

/// The first parts of keys.
const TABLES: [&str; 8] =
    ["SHOP", "HTTP", "STORE", "CONSOLE", "DISCORD", "TWITCH", "PROVIDERS", "TEMPLATES"];

/// Whether an environment variable sets something here.
pub fn is_setting(variable: &str) -> bool {
    variable.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__"))
}

/// How a key is called in the environment.
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"))
}

/// Refuses variables that were meant to set something and set nothing; what may be somebody else's
/// is doubted only. Those of `file` can only be meant for us.
pub(super) fn check(
    environment: &HashMap<String, String>,
    file: &HashMap<String, String>,
    path: &Path,
) -> Result<Vec<Finding>, ConfigError> {
    let wrong = |name: &str, says: String| match environment.contains_key(name) {
        true => ConfigError::Environment(says),
        false => ConfigError::File { path: path.to_owned(), says },
    };
    let mut names: Vec<&String> = environment.keys().chain(file.keys()).collect();
    names.sort();
    names.dedup();
    if let Some((name, says)) = in_capitals(&names).or_else(|| two_underscores(&names)) {
        return Err(wrong(name, says));
    }
    let mut doubtful = Vec::new();
    for name in names.into_iter().filter(|name| is_unknown(name)) {
        let meant = meant(name);
        let says = match &meant {
            Some(meant) => format!("{name} sets nothing. Did you mean {meant}?"),
            None => format!(
                "{name} sets nothing: there is no such key. Remove it; config.toml shows every key"
            ),
        };
        if meant.is_some() || file.contains_key(name) {
            return Err(wrong(name, says));
        }
        doubtful.push(Finding::warning("environment", says));
    }
    Ok(doubtful)
}

/// A setting whose name is not in capitals: it would be read by nobody.
fn in_capitals<'a>(names: &[&'a String]) -> Option<(&'a str, String)> {
    let small = |name: &&&String| !is_setting(name) && is_setting(&name.to_uppercase());
    let name = names.iter().find(small)?;
    let capitals = name.to_uppercase();
    Some((name, format!("{name} sets nothing: write it in capitals, {capitals}")))
}

/// A setting with one underscore where there must be two: it would be read by nobody.
fn two_underscores<'a>(names: &[&'a String]) -> Option<(&'a str, String)> {
    let one = |name: &&&String| {
        let rest = name.strip_prefix(PREFIX).filter(|_| !is_setting(name));
        let table = rest.and_then(|rest| rest.split_once('_'));
        table.is_some_and(|(table, _)| TABLES.contains(&table))
    };
    let name = names.iter().find(one)?;
    let says = format!(
        "{name} sets nothing: write two underscores between the parts of a key, as in \
         {PREFIX}HTTP__LISTEN"
    );
    Some((name, says))
}

/// Whether a variable begins like ours and is read by nobody.
fn is_unknown(name: &str) -> bool {
    let Some(rest) = name.strip_prefix(PREFIX) else { return false };
    if let Some((table, _)) = rest.split_once("__") {
        return !TABLES.contains(&table);
    }
    // Logs, our own tests, and what Kubernetes sets for a service that is called as we are.
    let others = ["TEST_", "SERVICE_", "PORT_"];
    let known = ["LOG", "LOG_FORMAT", "PORT"].contains(&rest);
    !known && !others.iter().any(|begin| rest.starts_with(begin))
}

/// The variables that were probably meant: those that end alike, or else the nearest one.
fn meant(name: &str) -> Option<String> {
    let joined = |name: &str| name[PREFIX.len()..].replace("__", "_");
    let (typed, is_file) = match name.strip_suffix("_FILE") {
        Some(bare) => (joined(bare), "_FILE"),
        None => (joined(name), ""),
    };
    let known = known();
    let ends_alike: Vec<String> = known
        .iter()
        .filter(|known| joined(known).ends_with(&format!("_{typed}")))
        .map(|known| format!("{known}{is_file}"))
        .collect();
    if !ends_alike.is_empty() {
        return Some(ends_alike.join(" or "));
    }
    let names: Vec<String> = known.iter().map(|known| joined(known)).collect();
    let near = nearest(&typed, names.iter().map(String::as_str))?;
    let at = names.iter().position(|name| name == near)?;
    Some(format!("{}{is_file}", known[at]))
}

/// Every variable that sets something, templates aside. What keys there are a table itself says,
/// if it is given one that it cannot have.
fn known() -> Vec<String> {
    let mut known = Vec::new();
    let own = TABLES.iter().map(|table| table.to_lowercase());
    let services = Providers::NAMES.iter().map(|name| format!("providers.{name}"));
    let keyed = own.filter(|table| !["providers", "templates"].contains(&table.as_str()));
    for table in keyed.chain(services) {
        let Err(error) = toml::from_str::<Config>(&format!("[{table}]\n\"?\" = 1\n")) else {
            continue;
        };
        let keys = error.message().split('`').skip(1).step_by(2).filter(|key| *key != "?");
        known.extend(keys.map(|key| variable_of(&format!("{table}.{key}"))));
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(file: bool, name: &str) -> Result<Vec<String>, String> {
        let one: HashMap<_, _> = [(name.to_owned(), "v".to_owned())].into();
        let none = HashMap::new();
        let path = Path::new("livetill.env");
        let checked = if file { check(&none, &one, path) } else { check(&one, &none, path) };
        let found = checked.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|finding| finding.says).collect())
    }

    #[test]
    fn what_is_read_is_known() {
        let known = known();
        for name in ["LIVETILL_HTTP__DESK_TOKEN", "LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN"] {
            assert!(known.iter().any(|one| one == name), "{name}: {known:?}");
        }
        for name in known.iter().map(String::as_str).chain([
            "LIVETILL_LOG",
            "LIVETILL_LOG_FORMAT",
            "LIVETILL_TEST_STORE",
            "LIVETILL_TEMPLATES__MUG__PRICE",
            "LIVETILL_DISCORD__TOKEN_FILE",
            "LIVETILL_SERVICE_HOST",
            "LIVETILL_PORT_8080_TCP_ADDR",
            "PATH",
        ]) {
            assert_eq!(says(false, name), Ok(vec![]), "{name}");
            assert_eq!(says(true, name), Ok(vec![]), "{name}");
        }
    }

    #[test]
    fn a_variable_that_sets_nothing_is_refused_with_the_one_that_was_meant() {
        for (name, meant) in [
            ("LIVETILL_DESK_TOKEN", "Did you mean LIVETILL_HTTP__DESK_TOKEN?"),
            ("LIVETILL_DESK_TOKEN_FILE", "Did you mean LIVETILL_HTTP__DESK_TOKEN_FILE?"),
            ("LIVETILL_HTPP__LISTEN", "Did you mean LIVETILL_HTTP__LISTEN?"),
            (
                "LIVETILL_SQUARE__ACCESS_TOKEN",
                "Did you mean LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN?",
            ),
            ("LIVETILL_TOKEN", "Did you mean LIVETILL_HTTP__DESK_TOKEN or LIVETILL_DISCORD__TOKEN"),
        ] {
            for file in [false, true] {
                let error = says(file, name).expect_err(name);
                assert!(error.contains(name) && error.contains(meant), "{error}");
            }
        }
    }

    #[test]
    fn what_may_be_somebody_elses_is_doubted_and_in_our_own_file_refused() {
        for name in ["LIVETILL_FOO__BAR", "LIVETILL_WHATEVER"] {
            let doubted = says(false, name).expect("runs");
            assert!(doubted.len() == 1 && doubted[0].contains(name), "{doubted:?}");
            assert!(says(true, name).expect_err("refused").contains(name));
        }
    }
}
