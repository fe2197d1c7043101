//! Discord, played over real sockets: the product's own client against a fake that holds it to
//! Discord's rules.

mod contract;
mod doctor;
mod fake;
mod fixtures;
mod gateway;
mod guild;
mod hostile;
mod live;
mod program;
mod rights;
mod slash;
mod socket;
mod wishes;
