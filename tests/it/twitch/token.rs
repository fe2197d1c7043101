//! Tokens: looked at, renewed, rotated, refused; and how a person logs the bot in.

use std::{os::unix::fs::PermissionsExt, time::Duration};

use livetill::{
    finding::Level,
    platform::{Platform, Standing, twitch::login},
    secret::Secret,
};

use super::{
    fake::{BOT, MOD},
    stage::{Scene, Stage, room},
};
use crate::world::mins;

fn broken(stage: &Stage) -> Option<String> {
    match stage.standing() {
        Standing::Broken(why) => Some(why),
        Standing::Starting | Standing::Up | Standing::Away(_) => None,
    }
}

#[tokio::test]
async fn a_bad_token_is_told_with_its_mend_and_the_console_goes_on() {
    let mut scene = Scene::new().await;
    scene.config.token = Secret::from("made-up");
    scene.config.refresh_token = Secret::default();
    let mut stage = scene.play().await;
    stage.until("it is broken", |stage| broken(stage).is_some()).await;
    let why = broken(&stage).expect("why");
    assert!(why.contains("Fix: livetill login twitch"), "{why}");
    assert!(!why.contains("made-up"));
    let said = stage.world.says("!sale start mug 10m").await;
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    stage.world.says("!sale stop").await;
    stage.world.advance(mins(10)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(stage.chat.state().logins.is_empty(), "a token known to be bad is not tried");
    assert_eq!(stage.id.books().validated, 1, "nor asked about again and again");
}

#[tokio::test]
async fn an_old_token_is_renewed_and_the_new_pair_kept_before_it_is_used() {
    let scene = Scene::new().await;
    let file = scene.token_file();
    scene.id.revoke("access-1");
    let mut stage = scene.play().await;
    stage.is_up().await;
    assert_eq!(stage.chat.state().logins, [("oauth:access-2".to_owned(), true)]);
    let kept = std::fs::read_to_string(&file).expect("kept");
    assert!(kept.contains("access-2") && kept.contains("refresh-2"), "{kept}");
    let mode = std::fs::metadata(&file).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A restart with the same environment goes on with what became of it.
    stage = stage.restarts().await;
    stage.is_up().await;
    assert_eq!(stage.id.books().refreshed, 1);
    assert_eq!(stage.chat.state().logins.len(), 2);
    stage.done().await;
}

#[tokio::test]
async fn a_token_is_looked_at_every_hour_and_renewed_before_it_ends() {
    let mut stage = Stage::new().await;
    assert_eq!(stage.id.books().validated, 1);
    for hours in 2..=3 {
        stage.world.advance(mins(60)).await;
        stage.until("it was looked at", |stage| stage.id.books().validated == hours).await;
    }
    assert_eq!(stage.id.books().refreshed, 0);
    stage.id.books().lasts = 60 * 60;
    stage.world.advance(mins(60)).await;
    stage.until("it was looked at", |stage| stage.id.books().validated == 4).await;
    stage.world.advance(mins(60)).await;
    stage.until("it was renewed", |stage| stage.id.books().refreshed == 1).await;
    assert_eq!(stage.standing(), Standing::Up, "the connection stands all the while");
    stage.done().await;
}

#[tokio::test]
async fn a_login_refused_by_the_chat_is_renewed_once_and_then_left_to_a_person() {
    let mut stage = Stage::new().await;
    // The chat refuses what the token service still calls good.
    stage.id.books().access.insert("access-1".to_owned(), "somebody_else".to_owned());
    stage.chat.cuts();
    stage.until("it was renewed", |stage| stage.id.books().refreshed == 1).await;
    stage.is_up().await;
    assert_eq!(stage.chat.state().logins.last(), Some(&("oauth:access-2".to_owned(), true)));
    stage.done().await;
}

#[tokio::test]
async fn a_token_revoked_in_mid_sale_ends_no_sale_and_is_not_tried_for_ever() {
    let mut stage = Stage::new().await;
    stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
    stage.id.books().access.clear();
    stage.id.books().refresh.clear();
    stage.chat.cuts();
    stage.until("it is broken", |stage| broken(stage).is_some()).await;
    let tried = stage.chat.state().logins.len();
    assert!(tried <= 2, "{tried} logins");
    for who in ["ana", "bo", "cy"] {
        stage.world.clicks(who).await;
        stage.world.pays(who).await;
    }
    let said = stage.world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    assert_eq!(stage.chat.state().logins.len(), tried);
    // A person logs the bot in anew while it runs: it comes back by itself.
    stage.id.books().agreed = Some(BOT.to_owned());
    let scene = Scene::new().await;
    let config = livetill::platform::twitch::Settings { auth_url: stage.id.url(), ..scene.config };
    let file = stage.world.dir().join("twitch-token.json");
    login(&config, &file, &livetill::clock::SystemClock, |_| {}).await.expect("logged in");
    stage.is_up().await;
    stage.says(&MOD, "!sale list", "mug · Fern Mug").await;
    assert!(stage.chat.state().violations.is_empty());
}

#[tokio::test]
async fn a_token_service_that_is_away_is_waited_for() {
    let mut scene = Scene::new().await;
    scene.config.login = String::new();
    scene.id.books().down = true;
    let mut stage = scene.play().await;
    stage.until("it waits", |stage| matches!(stage.standing(), Standing::Away(_))).await;
    stage.id.books().down = false;
    stage.is_up().await;
    stage.done().await;
}

#[tokio::test]
async fn a_person_logs_the_bot_in_by_a_code() {
    let mut scene = Scene::new().await;
    (scene.config.token, scene.config.refresh_token) = (Secret::default(), Secret::default());
    let nothing = scene.twitch().check(&[room()]).await;
    assert!(nothing[0].says.contains("Fix: livetill login twitch"), "{nothing:?}");
    let (config, file, id) = (scene.config.clone(), scene.token_file(), scene.id.clone());
    let mut shown = None;
    let logged_in = login(&config, &file, &livetill::clock::SystemClock, |prompt| {
        shown = Some(prompt.clone());
        let id = id.clone();
        tokio::spawn(async move {
            while id.books().polled < 2 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            id.books().agreed = Some(BOT.to_owned());
        });
    })
    .await;
    assert_eq!(logged_in.expect("logged in"), BOT);
    let shown = shown.expect("a prompt");
    assert_eq!(shown.code, "ABCDEFGH");
    assert!(shown.address.starts_with("https://www.twitch.tv/activate"));
    let mut stage = scene.play().await;
    stage.is_up().await;
    stage.done().await;
}

#[tokio::test]
async fn somebody_else_logging_in_is_noticed() {
    let scene = Scene::new().await;
    scene.id.books().agreed = Some("ana".to_owned());
    let (config, file) = (&scene.config, scene.token_file());
    let error = login(config, &file, &livetill::clock::SystemClock, |_| {}).await;
    let error = error.expect_err("somebody else").to_string();
    assert!(error.contains("that was ana") && error.contains(BOT), "{error}");
    assert!(!file.exists());
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_and_the_mend() {
    let mut scene = Scene::new().await;
    assert!(scene.twitch().check(&[room()]).await.is_empty());
    scene.chat.state().moderates = false;
    let found = scene.twitch().check(&[room()]).await;
    assert!(found.len() == 1 && found[0].level == Level::Warning, "{found:?}");
    assert!(found[0].says.contains("Fix: type /mod till_bot in that chat"), "{found:?}");
    scene.config.login = "other_bot".to_owned();
    let found = scene.twitch().check(&[room()]).await;
    assert!(found[0].says.contains("belongs to till_bot, but twitch.login is other_bot"));
    scene.config.login = BOT.to_owned();
    scene.id.books().scopes = vec!["chat:read".to_owned()];
    let found = scene.twitch().check(&[room()]).await;
    assert!(found[0].says.contains("does not allow chat:edit"), "{found:?}");
    scene.id.books().scopes.push("chat:edit".to_owned());
    scene.id.revoke("access-1");
    let found = scene.twitch().check(&[room()]).await;
    assert!(found[0].level == Level::Warning && found[0].says.contains("renews it"), "{found:?}");
    assert_eq!(scene.id.books().refreshed, 0, "the doctor uses no refresh token up");
}

#[tokio::test]
async fn a_file_that_others_can_read_is_not_used() {
    let mut scene = Scene::new().await;
    (scene.config.token, scene.config.refresh_token) = (Secret::default(), Secret::default());
    let file = scene.token_file();
    std::fs::write(&file, "{}").expect("written");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("set");
    let found = scene.twitch().check(&[room()]).await;
    assert!(found[0].says.contains("chmod 600"), "{found:?}");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("set");
    let found = scene.twitch().check(&[room()]).await;
    assert!(found[0].says.contains("is damaged"), "{found:?}");
}
