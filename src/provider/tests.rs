//! What adapters are tried against.

pub(crate) mod service;
