//! The program's verbs.

mod check;
mod codes;
mod demo;
mod discord;
pub mod logs;
mod provider;
mod read;
mod run;
mod setup;
mod twitch;

use std::{collections::HashMap, path::PathBuf, process::ExitCode, sync::Arc};

use clap::{Parser, Subcommand};

use self::logs::repeats::LISTED;
use crate::{
    clock::{Span, SystemClock},
    config::{ConfigError, Loaded, load},
    demo::Rehearsal,
    lossy,
    report::Columns,
};

/// Timed, stock-limited sales run from a stream's chat.
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Without a verb it runs the bot: type !sale start mug 2m")]
struct Args {
    /// The configuration: config.toml, if nothing is named; where that is not, the defaults hold.
    #[arg(long, global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the bot: commands from standard input (and chat), pages, webhooks. The default.
    Run,
    /// Ask what a shop needs to begin with, and write config.toml and livetill.env.
    ///
    /// Answers are checked at once. What is there is never replaced without asking. From a pipe,
    /// one answer is read from each line.
    #[command(after_help = "Examples: livetill setup\n          \
                            livetill --config shop/config.toml setup\n          \
                            livetill setup < answers.txt")]
    Setup,
    /// Rehearse: the real program, the sandbox provider and a simulated crowd.
    #[command(
        after_help = "Example: livetill demo --buyers 200 --stock 20 --duration 30s --seed 7"
    )]
    Demo {
        /// Shoppers who come.
        #[arg(long, default_value_t = 100)]
        buyers: u32,
        /// Units for sale.
        #[arg(long, default_value_t = 20)]
        stock: u32,
        /// How long the sale is open.
        #[arg(long, default_value = "60s")]
        duration: Span,
        /// What the crowd means to do.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The score card as JSON, nothing else.
        #[arg(long)]
        json: bool,
    },
    /// List sales, newest first.
    #[command(after_help = "Example: livetill sales --json")]
    Sales {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// A sale's receipt: one row per payment, the packing list.
    #[command(after_help = "Example: livetill report 7 --csv > packing.csv")]
    Report {
        /// The sale's number.
        number: u32,
        /// As JSON.
        #[arg(long, conflicts_with = "csv")]
        json: bool,
        /// As CSV for a spreadsheet; `--csv=semicolon` for one that writes decimal commas.
        #[arg(long, value_name = "COLUMNS", num_args = 0..=1, require_equals = true,
              default_missing_value = "comma")]
        csv: Option<Columns>,
    },
    /// Recompute sales from their journals and compare: prints `oversold 0` if all is well.
    #[command(after_help = "Example: livetill verify 7")]
    Verify {
        /// The sale's number; all sales without it.
        number: Option<u32>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Log the bot in to a chat service and keep the tokens beside the configuration.
    #[command(after_help = "Example: livetill login twitch")]
    Login {
        /// Where.
        service: Service,
    },
    /// Check the configuration, the store, providers and chat; one line per finding with its mend.
    Check {
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// Put right what can be: make or complete webhook subscriptions.
        #[arg(long)]
        fix: bool,
    },
    /// Measure how long it takes from making an item until a page can be paid.
    ///
    /// Every round is also kept in probes.jsonl beside the configuration, whether or not the bot
    /// runs meanwhile: a running bot keeps the database to itself.
    #[command(after_help = "Examples: livetill probe mug --rounds 20\n          \
                            livetill probe --history")]
    Probe {
        /// The template; with --history, only its rounds.
        #[arg(required_unless_present = "history")]
        template: Option<String>,
        /// How often.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// Measure nothing: show what was measured so far, by hour of day (UTC).
        #[arg(long, conflicts_with = "rounds")]
        history: bool,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Load codes that conditions and special prices ask for, or count them.
    #[command(after_help = "Examples: livetill codes vip-codes add codes.txt\n          \
                            some-program | livetill codes vip-codes add -\n          \
                            livetill codes vip-codes count")]
    Codes {
        /// The list, as templates name it.
        list: String,
        #[command(subcommand)]
        what: WithCodes,
    },
    /// Find what the bot made and left at a provider.
    #[command(after_help = "Example: livetill audit --retire")]
    Audit {
        /// Remove what belongs to no running sale.
        #[arg(long)]
        retire: bool,
    },
}

/// What to do with a list of codes.
#[derive(Debug, Subcommand)]
enum WithCodes {
    /// Add codes, one a line; those it has already are left alone. A running bot knows them at once.
    Add {
        /// The file, or - for standard input.
        file: PathBuf,
    },
    /// Say how many codes the list has. What they are nobody can say: only their marks are kept.
    Count,
}

/// A service that a bot logs in to by a person's consent.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Service {
    /// Twitch, by a code that is typed in a browser.
    Twitch,
}

/// How a verb ended.
pub(crate) enum Ended {
    /// As it should.
    Well,
    /// Something did not work, and it was said.
    Failed,
}

/// Runs the program; exit code 0 if all went well, 1 if something failed, 2 for wrong usage or
/// configuration.
pub async fn main(args: impl Iterator<Item = std::ffi::OsString>) -> ExitCode {
    let args = match Args::try_parse_from(args) {
        Ok(args) => args,
        Err(error) => {
            // Help and version are answers, not errors.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let repeats = logs::start(Arc::new(SystemClock));
    let telling = tokio::spawn(logs::tell_repeats(repeats.clone()));
    let code = obey(args).await;
    telling.abort();
    logs::finish(&repeats);
    code
}

async fn obey(args: Args) -> ExitCode {
    let path = args.config.clone().unwrap_or_else(|| PathBuf::from("config.toml"));
    let environment = match environment(std::env::vars_os()) {
        Ok(environment) => environment,
        Err(error) => return config_failed(&args, &error),
    };
    if let Some(Verb::Setup) = args.verb {
        return exit_code(setup::setup(&path, &environment).await);
    }
    // A file that was named is meant: no shop of its own is opened instead of it.
    let missing = args.config.is_some() && !path.exists();
    let loaded = match load(&path, &environment) {
        Ok(_) if missing => return config_failed(&args, &ConfigError::Missing(path)),
        Ok(loaded) => loaded,
        Err(error) => return config_failed(&args, &error),
    };
    exit_code(match args.verb.unwrap_or(Verb::Run) {
        Verb::Setup => setup::setup(&path, &environment).await,
        Verb::Run => run::run(loaded, path, environment).await,
        Verb::Demo { buyers, stock, duration, seed, json } => {
            let rehearsal = Rehearsal { buyers, stock, duration, seed, print: !json };
            demo::demo(&loaded, &rehearsal).await
        }
        Verb::Sales { json } => read::sales(&loaded, json).await,
        Verb::Report { number, json, csv } => read::report(&loaded, number, json, csv).await,
        Verb::Verify { number, json } => read::verify(&loaded, number, json).await,
        Verb::Check { json, fix } => check::check(&loaded, &path, json, fix).await,
        Verb::Probe { template: Some(template), rounds, json, history: false } => {
            provider::probe(&loaded, &path, &template, rounds, json).await
        }
        Verb::Probe { template, json, .. } => provider::history(&path, template.as_deref(), json),
        Verb::Codes { list, what } => codes::codes(&loaded, &list, &what).await,
        Verb::Audit { retire } => provider::audit(&loaded, retire).await,
        Verb::Login { service: Service::Twitch } => twitch::log_in(&loaded, &path).await,
    })
}

/// The variables. What is not UTF-8 is somebody else's, unless it is one of ours.
///
/// # Errors
/// Names a variable of ours that cannot be read.
fn environment(
    all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> Result<HashMap<String, String>, ConfigError> {
    let mut read = HashMap::new();
    for (key, value) in all {
        match (key.into_string(), value.into_string()) {
            (Ok(key), Ok(value)) => {
                read.insert(key, value);
            }
            (Ok(key), Err(_)) if key.starts_with("LIVETILL_") => {
                let says = format!("{key} is not UTF-8: set it anew");
                return Err(ConfigError::Environment(says));
            }
            (Err(key), _) if key.to_string_lossy().starts_with("LIVETILL_") => {
                let says = format!("the name {} is not UTF-8", key.to_string_lossy());
                return Err(ConfigError::Environment(says));
            }
            _ => {}
        }
    }
    Ok(read)
}

fn exit_code(ended: anyhow::Result<Ended>) -> ExitCode {
    match ended {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::Failed) => ExitCode::from(1),
        Err(error) => {
            lossy::stderr().line(&format!("livetill: {error:#}"));
            ExitCode::from(1)
        }
    }
}

fn config_failed(args: &Args, error: &ConfigError) -> ExitCode {
    if let Some(Verb::Check { json: true, .. }) = args.verb {
        let finding =
            serde_json::json!([{ "key": "config", "ok": false, "says": error.to_string() }]);
        println!("{finding}");
    } else {
        lossy::stderr().line(&format!("livetill: {error}"));
    }
    ExitCode::from(2)
}

fn warn_of(loaded: &Loaded) {
    for finding in &loaded.warnings {
        tracing::warn!(target: LISTED, "{}: {}", finding.key, finding.says);
    }
}
