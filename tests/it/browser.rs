//! What people see and press, in a real Chromium: the buyer's way, the overlay, the desk; how much
//! each page loads, whether everybody can use it, and how it looks.

mod axe;
mod buyer;
mod desk;
mod driver;
mod lean;
mod once;
mod overlay;
mod photo;
mod pictures;
mod proxies;
mod states;
