//! Rehearsals in a running bot: everything is played, and nothing live is touched.

use std::time::Duration;

use livetill::{clock::Span, platform::Heard};
use serde_json::json;

use crate::{
    discord::{
        fixtures::{MODS, SHOP},
        guild::{Guild, MOD, Odd, VIEWER},
    },
    square,
    world::{Browser, World, mins, secs},
};

/// Short enough to be played in a test.
const MUG: &str = r#"
[templates.mug]
title = "Fern Mug"
price = "18.00"
stock = 3
warm = 0
hold = "20s"
grace = "10s"
max_stock = 10
max_duration = "30m"
delivery = [{ name = "post", label = "By post", fee = "6.00", ask_address = true }]
ask = ["email"]
"#;

const MARK: &str = "REHEARSAL · ";
const PLAY: &str = "!sale rehearse mug 1m crowd=12 speed=10";

/// Moves the clock on, as time does, until somebody said that.
async fn hears(world: &mut World, word: &str) -> Vec<String> {
    let mut heard = world.heard();
    for _ in 0..60_000 {
        if heard.iter().any(|line| line.contains(word)) {
            return heard;
        }
        passes(world).await;
        heard.extend(world.heard());
    }
    panic!("nobody said {word}: {heard:#?}");
}

/// A moment: the play runs on a thread of its own, by this clock.
async fn passes(world: &World) {
    world.clock.advance(Span::from_millis(5));
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Until the last words of a play are said, and the stage is free.
async fn is_over(world: &mut World) {
    for _ in 0..10_000 {
        passes(world).await;
        let said = world.says("!sale rehearse stop").await;
        if said.iter().any(|line| line.starts_with("No rehearsal runs.")) {
            return;
        }
    }
    panic!("it never ends");
}

#[tokio::test]
async fn a_rehearsal_is_played_to_its_score_card_beside_a_live_sale_of_the_same_template() {
    let mut world = World::new(MUG).await;
    let said = world.says("!sale start mug 10m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    world.claims("ana", &[("email", "ana@example.org")]).await;
    let page = world.browser("ana").at.expect("a page");
    let form = [("do", "pay"), ("name", "Ana"), ("address", "Fern Street 1")];
    world.posts("ana", &page, &form).await;
    world.advance(secs(5)).await;
    world.heard();
    let api = world.looks("cy", "/api/sales").await.text;
    let report = world.says("!sale report").await;
    let first = world.says(PLAY).await;
    assert!(first.is_empty() || first[0].starts_with(MARK), "{first:?}");
    let mut heard = first;
    if heard.is_empty() {
        heard = hears(&mut world, "nothing is for sale").await;
    }
    assert!(
        heard[0].contains("Fern Mug · 3 × $18 for 1 min · 12 shoppers · 10 times"),
        "{heard:?}"
    );
    assert!(heard[0].contains("not rehearsed: real cards"), "{heard:?}");
    // One at a time.
    let twice = world.says("!sale rehearse mug 2m").await;
    let no = "Fern Mug is being rehearsed already. End that with: !sale rehearse stop";
    assert!(twice.iter().any(|line| line == no), "{twice:?}");
    heard.extend(twice.into_iter().filter(|line| line != no));
    if !heard.iter().any(|line| line.contains("SALE OPEN")) {
        heard.extend(hears(&mut world, "SALE OPEN").await);
    }
    // Nothing of it shows where buyers look.
    for path in ["/live", "/overlay", "/api/sales"] {
        assert!(!world.looks("cy", path).await.text.contains("REHEARSAL"), "{path}");
    }
    let list = world.says("!sale list").await;
    let (played, list): (Vec<_>, Vec<_>) = list.into_iter().partition(|l| l.starts_with(MARK));
    assert_eq!(list.len(), 2, "one template, one sale: {list:?}");
    heard.extend(played);
    if !heard.iter().any(|line| line.contains("oversold")) {
        heard.extend(hears(&mut world, "oversold").await);
    }
    heard.extend(hears_rest(&mut world).await);
    for line in &heard {
        assert!(line.starts_with(MARK) && !line[MARK.len()..].contains(MARK), "{line}");
    }
    let card = heard.join("\n");
    for words in [
        "score card · all well",
        "of 3 sold",
        "oversold 0",
        "settled yes",
        "12 shoppers",
        "click to checkout p50",
        "chat would have shown",
        "tip: ",
    ] {
        assert!(card.contains(words), "{words} in {card}");
    }
    // What is live is as it was: the sale, its money, the provider's books.
    assert_eq!(world.looks("cy", "/api/sales").await.text, api);
    assert_eq!(world.says("!sale report").await, report);
    let store = world.app.engine.store();
    assert_eq!(store.sales(10).await.expect("the store").len(), 1);
    assert_eq!(store.docs("sandbox_payment", None).await.expect("the store").len(), 1);
    world.advance(mins(12)).await;
    world.heard();
    world.done().await;
}

/// What is said until the stage is free again.
async fn hears_rest(world: &mut World) -> Vec<String> {
    let mut heard = Vec::new();
    for _ in 0..10_000 {
        for _ in 0..20 {
            passes(world).await;
        }
        let said = world.says("!sale rehearse stop").await;
        let (free, said): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|line| line.starts_with("No rehearsal runs."));
        heard.extend(said);
        if !free.is_empty() {
            return heard;
        }
    }
    panic!("it never ends: {heard:#?}");
}

#[tokio::test]
async fn every_page_of_a_rehearsal_says_so_and_it_ends_when_told() {
    let mut world = World::new(MUG).await;
    world.says_quietly(&PLAY.replace("crowd=12", "crowd=1")).await;
    let heard = hears(&mut world, "SALE OPEN").await;
    let open = heard.iter().find(|line| line.contains("SALE OPEN")).expect("it opened");
    let link = open.rsplit(' ').next().expect("a link").to_owned();
    assert!(link.starts_with("http://127.0.0.1:") && !link.starts_with(&world.app.base_url));
    let base = link.trim_end_matches("/live").to_owned();
    let mut browser = Browser::new();
    let live = browser.get(&link).await.text;
    let sale = live.split("/sales/").nth(1).and_then(|rest| rest.split('"').next());
    let sale = sale.expect("the sale's address").split('/').next().expect("an id").to_owned();
    for path in ["/live", "/overlay", "/api/sales", "/nowhere"] {
        let page = browser.get(&format!("{base}{path}")).await.text;
        assert!(page.contains("REHEARSAL"), "{path}: {page}");
    }
    let claim =
        browser.post(&format!("{base}/sales/{sale}/holds"), &[("email", "a@example.org")]).await;
    let pay = claim.location.expect("sent on");
    let pay = if pay.starts_with("http") { pay } else { format!("{base}{pay}") };
    assert!(browser.get(&pay).await.text.contains("REHEARSAL"), "{pay}");
    // Nobody else's program knows that sale.
    assert_eq!(world.looks("cy", &format!("/sales/{sale}")).await.status, 404);
    let said = world.says("!sale undo").await;
    let stays = "Your rehearsal cannot be undone. To end it: !sale rehearse stop";
    assert!(said.iter().any(|line| line == stays), "never something older: {said:?}");
    let said = world.says("!sale rehearse stop").await;
    let ended = "ended before its time. Nothing is left of it.";
    if !said.iter().any(|line| line.contains(ended)) {
        hears(&mut world, ended).await;
    }
    is_over(&mut world).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_viewer_gets_silence_and_a_moderator_the_mend() {
    let mut world = World::new(MUG).await;
    let nothing: [&str; 0] = [];
    assert_eq!(world.says(&format!("ana> {PLAY}")).await, nothing);
    assert_eq!(world.says("ana> !sale rehearse stop").await, nothing);
    for (line, answer) in [
        ("!sale rehearse mgu", "No template mgu. Did you mean mug?"),
        ("!sale rehearse mug crowd=0", "crowd= takes 1 to 500, not 0."),
        ("!sale rehearse mug speed=31", "speed= takes 1 to 30, not 31."),
        (
            "!sale rehearse mug 30s speed=20",
            "At speed=20, 30 s would be over in a blink. At most speed=10, or longer.",
        ),
        (
            "!sale rehearse stop",
            "No rehearsal runs. Start one, for example: !sale rehearse mug 10m crowd=200 speed=10",
        ),
    ] {
        assert_eq!(world.says(line).await, [answer], "{line}");
    }
    // The template's own bounds hold, in the words of a real start.
    for more in ["stock=11", "1h", "price=1"] {
        let real = world.says(&format!("!sale start mug {more}")).await;
        assert_eq!(world.says(&format!("!sale rehearse mug {more}")).await, real);
    }
    let help = world.says("!sale help rehearse").await;
    assert!(
        help.iter().any(|line| line == "  !sale rehearse mug 10m crowd=200 speed=10"),
        "{help:?}"
    );
    assert!(help.iter().any(|line| line.contains("speed=")), "{help:?}");
    world.done().await;
}

#[tokio::test]
async fn a_rehearsal_speaks_in_the_moderators_room_alone_and_ends_with_the_program() {
    let mut guild = Guild::new(MUG).await;
    guild.types(VIEWER, SHOP, PLAY);
    guild.work_off().await;
    let asked = guild.says(MOD, PLAY).await;
    assert!(asked.is_empty(), "the public room hears nothing: {asked:?}");
    let says = |guild: &Guild| guild.fake.messages(MODS).iter().map(text).collect::<Vec<_>>();
    for _ in 0..20_000 {
        if says(&guild).iter().any(|line| line.contains("SALE OPEN")) {
            break;
        }
        passes(&guild.world).await;
    }
    let said = says(&guild);
    assert!(said.iter().any(|line| line.contains("SALE OPEN")), "{said:?}");
    let lines: Vec<&str> = said.iter().flat_map(|text| text.lines()).collect();
    assert!(lines.iter().all(|line| line.starts_with("REHEARSAL")), "{lines:?}");
    // A slash command is answered to the asker alone.
    let token = guild.uses(MOD, SHOP, "rehearse", &[("what", json!("stop"))]);
    let Heard::Said(heard) = guild.work_off().await else { panic!("a command") };
    assert_eq!(heard.text, "!sale rehearse stop");
    let answer = guild.answered(&token).await.shown.expect("an answer");
    assert_eq!(answer["content"], "The rehearsal ends.");
    for _ in 0..20_000 {
        if says(&guild).iter().any(|line| line.contains("Nothing is left of it")) {
            break;
        }
        passes(&guild.world).await;
    }
    is_over(&mut guild.world).await;
    // Once more, and this one ends with the program.
    let token = guild.uses(
        MOD,
        SHOP,
        "rehearse",
        &[("what", json!("mug")), ("time", json!("1m")), ("crowd", json!("2"))],
    );
    guild.work_off().await;
    let answer = guild.answered(&token).await.shown.expect("an answer");
    assert_eq!(answer["content"], "It is rehearsed in discord:1002.");
    assert!(guild.fake.messages(SHOP).is_empty(), "{:?}", guild.fake.messages(SHOP));
    assert!(guild.world.heard().is_empty(), "the terminal was not asked");
    guild.done().await;
}

fn text(message: &serde_json::Value) -> String {
    message["content"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_shared_page_is_rehearsed_as_one() {
    let plain = MUG.replace("ask = [\"email\"]", "").replace("delivery = ", "#delivery = ");
    let shared = plain.replace("stock = 3", "stock = 3\ncheckout = \"shared\"");
    let mut world = World::new(&shared).await;
    world.says_quietly(PLAY).await;
    let mut heard = hears(&mut world, "oversold").await;
    heard.extend(hears_rest(&mut world).await);
    let card = heard.join("\n");
    assert!(card.contains("oversold 0 · settled yes"), "{card}");
    assert!(card.contains(" of 3 sold"), "{card}");
    world.done().await;
}

#[tokio::test]
async fn without_a_moderators_room_the_mend_is_named() {
    let mut odd = Odd::new(MUG).await;
    odd.setup.config = odd.setup.config.replace("mod_rooms = [\"discord:1002\"]", "mod_rooms = []");
    let mut guild = odd.live().await;
    let said = guild.says(MOD, PLAY).await;
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("mod") && said[0].contains("config.toml"), "{said:?}");
    guild.done().await;
}

#[tokio::test]
async fn what_square_sells_is_rehearsed_without_a_call_to_square() {
    let mug = MUG.replace("[templates.mug]", "[templates.mug]\nprovider = \"square\"");
    let mut shop = square::shop::Shop::new(&mug).await;
    let before = shop.square.books().calls.len();
    shop.world.says_quietly(PLAY).await;
    let heard = hears(&mut shop.world, "oversold").await;
    assert!(heard[0].contains("not rehearsed: square (the sandbox stands in for it)"), "{heard:?}");
    let rest = hears_rest(&mut shop.world).await;
    let card = heard.iter().chain(&rest).cloned().collect::<Vec<_>>().join("\n");
    assert!(card.contains("oversold 0 · settled yes"), "{card}");
    assert!(card.contains("tip: square itself was not rehearsed"), "{card}");
    assert_eq!(shop.square.books().calls.len(), before, "{:?}", shop.square.books().calls);
    shop.done().await;
}
