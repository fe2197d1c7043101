//! What every program on one database must have alike.

use std::collections::{BTreeMap, BTreeSet};

use super::Config;
use crate::room::Room;

impl Config {
    /// Keys and values that are the same in every program on one database, templates aside.
    pub fn alike(&self) -> BTreeMap<String, String> {
        let Self { shop, http, store, providers, .. } = self;
        let rooms = |rooms: &[Room]| {
            let names: BTreeSet<String> = rooms.iter().map(ToString::to_string).collect();
            names.into_iter().collect::<Vec<_>>().join(" ")
        };
        let set_up = |is: bool, value: String| if is { value } else { "(not set up)".to_owned() };
        let real = |is: bool| if is { "real money" } else { "test money" }.to_owned();
        let (square, polar, noventiq) = (&providers.square, &providers.polar, &providers.noventiq);
        let account = format!("{:?} {}", square.environment, square.location_id).to_lowercase();
        let after = store.archive_after().map_or_else(String::new, |after| after.to_string());
        let market = format!("{} {}", real(noventiq.takes_real_money()), noventiq.market_id);
        [
            ("shop.name", format!("{:?}", shop.name)),
            ("shop.public_url", format!("{:?}", shop.public_url)),
            ("shop.rooms", format!("{:?}", rooms(&shop.rooms))),
            ("shop.mod_rooms", format!("{:?}", rooms(&shop.mod_rooms))),
            ("http.holds_per_address", http.holds_per_address.to_string()),
            ("http.tries_per_buyer", http.tries_per_buyer.to_string()),
            ("store.archive_after", format!("{after:?}")),
            ("providers.square", set_up(square.is_configured(), account)),
            ("providers.polar", set_up(polar.is_configured(), real(polar.takes_real_money()))),
            ("providers.noventiq", set_up(noventiq.is_configured(), market)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into()
    }
}
