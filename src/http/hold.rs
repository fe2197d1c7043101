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
    page::{HoldPage, MessagePage, render},
    told::{Facts, tell},
};
use crate::{
    clock::Timestamp,
    engine::TellError,
    sale::{Sale, hold::HoldState, payment::Payment},
    view::View,
};

/// The sale is over so long that nobody keeps who had what.
fn archived(web: &Web, since: &str) -> Response {
    let says = format!(
        "It ended long ago, and its details are archived since {since}. Your payment is still in the \
         shop's books: if you have a question, please ask the shop."
    );
    let heading = "This sale is archived";
    let page = MessagePage { shop: &web.shop_name, sandbox: false, heading, says: &says };
    render(StatusCode::GONE, &page)
}

pub(super) async fn show(
    State(web): State<Arc<Web>>,
    Path(token): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(id) = web.keys.hold(&token) else { return missing(&web) };
    let link = web.engine.link().to_owned();
    let look = move |sale: &Sale| {
        if let Some(archived) = &sale.head.archived {
            return Some(Err(archived.day()));
        }
        let hold = sale.hold(id)?.clone();
        let payments: Vec<Payment> =
            sale.payments().filter(|p| p.hold == Some(id)).cloned().collect();
        Some(Ok((View::of(sale, &link), Facts::of(sale, hold, payments))))
    };
    let (view, facts) = match web.engine.look(id.sale, look).await {
        Ok(Some(Ok(found))) => found,
        Ok(Some(Err(since))) => return archived(&web, &since),
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
        choices: facts.choices.join(" · "),
        until: told.until.map(Timestamp::millis),
        time_left: told.until.map(|at| at.since(now).words()).unwrap_or_default(),
        says: told.says,
        pay: told.pay,
        offer: told.offer,
        let_go_word: match facts.hold.state {
            HoldState::Waiting { .. } => "Leave the line",
            HoldState::Offered { .. } => "No, thank you",
            _ => "Cancel",
        },
        pay_word: if back { "I have not paid yet" } else { "Pay now" },
        can_let_go: facts.hold.is_live(),
        keep: told.keep,
        refresh: told.refresh,
        view: &view,
    };
    render(StatusCode::OK, &page)
}
