//! What the bot logs in with.

use crate::{clock::Timestamp, secret::Secret};

/// The bot's tokens.
#[derive(Clone, Debug, PartialEq)]
pub struct Tokens {
    /// Whose they are; empty until it was asked.
    pub login: String,
    /// The application they were made for.
    pub client_id: String,
    /// For the chat.
    pub access: Secret,
    /// For the next pair; empty if there is none.
    pub refresh: Secret,
    /// When the access token ends.
    pub expires_at: Option<Timestamp>,
    /// Fingerprint of the tokens in the environment that these came from.
    pub origin: Option<String>,
}
