//! An old sale without its details: what stays of it, and when it may be made one.
//!
//! Claims, pages and the journal go; payments stay, since money is told of late: a refund, a dispute
//! or a webhook sent again is booked on them as ever. What was counted from the details is kept in
//! the head.

use serde::{Deserialize, Serialize};

use super::{
    Head, ListingState, Sale,
    draft::Draft,
    hold::{Checkout, Hold, HoldState},
    payment::{Fate, Payment, PaymentStatus},
};
use crate::clock::Timestamp;

/// That a sale is archived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Since when its details are gone.
    pub at: Timestamp,
    /// The revision that archived it: of the journal, only what came later is there.
    pub revision: u64,
    /// What was counted from the details.
    pub figures: Figures,
}

impl Archived {
    /// The day, UTC: `2026-04-01`.
    pub fn day(&self) -> String {
        self.at.rfc3339().get(..10).unwrap_or_default().to_owned()
    }
}

/// What is counted from a sale's claims and its journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Claims made.
    pub claimed: u32,
    /// Claims given back unpaid.
    pub lapsed: u32,
    /// How far buyers came.
    pub funnel: Funnel,
    /// From a claim to its payment page.
    pub delay: Percentiles,
    /// Events in the journal.
    pub commits: u32,
    /// Most units taken at any commit.
    pub taken_max: u32,
}

/// How far people came, each counted once however often they tried.
///
/// Only what is on disk is counted: somebody who was turned away at the door because everything
/// was held or sold left nothing there, unless they joined the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funnel {
    /// Asked for a unit or a place in line. Not known where one page is shared by all.
    pub clicked: Option<u32>,
    /// Had a unit kept for them and a payment page ordered. Not known on a shared page either.
    pub held: Option<u32>,
    /// Paid.
    pub paid: u32,
    /// Have something to show for it.
    pub kept: u32,
}

/// A distribution in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many.
    pub count: u64,
    /// Half are no slower.
    pub p50: u64,
    /// Nineteen of twenty are no slower.
    pub p95: u64,
    /// The slowest.
    pub max: u64,
}

/// The order to archive a sale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archiving {
    /// The revision that the figures are of.
    pub as_of: u64,
    /// What was counted.
    pub figures: Figures,
}

/// Why a sale keeps its details however old it is, as far as its head tells.
pub fn stays_whole_by_head(head: &Head) -> Option<&'static str> {
    let tally = &head.tally;
    if !head.is_closed() {
        return Some("it is not closed");
    }
    if head.listing != ListingState::Gone {
        return Some("something of it may be left at the provider");
    }
    if head.short > 0 {
        return Some("more was promised than was there");
    }
    if tally.unsettled > 0 || tally.warm > 0 || tally.waiting > 0 || head.parts > 0 {
        return Some("something of it is not settled");
    }
    None
}

/// Why a sale keeps its details however old it is; `None` if they may go.
pub fn stays_whole(sale: &Sale) -> Option<&'static str> {
    if let Some(why) = stays_whole_by_head(&sale.head) {
        return Some(why);
    }
    if sale.next_deadline().is_some() {
        return Some("something of it is still to come");
    }
    if sale.payments().any(|payment| !is_settled(payment)) {
        return Some("a payment is not settled, or is before a person");
    }
    if sale.holds().any(|hold| !hold.is_settled() || has_open_page(sale, hold)) {
        return Some("a payment page of it was never closed");
    }
    sale.audit().err()
}

/// Whether a payment is over for good: before a person it is not.
fn is_settled(payment: &Payment) -> bool {
    let person = matches!(payment.fate, Fate::Person { .. });
    payment.is_settled() && !person && payment.reversed.is_none()
}

/// Whether somebody might still pay on a page of a hold. The page that it was paid on is not among
/// those that are closed.
fn has_open_page(sale: &Sale, hold: &Hold) -> bool {
    let paid = |page: &Checkout| {
        let on_it = |payment: &Payment| {
            let fact = &payment.fact;
            let order = page.order.is_some() && page.order == fact.order;
            fact.status == PaymentStatus::Completed
                && payment.hold == Some(hold.id)
                && (order || fact.checkout.as_ref() == Some(&page.id))
        };
        sale.payments().any(on_it)
    };
    let only = matches!(hold.state, HoldState::Paid { .. }) && hold.checkouts.len() == 1;
    let open = hold.checkouts.iter().any(|page| !page.closed && !only && !paid(page));
    open || !hold.making.is_empty()
}

/// Archives a sale, unless something came up since its figures were counted, or it is archived.
pub(super) fn archived(draft: &mut Draft<'_>, order: &Archiving) {
    let sale = draft.base();
    let head = &sale.head;
    if head.archived.is_some() || head.revision != order.as_of || stays_whole(sale).is_some() {
        return;
    }
    for payment in sale.payments() {
        draft.put_payment(Payment { units: sale.units_of(payment), ..payment.clone() });
    }
    let revision = head.revision + 1;
    draft.head.archived = Some(Archived { at: draft.now, revision, figures: order.figures }.into());
}
