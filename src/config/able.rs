//! What the configured providers can do, and what of the templates they cannot honour.

use std::collections::BTreeMap;

use super::{Finding, Providers};
use crate::{
    provider::{polar, sandbox, square},
    sale::{
        carry::cannot,
        template::{Capabilities, Template},
    },
};

impl Providers {
    /// Providers that a template may name.
    pub const NAMES: [&str; 3] = [sandbox::NAME, square::NAME, polar::NAME];

    /// What the provider of that name can do; `None` if there is none.
    pub fn capabilities(&self, name: &str) -> Option<Capabilities> {
        match name {
            sandbox::NAME => Some(sandbox::capabilities()),
            square::NAME => Some(square::capabilities(&self.square)),
            polar::NAME => Some(polar::capabilities(&self.polar)),
            _ => None,
        }
    }

    /// What templates ask of providers that cannot do it: refused here, never dropped later.
    pub(super) fn check_templates(
        &self,
        templates: &BTreeMap<String, Template>,
        found: &mut Vec<Finding>,
    ) {
        for template in templates.values() {
            let Some(able) = self.capabilities(&template.provider) else { continue };
            for no in cannot(template, &able) {
                found.push(Finding::error(
                    format!("templates.{}.{}", template.name, no.key),
                    no.says,
                ));
            }
        }
    }
}
