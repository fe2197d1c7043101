//! How much of a sale one network may have, by all ways together.
//!
//! An address is known by keyed marks of the networks it lies in, the narrowest first, joined by
//! [`SEPARATOR`]: one for IPv4; for IPv6 its /64, /56 and /48. A household has a /64 or a /56 to
//! itself; a wider network may be one guesser or a whole carrier, so it gets more, and for less
//! time, before it gets nothing.
//!
//! Anybody's first few holds are always allowed. Beyond them a network that many people share, a
//! carrier's or a school's, may have more while there is plenty, and never more than half.

use std::collections::HashMap;

use super::{
    hold::{Hold, HoldState, Lapse},
    refusal::Refusal,
};

/// Between the marks of one address.
pub const SEPARATOR: char = '.';

/// A network may have this many in the waitlist for each of its first few holds: waiting takes
/// nothing, but the waitlist has an end.
const WAITING_PER_HOLD: u32 = 7;

/// A network may let this many holds go unpaid for each of its first few: what a sale remembers of
/// them has an end.
const WASTED_PER_HOLD: u32 = 50;

/// Wider networks are allowed so many times what a narrow one is.
const GRADES: [u32; 3] = [1, 2, 4];

/// What a network has of a sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Holds that are live, paid, or can never be closed.
    holds: u32,
    /// Their units.
    units: u32,
    /// Places in the waitlist.
    waiting: u32,
    /// Holds that came to nothing.
    wasted: u32,
}

/// The sale as far as shares depend on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shelf {
    /// All units.
    pub(super) stock: u32,
    /// Those that are free.
    pub(super) free: u32,
}

/// What a network may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// A hold like any other.
    Whole,
    /// A hold for a shorter time: the network is wide, it has much, and stock runs short.
    Brief,
}

/// Networks and what they have.
#[derive(Clone, Debug, Default)]
pub(super) struct Networks(HashMap<String, Usage>);

impl Networks {
    pub(super) fn add(&mut self, hold: &Hold) {
        let Some(address) = counted(hold) else { return };
        for network in address.split(SEPARATOR) {
            self.0.entry(network.to_owned()).or_default().count(hold, u32::saturating_add);
        }
    }

    pub(super) fn remove(&mut self, hold: &Hold) {
        let Some(address) = counted(hold) else { return };
        for network in address.split(SEPARATOR) {
            let Some(usage) = self.0.get_mut(network) else { continue };
            usage.count(hold, u32::saturating_sub);
            if *usage == Usage::default() {
                self.0.remove(network);
            }
        }
    }

    /// Networks of an address with what they have and how much more than a narrow one they may.
    fn of<'a>(&'a self, address: &'a str) -> impl Iterator<Item = (Usage, u32)> {
        let usage = |network| self.0.get(network).copied().unwrap_or_default();
        address.split(SEPARATOR).map(usage).zip(GRADES)
    }

    /// Whether `units` more may go to an address, and for how long.
    ///
    /// # Errors
    /// If one of its networks has all it may have.
    pub(super) fn share(
        &self,
        address: &str,
        units: u32,
        first_few: u32,
        shelf: Shelf,
    ) -> Result<Share, Refusal> {
        let plenty = shelf.free > shelf.stock / 2;
        let mut share = Share::Whole;
        for (usage, grade) in self.of(address) {
            let few = first_few.saturating_mul(grade);
            let half = shelf.stock / 2;
            // What one buyer may have at once is the shop's word.
            let fits = usage.holds == 0 || usage.units + units <= half.max(few);
            if usage.holds < few && fits {
                continue;
            }
            if usage.units + units > half || (!plenty && grade == 1) {
                return Err(Refusal::AddressFull);
            }
            if !plenty {
                share = Share::Brief;
            }
        }
        Ok(share)
    }

    /// Whether another place in the waitlist may go to an address.
    pub(super) fn may_wait(&self, address: &str, first_few: u32) -> bool {
        self.of(address).all(|(usage, grade)| {
            usage.waiting < first_few.saturating_mul(grade).saturating_mul(WAITING_PER_HOLD)
        })
    }

    /// Whether an address let so many holds go unpaid that nothing more is remembered of it.
    pub(super) fn is_wasteful(&self, address: &str, first_few: u32) -> bool {
        self.of(address).any(|(usage, grade)| {
            usage.wasted >= first_few.saturating_mul(grade).saturating_mul(WASTED_PER_HOLD)
        })
    }
}

impl Usage {
    /// Adds a hold to what it counts in, or takes it away.
    fn count(&mut self, hold: &Hold, step: fn(u32, u32) -> u32) {
        match hold.state {
            HoldState::Waiting { .. } => self.waiting = step(self.waiting, 1),
            HoldState::Released { .. } => self.wasted = step(self.wasted, 1),
            _ => {
                self.holds = step(self.holds, 1);
                self.units = step(self.units, hold.units);
            }
        }
    }
}

/// The address that a hold counts against.
fn counted(hold: &Hold) -> Option<&str> {
    match hold.state {
        HoldState::Waiting { .. }
        | HoldState::Offered { .. }
        | HoldState::Opening { .. }
        | HoldState::Open { .. }
        | HoldState::Closing { .. }
        | HoldState::Paid { .. }
        | HoldState::Lapsed { .. }
        // By the buyer's own doing; what the provider or the sale ended is nobody's waste.
        | HoldState::Released {
            why: Lapse::TimeUp | Lapse::LetGo | Lapse::LeftLine | Lapse::NotTaken,
            ..
        } => hold.address.as_deref(),
        HoldState::Warm | HoldState::Released { .. } | HoldState::Discarding => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Timestamp,
        id::{HoldId, SaleId},
        money::Money,
        sale::offer::Extras,
    };

    const AT: Timestamp = Timestamp::from_millis(0);

    fn hold(n: u32, address: &str, state: HoldState) -> Hold {
        Hold {
            id: HoldId { sale: SaleId::new(AT, [0; 16]), n },
            buyer: Some(format!("web:{n}").as_str().into()),
            buyer_name: None,
            address: Some(address.to_owned()),
            form: None,
            per_address: 3,
            brief: false,
            units: 1,
            delivery: None,
            extras: Extras::default(),
            amount: Money::new(100, "USD".parse().expect("a currency")),
            answers: Default::default(),
            claimed_at: AT,
            opened_at: None,
            state,
            checkouts: Vec::new(),
            ordered: 0,
            making: Vec::new(),
        }
    }

    fn opening(n: u32, address: &str) -> Hold {
        hold(n, address, HoldState::Opening { until: AT })
    }

    /// Claims until refused; how many were had, and how many of them for a short time.
    fn greedy(networks: &mut Networks, stock: u32, addresses: &[&str]) -> (u32, u32) {
        let (mut had, mut brief) = (0, 0);
        for address in addresses.iter().cycle().take(10 * stock as usize) {
            let shelf = Shelf { stock, free: stock - had };
            if shelf.free == 0 {
                break;
            }
            let Ok(share) = networks.share(address, 1, 3, shelf) else { continue };
            networks.add(&opening(had + 1, address));
            had += 1;
            brief += u32::from(share == Share::Brief);
        }
        (had, brief)
    }

    #[test]
    fn one_address_never_has_more_than_half() {
        for (stock, most) in [(20, 10), (21, 10), (7, 3), (5, 3), (3, 3), (1, 1)] {
            let had = greedy(&mut Networks::default(), stock, &["carrier"]);
            assert_eq!(had, (most, 0), "of {stock}");
        }
    }

    #[test]
    fn beyond_the_first_few_only_while_there_is_plenty() {
        let networks = {
            let mut networks = Networks::default();
            (1..=3).for_each(|n| networks.add(&opening(n, "carrier")));
            networks
        };
        let share = |free| networks.share("carrier", 1, 3, Shelf { stock: 20, free });
        assert_eq!(share(17), Ok(Share::Whole), "the fourth behind one carrier");
        assert_eq!(share(10), Err(Refusal::AddressFull));
        assert_eq!(networks.share("other", 1, 3, Shelf { stock: 20, free: 1 }), Ok(Share::Whole));
    }

    #[test]
    fn many_narrow_networks_of_a_wide_one_have_no_more_than_half() {
        let of_one_56: Vec<String> = (0..8).map(|n| format!("n{n}.wide.wider")).collect();
        let addresses: Vec<&str> = of_one_56.iter().map(String::as_str).collect();
        let (had, brief) = greedy(&mut Networks::default(), 20, &addresses);
        assert_eq!((had, brief), (10, 0));
        // Others took much: the wide network goes on, for shorter times.
        let mut networks = Networks::default();
        (1..=6).for_each(|n| networks.add(&opening(n, &of_one_56[n as usize % 8])));
        let scarce = Shelf { stock: 20, free: 6 };
        assert_eq!(networks.share("new.wide.wider", 1, 3, scarce), Ok(Share::Brief));
        assert_eq!(networks.share("new.other.wider", 1, 3, scarce), Ok(Share::Whole));
    }

    #[test]
    fn what_was_paid_counts_and_what_came_back_does_not() {
        let mut networks = Networks::default();
        let states = [
            HoldState::Offered { until: AT },
            HoldState::Closing { why: Lapse::LetGo, since: AT },
            HoldState::Paid { payment: "p".into(), at: AT },
            HoldState::Lapsed { why: Lapse::TimeUp, at: AT },
        ];
        for (n, state) in (1..).zip(states) {
            networks.add(&hold(n, "home", state));
        }
        assert_eq!(networks.0["home"].units, 4);
        let back = hold(4, "home", HoldState::Lapsed { why: Lapse::TimeUp, at: AT });
        networks.remove(&back);
        networks.add(&hold(4, "home", HoldState::Released { why: Lapse::TimeUp, at: AT }));
        assert_eq!((networks.0["home"].units, networks.0["home"].wasted), (3, 1));
    }

    #[test]
    fn waiting_and_wasting_have_an_end() {
        let mut networks = Networks::default();
        let mut waits = 0;
        while networks.may_wait("home", 3) {
            waits += 1;
            networks.add(&hold(waits, "home", HoldState::Waiting { since: AT }));
        }
        assert_eq!(waits, 21);
        assert!(networks.may_wait("elsewhere", 3));
        let mut wasted = 0;
        while !networks.is_wasteful("home", 3) {
            wasted += 1;
            networks.add(&hold(wasted, "home", HoldState::Released { why: Lapse::LetGo, at: AT }));
        }
        assert_eq!(wasted, 150);
    }
}
