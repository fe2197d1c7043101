//! What every program on one database must have alike.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use crate::{provider::sandbox, room::Room};

impl Config {
    /// Keys and values that are the same in every program on one database, templates aside.
    pub fn alike(&self) -> BTreeMap<String, String> {
        let Self { shop, http, store, providers, .. } = self;
        let rooms = |rooms: &[Room]| {
            let names: BTreeSet<String> = rooms.iter().map(ToString::to_string).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        let after = store.archive_after().map_or_else(String::new, |after| after.to_string());
        let accounts = providers.all().into_iter().filter(|one| one.name() != sandbox::NAME);
        let accounts = accounts.map(|one| {
            let account = match one.missing() {
                None => one.account(),
                Some(_) => "(not set up)".to_owned(),
            };
            (format!("providers.{}", one.name()), account)
        });
        [
            ("shop.name", format!("{:?}", shop.name)),
            ("shop.public_url", format!("{:?}", shop.public_url)),
            ("shop.rooms", format!("{:?}", rooms(&shop.rooms))),
            ("shop.mod_rooms", format!("{:?}", rooms(&shop.mod_rooms))),
            ("http.holds_per_address", http.holds_per_address.to_string()),
            ("http.tries_per_buyer", http.tries_per_buyer.to_string()),
            ("store.archive_after", format!("{after:?}")),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .chain(accounts)
        .collect()
    }
}
