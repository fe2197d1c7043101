//! A secret that comes from the environment: never printed, compared in constant time.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use subtle::ConstantTimeEq;

/// A secret. Prints as `[redacted]`, empty if it was never set.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Secret(SecretString);

impl Secret {
    /// The secret itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether it was set.
    pub fn is_set(&self) -> bool {
        !self.expose().trim().is_empty()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(SecretString::from(text))
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_never_prints() {
        let secret = Secret::from("EAAA-token");
        assert_eq!(format!("{secret:?}"), "[redacted]");
        assert!(secret.is_set() && !Secret::default().is_set() && !Secret::from(" ").is_set());
        assert!(secret == Secret::from("EAAA-token") && secret != Secret::from("EAAA-tokem"));
    }
}
