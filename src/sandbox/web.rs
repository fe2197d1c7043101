//! The sandbox's own pages and API, as a provider would serve them.

use std::sync::Arc;

use askama::Template;
use axum::{
    Form, Json, Router,
    extract::{Path, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::{Next, from_fn_with_state},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::{
    Service,
    book::{CloseState, LedgerError, PageOrder, Payed, SandboxListing, SandboxPage, Shown},
    faults::happens,
    ledger::payment_json,
};
use crate::clock::{Span, Timestamp};

type Shared = State<Arc<Service>>;

/// Everything under `/sandbox`.
pub(super) fn routes(service: Arc<Service>) -> Router {
    let api = Router::new()
        .route("/listings", post(make_listing))
        .route("/listings/{id}/stock", post(set_stock))
        .route("/listings/{id}/retire", post(retire))
        .route("/pages", post(make_page))
        .route("/pages/{id}/close", post(close))
        .route("/pages/close_order", post(close_order))
        .route("/refunds", post(refund))
        .route("/status", post(status))
        .route("/forget", post(forget))
        .layer(from_fn_with_state(service.clone(), api_gate));
    Router::new()
        .route("/pay/{id}", get(show).post(pay))
        .route("/style.css", get(style))
        .nest("/api", api)
        .with_state(service)
}

/// Token, rate limit, latency and lost answers: what stands before every call.
async fn api_gate(State(service): Shared, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).map(HeaderValue::as_bytes);
    let right = format!("Bearer {}", service.access.token);
    if !bool::from(given.unwrap_or_default().ct_eq(right.as_bytes())) {
        return error(StatusCode::UNAUTHORIZED, "wrong token");
    }
    if let Some(after) = service.over_the_limit() {
        let after = [(header::RETRY_AFTER, after.to_string())];
        return (after, error(StatusCode::TOO_MANY_REQUESTS, "slow down")).into_response();
    }
    let faults = &service.ledger.faults;
    if faults.latency_ms > 0 {
        let clock = &service.ledger.clock;
        clock.sleep_until(clock.now() + Span::from_millis(i64::from(faults.latency_ms))).await;
    }
    if happens(faults.error, service.ledger.random()) {
        return error(StatusCode::INTERNAL_SERVER_ERROR, "the sandbox plays a fault");
    }
    let answer = next.run(request).await;
    if happens(faults.answer_lost, service.ledger.random()) {
        return error(StatusCode::GATEWAY_TIMEOUT, "the sandbox lost its answer");
    }
    answer
}

fn error(status: StatusCode, says: &str) -> Response {
    (status, Json(json!({ "error": says }))).into_response()
}

impl IntoResponse for LedgerError {
    fn into_response(self) -> Response {
        match self {
            Self::Invalid(says) => error(StatusCode::UNPROCESSABLE_ENTITY, &says),
            Self::Store(store) => error(StatusCode::SERVICE_UNAVAILABLE, &store.to_string()),
        }
    }
}

type Answer = Result<Json<Value>, LedgerError>;

#[derive(Deserialize)]
struct Keyed<T> {
    key: String,
    #[serde(flatten)]
    order: T,
}

async fn make_listing(State(service): Shared, Json(body): Json<Keyed<SandboxListing>>) -> Answer {
    let id = service.ledger.make_listing(&body.key, &body.order).await?;
    Ok(Json(json!({ "listing": id })))
}

#[derive(Deserialize)]
struct StockOrder {
    units: i64,
}

async fn set_stock(
    State(service): Shared,
    Path(id): Path<String>,
    Json(body): Json<Keyed<StockOrder>>,
) -> Answer {
    service.ledger.set_stock(&body.key, &id, body.order.units).await?;
    Ok(Json(json!({})))
}

async fn retire(State(service): Shared, Path(id): Path<String>) -> Answer {
    service.ledger.retire(&id).await?;
    Ok(Json(json!({})))
}

#[derive(Deserialize)]
struct OldSale {
    sale: String,
}

async fn forget(State(service): Shared, Json(body): Json<OldSale>) -> Answer {
    let more = service.ledger.forget(&body.sale).await?;
    Ok(Json(json!({ "more": more })))
}

async fn make_page(State(service): Shared, Json(body): Json<Keyed<PageOrder>>) -> Answer {
    let id = service.ledger.make_page(&body.key, &body.order).await?;
    let url = format!("{}/sandbox/pay/{id}", service.public_url);
    Ok(Json(json!({ "page": id, "url": url, "total": body.order.total })))
}

async fn close(State(service): Shared, Path(id): Path<String>) -> Answer {
    let now = service.ledger.clock.now();
    Ok(Json(close_json(service.ledger.close(&id).await?, now)))
}

fn close_json(state: CloseState, now: Timestamp) -> Value {
    match state {
        CloseState::Closed => json!({ "state": "closed" }),
        CloseState::Refused => json!({ "state": "refused" }),
        CloseState::Paid(payments) => {
            let payments: Vec<Value> =
                payments.iter().map(|(id, payment)| payment_json(id, payment, now)).collect();
            json!({ "state": "paid", "payments": payments })
        }
    }
}

#[derive(Deserialize)]
struct OrderRef {
    listing: String,
    reference: String,
    nth: u32,
}

/// Closes whatever page an order may have made; the worst answer counts.
async fn close_order(State(service): Shared, Json(order): Json<OrderRef>) -> Answer {
    let now = service.ledger.clock.now();
    let mut answer = CloseState::Closed;
    let pages = service.ledger.pages_of(&order.listing, &order.reference, order.nth).await?;
    for page in pages {
        let state = service.ledger.close(&page).await?;
        if state != CloseState::Closed {
            answer = state;
        }
    }
    Ok(Json(close_json(answer, now)))
}

#[derive(Deserialize)]
struct RefundOrder {
    payment: String,
    amount: i64,
}

async fn refund(State(service): Shared, Json(body): Json<Keyed<RefundOrder>>) -> Answer {
    let RefundOrder { payment, amount } = &body.order;
    let now = service.ledger.clock.now();
    let id = service.ledger.refund(&body.key, payment, *amount).await?;
    Ok(Json(json!({ "refund": id, "status": "completed", "as_of": now.rfc3339() })))
}

#[derive(Deserialize)]
struct StatusOrder {
    pages: Vec<String>,
    payments: Vec<String>,
}

async fn status(State(service): Shared, Json(order): Json<StatusOrder>) -> Answer {
    // What is read after this may be newer, and is never older.
    let now = service.ledger.clock.now();
    let mut payments = Vec::new();
    for page in &order.pages {
        for (id, payment) in service.ledger.payments_of(page).await? {
            payments.push(payment_json(&id, &payment, now));
        }
    }
    for id in &order.payments {
        if let Some(payment) = service.ledger.payment(id).await? {
            payments.push(payment_json(id, &payment, now));
        }
    }
    Ok(Json(json!({ "payments": payments })))
}

#[derive(Template)]
#[template(path = "sandbox/page.html", config = "src/pages/askama.toml")]
struct PageHtml {
    heading: &'static str,
    text: Option<&'static str>,
    form: Option<FormHtml>,
    back: Option<String>,
}

struct FormHtml {
    units: u32,
    title: String,
    delivery: Option<String>,
    parts: Vec<String>,
    total: String,
    ask_address: bool,
}

async fn show(State(service): Shared, Path(id): Path<String>) -> Response {
    match service.ledger.show(&id).await {
        Ok(shown) => page(shown, None),
        Err(error) => out_of_order(&error),
    }
}

/// What a person reads while the books cannot be read or written. Whether it was paid nobody knows.
fn out_of_order(error: &LedgerError) -> Response {
    tracing::warn!(%error, "a sandbox page could not be answered");
    let text = "This page cannot be shown at the moment: its database is out of reach. Load it again \
                in a moment; it says then whether it was paid.";
    let html = PageHtml { heading: "Not now", text: Some(text), form: None, back: None };
    (StatusCode::SERVICE_UNAVAILABLE, headers(), render(&html)).into_response()
}

fn page(shown: Shown, says: Option<&'static str>) -> Response {
    let back = |page: &SandboxPage| Some(page.order.return_url.clone());
    let (status, html) = match shown {
        Shown::Missing => {
            let text = Some("There is no such page, or not yet.");
            let html = PageHtml { heading: "Not found", text, form: None, back: None };
            (StatusCode::NOT_FOUND, html)
        }
        Shown::OutOfStock(page) => {
            let html = PageHtml {
                heading: "Out of stock",
                text: Some("This item is out of stock."),
                form: None,
                back: back(&page),
            };
            (StatusCode::OK, html)
        }
        Shown::Payable(page) => {
            let order = &page.order;
            let form = FormHtml {
                units: order.units,
                title: order.title.clone(),
                delivery: order.delivery.clone(),
                parts: order.parts.clone(),
                total: order.total.to_string(),
                ask_address: order.ask_address,
            };
            let html =
                PageHtml { heading: "Payment", text: says, form: Some(form), back: back(&page) };
            (StatusCode::OK, html)
        }
        Shown::Paid(page) => {
            let html = PageHtml {
                heading: "Thank you",
                text: Some("This page was paid. It takes no second payment."),
                form: None,
                back: back(&page),
            };
            (StatusCode::OK, html)
        }
        Shown::Closed(page) => {
            let html = PageHtml {
                heading: "Closed",
                text: Some("This page was closed and can no longer be paid. You were not charged."),
                form: None,
                back: back(&page),
            };
            (StatusCode::GONE, html)
        }
    };
    (status, headers(), render(&html)).into_response()
}

fn render(html: &PageHtml) -> Html<String> {
    Html(html.render().unwrap_or_else(|error| {
        tracing::error!(%error, "a page could not be rendered");
        "This page could not be made.".to_owned()
    }))
}

fn headers() -> [(HeaderName, &'static str); 4] {
    [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; \
             frame-ancestors 'none'",
        ),
    ]
}

#[derive(Deserialize)]
struct PayForm {
    #[serde(rename = "do")]
    what: Option<String>,
    name: Option<String>,
    address: Option<String>,
}

async fn pay(
    State(service): Shared,
    Path(id): Path<String>,
    Form(form): Form<PayForm>,
) -> Response {
    let ledger = &service.ledger;
    let shown = match ledger.show(&id).await {
        Ok(shown) => shown,
        Err(error) => return out_of_order(&error),
    };
    if form.what.as_deref() == Some("decline") {
        return page(shown, Some("The card was declined. You were not charged; try another."));
    }
    let asks = matches!(&shown, Shown::Payable(page) if page.order.ask_address);
    let clean = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let (name, address) = (clean(form.name), clean(form.address));
    if asks && (name.is_none() || address.is_none()) {
        return page(shown, Some("Please give your name and postal address."));
    }
    match ledger.pay(&id, name, address).await {
        Ok(Payed::Yes { return_url }) => {
            service.bell.notify_one();
            (headers(), Redirect::to(&return_url)).into_response()
        }
        Ok(Payed::No(shown)) => page(shown, None),
        Err(error) => out_of_order(&error),
    }
}

async fn style() -> Response {
    let css = include_str!("../pages/sandbox/style.css");
    ([(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "max-age=3600")], css)
        .into_response()
}
