//! Nothing is archived unless it is asked for, and what is asked for must be long enough.

use std::process::Command;

use livetill::{
    broom,
    clock::{Clock, Span},
    config::Config,
};
use tokio_util::sync::CancellationToken;

use super::{CONFIG, LONG, evening, rows};
use crate::world::{World, eventually};

/// A month of sweeps with that setting; the rows that are left.
async fn month(after: Option<Span>, wanted: impl Fn(&[i64; 4]) -> bool) -> [i64; 4] {
    let mut world = World::new(CONFIG).await;
    evening(&mut world).await;
    world.clock.advance(LONG);
    let stop = CancellationToken::new();
    let sweeps = tokio::spawn(broom::run(world.app.engine.clone(), after, stop.clone()));
    let mut hours = 0;
    eventually("it is swept", async || {
        world.clock.advance(Span::from_mins(10));
        hours += 1;
        hours > 200 && wanted(&rows(&world).await)
    })
    .await;
    stop.cancel();
    sweeps.await.expect("no panic");
    let left = rows(&world).await;
    world.app.stop().await;
    left
}

#[tokio::test]
async fn nothing_goes_unless_it_is_asked_for() {
    let after = Config::default().store.archive_after();
    assert_eq!(after, None);
    let left = month(after, |_| true).await;
    assert!(left[0] == 5 && left[1] == 5 && left[2] > 10, "{left:?}");
}

#[tokio::test]
async fn the_sweep_archives_where_it_is_asked_for() {
    let after = Some(livetill::config::ARCHIVE_AFTER_MIN);
    assert_eq!(month(after, |left| *left == [0, 0, 1, 4]).await, [0, 0, 1, 4]);
}

/// Many a shop runs the program for its shows alone: never for an hour at a time.
#[tokio::test]
async fn a_program_that_runs_for_minutes_archives_as_well() {
    let mut world = World::new(CONFIG).await;
    evening(&mut world).await;
    world.clock.advance(LONG);
    let (stop, after) = (CancellationToken::new(), Some(livetill::config::ARCHIVE_AFTER_MIN));
    let sweeps = tokio::spawn(broom::run(world.app.engine.clone(), after, stop.clone()));
    let begun = world.clock.now();
    eventually("it is archived", async || {
        world.clock.advance(Span::from_secs(1));
        rows(&world).await == [0, 0, 1, 4]
    })
    .await;
    let took = world.clock.now().since(begun);
    stop.cancel();
    sweeps.await.expect("no panic");
    world.app.stop().await;
    assert!(took < Span::from_mins(30), "{took}");
}

#[test]
fn less_than_ninety_days_is_refused_in_a_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let check = |after: &str| {
        let text = format!("[store]\narchive_after = \"{after}\"\n{}", crate::world::MUG);
        std::fs::write(dir.path().join("config.toml"), text).expect("written");
        let program = Command::new(env!("CARGO_BIN_EXE_livetill"))
            .arg("check")
            .current_dir(dir.path())
            .output()
            .expect("runs");
        let said = [program.stdout, program.stderr].concat();
        (program.status.code(), String::from_utf8(said).expect("text"))
    };
    let (code, said) = check("2159h");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("store.archive_after: 2159h is too short"), "{said}");
    assert!(said.contains("2160h (90 days)"), "{said}");
    let (code, said) = check("2160h");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check("90d");
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = check("9601h");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("9600h (400 days) at most"), "{said}");
}
