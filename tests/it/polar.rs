//! Polar: the real adapter against a stand-in that keeps Polar's rules over a real socket.

mod books;
mod buyers;
mod doctor;
mod evenings;
pub mod fake;
mod hooks;
mod offers;
mod reversals;
mod shared;
pub mod shop;
mod trouble;
