//! The adapter against answers of every kind.

mod answers;
