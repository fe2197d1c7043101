//! What became of one hold or payment, step by step. For moderators' eyes only.

use std::sync::Arc;

use super::{Chat, No};
use crate::{
    clock::Timestamp,
    notice::text::plain,
    platform::Reply,
    sale::{
        Sale,
        archive::Archived,
        hold::{Hold, HoldState, Lapse},
        payment::{Fate, Payment, RefundReason, RefundStatus},
    },
};

impl Chat {
    pub(super) async fn why(&self, number: Option<u32>, what: &str) -> Result<Reply, No> {
        let views = match number {
            Some(_) => vec![self.recent(number).await?],
            None => self.engine.views().all(),
        };
        // A bare number names a hold of the newest sale; anything else may be of any sale.
        let by_number = what.parse::<u32>().is_ok();
        for view in views.into_iter().take(if by_number { 1 } else { usize::MAX }) {
            let sought = what.to_owned();
            let look = move |sale: &Sale| (explain(sale, &sought), sale.head.archived.clone());
            match self.engine.look(view.id, look).await? {
                (Some(lines), _) => return Ok(Reply::private(lines)),
                (None, Some(archived)) if number.is_some() => {
                    return Err(No::Say(format!(
                        "The details of #{n} are archived since {day}. Totals and payments: !sale \
                         report #{n}",
                        n = view.number,
                        day = archived.day()
                    )));
                }
                (None, _) => {}
            }
        }
        Err(No::Say(format!(
            "Found nothing called {}. Take a number from !sale links, or an order or payment \
             from !sale report",
            plain(&what.chars().take(40).collect::<String>())
        )))
    }
}

/// The story of the hold or payment called `what`.
fn explain(sale: &Sale, what: &str) -> Option<Vec<String>> {
    let named = |hold: &&Hold| {
        what.parse() == Ok(hold.id.n)
            || hold
                .checkouts
                .iter()
                .any(|page| page.id.as_str() == what || page.order.as_deref() == Some(what))
    };
    let about = |payment: &&Payment| {
        payment.fact.id.as_str() == what || payment.fact.order.as_deref() == Some(what)
    };
    let payment = sale.payments().find(about);
    let hold = match payment {
        Some(payment) => payment.hold.and_then(|id| sale.hold(id)),
        None => sale.holds().find(named),
    };
    let mut lines = vec![format!("#{} {}", sale.head.number, plain(&sale.head.template.title))];
    match (hold, payment) {
        (Some(hold), _) => {
            tell_hold(hold, &mut lines);
            let joined = sale.payments().filter(|payment| payment.hold == Some(hold.id));
            lines.extend(joined.map(tell_payment));
        }
        (None, Some(payment)) => {
            lines.push(tell_payment(payment));
            let archived = sale.head.archived.as_ref();
            let since = |archived: &Arc<Archived>| {
                format!("  the sale's details are archived since {}", archived.day())
            };
            lines.extend(archived.map(since));
        }
        (None, None) => return None,
    }
    Some(lines)
}

fn tell_hold(hold: &Hold, lines: &mut Vec<String>) {
    let who = hold.buyer_name.as_deref().map(plain).unwrap_or_else(|| "a browser".to_owned());
    let claimed = match hold.buyer {
        Some(_) => format!("claimed by {who} at {}", time(hold.claimed_at)),
        None => "prepared in advance, not used".to_owned(),
    };
    lines.push(format!("  hold {} · {} × · {} · {claimed}", hold.id.n, hold.units, hold.amount));
    if !hold.extras.is_empty() {
        lines.push(format!("  with {}", hold.extras.words()));
    }
    for page in &hold.checkouts {
        let proven = if page.proven { "proven payable" } else { "not proven" };
        let closed = if page.closed { "closed" } else { "not closed" };
        let made = time(page.made_at);
        lines.push(format!("  page {} · made at {made} · {proven} · {closed}", page.id));
    }
    lines.push(match &hold.state {
        HoldState::Warm => "  prepared, waits for a buyer".to_owned(),
        HoldState::Waiting { since } => format!("  in line since {}", time(*since)),
        HoldState::Offered { until } => format!("  offered until {}", time(*until)),
        HoldState::Opening { until } => {
            format!("  waits for its page, until {}", time(*until))
        }
        HoldState::Open { deadline, .. } => {
            format!("  can be paid; its time runs out at {}", time(*deadline))
        }
        HoldState::Closing { why, since } => format!(
            "  closing its page since {} ({}). Its units return once the provider confirms",
            time(*since),
            lapse(*why)
        ),
        HoldState::Paid { payment, at } => format!("  paid with {payment} at {}", time(*at)),
        HoldState::Released { why, at } => {
            format!("  its units came back at {}: {}", time(*at), lapse(*why))
        }
        HoldState::Lapsed { why, at } => format!(
            "  over since {}: {}. Its page cannot be closed, so the units stay taken",
            time(*at),
            lapse(*why)
        ),
        HoldState::Discarding => "  no longer wanted; its page is being closed".to_owned(),
    });
}

fn tell_payment(payment: &Payment) -> String {
    let fact = &payment.fact;
    let fate = match &payment.fate {
        Fate::Pending => "not money yet".to_owned(),
        Fate::Part => "a part of the price; the rest has not come".to_owned(),
        Fate::Kept => "kept".to_owned(),
        Fate::Refund { why, status, .. } => {
            let why = match why {
                RefundReason::Surplus => "paid when nothing was left",
                RefundReason::Double => "a second payment for one hold",
                RefundReason::Elsewhere => "refunded at the provider",
                RefundReason::Incomplete => "the rest of the price never came",
                RefundReason::Limit => "more than one person or one code may have",
            };
            let status = match status {
                RefundStatus::Requested => "being refunded",
                RefundStatus::Done => "refunded",
                RefundStatus::Failed => "the refund failed",
                RefundStatus::Unknown => "it is not known whether it was refunded",
            };
            format!("{status}: {why}")
        }
        Fate::Person { why } => format!("needs review: {}", plain(why)),
    };
    let late = if payment.late { " · came late" } else { "" };
    format!("  payment {} · {} at {}{late} · {fate}", fact.id, fact.amount, time(fact.at))
}

fn lapse(why: Lapse) -> &'static str {
    match why {
        Lapse::TimeUp => "the buyer's time ran out",
        Lapse::LetGo => "the buyer cancelled",
        Lapse::SaleEnded => "the sale ended",
        Lapse::LeftLine => "the buyer left the line",
        Lapse::NotTaken => "the buyer did not take the offer in time",
        Lapse::NoPage => "the provider made no page that can be paid",
        Lapse::WrongAmount => "it was paid with a wrong amount",
        Lapse::Unwanted => "it never had a buyer",
    }
}

/// Hours, minutes and seconds, UTC.
fn time(at: Timestamp) -> String {
    at.rfc3339().get(11..19).unwrap_or_default().to_owned()
}
