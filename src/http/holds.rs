//! A buyer claims, is sent to pay, or lets go.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Path, State as Shared},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde_json::json;

use super::{
    Web,
    answers::{Fields, Sent, checked, field, wrong_field},
    api, extras,
    live::{Shows, missing, sale_page},
    page::{MessagePage, field_name, render},
    peer::address_mark,
    visitor::Visitor,
};
use crate::{
    clock::{Span, Timestamp},
    engine::{Origin, TellError, Told},
    gate::Guest,
    id::HoldId,
    meter,
    notice::text,
    sale::{
        Sale,
        event::{Claim, Event},
        refusal::Refusal,
    },
    view::{State, View},
};

/// A claim waits this long for its page before the buyer is sent to their own page to wait.
const WAIT_FOR_PAGE: Span = Span::from_secs(4);

/// Fields of a form that are read; no form of ours has as many.
const FIELDS_MAX: usize = 200;

/// The longest name of a delivery choice that is looked for, in characters: longer than any.
const DELIVERY_CHARS_MAX: usize = 100;

/// What a buyer wants.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Units, now.
    Units,
    /// A place in line for what comes free.
    Place,
}

pub(super) async fn claim(
    web: Shared<Arc<Web>>,
    peer: ConnectInfo<SocketAddr>,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    wants(Want::Units, web, peer, id, (headers, body)).await
}

pub(super) async fn join(
    web: Shared<Arc<Web>>,
    peer: ConnectInfo<SocketAddr>,
    id: Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    wants(Want::Place, web, peer, id, (headers, body)).await
}

async fn wants(
    want: Want,
    Shared(web): Shared<Arc<Web>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(id): Path<String>,
    (headers, body): (HeaderMap, Bytes),
) -> Response {
    if !body.is_empty() && !is_form(&headers) {
        return no_form();
    }
    let fields: Fields = form_urlencoded::parse(&body).into_owned().take(FIELDS_MAX).collect();
    let Some(view) = api::find_public(&web, &id).await else {
        return missing(&web);
    };
    let visitor = Visitor::sent(&web, &headers, field(&fields, "key"));
    // What cannot succeed is answered from the view, after a look for what this browser has.
    if let Some(refusal) = hopeless(want, &view, web.engine.now()) {
        return match held_already(&web, &view, &visitor).await {
            Some(hold) => visitor.remembers(to_hold(&web, hold)),
            None => refused(&web, &view, visitor, (&headers, &fields), &refusal).await,
        };
    }
    let address = address_mark(&web, peer, &headers);
    match admitted(&web, &view, &visitor, address, &fields).await {
        Ok(Admitted::Claim(claim)) => {
            let sent = (&headers, &fields);
            make(&web, &view, want, claim, visitor, sent).await
        }
        Ok(Admitted::Holds(hold)) => visitor.remembers(to_hold(&web, hold)),
        Err(refusal) => refused(&web, &view, visitor, (&headers, &fields), &refusal).await,
    }
}

/// Whether the body is a form. Some programs name no type, or one they make up for any text.
fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    let others = ["application/json", "multipart/form-data", "application/xml", "text/xml"];
    !others.iter().any(|other| kind.eq_ignore_ascii_case(other))
}

/// Otherwise nothing of it would be read, and something else be missed.
fn no_form() -> Response {
    let says = "Send the fields as a form: application/x-www-form-urlencoded";
    let body = Json(json!({ "error": "not_a_form", "message": says }));
    (StatusCode::UNSUPPORTED_MEDIA_TYPE, body).into_response()
}

/// Why it cannot succeed right now, as far as the view tells.
fn hopeless(want: Want, view: &View, now: Timestamp) -> Option<Refusal> {
    // All held is what a line is for.
    view.refuses(now).filter(|no| want == Want::Units || *no != Refusal::AllHeld)
}

async fn held_already(web: &Web, view: &View, visitor: &Visitor) -> Option<HoldId> {
    if !visitor.is_known {
        return None;
    }
    let (buyer, form) = (visitor.buyer.clone(), visitor.form);
    let look = move |sale: &Sale| sale.hold_instead(&buyer, form).map(|hold| hold.id);
    web.engine.look(view.id, look).await.ok()?
}

/// What comes of a form.
enum Admitted {
    /// A claim that may be told to the sale.
    Claim(Box<Claim>),
    /// This browser has something already: nothing is checked twice.
    Holds(HoldId),
}

/// The claim of a form, its codes checked where there are any.
async fn admitted(
    web: &Web,
    view: &View,
    visitor: &Visitor,
    address: Option<String>,
    fields: &Fields,
) -> Result<Admitted, Refusal> {
    let mut claim = claim_from(web, view, visitor, address, fields)?;
    let given = extras::given(|name| field(fields, name));
    if view.offers.condition.is_none() && given.special.is_none() {
        return Ok(Admitted::Claim(claim));
    }
    if let Some(hold) = held_already(web, view, visitor).await {
        return Ok(Admitted::Holds(hold));
    }
    let guest = Guest { buyer: claim.buyer.as_str(), address: claim.address.as_deref() };
    let (store, now) = (web.engine.store(), web.engine.now());
    web.gate.admit(store, view, (guest, given), now, &mut claim.extras).await?;
    Ok(Admitted::Claim(claim))
}

fn claim_from(
    web: &Web,
    view: &View,
    visitor: &Visitor,
    address: Option<String>,
    fields: &Fields,
) -> Result<Box<Claim>, Refusal> {
    let field = |name: &str| field(fields, name);
    let units = match field("units") {
        None => 1,
        Some(text) => text.parse().map_err(|_| Refusal::TooManyUnits { left: view.per_buyer })?,
    };
    let mut answers = BTreeMap::new();
    for ask in &view.ask {
        let answer = field(field_name(*ask)).ok_or(Refusal::MissingAnswer(*ask))?;
        answers.insert(*ask, checked(*ask, answer)?);
    }
    Ok(Box::new(Claim {
        buyer: visitor.buyer.clone(),
        buyer_name: None,
        address,
        units,
        delivery: delivery(view, field("delivery")),
        answers,
        extras: extras::chosen(view, field, fields.iter().map(|(name, _)| name.as_str())),
        form: visitor.form,
        limits: web.limits,
    }))
}

/// The delivery choice as it goes into the books: where there is nothing to choose, nothing.
fn delivery(view: &View, given: Option<&str>) -> Option<String> {
    let given = given.filter(|_| !view.delivery.is_empty())?;
    Some(given.chars().take(DELIVERY_CHARS_MAX).collect())
}

async fn make(
    web: &Web,
    view: &Arc<View>,
    want: Want,
    claim: Box<Claim>,
    visitor: Visitor,
    sent: (&HeaderMap, &Fields),
) -> Response {
    let event = match want {
        Want::Units => Event::Claimed(claim),
        Want::Place => Event::Joined(claim),
    };
    let clicked_at = web.engine.now();
    let answer = web.engine.tell(view.id, event, "web", Origin::Any).await;
    meter::claim(match &answer {
        Ok(_) => "taken",
        Err(TellError::Refused(refusal)) => refusal.code(),
        Err(_) => "failed",
    });
    let answer = lead_on(web, view, answer, visitor, sent).await;
    if answer.headers().get(header::LOCATION).is_some_and(|to| to.as_bytes().starts_with(b"http")) {
        meter::click_to_checkout(web.engine.now().since(clicked_at).to_std());
    }
    answer
}

/// To the payment page, to the buyer's own page, or to the reason why not.
async fn lead_on(
    web: &Web,
    view: &Arc<View>,
    answer: Result<Told, TellError>,
    visitor: Visitor,
    sent: (&HeaderMap, &Fields),
) -> Response {
    match answer {
        Ok(told) => match (told.hold, told.page) {
            (_, Some(url)) => visitor.remembers(see_other(&url)),
            (Some(hold), None) => visitor.remembers(to_page(web, hold).await),
            (None, None) => sale_page(web, view, visitor, Shows::default()).await,
        },
        Err(TellError::Refused(Refusal::AlreadyHolding(hold))) => {
            visitor.remembers(to_page(web, hold).await)
        }
        Err(TellError::Refused(refusal)) => {
            // The view may have changed meanwhile; the newest one is shown.
            let view = web.engine.views().get(view.id).unwrap_or_else(|| view.clone());
            let view = view.at(web.engine.now());
            refused(web, &view, visitor, sent, &refusal).await
        }
        Err(error) => {
            tracing::error!(%error, sale = %view.id, number = view.number, "a claim was not taken");
            // Pressing again is to be the same buyer.
            visitor.remembers(busy(web))
        }
    }
}

/// Right now it cannot be told or done; the same again does no harm.
pub(super) fn busy(web: &Web) -> Response {
    let page = MessagePage {
        shop: &web.shop_name,
        sandbox: false,
        heading: "One moment",
        says: "Too many people at once, or the shop cannot reach its books right now. Please try \
               again in a moment: you won't be charged twice.",
    };
    let mut answer = render(StatusCode::SERVICE_UNAVAILABLE, &page);
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
    answer
}

/// Sends the buyer to the provider's page, or to their own page if that takes too long.
async fn to_page(web: &Web, hold: HoldId) -> Response {
    // Too many wait already: the buyer's own page waits as well.
    let Some(_wait) = web.doors.places.wait() else { return to_hold(web, hold) };
    let page = tokio::select! {
        page = web.engine.handed_over(hold, WAIT_FOR_PAGE) => page,
        // The program ends: nobody is kept waiting until the connection is cut.
        () = web.stop.cancelled() => None,
    };
    match page {
        Some(url) => see_other(&url),
        None => to_hold(web, hold),
    }
}

fn to_hold(web: &Web, hold: HoldId) -> Response {
    see_other(&format!("/holds/{}", web.keys.token(hold)))
}

fn see_other(to: &str) -> Response {
    let mut answer = Redirect::to(to).into_response();
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// 409 with the reason: a page whose text holds the state word, or JSON where that is wanted.
async fn refused(
    web: &Web,
    view: &Arc<View>,
    visitor: Visitor,
    (headers, fields): (&HeaderMap, &Fields),
    refusal: &Refusal,
) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") && !accept.contains("text/html") {
        let body = Json(json!({ "error": refusal.code() }));
        return visitor.remembers((StatusCode::CONFLICT, body).into_response());
    }
    let wrong = wrong_field(refusal, view);
    let sent = Sent { fields, wrong: wrong.as_deref() };
    let says = Some(no_units(refusal, view));
    let shows = Shows { says, status: StatusCode::CONFLICT, sent };
    sale_page(web, view, visitor, shows).await
}

/// Why a buyer gets nothing, in one sentence; if the sale's state is why, its word stands in it.
fn no_units(refusal: &Refusal, view: &View) -> String {
    let why = match (refusal, view.state) {
        (Refusal::NotOpen, _) => "This sale is not open yet.",
        (Refusal::Paused, _) => "This sale is paused: please try again in a moment.",
        (Refusal::SoldOut, _) | (Refusal::Over, State::SoldOut) => "Everything is sold out.",
        (Refusal::Over, State::Cancelled) => "This sale was cancelled and has ended.",
        (Refusal::Over, State::Failed) => "This sale failed to open.",
        (Refusal::Over, _) => "This sale has ended.",
        (Refusal::AllHeld, _) => {
            "It is all held: every unit is reserved right now, and some may come back."
        }
        (other, _) => return text::refusal(other),
    };
    why.to_owned()
}

/// Takes what was offered, and leads on to the payment.
pub(super) async fn accept(Shared(web): Shared<Arc<Web>>, Path(token): Path<String>) -> Response {
    let Some(hold) = web.keys.hold(&token) else { return missing(&web) };
    let event = Event::Accepted { hold };
    match web.engine.tell(hold.sale, event, "web", Origin::Any).await {
        Ok(_) => to_page(&web, hold).await,
        // Too late: its page says so.
        Err(TellError::Refused(_)) => to_hold(&web, hold),
        Err(TellError::Unknown) => missing(&web),
        Err(error) => {
            tracing::error!(%error, sale = %hold.sale, hold = hold.n, "an offer could not be taken");
            busy(&web)
        }
    }
}

pub(super) async fn release(Shared(web): Shared<Arc<Web>>, Path(token): Path<String>) -> Response {
    let Some(hold) = web.keys.hold(&token) else { return missing(&web) };
    let event = Event::LetGo { hold };
    match web.engine.tell(hold.sale, event, "web", Origin::Any).await {
        // Past letting go: its page says how it stands.
        Ok(_) | Err(TellError::Refused(_)) => see_other(&format!("/holds/{token}")),
        Err(TellError::Unknown) => missing(&web),
        Err(error) => {
            tracing::error!(%error, sale = %hold.sale, hold = hold.n, "a hold could not be let go");
            busy(&web)
        }
    }
}
