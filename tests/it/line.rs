//! The second chance: a line for what comes free again.

use crate::world::{Answer, MUG, World, mins, secs};

/// Everything held by three buyers, and these wait in line, in this order.
async fn with_line(waiting: &[&str]) -> World {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    for buyer in ["ana", "ben", "cleo"] {
        assert_eq!(world.clicks(buyer).await.status, 303);
    }
    for who in waiting {
        let answer = joins(&mut world, who).await;
        assert_eq!(answer.status, 303);
        assert!(answer.location.expect("a page").starts_with("/holds/"));
    }
    world
}

async fn joins(world: &mut World, who: &str) -> Answer {
    let url = world.url(&format!("/sales/{}/line", world.newest().id));
    world.posts(who, &url, &[]).await
}

/// The buyer's own page, as they see it now.
async fn page(world: &mut World, who: &str) -> String {
    let at = world.browser(who).at.expect("was sent somewhere");
    let url = world.url(&at);
    world.looks(who, &url).await.text
}

async fn presses(world: &mut World, who: &str, what: &str) -> Answer {
    let at = world.browser(who).at.expect("was sent somewhere");
    let url = world.url(&format!("{at}/{what}"));
    world.posts(who, &url, &[]).await
}

async fn lets_go(world: &mut World, who: &str) {
    // The buyer's page is where the sale's page leads them.
    let sale = format!("/sales/{}", world.newest().id);
    let shown = world.looks(who, &sale).await.text;
    let at = shown.split("href=\"/holds/").nth(1).expect("a link to the hold");
    let token = at.split('"').next().expect("a token").to_owned();
    let url = world.url(&format!("/holds/{token}/release"));
    assert_eq!(world.posts(who, &url, &[]).await.status, 303);
}

#[tokio::test]
async fn what_comes_free_is_offered_in_turn_and_can_be_paid() {
    let mut world = with_line(&["dora", "emil"]).await;
    let sale = format!("/sales/{}", world.newest().id);
    let shown = world.looks("fay", &sale).await.text;
    assert!(
        shown.contains("Wait in line") && shown.contains("2 people are ahead of you"),
        "{shown}"
    );
    assert!(page(&mut world, "dora").await.contains("You are next"));
    assert!(page(&mut world, "emil").await.contains("One person is ahead of you"));

    lets_go(&mut world, "ana").await;
    assert!(page(&mut world, "dora").await.contains("One is free"));
    assert!(page(&mut world, "emil").await.contains("You are next"));
    // It is kept for dora: nobody walks past the line.
    assert_eq!(world.clicks("fay").await.status, 409);

    let to = presses(&mut world, "dora", "accept").await;
    assert_eq!(to.status, 303);
    world.pays("dora").await;
    assert_eq!(world.newest().paid, 1);
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn an_offer_that_is_not_taken_goes_to_the_next() {
    let mut world = with_line(&["dora", "emil"]).await;
    lets_go(&mut world, "ben").await;
    world.advance(secs(74)).await;
    assert!(page(&mut world, "dora").await.contains("One is free"));
    world.advance(secs(1)).await;
    assert!(page(&mut world, "dora").await.contains("went to the next in line"));
    assert!(page(&mut world, "emil").await.contains("One is free"));
    // Too late is too late, and harmless.
    assert_eq!(presses(&mut world, "dora", "accept").await.status, 303);
    // Emil does not want it either: it is free for everybody.
    presses(&mut world, "emil", "release").await;
    assert_eq!(world.newest().left, 1);
    assert_eq!(world.clicks("fay").await.status, 303);
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn leaving_costs_one_tap_and_the_end_sends_everybody_home() {
    let mut world = with_line(&["dora", "emil"]).await;
    presses(&mut world, "dora", "release").await;
    assert!(page(&mut world, "dora").await.contains("You left the line"));
    assert!(page(&mut world, "emil").await.contains("You are next"));
    // Their holds run out at 3 min; emil is offered one and never looks.
    world.advance(mins(10)).await;
    assert_eq!(world.newest().state.word(), "ended");
    assert_eq!(world.newest().waiting, 0);
    world.advance(mins(4)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_place_in_line_is_one_a_person_and_never_before_it_is_needed() {
    let mut world = with_line(&["dora"]).await;
    let first = world.browser("dora").at;
    joins(&mut world, "dora").await;
    assert_eq!(world.browser("dora").at, first, "the same place");
    assert_eq!(world.newest().waiting, 1);
    presses(&mut world, "dora", "release").await;
    lets_go(&mut world, "ana").await;
    // Something is free: joining the line is claiming it.
    let answer = joins(&mut world, "gus").await;
    assert!(answer.location.expect("a page").contains("/sandbox/pay/"));
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}
