//! Webhooks: signed, stored, counted once; everything else is turned away and changes nothing.

use livetill::{
    clock::{Clock, Span},
    mac::derive,
    provider::{News, signature::sign_standard},
    sale::payment::{PaymentFact, PaymentStatus},
    store::DocChange,
};
use serde_json::{Value, json};
use sqlx::{Connection, Executor};

use crate::{
    database::Engine,
    world::{MUG, Setup, World, client, mins},
};

struct Sender {
    url: String,
    key: Vec<u8>,
}

impl Sender {
    async fn of(world: &World) -> Self {
        let secret = world.app.engine.store().secret([0; 32]).await.expect("the secret");
        Self { url: world.url("/webhooks/sandbox"), key: derive(&secret, "sandbox webhook") }
    }

    async fn send(&self, world: &World, id: &str, body: &[u8], signature: Option<&str>) -> u16 {
        let now = world.clock.now();
        let right = sign_standard(&self.key, id, now, body);
        let request = client()
            .post(&self.url)
            .header("webhook-id", id)
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", signature.unwrap_or(&right))
            .body(body.to_vec());
        let send = async move { request.send().await.expect("answers").status().as_u16() };
        let status = world.during(send).await;
        if status == 200 {
            book(world, body).await;
        }
        status
    }
}

/// What was told of a payment stands in the sandbox's books, as if it had been made there.
async fn book(world: &World, body: &[u8]) {
    let event: Value = serde_json::from_slice(body).expect("JSON");
    if event["type"] != "payment.completed" {
        return;
    }
    let data = &event["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    let doc = DocChange {
        kind: "sandbox_payment",
        id: text("id"),
        parent: text("page"),
        expected: 0,
        body: Some(json!({
            "page": text("page"), "reference": text("reference"), "amount": data["amount"],
            "refunded": 0, "at": world.clock.now(), "name": null, "address": null,
        })),
    };
    // The same again is there already.
    let _ = world.app.engine.store().put_docs(vec![doc]).await.expect("the store");
}

fn payment(id: &str, hold: Option<&str>, page: Option<&str>, amount: i64) -> Vec<u8> {
    let event = json!({
        "id": format!("event-{id}"),
        "type": "payment.completed",
        "data": {
            "id": id, "page": page, "reference": hold, "refunded": 0, "status": "completed",
            "amount": { "amount": amount, "currency": "USD" }, "at": "2026-01-01T00:01:00Z",
        },
    });
    event.to_string().into_bytes()
}

#[tokio::test]
async fn abuse_is_turned_away_and_changes_nothing() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let sender = Sender::of(&world).await;
    let before = world.newest().revision;
    let good = payment("p1", None, None, 1800);
    let wrong = "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(sender.send(&world, "e", &good, Some(wrong)).await, 401);
    assert_eq!(sender.send(&world, "e", &good, Some("")).await, 401);
    assert_eq!(sender.send(&world, "e", b"not json", None).await, 400);
    assert_eq!(sender.send(&world, "e", b"{}", None).await, 400);
    assert_eq!(
        sender.send(&world, "e", br#"{"id":"x","type":"payment.completed"}"#, None).await,
        400
    );
    assert_eq!(sender.send(&world, "e", &vec![b' '; 1 << 20], None).await, 413);
    // An unknown kind is none of our business, and fine.
    assert_eq!(sender.send(&world, "e", br#"{"id":"x","type":"moon.full"}"#, None).await, 200);
    // Signed too long ago.
    let now = world.clock.now();
    let old = now - Span::from_secs(600);
    let answer = client()
        .post(&sender.url)
        .header("webhook-id", "e")
        .header("webhook-timestamp", old.seconds().to_string())
        .header("webhook-signature", sign_standard(&sender.key, "e", old, &good))
        .body(good.clone())
        .send()
        .await
        .expect("answers");
    assert_eq!(answer.status(), 401);
    let nobody = client().post(world.url("/webhooks/nobody")).body(good).send().await;
    assert_eq!(nobody.expect("answers").status(), 404);
    assert_eq!(world.newest().revision, before);
    assert!(world.app.engine.store().unmatched().await.expect("the store").is_empty());
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn the_same_delivery_counts_once() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.heard();
    let page = world.browser("ana").at.expect("a page");
    let page = page.rsplit('/').next().expect("an id").to_owned();
    let sender = Sender::of(&world).await;
    let body = payment("p1", None, Some(&page), 1800);
    for _ in 0..3 {
        assert_eq!(sender.send(&world, "e1", &body, None).await, 200);
    }
    // Several copies at the same moment, which may be worked off together.
    world.clicks("bo").await;
    world.heard();
    let other = world.browser("bo").at.expect("a page");
    let other = payment("p2", None, other.rsplit('/').next(), 1800);
    let now = world.clock.now();
    let copies: Vec<_> = (0..8)
        .map(|_| {
            let request = client()
                .post(&sender.url)
                .header("webhook-id", "e2")
                .header("webhook-timestamp", now.seconds().to_string())
                .header("webhook-signature", sign_standard(&sender.key, "e2", now, &other))
                .body(other.clone());
            tokio::spawn(async move { request.send().await.expect("answers").status() })
        })
        .collect();
    for copy in copies {
        let status = world.during(async move { copy.await.expect("no panic") }).await;
        assert_eq!(status, 200);
    }
    book(&world, &other).await;
    let view = world.newest();
    assert_eq!((view.paid, view.held), (2, 0));
    let sale = world.app.engine.store().load(view.id).await.expect("the store").expect("the sale");
    assert_eq!(sale.payments().count(), 2);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn what_was_not_stored_is_answered_so_and_taken_when_it_comes_again() {
    let mut world = World::build(&Setup::on(Engine::Sqlite, MUG)).await;
    world.says("!sale start mug 10m").await;
    let sender = Sender::of(&world).await;
    let stray = payment("p1", None, Some("page_unknown"), 1800);
    let mut db = world.database.raw().await;
    let lose = "create trigger lost before insert on payment begin select raise(abort, 'no'); end";
    db.execute(lose).await.expect("made");
    assert_eq!(sender.send(&world, "e1", &stray, None).await, 503);
    let unmatched = async || world.app.engine.store().unmatched().await.expect("the store").len();
    assert_eq!(unmatched().await, 0);
    db.execute("drop trigger lost").await.expect("dropped");
    db.close().await.expect("closes");
    // The provider sends it again: it does not count as heard.
    for _ in 0..2 {
        assert_eq!(sender.send(&world, "e1", &stray, None).await, 200);
        assert_eq!(unmatched().await, 1);
    }
    world.says("!sale stop").await;
    world.app.stop().await;
}

#[tokio::test]
async fn another_amount_is_put_before_a_person() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.heard();
    let page = world.browser("ana").at.expect("a page");
    let page = page.rsplit('/').next().expect("an id").to_owned();
    let sender = Sender::of(&world).await;
    sender.send(&world, "e1", &payment("p1", None, Some(&page), 1), None).await;
    let said = world.heard();
    assert!(
        said[0].contains("payment p1 ($0.01) needs your decision: paid $0.01, expected $18"),
        "{said:?}"
    );
    let view = world.newest();
    assert_eq!((view.paid, view.held), (0, 1), "the unit stays taken");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_payment_that_belongs_to_nothing_is_kept_and_matched_when_its_page_is_known() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let sender = Sender::of(&world).await;
    let stray = payment("p1", None, Some("page_unknown"), 1800);
    assert_eq!(
        sender.send(&world, "e1", &stray, None).await,
        200,
        "money is stored, whatever it is"
    );
    let store = world.app.engine.store();
    assert_eq!(store.unmatched().await.expect("the store").len(), 1);
    assert!(world.looks("ana", "/readyz").await.status == 200);
    // News of a page we know only a moment later.
    world.clicks("ana").await;
    let page = world.browser("ana").at.expect("a page");
    let page = page.rsplit('/').next().expect("an id").to_owned();
    let (known, fact) = world.app.engine.store().unmatched().await.expect("the store").remove(0);
    let fact = PaymentFact { checkout: Some(page.as_str().into()), ..fact };
    assert_eq!((known.as_str(), fact.status), ("sandbox", PaymentStatus::Completed));
    world.app.engine.take("sandbox", News::Payment(fact), None).await.expect("taken");
    assert_eq!(world.newest().paid, 1);
    assert!(world.app.engine.store().unmatched().await.expect("the store").is_empty());
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_reference_of_another_database_is_not_ours() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let sender = Sender::of(&world).await;
    let other = "019b7000000070008000000000000000-1";
    let body = payment("p1", Some(other), None, 1800);
    assert_eq!(sender.send(&world, "e1", &body, None).await, 200);
    assert_eq!(world.app.engine.store().unmatched().await.expect("the store").len(), 1);
    assert_eq!(world.newest().paid, 0);
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn a_payment_on_a_sale_long_closed_is_still_decided() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 1m").await;
    world.clicks("ana").await;
    let page = world.browser("ana").at.expect("a page");
    let page = page.rsplit('/').next().expect("an id").to_owned();
    world.advance(mins(5)).await;
    world.heard();
    assert!(world.newest().closed);
    let sender = Sender::of(&world).await;
    sender.send(&world, "e1", &payment("p1", None, Some(&page), 1800), None).await;
    let view = world.newest();
    assert_eq!((view.paid, view.state.word()), (1, "ended"), "there was stock left: it is kept");
    let sale = world.app.engine.store().load(view.id).await.expect("the store").expect("the sale");
    let payment = sale.payments().next().expect("one");
    assert!(payment.late && payment.fate.word() == "kept");
    assert!(world.heard().is_empty());
    world.done().await;
}

#[tokio::test]
async fn the_public_json_is_what_the_contract_says() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let text = world.looks("ana", "/api/sales/1").await;
    assert_eq!(text.headers["access-control-allow-origin"], "*");
    let body: Value = serde_json::from_str(&text.text).expect("JSON");
    let view = world.newest();
    assert_eq!(
        body,
        json!({
            "id": view.id.to_string(), "number": 1, "template": "mug", "title": "Fern Mug",
            "state": "open", "reason": null, "price": { "amount": 1800, "currency": "USD" },
            "stock": 3, "paid": 0, "held": 0, "left": 3,
            "opened_at": "2026-01-01T00:00:00.000Z", "ends_at": "2026-01-01T00:10:00.000Z",
            "revision": view.revision, "link": world.url("/live"),
        })
    );
    let all: Value =
        serde_json::from_str(&world.looks("ana", "/api/sales").await.text).expect("JSON");
    assert_eq!(all, json!([body]));
    let by_id = world.looks("ana", &format!("/api/sales/{}", view.id)).await.text;
    assert_eq!(by_id, text.text);
    assert_eq!(world.looks("ana", "/api/sales/9").await.status, 404);
    world.says("!sale stop").await;
    world.done().await;
}
