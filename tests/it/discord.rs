//! Discord, played over real sockets: the product's own client against a fake that holds it to
//! Discord's rules.

mod contract;
mod doctor;
pub mod fake;
pub mod fixtures;
mod gateway;
pub mod guild;
mod hostile;
mod live;
mod program;
mod rights;
mod slash;
mod socket;
mod wishes;

use crate::world::PATIENCE;
