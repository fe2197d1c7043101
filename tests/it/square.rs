//! Square: the real adapter against a stand-in that keeps Square's rules over a real socket.

mod catalog;
mod checkout;
mod contract;
mod crash;
mod crowd;
mod doctor;
mod evenings;
mod fake;
mod hooks;
mod offers;
mod options;
mod shop;
mod trouble;
