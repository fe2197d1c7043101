//! How long to wait before the same request is repeated. Data, not arithmetic.

use sha2::{Digest, Sha256};

use crate::{clock::Span, sale::effect::Class, store::Leased};

/// Waits in seconds while a person waits for the answer. For as long as a sale may take to be made
/// ready, none is so long that a provider which came back is noticed only after that.
const HASTY: &[i64] = &[1, 1, 2, 3, 5, 8, 10, 10, 10, 10, 10, 10, 10, 15, 20, 30, 30, 60, 60, 60];

/// Waits in seconds for what must be done however long it takes: about a day and a half.
const STEADY: &[i64] = &[1, 2, 4, 8, 15, 30, 60, 60, 120, 120, 300, 300, 600, 600];
const STEADY_LAST: i64 = 1800;
const STEADY_MAX: usize = 80;

/// Waits in seconds for what a room must hear: a chat that is away for an hour comes back to the
/// truth within half a minute. Given up after some six hours.
const SPOKEN: &[i64] = &[1, 1, 2, 3, 5, 8, 10, 15, 20];
const SPOKEN_LAST: i64 = 30;
const SPOKEN_MAX: usize = 720;

/// The wait after the `attempts`-th attempt; `None` when it is time to give up.
pub(super) fn wait(class: Class, attempts: u32) -> Option<Span> {
    let nth = attempts.saturating_sub(1) as usize;
    let secs = match class {
        Class::Refund | Class::Close | Class::Ending => {
            let secs = STEADY.get(nth).copied().unwrap_or(STEADY_LAST);
            (nth < STEADY_MAX).then_some(secs)
        }
        Class::Say => {
            let secs = SPOKEN.get(nth).copied().unwrap_or(SPOKEN_LAST);
            (nth < SPOKEN_MAX).then_some(secs)
        }
        Class::Prepare | Class::Buyer | Class::Warm => HASTY.get(nth).copied(),
    };
    secs.map(Span::from_secs)
}

/// `wait`, up to a fifth shorter or longer, so that many do not come back at once.
pub(super) fn jitter(wait: Span, random: u8) -> Span {
    let share = (i64::from(random) - 128) * 200 / 128;
    Span::from_millis(wait.millis() + wait.millis() * share / 1000)
}

/// The idempotency key: the same for every attempt at the same body, 40 characters.
pub(super) fn key(leased: &Leased) -> String {
    let digest = Sha256::new()
        .chain_update(leased.id.as_str())
        .chain_update([0])
        .chain_update(leased.generation.to_be_bytes())
        .finalize();
    hex::encode(&digest[..20])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        id::{EffectId, SaleId},
        sale::effect::Effect,
    };

    #[test]
    fn schedules_end() {
        let total = |class| -> i64 { (1..).map_while(|n| wait(class, n)).map(Span::secs).sum() };
        assert!((300..600).contains(&total(Class::Buyer)), "{}", total(Class::Buyer));
        assert!(total(Class::Refund) > 24 * 3600);
        assert!((5..7).contains(&(total(Class::Say) / 3600)), "{}", total(Class::Say));
    }

    #[test]
    fn jitter_stays_within_a_fifth() {
        let wait = Span::from_secs(10);
        for random in [0, 1, 128, 255] {
            let got = jitter(wait, random).millis();
            assert!((8000..=12000).contains(&got), "{got}");
        }
    }

    #[test]
    fn a_key_is_one_request_s_however_often_it_is_tried() {
        let leased = |id: &str, generation, attempts, token: &str| Leased {
            id: EffectId::from(id.to_owned()),
            sale: SaleId::new(Timestamp::from_millis(0), [0; 16]),
            class: Class::Buyer,
            effect: Effect::Provision,
            body: serde_json::Value::Null,
            generation,
            attempts,
            queued_at: Timestamp::from_millis(0),
            token: token.to_owned(),
        };
        let first = key(&leased("a", 0, 1, "t"));
        assert_eq!(first.len(), 40);
        assert_eq!(key(&leased("a", 0, 7, "u")), first);
        // Another body under the same key would be answered as the first was.
        assert_ne!(key(&leased("a", 1, 1, "t")), first);
        assert_ne!(key(&leased("b", 0, 1, "t")), first);
    }
}
