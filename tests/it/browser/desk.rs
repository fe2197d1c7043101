//! The owner at the desk.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::driver::{Person, Wish};
use crate::{
    desk::{Shut, TOKEN, desk_setup},
    world::{MUG, World, mins},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_owner_logs_in_starts_a_sale_and_takes_up_what_was_given_up() {
    let mut setup = desk_setup(MUG);
    let shut = Arc::new(AtomicBool::new(true));
    let switch = shut.clone();
    setup.wrap_platform = Arc::new(move |inner| Arc::new(Shut { inner, shut: switch.clone() }));
    let mut world = World::build(&setup).await;
    let owner = Person::with(&world, Wish { wide: true, ..Wish::default() }).await;
    owner.opens(&world, "/desk").await;
    owner.types(&world, "token", "a-guess").await;
    owner.presses(&world, "Log in").await;
    owner.sees(&world, "Wrong token.").await;
    owner.types(&world, "token", TOKEN).await;
    owner.presses(&world, "Log in").await;
    owner.sees(&world, "None so far.").await;
    owner.types(&world, "line", "start mug 10m").await;
    owner.presses(&world, "Run").await;
    owner.sees(&world, "Preparing #1").await;
    owner.opens(&world, "/desk").await;
    owner.sees(&world, "the room is closed to us").await;
    shut.store(false, Ordering::SeqCst);
    world.heard();
    owner.presses(&world, "Try again").await;
    owner.sees_no(&world, "Waits for a person").await;
    let said = world.heard();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    world.clicks("ana").await;
    world.pays("ana").await;
    owner.presses(&world, "#1 Fern Mug").await;
    owner.sees(&world, "$18 kept").await;
    owner.presses(&world, "Back to the desk").await;
    owner.presses(&world, "Log out").await;
    owner.sees(&world, "Token").await;
    owner.opens(&world, "/desk").await;
    assert_eq!(owner.at(&world).await, "/desk/login");
    owner.leaves(&world).await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
