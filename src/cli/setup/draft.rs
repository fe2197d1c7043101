//! The two files while they are being answered: the shipped `config.toml` with its comments, and
//! the secrets. Every state of them is one that the program could start with.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item, Table, Value};

use crate::{
    config::{self, Loaded, SECRETS_FILE},
    file::{self, Readers},
};

/// The configuration as it is shipped.
pub(super) const SHIPPED: &str = include_str!("../../../config.toml");

const SECRETS_HEAD: &str =
    "# Secrets of livetill, for its owner's eyes only. The environment wins over this file.\n";

#[derive(Clone)]
pub(super) struct Draft {
    document: DocumentMut,
    secrets: BTreeMap<String, String>,
    environment: HashMap<String, String>,
    path: PathBuf,
    /// The one template's name.
    template: String,
}

impl Draft {
    /// The shipped configuration, with the secrets that are there already.
    pub fn new(path: &Path, environment: &HashMap<String, String>) -> Result<Self> {
        Ok(Self {
            document: SHIPPED.parse().context("the shipped configuration cannot be read")?,
            secrets: config::secrets_file(path)?.into_iter().collect(),
            environment: environment.clone(),
            path: path.to_owned(),
            template: "mug".to_owned(),
        })
    }

    /// Sets a key of the shipped file, like `shop.name`; comments stay.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let mut tables: Vec<&str> = key.split('.').collect();
        let last = tables.pop().unwrap_or_default();
        let root = self.document.as_table_mut();
        let found = tables.iter().try_fold(root, |table, part| table.get_mut(part)?.as_table_mut());
        let slot = found.and_then(|table| table.get_mut(last)).and_then(Item::as_value_mut);
        let slot = slot.expect("the shipped configuration holds every key; a test goes over them");
        let decor = slot.decor().clone();
        *slot = value.into();
        *slot.decor_mut() = decor;
    }

    /// Sets a key of the template.
    pub fn set_template(&mut self, key: &str, value: impl Into<Value>) {
        self.set(&format!("templates.{}.{key}", self.template), value);
    }

    /// Sets a key of the template's table for its provider.
    pub fn set_provider_option(&mut self, provider: &str, key: &str, value: impl Into<Value>) {
        let name = self.template.clone();
        if let Some(template) = self.templates().get_mut(&name).and_then(Item::as_table_mut) {
            let own = template.entry(provider).or_insert_with(toml_edit::table);
            if let Some(own) = own.as_table_mut() {
                own.insert(key, toml_edit::value(value));
            }
        }
    }

    /// Leaves a key of the template to its default.
    pub fn leave_out(&mut self, key: &str) {
        let name = self.template.clone();
        if let Some(template) = self.templates().get_mut(&name).and_then(Item::as_table_mut) {
            template.remove(key);
        }
    }

    /// Gives the template another name.
    pub fn rename_template(&mut self, name: &str) {
        let old = std::mem::replace(&mut self.template, name.to_owned());
        let templates = self.templates();
        if let Some(template) = templates.remove(&old) {
            templates.insert(name, template);
        }
    }

    fn templates(&mut self) -> &mut Table {
        let templates = self.document.get_mut("templates").and_then(Item::as_table_mut);
        templates.expect("the shipped configuration holds a template")
    }

    /// The template's name.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Sets a secret by its variable, like `LIVETILL_DISCORD__TOKEN`.
    pub fn set_secret(&mut self, variable: &str, value: &str) {
        self.secrets.insert(variable.to_owned(), value.to_owned());
    }

    /// Whether a secret is known already, from the environment or the file.
    pub fn has_secret(&self, variable: &str) -> bool {
        let known = [self.secrets.get(variable), self.environment.get(variable)];
        known.into_iter().flatten().any(|value| !value.trim().is_empty())
    }

    /// Reads both files as the program would at its start.
    ///
    /// # Errors
    /// In the words of the configuration.
    pub fn check(&self) -> Result<Loaded, String> {
        let says = |error: config::ConfigError| error.to_string();
        let mut variables =
            config::secrets(&self.secrets_path(), &self.secrets_text()).map_err(says)?;
        if let Some(lost) =
            self.secrets.iter().find(|(key, value)| variables.get(*key) != Some(value))
        {
            return Err(format!("{}: spaces and quotes around it would be lost", lost.0));
        }
        variables.extend(self.environment.clone());
        config::read(&self.path, &self.document.to_string(), variables).map_err(says)
    }

    fn secrets_path(&self) -> PathBuf {
        self.path.with_file_name(SECRETS_FILE)
    }

    fn secrets_text(&self) -> String {
        let lines = self
            .secrets
            .iter()
            .map(|(key, value)| format!("{key}={}\n", config::env_file::written(value)));
        std::iter::once(SECRETS_HEAD.to_owned()).chain(lines).collect()
    }

    /// Writes both files, each whole or not at all; what was there stays beside them, under the
    /// names that are answered.
    pub fn write(&self) -> Result<Vec<PathBuf>> {
        let secrets = self.secrets_path();
        let mut kept = Vec::new();
        for (path, text, readers) in [
            (&secrets, self.secrets_text(), Readers::Owner),
            (&self.path, self.document.to_string(), Readers::Anybody),
        ] {
            let cannot = || format!("{} cannot be written", path.display());
            match fs::read_to_string(path) {
                Ok(old) if old == text || (path == &self.path && old == SHIPPED) => {}
                Ok(old) => {
                    let aside = free_name(path);
                    file::replace(&aside, old.as_bytes(), readers).with_context(cannot)?;
                    kept.push(aside);
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(cannot),
            }
            file::replace(path, text.as_bytes(), readers).with_context(cannot)?;
        }
        Ok(kept)
    }
}

/// `config.toml.old`, or the first of `config.toml.old2`, … that is not taken.
fn free_name(path: &Path) -> PathBuf {
    let named = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let more = (2..).map(|n: u32| named(&format!(".old{n}")));
    let mut all = std::iter::once(named(".old")).chain(more);
    all.find(|name| !name.exists()).unwrap_or_else(|| named(".old"))
}
