//! Square: the real adapter against a stand-in that keeps Square's rules over a real socket.

pub mod audit;
mod catalog;
mod checkout;
mod contract;
pub mod crowd;
mod doctor;
mod drift;
mod evenings;
pub mod fake;
mod hooks;
mod offers;
mod options;
mod reversals;
pub mod shop;
mod strays;
mod trouble;
