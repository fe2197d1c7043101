//! The database's clock is set while programs run on it.

use livetill::{
    announce::clock::Jump,
    clock::{Clock, Timestamp},
};
use sqlx::{AnyConnection, Executor, query};

use crate::{
    database::{Database, Engine},
    world::{MUG, ManualClock, Setup, World, mins},
};

const HOUR_MS: i64 = 3_600_000;

/// A database whose clock says what a test wrote there.
struct BentClock(AnyConnection);

impl BentClock {
    async fn of(database: &Database, at: Timestamp) -> Self {
        let mut db = database.raw().await;
        let name = database.url().rsplit('/').next().expect("a name").to_owned();
        for statement in [
            "create schema bent".to_owned(),
            "create table bent.clock (ms bigint not null)".to_owned(),
            "create function bent.clock_timestamp() returns timestamptz language sql volatile as \
             'select to_timestamp(ms / 1000.0) from bent.clock'"
                .to_owned(),
            format!("insert into bent.clock values ({})", at.millis()),
            format!("alter database {name} set search_path = public, bent, pg_catalog"),
        ] {
            db.execute(sqlx::AssertSqlSafe(statement)).await.expect("prepares the clock");
        }
        Self(db)
    }

    async fn moves(&mut self, ms: i64) {
        let change = query("update bent.clock set ms = ms + $1").bind(ms);
        change.execute(&mut self.0).await.expect("moves");
    }
}

async fn beats(world: &World) {
    world.app.replica.clone().expect("there may be others").beat().await.expect("the store");
}

/// A further program whose machine's clock shows that time.
async fn another(setup: &Setup, at: Timestamp) -> World {
    let clock = ManualClock::new();
    clock.shift(at.millis() - clock.now().millis());
    let setup = Setup { clock, database: setup.database.clone(), ..Setup::on(Engine::Sqlite, MUG) };
    let world = World::build(&setup).await;
    world.app.engine.share();
    world
}

#[tokio::test]
async fn setting_the_databases_clock_moves_no_sale_and_it_is_followed_when_nothing_runs() {
    let setup = Setup::on(Engine::Postgres, MUG);
    let start = setup.clock.now();
    let mut database = BentClock::of(&setup.database, start).await;
    let mut here = World::build(&setup).await;
    here.app.engine.share();
    let there = another(&setup, start).await;
    for world in [&here, &there] {
        beats(world).await;
        assert!(world.app.engine.may_act());
    }
    here.says("!sale start mug 10m").await;
    here.clicks("ana").await;
    for by in [-HOUR_MS, 2 * HOUR_MS, -1_200, HOUR_MS] {
        database.moves(by).await;
        for world in [&here, &there] {
            beats(world).await;
            assert_eq!(world.clock.now(), start, "a program's own time goes on");
            assert!(world.app.engine.may_act(), "{:?}", world.app.engine.trouble());
        }
    }
    // Together two hours less 1.2 s. A program that comes now takes the time of the others.
    let stored = 2 * HOUR_MS - 1_200;
    let late = another(&setup, Timestamp::from_millis(start.millis() + stored)).await;
    beats(&late).await;
    assert_eq!(late.clock.now(), start);
    assert!(late.app.engine.may_act());
    // One whose machine's clock is another altogether is still not trusted.
    let wrong = another(&setup, Timestamp::from_millis(start.millis() + HOUR_MS)).await;
    beats(&wrong).await;
    assert!(!wrong.app.engine.may_act());

    let follows = async |world: &World| {
        let replica = world.app.replica.clone().expect("there may be others");
        replica.follow_database().await.expect("the store")
    };
    assert!(!follows(&there).await, "a sale runs");
    here.says("!sale stop").await;
    here.says("!sale yes").await;
    for _ in 0..8 {
        here.clock.advance(mins(1));
        for world in [&there, &late, &wrong] {
            world.clock.advance(mins(1));
        }
        database.moves(60_000).await;
        beats(&here).await;
        here.settle().await;
    }
    beats(&there).await;
    assert!(follows(&there).await, "nothing runs");
    let now = start + mins(8);
    for world in [&there, &here, &late] {
        beats(world).await;
        assert_eq!(world.clock.now(), Timestamp::from_millis(now.millis() + stored));
        assert!(world.app.engine.may_act());
    }
    assert!(!follows(&here).await, "it is followed already");
    here.heard();
    for world in [here, there, late, wrong] {
        world.app.stop().await;
    }
}

#[tokio::test]
async fn a_machine_whose_clock_is_set_is_told_and_not_followed() {
    let setup = Setup::on(Engine::Postgres, MUG);
    let _database = BentClock::of(&setup.database, setup.clock.now()).await;
    let mut world = World::build(&setup).await;
    world.app.engine.share();
    beats(&world).await;
    let start = world.clock.now();
    let mut jump = Jump::default();
    world.clock.set_machine(-HOUR_MS);
    for _ in 0..2 {
        world.app.announcer.look_at_clock(&mut jump).await;
        beats(&world).await;
        assert_eq!(world.clock.now(), start);
        assert!(world.app.engine.may_act());
    }
    let told = world.heard();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("go by the database's clock"), "{told:?}");
    world.app.stop().await;
}
