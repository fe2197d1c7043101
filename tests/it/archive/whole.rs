//! What is not settled, or does not agree, keeps its details however old it is.

use livetill::{
    clock::{Clock, Timestamp},
    id::{PaymentId, SaleId},
    provider::News,
    sale::payment::{PaymentFact, PaymentStatus},
};
use sqlx::{Connection, Executor};

use super::{CONFIG, LONG, archives, books, evening, report, rows};
use crate::{
    database::Engine,
    world::{Setup, World, mins},
};

/// Money on a sale that nobody claimed anything for.
fn stray(id: &str, sale: SaleId, at: Timestamp) -> PaymentFact {
    let amount = livetill::money::Money::new(1800, "USD".parse().expect("a currency"));
    PaymentFact {
        id: PaymentId::from(id),
        hold: Some(livetill::id::HoldId { sale, n: 999 }),
        checkout: None,
        order: None,
        amount,
        tip: 0,
        discount: 0,
        refunded: 0,
        status: PaymentStatus::Completed,
        at,
        link: None,
        fee: None,
        as_of: None,
    }
}

async fn stays(world: &World, id: SaleId, why: &str) {
    let before = (report(world, id).await, rows(world).await);
    world.clock.advance(LONG);
    assert_eq!(archives(world).await, 0, "{why}");
    let (sale, _) = books(world, id).await;
    assert!(sale.head.archived.is_none(), "{why}");
    assert_eq!(rows(world).await, before.1, "{why}");
    let after = serde_json::to_value(report(world, id).await).expect("JSON");
    assert_eq!(after, serde_json::to_value(before.0).expect("JSON"), "{why}");
}

#[tokio::test]
async fn a_payment_before_a_person_keeps_its_sale_whole() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        let fact = stray("pay_stray", id, world.clock.now());
        world.app.engine.take("sandbox", News::Payment(fact.clone()), None).await.expect("taken");
        world.settle().await;
        assert_eq!(report(&world, id).await.undecided.minor, 1800);
        stays(&world, id, "before a person").await;
        // Once it went back, nothing holds the sale any more.
        let back = PaymentFact { refunded: 1800, ..fact };
        world.app.engine.take("sandbox", News::Payment(back), None).await.expect("taken");
        assert_eq!(archives(&world).await, 1, "{engine:?}");
        world.heard();
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_payment_under_way_keeps_its_sale_whole() {
    let mut world = World::new(CONFIG).await;
    let id = evening(&mut world).await;
    let fact = stray("pay_slow", id, world.clock.now());
    let fact = PaymentFact { status: PaymentStatus::Pending, ..fact };
    world.app.engine.take("sandbox", News::Payment(fact), None).await.expect("taken");
    stays(&world, id, "under way").await;
    world.app.stop().await;
}

#[tokio::test]
async fn a_page_that_was_never_closed_keeps_its_sale_whole() {
    for engine in Engine::ALL {
        let config = CONFIG.replace("close_ignored", "close_refused");
        let mut world = World::build(&Setup::on(engine, &config)).await;
        world.says_quietly("!sale start mug 10m").await;
        world.clicks("ana").await;
        world.advance(mins(20)).await;
        world.runs_out().await;
        let id = world.newest().id;
        assert!(books(&world, id).await.0.head.is_closed());
        stays(&world, id, "an open page").await;
        world.heard();
        world.app.stop().await;
    }
}

#[tokio::test]
async fn work_that_is_left_keeps_its_sale_whole() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        let mut db = world.database.raw().await;
        let given_up = format!(
            "insert into outbox (id, sale, lane, target, class, due_at, queued_at, leased_until, \
             token, attempts, generation, parked, why, effect, body) values ('e1', '{id}', 'room:x', \
             'say:twitch', 0, 0, 0, 0, '', 9, 0, 1, 'nobody was there', '{{\"effect\":\"retire\"}}', \
             'null')"
        );
        db.execute(sqlx::AssertSqlSafe(given_up)).await.expect("written");
        stays(&world, id, "work").await;
        db.execute("delete from outbox").await.expect("done");
        db.close().await.expect("closes");
        assert_eq!(archives(&world).await, 1, "{engine:?}");
        world.app.stop().await;
    }
}

#[tokio::test]
async fn books_that_do_not_agree_keep_their_sale_whole() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        let mut db = world.database.raw().await;
        let lost = "delete from journal where revision = (select max(revision) from journal)";
        db.execute(lost).await.expect("lost");
        db.close().await.expect("closes");
        stays(&world, id, "a line of the journal is lost").await;
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_sale_that_cannot_be_read_is_left_alone_and_others_are_archived() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        evening(&mut world).await;
        let mut db = world.database.raw().await;
        let damage = format!("update hold set body = 'nonsense' where sale = '{id}'");
        db.execute(sqlx::AssertSqlSafe(damage)).await.expect("damaged");
        db.close().await.expect("closes");
        world.clock.advance(LONG);
        assert_eq!(archives(&world).await, 1, "{engine:?}");
        let left = rows(&world).await;
        assert!(left[0] == 5 && left[1] == 5, "{left:?}");
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_sale_counts_from_its_end_and_others_get_their_turn() {
    let config = CONFIG.replace("max_stock = 10", "max_stock = 10\nmax_duration = \"200h\"");
    let mut world = World::new(&config).await;
    world.says_quietly("!sale start mug 100h").await;
    let long = world.newest().id;
    world.advance(mins(100 * 60)).await;
    world.runs_out().await;
    evening(&mut world).await;
    // The first one began long enough ago, and did not end so.
    world.clock.advance(livetill::config::ARCHIVE_AFTER_MIN.minus(mins(60)));
    assert_eq!(archives(&world).await, 0);
    assert!(books(&world, long).await.0.head.archived.is_none());
    world.clock.advance(mins(120));
    assert_eq!(archives(&world).await, 2);
    assert_eq!(world.app.engine.store().archived().await.expect("counts"), 2);
    world.heard();
    world.app.stop().await;
}
