//! The machine's clock is set while a sale runs.

use livetill::{
    announce::clock::Jump,
    clock::{Clock, SystemClock},
    view::State,
};

use crate::world::{MUG, World, mins};

#[tokio::test]
async fn setting_the_machines_clock_moves_no_sale_and_is_told_once() {
    for (by, says) in [(-3_600_000, "set 1 h back"), (3_600_000, "set 1 h forward")] {
        let mut world = World::new(MUG).await;
        world.says("!sale start mug 10m").await;
        let (mut jump, clock) = (Jump::default(), world.clock.clone());
        world.clock.set_machine(by);
        world.app.announcer.look_at_clock(&mut jump).await;
        let told = world.heard().join("\n");
        assert!(told.contains(says) && told.contains("What runs keeps its time"), "{told}");
        world.app.announcer.look_at_clock(&mut jump).await;
        assert!(world.heard().is_empty(), "once");
        // Signatures are of the machine's time, on both sides.
        world.clicks("ana").await;
        world.pays("ana").await;
        assert_eq!(world.newest().paid, 1);
        world.advance(mins(9)).await;
        world.app.announcer.look_at_clock(&mut jump).await;
        assert_eq!(world.newest().state, State::Open);
        assert_eq!(clock.wall().millis() - clock.now().millis(), by, "not while a sale runs");
        world.advance(mins(2)).await;
        assert_eq!(world.newest().state, State::Ended);
        world.app.announcer.look_at_clock(&mut jump).await;
        assert_eq!(clock.wall(), clock.now(), "nothing runs");
        world.heard();
        world.done().await;
    }
}

#[tokio::test]
async fn a_small_correction_is_followed_by_and_by_without_a_word() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let (mut jump, clock) = (Jump::default(), world.clock.clone());
    world.clock.set_machine(-250);
    for apart in [-150, -50, 0, 0] {
        world.app.announcer.look_at_clock(&mut jump).await;
        assert_eq!(clock.wall().millis() - clock.now().millis(), apart);
    }
    assert!(world.heard().is_empty());
    world.says("!sale stop").await;
    world.advance(mins(2)).await;
    world.heard();
    world.done().await;
}

#[test]
fn the_computers_clock_goes_on_by_itself() {
    let (first, second) = (SystemClock.now(), SystemClock.now());
    assert!(first <= second);
    assert!((SystemClock.wall().millis() - second.millis()).abs() < 120_000);
}
