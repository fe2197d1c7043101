//! Killed at any moment while a sale is archived, and archived by several at once: whatever comes
//! of it, a sale is whole or archived, once, and its totals are right.

use std::time::Duration;

use livetill::sale::event::Event;

use super::{CONFIG, LONG, archives, books, evening, report, rows, sums};
use crate::{
    crash::{Count, Fuse, setup},
    database::Engine,
    world::{Setup, World},
};

/// Runs it in a runtime of its own, so that nothing of it survives.
fn life<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

/// Archives with a crash after `n` steps; whether the crash came.
fn killed_after(engine: Engine, n: i64) -> bool {
    let base = Setup::on(engine, CONFIG);
    let (id, before, all) = life(async {
        let mut world = World::build(&base).await;
        let id = evening(&mut world).await;
        let before = sums(&report(&world, id).await);
        let all = rows(&world).await;
        world.app.stop().await;
        world.app.engine.store().close().await;
        (id, before, all)
    });
    base.clock.advance(LONG);
    let fuse = Fuse::new(n);
    let crashed = life(async {
        let fused = setup(CONFIG, Count::Commits, &fuse, &base);
        let world = World::build(&fused).await;
        tokio::select! {
            _ = archives(&world) => false,
            () = fuse.blown.notified() => true,
        }
    });
    life(async {
        let world = World::build(&base).await;
        let found = report(&world, id).await;
        assert_eq!(sums(&found), before, "{engine:?} after {n}");
        if found.archived.is_none() {
            assert_eq!(rows(&world).await, all, "{engine:?} after {n}: all or nothing");
        }
        archives(&world).await;
        assert_eq!(rows(&world).await, [0, 0, 1, 4], "{engine:?} after {n}");
        assert_eq!(sums(&report(&world, id).await), before);
        let docs = world.app.engine.store().docs("sandbox_page", None).await.expect("reads");
        assert_eq!(docs.len(), 1, "only the page that can still be paid is left: {docs:#?}");
        world.app.stop().await;
    });
    crashed
}

#[test]
fn killed_at_any_step_a_sale_is_whole_or_archived() {
    for engine in Engine::ALL {
        let crashes = (1..50).take_while(|n| killed_after(engine, *n)).count();
        assert!(crashes >= 4, "{engine:?}: {crashes}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_at_once_archive_each_sale_once() {
    let base =
        Setup::on(Engine::Postgres, &CONFIG.replace("warm = 0", "warm = 0\nsales_per_hour = 50"));
    let mut one = World::build(&base).await;
    let mut sales = Vec::new();
    for _ in 0..6 {
        sales.push(evening(&mut one).await);
    }
    let mut before = Vec::new();
    for sale in &sales {
        before.push(sums(&report(&one, *sale).await));
    }
    let two = World::build(&base).await;
    base.clock.advance(LONG);
    let (first, second) = tokio::join!(archives(&one), archives(&two));
    assert!(first + second >= 6, "{first} {second}");
    assert_eq!(rows(&one).await, [0, 0, 6, 24]);
    for (sale, before) in sales.iter().zip(before) {
        for world in [&one, &two] {
            assert_eq!(sums(&report(world, *sale).await), before);
            let (_, journal) = books(world, *sale).await;
            let archived = |event: &Event| matches!(event, Event::Archived(_));
            let times = journal.iter().filter(|line| line.event.as_deref().is_some_and(archived));
            assert_eq!(times.count(), 1, "once");
        }
    }
    one.heard();
    one.app.stop().await;
    two.app.stop().await;
}
