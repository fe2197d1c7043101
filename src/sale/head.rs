//! Everything about a sale but its holds and payments: small, and stored whole.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    archive::Archived,
    event::Listing,
    hold::Hold,
    template::{Capabilities, Template},
};
use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    room::{Room, User},
};

/// Everything about a sale but its holds and payments: small, and stored whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// Its id.
    pub id: SaleId,
    /// Its short number, `#7`.
    pub number: u32,
    /// What it sells.
    pub template: Arc<Template>,
    /// What its provider can do.
    pub capabilities: Capabilities,
    /// Rooms that hear of it.
    pub rooms: Vec<Room>,
    /// Rooms that hear of money and trouble.
    pub mod_rooms: Vec<Room>,
    /// Who asked for it.
    pub started_by: User,
    /// Where.
    pub asked_in: Room,
    /// When.
    pub started_at: Timestamp,
    /// Counts decisions; every surface compares it.
    pub revision: u64,
    /// The latest time the sale has seen; its time never runs backwards.
    pub last_at: Timestamp,
    /// Where it stands.
    pub phase: Phase,
    /// Units that exist for it, sold or not.
    pub stock: u32,
    /// Units ever offered: the first stock and all restocks. Bounded by the template.
    pub offered: u32,
    /// Time it was to be open, extensions included. Bounded by the template.
    pub length: Span,
    /// Time spent in finished pauses.
    pub paused_for: Span,
    /// Counters over the holds.
    pub tally: Tally,
    /// How many of each up-sell are held or paid.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub added: BTreeMap<String, u32>,
    /// The number the next hold gets.
    pub next_n: u32,
    /// What stands at the provider.
    pub listing: ListingState,
    /// What troubles it, for moderators.
    pub note: Option<String>,
    /// Whether moderators were told why the sale is not ready yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delay_told: bool,
    /// Why pages are refused, as moderators were told last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal_told: Option<String>,
    /// Units promised that are not there: somebody must look.
    pub short: u32,
    /// Units known to be sold elsewhere.
    pub outside: u32,
    /// Restocks the provider has not confirmed.
    pub restocking: u32,
    /// A provider's count waiting to be compared with ours.
    pub count: Option<PendingCount>,
    /// The provider shows the item as sold out, marked by hand.
    pub marked_sold_out: bool,
    /// Delivery choices the provider shows as sold out: nobody may claim with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed_choices: Vec<String>,
    /// After a refused warm page, no new one before this.
    pub warm_again_at: Option<Timestamp>,
    /// How many payments are parts of a price whose rest has not come.
    #[serde(default, skip_serializing_if = "is_none")]
    pub parts: u32,
    /// When parts that came after their page was closed are given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts_until: Option<Timestamp>,
    /// That its details are gone, and what was counted from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived: Option<Arc<Archived>>,
}

// serde hands over a reference.
fn is_none(n: &u32) -> bool {
    *n == 0
}

/// Where a sale stands; each state with what it knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Phase {
    /// Being made ready at the provider.
    Arming {
        /// Since when.
        since: Timestamp,
        /// When the start is refused.
        give_up_at: Timestamp,
        /// Stay armed when ready, instead of opening.
        stay: bool,
    },
    /// Ready; waits to be opened.
    Armed {
        /// Since when.
        since: Timestamp,
        /// When it is retired.
        until: Timestamp,
        /// When its warm pages are looked at again.
        probe_at: Timestamp,
    },
    /// Selling.
    Open {
        /// Since when.
        opened_at: Timestamp,
        /// Until when.
        ends_at: Timestamp,
    },
    /// Not selling for a while; its clock stands still.
    Paused {
        /// When it first opened.
        opened_at: Timestamp,
        /// When the pause began.
        since: Timestamp,
        /// Selling time left.
        left: Span,
        /// Why.
        why: PauseReason,
    },
    /// Over; what is open is being settled.
    Closing {
        /// How it ended.
        end: End,
    },
    /// Over and clean.
    Closed {
        /// How it ended.
        end: End,
        /// When the last of it was settled.
        closed_at: Timestamp,
    },
}

/// How a sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub reason: EndReason,
    /// When selling ended.
    pub at: Timestamp,
    /// When it had opened, if it ever did.
    pub opened_at: Option<Timestamp>,
    /// Whether it was kept from viewers until then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// Units that were for sale then: what is said of it later counts by these, whatever is put
    /// right behind the scenes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<u32>,
}

/// Why a sale ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Every unit was paid.
    SoldOut,
    /// The clock.
    TimeUp,
    /// A moderator.
    Stopped,
    /// It could not be made ready.
    Failed,
}

/// Why a sale is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// A moderator asked.
    Asked,
    /// Somebody marked the item sold out at the provider.
    ProviderSoldOut,
}

/// What stands at the provider.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum ListingState {
    /// Being made.
    Making,
    /// There.
    Made {
        /// The adapter's notes.
        listing: Listing,
    },
    /// Being removed.
    Retiring {
        /// The adapter's notes.
        listing: Listing,
    },
    /// Nothing is there.
    Gone,
    /// Something may be there; a person must look.
    Left {
        /// The adapter's notes, if it was ever made.
        listing: Option<Listing>,
    },
}

/// Units and holds by state; kept up to date hold by hold, compared with a full scan in tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Units of holds waiting for a page.
    pub opening: u32,
    /// Units of holds with a page.
    pub open: u32,
    /// Units of holds being closed.
    pub closing: u32,
    /// Units taken for ever.
    pub lapsed: u32,
    /// Units paid.
    pub paid: u32,
    /// Holds that are opening, open or closing.
    pub unsettled: u32,
    /// Pages kept warm or being discarded.
    pub warm: u32,
    /// People in line for what may come free.
    pub waiting: u32,
}

/// A provider's count, kept until our own payments up to its time are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingCount {
    /// Units the provider has.
    pub count: i64,
    /// As of when.
    pub at: Timestamp,
    /// When to compare.
    pub act_at: Timestamp,
}

impl Tally {
    /// Units held and not paid.
    pub fn held(&self) -> u32 {
        self.opening + self.open + self.closing + self.lapsed
    }

    /// Units held or paid.
    pub fn taken(&self) -> u32 {
        self.held() + self.paid
    }
}

impl Phase {
    /// The word in tables.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Arming { .. } => "arming",
            Self::Armed { .. } => "armed",
            Self::Open { .. } => "open",
            Self::Paused { .. } => "paused",
            Self::Closing { .. } => "closing",
            Self::Closed { .. } => "closed",
        }
    }

    /// Whether viewers are not to know of it: armed, and never opened.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Arming { stay, .. } => *stay,
            Self::Armed { .. } => true,
            Self::Closing { end } | Self::Closed { end, .. } => end.secret,
            Self::Open { .. } | Self::Paused { .. } => false,
        }
    }

    /// How it ended, if it did.
    pub fn end(&self) -> Option<End> {
        match self {
            Self::Closing { end } | Self::Closed { end, .. } => Some(*end),
            Self::Arming { .. } | Self::Armed { .. } | Self::Open { .. } | Self::Paused { .. } => {
                None
            }
        }
    }
}

impl EndReason {
    /// The word in tables and the public view.
    pub fn word(self) -> &'static str {
        match self {
            Self::SoldOut => "sold_out",
            Self::TimeUp => "time_up",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
        }
    }
}

impl Head {
    /// Units for sale, as everybody reads it: once it is over, those that were for sale at its end.
    pub fn shown_stock(&self) -> u32 {
        self.phase.end().and_then(|end| end.stock).unwrap_or(self.stock)
    }

    /// Units nobody holds.
    pub fn free(&self) -> u32 {
        self.stock.saturating_sub(self.tally.taken())
    }

    /// How many of an up-sell nobody holds; none if it follows the units.
    pub fn free_of(&self, upsell: &str) -> Option<u32> {
        let stock = self.template.offers.upsell(upsell)?.stock?;
        Some(stock.saturating_sub(self.added.get(upsell).copied().unwrap_or(0)))
    }

    /// Whether a hold that takes nothing so far could take what it asks for.
    pub(super) fn has_room_for(&self, hold: &Hold) -> bool {
        self.free() >= hold.units
            && hold.extras.upsells.iter().all(|name| self.free_of(name) != Some(0))
    }

    /// The moment no page may outlive, whatever its own deadline says.
    pub fn end_limit(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open { ends_at, .. } => Some(*ends_at + self.template.grace),
            Phase::Closing { end } | Phase::Closed { end, .. } => match end.reason {
                EndReason::TimeUp => Some(end.at + self.template.grace),
                EndReason::SoldOut | EndReason::Stopped | EndReason::Failed => Some(end.at),
            },
            Phase::Arming { .. } | Phase::Armed { .. } | Phase::Paused { .. } => None,
        }
    }

    /// When a pause is over for good.
    pub(super) fn pause_limit(&self, since: Timestamp) -> Timestamp {
        since + self.template.bounds.max_duration.minus(self.paused_for)
    }

    /// Whether a delivery choice is sold out.
    pub(super) fn is_choice_closed(&self, delivery: &str) -> bool {
        self.closed_choices.iter().any(|closed| closed == delivery)
    }

    /// Whether it is over and clean.
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// When it opened, if it ever did.
    pub fn opened_at(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Open { opened_at, .. } | Phase::Paused { opened_at, .. } => Some(*opened_at),
            Phase::Closing { end } | Phase::Closed { end, .. } => end.opened_at,
            Phase::Arming { .. } | Phase::Armed { .. } => None,
        }
    }

    /// The adapter's notes on what stands at the provider, as far as known.
    pub fn listing(&self) -> Option<&Listing> {
        match &self.listing {
            ListingState::Made { listing } | ListingState::Retiring { listing } => Some(listing),
            ListingState::Left { listing } => listing.as_ref(),
            ListingState::Making | ListingState::Gone => None,
        }
    }
}
