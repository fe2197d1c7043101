//! Against a service that answers as a test says.

use serde_json::{Map, Value, json};

use super::super::{
    Polar, Settings,
    money::{order_fact, refund_fact},
    page::Plan,
};
use crate::{
    clock::{Span, Timestamp},
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    provider::{
        Call, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        tests::service::{Answer, Service},
    },
    sale::{
        effect::Effect,
        event::{CloseAnswer, Listing, Verdict},
        payment::{PaymentStatus, RefundStatus},
        template::Ask,
        tests::play::{Play, template, usd},
    },
    secret::Secret,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const ARCHIVE: &str = "PATCH /v1/products/P1";
const SESSIONS: &str = "GET /v1/checkouts/?product_id=P1&limit=100&page=1";
const CONFIRMED: &str = "GET /v1/checkouts/?product_id=P1&status=confirmed&limit=100&page=1";
const ORDERS: &str = "GET /v1/orders/?product_id=P1&limit=100&page=1";
const LINK: &str = "DELETE /v1/checkout-links/L1";
const REFUNDS: &str = "GET /v1/refunds/?order_id=O1&sorting=-created_at&limit=100&page=1";
const ORDER: &str = "GET /v1/orders/O1";
const REFUND: &str = "POST /v1/refunds/";

fn polar(url: &str) -> Polar {
    let settings = Settings {
        api_url: url.to_owned(),
        access_token: Secret::from("token"),
        ..Settings::default()
    };
    Polar::new(&settings, "https://shop.example").expect("a client")
}

fn hold() -> HoldId {
    HoldId { sale: SaleId::new(NOW, [7; 16]), n: 1 }
}

fn no(status: u16, error: &str) -> Answer {
    Answer::Is(status, json!({ "error": error, "detail": error }))
}

fn archived() -> Vec<Answer> {
    vec![json!({ "id": "P1", "is_archived": true }).into()]
}

fn sessions(statuses: &[&str]) -> Vec<Answer> {
    let items: Vec<Value> = statuses.iter().map(|status| json!({ "status": status })).collect();
    vec![json!({ "items": items }).into()]
}

fn order(status: &str) -> Value {
    json!({
        "id": "O1", "status": status, "total_amount": 1800, "currency": "usd", "product_id": "P1",
        "net_amount": 1500, "refundable_amount": 1500, "refundable_tax_amount": 300,
        "metadata": { "livetill_hold": hold().to_string() },
        "created_at": "2026-01-01T00:00:01Z", "modified_at": "2026-01-01T00:00:09Z",
    })
}

fn items(all: &[Value]) -> Vec<Answer> {
    vec![json!({ "items": all }).into()]
}

/// Closes a page of product P1, on a link if there is one.
async fn closes(service: &Service, link: Option<&str>) -> Result<CloseAnswer, ProviderError> {
    let checkout = Some(CheckoutId::from("P1"));
    let effect = Effect::CloseCheckout { hold: hold(), nth: 1, checkout };
    let body = json!({ "price": super::super::page::price(usd("18")), "link": link, "mark": "m" });
    match polar(&service.url).perform(&effect, &body, &call()).await {
        Ok(Outcome::Closed(answer)) => Ok(answer),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    }
}

fn call() -> Call {
    Call { key: "key".to_owned(), now: NOW, first: true }
}

fn is_retry<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Retry { .. }))
}

#[tokio::test]
async fn who_pressed_pay_is_looked_for_once_nobody_else_can() {
    for (statuses, orders, expected) in [
        (&[][..], &[][..], Some(CloseAnswer::Closed)),
        (&["open", "expired", "failed"], &[], Some(CloseAnswer::Closed)),
        (&["open", "confirmed"], &[], Some(CloseAnswer::PaymentPending)),
        // The money is there and its order is not, or it is on its way.
        (&["succeeded"], &[], Some(CloseAnswer::PaymentPending)),
        (&["succeeded"], &["pending"], Some(CloseAnswer::PaymentPending)),
        (&["succeeded"], &["void"], Some(CloseAnswer::PaymentPending)),
        (&["succeeded"], &["paid"], None),
        (&["succeeded"], &["pending", "paid"], None),
    ] {
        let orders: Vec<Value> = orders.iter().map(|status| order(status)).collect();
        let service = Service::plays([
            (ARCHIVE, archived()),
            (SESSIONS, sessions(statuses)),
            (ORDERS, items(&orders)),
        ])
        .await;
        let answer = closes(&service, None).await.expect("answers");
        match expected {
            Some(expected) => assert_eq!(answer, expected, "{statuses:?}"),
            None => assert!(matches!(answer, CloseAnswer::AlreadyPaid { .. }), "{answer:?}"),
        }
        // Whoever presses it after the look is refused: the price went first.
        assert_eq!(service.calls()[..2], [ARCHIVE, SESSIONS]);
        let change = &service.bodies(ARCHIVE)[0];
        assert_eq!(
            (&change["is_archived"], &change["prices"][0]["price_amount"]),
            (&json!(true), &json!(1800))
        );
    }
}

#[tokio::test]
async fn a_page_is_closed_when_polar_says_that_its_product_is() {
    for (said, closed) in [
        (json!({ "is_archived": true }).into(), true),
        (no(404, "ResourceNotFound"), true),
        (json!({ "is_archived": false }).into(), false),
        (json!({}).into(), false),
        (no(500, "X"), false),
        (no(401, "Unauthorized"), false),
    ] {
        let text = format!("{said:?}");
        let service = Service::plays([(ARCHIVE, vec![said]), (SESSIONS, sessions(&[]))]).await;
        let answer = closes(&service, None).await;
        assert_eq!(answer == Ok(CloseAnswer::Closed), closed, "{text}: {answer:?}");
        assert!(closed || is_retry(&answer), "{text}: {answer:?}");
    }
    for status in [400, 409, 422] {
        let service =
            Service::plays([(ARCHIVE, vec![no(status, "X")]), (SESSIONS, sessions(&[]))]).await;
        let answer = closes(&service, None).await;
        assert!(matches!(answer, Ok(CloseAnswer::CannotClose { .. })), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn a_shared_link_goes_with_its_product_and_those_who_paid_are_no_news_of_it() {
    for (said, closed) in [
        (Answer::Is(204, Value::Null), true),
        (no(404, "ResourceNotFound"), true),
        (no(500, "X"), false),
    ] {
        let service = Service::plays([
            (ARCHIVE, archived()),
            (LINK, vec![said]),
            (CONFIRMED, sessions(&[])),
            (SESSIONS, sessions(&["succeeded"])),
            (ORDERS, items(&[order("paid")])),
        ])
        .await;
        let answer = closes(&service, Some("L1")).await;
        assert_eq!(answer == Ok(CloseAnswer::Closed), closed, "{answer:?}");
        assert!(closed || is_retry(&answer), "{answer:?}");
    }
    let service = Service::plays([
        (ARCHIVE, archived()),
        (LINK, vec![Answer::Is(204, Value::Null)]),
        (CONFIRMED, sessions(&["confirmed"])),
    ])
    .await;
    assert_eq!(closes(&service, Some("L1")).await, Ok(CloseAnswer::PaymentPending));
}

fn product(id: &str, page: &str, archived: bool) -> Value {
    json!({ "id": id, "is_archived": archived, "metadata": { "livetill_page": page } })
}

#[tokio::test]
async fn of_all_that_an_unknown_order_made_one_that_may_be_paid_keeps_it_open() {
    const MARKED: &str =
        "GET /v1/products/?is_archived=false&metadata%5Blivetill_page%5D=m&limit=100&page=1";
    const SECOND: &str = "GET /v1/checkouts/?product_id=P2&limit=100&page=1";
    // A filter that the server does not know is no filter at all.
    let all = [
        product("P1", "m", false),
        product("P2", "m", false),
        product("P3", "other", false),
        product("P4", "m", true),
    ];
    let service = Service::plays([
        (MARKED, items(&all)),
        (ARCHIVE, archived()),
        ("PATCH /v1/products/P2", archived()),
        (SESSIONS, sessions(&["confirmed"])),
        (SECOND, sessions(&["open"])),
    ])
    .await;
    let effect = Effect::CloseCheckout { hold: hold(), nth: 1, checkout: None };
    let body = json!({ "price": super::super::page::price(usd("18")), "link": null, "mark": "m" });
    let answer = polar(&service.url).perform(&effect, &body, &call()).await;
    assert_eq!(answer, Ok(Outcome::Closed(CloseAnswer::PaymentPending)));
    let changed = service.calls().iter().filter(|call| call.starts_with("PATCH")).count();
    assert_eq!(changed, 2, "neither those of others nor what is closed already");
}

#[test]
fn a_payment_is_dated_by_when_it_was_made_and_what_is_said_of_it_by_its_last_change() {
    let mut one = order("paid");
    one["platform_fee_amount"] = 112.into();
    one["platform_fee_currency"] = "usd".into();
    let fact = order_fact(&one).expect("money");
    let (created, changed) = ("2026-01-01T00:00:01Z", "2026-01-01T00:00:09Z");
    let at = |text: &str| Timestamp::parse_rfc3339(text);
    assert_eq!((Some(fact.at), fact.as_of), (at(created), at(changed)));
    assert_eq!(fact.fee.map(|fee| fee.as_of), at(changed));
    one["modified_at"] = Value::Null;
    let fact = order_fact(&one).expect("money");
    assert_eq!((Some(fact.at), fact.as_of), (at(created), None));
    assert_eq!(fact.fee.map(|fee| fee.as_of), at(created));
    let refund = json!({ "order_id": "O1", "id": "R", "status": "succeeded", "amount": 1,
                         "created_at": created, "modified_at": changed });
    assert_eq!(refund_fact(&refund).expect("one").as_of, at(changed));
}

#[test]
fn only_the_discount_that_the_page_was_made_with_is_the_shop_s_own() {
    let off = |ours: Option<&str>, theirs: Option<&str>| {
        let mut one = order("paid");
        one["metadata"]["livetill_discount"] = ours.into();
        one["discount_id"] = theirs.into();
        one["discount_amount"] = 300.into();
        order_fact(&one).expect("money").discount
    };
    assert_eq!(off(Some("d"), Some("d")), 300);
    for (ours, theirs) in
        [(None, Some("d")), (Some("d"), Some("e")), (Some("d"), None), (None, None)]
    {
        assert_eq!(off(ours, theirs), 0, "{ours:?} {theirs:?}");
    }
}

fn refund(id: &str, order: &str, status: &str) -> Value {
    json!({ "id": id, "order_id": order, "status": status, "amount": 500, "tax_amount": 100 })
}

async fn refunds(service: &Service, first: bool) -> Result<Outcome, ProviderError> {
    let effect = Effect::Refund { payment: PaymentId::from("O1"), amount: usd("18") };
    let call = Call { first, ..call() };
    polar(&service.url).perform(&effect, &Value::Null, &call).await
}

#[tokio::test]
async fn what_can_be_given_back_is_and_what_is_on_its_way_is_not_asked_for_again() {
    let mut part = order("partially_refunded");
    part["refundable_amount"] = 1000.into();
    let fresh = json!(refund("R9", "O1", "pending"));
    // What there is already; whether it is asked for once more.
    for (known, asked) in [
        (vec![], true),
        (vec![refund("R1", "O1", "failed")], true),
        (vec![refund("R2", "O1", "failed"), refund("R1", "O1", "succeeded")], true),
        (vec![refund("R1", "O2", "succeeded")], true),
        (vec![refund("R1", "O1", "pending")], false),
    ] {
        let service = Service::plays([
            (REFUNDS, items(&known)),
            (ORDER, vec![part.clone().into()]),
            (REFUND, vec![fresh.clone().into()]),
        ])
        .await;
        let done = refunds(&service, false).await;
        let Ok(Outcome::Refund(fact)) = done else { panic!("{done:?}") };
        let id = if asked { "R9" } else { "R1" };
        assert_eq!((fact.refund.as_deref(), fact.status), (Some(id), RefundStatus::Requested));
        let sent = service.bodies(REFUND);
        assert_eq!(sent.len(), usize::from(asked), "{known:?}");
        assert!(sent.iter().all(|one| one["amount"] == 1000), "only what is left: {sent:?}");
        assert_eq!(fact.amount, Some(600), "with its tax");
    }
    let mut gone = order("refunded");
    for left in [json!(1500), json!(0), Value::Null] {
        gone["refundable_amount"] = left;
        let service = Service::plays([(ORDER, vec![gone.clone()])]).await;
        let done = refunds(&service, true).await;
        let Ok(Outcome::Refund(fact)) = done else { panic!("{done:?}") };
        assert_eq!(fact.status, RefundStatus::Done);
        assert!(service.bodies(REFUND).is_empty(), "it is back already");
    }
}

fn plan() -> Plan {
    Plan {
        mark: "m".to_owned(),
        product: json!({ "name": "Mug", "prices": [super::super::page::price(usd("18"))] }),
        page: Map::new(),
        shared: false,
        expect: Some(usd("18")),
    }
}

async fn opens(service: &Service, first: bool) -> Result<Outcome, ProviderError> {
    let effect = Effect::OpenCheckout { hold: hold(), nth: 1 };
    let call = Call { first, ..call() };
    polar(&service.url).perform(&effect, &json!(plan()), &call).await
}

fn session(id: &str, status: &str) -> Value {
    json!({ "id": id, "status": status, "url": "https://polar.sh/x", "total_amount": 1800,
            "currency": "usd" })
}

#[tokio::test]
async fn what_a_lost_attempt_made_is_taken_up_if_it_can_still_be_paid() {
    const MARKED: &str =
        "GET /v1/products/?is_archived=false&metadata%5Blivetill_page%5D=m&limit=100&page=1";
    const MAKE: &str = "POST /v1/checkouts/";
    for (left, taken) in [(session("S1", "open"), "S1"), (session("S1", "expired"), "S2")] {
        let service = Service::plays([
            (MARKED, items(&[product("P1", "m", false)])),
            (SESSIONS, items(&[left])),
            (MAKE, vec![session("S2", "open").into()]),
        ])
        .await;
        let done = opens(&service, false).await;
        let Ok(Outcome::Opened(page)) = done else { panic!("{done:?}") };
        assert_eq!((page.id.as_str(), page.order.as_deref()), ("P1", Some(taken)));
    }
    // A refused page leaves no product behind; of one without an answer nobody knows.
    for (status, leaves) in [(422, false), (502, true)] {
        let service = Service::plays([
            ("POST /v1/products/", vec![json!({ "id": "P1" }).into()]),
            (MAKE, vec![no(status, "X")]),
            (ARCHIVE, archived()),
        ])
        .await;
        let done = opens(&service, true).await;
        assert_eq!(is_retry(&done), leaves, "{done:?}");
        assert_eq!(service.bodies(ARCHIVE).is_empty(), leaves);
    }
}

#[tokio::test]
async fn a_link_that_sells_nothing_is_not_payable() {
    for (archived, payable) in [(false, true), (true, false)] {
        let page = json!({ "products": [{ "is_archived": archived }] });
        let service = Service::plays([
            ("GET /v1/checkout-links/L1", vec![page.into()]),
            ("GET /buy", vec![Answer::Is(200, Value::Null)]),
        ])
        .await;
        let effect = Effect::Probe { hold: hold(), checkout: CheckoutId::from("P1") };
        let body = json!({ "page": "L1", "shared": true, "url": format!("{}/buy", service.url) });
        let done = polar(&service.url).perform(&effect, &body, &call()).await;
        let said = matches!(done, Ok(Outcome::Probed(Verdict::Payable)));
        assert_eq!(said, payable, "{done:?}");
    }
}

#[tokio::test]
async fn what_changed_of_an_order_is_news_and_the_rest_is_told_once_a_minute() {
    let sale = hold().sale;
    let list = format!(
        "GET /v1/orders/?sorting=-created_at&metadata%5Blivetill_sale%5D={sale}&limit=100&page=1"
    );
    let list: &'static str = Box::leak(list.into_boxed_str());
    let with = |name: &str, value: i64| {
        let mut one = order("partially_refunded");
        one[name] = value.into();
        one
    };
    let mut foreign = order("paid");
    foreign["metadata"] = json!({});
    let first = with("refundable_amount", 1400);
    let second = with("refundable_amount", 900);
    let mut fee = second.clone();
    fee["platform_fee_amount"] = 112.into();
    let answers: Vec<Answer> = [
        vec![foreign.clone(), first.clone()],
        vec![first.clone()],
        vec![second],
        vec![fee.clone()],
        vec![fee.clone()],
        vec![fee],
    ]
    .into_iter()
    .map(|all| json!({ "items": all }).into())
    .collect();
    let service = Service::plays([(list, answers)]).await;
    let polar = polar(&service.url);
    let listing = Some(Listing(json!({ "sale": sale })));
    for (late, told) in [(0, 1), (3, 0), (6, 1), (9, 1), (68, 0), (69, 1)] {
        let now = NOW + Span::from_secs(late);
        let ask = StatusAsk { listing: listing.clone(), now, ..StatusAsk::default() };
        let news = polar.status(&ask).await.expect("answers");
        assert_eq!(news.len(), told, "after {late} s: {news:?}");
    }
}

#[test]
fn an_event_says_as_of_when_and_which_kind_it_is() {
    let event = |kind: &str, data: &Value| {
        let body = json!({ "type": kind, "timestamp": "2026-01-01T00:00:30Z", "data": data });
        let webhook = Verified::new(body.to_string().into_bytes()).with_id("e1".to_owned());
        super::super::webhook::read_event(&webhook).expect("an event")
    };
    let mut one = order("paid");
    for (at, expected) in [
        (Value::Null, "2026-01-01T00:00:30Z"),
        (json!("2026-01-01T00:00:09Z"), "2026-01-01T00:00:09Z"),
    ] {
        one["modified_at"] = at;
        let delivery = event("order.paid", &one);
        let [News::Payment(fact)] = delivery.news.as_slice() else { panic!("{delivery:?}") };
        assert_eq!(fact.as_of, Timestamp::parse_rfc3339(expected));
        assert_eq!(fact.status, PaymentStatus::Completed);
    }
    assert!(matches!(event("order.updated", &one).news[..], [News::Correction(_)]));
    assert_ne!(event("order.updated", &one).id, event("order.paid", &one).id);
    one["metadata"] = json!({});
    for kind in ["order.paid", "order.updated", "order.refunded"] {
        assert!(event(kind, &one).news.is_empty(), "{kind} of something else");
    }
}

struct Nowhere;

impl ReturnPages for Nowhere {
    fn hold_page(&self, hold: HoldId) -> String {
        format!("https://shop.example/holds/{hold}")
    }

    fn sale_page(&self, sale: SaleId) -> String {
        format!("https://shop.example/sales/{sale}")
    }
}

#[test]
fn an_address_that_polar_would_refuse_is_not_filled_in() {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    let mut hold = play.hold(ana).clone();
    for (email, filled) in [("ana@example.org", true), ("aná@example.org", false)] {
        hold.answers = [(Ask::Email, email.to_owned()), (Ask::Name, "Aná".to_owned())].into();
        let options = super::super::Options::default();
        let plan = super::super::page::plan(&play.sale, &hold, 1, &options, &Nowhere, None);
        assert_eq!(plan.page.get("customer_email").is_some(), filled, "{email}");
        assert_eq!(plan.page["customer_name"], "Aná");
    }
}
