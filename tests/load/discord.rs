//! A Discord to be connected to: the stand-in of the tests.

#[path = "../it/discord/contract.rs"]
mod contract;
#[path = "../it/discord/fake.rs"]
pub mod fake;
#[path = "../it/discord/fixtures.rs"]
pub mod fixtures;
#[path = "../it/discord/socket.rs"]
mod socket;

use std::time::Duration;

/// How long the stand-in waits for what is to come.
const PATIENCE: Duration = Duration::from_secs(30);
