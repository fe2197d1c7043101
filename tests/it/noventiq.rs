//! Noventiq Checkout: the real adapter against a stand-in that keeps the documented protocol over a
//! real socket.

mod books;
mod doctor;
mod evenings;
pub mod fake;
mod hooks;
mod late;
mod login;
pub mod shop;
mod trouble;
