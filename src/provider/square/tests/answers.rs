//! Against a service that answers as a test says.

use serde_json::{Value, json};

use super::super::{Settings, Square, close_frame, link::mark, probe_frame};
use crate::{
    clock::{Span, Timestamp},
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    provider::{
        Call, News, Outcome, Provider, ProviderError, StatusAsk, Verified, Whose,
        tests::service::{Answer, Service},
    },
    sale::{
        ListingState,
        effect::Effect,
        event::Listing,
        hold::Checkout,
        payment::{PaymentFact, PaymentStatus, RefundStatus},
        tests::play::{Play, template, usd},
    },
    secret::Secret,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const LINKS: &str = "POST /v2/online-checkout/payment-links";
const LINK: &str = "DELETE /v2/online-checkout/payment-links/K1";
const READ: &str = "GET /v2/orders/O1";
const WRITE: &str = "PUT /v2/orders/O1";
const ORDERS: &str = "POST /v2/orders/batch-retrieve";

/// An account at a service.
pub(crate) fn square(url: &str) -> Square {
    let settings = Settings {
        api_url: url.to_owned(),
        location_id: "L1".to_owned(),
        access_token: Secret::from("token"),
        ..Settings::default()
    };
    Square::new(&settings, "https://shop.example").expect("a client")
}

pub(crate) fn hold(n: u32) -> HoldId {
    HoldId { sale: SaleId::new(NOW, [7; 16]), n }
}

fn call() -> Call {
    Call { key: "key".to_owned(), now: NOW, first: true }
}

fn no(status: u16, code: &str) -> Answer {
    Answer::Is(status, json!({ "errors": [{ "category": "X", "code": code, "detail": code }] }))
}

fn dollars(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

fn opens() -> Effect {
    Effect::OpenCheckout { hold: hold(1), nth: 1 }
}

/// Has a page made that is to cost $18.
async fn opened(service: &Service) -> Result<Outcome, ProviderError> {
    let request = json!({ "order": {}, "pre_populated_data": { "buyer_email": "a@b.c" } });
    let body = json!({ "request": request, "expect": usd("18") });
    square(&service.url).perform(&opens(), &body, &call()).await
}

/// A link, and what its order is said to cost.
fn made(total: Option<i64>) -> Answer {
    let link = json!({ "id": "K1", "order_id": "O1", "url": "https://square.link/u/x" });
    let of = |total| json!([{ "id": "O1", "total_money": dollars(total) }]);
    json!({ "payment_link": link, "related_resources": { "orders": total.map(of) } }).into()
}

fn order(state: &str, total: i64) -> Answer {
    json!({ "order": { "id": "O1", "state": state, "version": 1, "total_money": dollars(total) } })
        .into()
}

#[tokio::test]
async fn an_order_is_read_again_when_the_first_answer_looks_wrong() {
    for (first, read, fine) in [
        (Some(1800), 0, true),
        (Some(1944), 1800, true),
        (None, 1800, true),
        (Some(1944), 1944, false),
    ] {
        let service = Service::plays([
            (LINKS, vec![made(first)]),
            (READ, vec![order("DRAFT", read)]),
            (LINK, vec![json!({ "cancelled_order_id": "O1" }).into()]),
        ])
        .await;
        match opened(&service).await {
            Ok(Outcome::Opened(page)) => {
                assert!(fine && page.total == usd("18"), "{first:?} {read}: {page:?}");
                let read = service.calls().contains(&READ.to_owned());
                assert_eq!(read, first != Some(1800));
            }
            Err(ProviderError::Reject { says }) => {
                assert!(!fine && says.contains("$19.44 instead of $18"), "{says}");
                assert!(service.calls().contains(&LINK.to_owned()), "shown to nobody");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_wrong_page_that_may_be_paid_is_not_over_with_a_no() {
    let service = Service::plays([
        (LINKS, vec![made(Some(1944))]),
        (READ, vec![order("OPEN", 1944)]),
        (LINK, vec![json!({ "id": "K1" }).into()]),
        (WRITE, vec![no(400, "BAD_REQUEST")]),
    ])
    .await;
    let answer = opened(&service).await;
    assert!(matches!(answer, Err(ProviderError::Retry { .. })), "{answer:?}");
}

#[tokio::test]
async fn an_answer_that_square_does_not_like_is_left_out_and_so_is_what_it_cannot_name() {
    for field in ["pre_populated_data.buyer_email", "pre_populated_data.buyer_shoe_size"] {
        let error = json!({ "category": "X", "code": "INVALID_VALUE", "field": field });
        let answer = Answer::Is(400, json!({ "errors": [error] }));
        let service = Service::plays([(LINKS, vec![answer])]).await;
        let answer = opened(&service).await;
        let Err(ProviderError::Amend { body, .. }) = answer else { panic!("{answer:?}") };
        assert!(body["request"]["pre_populated_data"].is_null(), "{field}: {body}");
    }
}

#[tokio::test]
async fn links_are_looked_through_to_the_last_page() {
    const FIRST: &str = "GET /v2/online-checkout/payment-links?limit=1000";
    const SECOND: &str = "GET /v2/online-checkout/payment-links?limit=1000&cursor=a%2Fb";
    let link =
        |n: u32, id: &str| json!({ "id": id, "order_id": id, "description": mark(hold(n), 1) });
    let service = Service::plays([
        (FIRST, vec![json!({ "payment_links": [link(1, "K1")], "cursor": "a/b" })]),
        (SECOND, vec![json!({ "payment_links": [link(2, "K2")], "cursor": "" })]),
    ])
    .await;
    let found = square(&service.url).find_link(&mark(hold(2), 1)).await;
    assert_eq!(found, Ok(Some(("K2".to_owned(), "K2".to_owned()))));
}

fn payment(id: &str, status: &str) -> Value {
    json!({ "payment": {
        "id": id, "status": status, "order_id": "O1", "amount_money": dollars(1800),
        "tip_money": dollars(200), "total_money": dollars(2000),
    } })
}

fn page(n: u32, closed: bool) -> (HoldId, Checkout) {
    let page = Checkout {
        id: CheckoutId::from(format!("K{n}")),
        nth: 1,
        order: Some(format!("O{n}")),
        url: String::new(),
        total: usd("18"),
        made_at: NOW,
        proven: true,
        closed,
    };
    (hold(n), page)
}

fn tenders(n: u32, state: &str, payments: &[&str]) -> Value {
    let tenders: Vec<Value> =
        payments.iter().map(|id| json!({ "id": "T", "payment_id": id })).collect();
    json!({ "id": format!("O{n}"), "state": state, "tenders": tenders })
}

#[tokio::test]
async fn what_was_paid_on_a_page_is_told_with_its_hold_and_a_tip_beside_the_price() {
    let orders = json!({ "orders": [
        tenders(1, "CANCELED", &["P1"]), tenders(2, "CANCELED", &[]), tenders(3, "CANCELED", &[]),
        tenders(4, "CANCELED", &["P4"]), tenders(5, "OPEN", &["P5"]), tenders(9, "OPEN", &["P9"]),
    ] });
    let service = Service::plays([
        (ORDERS, vec![orders]),
        ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED")]),
        ("GET /v2/payments/P5", vec![payment("P5", "SOMETHING_NEW")]),
    ])
    .await;
    let pages = vec![page(1, false), page(2, false), page(3, true), page(4, false), page(5, false)];
    let ask = StatusAsk { pages, now: NOW, ..StatusAsk::default() };
    let news = square(&service.url).status(&ask).await.expect("answers");
    // The order of the answers is Square's. The payment on the fourth is not visible yet, and the
    // state of the fifth is one that nobody knows: of neither is anything said.
    let [News::Payment(fact), News::PageClosed { checkout }] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!(
        (fact.hold, fact.checkout.as_ref().map(CheckoutId::as_str)),
        (Some(hold(1)), Some("K1"))
    );
    assert_eq!((fact.amount, fact.tip), (usd("20"), 200));
    assert_eq!(checkout.as_str(), "K2");
}

#[tokio::test]
async fn payments_are_looked_at_again_and_a_refund_that_nobody_knows_stops_nothing() {
    let refund = |id: &str, status: &str| {
        json!({ "refund": {
        "id": id, "status": status, "payment_id": "P2", "amount_money": dollars(500),
    } })
    };
    let mut of_two = payment("P2", "COMPLETED");
    of_two["payment"]["refund_ids"] = json!(["R1", "R2"]);
    let service = Service::plays([
        ("GET /v2/payments/P1", vec![payment("P1", "COMPLETED")]),
        ("GET /v2/payments/P2", vec![of_two]),
        ("GET /v2/refunds/R1", vec![refund("R1", "COMPLETED")]),
        ("GET /v2/refunds/R2", vec![refund("R2", "FAILED")]),
    ])
    .await;
    let ask = StatusAsk {
        refunds: vec![("P1".to_owned(), Some("R9".to_owned())), ("P2".to_owned(), None)],
        fees: vec![PaymentId::from("P1")],
        again: vec![PaymentId::from("P1"), PaymentId::from("P2")],
        now: NOW,
        ..StatusAsk::default()
    };
    let news = square(&service.url).status(&ask).await.expect("answers");
    let [News::Refund(refund), News::Payment(one), News::Payment(two)] = news.as_slice() else {
        panic!("{news:?}")
    };
    assert_eq!((refund.refund.as_deref(), refund.status), (Some("R2"), RefundStatus::Failed));
    assert_eq!((one.id.as_str(), two.id.as_str()), ("P1", "P2"), "each once");
}

#[test]
fn news_are_as_of_their_object_s_last_change_or_else_of_their_event() {
    let (created, changed) = ("2026-01-01T00:00:09Z", "2026-01-01T00:00:05Z");
    let told = |kind: &str, name: &str, object: &Value| {
        let event = json!({
            "type": kind, "event_id": "e1", "created_at": created,
            "data": { "object": { name: object } },
        });
        let read =
            square("http://127.0.0.1:9").read_event(&Verified::new(event.to_string().into_bytes()));
        read.expect("an event")
    };
    let refund = |at: Value| json!({ "id": "R1", "payment_id": "P1", "status": "PENDING", "updated_at": at });
    for (at, expected) in [(Value::Null, created), (json!(changed), changed)] {
        let delivery = told("refund.updated", "refund", &refund(at));
        let [News::Refund(fact)] = delivery.news.as_slice() else { panic!("{delivery:?}") };
        assert_eq!(fact.as_of, Timestamp::parse_rfc3339(expected));
    }
    // Two kinds of event were seen to share one id.
    let ids = ["refund.created", "refund.updated"]
        .map(|kind| told(kind, "refund", &refund(Value::Null)).id);
    assert_ne!(ids[0], ids[1]);
    let payment = |location: &str| {
        let mut payment = payment("P1", "COMPLETED")["payment"].clone();
        payment["location_id"] = location.into();
        told("payment.updated", "payment", &payment).news.len()
    };
    assert_eq!((payment("L1"), payment("L2")), (1, 0), "of our location alone");
}

#[tokio::test]
async fn an_order_that_cannot_be_seen_yet_is_anybody_s() {
    let order =
        |reference: Option<String>| json!({ "order": { "id": "O1", "reference_id": reference } });
    for (said, whose) in [
        (no(404, "NOT_FOUND"), Whose::Unknown),
        (order(None).into(), Whose::NotOurs),
        (order(Some("a table".to_owned())).into(), Whose::NotOurs),
        (order(Some(hold(4).to_string())).into(), Whose::Ours(hold(4))),
    ] {
        let service = Service::plays([(READ, vec![said])]).await;
        let fact =
            super::super::money::payment_fact(&payment("P1", "COMPLETED")["payment"]).expect("one");
        assert_eq!(fact.status, PaymentStatus::Completed);
        assert_eq!(square(&service.url).whose(&fact).await, Ok(whose));
        let cash = PaymentFact { order: None, ..fact };
        assert_eq!(square(&service.url).whose(&cash).await, Ok(Whose::NotOurs));
    }
}

const STOCK: &str = "POST /v2/inventory/changes/batch-create";
const UPSERT: &str = "POST /v2/catalog/batch-upsert";
const DELETE: &str = "POST /v2/catalog/batch-delete";

fn plan() -> Value {
    let play = Play::new(template());
    json!(super::super::Plan::of(&play.sale, &super::super::Options::default(), None))
}

fn mapped() -> Answer {
    let pair = |name: &str, id: &str| json!({ "client_object_id": name, "object_id": id });
    let list = pair(super::super::item::MODIFIER_LIST, "D1");
    json!({ "id_mappings": [pair(super::super::item::ITEM, "I1"), pair(super::super::item::VARIATION, "V1"), list] }).into()
}

#[tokio::test]
async fn a_stock_that_is_dated_in_their_future_is_counted_earlier_and_under_another_key() {
    let service = Service::plays([
        (UPSERT, vec![mapped()]),
        (STOCK, vec![no(400, "INVALID_TIME"), json!({}).into()]),
    ])
    .await;
    let done = square(&service.url).perform(&Effect::Provision, &plan(), &call()).await;
    assert!(matches!(done, Ok(Outcome::Provisioned(_))), "{done:?}");
    let counts = service.bodies(STOCK);
    assert_eq!(counts.len(), 2);
    let at = |n: usize| {
        counts[n].pointer("/changes/0/physical_count/occurred_at").and_then(Value::as_str)
    };
    assert!(at(0) > at(1), "{counts:?}");
    assert_ne!(counts[0]["idempotency_key"], counts[1]["idempotency_key"]);
}

#[tokio::test]
async fn a_refused_start_leaves_nothing_and_an_unanswered_one_is_not_taken_back() {
    for (said, removed) in [(no(400, "INVALID_VALUE"), true), (no(503, "X"), false)] {
        let service = Service::plays([
            (UPSERT, vec![mapped()]),
            (STOCK, vec![said]),
            (DELETE, vec![no(404, "NOT_FOUND")]),
        ])
        .await;
        let done = square(&service.url).perform(&Effect::Provision, &plan(), &call()).await;
        assert_eq!(matches!(done, Err(ProviderError::Reject { .. })), removed, "{done:?}");
        let deleted = service.bodies(DELETE);
        assert_eq!(
            deleted,
            if removed { vec![json!({ "object_ids": ["I1", "D1"] })] } else { vec![] }
        );
    }
}

fn notes(strategy: &str) -> Value {
    json!({
        "sale": hold(1).sale, "strategy": strategy, "after": "delete", "location": "L1",
        "item": "I1", "variation": "V1", "modifiers": {}, "made": ["I1"],
    })
}

#[tokio::test]
async fn what_is_gone_already_is_as_good_as_removed() {
    for (said, removed) in
        [(json!({}).into(), true), (no(404, "NOT_FOUND"), true), (no(503, "X"), false)]
    {
        let service = Service::plays([(DELETE, vec![said])]).await;
        let done = square(&service.url).perform(&Effect::Retire, &notes("fresh"), &call()).await;
        assert_eq!(done == Ok(Outcome::Retired), removed, "{done:?}");
        assert_eq!(service.bodies(DELETE), [json!({ "object_ids": ["I1"] })]);
    }
}

#[tokio::test]
async fn a_stock_that_is_emptied_again_later_is_another_request() {
    let service = Service::plays([(STOCK, vec![json!({})])]).await;
    let square = square(&service.url);
    for late in [0, 0, 5] {
        let call = Call { now: NOW + Span::from_secs(late), ..call() };
        let done = square.perform(&Effect::Retire, &notes("reuse"), &call).await;
        assert_eq!(done, Ok(Outcome::Retired));
    }
    let sent = service.bodies(STOCK);
    // The same body under the same key, and another one under another.
    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[0]["changes"], sent[2]["changes"]);
    assert_ne!(sent[0]["idempotency_key"], sent[2]["idempotency_key"]);
}

#[tokio::test]
async fn a_variation_that_is_sold_from_again_is_looked_at_again() {
    const OBJECT: &str = "GET /v2/catalog/object/V1";
    const COUNTS: &str = "POST /v2/inventory/counts/batch-retrieve";
    let object =
        json!({ "object": { "type": "ITEM_VARIATION", "id": "V1", "item_variation_data": {} } });
    let count = |n: &str| {
        json!({ "counts": [{
        "catalog_object_id": "V1", "location_id": "L1", "state": "IN_STOCK", "quantity": n,
    }] })
    };
    let service = Service::plays([
        (OBJECT, vec![object]),
        (COUNTS, vec![count("3"), count("0")]),
        (STOCK, vec![json!({})]),
    ])
    .await;
    let square = square(&service.url);
    let body = json!({ "variation": "V1", "count": null, "url": format!("{}/page", service.url) });
    let probe = Effect::Probe { hold: hold(1), checkout: CheckoutId::from("K1") };
    let looks = async || format!("{:?}", square.perform(&probe, &body, &call()).await);
    // The page itself is not there.
    for _ in 0..2 {
        assert!(looks().await.contains("the page answers 404"));
    }
    square.perform(&Effect::Retire, &notes("reuse"), &call()).await.expect("emptied");
    assert!(looks().await.contains("counts 0 in stock where some should be"));
}

#[test]
fn the_stock_is_ours_to_the_unit_until_something_moves_it() {
    let count = |play: &Play| {
        let effect = play.todo.iter().find_map(|(effect, _)| match effect {
            Effect::Probe { hold, checkout } => Some((*hold, checkout.clone())),
            _ => None,
        });
        let (hold, checkout) = effect.unwrap_or((hold(1), CheckoutId::from("K1")));
        probe_frame(&play.sale, hold, &checkout)["count"].clone()
    };
    let mut play = Play::open(template());
    let listed = |play: &mut Play, strategy: &str| {
        play.sale.head.listing = ListingState::Made { listing: Listing(notes(strategy)) };
    };
    listed(&mut play, "fresh");
    assert_eq!(count(&play), play.sale.head.offered);
    play.sale.head.restocking = 2;
    assert_eq!(count(&play), Value::Null, "it is about to change");
    play.sale.head.restocking = 0;
    play.sale.head.tally.paid = 1;
    assert_eq!(count(&play), Value::Null, "Square takes what is paid off by itself");
    play.sale.head.tally.paid = 0;
    listed(&mut play, "reuse");
    assert_eq!(count(&play), Value::Null, "it sells elsewhere, too");
    let unknown = close_frame(&play.sale, hold(1), 3, None);
    assert_eq!(unknown, json!({ "order": null, "made_at": null, "mark": mark(hold(1), 3) }));
}
