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

/// The verb that answers a question.
const YES: &str = "yes";

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
    /// The queue waits for a word: what ran before it was stopped.
    #[serde(default)]
    pub queue_held: bool,
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
    /// Further sales that the same happens to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<SaleId>,
    /// What happens then.
    pub event: Event,
    /// Of a start: what else is to be known of it.
    #[serde(default)]
    pub start: Option<AskedStart>,
    /// Until when.
    pub until: Timestamp,
}

/// What a question about a start leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedStart {
    /// It goes into the queue.
    pub queued: bool,
    /// It may be the second one of its shelf; if not, only its price was asked about.
    pub second: bool,
}

/// The last thing that somebody did, and what takes it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Undo {
    /// Whose.
    pub user: String,
    /// Of which sale.
    pub sale: SaleId,
    /// What takes it back; nothing happens by a [`Event::Ticked`].
    pub event: Event,
    /// Until when.
    pub until: Timestamp,
    /// The message that it was asked by.
    #[serde(default)]
    pub message: String,
    /// What was asked.
    #[serde(default)]
    pub verb: String,
    /// Why it cannot be taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<Stays>,
}

/// Why the last thing cannot be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Stays {
    /// It was begun, and how it ended is not noted.
    Unsure,
    /// It changed nothing.
    Refused,
    /// It waits for a *yes*.
    Asked,
    /// Somebody else did something with that sale since.
    Changed,
    /// It is not of that kind; there may be another way.
    Never {
        /// Which one.
        instead: String,
    },
}

/// Who did what by which message.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// Who.
    pub user: &'a User,
    /// By which message.
    pub message: &'a str,
}

/// How a deed went.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Done to that sale; this takes it back.
    Back(SaleId, Event),
    /// Done to that sale for good; what can be done instead of taking it back.
    Never(SaleId, String),
    /// Nothing was changed.
    Refused,
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
            queue_held: false,
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
    pub fn ask(&self, by: Deed<'_>, ask: Ask, now: Timestamp) -> Self {
        let mut next = self.tidied(now);
        next.asks.retain(|other| other.user != ask.user);
        next.asks.push(Ask { until: now + ASK_FOR, ..ask });
        let excess = next.asks.len().saturating_sub(KEPT_MAX);
        next.asks.drain(..excess);
        if let Some(undo) = next.deed_of(by) {
            undo.stays = Some(Stays::Asked);
            undo.until = now + ASK_FOR;
        }
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
        next.queue_held &= !next.queue.is_empty();
        (next.queue.len() < self.queue.len()).then_some(next)
    }

    /// Has the queue wait for a word because `stopped` is stopped; the sale that is next then.
    /// `None` if nothing waits, or if it is one of those that wait.
    pub fn hold_queue(&self, stopped: SaleId, now: Timestamp) -> Option<(Self, SaleId)> {
        let waits = |queued: &Queued| queued.sale == stopped;
        let first = self.queue.first().filter(|_| !self.queue.iter().any(waits))?.sale;
        Some((Self { queue_held: true, ..self.tidied(now) }, first))
    }

    /// Has the queue go on; `None` if it does not wait for a word.
    pub fn release_queue(&self, now: Timestamp) -> Option<Self> {
        self.queue_held.then(|| Self { queue_held: false, ..self.tidied(now) })
    }

    /// Notes that somebody is about to do something: whatever they did before can no longer be
    /// taken back, even if the program ends right now. A question of theirs is answered by a *yes*
    /// and withdrawn by anything else: a later *yes* must not do what was left behind.
    pub fn begins(&self, by: Deed<'_>, verb: &str, now: Timestamp) -> Self {
        let mut next = self.tidied(now);
        let user = by.user.key();
        if verb != YES {
            next.asks.retain(|ask| ask.user != user);
        }
        next.undos.retain(|undo| undo.user != user);
        next.undos.push(Undo {
            user,
            sale: SaleId::new(now, [0; 16]),
            event: Event::Ticked,
            until: now + UNDO_FOR,
            message: by.message.to_owned(),
            verb: verb.to_owned(),
            stays: Some(Stays::Unsure),
        });
        let excess = next.undos.len().saturating_sub(KEPT_MAX);
        next.undos.drain(..excess);
        next
    }

    /// Notes how it went. What others did to the same sale before can be taken back only where the
    /// order does not matter.
    pub fn ended(&self, by: Deed<'_>, outcome: &Outcome, now: Timestamp) -> Self {
        let mut next = self.tidied(now);
        if let Outcome::Back(sale, _) | Outcome::Never(sale, _) = outcome {
            let user = by.user.key();
            let adds =
                |event: &Event| matches!(event, Event::Extended { .. } | Event::Restocked { .. });
            let harmless = matches!(outcome, Outcome::Back(_, event) if adds(event));
            let others = next.undos.iter_mut().filter(|undo| undo.user != user);
            for undo in others.filter(|undo| undo.sale == *sale && undo.stays.is_none()) {
                if !harmless && !adds(&undo.event) {
                    undo.stays = Some(Stays::Changed);
                }
            }
        }
        if let Some(undo) = next.deed_of(by) {
            undo.until = now + UNDO_FOR;
            match outcome.clone() {
                Outcome::Back(sale, event) => {
                    (undo.sale, undo.event, undo.stays) = (sale, event, None);
                }
                Outcome::Never(sale, instead) => {
                    (undo.sale, undo.stays) = (sale, Some(Stays::Never { instead }));
                }
                Outcome::Refused => undo.stays = Some(Stays::Refused),
            }
        }
        next
    }

    /// What that message led to, unless the same person went on to something else.
    fn deed_of(&mut self, by: Deed<'_>) -> Option<&mut Undo> {
        let user = by.user.key();
        self.undos.iter_mut().find(|undo| undo.user == user && undo.message == by.message)
    }

    /// Takes the last thing that `user` did, and with it the question it may have led to.
    pub fn undo(&self, user: &User, now: Timestamp) -> Option<(Self, Undo)> {
        let mut next = self.tidied(now);
        let user = user.key();
        let at = next.undos.iter().position(|undo| undo.user == user)?;
        let undo = next.undos.remove(at);
        if undo.stays == Some(Stays::Asked) {
            next.asks.retain(|ask| ask.user != user);
        }
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

    fn asks(shop: &Shop, user: &User, room: &Room, sale: SaleId, now: Timestamp) -> Shop {
        let (event, room) = (Event::Stopped, room.clone());
        let also = Vec::new();
        let ask = Ask { user: user.key(), room, sale, also, event, start: None, until: now };
        shop.ask(Deed { user, message: "m" }, ask, now)
    }

    fn does(shop: &Shop, who: &User, message: &str, sale: SaleId, event: Event) -> Shop {
        let now = Timestamp::from_millis(1_000_000);
        let by = Deed { user: who, message };
        shop.begins(by, "verb", now).ended(by, &Outcome::Back(sale, event), now)
    }

    #[test]
    fn only_the_asker_confirms_in_time_in_the_same_room() {
        let now = Timestamp::from_millis(1_000_000);
        let sale = SaleId::new(now, [0; 16]);
        let here = Room::console();
        let there: Room = "twitch:ana".parse().expect("a room");
        let shop = asks(&Shop::default(), &user("a"), &here, sale, now);
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
        let (sale, ana) = (SaleId::new(now, [0; 16]), user("a"));
        let shop = does(&Shop::default(), &ana, "1", sale, Event::Resumed);
        let shop = does(&shop, &ana, "2", sale, Event::Stopped);
        assert!(shop.undo(&user("b"), now).is_none());
        assert!(shop.undo(&ana, now + UNDO_FOR).is_none());
        let (after, undo) = shop.undo(&ana, now).expect("taken back");
        assert_eq!((undo.event, undo.stays), (Event::Stopped, None));
        assert!(after.undo(&ana, now).is_none());
        // What is begun hides what was done before, however it ends.
        let by = Deed { user: &ana, message: "3" };
        let begun = shop.begins(by, "pause", now);
        let stays = |shop: &Shop| shop.undo(&ana, now).and_then(|(_, undo)| undo.stays);
        assert_eq!(stays(&begun), Some(Stays::Unsure));
        assert_eq!(stays(&begun.ended(by, &Outcome::Refused, now)), Some(Stays::Refused));
        // A slow answer to an earlier message changes nothing of a later one.
        let late = Deed { user: &ana, message: "2" };
        assert_eq!(stays(&begun.ended(late, &Outcome::Refused, now)), Some(Stays::Unsure));
        // A question goes with what led to it.
        let asked = asks(
            &begun.begins(Deed { message: "m", ..by }, "stop", now),
            &ana,
            &Room::console(),
            sale,
            now,
        );
        let (after, undo) = asked.undo(&ana, now).expect("a question");
        assert_eq!((undo.stays, after.asks.len()), (Some(Stays::Asked), 0));
        // And with whatever its asker does next, but for the answer; others' words are no answer.
        let ben = user("b");
        for (who, verb, stays) in [(&ana, "stop", 0), (&ana, "yes", 1), (&ben, "stop", 1)] {
            let next = asked.begins(Deed { user: who, message: "9" }, verb, now);
            assert_eq!(next.asks.len(), stays, "{verb}");
        }
    }

    #[test]
    fn what_others_did_since_counts_where_the_order_matters() {
        let now = Timestamp::from_millis(1_000_000);
        let (sale, ana, ben) = (SaleId::new(now, [0; 16]), user("a"), user("b"));
        let stays = |shop: &Shop| shop.undo(&ana, now).and_then(|(_, undo)| undo.stays);
        let paused = does(&Shop::default(), &ana, "1", sale, Event::Resumed);
        assert_eq!(stays(&does(&paused, &ben, "2", sale, Event::Paused)), Some(Stays::Changed));
        let more = Event::Restocked { units: -1 };
        assert_eq!(stays(&does(&paused, &ben, "2", sale, more.clone())), None);
        let other = SaleId::new(now, [1; 16]);
        assert_eq!(stays(&does(&paused, &ben, "2", other, Event::Paused)), None);
        let extended = does(&Shop::default(), &ana, "1", sale, more);
        assert_eq!(stays(&does(&extended, &ben, "2", sale, Event::Resumed)), None);
    }

    #[test]
    fn a_shop_of_the_last_version_is_read() {
        let row = r#"{"version":4,"next_number":3,"starts":[["mug",1795328703758]],
            "asks":[{"user":"console:moderator","room":"console",
            "sale":"01a201ee10e1747eadf41b1a7fee2fc0","event":{"event":"stopped"},
            "until":1795328728873}],"undos":[{"user":"console:moderator",
            "sale":"01a201ee10e1747eadf41b1a7fee2fc0","event":{"event":"stopped"},
            "until":1795328728873}],"queue":[]}"#;
        let shop: Shop = serde_json::from_str(row).expect("read");
        assert!(!shop.queue_held && shop.asks[0].start.is_none() && shop.undos[0].stays.is_none());
    }
}
