//! What is known of a payment service before anything is asked of it: the settings in its own folder
//! say so. The list of services stands in the configuration.

use std::sync::Arc;

use crate::{
    clock::Clock,
    finding::Finding,
    provider::Provider,
    sale::template::{Capabilities, Template},
    secret::Secret,
};

/// A service's settings, and what follows from them.
pub trait ProviderSpec {
    /// Its name in configuration, addresses and tables.
    fn name(&self) -> &'static str;

    /// What is wrong or doubtful about its settings.
    fn check(&self, found: &mut Vec<Finding>);

    /// What is still to be set before a template can use it, with its fix.
    fn missing(&self) -> Option<&'static str>;

    /// Its secrets, by their keys.
    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Vec::new()
    }

    /// Its keys whose values are lists.
    fn lists(&self) -> &'static [&'static str] {
        &[]
    }

    /// What it can do.
    fn capabilities(&self) -> Capabilities;

    /// Whether it understands a template's options of its own.
    ///
    /// # Errors
    /// One line naming what it cannot do.
    fn check_template(&self, template: &Template) -> Result<(), String>;

    /// What would have it take goods that are sent or fetched, if anything: `; or …`.
    fn goods_hint(&self) -> &'static str {
        ""
    }

    /// API calls per second to begin with.
    fn calls_per_second(&self) -> u32;

    /// How much slower and faster than that it may be called. Where no limit is known of the
    /// account: begin low, rise until told to slow down.
    fn pace(&self) -> (f64, f64) {
        (1.0, 4.0)
    }

    /// The address that its webhooks are sent to, if another one than ours is registered.
    fn notification_url(&self) -> &str {
        ""
    }

    /// The world that its account is of, in words that tell two programs apart.
    fn account(&self) -> String;

    /// What `setup` asks; the last answer that is needed has a template use it.
    fn questions(&self) -> &'static [Question];

    /// The service itself; `None` if it is not elsewhere.
    ///
    /// # Errors
    /// If an HTTP client cannot be made.
    fn connect(
        &self,
        base_url: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn Provider>>, reqwest::Error>;
}

/// Something that `setup` asks about a service.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// The question.
    pub words: &'static str,
    /// What its answer is.
    pub answer: Answer,
    /// Whether a template can use the service once this is answered.
    pub completes: bool,
}

/// What an answer is, and what it sets; keys are those of the service's own table.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// One of these words; the first is the default. Each sets the key to the value beside it.
    OneOf(&'static str, &'static [(&'static str, &'static str)]),
    /// A text.
    Text(&'static str),
    /// A number, with a default.
    Number(&'static str, i64),
    /// A number among the template's own options for this service.
    Option(&'static str),
    /// A secret, by its key; whether it is needed.
    Secret(&'static str, bool),
}
