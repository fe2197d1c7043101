//! A place for the real program to run in: a folder with its configuration, and a database.

use std::path::Path;

use livetill::store::{Access, OpenError, open};
use tempfile::TempDir;

use crate::{
    database::{Database, Engine},
    setup::write_secrets,
};

/// Where a program lives, over all its lives.
pub struct Home {
    dir: TempDir,
    database: Database,
}

impl Home {
    /// A home on the engine that worlds run on.
    pub fn new(config: &str) -> Self {
        Self::on(Engine::of_worlds(), config)
    }

    pub fn on(engine: Engine, config: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("config.toml"), config).expect("written");
        let database = Database::new(engine, dir.path());
        // The file needs no word: it is where the program makes it unasked.
        if engine == Engine::Postgres {
            write_secrets(dir.path(), &[("LIVETILL_STORE__URL", database.url())]);
        }
        Self { dir, database }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The address of its database.
    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// Whether no program ever made its tables.
    pub async fn is_empty(&self) -> bool {
        matches!(open(self.url(), Access::Read).await, Err(OpenError::Missing(_)))
    }
}
