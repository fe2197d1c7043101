//! The file with the bot's tokens: `twitch-token.json` beside the configuration, for its owner's
//! eyes only, replaced whole.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::tokens::Tokens;
use crate::{clock::Timestamp, file, secret::Secret};

/// Its name, beside the configuration.
pub const NAME: &str = "twitch-token.json";

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Other people can read it.
    #[error("{0} can be read by others: chmod 600 {0}")]
    Open(PathBuf),
    /// It is not what `login` wrote.
    #[error("{0} is damaged. Fix: livetill login twitch")]
    Damaged(PathBuf),
    /// The system says no.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    login: String,
    client_id: String,
    access_token: String,
    refresh_token: String,
    expires_at: Option<Timestamp>,
    /// Fingerprint of the tokens in the environment that these came from.
    origin: Option<String>,
}

/// Reads the file; `None` if there is none.
///
/// # Errors
/// If it is there and cannot be used.
pub fn read(path: &Path) -> Result<Option<Tokens>, FileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(FileError::Io(path.to_owned(), error)),
    };
    if file::is_open(path) {
        return Err(FileError::Open(path.to_owned()));
    }
    let stored: Stored =
        serde_json::from_str(&text).map_err(|_| FileError::Damaged(path.to_owned()))?;
    Ok(Some(Tokens {
        login: stored.login,
        client_id: stored.client_id,
        access: Secret::from(stored.access_token.as_str()),
        refresh: Secret::from(stored.refresh_token.as_str()),
        expires_at: stored.expires_at,
        origin: stored.origin,
    }))
}

/// Puts the tokens in the file's place, on disk before it returns: either the old file is there
/// or the new one.
///
/// # Errors
/// If the system says no.
pub fn write(path: &Path, tokens: &Tokens) -> Result<(), FileError> {
    let stored = Stored {
        login: tokens.login.clone(),
        client_id: tokens.client_id.clone(),
        access_token: tokens.access.expose().to_owned(),
        refresh_token: tokens.refresh.expose().to_owned(),
        expires_at: tokens.expires_at,
        origin: tokens.origin.clone(),
    };
    let failed = |error| FileError::Io(path.to_owned(), error);
    let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
    file::replace(path, &text, file::Readers::Owner).map_err(failed)
}
