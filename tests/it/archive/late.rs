//! What is said of an archived sale: money that nobody knew of goes before a person, and what is
//! said again or goes back is booked as ever.

use livetill::{
    clock::Clock,
    id::PaymentId,
    provider::News,
    sale::payment::{RefundFact, RefundStatus},
};

use super::{CONFIG, LONG, archives, books, evening, report, sums};
use crate::{
    database::Engine,
    square::shop::{MUG, Shop},
    world::{Setup, World, mins},
};

#[tokio::test]
async fn a_late_payment_goes_before_a_person() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        world.clock.advance(LONG);
        assert_eq!(archives(&world).await, 1);
        let before = report(&world, id).await;
        // The provider had said that this page was closed.
        assert!(world.pay_now("fred").await, "the page can be paid");
        world.settle().await;
        let said = world.heard();
        let told = "came in after this sale was archived";
        assert_eq!(said.iter().filter(|line| line.contains(told)).count(), 1, "{said:#?}");
        let after = report(&world, id).await;
        assert_eq!((after.sold, after.kept), (before.sold, before.kept));
        assert_eq!(after.undecided.minor, 1800, "{after:#?}");
        assert_eq!(after.gross.minor, before.gross.minor + 1800);
        assert_eq!(after.payments.iter().filter(|row| row.fate == "person").count(), 1);
        // It stays there, however old the sale is.
        assert_eq!(archives(&world).await, 0);
        assert_eq!(report(&world, id).await.undecided.minor, 1800, "{engine:?}");
        let why = world.says("!sale why #1 pay_").await;
        assert!(why[0].contains("archived since"), "{why:?}");
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_payment_without_our_reference_is_never_taken_for_a_strangers() {
    let mut world = World::new(CONFIG).await;
    let id = evening(&mut world).await;
    let (sale, _) = books(&world, id).await;
    let paid = sale.payments().next().expect("Ana's").fact.clone();
    world.clock.advance(LONG);
    archives(&world).await;
    // The same money, told as some providers do: by its own id, without whose it was.
    let before = sums(&report(&world, id).await);
    let again = livetill::sale::payment::PaymentFact { hold: None, checkout: None, ..paid };
    world.app.engine.take("sandbox", News::Payment(again), None).await.expect("taken");
    assert_eq!(sums(&report(&world, id).await), before);
    assert!(world.app.engine.store().unmatched().await.expect("reads").is_empty());
    assert!(world.heard().is_empty(), "nothing is new");
    world.app.stop().await;
}

#[tokio::test]
async fn what_goes_back_late_is_booked_as_ever() {
    for engine in Engine::ALL {
        let mut world = World::build(&Setup::on(engine, CONFIG)).await;
        let id = evening(&mut world).await;
        let (sale, _) = books(&world, id).await;
        let kept = sale.payments().find(|one| one.fate.word() == "kept").expect("Ana's").clone();
        world.clock.advance(LONG);
        archives(&world).await;
        let before = report(&world, id).await;
        let back = |refund: &str, status, amount| {
            News::Refund(RefundFact {
                payment: PaymentId::from(kept.fact.id.as_str()),
                refund: Some(refund.to_owned()),
                status,
                amount: Some(amount),
                says: None,
                as_of: Some(world.clock.now()),
            })
        };
        let engine_of = world.app.engine.clone();
        for news in [
            back("r1", RefundStatus::Done, 500),
            back("r1", RefundStatus::Done, 500),
            back("r2", RefundStatus::Done, 100),
        ] {
            engine_of.take("sandbox", news, None).await.expect("taken");
        }
        let after = report(&world, id).await;
        assert_eq!(after.refunded.minor, before.refunded.minor + 600, "{engine:?}");
        assert_eq!(after.kept.minor, before.kept.minor - 600);
        assert_eq!(after.sold, before.sold);
        let (sale, journal) = books(&world, id).await;
        assert!(livetill::report::prove(&sale, &journal).wrong.is_empty());
        // A dispute: the money may be gone.
        let dispute = back("d1", RefundStatus::Unknown, 3600);
        engine_of.take("sandbox", dispute, None).await.expect("taken");
        world.settle().await;
        assert_eq!(report(&world, id).await.undecided.minor, kept.fact.amount.minor - 600);
        assert!(!world.heard().is_empty(), "a person hears of it");
        world.app.stop().await;
    }
}

/// Square tells a payment by its order alone; whose it is stands on the order there.
#[tokio::test]
async fn a_late_payment_told_by_its_order_alone_goes_before_a_person() {
    let mut shop = Shop::new(MUG).await;
    shop.opens().await;
    for who in ["ana", "bo"] {
        shop.world.clicks(who).await;
    }
    shop.pays("ana").await;
    let order = shop.order_of("bo");
    shop.world.advance(mins(15)).await;
    shop.asks().await;
    shop.world.runs_out().await;
    shop.world.heard();
    let id = shop.world.newest().id;
    shop.world.clock.advance(LONG);
    assert_eq!(archives(&shop.world).await, 1);
    let before = report(&shop.world, id).await;
    shop.square.books().pay(&order);
    shop.deliver().await;
    shop.asks().await;
    let said = shop.world.heard();
    let told = "came in after this sale was archived";
    assert_eq!(said.iter().filter(|line| line.contains(told)).count(), 1, "{said:#?}");
    let after = report(&shop.world, id).await;
    assert_eq!((after.kept, after.sold), (before.kept, before.sold));
    assert_eq!(after.undecided.minor, 1800);
    shop.world.app.stop().await;
}
