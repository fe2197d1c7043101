//! What a person asked: the verbs, and the one table that parser, help and slash commands read.

pub mod guess;
pub mod parse;
pub mod words;

use crate::sale::template::Overrides;

/// What a moderator asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Prepare a sale and open it.
    Start {
        /// Of which template.
        template: String,
        /// What varies this time.
        overrides: Overrides,
    },
    /// Open the armed sale `#n`.
    Open {
        /// Its number.
        sale: u32,
    },
    /// Prepare a sale and wait.
    Arm {
        /// Of which template.
        template: String,
        /// What varies this time.
        overrides: Overrides,
    },
    /// End it now.
    Stop {
        /// Which one, if several run.
        sale: Option<u32>,
    },
    /// End every sale now.
    StopAll,
    /// Move the end.
    Extend {
        /// Which one, if several run.
        sale: Option<u32>,
        /// In milliseconds; negative is earlier.
        by_ms: i64,
    },
    /// Stop selling for a while.
    Pause {
        /// Which one, if several run.
        sale: Option<u32>,
    },
    /// Go on.
    Resume {
        /// Which one, if several run.
        sale: Option<u32>,
    },
    /// Change the stock.
    Restock {
        /// Which one, if several run.
        sale: Option<u32>,
        /// Positive adds.
        units: i64,
    },
    /// How it goes.
    Status {
        /// Which one, if several run.
        sale: Option<u32>,
    },
    /// Templates and sales.
    List,
    /// Prepare a sale and open it when the running one ends.
    Next {
        /// Of which template.
        template: String,
        /// What varies this time.
        overrides: Overrides,
    },
    /// The last sale once more.
    Again,
    /// What became of a hold or payment. Private.
    Why {
        /// Of which sale; the newest if left out.
        sale: Option<u32>,
        /// Number of a hold, or id of a page, order or payment.
        what: String,
    },
    /// Play a sale through with a simulated crowd, apart from everything live.
    Rehearse {
        /// Of which template.
        template: String,
        /// What varies this time.
        overrides: Overrides,
        /// How many shoppers come.
        crowd: Option<u32>,
        /// How many times as fast its clock runs.
        speed: Option<u32>,
    },
    /// End the rehearsal.
    EndRehearsal,
    /// Take the last cheap thing back.
    Undo,
    /// Confirm what was asked.
    Yes,
    /// Every open page of a sale. Private.
    Links {
        /// Which one, if several run.
        sale: Option<u32>,
    },
    /// What was sold and what became of the money. Private.
    Report {
        /// Which one; the latest if left out.
        sale: Option<u32>,
    },
    /// Try again what was given up. Private.
    Retry {
        /// Of which sale; of all if left out.
        sale: Option<u32>,
    },
    /// What can be typed.
    Help {
        /// About one verb.
        verb: Option<&'static Spec>,
    },
}

impl Command {
    /// The verb, if it changes what a sale does; `undo` takes back what these did.
    pub fn changes(&self) -> Option<&'static str> {
        Some(match self {
            Self::Start { .. } | Self::Open { .. } => "start",
            Self::Arm { .. } => "arm",
            Self::Next { .. } => "next",
            Self::Again => "again",
            Self::Stop { .. } | Self::StopAll => "stop",
            Self::Extend { .. } => "extend",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::Restock { .. } => "restock",
            Self::Yes => "yes",
            Self::Rehearse { .. }
            | Self::EndRehearsal
            | Self::Status { .. }
            | Self::List
            | Self::Links { .. }
            | Self::Report { .. }
            | Self::Why { .. }
            | Self::Retry { .. }
            | Self::Undo
            | Self::Help { .. } => return None,
        })
    }
}

/// One verb: its words, its arguments, its help.
#[derive(Debug, PartialEq, Eq)]
pub struct Spec {
    /// The word.
    pub verb: &'static str,
    /// What may follow it.
    pub args: Args,
    /// What it does, in one sentence.
    pub does: &'static str,
    /// Ways to type it.
    pub examples: &'static [&'static str],
    /// Whether its answer is for moderators' eyes only.
    pub private: bool,
}

/// What may follow a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Args {
    /// A template (or `#n` where `number` is set), a time and `key=value`s.
    Template {
        /// Also takes the number of an armed sale.
        number: bool,
    },
    /// A template, a time and `key=value`s; or `stop`.
    Rehearsal,
    /// Perhaps `#n`.
    Sale,
    /// Perhaps `#n`, and a time with a sign.
    SaleTime,
    /// Perhaps `#n`, and a whole number with a sign.
    SaleUnits,
    /// Perhaps `#n`, and what to look for.
    SaleWord,
    /// Perhaps a verb.
    Verb,
    /// Nothing.
    Nothing,
}

/// The keys that `start` and `arm` take, with what they mean.
pub const KEYS: &[(&str, &str)] = &[
    ("stock", "units for sale, like stock=4"),
    ("price", "price of one, like price=22 or price=22.50"),
    ("hold", "time to pay, like hold=90s"),
    ("title", "what is sold, like title=\"Blue Fern\""),
    ("image", "https:// address of a picture"),
];

/// The keys that `rehearse` takes besides.
pub const REHEARSAL_KEYS: &[(&str, &str)] = &[
    ("crowd", "shoppers who come, like crowd=200"),
    ("speed", "how many times as fast the clock runs, like speed=10"),
];

/// The word that ends a rehearsal, where a template's name would stand.
pub const REHEARSAL_STOP: &str = "stop";

/// Every verb, in the order of the help.
pub const SPECS: &[Spec] = &[
    Spec {
        verb: "start",
        args: Args::Template { number: true },
        does: "starts a sale, or opens an armed one",
        examples: &[
            "!sale start mug 10m",
            "!sale start mug 10m stock=5 price=22 title=\"Blue Fern\"",
            "!sale start #7",
        ],
        private: false,
    },
    Spec {
        verb: "arm",
        args: Args::Template { number: false },
        does: "prepares a sale, so that it can open in an instant",
        examples: &["!sale arm mug 10m"],
        private: false,
    },
    Spec {
        verb: "stop",
        args: Args::Sale,
        does: "ends a sale now and closes every open page",
        examples: &["!sale stop", "!sale stop #7", "!sale stop all"],
        private: false,
    },
    Spec {
        verb: "extend",
        args: Args::SaleTime,
        does: "moves the end; with a minus, makes it earlier",
        examples: &["!sale extend 5m", "!sale extend -2m", "!sale extend #7 5m"],
        private: false,
    },
    Spec {
        verb: "pause",
        args: Args::Sale,
        does: "stops selling for a while; open pages may still be paid",
        examples: &["!sale pause"],
        private: false,
    },
    Spec {
        verb: "resume",
        args: Args::Sale,
        does: "goes on selling, with the time that was left",
        examples: &["!sale resume"],
        private: false,
    },
    Spec {
        verb: "restock",
        args: Args::SaleUnits,
        does: "adds units, or takes some away",
        examples: &["!sale restock 3", "!sale restock -2", "!sale restock #7 3"],
        private: false,
    },
    Spec {
        verb: "status",
        args: Args::Sale,
        does: "says how it goes",
        examples: &["!sale status"],
        private: false,
    },
    Spec {
        verb: "list",
        args: Args::Nothing,
        does: "lists templates and sales",
        examples: &["!sale list"],
        private: false,
    },
    Spec {
        verb: "next",
        args: Args::Template { number: false },
        does: "prepares a sale and opens it when the running one ends",
        examples: &["!sale next mug 10m"],
        private: false,
    },
    Spec {
        verb: "again",
        args: Args::Nothing,
        does: "starts the last sale once more, as it was",
        examples: &["!sale again"],
        private: false,
    },
    Spec {
        verb: "undo",
        args: Args::Nothing,
        does: "undoes what you did last, for 20 seconds, or says why it cannot",
        examples: &["!sale undo"],
        private: false,
    },
    Spec {
        verb: "yes",
        args: Args::Nothing,
        does: "confirms what was asked",
        examples: &["!sale yes"],
        private: false,
    },
    Spec {
        verb: "links",
        args: Args::Sale,
        does: "lists the open payment pages",
        examples: &["!sale links"],
        private: true,
    },
    Spec {
        verb: "report",
        args: Args::Sale,
        does: "sums up what was sold and where the money went",
        examples: &["!sale report", "!sale report #7"],
        private: true,
    },
    Spec {
        verb: "why",
        args: Args::SaleWord,
        does: "tells what happened to a hold, an order or a payment",
        examples: &["!sale why 4", "!sale why #7 4", "!sale why pay_1a2b"],
        private: true,
    },
    Spec {
        verb: "retry",
        args: Args::Sale,
        does: "tries again all that was given up, once the reason is fixed",
        examples: &["!sale retry", "!sale retry #7"],
        private: true,
    },
    Spec {
        verb: "rehearse",
        args: Args::Rehearsal,
        does: "plays a sale through with simulated shoppers and play money; only moderators see it",
        examples: &[
            "!sale rehearse mug 10m crowd=200 speed=10",
            "!sale rehearse mug stock=5",
            "!sale rehearse stop",
        ],
        private: true,
    },
    Spec {
        verb: "help",
        args: Args::Verb,
        does: "says what can be typed",
        examples: &["!sale help", "!sale help start"],
        private: false,
    },
];

impl Args {
    /// The `key=value`s that may stand there.
    pub fn keys(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let (start, more): (&[_], &[_]) = match self {
            Self::Template { .. } => (KEYS, &[]),
            Self::Rehearsal => (KEYS, REHEARSAL_KEYS),
            Self::Sale
            | Self::SaleTime
            | Self::SaleUnits
            | Self::SaleWord
            | Self::Verb
            | Self::Nothing => (&[], &[]),
        };
        start.iter().chain(more).copied()
    }
}

impl Spec {
    /// The row of `verb`.
    pub fn of(verb: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.verb == verb)
    }
}

/// The help: all verbs in one line, or one verb with its examples.
pub fn help(spec: Option<&Spec>) -> Vec<String> {
    match spec {
        Some(spec) => {
            let mut lines = vec![format!("!sale {}: {}.", spec.verb, spec.does)];
            lines.extend(spec.examples.iter().map(|example| format!("  {example}")));
            lines.extend(spec.args.keys().map(|(key, does)| format!("  {key}=  {does}")));
            lines
        }
        None => {
            let verbs: Vec<&str> = SPECS.iter().map(|spec| spec.verb).collect();
            vec![format!(
                "!sale {} · for example: !sale start mug 10m · more: !sale help start",
                verbs.join(" | ")
            )]
        }
    }
}
