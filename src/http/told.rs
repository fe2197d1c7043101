//! What a buyer is told of their hold: one state, one sentence, and never a word about money that
//! is not so.

use crate::{
    clock::Timestamp,
    money::Money,
    sale::{
        Sale,
        hold::{Hold, HoldState, Lapse},
        offer::{Bill, Line},
        payment::{Fate, Payment, PaymentStatus, RefundReason, RefundStatus, Reversed},
        template::RefundKind,
    },
};

/// What a buyer's page is made from.
pub(super) struct Facts {
    pub(super) hold: Hold,
    payments: Vec<Payment>,
    place: Option<usize>,
    deadline: Option<Timestamp>,
    pub(super) delivery: Option<String>,
    pub(super) choices: Vec<String>,
    pub(super) sandbox: bool,
    /// Refunds are asked of people, who may say no.
    asked: bool,
}

impl Facts {
    pub(super) fn of(sale: &Sale, hold: Hold, payments: Vec<Payment>) -> Self {
        let template = &sale.head.template;
        Self {
            place: sale.place(hold.id).or_else(|| sale.place_in_line(hold.id)),
            deadline: sale.deadline_of(&hold),
            delivery: hold
                .delivery
                .as_deref()
                .and_then(|name| template.delivery(name))
                .map(|delivery| delivery.label.clone()),
            choices: choices(sale, &hold),
            sandbox: !sale.head.capabilities.real_money,
            asked: sale.head.capabilities.refund == RefundKind::Requested,
            hold,
            payments,
        }
    }
}

/// What was chosen beside units and delivery, and what it adds.
fn choices(sale: &Sale, hold: &Hold) -> Vec<String> {
    let bill = sale.head.template.bill(hold.units, hold.delivery.as_deref(), &hold.extras);
    let Some(Bill { price, unit, adds, upsells, .. }) = bill else { return Vec::new() };
    let special = (unit != price).then(|| format!("special price {unit}"));
    let line = |Line { label, amount }: Line| match amount.minor {
        0 => label,
        _ => format!("{label} + {amount}"),
    };
    special.into_iter().chain(adds.into_iter().chain(upsells).map(line)).collect()
}

/// What a buyer is told.
pub(super) struct Told {
    pub(super) heading: &'static str,
    pub(super) tone: &'static str,
    pub(super) says: String,
    pub(super) until: Option<Timestamp>,
    pub(super) pay: Option<String>,
    pub(super) offer: bool,
    /// Seconds until a browser without a script looks again.
    pub(super) refresh: Option<u32>,
    /// Whether there is more to come for which this page is needed.
    pub(super) keep: bool,
}

/// How a hold stands, for its buyer.
pub(super) fn tell(facts: &Facts, now: Timestamp, back: bool) -> Told {
    match &facts.hold.state {
        HoldState::Waiting { .. } => {
            let says = match facts.place {
                Some(0) | None => "You are next.".to_owned(),
                Some(1) => "One person is ahead of you.".to_owned(),
                Some(n) => format!("{n} people are ahead of you."),
            };
            let says = format!("{says} Keep this page open; it changes by itself.");
            under_way("In line", "all_held", says)
        }
        HoldState::Offered { until } => Told {
            until: Some(*until),
            offer: true,
            ..under_way("One is free", "open", "It's reserved for you. Still want it?".into())
        },
        HoldState::Opening { .. } => {
            let says = match facts.place {
                Some(0) | None => "Your payment page is on its way.".to_owned(),
                Some(1) => "One buyer is ahead of you. Your unit stays reserved.".to_owned(),
                Some(n) => format!("{n} buyers are ahead of you. Your unit stays reserved."),
            };
            under_way("In line", "all_held", says)
        }
        HoldState::Open { .. } => {
            let (heading, says) = if back {
                ("Waiting for the payment", "If you just paid, this page says so within seconds.")
            } else {
                ("Reserved for you", "Pay to make it yours.")
            };
            if let Some(part) = sum(facts.payments.iter().filter(|one| one.fate == Fate::Part)) {
                let says = format!("{part} has come; the rest of the price is still to be paid.");
                return Told {
                    until: facts.deadline.filter(|at| *at > now),
                    pay: facts.hold.page().map(|page| page.url.clone()),
                    ..under_way("Paid in part", "open", says)
                };
            }
            Told {
                until: facts.deadline.filter(|at| *at > now),
                pay: facts.hold.page().map(|page| page.url.clone()),
                ..under_way(heading, "open", says.to_owned())
            }
        }
        HoldState::Closing { .. } => under_way(
            "Closing",
            "all_held",
            "Your payment page is being closed. A payment made in time still counts.".to_owned(),
        ),
        HoldState::Paid { .. } => paid(facts),
        HoldState::Released { why, .. } => released(facts, *why),
        HoldState::Lapsed { why: Lapse::WrongAmount, .. } => Told {
            refresh: None,
            ..under_way(
                "We are looking into it",
                "all_held",
                "The amount paid doesn't match. The shop is checking; your unit is safe."
                    .to_owned(),
            )
        },
        HoldState::Lapsed { .. } => over(
            "Time is up",
            "ended",
            "Your time to pay is over. If you did pay, it still counts.".to_owned(),
        ),
        HoldState::Warm | HoldState::Discarding => {
            over("Not yours", "ended", "Nobody claimed this.".to_owned())
        }
    }
}

/// There is more to come.
fn under_way(heading: &'static str, tone: &'static str, says: String) -> Told {
    Told { refresh: Some(3), keep: true, ..over(heading, tone, says) }
}

/// Nothing more happens by itself.
fn over(heading: &'static str, tone: &'static str, says: String) -> Told {
    Told { heading, tone, says, until: None, pay: None, offer: false, refresh: None, keep: false }
}

fn paid(facts: &Facts) -> Told {
    let (kept, other): (Vec<_>, Vec<_>) = money(facts).partition(|one| one.fate == Fate::Kept);
    let paid = match sum(kept.iter().copied()) {
        Some(free) if free.minor == 0 => Some("It is free".to_owned()),
        Some(amount) => Some(format!("{amount} is paid")),
        None => None,
    };
    match (paid, other.first()) {
        (Some(paid), Some(other)) => {
            let Told { says, refresh, .. } = not_kept(facts, other, "was the second one");
            let says = format!("{paid}, and it is yours. {says}");
            Told { refresh, ..over("Paid", "open", says) }
        }
        (Some(paid), None) => over("Paid", "open", format!("{paid}, and it is yours. Thank you!")),
        (None, Some(other)) => not_kept(facts, other, ""),
        (None, None) => over("Paid", "open", "It is paid, and it is yours. Thank you!".to_owned()),
    }
}

/// What payments of one currency come to; `None` of none.
fn sum<'a>(mut payments: impl Iterator<Item = &'a Payment>) -> Option<Money> {
    let first = payments.next()?.fact.amount;
    Some(payments.fold(first, |sum, one| sum.plus(one.fact.amount).unwrap_or(sum)))
}

fn released(facts: &Facts, why: Lapse) -> Told {
    if let Some(payment) = money(facts).next() {
        return not_kept(facts, payment, "came when nothing was left");
    }
    let (what, then) = match why {
        Lapse::LeftLine => ("You left the line.", ""),
        Lapse::NotTaken => ("You did not take yours in time, so it went to the next in line.", ""),
        Lapse::LetGo => ("You cancelled.", ""),
        Lapse::NoPage => ("The payment page could not be made.", " Please try again."),
        Lapse::SaleEnded => ("The sale ended.", IF_PAID_LATE),
        Lapse::TimeUp | Lapse::WrongAmount | Lapse::Unwanted => {
            ("Your time to pay is over.", IF_PAID_LATE)
        }
    };
    over("Over", "ended", format!("{what} You were not charged.{then}"))
}

/// A payment may have been made as its page closed.
const IF_PAID_LATE: &str = " If you did pay at the last moment, it counts or goes back to you, and \
                            this page will say so.";

/// Payments that are money, or may become it, or were said to be.
fn money(facts: &Facts) -> impl Iterator<Item = &Payment> {
    let is_money =
        |one: &&Payment| one.fact.status != PaymentStatus::Failed || one.reversed.is_some();
    facts.payments.iter().filter(is_money)
}

/// What becomes of a payment that buys nothing (any more); `why` goes on after its amount.
fn not_kept(facts: &Facts, payment: &Payment, why: &str) -> Told {
    // Several payments for one order go the same way.
    let same = |one: &&Payment| one.fate.word() == payment.fate.word();
    let all: Vec<&Payment> = money(facts).filter(same).collect();
    let amount = sum(all.iter().copied()).unwrap_or(payment.fact.amount);
    let yours = match all.len() {
        2.. => format!("Your payments of {amount} together"),
        _ => format!("Your payment of {amount}"),
    };
    let why = match payment.fate {
        Fate::Refund { why: RefundReason::Incomplete, .. } | Fate::Part => {
            "did not cover the price"
        }
        Fate::Refund { why: RefundReason::Limit, .. } => {
            "was for more than one person may have in this sale"
        }
        _ => why,
    };
    let it = match why {
        "" => yours.clone(),
        why => format!("{yours} {why}. It"),
    };
    match payment.reversed {
        Some(Reversed::Refund) => {
            let says = format!(
                "{yours} was to go back to you, and the payment provider took the refund back. The \
                 shop was told, and a person settles it."
            );
            return under_way("The shop is looking into it", "all_held", says);
        }
        Some(Reversed::Payment | Reversed::KeptPayment) => {
            let says = format!(
                "{yours} went through, and now the payment provider says that it did not. The shop \
                 was told, and a person settles it."
            );
            return under_way("The shop is looking into it", "all_held", says);
        }
        None => {}
    }
    match &payment.fate {
        Fate::Refund { why: RefundReason::Elsewhere, status: RefundStatus::Done, .. } => {
            over("Refunded", "ended", format!("The shop gave {amount} back to you."))
        }
        Fate::Refund { status: RefundStatus::Done, .. } => {
            over("Refunded", "ended", format!("{it} went back to you."))
        }
        Fate::Refund { status: RefundStatus::Requested, .. } if facts.asked => {
            let says = format!("{it} is to be refunded: the shop asked for it.");
            under_way("Refund asked for", "all_held", says)
        }
        Fate::Refund { status: RefundStatus::Requested, .. } => {
            let says = format!("{it} is on its way back to you.");
            under_way("Refund on its way", "all_held", says)
        }
        Fate::Refund { status: RefundStatus::Failed | RefundStatus::Unknown, .. }
        | Fate::Person { .. } => {
            let says = format!("{it} is with the shop, where a person settles it.");
            under_way("The shop is looking into it", "all_held", says)
        }
        Fate::Part => {
            let says = format!("{it} goes back to you unless the rest comes within minutes.");
            under_way("Paid in part", "all_held", says)
        }
        Fate::Pending | Fate::Kept => {
            let says = format!("{it} is under way; this page follows it.");
            under_way("Payment under way", "all_held", says)
        }
    }
}
