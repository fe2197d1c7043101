//! The adapter against answers of every kind.

pub(super) mod answers;
