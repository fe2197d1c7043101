//! Noventiq, before anything is asked of it.

use std::sync::Arc;

use super::{NAME, Noventiq, Options, Settings, capabilities};
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
        vec![
            ("username", &self.username),
            ("password", &self.password),
            ("webhook_secret", &self.webhook_secret),
        ]
    }

    fn lists(&self) -> &'static [&'static str] {
        &["checkout_hosts"]
    }

    fn capabilities(&self) -> Capabilities {
        capabilities(self)
    }

    fn check_template(&self, template: &Template) -> Result<(), String> {
        Options::of(template).map(drop)
    }

    fn goods_hint(&self) -> &'static str {
        "; or, if Noventiq agreed to it, set providers.noventiq.allow_physical = true"
    }

    fn calls_per_second(&self) -> u32 {
        self.calls_per_second
    }

    fn account(&self) -> String {
        let money = if self.takes_real_money() { "real money" } else { "test money" };
        format!("{money} {}", self.market_id)
    }

    fn questions(&self) -> &'static [Question] {
        &[
            Question {
                words: "Noventiq: address of the API you were given, like https://api.ecommerce.noventiq.com",
                answer: Answer::Text("api_url"),
                completes: false,
            },
            Question {
                words: "Noventiq: id of your checkout page; 0 if the currency has only one",
                answer: Answer::Number("market_id", 0),
                completes: false,
            },
            Question {
                words: "Noventiq: name of the API login",
                answer: Answer::Secret("username", true),
                completes: false,
            },
            Question {
                words: "Noventiq: its password",
                answer: Answer::Secret("password", true),
                completes: false,
            },
            Question {
                words: "Noventiq: id of the original product that is sold",
                answer: Answer::Option("product_id"),
                completes: true,
            },
            Question {
                words: "Noventiq: secret key of the webhooks",
                answer: Answer::Secret("webhook_secret", false),
                completes: false,
            },
        ]
    }

    fn connect(
        &self,
        base_url: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn Provider>>, reqwest::Error> {
        Ok(Some(Arc::new(Noventiq::new(self, base_url, clock.clone())?)))
    }
}
