//! Several things at once, the same thing twice, restarts and a store that fails: the engine on a
//! real database, with a clock moved by hand and a provider that says what it is told to.

mod archive;
mod batches;
pub(crate) mod bench;
mod handover;
mod starts;
mod strays;
