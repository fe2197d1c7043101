//! A replica that is cut from the database, or late, says nothing that may no longer be so.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use livetill::{
    clock::SystemClock,
    platform::{Grant, Heard, Wish, console::message},
    room::{Message, Room},
};
use serde_json::Value;

use super::Three;
use crate::{
    database::Engine,
    world::{MUG, Setup, World, client, eventually, mins},
};

/// Follows a sale at a replica; everything that came so far.
fn follows(base: &str, number: u32) -> Arc<Mutex<String>> {
    let all: Arc<Mutex<String>> = Arc::default();
    let (came, url) = (all.clone(), format!("{base}/sales/{number}/events"));
    tokio::spawn(async move {
        let mut answer = client().get(url).send().await.expect("it answers");
        while let Ok(Some(part)) = answer.chunk().await {
            came.lock().expect("unpoisoned").push_str(&String::from_utf8_lossy(&part));
        }
    });
    all
}

/// The state in the last event of a stream.
fn last_state(stream: &Mutex<String>) -> Option<String> {
    let all = stream.lock().expect("unpoisoned").clone();
    let last = all.lines().rfind(|line| line.starts_with("data: {"))?;
    let view: Value = serde_json::from_str(last.trim_start_matches("data:")).expect("a whole one");
    view["state"].as_str().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_cut_from_the_database_never_says_that_a_sale_is_open_after_its_end() {
    let three = Three::new().await;
    // One is stopped by hand while it is cut off, the other ends by the clock.
    three.everybody_hears("m1", "!sale start mug 30m").await;
    three.until("the first opens", |three| three.said("SALE OPEN").len() == 1).await;
    three.everybody_hears("m2", "!sale start mug 12s title=\"Blue Fern\"").await;
    three.until("the second opens", |three| three.said("SALE OPEN").len() == 2).await;
    // The one that speaks is cut off: its turn has to pass, too.
    let cut = three.sender().expect("one");
    let other = (cut + 1) % 3;
    let known = async || {
        let all = three.apps[cut].engine.views().all();
        all.len() == 2 && all.iter().all(|view| view.opened_at.is_some())
    };
    eventually("it knows both", known).await;
    let ends_at = three.apps[cut].engine.views().all()[0].ends_at.expect("it is open");
    let base = three.apps[cut].base_url.clone();
    let streams = [follows(&base, 1), follows(&base, 2)];
    eventually("both are followed", async || streams.iter().all(|s| last_state(s).is_some())).await;
    // What was said and not noted down may be said again by whoever comes next.
    let noted = async || {
        three.apps[other].engine.store().outbox().await.is_ok_and(|count| count.waiting == 0)
    };
    eventually("all is noted down", noted).await;
    three.ways[cut].cut.send_replace(true);

    let stop = Message {
        room: "twitch:ana".parse().expect("a room"),
        ..message("m3".into(), "!sale stop #1")
    };
    three.ears[other].send(Heard::Said(stop)).await.expect("listens");
    eventually("another stops it", async || three.state(other, 1).await == "cancelled").await;
    // The clock needs nobody: from its end on, not one answer says that it is open.
    let clock = SystemClock;
    while three.apps[other].engine.views().all()[0].state.word() != "ended" {
        let past = livetill::clock::Clock::now(&clock) >= ends_at;
        let state = three.state(cut, 2).await;
        assert!(!past || state == "ended", "{state} after its end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What somebody did elsewhere is not known to it; that it knows nothing is, within seconds.
    eventually("it notices", async || three.state(cut, 1).await == "paused").await;
    assert_eq!(three.state(cut, 2).await, "ended");
    let heard = async || {
        let states = streams.each_ref().map(|stream| last_state(stream).expect("one"));
        states == ["paused", "ended"]
    };
    eventually("its followers hear it", heard).await;
    for path in ["/live", "/sales/1", "/sales/2", "/overlay", "/api/sales", "/api/sales/1"] {
        let (status, text) = three.gets(cut, path).await;
        assert_eq!(status, 200, "{path}");
        let open = ["data-state=\"open\"", "\"state\":\"open\"", "Get yours", "min left"];
        assert!(!open.iter().any(|words| text.contains(words)), "{path}: {text}");
    }
    let (status, text) = three.gets(cut, "/sales/1").await;
    assert!(status == 200 && text.contains("cannot reach its books"), "{text}");
    let (status, text) = three.gets(cut, "/readyz").await;
    assert!(status == 503 && text.contains("the database has not answered"), "{text}");
    let claim = client().post(format!("{base}/sales/1/holds")).send().await.expect("answers");
    assert_eq!(claim.status(), 503, "nothing is promised");
    for (n, text) in ["!sale status", "ana> !buy"].iter().enumerate() {
        let room = "twitch:ana".parse().expect("a room");
        let asked = Message { room, ..message(format!("q{n}"), text) };
        let said = three.apps[cut].chat.hear(&asked).await.expect("an answer").lines.join(" / ");
        assert!(!said.contains("open") && !said.contains("min left"), "{text}: {said}");
        assert!(*text != "!sale status" || said.starts_with("This may be out of date"), "{said}");
    }
    let room = "twitch:ana".parse().expect("a room");
    let asked = Message { room, ..message("q2".into(), "!sale extend #1 5m") };
    let said = three.apps[cut].chat.hear(&asked).await.expect("an answer").lines.join(" / ");
    assert!(said.contains("Should another answer follow"), "{said}");
    three.until("another speaks", |three| three.sender().is_some_and(|n| n != cut)).await;
    let by_the_cut = three.said("").iter().filter(|(by, _)| *by == cut).count();

    three.ways[cut].cut.send_replace(false);
    let whole = async || {
        three.state(cut, 1).await == "cancelled" && three.gets(cut, "/readyz").await.0 == 200
    };
    eventually("it comes back by itself", whole).await;
    three.until("all ends are said", |three| !three.said("ENDED").is_empty()).await;
    three.until("all ends are said", |three| !three.said("CANCELLED").is_empty()).await;
    three.quiet().await;
    for (part, times) in [("SALE OPEN", 2), ("notice ENDED", 1), ("notice CANCELLED", 1)] {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    let turned = three.sender() == Some(cut);
    let now = three.said("").iter().filter(|(by, _)| *by == cut).count();
    assert!(turned || now == by_the_cut, "it spoke out of turn: {:#?}", three.said(""));
    three.stop().await;
}

#[tokio::test]
async fn nothing_is_said_of_a_sale_whose_end_came_and_is_not_stored_yet() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.clicks("ben").await;
    world.heard();
    // There is a change to be shown, and the timer is late.
    world.clock.advance(mins(10));
    world.app.announcer.step().await;
    assert_eq!(world.heard(), Vec::<String>::new());
    assert_eq!(world.newest().state.word(), "open", "nobody has stored it");
    for (n, (line, answer)) in [
        ("!sale status", "#1 Fern Mug · ended"),
        ("ana> !buy", "Nothing on right now."),
        ("!sale extend 5m", "Nothing is running."),
    ]
    .into_iter()
    .enumerate()
    {
        let asked = message(format!("q{n}"), line);
        let said = world.app.chat.hear(&asked).await.expect("an answer").lines;
        assert!(said[0].starts_with(answer), "{line}: {said:?}");
    }
    world.advance(mins(5)).await;
    let said = world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("ENDED")).count(), 1, "{said:?}");
    world.done().await;
}

/// A replica that knows of a sale being made ready, and did not hear yet that it opened.
async fn late(here: &World, setup: &Setup) -> World {
    let there = Setup {
        clock: setup.clock.clone(),
        database: setup.database.clone(),
        ..Setup::on(Engine::Sqlite, MUG)
    };
    let there = World::build(&there).await;
    there.app.engine.share();
    there.app.replica.as_ref().expect("others may be there").beat().await.expect("the store");
    assert_eq!(there.newest().state.word(), "arming");
    assert_eq!(here.newest().id, there.newest().id);
    there
}

#[tokio::test]
async fn whoever_heard_in_chat_that_it_is_open_can_claim_wherever_they_are_led() {
    let setup = Setup::on(Engine::Postgres, MUG);
    let mut here = World::build(&setup).await;
    here.app.hear(&message("m1".into(), "!sale start mug 10m")).await;
    let mut led_to = Vec::new();
    for _ in 0..4 {
        led_to.push(late(&here, &setup).await);
    }
    here.settle().await;
    let said = here.heard();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    let id = here.newest().id;
    let [mut live, mut page, mut claim, discord] =
        led_to.try_into().unwrap_or_else(|_| panic!("four of them"));
    let shown = live.looks("ana", "/live").await.text;
    assert!(shown.contains("Fern Mug") && !shown.contains("Nothing is on"), "{shown}");
    let shown = page.looks("ana", &format!("/sales/{id}")).await;
    assert_eq!(shown.status, 200, "{}", shown.text);
    let url = claim.url(&format!("/sales/{id}/holds"));
    let claimed = claim.posts("ana", &url, &[]).await;
    assert_eq!(claimed.status, 303, "{}", claimed.text);
    let wish = Wish {
        id: "press".into(),
        room: Room::console(),
        user: message("x".into(), "bo> hi").user,
        sale: id,
        delivery: None,
        units: None,
        roles: Vec::new(),
    };
    let chat = discord.app.chat.clone();
    let granted = discord.during(async move { chat.grant(&wish).await }).await;
    assert!(matches!(granted, Grant::Yours { .. }), "{granted:?}");
    for world in [live, page, claim, discord, here] {
        world.app.stop().await;
    }
}
