//! `codes`: the lists that conditions and special prices ask for.

use std::{io::Read, path::Path};

use anyhow::{Context, Result, ensure};

use super::{Ended, WithCodes};
use crate::{
    app::fresh_secret,
    config::Loaded,
    gate::{Added, CodeKey, add_codes, codes_of},
    id::SystemEntropy,
    store::{self, Access, OpenError, SqlStore, Store},
};

/// The longest file of codes, in bytes: a million codes are enough.
const FILE_MAX: u64 = 32 * 1024 * 1024;

pub(super) async fn codes(loaded: &Loaded, list: &str, what: &WithCodes) -> Result<Ended> {
    let offers = loaded.templates.values().map(|template| &template.offers);
    let known: Vec<&str> = offers.flat_map(|o| o.lists().map(|one| one.name.as_str())).collect();
    if !known.contains(&list) {
        eprintln!("livetill: no template asks for a code of {list}");
    }
    match what {
        WithCodes::Add { file } => {
            let text = read(file)?;
            let store = open(loaded).await?;
            let secret = store.secret(fresh_secret(&SystemEntropy)).await?;
            let added = add_codes(&store, &CodeKey::new(&secret), list, &text).await?;
            let Added { new, known } = added;
            store.close().await;
            println!("{list}: {new} added, {known} there already");
        }
        WithCodes::Count => {
            let store = store::open(&loaded.config.store.url, Access::Read).await?;
            println!("{list}: {} in all", codes_of(&store, list).await?.len());
        }
    }
    Ok(Ended::Well)
}

/// Beside a running bot, or alone.
async fn open(loaded: &Loaded) -> Result<SqlStore> {
    let url = &loaded.config.store.url;
    match store::open(url, Access::Write).await {
        Err(OpenError::Busy(_)) => Ok(store::open(url, Access::Beside).await?),
        opened => Ok(opened?),
    }
}

fn read(file: &Path) -> Result<String> {
    let mut text = String::new();
    let name = file.display();
    let from: Box<dyn Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| format!("cannot read {name}"))?)
    };
    let read = from.take(FILE_MAX + 1).read_to_string(&mut text);
    read.with_context(|| format!("{name} cannot be read as text"))?;
    ensure!(text.len() as u64 <= FILE_MAX, "{name} is too long: split it");
    Ok(text)
}
