//! The rules by example, and by random histories against a model of a provider.

mod cases;
mod histories;
pub(super) mod play;
mod reversals;
