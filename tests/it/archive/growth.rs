//! A file that is filled and archived again and again grows by heads and payments alone: what was
//! freed is used again.

use livetill::broom;
use sqlx::{Connection, Row, query};
use tokio_util::sync::CancellationToken;

use super::{LONG, archives};
use crate::{
    database::Engine,
    world::{Setup, World, mins, secs},
};

const CONFIG: &str = "
[templates.mug]
title = \"Fern Mug\"
price = \"18.00\"
stock = 60
warm = 0
max_stock = 60
sales_per_hour = 50
[providers.sandbox]
calls_per_second = 100000
[http]
holds_per_address = 100
";

/// Claims in a round, and how many of them are paid.
const CLAIMS: usize = 60;
const PAID: usize = 15;

/// A sale with many claims, all of it over for long.
async fn fill(world: &mut World, round: usize) {
    world.says_quietly("!sale start mug 10m").await;
    for n in 0..CLAIMS {
        let who = format!("buyer {round} {n}");
        assert_eq!(world.clicks(&who).await.status, 303, "{who}");
        if n < PAID {
            world.pays(&who).await;
        }
    }
    world.advance(mins(15)).await;
    world.runs_out().await;
    world.heard();
    world.browsers.clear();
    world.clock.advance(LONG);
}

/// Pages of the file, free ones included.
async fn pages(world: &World) -> i64 {
    let mut db = world.database.raw().await;
    let row = query("pragma page_count").fetch_one(&mut db).await.expect("counts");
    db.close().await.expect("closes");
    row.get("page_count")
}

async fn forgets(world: &World) {
    let (engine, stop) = (world.app.engine.clone(), CancellationToken::new());
    let sweep = tokio::spawn(async move { broom::sweep(&engine, &stop).await });
    while !sweep.is_finished() {
        world.clock.advance(secs(1));
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    sweep.await.expect("no panic").expect("forgets");
}

#[tokio::test]
async fn what_was_freed_is_used_again() {
    const ROUNDS: usize = 5;
    let mut world = World::build(&Setup::on(Engine::Sqlite, CONFIG)).await;
    let empty = pages(&world).await;
    fill(&mut world, 0).await;
    let filled = pages(&world).await;
    let one = filled - empty;
    assert_eq!(archives(&world).await, 1);
    for round in 1..=ROUNDS {
        fill(&mut world, round).await;
        forgets(&world).await;
        assert_eq!(archives(&world).await, 1);
    }
    let grown = pages(&world).await - filled;
    // Unarchived it would be all of each round.
    let stays = 4096 + PAID as i64 * 1536;
    assert!(grown * 4096 < ROUNDS as i64 * stays, "{grown} pages more after {ROUNDS} rounds");
    assert!(stays * 8 / 4096 < one, "that is a small part of a sale's {one} pages");
    world.heard();
    world.app.stop().await;
}
