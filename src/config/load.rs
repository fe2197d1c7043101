//! Reads the file, then lays the environment over it.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use config::{Environment, File, FileFormat};

use super::{Config, Finding, templates};
use crate::{command::parse::nearest, sale::template::Template};

/// Keys in the environment begin with this; `__` stands between levels.
const PREFIX: &str = "LIVETILL_";

/// Secrets may also stand in this file beside the configuration.
const SECRETS_FILE: &str = "livetill.env";

/// A configuration that can be used, and what is doubtful about it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Templates by name.
    pub templates: BTreeMap<String, Template>,
    /// What is doubtful.
    pub warnings: Vec<Finding>,
    /// The file it came from; none if there was none.
    pub path: Option<PathBuf>,
}

/// Why there is no configuration. Each message names the place and the mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// The file is not what it should be.
    #[error("{path}: {says}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        says: String,
    },
    /// An environment variable is not what it should be.
    #[error("in the environment: {0}")]
    Environment(String),
    /// Values that do not go together.
    #[error("{}", .0.iter().map(|f| format!("{}: {}", f.key, f.says)).collect::<Vec<_>>().join("\n"))]
    Values(Vec<Finding>),
    /// The secrets' file can be read by others.
    #[error("{0} can be read by others: chmod 600 {0}")]
    Open(PathBuf),
}

/// Loads the configuration at `path`; without a file, the defaults hold.
///
/// # Errors
/// Says what is wrong, where, and how to mend it.
pub fn load(path: &Path, environment: &HashMap<String, String>) -> Result<Loaded, ConfigError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(ConfigError::Unreadable { path: path.to_owned(), why: error.to_string() });
        }
    };
    let text_or_none = text.clone().unwrap_or_default();
    check_text(path, &text_or_none)?;
    let config = overlay(&text_or_none, &variables(path, environment)?)?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        config.check().into_iter().partition(|finding| !finding.warning);
    if !errors.is_empty() {
        return Err(ConfigError::Values(errors));
    }
    let templates = templates(&config.templates).map_err(ConfigError::Values)?;
    Ok(Loaded { config, templates, warnings, path: text.is_some().then(|| path.to_owned()) })
}

/// Reads the templates anew; everything else stays as it was at the start.
///
/// # Errors
/// As [`load`]; the templates in use stay.
pub fn reload_templates(
    path: &Path,
    environment: &HashMap<String, String>,
) -> Result<BTreeMap<String, Template>, ConfigError> {
    Ok(load(path, environment)?.templates)
}

/// The file alone, so that mistakes are shown with their line.
fn check_text(path: &Path, text: &str) -> Result<(), ConfigError> {
    let config = toml::from_str::<Config>(text).map_err(|error| {
        let mut says = error.to_string().trim_end().to_owned();
        if let Some(guess) = suggestion(error.message()) {
            says.push_str(&format!("\nDid you mean {guess}?"));
        }
        ConfigError::File { path: path.to_owned(), says: format!("\n{says}") }
    })?;
    match config.secrets().into_iter().find(|(_, set)| *set) {
        Some((key, _)) => {
            let variable = format!("{PREFIX}{}", key.to_uppercase().replace('.', "__"));
            let says = format!(
                "{key} is a secret and does not belong here: set {variable} in the environment or \
                 in {SECRETS_FILE}"
            );
            Err(ConfigError::File { path: path.to_owned(), says })
        }
        None => Ok(()),
    }
}

/// The known key nearest to the unknown one that serde complains about.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    message.starts_with("unknown field").then_some(())?;
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    nearest(unknown, known.into_iter()).map(str::to_owned)
}

fn overlay(text: &str, variables: &HashMap<String, String>) -> Result<Config, ConfigError> {
    let environment = Environment::with_prefix("LIVETILL")
        .prefix_separator("_")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .with_list_parse_key("shop.rooms")
        .with_list_parse_key("shop.mod_rooms")
        .with_list_parse_key("http.trusted_proxies")
        .with_list_parse_key("providers.square.probe_reject")
        .with_list_parse_key("providers.noventiq.checkout_hosts")
        .with_list_parse_key("twitch.moderator_users")
        .with_list_parse_key("discord.moderator_roles")
        .with_list_parse_key("discord.moderator_users")
        .ignore_empty(true)
        .source(Some(variables.clone()));
    config::Config::builder()
        .add_source(File::from_str(text, FileFormat::Toml))
        .add_source(environment)
        .build()
        .and_then(config::Config::try_deserialize)
        .map_err(|error| {
            let mut says = error.to_string();
            if let Some(guess) = suggestion(&says) {
                says.push_str(&format!(". Did you mean {guess}?"));
            }
            ConfigError::Environment(says)
        })
}

/// Our variables: the secrets' file beside the configuration, then the environment over it.
/// Variables without `__` are not settings.
fn variables(
    path: &Path,
    environment: &HashMap<String, String>,
) -> Result<HashMap<String, String>, ConfigError> {
    let mut all = secrets_file(path)?;
    all.extend(environment.iter().map(|(key, value)| (key.clone(), value.clone())));
    all.retain(|key, _| key.strip_prefix(PREFIX).is_some_and(|rest| rest.contains("__")));
    Ok(all)
}

fn secrets_file(config: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let path = config.with_file_name(SECRETS_FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(HashMap::new()),
        Err(error) => return Err(ConfigError::Unreadable { path, why: error.to_string() }),
    };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if std::fs::metadata(&path).is_ok_and(|meta| meta.mode() & 0o077 != 0) {
            return Err(ConfigError::Open(path));
        }
    }
    let mut found = HashMap::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            // The line may hold a secret: it is named, not shown.
            let says = format!("line {}: write KEY=value", n + 1);
            return Err(ConfigError::File { path, says });
        };
        found.insert(key.trim().to_owned(), value.trim().trim_matches('"').to_owned());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Span;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let dir = std::env::temp_dir().join(format!("livetill-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        let n = text.len() * 1000 + variables.len();
        let path = dir.join(format!("{n}.toml"));
        std::fs::write(&path, text).expect("written");
        let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(&path, &variables).map_err(|error| error.to_string())
    }

    const MUG: &str = "[templates.mug]\nprice = \"18.00\"\n";

    #[test]
    fn a_template_needs_only_a_price() {
        let loaded = with(MUG, &[]).expect("loads");
        let mug = &loaded.templates["mug"];
        assert_eq!((mug.title.as_str(), mug.stock, mug.hold), ("mug", 1, Span::from_mins(3)));
    }

    #[test]
    fn the_environment_wins_over_the_file() {
        let loaded = with(
            "[http]\nlisten = \"127.0.0.1:1\"\n",
            &[
                ("LIVETILL_HTTP__LISTEN", "127.0.0.1:2"),
                ("LIVETILL_SHOP__ROOMS", "console,twitch:ana"),
                ("LIVETILL_TEMPLATES__MUG__PRICE", "18.50"),
                ("LIVETILL_TEMPLATES__MUG__STOCK", "7"),
                ("LIVETILL_SOMETHING", "else"),
            ],
        )
        .expect("loads");
        assert_eq!(loaded.config.http.listen.port(), 2);
        assert_eq!(loaded.config.shop.rooms.len(), 2);
        assert_eq!(loaded.templates["mug"].price.minor, 1850);
        assert_eq!(loaded.templates["mug"].stock, 7);
    }

    #[test]
    fn mistakes_are_named_with_line_and_mend() {
        let cases = [
            ("[http]\nlisten = \"127.0.0.1:1\"\n[htpp]\n", "Did you mean http?"),
            ("[http]\nlisen = \"x\"\n", "Did you mean listen?"),
            ("[http]\nlisen = \"x\"\n", "line 2"),
            ("[http]\nlisten = \"x\"\n", "line 2"),
            ("[shop]\nrooms = [\"irc:x\"]\n", "not a room: irc:x"),
            ("[templates.mug]\ntitle = \"x\"\n", "templates.mug.price: is missing"),
            ("[templates.mug]\nprice = \"1.234\"\n", "USD has 2 decimals"),
            ("[templates.mug]\nprice = \"1\"\nduration = \"10\"\n", "10 what?"),
            (
                "[templates.mug]\nprice = \"1\"\nhold = \"13m\"\n",
                "must be shorter than duration + grace",
            ),
            ("[templates.mug]\nprice = \"1\"\ncurrency = \"XXQ\"\n", "not a currency: XXQ"),
            ("[templates.mug]\nprice = \"1\"\nmin_price = \"2\"\n", "Not below $2"),
            ("[templates.\"a b\"]\nprice = \"1\"\n", "the name is typed in chat"),
            ("[shop]\npublic_url = \"shop.example\"\n", "write it like"),
            (
                "[shop]\npublic_url = \"https://shop.example\"\n[templates.mug]\nprice = \"1\"\n",
                "allow_public",
            ),
            ("[http]\nlisten = \"0.0.0.0:80\"\n", "shop.public_url"),
            ("[providers.sandbox.faults]\nerror = 2.0\n", "between 0 and 1"),
            (
                "[providers.square]\naccess_token = \"x\"\n",
                "LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN",
            ),
            ("[templates.mug]\nprice = \"1\"\nprovider = \"sqare\"\n", "Did you mean square?"),
            ("[templates.mug]\nprice = \"1\"\nprovider = \"square\"\n", "no access token yet"),
            (
                "[templates.mug]\nprice = \"1\"\n[templates.mug.square]\nnote = \"x\"\n",
                "templates.mug.square: these options are for provider = \"square\"",
            ),
            ("[twitch]\ntoken = \"x\"\n", "set LIVETILL_TWITCH__TOKEN"),
            ("[twitch]\nserver = \"irc.chat.twitch.tv\"\n", "write it like"),
            ("[discord]\ntoken = \"x\"\n", "set LIVETILL_DISCORD__TOKEN"),
            ("[discord]\nenabled = true\n", "needs the bot's token"),
            ("[discord]\nmoderator_roles = [\"mods\"]\n", "not an id: mods"),
            ("x = [", "line 1"),
        ];
        for (text, says) in cases {
            let error = with(text, &[]).expect_err(text);
            assert!(error.contains(says), "{text}: {error}");
        }
        let error = with("", &[("LIVETILL_HTTP__LISTN", "x")]).expect_err("unknown");
        assert!(error.contains("listn") && error.contains("Did you mean listen?"), "{error}");
    }

    #[test]
    fn short_times_are_allowed_and_doubted() {
        let text = format!("{MUG}duration = \"20s\"\ngrace = \"2s\"\n");
        let loaded = with(&text, &[]).expect("loads");
        let keys: Vec<&str> = loaded.warnings.iter().map(|w| w.key.as_str()).collect();
        assert!(keys.contains(&"templates.mug.duration"), "{keys:?}");
        assert!(loaded.templates["mug"].hold < Span::from_secs(22));
    }
}
