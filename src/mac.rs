//! Keyed marks and hashes: what we sign for ourselves, and short names for long texts.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The HMAC-SHA-256 of all parts, one behind the other.
pub(crate) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

/// A key derived from the shop's secret for one purpose.
pub fn derive(secret: &[u8; 32], purpose: &str) -> Vec<u8> {
    hmac_sha256(secret, &[purpose.as_bytes()]).finalize().into_bytes().to_vec()
}

/// A hash of a text that is no secret: 40 hex digits.
pub fn short_hash(text: &str) -> String {
    hex::encode(&Sha256::digest(text.as_bytes())[..20])
}

/// A short keyed mark of `text`: 16 bytes as 32 hex digits.
pub fn mark(key: &[u8], text: &str) -> String {
    let mac = hmac_sha256(key, &[text.as_bytes()]).finalize().into_bytes();
    hex::encode(&mac[..16])
}

/// Whether `mark` is the keyed mark of `text`; in constant time.
pub fn is_mark(key: &[u8], text: &str, given: &str) -> bool {
    mark(key, text).as_bytes().ct_eq(given.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_keyed() {
        let mark = mark(b"k", "a");
        assert_eq!(mark.len(), 32);
        assert!(is_mark(b"k", "a", &mark));
        assert!(
            !is_mark(b"k", "b", &mark) && !is_mark(b"j", "a", &mark) && !is_mark(b"k", "a", "")
        );
    }
}
