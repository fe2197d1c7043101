//! The rules by example, and by random histories against a model of a provider.

mod cases;
mod histories;
mod parts;
pub(super) mod play;
mod reversals;
