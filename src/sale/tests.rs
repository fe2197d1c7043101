//! The rules by example, and by random histories against a model of a provider.

pub(crate) mod archive;
mod bounds;
mod cases;
mod ends;
mod histories;
mod limits;
mod pages;
mod parts;
pub(crate) mod play;
mod refunds;
mod reversals;
mod second;
