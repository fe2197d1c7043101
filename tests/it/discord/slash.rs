//! `/sale`: registered once, suggested, answered privately, the same words as `!sale`.

use livetill::{platform::Heard, room::Role};
use serde_json::json;

use super::{
    fixtures::{ELSEWHERE, MODS, SHOP},
    guild::{Guild, MOD, Odd, VIEWER, control, controls},
};
use crate::world::{MUG, mins, secs};

#[tokio::test]
async fn a_sale_is_started_and_asked_about_by_slash_command() {
    let mut guild = Guild::new(MUG).await;
    let token = guild.uses(
        MOD,
        SHOP,
        "start",
        &[("what", json!("mug")), ("time", json!("10m")), ("title", json!("Blue \"Fern\""))],
    );
    let Heard::Said(heard) = guild.work_off().await else { panic!("a command") };
    assert_eq!((heard.aside, heard.role), (true, Role::Moderator));
    assert_eq!(heard.text, "!sale start mug 10m title=\"Blue 'Fern'\"");
    let seen = guild.answered(&token).await;
    assert_eq!((seen.kinds.as_slice(), &seen.first["data"]["flags"]), (&[5][..], &json!(64)));
    let shown = seen.shown.expect("an answer");
    let said = shown["content"].as_str().expect("text");
    assert!(
        said.starts_with("Preparing \\#1 Blue 'Fern'") || said.starts_with("Preparing #1"),
        "{said}"
    );
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    // Money talk stays between the bot and the asker.
    let token = guild.uses(MOD, SHOP, "report", &[]);
    guild.work_off().await;
    assert!(guild.answered(&token).await.shown.is_some());
    assert_eq!(guild.fake.messages(MODS).len(), 0);
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn the_same_twice_is_done_once_and_the_second_is_not_left_waiting() {
    let mut guild = Guild::new(MUG).await;
    let what = [("what", json!("mug")), ("time", json!("10m"))];
    let first = guild.uses(MOD, SHOP, "start", &what);
    guild.work_off().await;
    let second = guild.uses(MOD, SHOP, "start", &what);
    guild.work_off().await;
    assert!(guild.answered(&first).await.shown.is_some());
    assert!(guild.answered(&second).await.dropped);
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn whoever_may_not_is_told_so_and_nothing_is_heard() {
    let mut guild = Guild::new(MUG).await;
    let stop = guild.uses(VIEWER, SHOP, "list", &[]);
    let seen = guild.answered(&stop).await;
    assert_eq!(seen.kinds, [4]);
    assert_eq!(
        seen.shown.expect("an answer")["content"],
        "Only the shop's moderators can do that."
    );
    let elsewhere = guild.uses(MOD, ELSEWHERE, "list", &[]);
    let seen = guild.answered(&elsewhere).await.shown.expect("an answer");
    assert_eq!(seen["content"], "Sales are not run from this channel.");
    assert!(guild.heard.try_recv().is_err());
    guild.done().await;
}

#[tokio::test]
async fn commands_are_registered_once_and_seen_by_those_who_manage_the_server() {
    let odd = Odd::new(MUG).await;
    let guild = odd.live().await;
    let registered = odd.fake.with(|all| all.registered.clone());
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0]["guild"], "100", "the other server has no room of ours");
    let command = &registered[0]["commands"][0];
    assert_eq!(
        (&command["name"], &command["default_member_permissions"]),
        (&json!("sale"), &json!("32"))
    );
    let verbs = command["options"].as_array().expect("verbs");
    assert!(verbs.len() >= 14, "{verbs:?}");
    guild.done().await;
    let again = odd.begin().await;
    again.stands("up", |standing| *standing == livetill::platform::Standing::Up).await;
    // A message behind the server's arrival: by then the commands were looked at.
    let mut again = again;
    again.says(MOD, "!sale list").await;
    assert_eq!(odd.fake.with(|all| all.registered.len()), 1, "nothing changed");
    again.done().await;
}

#[tokio::test]
async fn templates_and_sales_are_suggested_to_moderators() {
    let two = format!("{MUG}\n[templates.maple]\nprice = \"5\"\n");
    let mut guild = Guild::new(&two).await;
    let typing = |verb: &str, name: &str, text: &str| {
        json!({ "id": "7777", "name": "sale", "type": 1, "options": [{
            "name": verb, "type": 1,
            "options": [{ "name": name, "type": 3, "value": text, "focused": true }],
        }] })
    };
    let names = |seen: &super::fake::Seen| -> Vec<String> {
        let choices = seen.first["data"]["choices"].as_array().cloned().unwrap_or_default();
        choices.iter().map(|c| c["value"].as_str().expect("text").to_owned()).collect()
    };
    let token = guild.interact(MOD, SHOP, 4, typing("start", "what", "m"), None);
    assert_eq!(names(&guild.answered(&token).await), ["maple", "mug"]);
    let token = guild.interact(MOD, SHOP, 4, typing("start", "what", "mu"), None);
    assert_eq!(names(&guild.answered(&token).await), ["mug"]);
    let token = guild.interact(VIEWER, SHOP, 4, typing("start", "what", "m"), None);
    assert_eq!(names(&guild.answered(&token).await), Vec::<String>::new());
    guild.says(MOD, "!sale start mug 10m").await;
    let token = guild.interact(MOD, SHOP, 4, typing("stop", "sale", ""), None);
    assert_eq!(names(&guild.answered(&token).await), ["#1"]);
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn only_the_asker_can_confirm_and_the_question_becomes_the_answer() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    guild.world.clicks("ana").await;
    guild.advance(secs(3)).await;
    guild.says(MOD, "!sale stop").await;
    let asked = guild
        .fake
        .messages(SHOP)
        .into_iter()
        .find(|m| !controls(m).is_empty() && m["embeds"] == json!([]));
    let asked = asked.expect("a question with a button");
    let button = control(&asked, "yes:");
    let other = super::guild::Who(super::fixtures::BO, "Mia", &[super::fixtures::MANAGERS]);
    let token = guild.presses(other, SHOP, &asked, &button, &[]);
    let seen = guild.answered(&token).await;
    assert_eq!(
        seen.shown.expect("an answer")["content"],
        "Only the one who was asked can confirm."
    );
    assert_eq!(guild.world.newest().state.word(), "open");
    let token = guild.presses(MOD, SHOP, &asked, &button, &[]);
    guild.work_off().await;
    let seen = guild.answered(&token).await;
    assert_eq!(seen.kinds, [6]);
    assert_eq!(guild.world.newest().state.word(), "cancelled");
    let now = guild
        .fake
        .messages(SHOP)
        .into_iter()
        .find(|m| m["id"] == asked["id"])
        .expect("it is there");
    assert!(now["content"].as_str().expect("text").starts_with("Done · "), "{now}");
    assert_eq!(controls(&now), Vec::<String>::new());
    guild.advance(mins(15)).await;
    guild.done().await;
}
