//! While a sale is made ready people wait for it, and are told why.

use super::Worker;
use crate::{
    clock::Span,
    engine::Origin,
    sale::{effect::Class, event::Event},
    store::Leased,
};

/// Why work rests that the provider wanted later.
pub(super) const SLOWED: &str = "the provider asked to slow down";

/// What takes longer is told.
const LONG: Span = Span::from_secs(3);

impl Worker {
    /// The work came to nothing, and is tried again.
    pub(super) async fn say_delayed(&self, leased: &Leased, says: &str) {
        if leased.attempts > 1 || self.waited_long(leased) {
            self.tell_delay(leased, says).await;
        }
    }

    /// The provider wants fewer calls; at the start of a sale that is over within moments.
    pub(super) async fn say_slowed(&self, leased: &Leased) {
        if self.waited_long(leased) {
            self.tell_delay(leased, SLOWED).await;
        }
    }

    fn waited_long(&self, leased: &Leased) -> bool {
        self.engine.now().since(leased.queued_at) > LONG
    }

    async fn tell_delay(&self, leased: &Leased, says: &str) {
        if leased.class != Class::Prepare {
            return;
        }
        let event = Event::Delayed { says: says.to_owned() };
        let by = format!("worker:{}", self.target);
        // No answer waits for it: what is not told now is told at the next try.
        let _ = self.engine.tell(leased.sale, event, &by, Origin::Any).await;
    }
}
