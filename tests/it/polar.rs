//! Polar: the real adapter against a stand-in that keeps Polar's rules over a real socket.

mod books;
mod buyers;
mod doctor;
mod evenings;
mod fake;
mod hooks;
mod offers;
mod shared;
mod shop;
mod trouble;
