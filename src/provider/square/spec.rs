//! Square, before anything is asked of it.

use std::sync::Arc;

use super::{NAME, Options, Settings, Square, capabilities};
use crate::{
    clock::Clock,
    finding::Finding,
    provider::{
        Provider,
        spec::{Answer, ProviderSpec, Question},
    },
    sale::template::{Capabilities, Template},
    secret::Secret,
};

impl ProviderSpec for Settings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, found: &mut Vec<Finding>) {
        self.check_values(found);
    }

    fn missing(&self) -> Option<&'static str> {
        self.still_missing()
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        vec![("access_token", &self.access_token), ("signature_keys", &self.signature_keys)]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["probe_reject"]
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self)
    }

    fn check_template(&self, template: &Template) -> Result<(), String> {
        Options::of(template).map(drop)
    }

    fn notification_url(&self) -> &str {
        &self.notification_url
    }

    fn calls_per_second(&self) -> u32 {
        self.calls_per_second
    }

    fn account(&self) -> String {
        format!("{:?} {}", self.environment, self.location_id).to_lowercase()
    }

    fn questions(&self) -> &'static [Question] {
        &[
            Question {
                words: "Square: test accounts or real money (sandbox, production)",
                answer: Answer::OneOf(
                    "environment",
                    &[("sandbox", "sandbox"), ("production", "production")],
                ),
                completes: false,
            },
            Question {
                words: "Square: access token, found as in docs/square.md",
                answer: Answer::Secret("access_token", true),
                completes: false,
            },
            Question {
                words: "Square: id of the location that sells",
                answer: Answer::Text("location_id"),
                completes: true,
            },
            Question {
                words: "Square: signature key of the webhook subscription",
                answer: Answer::Secret("signature_keys", false),
                completes: false,
            },
        ]
    }

    fn connect(
        &self,
        base_url: &str,
        _clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn Provider>>, reqwest::Error> {
        Ok(Some(Arc::new(Square::new(self, base_url)?)))
    }
}
