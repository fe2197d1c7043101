//! The list of payment services: each has its settings in its own folder, and one line here.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Config;
use crate::{
    command::guess::nearest,
    finding::Finding,
    provider::{self, spec::ProviderSpec},
    sale::{
        carry::cannot,
        template::{Capabilities, Template},
    },
};

macro_rules! providers {
    ($($name:ident),+ $(,)?) => {
        /// Payment services.
        #[derive(Clone, Debug, Default, PartialEq, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Providers {
            $(
                #[doc = concat!("Settings of ", stringify!($name), ".")]
                pub $name: provider::$name::Settings,
            )+
        }

        impl Providers {
            /// Providers that a template may name; the first is used where none is named.
            pub const NAMES: &[&str] = &[$(provider::$name::NAME),+];

            /// What is known of each.
            pub fn all(&self) -> Vec<&dyn ProviderSpec> {
                vec![$(&self.$name),+]
            }
        }
    };
}

providers! {
    sandbox,
    square,
    polar,
    noventiq,
}

impl Providers {
    /// What is known of the provider of that name; `None` if there is none.
    pub fn of(&self, name: &str) -> Option<&dyn ProviderSpec> {
        self.all().into_iter().find(|one| one.name() == name)
    }

    /// What the provider of that name can do; `None` if there is none.
    pub fn capabilities(&self, name: &str) -> Option<Capabilities> {
        Some(self.of(name)?.capabilities())
    }

    /// What templates ask of providers that cannot do it: refused here, never dropped later.
    pub(super) fn check_templates(
        &self,
        templates: &BTreeMap<String, Template>,
        found: &mut Vec<Finding>,
    ) {
        for template in templates.values() {
            let Some(provider) = self.of(&template.provider) else { continue };
            if let Err(says) = provider.check_template(template) {
                let key = format!("templates.{}.{}", template.name, template.provider);
                found.push(Finding::error(key, says));
            }
            let able = provider.capabilities();
            for no in cannot(template, &able) {
                let is_about_goods = no.is_about_goods() && !able.physical;
                let more = if is_about_goods { provider.goods_hint() } else { "" };
                let key = format!("templates.{}.{}", template.name, no.key);
                found.push(Finding::error(key, no.says + more));
            }
        }
    }
}

impl Config {
    /// Templates name providers that exist and are set up.
    pub(super) fn check_providers(&self, found: &mut Vec<Finding>) {
        for provider in self.providers.all() {
            provider.check(found);
        }
        for (name, template) in &self.templates {
            let named = template.provider_name();
            let says = match self.providers.of(named) {
                Some(provider) => provider.missing().map(str::to_owned),
                None => {
                    let guess = nearest(named, Providers::NAMES.iter().copied());
                    let guess = guess.map_or(String::new(), |one| format!(" Did you mean {one}?"));
                    Some(format!("there is no provider {named}.{guess}"))
                }
            };
            if let Some(says) = says {
                found.push(Finding::error(format!("templates.{name}.provider"), says));
            }
        }
    }
}
