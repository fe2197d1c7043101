//! What a crowd means to do: a function of the seed and nothing else.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Span;

/// Who comes, and to what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crowd {
    /// How many.
    pub(super) buyers: u32,
    /// What they mean to do.
    pub(super) seed: u64,
    /// How long the sale is open.
    pub(super) duration: Span,
    /// How long a page is kept for them.
    pub(super) hold: Span,
}

/// One shopper's intentions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Plan {
    /// When they come, after the opening.
    pub(super) arrives: Span,
    /// What they will do with a page.
    pub(super) habit: Habit,
    /// Which delivery choice they take, of how many there are.
    pub(super) choice: u32,
}

/// What a shopper does with a payment page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Habit {
    /// Pays after thinking that long.
    Pays(Span),
    /// Has a card declined first, then pays after that long.
    Stumbles(Span),
    /// Pays only after their time is over.
    PaysLate(Span),
    /// Never pays.
    Quits,
    /// Lets go after that long.
    LetsGo(Span),
    /// Presses the button twice at once, then pays.
    DoubleClicks(Span),
}

/// Everybody's intentions, by time of arrival.
pub(super) fn plan(crowd: &Crowd) -> Vec<Plan> {
    let mut random = StdRng::seed_from_u64(crowd.seed);
    let duration = crowd.duration.millis();
    let hold = crowd.hold.millis();
    let mut plans: Vec<Plan> = (0..crowd.buyers)
        .map(|_| {
            // Most come in the first moments after the link was posted.
            let early: f64 = random.random();
            let arrives = (early.powi(3) * duration as f64 * 0.9) as i64;
            let think = Span::from_millis(random.random_range(hold / 20..hold * 7 / 10));
            let habit = match random.random_range(0..100_u32) {
                0..50 => Habit::Pays(think),
                50..60 => Habit::Stumbles(think),
                60..70 => {
                    let late = random.random_range(hold * 11 / 10..hold * 3 / 2);
                    Habit::PaysLate(Span::from_millis(late))
                }
                70..82 => Habit::Quits,
                82..90 => Habit::LetsGo(think),
                _ => Habit::DoubleClicks(think),
            };
            Plan { arrives: Span::from_millis(arrives), habit, choice: random.random_range(0..16) }
        })
        .collect();
    plans.sort_by_key(|plan| plan.arrives);
    plans
}

/// A fingerprint of the intentions.
pub(super) fn hash(plans: &[Plan]) -> String {
    let text = serde_json::to_vec(plans).expect("plans serialise");
    hex::encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_decides() {
        let crowd = |seed| Crowd {
            buyers: 50,
            seed,
            duration: Span::from_secs(30),
            hold: Span::from_secs(5),
        };
        let seven = plan(&crowd(7));
        assert_eq!(seven, plan(&crowd(7)));
        assert_ne!(hash(&seven), hash(&plan(&crowd(8))));
        assert!(seven.iter().all(|plan| plan.arrives < Span::from_secs(30)));
    }
}
