//! What one network may have of a sale, by whatever way: honest neighbours are let in, nobody gets
//! more than half.

use std::fmt::Write;

use crate::world::{MUG, World, client, mins};

async fn behind_a_proxy(stock: u32) -> World {
    let template = MUG
        .replace("stock = 3", &format!("stock = {stock}"))
        .replace("max_stock = 10", "max_stock = 2000");
    let mut world =
        World::new(&format!("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n{template}")).await;
    world.says("!sale start mug 10m").await;
    world
}

/// What somebody without a cookie at that address is answered: the status, and where it leads or
/// what it says.
async fn posts(world: &World, from: &str, path: &str) -> (u16, String) {
    let request = client().post(world.url(path)).header("x-forwarded-for", from);
    let answer = world.during(async move {
        let answer = request.send().await.expect("answers");
        let to = answer.headers().get("location").map(|to| to.to_str().expect("text").to_owned());
        (answer.status().as_u16(), to, answer.text().await.expect("a body"))
    });
    let (status, to, text) = answer.await;
    (status, to.unwrap_or(text))
}

async fn claims(world: &World, from: &str) -> u16 {
    let path = format!("/sales/{}/holds", world.newest().id);
    posts(world, from, &path).await.0
}

async fn ends(mut world: World) {
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn people_behind_one_carrier_get_theirs_and_never_more_than_half() {
    let world = behind_a_proxy(20).await;
    let mut had = 0;
    // The first entry is the client's own word, so changing it changes nothing.
    for n in 0..14 {
        had += u32::from(claims(&world, &format!("9.9.9.{n}, 203.0.113.7")).await == 303);
    }
    assert_eq!(had, 10, "half of twenty");
    let path = format!("/sales/{}/holds", world.newest().id);
    let (status, says) = posts(&world, "203.0.113.7", &path).await;
    assert_eq!(status, 409);
    assert!(says.contains("mobile data"), "it says what an honest person can do: {says}");
    // Another address still has its first few when stock runs short, and no more.
    let other: Vec<u16> =
        [claims(&world, "203.0.113.8").await, claims(&world, "203.0.113.8").await]
            .into_iter()
            .chain([claims(&world, "203.0.113.8").await, claims(&world, "203.0.113.8").await])
            .collect();
    assert_eq!(other, [303, 303, 303, 409]);
    ends(world).await;
}

#[tokio::test]
async fn all_behind_a_proxy_on_this_machine_that_is_not_listed_are_one() {
    let template =
        MUG.replace("stock = 3", "stock = 20").replace("max_stock = 10", "max_stock = 2000");
    let mut world = World::new(&template).await;
    world.says("!sale start mug 10m").await;
    let mut had = 0;
    for n in 0..14 {
        had += u32::from(claims(&world, &format!("203.0.113.{n}")).await == 303);
    }
    assert_eq!(had, 10, "half of twenty");
    // Without a proxy it is the shop's own machine.
    assert_eq!(world.clicks("ana").await.status, 303);
    ends(world).await;
}

#[tokio::test]
async fn narrow_networks_of_one_wide_one_share_a_bound() {
    let world = behind_a_proxy(20).await;
    let mut had = 0;
    for n in 0..24 {
        let from = format!("2001:db8:1:{:x}::{n}", n % 8);
        had += u32::from(claims(&world, &from).await == 303);
    }
    assert_eq!(had, 10, "eight networks of one household have half of twenty together");
    assert_eq!(claims(&world, "2001:db8:2::1").await, 303, "another has its own");
    ends(world).await;
}

#[tokio::test]
async fn the_waitlist_is_no_way_around_the_bound() {
    let mut world = behind_a_proxy(3).await;
    for n in 0..3 {
        assert_eq!(claims(&world, &format!("198.51.100.{n}")).await, 303);
    }
    let path = format!("/sales/{}/line", world.newest().id);
    let mut places = Vec::new();
    for _ in 0..30 {
        let (status, to) = posts(&world, "203.0.113.7", &path).await;
        if status == 303 {
            places.push(to);
        }
    }
    assert_eq!(places.len(), 21, "the waitlist is bounded for each address");
    let (status, neighbour) = posts(&world, "203.0.113.8", &path).await;
    assert_eq!(status, 303, "others still join");

    world.says("!sale restock 25").await;
    world.settle().await;
    let mut accepted = String::new();
    for place in &places {
        let (status, to) = posts(&world, "203.0.113.7", &format!("{place}/accept")).await;
        write!(accepted, "{status} {to}; ").expect("written");
    }
    let view = world.newest();
    let half = view.stock / 2;
    let paying = accepted.matches("/sandbox/pay/").count();
    assert!(
        paying <= half as usize && view.held <= 3 + half + 1,
        "{paying} of {} by the waitlist: {accepted}",
        view.stock
    );
    let (_, to) = posts(&world, "203.0.113.8", &format!("{neighbour}/accept")).await;
    assert!(to.contains("/sandbox/pay/"), "who stood behind them was not kept waiting: {to}");
    ends(world).await;
}
