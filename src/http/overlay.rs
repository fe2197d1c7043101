//! A page for OBS: the running sale over the picture, transparent around it.
//!
//! `layout=line` is one line (the default), `layout=card` a card with photo and QR code; `qr=1`
//! puts the code beside the line too, `counts=1` says at the end how many were sold. Nothing is
//! shown while nothing runs.

use std::{collections::BTreeMap, sync::Arc};

use askama::Template;
use axum::{
    extract::{Query, State},
    http::{HeaderValue, StatusCode, header},
    response::Response,
};

use super::{
    Web,
    page::{render, with_photos},
};
use crate::{
    notice::text,
    view::{State as SaleState, View},
};

/// A page without scrollbars, buttons or background.
#[derive(Template)]
#[template(path = "overlay.html", config = "src/pages/askama.toml")]
struct OverlayPage {
    card: bool,
    qr: bool,
    link: String,
    now: i64,
    sale: Option<Shown>,
}

/// What the overlay shows of a sale.
struct Shown {
    id: String,
    title: String,
    price: String,
    image: Option<String>,
    state: &'static str,
    says: String,
    left: u32,
    stock: u32,
    until: Option<i64>,
    over: bool,
    sandbox: bool,
}

pub(super) async fn overlay(
    State(web): State<Arc<Web>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let views = web.engine.shown();
    let runs = |view: &&Arc<View>| view.is_public() && !view.state.is_over();
    // While nothing runs, the newest that is over: the page says how it ended, then hides itself.
    let newest = views.iter().find(runs).or_else(|| views.iter().find(|v| v.is_public()));
    let card = query.get("layout").is_some_and(|layout| layout == "card");
    let counts = query.get("counts").is_some_and(|counts| counts == "1");
    let page = OverlayPage {
        card,
        qr: card || query.get("qr").is_some_and(|qr| qr == "1"),
        link: short(web.engine.link()),
        now: web.engine.now().millis(),
        sale: newest.map(|view| shown(view, counts)),
    };
    let photo = newest.and_then(|view| view.image.as_deref());
    let mut answer = with_photos(render(StatusCode::OK, &page), photo);
    // Streaming programs look again by themselves, and never at an old page.
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn shown(view: &View, counts: bool) -> Shown {
    let selling = matches!(view.state, SaleState::Open | SaleState::AllHeld);
    Shown {
        id: view.id.to_string(),
        title: text::plain(&view.title),
        price: view.price.to_string(),
        image: view.image.clone(),
        state: view.state.word(),
        says: says(view, counts),
        left: view.left,
        stock: view.stock,
        until: view.ends_at.filter(|_| selling).map(crate::clock::Timestamp::millis),
        over: view.state.is_over(),
        sandbox: view.sandbox,
    }
}

/// The state in the words of the chat lines.
fn says(view: &View, counts: bool) -> String {
    match view.state {
        SaleState::Open => String::new(),
        SaleState::AllHeld => "ALL HELD".to_owned(),
        SaleState::Paused => "PAUSED".to_owned(),
        SaleState::SoldOut => "SOLD OUT".to_owned(),
        SaleState::Ended | SaleState::Cancelled if counts => {
            format!("ENDED · {} of {} sold", view.paid, view.stock)
        }
        SaleState::Ended | SaleState::Cancelled => "ENDED".to_owned(),
        SaleState::Arming | SaleState::Armed | SaleState::Failed => String::new(),
    }
}

/// A link as people type it.
fn short(link: &str) -> String {
    link.trim_start_matches("https://").trim_start_matches("http://").to_owned()
}
