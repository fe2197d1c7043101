//! What moderators type, and what they are answered.

use livetill::platform::console::message;

use crate::world::{MUG, World, mins, secs};

#[tokio::test]
async fn mistakes_start_nothing() {
    let mut world = World::new(MUG).await;
    let cases = [
        ("!sale strat mug", "No such command: strat. Did you mean: !sale start mug?"),
        ("!sale start mgu 10m", "No template mgu. Did you mean mug?"),
        ("!sale start mug 10", "10 what? Write 10m for minutes or 10s for seconds."),
        ("!sale start mug 10x", "No such unit: x. Times look like 90s, 10m or 1h30m."),
        ("!sale start mug 99h", "At most 30 min in all (max_duration of the template)."),
        ("!sale start mug stock=11", "At most 10 in one sale (max_stock of the template)."),
        (
            "!sale start mug price=£20",
            "price= £ is not USD. Write the amount alone, like 18 or 18.50.",
        ),
        (
            "!sale start mug price=¥3000",
            "price= ¥ is not USD. Write the amount alone, like 18 or 18.50.",
        ),
        ("!sale start mug stock=9999999", "At most 10 in one sale (max_stock of the template)."),
        ("!sale start mug price=8.99", "Not below $9 (min_price of the template)."),
        ("!sale start mug price=9.999", "price= USD has 2 decimals: 9.999 has more."),
        ("!sale start mug title=\" \"", "title= is empty."),
        ("!sale start mug image=javascript:x", "image= must be an https:// address."),
        ("!sale stop", "Nothing is running. Start something: !sale list"),
        ("!sale start mug hold=99h", "hold= is at most 30 min (max_duration of the template)."),
        ("!sale stop #4", "There is no sale #4 running. Nothing is running. See !sale list"),
        ("!sale status #4", "There is no sale #4. See !sale list"),
        ("!sale report #4", "There is no sale #4. See !sale list"),
        ("!sale yes", "Nothing to confirm (a question expires after 30 s)."),
    ];
    for (line, answer) in cases {
        assert_eq!(world.says(line).await, [answer], "{line}");
    }
    let nothing = world.says("!sale undo").await;
    assert!(nothing[0].starts_with("Nothing to undo"), "{nothing:?}");
    assert!(world.app.engine.views().all().is_empty());
    world.done().await;
}

#[tokio::test]
async fn viewers_meet_silence() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    for line in ["ana> !sale stop", "ana> !sale help", "ana> !sale strat", "ana> hello", "hello"] {
        assert!(world.says(line).await.is_empty(), "{line}");
    }
    assert_eq!(world.newest().state.word(), "open");
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn a_start_varies_what_the_template_allows() {
    let mut world = World::new(MUG).await;
    let said = world.says("!sale start mug 90s title=\"Blue Fern\" price=22.5 stock=4").await;
    assert!(said[1].starts_with("SALE OPEN · Blue Fern · $22.50 · 4 left · 1m30s · "), "{said:?}");
    world.clicks("ana").await;
    let page = world.browser("ana").at.expect("a page");
    assert!(world.looks("ana", &page).await.text.contains("Pay $22.50"));
    world.advance(mins(4)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_stop_that_touches_nobody_is_done_at_once() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let said = world.says("!sale stop").await;
    assert_eq!(said, ["Stopping #1", "CANCELLED · Fern Mug · 0 of 3 sold"]);
    world.done().await;
}

#[tokio::test]
async fn a_stop_that_touches_buyers_asks_first() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.heard();
    let said = world.says("!sale stop").await;
    assert_eq!(
        said,
        [
            "1 buyer is checking out in #1 Fern Mug; stopping closes their payment pages. To confirm, \
          type !sale yes within 30 s."
        ]
    );
    assert_eq!(world.newest().state.word(), "open");
    // Too late is too late.
    world.advance(secs(31)).await;
    world.heard();
    assert_eq!(
        world.says("!sale yes").await,
        ["Nothing to confirm (a question expires after 30 s)."]
    );
    world.advance(secs(3)).await;
    world.says("!sale stop").await;
    let said = world.says("!sale yes").await;
    assert!(said[0].starts_with("Done · #1 Fern Mug · cancelled"), "{said:?}");
    assert_eq!(said[1], "CANCELLED · Fern Mug · 0 of 3 sold");
    let page = world.browser("ana").at.expect("a page");
    assert_eq!(world.looks("ana", &page).await.status, 410);
    world.done().await;
}

#[tokio::test]
async fn cheap_things_can_be_taken_back_for_a_while() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let said = world.says("!sale extend 5m").await;
    assert_eq!(said, ["#1 ends in 15 min · undo with: !sale undo"]);
    let said = world.says("!sale undo").await;
    assert!(said[0].starts_with("Undone · #1 Fern Mug · open") && said[0].ends_with("10 min"));
    let said = world.says("!sale restock 2").await;
    assert_eq!(said[0], "#1 has 5 in all, 5 left · undo with: !sale undo");
    world.advance(secs(3)).await;
    world.says("!sale undo").await;
    assert_eq!(world.newest().stock, 3);
    world.says("!sale pause").await;
    assert_eq!(world.newest().state.word(), "paused");
    world.advance(secs(21)).await;
    let said = world.says("!sale undo").await;
    assert!(said[0].starts_with("Nothing to undo"), "{said:?}");
    let said = world.says("!sale resume").await;
    assert!(said[0].starts_with("#1 ends in 10 min"), "{said:?}");
    assert!(said[1].starts_with("SALE OPEN · Fern Mug is back · 3 of 3 left"), "{said:?}");
    world.advance(mins(11)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_start_is_taken_back_while_nobody_holds_anything() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let said = world.says("!sale undo").await;
    assert!(said.contains(&"CANCELLED · Fern Mug · 0 of 3 sold".to_owned()), "{said:?}");
    world.advance(secs(5)).await;
    world.says("!sale start mug 11m").await;
    world.clicks("ana").await;
    world.heard();
    let said = world.says("!sale undo").await;
    assert_eq!(said, ["Somebody has reserved one already. To end it anyway: !sale stop"]);
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn with_several_sales_the_bot_asks_which() {
    let two = format!(
        "{MUG}{}",
        MUG.replace("templates.mug", "templates.pot").replace("Fern Mug", "Pot")
    );
    let mut world = World::new(&two).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale start pot 10m").await;
    let said = world.says("!sale pause").await;
    assert_eq!(said, ["Which one? #2 Pot, #1 Fern Mug. Add its number, like #2"]);
    let said = world.says("!sale pause #1").await;
    assert!(said[1].starts_with("PAUSED · Fern Mug · 3 of 3 left"), "{said:?}");
    let said = world.says("!sale status").await;
    assert_eq!(said.len(), 2);
    assert!(said[1].starts_with("#1 Fern Mug · paused"), "{said:?}");
    world.says("!sale stop #1").await;
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn the_same_text_twice_within_two_seconds_counts_once() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale restock 1").await;
    let again = world.says("!sale restock 1").await;
    assert!(again[0].starts_with("The same as just now: not done twice"), "{again:?}");
    assert_eq!(world.newest().stock, 4);
    world.advance(secs(2)).await;
    world.says("!sale restock 1").await;
    assert_eq!(world.newest().stock, 5);
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn an_armed_sale_waits_and_opens_in_an_instant() {
    let mut world = World::new(MUG).await;
    let said = world.says("!sale arm mug 10m").await;
    assert_eq!(said.len(), 2);
    assert!(said[1].starts_with("ARMED · #1 Fern Mug · open it within 2 h"), "{said:?}");
    assert!(world.looks("ana", "/live").await.text.contains("Nothing is on"));
    world.advance(mins(30)).await;
    let said = world.says("!sale start #1").await;
    assert!(said[1].starts_with("SALE OPEN · Fern Mug"), "{said:?}");
    let again = world.says("!sale start #1 ").await;
    assert!(again[0].starts_with("The same as just now: not done twice"), "{again:?}");
    world.advance(secs(2)).await;
    assert_eq!(world.says("!sale start #1").await, ["Cannot start: the sale is open."]);
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn more_starts_per_hour_than_allowed_are_refused() {
    let twice = format!("{MUG}sales_per_hour = 2\n");
    let mut world = World::new(&twice).await;
    for _ in 0..2 {
        world.says("!sale start mug 30s").await;
        world.advance(secs(40)).await;
        world.heard();
    }
    let said = world.says("!sale start mug 30s").await;
    assert_eq!(said, ["Started 2 times within the hour (sales_per_hour of the template)."]);
    world.advance(mins(60)).await;
    let said = world.says("!sale start mug 30s").await;
    assert!(said[1].starts_with("SALE OPEN"), "{said:?}");
    world.advance(secs(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn looking_verbs_show_and_change_nothing() {
    let mut world = World::new(MUG).await;
    assert_eq!(world.says("!sale status").await, ["Nothing is running."]);
    let list = world.says("!sale list").await;
    assert_eq!(list, ["mug · Fern Mug · 3 × $18 for 10 min"]);
    let help = world.says("!sale").await;
    assert!(help[0].contains("start") && help[0].contains("!sale help start"), "{help:?}");
    let help = world.says("!sale help start").await;
    assert!(help.iter().any(|line| line.contains("stock=")), "{help:?}");
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.pays("ana").await;
    world.clicks("bo").await;
    world.heard();
    let links = world.says("!sale links").await;
    assert_eq!(links.len(), 2, "{links:?}");
    assert!(
        links[1].contains("open") && !links[1].contains("http"),
        "no buyer's address: {links:?}"
    );
    let report = world.says("!sale report").await;
    assert_eq!(report[1], "paid $18 · refunded $0 · needs review $0 · kept $18");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn running_down_a_restock_below_what_is_held_asks_first() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.clicks("bo").await;
    world.heard();
    let said = world.says("!sale restock -2").await;
    assert!(
        said[0].starts_with("1 of them is already reserved or sold; you'd be 1 short"),
        "{said:?}"
    );
    world.says("!sale yes").await;
    assert_eq!(world.newest().stock, 2);
    let said = world.says("!sale status").await;
    assert!(said[0].contains("1 short"), "{said:?}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_question_that_nobody_confirms_ends_aloud() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.heard();
    world.advance(secs(3)).await;
    world.says("!sale stop").await;
    world.heard();
    world.advance(secs(29)).await;
    assert!(world.heard().is_empty());
    world.advance(secs(1)).await;
    assert_eq!(world.heard(), ["Not done: nobody said yes in time · #1 Fern Mug"]);
    world.advance(mins(14)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn the_next_sale_opens_when_the_running_one_ends() {
    let config = format!("{MUG}[templates.bowl]\nprice = \"9.00\"\nstock = 2\nwarm = 0\n");
    let mut world = World::new(&config).await;
    world.says("!sale start mug 10m").await;
    let said = world.says("!sale next bowl 5m").await;
    assert!(said[0].starts_with("Queued #2 bowl · 2 × $9"), "{said:?}");
    assert!(said[1].starts_with("ARMED · #2 bowl"), "{said:?}");
    world.advance(mins(9)).await;
    assert_eq!(world.newest().state.word(), "armed");
    world.advance(mins(1)).await;
    assert_eq!(world.newest().state.word(), "open");
    let said = world.heard();
    let ended = said.iter().position(|line| line.starts_with("ENDED · Fern Mug"));
    let opened = said.iter().position(|line| line.starts_with("SALE OPEN · bowl"));
    assert!(ended.is_some() && ended < opened, "{said:?}");
    world.advance(mins(8)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_queued_sale_opens_at_once_when_nothing_runs_and_can_be_stopped() {
    let mut world = World::new(MUG).await;
    let said = world.says("!sale next mug 5m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN · Fern Mug")), "{said:?}");
    let said = world.says("!sale next mug 6m").await;
    assert_eq!(
        said,
        ["Fern Mug is on already (#1). A second one? To confirm, type !sale yes within 30 s."],
        "it is one shelf"
    );
    world.says("!sale yes").await;
    world.says("!sale stop #2").await;
    world.advance(mins(9)).await;
    assert_eq!(world.newest().state.word(), "cancelled");
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn again_is_the_last_sale_as_it_was() {
    let mut world = World::new(MUG).await;
    assert_eq!(world.says("!sale again").await, ["There is no sale to repeat so far."]);
    world.says("!sale start mug 4m title=\"Blue Fern\" price=22 stock=2").await;
    world.advance(mins(7)).await;
    world.heard();
    let said = world.says("!sale again").await;
    assert!(said[1].starts_with("SALE OPEN · Blue Fern · $22 · 2 left · 4 min"), "{said:?}");
    world.advance(mins(7)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn why_tells_the_story_of_a_hold_by_any_of_its_names() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.pays("ana").await;
    world.clicks("ben").await;
    world.advance(mins(4)).await;
    world.heard();
    let id = world.newest().id;
    let look = |sale: &livetill::sale::Sale| {
        let payment = sale.payments().next().expect("a payment").fact.id.to_string();
        let lapsed = sale.holds().map(|hold| hold.id.n).max().expect("holds");
        (payment, lapsed)
    };
    let (payment, lapsed) = world.app.engine.look(id, look).await.expect("the sale");
    let said = world.says(&format!("!sale why {payment}")).await;
    assert_eq!(said[0], "#1 Fern Mug");
    assert!(said.iter().any(|line| line.contains("paid with")), "{said:?}");
    assert!(said.iter().any(|line| line.ends_with("· kept")), "{said:?}");
    let said = world.says(&format!("!sale why #1 {lapsed}")).await;
    assert!(said.iter().any(|line| line.contains("the buyer's time ran out")), "{said:?}");
    let said = world.says("!sale why nothing").await;
    assert!(said[0].starts_with("Found nothing called nothing"), "{said:?}");
    assert!(world.says("ana> !sale why 1").await.is_empty());
    world.advance(mins(9)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn viewers_get_the_link_once_in_a_while() {
    let mut world = World::new(MUG).await;
    assert_eq!(world.says("ana> !link").await, ["Nothing on right now."]);
    world.advance(secs(20)).await;
    world.says("!sale start mug 10m").await;
    let said = world.says("ana> !BUY").await;
    assert!(said[0].starts_with("Fern Mug: 3 of 3 left · 10 min · http"), "{said:?}");
    assert!(world.says("ben> !link").await.is_empty());
    world.advance(secs(20)).await;
    assert_eq!(world.says("ben> !link").await.len(), 1);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_failed_try_may_be_repeated_at_once() {
    let mut world = World::new(MUG).await;
    assert_eq!(world.says("!sale stop").await.len(), 1);
    assert_eq!(world.says("!sale stop").await.len(), 1);
    world.says("!sale start mug 10m").await;
    world.heard();
    assert_eq!(world.says("!sale extend 1m").await.len(), 1);
    let again = world.says("!sale extend 1m").await;
    assert!(again[0].starts_with("The same as just now: not done twice"), "{again:?}");
    let twice = message("again".into(), "!sale extend 2m");
    assert!(world.app.chat.hear(&twice).await.is_some());
    assert!(world.app.chat.hear(&twice).await.is_none(), "one message, delivered twice");
    world.advance(mins(17)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_sale_that_is_over_is_not_called_running() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale stop").await;
    for line in ["!sale stop #1", "!sale pause #1", "!sale extend #1 5m"] {
        let said = world.says(line).await;
        assert_eq!(said, ["#1 Fern Mug is over. Nothing is running. See !sale list"], "{line}");
    }
    world.advance(secs(2)).await;
    world.says("!sale start mug 5m").await;
    assert_eq!(world.says("!sale stop #1").await, ["#1 Fern Mug is over. There is #2 Fern Mug"]);
    for line in ["!sale report #999", "!sale status #999", "!sale links #999"] {
        assert_eq!(world.says(line).await, ["There is no sale #999. See !sale list"], "{line}");
    }
    let said = world.says("!sale stop #999").await;
    assert_eq!(said, ["There is no sale #999 running. There is #2 Fern Mug"]);
    world.says("!sale stop").await;
    world.done().await;
}
