//! One person, one unit: whatever the browser does.

use super::driver::{Person, Wish};
use crate::world::{MUG, World, mins};

async fn on_sale() -> World {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world
}

async fn over(mut world: World, people: impl IntoIterator<Item = Person>) {
    for person in people {
        person.leaves(&world).await;
    }
    world.advance(mins(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_button_that_was_pressed_rests_and_wakes_when_the_page_is_shown_again() {
    let world = on_sale().await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    ana.sees(&world, "3 of 3 left").await;
    // The form stays where it is, so that it can be looked at.
    ana.asks(
        &world,
        "window.sent = 0; addEventListener('submit', (e) => { \
         if (!e.defaultPrevented) window.sent++; e.preventDefault(); }); \
         const b = document.querySelector('form button'); b.click(); b.click();",
    )
    .await;
    ana.until(&world, "document.querySelector('form button').disabled").await;
    ana.asks(&world, "document.querySelector('form button').click()").await;
    assert_eq!(ana.asks(&world, "return window.sent").await, 1);
    ana.asks(&world, "dispatchEvent(new PageTransitionEvent('pageshow'))").await;
    ana.until(&world, "!document.querySelector('form button').disabled").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_presses_in_a_row_make_one_hold_with_a_script_and_without() {
    let world = on_sale().await;
    let press = "const b = document.querySelector('form button'); b.click(); \
                 setTimeout(() => b.click(), 150);";
    let twice = "const f = document.querySelector('form'); f.submit(); \
                 setTimeout(() => f.submit(), 150);";
    let mut people = Vec::new();
    // What sends the form past the page's own script is as good as having none.
    for (n, (how, no_cookies)) in
        [(press, false), (twice, false), (twice, true)].into_iter().enumerate()
    {
        let person = Person::with(&world, Wish { no_cookies, ..Wish::default() }).await;
        person.opens(&world, "/live").await;
        person.sees(&world, "of 3 left").await;
        person.asks(&world, how).await;
        // On a busy machine the second press leads to the page of the hold that the first made.
        person.sees_one_of(&world, &["Pay $18", "Pay to make it yours"]).await;
        assert_eq!(world.newest().held, 1 + u32::try_from(n).expect("small"));
        people.push(person);
    }
    over(world, people).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn back_and_pressing_again_is_the_same_hold_without_cookies_too() {
    let world = on_sale().await;
    let mut people = Vec::new();
    for (n, no_script) in [true, false].into_iter().enumerate() {
        let wish = Wish { no_script, no_cookies: true, ..Wish::default() };
        let person = Person::with(&world, wish).await;
        person.opens(&world, "/live").await;
        person.presses(&world, "Get yours").await;
        person.sees(&world, "Pay $18").await;
        let page = person.at(&world).await;
        person.goes_back(&world).await;
        person.presses(&world, "Get yours").await;
        person.sees(&world, "Pay $18").await;
        assert_eq!(person.at(&world).await, page);
        assert_eq!(world.newest().held, 1 + u32::try_from(n).expect("small"));
        people.push(person);
    }
    over(world, people).await;
}
