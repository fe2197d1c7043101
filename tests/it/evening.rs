//! Whole evenings, told from the outside.

use crate::world::{MUG, World, client, mins, secs};

#[tokio::test]
async fn three_mugs_sell_out() {
    let mut world = World::new(MUG).await;
    let said = world.says("!sale start mug 10m").await;
    let link = world.url("/live");
    assert_eq!(
        said,
        [
            "Preparing #1 Fern Mug · 3 × $18 for 10 min · undo with: !sale undo".to_owned(),
            format!("SALE OPEN · Fern Mug · $18 · 3 left · 10 min · {link}"),
        ]
    );
    for who in ["ana", "bo", "cy"] {
        let answer = world.clicks(who).await;
        assert_eq!(answer.status, 303);
        world.advance(secs(5)).await;
        let paid = world.pays(who).await;
        assert_eq!(paid.status, 303);
        let back = paid.location.expect("sent back");
        assert!(world.looks(who, &back).await.text.contains("$18 is paid, and it is yours"));
    }
    let said = world.heard();
    assert_eq!(
        said.last().map(String::as_str),
        Some("SOLD OUT · Fern Mug · 3 in 15 s · thank you!")
    );
    assert!(said[0].starts_with("Fern Mug: 2 of 3 left"), "{said:?}");
    let view = world.newest();
    assert_eq!((view.state.word(), view.paid, view.left), ("sold_out", 3, 0));
    assert_eq!(world.clicks("dee").await.status, 409);
    world.done().await;
}

#[tokio::test]
async fn a_hold_lapses_and_its_unit_goes_to_the_next() {
    let one = MUG.replace("stock = 3", "stock = 1");
    let mut world = World::new(&one).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let refused = world.clicks("bo").await;
    assert_eq!(refused.status, 409);
    assert!(refused.text.contains("all held"), "{}", refused.text);
    world.advance(mins(3)).await;
    let page = world.browser("ana").at.expect("a page");
    assert_eq!(world.looks("ana", &page).await.status, 410, "closed at the provider");
    assert_eq!(world.clicks("bo").await.status, 303);
    world.pays("bo").await;
    let said = world.heard();
    assert!(said.iter().any(|line| line.starts_with("ALL HELD")), "{said:?}");
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    world.done().await;
}

#[tokio::test]
async fn the_clock_ends_it_and_open_pages_may_still_be_paid() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.advance(mins(9)).await;
    world.clicks("ana").await;
    world.clicks("bo").await;
    world.advance(mins(1)).await;
    let said = world.heard();
    assert_eq!(
        said.last().map(String::as_str),
        Some("ENDED · Fern Mug · 0 of 3 sold, 2 still paying")
    );
    assert_eq!(world.clicks("cy").await.status, 409);
    world.pays("ana").await;
    world.advance(mins(2)).await;
    let page = world.browser("bo").at.expect("a page");
    assert_eq!(world.looks("bo", &page).await.status, 410);
    let view = world.newest();
    assert_eq!((view.state.word(), view.paid, view.held, view.closed), ("ended", 1, 0, true));
    assert!(world.heard().is_empty(), "no second line for what came after the end");
    world.done().await;
}

#[tokio::test]
async fn a_forgotten_sale_ends_on_time_by_itself() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 30s").await;
    world.advance(secs(30)).await;
    assert_eq!(world.heard(), ["ENDED · Fern Mug · 0 of 3 sold"]);
    world.done().await;
}

#[tokio::test]
async fn the_same_browser_keeps_its_hold() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let first = world.clicks("ana").await.location;
    let second = world.clicks("ana").await.location;
    assert_eq!(first, second);
    assert_eq!(world.newest().held, 1);
    let page = world.looks("ana", "/live").await;
    assert!(page.text.contains("One is reserved for you. It is not paid yet."));
    world.advance(mins(12)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_buyer_lets_go_and_somebody_else_gets_it() {
    let one = MUG.replace("stock = 3", "stock = 1");
    let mut world = World::new(&one).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let page = world.looks("ana", "/live").await.text;
    let token = page.split("/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let release = world.url(&format!("/holds/{}/release", token.expect("a link")));
    let answer = world.posts("ana", &release, &[]).await;
    assert_eq!(answer.status, 303);
    let back = world.url(&answer.location.expect("back"));
    assert!(world.looks("ana", &back).await.text.contains("You cancelled. You were not charged."));
    assert_eq!(world.clicks("bo").await.status, 303);
    world.pays("bo").await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn another_browser_with_the_kept_link_makes_no_second_hold() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let page = world.looks("ana", "/live").await.text;
    let token = page.split("/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let link = world.url(&format!("/holds/{}", token.expect("a link")));
    let elsewhere = world.looks("ana's safari", &link).await;
    assert!(elsewhere.text.contains("Pay now"), "{}", elsewhere.text);
    assert_eq!(world.newest().held, 1);
    world.advance(mins(12)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_shared_page_sells_and_gives_the_surplus_back() {
    let shared = MUG.replace("stock = 3", "stock = 1\ncheckout = \"shared\"");
    let mut world = World::new(&shared).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await;
    assert_eq!(page.status, 302);
    let mut browser = world.browser("discord");
    let live = world.url("/live");
    let bot = client().get(&live).header("user-agent", "Discordbot/2.0");
    let seen = world.during(async move { browser.send(bot).await }).await;
    assert!(seen.status == 200 && seen.text.contains("og:title"), "{seen:?}");
    world.looks("bo", "/live").await;
    // Both are on the page before either pays.
    let (ana, bo) = (world.browser("ana").at, world.browser("bo").at);
    assert_eq!(ana, bo);
    let page = ana.expect("a page");
    let mut buyers = [world.browser("ana"), world.browser("bo")];
    let paid = world
        .during(async move {
            let mut answers = Vec::new();
            for buyer in &mut buyers {
                answers.push(buyer.post(&page, &[("do", "pay")]).await.status);
            }
            answers
        })
        .await;
    assert_eq!(paid, [303, 303]);
    world.advance(secs(1)).await;
    let said = world.heard();
    assert!(said.iter().any(|line| line.starts_with("SOLD OUT")), "{said:?}");
    assert!(said.iter().any(|line| line.contains("refunding $18")), "{said:?}");
    let view = world.newest();
    assert_eq!((view.paid, view.stock), (1, 1));
    world.done().await;
}
