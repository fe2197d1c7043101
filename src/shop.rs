//! What spans sales: numbers, starts per hour, questions waiting for a *yes*, and what can be
//! taken back. One row, so that it survives a restart and is the same on every replica.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    room::{Room, User},
    sale::{
        event::Event,
        refusal::{Bound, Refusal},
        template::Template,
    },
};

/// How long a question waits for its *yes*.
pub const ASK_FOR: Span = Span::from_secs(30);

/// How long a cheap thing can be taken back.
pub const UNDO_FOR: Span = Span::from_secs(20);

const HOUR: Span = Span::from_secs(3600);

/// More questions or undos than this are not kept; the oldest go.
const KEPT_MAX: usize = 64;

/// A shop's id: what its marks at providers carry, so that two shops on one account tell their
/// things apart. Made from its secret, of which it says nothing: 12 hex digits.
pub fn id_of(secret: &[u8; 32]) -> String {
    let hash = Sha256::new().chain_update("livetill shop id").chain_update(secret).finalize();
    hex::encode(&hash[..6])
}

/// The shop's own row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shop {
    /// Counts changes.
    pub version: u64,
    /// The number the next sale gets.
    pub next_number: u32,
    /// Starts of the last hour, by template.
    pub starts: Vec<(String, Timestamp)>,
    /// Questions that wait for a *yes*.
    pub asks: Vec<Ask>,
    /// What can be taken back.
    pub undos: Vec<Undo>,
    /// Sales that open one after the other.
    pub queue: Vec<Queued>,
}

/// A sale that opens when nothing else is being sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Queued {
    /// Which one.
    pub sale: SaleId,
    /// Who queued it.
    pub by: String,
}

/// A question that waits for a *yes* of the one who caused it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ask {
    /// Who may confirm.
    pub user: String,
    /// Where it was asked.
    pub room: Room,
    /// About which sale.
    pub sale: SaleId,
    /// What happens then.
    pub event: Event,
    /// Until when.
    pub until: Timestamp,
}

/// A cheap thing, and what takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Whose.
    pub user: String,
    /// Of which sale.
    pub sale: SaleId,
    /// What takes it back.
    pub event: Event,
    /// Until when.
    pub until: Timestamp,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            version: 0,
            next_number: 1,
            starts: Vec::new(),
            asks: Vec::new(),
            undos: Vec::new(),
            queue: Vec::new(),
        }
    }
}

impl Shop {
    /// Takes the next number for a sale of `template`.
    ///
    /// # Errors
    /// Refuses when the template was started too often within the hour.
    pub fn begin(&self, template: &Template, now: Timestamp) -> Result<(Self, u32), Refusal> {
        let mut next = self.tidied(now);
        let max = template.bounds.sales_per_hour;
        let started = next.starts.iter().filter(|(name, _)| *name == template.name).count();
        if started >= max as usize {
            return Err(Refusal::Bound(Bound::SalesPerHour(max)));
        }
        next.starts.push((template.name.clone(), now));
        let number = next.next_number;
        next.next_number += 1;
        Ok((next, number))
    }

    /// Remembers a question; a newer one of the same person replaces it.
    pub fn ask(
        &self,
        user: &User,
        room: &Room,
        sale: SaleId,
        event: Event,
        now: Timestamp,
    ) -> Self {
        let mut next = self.tidied(now);
        let user = user.key();
        next.asks.retain(|ask| ask.user != user);
        next.asks.push(Ask { user, room: room.clone(), sale, event, until: now + ASK_FOR });
        let excess = next.asks.len().saturating_sub(KEPT_MAX);
        next.asks.drain(..excess);
        next
    }

    /// Takes the question that `user` confirms in `room`.
    pub fn confirm(&self, user: &User, room: &Room, now: Timestamp) -> Option<(Self, Ask)> {
        let mut next = self.tidied(now);
        let user = user.key();
        let at = next
            .asks
            .iter()
            .position(|ask| ask.user == user && ask.room == *room && ask.until > now)?;
        let ask = next.asks.remove(at);
        Some((next, ask))
    }

    /// Takes the questions out whose time is over; `None` if there are none.
    pub fn expire(&self, now: Timestamp) -> Option<(Self, Vec<Ask>)> {
        let mut next = self.tidied(now);
        let (expired, waiting): (Vec<_>, Vec<_>) =
            next.asks.drain(..).partition(|ask| ask.until <= now);
        next.asks = waiting;
        (!expired.is_empty()).then_some((next, expired))
    }

    /// Queues a sale behind those that are queued already.
    pub fn enqueue(&self, sale: SaleId, by: &User, now: Timestamp) -> Self {
        let mut next = self.tidied(now);
        next.queue.push(Queued { sale, by: by.key() });
        next
    }

    /// Takes a sale out of the queue; `None` if it is not in it.
    pub fn unqueue(&self, sale: SaleId, now: Timestamp) -> Option<Self> {
        let mut next = self.tidied(now);
        next.queue.retain(|queued| queued.sale != sale);
        (next.queue.len() < self.queue.len()).then_some(next)
    }

    /// Remembers how to take something back; only the latest of a person counts.
    pub fn can_undo(&self, user: &User, sale: SaleId, event: Event, now: Timestamp) -> Self {
        let mut next = self.tidied(now);
        let user = user.key();
        next.undos.retain(|undo| undo.user != user);
        next.undos.push(Undo { user, sale, event, until: now + UNDO_FOR });
        let excess = next.undos.len().saturating_sub(KEPT_MAX);
        next.undos.drain(..excess);
        next
    }

    /// Takes what `user` can take back.
    pub fn undo(&self, user: &User, now: Timestamp) -> Option<(Self, Undo)> {
        let mut next = self.tidied(now);
        let user = user.key();
        let at = next.undos.iter().position(|undo| undo.user == user)?;
        let undo = next.undos.remove(at);
        Some((next, undo))
    }

    /// Without what is over; questions stay until their end was said aloud.
    fn tidied(&self, now: Timestamp) -> Self {
        let mut next = self.clone();
        next.version += 1;
        next.undos.retain(|undo| undo.until > now);
        next.starts.retain(|(_, at)| now.since(*at) < HOUR);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::PlatformName;

    fn user(id: &str) -> User {
        User { platform: PlatformName::Console, id: id.into(), name: "same name".into() }
    }

    #[test]
    fn only_the_asker_confirms_in_time_in_the_same_room() {
        let now = Timestamp::from_millis(1_000_000);
        let sale = SaleId::new(now, [0; 16]);
        let here = Room::console();
        let there: Room = "twitch:ana".parse().expect("a room");
        let shop = Shop::default().ask(&user("a"), &here, sale, Event::Stopped, now);
        assert!(shop.confirm(&user("b"), &here, now).is_none());
        assert!(shop.confirm(&user("a"), &there, now).is_none());
        assert!(shop.confirm(&user("a"), &here, now + ASK_FOR).is_none());
        let (shop, ask) = shop.confirm(&user("a"), &here, now).expect("confirmed");
        assert_eq!(ask.event, Event::Stopped);
        assert!(shop.confirm(&user("a"), &here, now).is_none(), "once");
    }

    #[test]
    fn undo_takes_the_latest_back_once_and_in_time() {
        let now = Timestamp::from_millis(1_000_000);
        let sale = SaleId::new(now, [0; 16]);
        let shop = Shop::default().can_undo(&user("a"), sale, Event::Resumed, now).can_undo(
            &user("a"),
            sale,
            Event::Stopped,
            now,
        );
        assert!(shop.undo(&user("b"), now).is_none());
        assert!(shop.undo(&user("a"), now + UNDO_FOR).is_none());
        let (shop, undo) = shop.undo(&user("a"), now).expect("taken back");
        assert_eq!(undo.event, Event::Stopped);
        assert!(shop.undo(&user("a"), now).is_none());
    }
}
