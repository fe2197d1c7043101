//! Polar, before anything is asked of it.

use std::sync::Arc;

use super::{NAME, Options, Polar, Settings, capabilities};
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
        vec![("access_token", &self.access_token), ("webhook_secret", &self.webhook_secret)]
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self)
    }

    fn check_template(&self, template: &Template) -> Result<(), String> {
        Options::of(template).map(drop)
    }

    fn goods_hint(&self) -> &'static str {
        "; or, if Polar agreed to it, set providers.polar.allow_physical = true"
    }

    fn calls_per_second(&self) -> u32 {
        self.calls_per_second
    }

    fn account(&self) -> String {
        if self.takes_real_money() { "real money" } else { "test money" }.to_owned()
    }

    fn questions(&self) -> &'static [Question] {
        &[
            Question {
                words: "Polar: test accounts or real money (sandbox, production)",
                answer: Answer::OneOf(
                    "api_url",
                    &[
                        ("sandbox", "https://sandbox-api.polar.sh"),
                        ("production", "https://api.polar.sh"),
                    ],
                ),
                completes: false,
            },
            Question {
                words: "Polar: organization access token, made as in docs/polar.md",
                answer: Answer::Secret("access_token", true),
                completes: true,
            },
            Question {
                words: "Polar: secret of the webhook endpoint",
                answer: Answer::Secret("webhook_secret", false),
                completes: false,
            },
        ]
    }

    fn connect(
        &self,
        base_url: &str,
        _clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn Provider>>, reqwest::Error> {
        Ok(Some(Arc::new(Polar::new(self, base_url)?)))
    }
}
