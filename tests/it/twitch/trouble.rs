//! What goes wrong between the bot and Twitch, and that the sale goes on: nothing is lost,
//! nothing is said twice.

use std::time::Duration;

use livetill::{
    clock::Clock,
    platform::{Limits, Platform, SayError, Standing, Updates},
    room::Room,
};

use super::{
    fake::{Fate, MOD, OWNER, Person},
    stage::{Scene, Stage, room},
};
use crate::world::{PATIENCE, mins, secs};

fn times(stage: &Stage, start: &str) -> usize {
    stage.chat.shown().iter().filter(|line| line.starts_with(start)).count()
}

fn is_away(stage: &Stage) -> bool {
    matches!(stage.standing(), Standing::Away(_))
}

#[tokio::test]
async fn reconnects_in_mid_sale_and_says_nothing_twice() {
    let mut stage = Stage::new().await;
    stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
    stage.chat.tells(":tmi.twitch.tv RECONNECT");
    stage.comes_back().await;
    let since = stage.twitch.health().expect("a connection").since;
    assert_eq!(since, stage.world.app.engine.now());
    for who in ["ana", "bo", "cy"] {
        stage.world.clicks(who).await;
        stage.world.pays(who).await;
    }
    stage.sees("SOLD OUT").await;
    assert_eq!((times(&stage, "SALE OPEN"), times(&stage, "SOLD OUT")), (1, 1));
    stage.done().await;
}

#[tokio::test]
async fn a_notice_whose_confirmation_was_lost_is_not_said_twice() {
    for fate in [Fate::ShownThenCut, Fate::ShownThenReconnect] {
        let mut stage = Stage::new().await;
        stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
        stage.chat.state().fates.push_back(fate);
        stage.whispers(&MOD, "!sale stop");
        // The answer to the moderator may come before or after: both are unconfirmed alike.
        stage.comes_back().await;
        stage.world.advance(secs(5)).await;
        stage.until("the end is told", |stage| times(stage, "CANCELLED") > 0).await;
        stage.world.advance(mins(2)).await;
        assert_eq!(times(&stage, "CANCELLED"), 1, "{:?}", stage.chat.shown());
        stage.done().await;
    }
}

#[tokio::test]
async fn a_notice_that_was_cut_off_is_said_after_the_return() {
    let mut stage = Stage::new().await;
    stage.chat.state().fates.extend([Fate::Cut, Fate::Cut]);
    stage.world.says("!sale start mug 10m").await;
    for _ in 0..2 {
        stage.is_up().await;
        stage.world.advance(secs(2)).await;
    }
    stage.is_up().await;
    stage.world.advance(secs(3)).await;
    stage.sees("SALE OPEN").await;
    assert_eq!(times(&stage, "SALE OPEN"), 1);
    let came = stage.chat.state().came.clone();
    assert!(came.windows(2).all(|two| two[0] == two[1]), "to the letter the same: {came:?}");
    stage.world.says("!sale stop").await;
    stage.sees("CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn too_fast_is_tried_again() {
    let mut stage = Stage::new().await;
    let slow = Fate::Notice("msg_ratelimit", "Your message was not sent because you are sending");
    stage.chat.state().fates.extend([slow, slow]);
    stage.world.says("!sale start mug 10m").await;
    stage
        .until("two were refused", |stage| {
            stage.world.clock.advance(secs(1));
            stage.chat.state().fates.is_empty()
        })
        .await;
    stage.world.advance(secs(5)).await;
    stage.sees("SALE OPEN").await;
    assert_eq!(times(&stage, "SALE OPEN"), 1);
    stage.world.says("!sale stop").await;
    stage.sees("CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn a_ban_is_told_once_and_stops_no_sale() {
    let mut stage = Stage::new().await;
    let banned = "You are permanently banned from talking in plant_lady.";
    for _ in 0..10 {
        stage.chat.state().fates.push_back(Fate::Notice("msg_banned", banned));
    }
    stage.world.says("!sale start mug 10m").await;
    stage.until("it is broken", |s| matches!(s.standing(), Standing::Broken(_))).await;
    let Standing::Broken(why) = stage.standing() else { unreachable!() };
    assert!(why.contains("#plant_lady") && why.contains("Fix: unban the bot"), "{why}");
    for who in ["ana", "bo", "cy"] {
        stage.world.clicks(who).await;
        stage.world.pays(who).await;
    }
    let said = stage.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    stage.world.advance(mins(10)).await;
    // One attempt for each line, none repeated.
    let mut came = stage.chat.state().came.clone();
    came.sort();
    came.dedup();
    assert_eq!(came.len(), stage.chat.state().came.len(), "{came:?}");
    // Unbanned, it is heard again.
    stage.chat.state().fates.clear();
    stage.says(&OWNER, "!sale list", "mug · Fern Mug").await;
    assert_eq!(stage.standing(), Standing::Up);
    let parked = stage.world.app.at_rest().await.expect("the store").1;
    assert!(parked > 0, "what was not said waits for a person");
    assert!(stage.chat.state().violations.is_empty());
    stage.world.proves().await;
}

#[tokio::test]
async fn a_channel_that_is_shut_is_told_with_its_mend() {
    let mut scene = Scene::new().await;
    scene.chat.state().shut = Some(("msg_channel_suspended", "This channel is suspended."));
    let found = scene.twitch().check(&[room()]).await;
    assert!(found.iter().any(|f| f.is_error() && f.says.contains("suspended")), "{found:?}");
    scene.config.required = false;
    let mut stage = scene.play().await;
    stage.until("it is broken", |s| matches!(s.standing(), Standing::Broken(_))).await;
    let said = stage.world.says("!sale start mug 10m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    assert!(stage.chat.state().came.is_empty(), "nothing is said to a door that is shut");
}

#[tokio::test]
async fn a_restart_repeats_no_line() {
    let mut stage = Stage::new().await;
    stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
    // The end is shown, and the program dies before it hears so.
    stage.chat.state().fates.push_back(Fate::ShownThenCut);
    stage.world.says("!sale stop").await;
    stage.until("the end is told", |stage| times(stage, "CANCELLED") > 0).await;
    let mut stage = stage.restarts().await;
    stage.is_up().await;
    stage.world.advance(secs(10)).await;
    stage
        .until("it was tried again", |stage| {
            let came = stage.chat.state().came.clone();
            came.iter().filter(|line| line.starts_with("CANCELLED")).count() > 1
        })
        .await;
    stage.world.settle().await;
    let came = stage.chat.state().came.clone();
    let ends: Vec<&String> = came.iter().filter(|line| line.starts_with("CANCELLED")).collect();
    assert!(ends.iter().all(|line| *line == ends[0]), "to the letter the same: {ends:?}");
    assert_eq!(times(&stage, "CANCELLED"), 1);
    assert_eq!(stage.world.app.at_rest().await.expect("the store"), (true, 0));
    stage.done().await;
}

#[tokio::test]
async fn a_server_that_swallows_a_line_gets_it_once_more() {
    let mut stage = Stage::new().await;
    stage.chat.state().fates.push_back(Fate::Swallowed);
    stage.world.says("!sale start mug 10m").await;
    stage.world.advance(secs(2)).await;
    stage.sees("SALE OPEN").await;
    assert_eq!(times(&stage, "SALE OPEN"), 1);
    stage.world.says("!sale stop").await;
    stage.sees("CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn a_mute_server_stops_no_sale_and_gets_nothing_stale() {
    let mut stage = Stage::new().await;
    stage.chat.state().mute = true;
    let started = stage.world.says("!sale start mug 10m");
    let said = tokio::time::timeout(PATIENCE, started).await.expect("in time");
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    // The server comes back to life with a new connection; the line is the same to the letter.
    stage.chat.state().mute = false;
    stage.chat.cuts();
    stage.comes_back().await;
    stage.world.advance(secs(5)).await;
    stage.world.settle().await;
    assert_eq!(times(&stage, "SALE OPEN"), 1);
    stage.world.says("!sale stop").await;
    stage.sees("CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn a_server_that_is_away_stops_no_sale() {
    let mut scene = Scene::new().await;
    scene.config.server = "tcp://nowhere.invalid:6667".to_owned();
    let mut stage = scene.play().await;
    stage.until("the name is not known", is_away).await;
    let Standing::Away(why) = stage.standing() else { unreachable!() };
    assert!(why.starts_with("nowhere.invalid:6667 cannot be reached: "), "{why}");
    let said = stage.world.says("!sale start mug 10m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    stage.world.says("!sale stop").await;
}

#[tokio::test]
async fn a_server_that_turns_connections_away_is_asked_ever_more_rarely() {
    let scene = Scene::new().await;
    scene.chat.state().refuses = true;
    let mut stage = scene.play().await;
    tokio::time::sleep(Duration::from_secs(9)).await;
    // At once, after the library's two seconds, and 2 s and 4 s after that.
    let tries = stage.chat.state().turned_away;
    let Standing::Away(why) = stage.standing() else { panic!("{:?}", stage.standing()) };
    assert!(why.contains("ended the connection before it let the bot in"), "{why}");
    assert!((2..=4).contains(&tries), "{tries} connections in 9 s");
    stage.chat.state().refuses = false;
    stage.is_up().await;
    stage.says(&MOD, "!sale list", "mug · Fern Mug").await;
    stage.done().await;
}

#[tokio::test]
async fn its_own_standing_chooses_how_much_it_may_say() {
    let scene = Scene::new().await;
    scene.chat.state().moderates = false;
    let mut stage = scene.play().await;
    stage.is_up().await;
    let within = secs(30);
    let updates = Updates::Lines(secs(20));
    assert_eq!(stage.twitch.limits(&room()), Limits { sends: 18, within, updates });
    stage.chat.state().moderates = true;
    stage.says(&MOD, "!sale list", "mug · Fern Mug").await;
    assert_eq!(stage.twitch.limits(&room()), Limits { sends: 90, within, updates });
    let nowhere = Room::new(livetill::room::PlatformName::Twitch, "elsewhere");
    assert_eq!(stage.twitch.limits(&nowhere).sends, 18);
    stage.done().await;
}

#[tokio::test]
async fn even_pushed_it_stays_within_what_twitch_allows() {
    let scene = Scene::new().await;
    scene.chat.state().moderates = false;
    let mut stage = scene.play().await;
    stage.is_up().await;
    let free_at = stage.world.clock.now() + secs(30);
    for n in 0..40 {
        let said = stage.twitch.say(&room(), &[format!("line {n}")]).await;
        assert_eq!(said, if n < 20 { Ok(()) } else { Err(SayError::NotBefore(free_at)) });
    }
    assert_eq!(stage.chat.shown().len(), 20);
    stage.world.advance(secs(30)).await;
    stage.twitch.say(&room(), &["again".to_owned()]).await.expect("said");
    stage.done().await;
}

#[tokio::test]
async fn a_flood_of_viewers_keeps_no_moderator_waiting() {
    let mut stage = Stage::new().await;
    let viewer = Person { id: "5", login: "vi", name: "Vi", badges: "", tags: ";mod=0" };
    for n in 0..2000 {
        stage.chat.says(&viewer, &format!("v{n}"), "!buy !buy !buy");
    }
    stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
    stage.says(&MOD, "!sale stop", "CANCELLED").await;
    stage.done().await;
}
