//! The static link and the sales behind it. GET changes nothing.

use std::sync::{Arc, LazyLock};

use aho_corasick::AhoCorasick;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};

use super::{
    Web,
    answers::Sent,
    api,
    page::{
        Card, ListPage, MessagePage, Mine, Rendered, SalePage, answer, claim_form, html, render,
        state_words, summary, with_photos,
    },
    visitor::Visitor,
};
use crate::{
    clock::Timestamp,
    engine::TellError,
    id::{Buyer, HoldId},
    notice::text,
    sale::{Sale, hold::HoldState},
    view::{State as SaleState, View},
};

/// Words in the names of programs that fetch a posted link to preview or index it.
const PREVIEW_AGENTS: &[&str] = &[
    "bot",
    "crawl",
    "spider",
    "preview",
    "facebookexternalhit",
    "whatsapp",
    "slack",
    "embed",
    "curl-preview",
    "unfurl",
    "scanner",
    "monitor",
    "archive",
];

/// Finds them all in one pass: every redirect pays for it.
static PREVIEW_AGENT: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let builder = AhoCorasick::builder().ascii_case_insensitive(true).build(PREVIEW_AGENTS);
    builder.expect("a handful of words")
});

/// How long a page for one browser may be kept, and by whom.
const OWN_PAGE: HeaderValue = HeaderValue::from_static("private, no-cache");

pub(super) async fn home() -> Redirect {
    Redirect::to("/live")
}

/// What is on: the running sale, a list of several, or nothing and the last result.
pub(super) async fn live(
    State(web): State<Arc<Web>>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let on = web.engine.on_by_now().await;
    match on.as_slice() {
        [one] => {
            // A visit makes a session at the provider: people only.
            let person = method == Method::GET && !is_preview(&headers);
            // Out of touch, nobody knows whether the shop stopped it meanwhile.
            let person = person && web.engine.may_act();
            match &one.shared_page {
                Some(page) if person => found(page),
                _ => sale_page(&web, one, Visitor::of(&web, &headers), Shows::default()).await,
            }
        }
        [] => {
            let page = nothing_on(&web, &web.engine.shown());
            Visitor::of(&web, &headers).remembers(page)
        }
        several => {
            let page = list(&web, "On right now", "Several sales are on.", several);
            Visitor::of(&web, &headers).remembers(page)
        }
    }
}

fn found(to: &str) -> Response {
    let headers = [(header::LOCATION, to.to_owned()), (header::CACHE_CONTROL, "no-store".into())];
    (StatusCode::FOUND, headers).into_response()
}

/// Headers by which a browser says that it only looks ahead.
static AHEAD: [HeaderName; 4] = [
    HeaderName::from_static("purpose"),
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];

fn is_preview(headers: &HeaderMap) -> bool {
    let text =
        |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
    PREVIEW_AGENT.is_match(text(&header::USER_AGENT))
        || AHEAD.iter().any(|name| text(name).contains("prefetch"))
}

fn nothing_on(web: &Web, views: &[Arc<View>]) -> Response {
    let last = views.iter().find(|view| view.is_public());
    let says = match last {
        Some(view) => {
            let result = summary(view, web.engine.now());
            format!("Nothing is on right now. Last: {} · {result}", text::plain(&view.title))
        }
        None => "Nothing is on right now.".to_owned(),
    };
    let last: Vec<_> = last.into_iter().cloned().collect();
    list(web, "Nothing on right now", &says, &last)
}

fn list(web: &Web, heading: &'static str, says: &str, views: &[Arc<View>]) -> Response {
    let now = web.engine.now();
    let all_pretend = views.iter().all(|view| view.sandbox);
    let cards = views
        .iter()
        .map(|view| Card {
            id: view.id,
            title: text::plain(&view.title),
            state: view.state.word(),
            says: match (view.sandbox, all_pretend) {
                (true, false) => format!("{} · sandbox, no real money", summary(view, now)),
                _ => summary(view, now),
            },
            image: view.image.clone(),
        })
        .collect();
    // With nothing to show, it is marked like what will be sold.
    let sandbox = if views.is_empty() { web.only_pretends() } else { all_pretend };
    let page = ListPage { shop: &web.shop_name, sandbox, heading, summary: says.to_owned(), cards };
    let photos = views.iter().filter_map(|view| view.image.as_deref());
    with_photos(render(StatusCode::OK, &page), photos)
}

pub(super) async fn sale(
    State(web): State<Arc<Web>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    match api::find_public(&web, &id).await {
        Some(view) => sale_page(&web, &view, Visitor::of(&web, &headers), Shows::default()).await,
        None => missing(&web),
    }
}

/// What a sale's page has to show besides the sale.
pub(super) struct Shows<'a> {
    /// A sentence.
    pub(super) says: Option<String>,
    pub(super) status: StatusCode,
    /// A form to be put right.
    pub(super) sent: Sent<'a>,
}

impl Default for Shows<'_> {
    fn default() -> Self {
        Self { says: None, status: StatusCode::OK, sent: Sent::default() }
    }
}

/// Whether a sale's page has a form that takes some trouble to fill in.
fn asks(view: &View) -> bool {
    let offers = &view.offers;
    let has_form = matches!(view.state, SaleState::Open | SaleState::AllHeld);
    let asks = !view.ask.is_empty()
        || !offers.options.is_empty()
        || !offers.upsells.is_empty()
        || offers.condition.is_some()
        || offers.special_lists().next().is_some();
    has_form && asks
}

/// A sale's page, with what this browser has in it and perhaps something to say.
pub(super) async fn sale_page(
    web: &Web,
    view: &Arc<View>,
    visitor: Visitor,
    shows: Shows<'_>,
) -> Response {
    let Shows { says, status, sent } = shows;
    let now = web.engine.now();
    let photo = view.image.as_deref();
    // What was typed is for nobody else's eyes, and for no memory.
    let typed = sent.wrong.is_some() || (!sent.fields.is_empty() && asks(view));
    // Strangers all see the same, but for the key of the form.
    if !visitor.is_known && !typed {
        let make = || draw(web, view, (None, None), (says.as_deref(), Sent::default()), now);
        let page = web.memory.pages.get(view, says.as_deref(), now, make);
        let html = page.map(|page| page.with_key(|| visitor.form_key(web)));
        return visitor.remembers(own_page(with_photos(answer(status, html), photo)));
    }
    let buyer = visitor.buyer.clone();
    let mine = web.engine.look(view.id, move |sale| mine(sale, &buyer)).await;
    // Without the books, nobody knows whether it still sells.
    let unknown = matches!(mine, Err(TellError::Store(_)));
    let view = &if unknown { view.clone().out_of_touch() } else { view.clone() };
    let key = Some(visitor.form_key(web));
    let html = draw(web, view, (mine.unwrap_or_default(), key), (says.as_deref(), sent), now);
    let page = with_photos(answer(status, html), photo);
    visitor.remembers(if typed { page } else { own_page(page) })
}

/// A page for one browser. That keeps it for *back*, with the key of its form, so that pressing
/// there again is no second claim; nobody on the way keeps it.
fn own_page(mut answer: Response) -> Response {
    answer.headers_mut().insert(header::CACHE_CONTROL, OWN_PAGE);
    answer
}

type Hint = (HoldId, String, &'static str);

fn draw(
    web: &Web,
    view: &View,
    (mine, key): (Option<Hint>, Option<String>),
    (says, sent): (Option<&str>, Sent<'_>),
    now: Timestamp,
) -> Rendered {
    let open = matches!(view.state, SaleState::Open | SaleState::AllHeld);
    let left = text::time_left(view, now);
    let mut form = if mine.is_none() { claim_form(view, sent) } else { None };
    let beside = form.as_mut().is_some_and(|form| form.says_at(sent.wrong, says));
    let page = SalePage {
        shop: &web.shop_name,
        sandbox: view.sandbox,
        price: view.price.to_string(),
        state: state_words(view),
        summary: summary(view, now),
        url: format!("{}/sales/{}", web.base_url, view.id),
        now: now.millis(),
        until: view.ends_at.filter(|_| open).map(Timestamp::millis),
        time_left: left.map(|left| left.words()).unwrap_or_default(),
        over: view.state.is_over(),
        show_stock: !view.state.is_over(),
        form,
        mine: mine.map(|(hold, says, word)| Mine {
            says,
            href: format!("/holds/{}", web.keys.token(hold)),
            word,
        }),
        says: says.filter(|_| !beside),
        key,
        view,
    };
    html(&page)
}

/// What a browser has in the sale that it should not forget over a new claim.
fn mine(sale: &Sale, buyer: &Buyer) -> Option<Hint> {
    if let Some(hold) = sale.live_hold_of(buyer) {
        let says = match hold.state {
            HoldState::Open { .. } => "One is reserved for you. It is not paid yet.",
            HoldState::Waiting { .. } => "You wait in line.",
            HoldState::Offered { .. } => "One is free and reserved for you.",
            _ => "You are in line for one.",
        };
        return Some((hold.id, says.to_owned(), "Continue"));
    }
    let paid: Vec<_> =
        sale.holds_of(buyer).filter(|h| matches!(h.state, HoldState::Paid { .. })).collect();
    let units: u32 = paid.iter().map(|hold| hold.units).sum();
    let last = paid.last()?;
    let full = units >= sale.head.template.per_buyer;
    full.then(|| (last.id, format!("You have {units}. Thank you!"), "See it"))
}

pub(super) async fn not_found(State(web): State<Arc<Web>>) -> Response {
    missing(&web)
}

/// There is no such page.
pub(super) fn missing(web: &Web) -> Response {
    let page = MessagePage {
        shop: &web.shop_name,
        sandbox: false,
        heading: "Not found",
        says: "There is no such page.",
    };
    render(StatusCode::NOT_FOUND, &page)
}
