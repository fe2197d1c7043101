//! A buyer's own page: place in line or time left, and at the end what happened to their money,
//! in one sentence.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, Query, State},
    http::StatusCode,
    response::Response,
};

use super::{
    Web,
    holds::busy,
    live::missing,
    page::{HoldPage, render},
};
use crate::{
    clock::Timestamp,
    engine::TellError,
    sale::{
        Sale,
        hold::{Hold, HoldState, Lapse},
        payment::{Fate, Payment},
        template::RefundKind,
    },
    view::View,
};

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Path(token): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(id) = web.keys.hold(&token) else { return missing(&web) };
    let link = web.engine.link().to_owned();
    let look = move |sale: &Sale| {
        let hold = sale.hold(id)?.clone();
        let payments: Vec<Payment> =
            sale.payments().filter(|p| p.hold == Some(id)).cloned().collect();
        Some((View::of(sale, &link), Facts::of(sale, hold, payments)))
    };
    let (view, facts) = match web.engine.look(id.sale, look).await {
        Ok(Some(found)) => found,
        Ok(None) | Err(TellError::Unknown) => return missing(&web),
        Err(error) => {
            tracing::error!(%error, sale = %id.sale, "a hold could not be looked at");
            return busy(&web);
        }
    };
    let now = web.engine.now();
    let back = query.contains_key("back");
    let told = tell(&facts, now, back);
    let page = HoldPage {
        shop: &web.shop_name,
        sandbox: facts.sandbox,
        token: &token,
        now: now.millis(),
        heading: told.heading,
        tone: told.tone,
        units: facts.hold.units,
        amount: facts.hold.amount.to_string(),
        delivery: facts.delivery.clone(),
        until: told.until.map(Timestamp::millis),
        time_left: told.until.map(|at| at.since(now).words()).unwrap_or_default(),
        says: told.says,
        pay: told.pay,
        offer: told.offer,
        let_go_word: match facts.hold.state {
            HoldState::Waiting { .. } => "Leave the line",
            HoldState::Offered { .. } => "No, thank you",
            _ => "Let it go",
        },
        pay_word: if back { "I have not paid yet" } else { "Pay now" },
        can_let_go: facts.hold.is_live(),
        keep: !facts.hold.is_settled(),
        refresh: told.refresh,
        view: &view,
    };
    render(StatusCode::OK, &page)
}

/// What a buyer's page is made from.
struct Facts {
    hold: Hold,
    payments: Vec<Payment>,
    place: Option<usize>,
    deadline: Option<Timestamp>,
    delivery: Option<String>,
    sandbox: bool,
    /// Refunds are asked of people, who may say no.
    asked: bool,
}

impl Facts {
    fn of(sale: &Sale, hold: Hold, payments: Vec<Payment>) -> Self {
        let template = &sale.head.template;
        Self {
            place: sale.place(hold.id).or_else(|| sale.place_in_line(hold.id)),
            deadline: sale.deadline_of(&hold),
            delivery: hold
                .delivery
                .as_deref()
                .and_then(|name| template.delivery(name))
                .map(|delivery| delivery.label.clone()),
            sandbox: !sale.head.capabilities.real_money,
            asked: sale.head.capabilities.refund == RefundKind::Requested,
            hold,
            payments,
        }
    }
}

/// What a buyer is told.
struct Told {
    heading: &'static str,
    tone: &'static str,
    says: String,
    until: Option<Timestamp>,
    pay: Option<String>,
    offer: bool,
    refresh: Option<u32>,
}

fn tell(facts: &Facts, now: Timestamp, back: bool) -> Told {
    let plain = |heading, tone, says: &str, refresh| Told {
        heading,
        tone,
        says: says.to_owned(),
        until: None,
        pay: None,
        offer: false,
        refresh,
    };
    match &facts.hold.state {
        HoldState::Waiting { .. } => {
            let says = match facts.place {
                Some(0) | None => "You are next. Leave this page open.".to_owned(),
                Some(1) => "One person is before you. Leave this page open.".to_owned(),
                Some(n) => format!("{n} people are before you. Leave this page open."),
            };
            Told { says, ..plain("In line", "all_held", "", Some(3)) }
        }
        HoldState::Offered { until } => Told {
            until: Some(*until),
            offer: true,
            ..plain("One is free", "open", "It is kept for you. Do you still want it?", Some(3))
        },
        HoldState::Opening { .. } => {
            let says = match facts.place {
                Some(0) | None => "Your payment page is being made.".to_owned(),
                Some(1) => "One buyer is before you. Your unit is kept meanwhile.".to_owned(),
                Some(n) => format!("{n} buyers are before you. Your unit is kept meanwhile."),
            };
            Told { says, ..plain("In line", "all_held", "", Some(2)) }
        }
        HoldState::Open { .. } => {
            let pay = facts.hold.page().map(|page| page.url.clone());
            let (heading, says) = if back {
                ("Waiting for the payment", "If you just paid, this page says so within seconds.")
            } else {
                ("Yours to pay", "Your unit is kept.")
            };
            let until = facts.deadline.filter(|at| *at > now);
            Told { until, pay, ..plain(heading, "open", says, Some(3)) }
        }
        HoldState::Closing { .. } => plain(
            "Closing",
            "all_held",
            "Your payment page is being closed. A payment made in time still counts.",
            Some(3),
        ),
        HoldState::Paid { .. } => paid(facts),
        HoldState::Released { why, .. } => released(facts, *why),
        HoldState::Lapsed { why: Lapse::WrongAmount, .. } => plain(
            "We are looking into it",
            "all_held",
            "Another amount than asked was paid. The shop looks at it; your unit is kept.",
            None,
        ),
        HoldState::Lapsed { .. } => plain(
            "Time is up",
            "ended",
            "Your time to pay is over. Should you have paid all the same, it counts.",
            None,
        ),
        HoldState::Warm | HoldState::Discarding => {
            plain("Not yours", "ended", "Nobody claimed this.", None)
        }
    }
}

fn paid(facts: &Facts) -> Told {
    let told = |says: String| Told {
        heading: "Paid",
        tone: "open",
        says,
        until: None,
        pay: None,
        offer: false,
        refresh: None,
    };
    let kept = facts.payments.iter().find(|payment| payment.fate == Fate::Kept);
    let back = facts.payments.iter().find(|p| matches!(p.fate, Fate::Refund { .. }));
    match (kept, back) {
        (Some(kept), Some(back)) if facts.asked && !back.fate.is_final() => told(format!(
            "{} is paid and yours. The shop asked for your second payment of {} to be refunded.",
            kept.fact.amount, back.fact.amount
        )),
        (Some(kept), Some(back)) => told(format!(
            "{} is paid and yours. Your second payment of {} goes back to you.",
            kept.fact.amount, back.fact.amount
        )),
        (Some(kept), None) => {
            told(format!("{} is paid, and it is yours. Thank you!", kept.fact.amount))
        }
        (None, Some(back)) => told(format!("{} went back to you.", back.fact.amount)),
        (None, None) => told("It is paid, and it is yours. Thank you!".to_owned()),
    }
}

fn released(facts: &Facts, why: Lapse) -> Told {
    let refund = facts.payments.iter().find(|p| matches!(p.fate, Fate::Refund { .. }));
    let says = match (refund, why) {
        (Some(payment), _) if payment.fate.is_final() => format!(
            "Your payment of {} came when nothing was left. It went back to you.",
            payment.fact.amount
        ),
        (Some(payment), _) if facts.asked => format!(
            "Your payment of {} came when nothing was left. The shop asked for its refund.",
            payment.fact.amount
        ),
        (Some(payment), _) => format!(
            "Your payment of {} came when nothing was left. It is on its way back to you.",
            payment.fact.amount
        ),
        (None, Lapse::LeftLine) => "You left the line. You were not charged.".to_owned(),
        (None, Lapse::NotTaken) => {
            "The one that came free was not taken in time, and went to the next in line. You were \
             not charged."
                .to_owned()
        }
        (None, Lapse::LetGo) => "You let it go. You were not charged.".to_owned(),
        (None, Lapse::NoPage) => "The payment provider made no page that could be paid. You were \
                                  not charged; please try again."
            .to_owned(),
        (None, Lapse::SaleEnded) => "The sale ended. You were not charged.".to_owned(),
        (None, Lapse::TimeUp | Lapse::WrongAmount | Lapse::Unwanted) => {
            "Your time to pay is over. You were not charged.".to_owned()
        }
    };
    Told {
        heading: "Over",
        tone: "ended",
        says,
        until: None,
        pay: None,
        offer: false,
        refresh: None,
    }
}
