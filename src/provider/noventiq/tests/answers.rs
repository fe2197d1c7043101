//! Against a service that answers as a test says.

use std::{pin::Pin, sync::Arc};

use serde_json::{Value, json};

use super::super::{
    Noventiq, Options, Settings,
    close::{Ending, ending},
    link::Names,
    order::Order,
};
use crate::{
    clock::{Clock, Span, SystemClock, Timestamp},
    id::{CheckoutId, HoldId, PaymentId, SaleId},
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, StatusAsk,
        tests::service::{Answer, Service},
    },
    sale::{
        effect::Effect,
        event::{Claim, CloseAnswer},
        hold::{Checkout, HoldState, Lapse},
        payment::{PaymentStatus, RefundStatus},
        template::{Ask, Template},
        tests::play::{Play, delivery, template, usd},
    },
    secret::Secret,
};

const NOW: Timestamp = Timestamp::from_millis(1_767_225_600_000);
const LOGIN: &str = "POST /v1/login_check";
const SEARCH: &str = "POST /v1/order/search";
const ORDER: &str = "GET /v1/order/5";
const REFUND: &str = "POST /v1/order/5/refund";

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        NOW
    }

    fn sleep_until(&self, _: Timestamp) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

fn settings(url: &str) -> Settings {
    Settings {
        api_url: url.to_owned(),
        contact_email: "seller@shop.example".to_owned(),
        username: Secret::from("seller"),
        password: Secret::from("word"),
        ..Settings::default()
    }
}

fn noventiq(url: &str) -> Noventiq {
    Noventiq::new(&settings(url), "https://shop.example", Arc::new(Still)).expect("a client")
}

async fn plays(parts: Vec<(&'static str, Vec<Answer>)>) -> Service {
    let login = (LOGIN, vec![json!({ "token": "t" }).into()]);
    Service::plays(parts.into_iter().chain([login])).await
}

fn no(status: u16) -> Answer {
    Answer::Is(status, json!({ "errors": [{ "error": 1, "message": "no" }] }))
}

fn found(ids: &[u64]) -> Vec<Answer> {
    vec![json!({ "ids": ids }).into()]
}

fn hold() -> HoldId {
    HoldId { sale: SaleId::new(NOW, [7; 16]), n: 1 }
}

/// An order on link T1, placed so long ago.
fn order(id: u64, status: &str, ago: i64) -> Value {
    let at = |ago: i64| (NOW - Span::from_secs(ago)).rfc3339();
    let paid = status.trim().eq_ignore_ascii_case("paid");
    json!({
        "order_id": id, "status": status, "external_id": "T1", "currency": "USD",
        "create_date": at(ago), "pay_date": if paid { at(ago - 1) } else { String::new() },
        "products": [{ "name": "Mug", "vendor_code": "", "amount": "18.00" }],
    })
}

fn of_us(mut order: Value) -> Value {
    order["products"][0]["vendor_code"] = hold().to_string().into();
    order
}

fn call() -> Call {
    Call { key: "key".to_owned(), now: NOW, first: true }
}

async fn closes(
    service: &Service,
    shown: bool,
    give_back: bool,
) -> Result<CloseAnswer, ProviderError> {
    let checkout = Some(CheckoutId::from("T1"));
    let effect = Effect::CloseCheckout { hold: hold(), nth: 1, checkout };
    let body = json!(Ending { shown, give_back });
    match noventiq(&service.url).perform(&effect, &body, &call()).await {
        Ok(Outcome::Closed(answer)) => Ok(answer),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error),
    }
}

fn cannot(answer: &Result<CloseAnswer, ProviderError>) -> bool {
    matches!(answer, Ok(CloseAnswer::CannotClose { .. }))
}

fn is_retry<T>(answer: &Result<T, ProviderError>) -> bool {
    matches!(answer, Err(ProviderError::Retry { .. }))
}

#[tokio::test]
async fn a_link_goes_back_when_it_is_sure_that_nobody_is_paying_on_it() {
    let closed = Some(CloseAnswer::Closed);
    for (orders, expected) in [
        (vec![], closed.clone()),
        (vec![order(5, "not paid", 119)], Some(CloseAnswer::PaymentPending)),
        (vec![order(5, "not paid", 120)], closed.clone()),
        (vec![order(5, "terminated", 10)], closed.clone()),
        (vec![order(5, "deleted", 10)], closed),
        (vec![order(5, " Paid", 10)], None),
        // Only one can be placed; whichever brought money counts.
        (vec![order(5, "not paid", 10), order(6, "paid", 9)], None),
        (vec![order(5, "paid", 10), order(6, "not paid", 9)], None),
    ] {
        let ids: Vec<u64> = orders.iter().filter_map(|one| one["order_id"].as_u64()).collect();
        let read = |id: u64| {
            let one = orders.iter().find(|one| one["order_id"] == id);
            vec![one.map_or(no(404), |one| one.clone().into())]
        };
        let parts = vec![(SEARCH, found(&ids)), (ORDER, read(5)), ("GET /v1/order/6", read(6))];
        let service = plays(parts).await;
        let answer = closes(&service, true, true).await.expect("answers");
        match expected {
            Some(expected) => assert_eq!(answer, expected, "{orders:?}"),
            None => {
                let CloseAnswer::AlreadyPaid { payment, .. } = answer else { panic!("{answer:?}") };
                assert_eq!(payment.amount, usd("18"));
            }
        }
    }
}

#[tokio::test]
async fn who_paid_lately_is_judged_by_their_clock() {
    // Theirs is ten minutes behind, and the order was placed ten seconds ago.
    let behind = Span::from_mins(10);
    let now = SystemClock.now() - behind;
    let now = jiff::Timestamp::from_millisecond(now.millis()).expect("a time");
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&now);
    let placed = order(5, "not paid", behind.secs() + 10);
    let dated = Answer::With(200, "date", date.expect("a date"), placed);
    let service = plays(vec![(SEARCH, found(&[5])), (ORDER, vec![dated])]).await;
    assert_eq!(closes(&service, true, true).await, Ok(CloseAnswer::PaymentPending));
}

#[tokio::test]
async fn an_order_of_another_link_is_nothing_to_this_one() {
    let mut other = order(5, "paid", 10);
    other["external_id"] = "T2".into();
    let service = plays(vec![(SEARCH, found(&[5])), (ORDER, vec![other.into()])]).await;
    assert_eq!(closes(&service, true, true).await, Ok(CloseAnswer::Closed));
    // Nor is an answer about another order an answer.
    let service =
        plays(vec![(SEARCH, found(&[5])), (ORDER, vec![order(6, "paid", 10).into()])]).await;
    let answer = closes(&service, true, true).await;
    assert!(is_retry(&answer), "{answer:?}");
}

#[tokio::test]
async fn without_an_answer_nothing_goes_back_and_what_stays_taken_waits_for_none() {
    for give_back in [true, false] {
        let service = plays(vec![(SEARCH, vec![no(503)])]).await;
        let answer = closes(&service, true, give_back).await;
        assert_eq!((is_retry(&answer), cannot(&answer)), (give_back, !give_back), "{answer:?}");
        // Nobody was given it.
        assert_eq!(closes(&service, false, give_back).await, Ok(CloseAnswer::Closed));
    }
    assert!(cannot(&closes(&plays(vec![(SEARCH, found(&[]))]).await, true, false).await));
}

#[test]
fn so_many_units_go_back_and_those_on_their_way_are_counted_in_their_turn() {
    let template = Template { stock: 9, per_buyer: 3, ..template() };
    let mut play = Play::open(template);
    let holds: Vec<HoldId> = ["ana", "bo", "cy"].map(|who| play.claim(who).expect("free")).to_vec();
    play.work();
    let options = |overbook| Options {
        after_hold: super::super::options::AfterHold::Overbook,
        overbook,
        allow_surplus: true,
        ..Options::default()
    };
    let with = |states: [Option<HoldState>; 3], units: [u32; 3]| {
        let all = holds.iter().zip(states).zip(units).map(|((id, state), units)| {
            let mut hold = play.hold(*id).clone();
            hold.units = units;
            if let Some(state) = state {
                hold.state = state;
            }
            hold
        });
        crate::sale::Sale::assemble(play.sale.head.clone(), all.collect(), Vec::new())
    };
    let page = CheckoutId::from("T1");
    let goes = |sale: &crate::sale::Sale, n: usize, overbook| {
        ending(sale, holds[n], Some(&page), &options(overbook)).give_back
    };
    let released = Some(HoldState::Released { why: Lapse::TimeUp, at: NOW });
    // Units and not holds, and as many as may be.
    let sale = with([released, None, None], [2, 1, 1]);
    assert_eq!([2, 3].map(|most| goes(&sale, 1, most)), [false, true]);
    // What is on its way back before it counts, and what is behind it does not.
    let closing = || Some(HoldState::Closing { why: Lapse::TimeUp, since: NOW });
    let sale = with([closing(), closing(), None], [1, 1, 1]);
    assert_eq!([0, 1].map(|n| goes(&sale, n, 1)), [true, false]);
    assert!(!goes(&sale, 2, 2) && goes(&sale, 2, 3));
    // A link kept in reserve was shown to nobody.
    let kept = |opened| {
        let mut hold = play.hold(holds[0]).clone();
        hold.opened_at = opened;
        let sale = crate::sale::Sale::assemble(play.sale.head.clone(), vec![hold], Vec::new());
        let shown = |page| ending(&sale, holds[0], page, &options(1)).shown;
        (shown(Some(&page)), shown(None))
    };
    assert_eq!((kept(Some(NOW)), kept(None)), ((true, false), (false, false)));
}

#[test]
fn an_order_is_dated_by_its_payment_and_what_was_money_once_is_told_as_it_is_now() {
    let read = |status: &str| Order::read(&of_us(order(5, status, 60))).expect("an order");
    let fact = read("PAID ").fact().expect("money");
    assert_eq!(fact.at, NOW - Span::from_secs(59));
    assert_eq!((fact.status, fact.refunded), (PaymentStatus::Completed, 0));
    for (status, expected) in [
        ("paid", Some((PaymentStatus::Completed, 0))),
        ("deleted", Some((PaymentStatus::Completed, 1800))),
        ("not paid", Some((PaymentStatus::Failed, 0))),
        ("Terminated", Some((PaymentStatus::Failed, 0))),
        ("pondering", None),
    ] {
        let now = read(status).fact_once_paid().map(|fact| (fact.status, fact.refunded));
        assert_eq!(now, expected, "{status}");
    }
}

#[tokio::test]
async fn a_refund_is_asked_for_unless_one_is_under_way_or_done() {
    let with = |refund: &str| {
        let mut one = order(5, "paid", 60);
        one["refund"] = json!({ "status": refund });
        one
    };
    let effect = Effect::Refund { payment: PaymentId::from("5"), amount: usd("18") };
    for (order, first, said, asked, expected) in [
        (order(5, "paid", 60), true, json!({}).into(), 1, Some(RefundStatus::Requested)),
        (with("Rejected"), true, json!({}).into(), 1, Some(RefundStatus::Requested)),
        (with("New"), true, json!({}).into(), 0, Some(RefundStatus::Requested)),
        // A no to the first request is one; to a repeated one it may mean the lost one.
        (order(5, "paid", 60), true, no(400), 1, None),
        (order(5, "paid", 60), false, no(400), 1, Some(RefundStatus::Requested)),
        (order(5, "paid", 60), false, no(403), 1, None),
    ] {
        let service = plays(vec![(ORDER, vec![order.clone().into()]), (REFUND, vec![said])]).await;
        let call = Call { first, ..call() };
        let done = noventiq(&service.url).perform(&effect, &Value::Null, &call).await;
        let status = match &done {
            Ok(Outcome::Refund(fact)) => Some(fact.status),
            _ => None,
        };
        assert_eq!(status, expected, "{order} {first}: {done:?}");
        assert_eq!(service.bodies(REFUND).len(), asked, "{order}");
    }
}

fn ask(since: Timestamp, now: Timestamp) -> StatusAsk {
    StatusAsk { since, now, ..StatusAsk::default() }
}

/// From when on each search looked.
fn searched(service: &Service) -> Vec<Timestamp> {
    let all = service.bodies(SEARCH);
    let from = |one: &Value| Timestamp::parse_rfc3339(one["pay_date_from"].as_str()?);
    all.iter().filter_map(from).collect()
}

#[tokio::test]
async fn what_may_be_listed_late_is_looked_for_again() {
    let service = plays(vec![(SEARCH, found(&[]))]).await;
    let noventiq = noventiq(&service.url);
    let mins = Span::from_mins;
    for (since, now) in [
        (NOW - mins(60), NOW),
        (NOW - mins(60), NOW + mins(1)),
        // An older sale: all of its time is unknown. Then it is not.
        (NOW - mins(90), NOW + mins(2)),
        (NOW - mins(90), NOW + mins(3)),
        (NOW - mins(60), NOW + mins(4)),
    ] {
        noventiq.status(&ask(since, now)).await.expect("answers");
    }
    // Five minutes back, so that a payment may be late by so much.
    let expected = [NOW - mins(60), NOW - mins(5), NOW - mins(90), NOW - mins(3), NOW - mins(2)];
    assert_eq!(searched(&service), expected);
}

#[tokio::test]
async fn between_two_stretches_that_do_not_touch_there_may_be_more() {
    let service = plays(vec![(SEARCH, found(&[]))]).await;
    let noventiq = noventiq(&service.url);
    let ago = |mins| NOW - Span::from_mins(mins);
    for (since, now) in [(ago(60), ago(40)), (ago(20), NOW), (ago(60), NOW)] {
        noventiq.status(&ask(since, now)).await.expect("answers");
    }
    assert_eq!(searched(&service), [ago(60), ago(20), ago(60)]);
}

#[tokio::test]
async fn more_orders_than_one_round_reads_are_read_in_the_next() {
    let ids: Vec<u64> = (1..=50).collect();
    let at = NOW - Span::from_mins(10);
    let service = Service::start(move |heard| match heard.call.as_str() {
        LOGIN => json!({ "token": "t" }).into(),
        SEARCH => {
            // All at one moment, however narrow the question is.
            let time = |name: &str| heard.body[name].as_str().and_then(Timestamp::parse_rfc3339);
            let inside = time("pay_date_from") <= Some(at) && time("pay_date_to") >= Some(at);
            json!({ "ids": if inside { ids.clone() } else { Vec::new() } }).into()
        }
        call => {
            let id = call.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
            of_us(order(id, "paid", 601)).into()
        }
    })
    .await;
    let noventiq = noventiq(&service.url);
    let mut told = Vec::new();
    for late in [0, 1, 2] {
        let ask = ask(NOW - Span::from_mins(12), NOW + Span::from_secs(late));
        told.push(noventiq.status(&ask).await.expect("answers").len());
    }
    assert_eq!(told, [40, 10, 0], "each once");
}

#[tokio::test]
async fn what_was_told_is_told_again_after_a_minute() {
    let service =
        plays(vec![(SEARCH, found(&[5])), (ORDER, vec![of_us(order(5, "paid", 30)).into()])]).await;
    let noventiq = noventiq(&service.url);
    for (late, told) in [(0, 1), (59, 0), (60, 1)] {
        let ask = ask(NOW - Span::from_mins(1), NOW + Span::from_secs(late));
        let news = noventiq.status(&ask).await.expect("answers");
        assert_eq!(news.len(), told, "after {late} s: {news:?}");
    }
}

#[tokio::test]
async fn payments_of_old_are_looked_at_again_and_orders_of_others_are_not_told() {
    let service = plays(vec![
        (SEARCH, found(&[6])),
        (ORDER, vec![of_us(order(5, "deleted", 60)).into()]),
        ("GET /v1/order/6", vec![order(6, "paid", 30).into()]),
    ])
    .await;
    let mut ask = ask(NOW - Span::from_mins(1), NOW);
    ask.again = vec![PaymentId::from("5")];
    let noventiq = noventiq(&service.url);
    let news = noventiq.status(&ask).await.expect("answers");
    let [News::Payment(fact)] = news.as_slice() else { panic!("{news:?}") };
    assert_eq!((fact.id.as_str(), fact.refunded), ("5", 1800));
    // Without a reference of ours it is known by its link.
    let page = Checkout {
        id: CheckoutId::from("T1"),
        nth: 1,
        order: None,
        url: String::new(),
        total: usd("18"),
        made_at: NOW,
        proven: true,
        closed: true,
    };
    ask.again.clear();
    ask.pages = vec![(hold(), page)];
    let news = noventiq.status(&ask).await.expect("answers");
    assert!(matches!(&news[..], [News::Payment(fact)] if fact.id.as_str() == "6"), "{news:?}");
}

#[tokio::test]
async fn a_webhook_counts_once_for_each_state_of_its_order_and_for_ours_alone() {
    let hint = |event: &str| Delivery {
        id: format!("{event}:5:"),
        news: vec![News::Hint { order: "5".to_owned() }],
    };
    let parts =
        |first: Value, second: Value| plays(vec![(ORDER, vec![first.into(), second.into()])]);
    let service = parts(of_us(order(5, "not paid", 9)), of_us(order(5, "paid", 9))).await;
    let noventiq_ = noventiq(&service.url);
    let early = noventiq_.confirm(hint("order.payment.succeeded")).await.expect("read");
    let late = noventiq_.confirm(hint("order.payment.succeeded")).await.expect("read");
    assert!(early.news.is_empty() && early.id != late.id, "{early:?} {late:?}");
    assert!(matches!(&late.news[..], [News::Payment(_)]), "{late:?}");
    let service = parts(order(5, "paid", 9), order(5, "paid", 9)).await;
    let other = noventiq(&service.url).confirm(hint("order.payment.succeeded")).await;
    assert!(other.expect("read").news.is_empty(), "of somebody else, or found by its link");
}

#[test]
fn what_is_charged_once_is_one_of_its_kind_and_odd_answers_stay_out() {
    let template = Template { delivery: vec![delivery("ship", "6")], per_buyer: 3, ..template() };
    let mut play = Play::open(template);
    let claim = Claim { delivery: Some("ship".to_owned()), ..Play::claim_of("ana") };
    let ana = play.claims(claim).expect("free");
    let mut hold = play.hold(ana).clone();
    hold.units = 3;
    hold.delivery = Some("ship".to_owned());
    hold.answers = [
        (Ask::Name, "Ana Maria Silvá".to_owned()),
        (Ask::Email, "aná@example.org".to_owned()),
        (Ask::Phone, "+44 1".to_owned()),
    ]
    .into();
    let options = Options { product_id: 1, delivery_product_id: Some(2), ..Options::default() };
    let plan = Names::of(&settings("http://127.0.0.1:9")).plan(&play.sale, &hold, &options);
    let products = plan.request["products"].as_array().expect("a list");
    let shown = |n: usize| (products[n]["price"].clone(), products[n]["quantity"].clone());
    assert_eq!(shown(0), (json!("18.00"), json!(3)));
    assert_eq!(shown(1), (json!("6.00"), json!(1)));
    let customer = json!({ "first_name": "Ana Maria", "last_name": "Silvá", "phone": "+44 1",
                           "type": "physical" });
    assert_eq!(plan.request["customer"], customer);
}

#[tokio::test]
async fn a_login_that_got_lost_bars_nobody_and_a_refused_one_is_remembered_for_a_moment() {
    for (said, tries) in [(no(503), 2), (Answer::Bytes(b""), 2), (no(401), 1)] {
        let service = Service::plays([
            (LOGIN, vec![said, json!({ "token": "t" }).into()]),
            (SEARCH, found(&[])),
        ])
        .await;
        let noventiq = noventiq(&service.url);
        let ask = ask(NOW, NOW);
        assert!(noventiq.status(&ask).await.is_err());
        assert_eq!(noventiq.status(&ask).await.is_ok(), tries == 2);
        assert_eq!(service.bodies(LOGIN).len(), tries);
    }
}
