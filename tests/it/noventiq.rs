//! Noventiq Checkout: the real adapter against a stand-in that keeps the documented protocol over a
//! real socket.

mod books;
mod doctor;
mod evenings;
mod fake;
mod hooks;
mod late;
mod login;
mod shop;
mod trouble;
