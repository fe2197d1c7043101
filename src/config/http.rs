//! What the listener is told, checked.

use super::Http;
use crate::finding::Finding;

/// A shorter token for the desk could be guessed.
const DESK_TOKEN_MIN: usize = 12;

impl Http {
    pub(super) fn check(&self, found: &mut Vec<Finding>) {
        let token = self.desk_token.expose().trim();
        if self.desk_token.is_set() && token.chars().count() < DESK_TOKEN_MIN {
            let says = format!(
                "is too short to be safe: at least {DESK_TOKEN_MIN} characters. Make one with: \
                 openssl rand -hex 16"
            );
            found.push(Finding::error("http.desk_token", says));
        }
        for host in &self.hosts {
            let fine = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
            if host.is_empty() || !host.bytes().all(fine) {
                let says = format!(
                    "{host:?} is no name: write it like \"shop.example\", without http:// and \
                     without a port"
                );
                found.push(Finding::error("http.hosts", says));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desk_token_that_could_be_guessed_is_refused() {
        let check = |token: &str| {
            let mut found = Vec::new();
            Http { desk_token: token.into(), ..Http::default() }.check(&mut found);
            found
        };
        for short in ["1", "hunter2", "12345678901"] {
            let found = check(short);
            assert!(found[0].is_error() && found[0].says.contains("openssl rand"), "{short}");
        }
        assert!(check("").is_empty() && check("123456789012").is_empty());
    }
}
