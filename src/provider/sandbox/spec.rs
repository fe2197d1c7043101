//! The sandbox, before anything is asked of it. Its service is a part of this program.

use std::sync::Arc;

use serde_json::Value;

use super::{NAME, Settings, capabilities};
use crate::{
    clock::Clock,
    finding::Finding,
    provider::{
        Provider,
        spec::{ProviderSpec, Question},
    },
    sale::template::{Capabilities, Template},
};

impl ProviderSpec for Settings {
    fn name(&self) -> &'static str {
        NAME
    }

    fn check(&self, found: &mut Vec<Finding>) {
        self.check_values(found);
    }

    fn missing(&self) -> Option<&'static str> {
        None
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn check_template(&self, template: &Template) -> Result<(), String> {
        match template.options {
            Value::Null => Ok(()),
            _ => Err("the sandbox takes no options of its own".to_owned()),
        }
    }

    /// A little under the known limit: the pace finds the rest out.
    fn pace(&self) -> (f64, f64) {
        (0.8, 1.2)
    }

    fn calls_per_second(&self) -> u32 {
        self.calls_per_second
    }

    fn account(&self) -> String {
        "play money".to_owned()
    }

    fn questions(&self) -> &'static [Question] {
        &[]
    }

    fn connect(
        &self,
        _base_url: &str,
        _clock: &Arc<dyn Clock>,
    ) -> Result<Option<Arc<dyn Provider>>, reqwest::Error> {
        Ok(None)
    }
}
