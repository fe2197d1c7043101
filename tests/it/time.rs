//! The machine's clock is set while a sale runs.

use livetill::{
    announce::clock::Jump,
    clock::{Clock, SystemClock},
    view::State,
};

use crate::world::{MUG, ManualClock, Setup, World, mins, secs};

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

#[tokio::test]
async fn a_machine_that_comes_up_with_a_clock_far_behind_lengthens_no_sale() {
    let mut setup = Setup::new(MUG);
    let mut world = World::build(&setup).await;
    world.says("!sale start mug 10m").await;
    world.advance(mins(4)).await;
    world.clicks("ana").await;
    let at = setup.clock.now();
    world.app.stop().await;
    drop(world);
    // As after a power cut on a machine without a clock of its own.
    setup.clock = ManualClock::new();
    setup.clock.shift(-30 * 24 * 3_600_000);
    let mut world = World::build(&setup).await;
    assert_eq!(setup.clock.now(), at, "it goes on where it was");
    let left = world.newest().ends_at.expect("open").since(at);
    assert_eq!(left, mins(6));
    // The right time comes by the network: what runs keeps its time.
    setup.clock.set_machine(30 * 24 * 3_600_000 + 60_000);
    world.advance(mins(6) + secs(1)).await;
    assert!(world.newest().state.is_over());
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}
