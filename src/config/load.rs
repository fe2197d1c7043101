//! Reads the file, then lays the environment over it.

use std::{
    collections::{BTreeMap, HashMap},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use config::{File, FileFormat};

use super::{
    Config, Providers, env_file, templates,
    variables::{self, PREFIX, is_setting, variable_of},
};
use crate::{command::guess::nearest, file, finding::Finding, sale::template::Template};

/// Secrets may also stand in this file beside the configuration.
pub const SECRETS_FILE: &str = "livetill.env";

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
    #[error(
        "{0} can be read by others: chmod 600 {0}\nWhere that changes nothing (a mount without \
         modes), set the values in the environment instead, or name a file for each, as secret \
         mounts have it: LIVETILL_DISCORD__TOKEN_FILE=/run/secrets/discord"
    )]
    Open(PathBuf),
    /// The file that was named is not there.
    #[error("there is no {0}: check the name, or make it with: livetill --config {0} setup")]
    Missing(PathBuf),
}

/// Loads the configuration at `path`; without a file, the defaults hold.
///
/// # Errors
/// Says what is wrong, where, and how to mend it.
pub fn load(path: &Path, environment: &HashMap<String, String>) -> Result<Loaded, ConfigError> {
    let text = text_of(path)?;
    let mut variables = secrets_file(path)?;
    let doubtful = variables::check(environment, &variables, &path.with_file_name(SECRETS_FILE))?;
    variables.extend(environment.iter().map(|(key, value)| (key.clone(), value.clone())));
    secret_files(&mut variables)?;
    let there = text.is_some().then(|| path.to_owned());
    let mut loaded = read(path, text.as_deref().unwrap_or_default(), variables)?;
    loaded.warnings.extend(doubtful);
    if text.is_none() && loaded.templates.is_empty() {
        let says = format!(
            "there is no {} here: the defaults run, with nothing to sell. Make one with: livetill \
             setup",
            path.display()
        );
        loaded.warnings.push(Finding::warning("config", says));
    }
    Ok(Loaded { path: there, ..loaded })
}

/// Reads the text of the file at `path` and lays `variables` over it, those that are settings:
/// they begin with `LIVETILL_` and have `__` in them.
///
/// # Errors
/// As [`load`].
pub fn read(
    path: &Path,
    text: &str,
    mut variables: HashMap<String, String>,
) -> Result<Loaded, ConfigError> {
    check_text(path, text)?;
    variables.retain(|key, _| is_setting(key));
    let config = overlay(text, &variables)?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        config.check().into_iter().partition(Finding::is_error);
    if !errors.is_empty() {
        return Err(ConfigError::Values(errors));
    }
    let templates = templates(&config.templates).map_err(ConfigError::Values)?;
    Ok(Loaded { config, templates, warnings, path: Some(path.to_owned()) })
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
        if let Some(mend) = mend(error.message()) {
            says.push_str(&format!("\n{mend}"));
        }
        if error.message().contains("invalid type") && error.message().contains("string") {
            says.push_str("\nIt is a text: put it in quotes.");
        }
        ConfigError::File { path: path.to_owned(), says: format!("\n{says}") }
    })?;
    match config.secrets().into_iter().find(|(_, set)| *set) {
        Some((key, _)) => {
            let variable = variable_of(&key);
            let says = format!(
                "{key} is a secret and does not belong here: set {variable} in the environment or \
                 in {SECRETS_FILE}"
            );
            Err(ConfigError::File { path: path.to_owned(), says })
        }
        None => Ok(()),
    }
}

/// What to write instead.
fn mend(message: &str) -> Option<String> {
    if message.contains("invalid socket address syntax") {
        let says = "Write an IP address and a port, like 127.0.0.1:8080 for this machine or \
                    0.0.0.0:8080 for all its networks";
        return Some(says.to_owned());
    }
    suggestion(message).map(|guess| format!("Did you mean {guess}?"))
}

/// The known key nearest to the unknown one that serde complains about.
fn suggestion(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    message.starts_with("unknown field").then_some(())?;
    let unknown = quoted.next()?;
    let known: Vec<&str> = quoted.collect();
    nearest(unknown, known.into_iter()).map(str::to_owned)
}

/// Keys whose values are lists, with commas between; the services have more.
const LISTS: [&str; 7] = [
    "shop.rooms",
    "shop.mod_rooms",
    "http.hosts",
    "http.trusted_proxies",
    "twitch.moderator_users",
    "discord.moderator_roles",
    "discord.moderator_users",
];

fn overlay(text: &str, variables: &HashMap<String, String>) -> Result<Config, ConfigError> {
    let wrong = |error: config::ConfigError| {
        let mut says = error.to_string();
        if let Some(mend) = mend(&says) {
            says.push_str(&format!(". {mend}"));
        }
        ConfigError::Environment(says)
    };
    let mut builder = config::Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    for (variable, value) in variables.iter().filter(|(_, value)| !value.is_empty()) {
        let Some(key) = variable.strip_prefix(PREFIX) else { continue };
        let key = key.to_lowercase().replace("__", ".");
        let value = value_of(&key, value);
        builder = builder.set_override(&key, value).map_err(wrong)?;
    }
    builder.build().and_then(config::Config::try_deserialize).map_err(wrong)
}

fn is_list(key: &str) -> bool {
    let known = Providers::default();
    let of_a_service = |(service, key): (&str, &str)| {
        known.of(service).is_some_and(|service| service.lists().contains(&key))
    };
    let own = key.strip_prefix("providers.").and_then(|rest| rest.split_once('.'));
    LISTS.contains(&key) || own.is_some_and(of_a_service)
}

/// A variable's value is a text: `007`, `true` and `1e5` are a name, a title or a secret like any
/// other, and whoever wants a number reads one in it. Only what has no type of its own here (the
/// options of a provider) is taken for what it looks like, if nothing of it is lost.
fn value_of(key: &str, text: &str) -> config::Value {
    let is_own = |provider: &&str| key.contains(&format!(".{provider}."));
    let own = key.starts_with("templates.") && Providers::NAMES.iter().any(is_own);
    let kind = if is_list(key) {
        let parts = list(text).map(config::Value::from);
        return parts.collect::<Vec<_>>().into();
    } else if let (true, Ok(number)) = (own, text.parse::<i64>())
        && number.to_string() == text
    {
        config::ValueKind::I64(number)
    } else if let (true, Ok(yes)) = (own, text.parse::<bool>()) {
        config::ValueKind::Boolean(yes)
    } else {
        config::ValueKind::String(text.to_owned())
    };
    config::Value::new(None, kind)
}

/// The parts of a list: `a, b`, or as the file has it, `["a", "b"]`.
fn list(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim();
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let quotes =
        |part: &str, mark: char| part.len() > 1 && part.starts_with(mark) && part.ends_with(mark);
    inner.unwrap_or(text).split(',').map(str::trim).map(move |part| {
        let quoted = inner.is_some() && (quotes(part, '"') || quotes(part, '\''));
        if quoted { &part[1..part.len() - 1] } else { part }
    })
}

/// The secrets in the file beside the configuration; none if there is no such file.
///
/// # Errors
/// If it cannot be read, if others can read it, or if a line is not `KEY=value`.
pub fn secrets_file(config: &Path) -> Result<HashMap<String, String>, ConfigError> {
    let path = config.with_file_name(SECRETS_FILE);
    let Some(text) = text_of(&path)? else { return Ok(HashMap::new()) };
    if file::is_open(&path) {
        return Err(ConfigError::Open(path));
    }
    secrets(&path, &text)
}

/// What a file says; `None` if it is not there.
fn text_of(path: &Path) -> Result<Option<String>, ConfigError> {
    let why = match std::fs::read_to_string(path) {
        Ok(text) => return Ok(Some(text)),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => return Ok(None),
            ErrorKind::InvalidData => "it is not UTF-8. Save it anew as UTF-8".to_owned(),
            _ => error.to_string(),
        },
    };
    Err(ConfigError::Unreadable { path: path.to_owned(), why })
}

/// Reads `KEY=value` lines.
///
/// # Errors
/// If a line is something else; it may hold a secret, and is named, not shown.
pub fn secrets(path: &Path, text: &str) -> Result<HashMap<String, String>, ConfigError> {
    env_file::read(text).map_err(|says| ConfigError::File { path: path.to_owned(), says })
}

/// Takes secrets out of the files that variables with `_FILE` behind them name, as secret mounts
/// have it. A variable without it wins.
fn secret_files(variables: &mut HashMap<String, String>) -> Result<(), ConfigError> {
    let named: Vec<(String, String)> = variables
        .iter()
        .filter_map(|(key, path)| Some((key.strip_suffix("_FILE")?.to_owned(), path.clone())))
        .filter(|(key, path)| is_secret(key) && !path.is_empty())
        .collect();
    for (key, path) in named {
        variables.remove(&format!("{key}_FILE"));
        if variables.get(&key).is_some_and(|value| !value.is_empty()) {
            continue;
        }
        let text = std::fs::read_to_string(&path).map_err(|error| {
            ConfigError::Environment(format!(
                "{key}_FILE names {path}, which cannot be read: {error}"
            ))
        })?;
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
        variables.insert(key, text.trim_end_matches(['\r', '\n']).to_owned());
    }
    Ok(())
}

/// Whether a variable sets a secret, or the store's address, which may hold one.
fn is_secret(variable: &str) -> bool {
    let known = Config::default();
    let mut keys = known.secrets().into_iter().map(|(key, _)| variable_of(&key));
    variable == variable_of("store.url") || keys.any(|key| variable == key)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::Span;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let dir = std::env::temp_dir().join(format!("livetill-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a folder");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
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
    fn a_list_in_the_environment_is_read_in_both_forms() {
        for list in ["console,twitch:ana", "console , twitch:ana", "[\"console\", 'twitch:ana']"] {
            let loaded = with("", &[("LIVETILL_SHOP__ROOMS", list)]).expect("loads");
            let rooms: Vec<_> = loaded.config.shop.rooms.iter().map(ToString::to_string).collect();
            assert_eq!(rooms, ["console", "twitch:ana"], "{list}");
        }
    }

    #[test]
    fn a_name_that_is_not_in_capitals_is_refused() {
        let said = with("", &[("livetill_http__listen", "127.0.0.1:2")]).err();
        let wanted = "in the environment: livetill_http__listen sets nothing: write it in \
                      capitals, LIVETILL_HTTP__LISTEN";
        assert_eq!(said.as_deref(), Some(wanted));
    }

    #[test]
    fn a_name_with_one_underscore_is_refused() {
        for name in ["LIVETILL_HTTP_DESK_TOKEN", "LIVETILL_PROVIDERS_SQUARE_ACCESS_TOKEN"] {
            let error = with("", &[(name, "x")]).expect_err(name);
            assert!(error.contains(name) && error.contains("two underscores"), "{error}");
        }
        for name in ["LIVETILL_LOG", "LIVETILL_LOG_FORMAT", "LIVETILL_HTTP__DESK_TOKEN", "X_HTTP_Y"]
        {
            assert!(!with("", &[(name, "x")]).is_err_and(|error| error.contains("underscores")));
        }
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
    fn texts_stay_texts() {
        for text in ["000123456789", "true", "1e5", "0x10", "2026-01-02", "12345678901234567890"] {
            let loaded = with(
                "[templates.mug]\nprice = \"1\"\n",
                &[
                    ("LIVETILL_SHOP__CHECK_SECRET", text),
                    ("LIVETILL_SHOP__NAME", text),
                    ("LIVETILL_TWITCH__CLIENT_ID", text),
                    ("LIVETILL_TEMPLATES__MUG__TITLE", text),
                    ("LIVETILL_SHOP__ROOMS", "console, discord:0012"),
                    ("LIVETILL_DISCORD__MODERATOR_ROLES", "12345678901234567"),
                    ("LIVETILL_CONSOLE__ENABLED", "false"),
                    ("LIVETILL_PROVIDERS__SANDBOX__FEE", "0.25"),
                ],
            )
            .expect(text);
            assert_eq!(loaded.config.shop.check_secret.expose(), text);
            assert_eq!(loaded.config.shop.name, text);
            assert_eq!(loaded.config.twitch.client_id, text);
            assert_eq!(loaded.templates["mug"].title, text);
            assert_eq!(loaded.config.shop.rooms[1].channel, "0012");
            assert_eq!(loaded.config.discord.moderator_roles, ["12345678901234567"]);
            assert!(!loaded.config.console.enabled);
            assert!((loaded.config.providers.sandbox.fee - 0.25).abs() < 1e-9);
        }
        for (text, says) in [
            ("[http]\ndesk_token = 123456789012\n", "put it in quotes"),
            ("[discord]\ntoken = true\n", "put it in quotes"),
            ("[twitch]\ntoken = 2026-01-02\n", "put it in quotes"),
            ("[shop]\nname = 7\n", "put it in quotes"),
            ("[shop]\nrooms = [1001]\n", "put it in quotes"),
        ] {
            let error = with(text, &[]).expect_err(text);
            assert!(error.contains(says) && error.contains("line 2"), "{text}: {error}");
        }
    }

    #[test]
    fn a_secret_may_stand_in_a_file_of_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("desk");
        std::fs::write(&file, "000123456789\r\n").expect("written");
        let name = file.to_string_lossy().into_owned();
        let loaded = with(MUG, &[("LIVETILL_HTTP__DESK_TOKEN_FILE", &name)]).expect("loads");
        assert_eq!(loaded.config.http.desk_token.expose(), "000123456789");
        let error = with(MUG, &[("LIVETILL_HTTP__DESK_TOKEN_FILE", "/none/such")]);
        assert!(error.expect_err("not there").contains("/none/such, which cannot be read"));
        let error = with(MUG, &[("LIVETILL_SHOP__NAME_FILE", &name)]).expect_err("no secret");
        assert!(error.contains("name_file"), "{error}");
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
            ("[http]\nlisten = \"localhost:8080\"\n", "like 127.0.0.1:8080"),
            ("[providers.sandbox.faults]\nerror = 2.0\n", "between 0 and 1"),
            ("[providers.sandbox]\nfee = 2.9\n", "between 0 and 1"),
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
        let error = with("", &[("LIVETILL_HTTP__LISTEN", "localhost:1")]).expect_err("no address");
        assert!(error.contains("like 127.0.0.1:8080"), "{error}");
    }

    #[test]
    fn what_is_no_utf_8_is_named_with_its_mend() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        for name in [SECRETS_FILE, "config.toml"] {
            let file = dir.path().join(name);
            std::fs::write(&file, b"\xff\xfeA\0=\0b\0").expect("written");
            let says = load(&path, &HashMap::new()).expect_err(name).to_string();
            assert!(says.contains(name) && says.contains("Save it anew as UTF-8"), "{says}");
            std::fs::remove_file(file).expect("removed");
        }
    }

    #[test]
    fn a_price_that_is_none_is_one_mistake() {
        for (price, says) in [
            ("18,00", "templates.mug.price: not an amount"),
            ("0", "templates.mug.price: must be above zero"),
        ] {
            let text = format!("[templates.mug]\nprice = \"{price}\"\nmin_price = \"9\"\n");
            let error = with(&text, &[]).expect_err(price);
            assert!(error.lines().count() == 1 && error.starts_with(says), "{error}");
        }
        let text = "[templates.mug]\nprice = \"9\"\nmax_price = \"x\"\n";
        assert_eq!(with(text, &[]).expect_err("none").lines().count(), 1);
        let text = "[templates.mug]\nprice = \"9\"\nmin_price = \"10\"\n";
        let error = with(text, &[]).expect_err("too low");
        assert!(error.starts_with("templates.mug.price: Not below $10"), "{error}");
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
