//! The one live message of a sale, from its first word to the result.

use livetill::platform::Heard;
use serde_json::{Value, json};

use super::{
    fixtures::{BOT, MODS, SHOP, message, user},
    guild::{Guild, MOD, Odd, VIEWER, controls},
};
use crate::world::{MUG, eventually, mins, secs};

fn field(card: &Value, name: &str) -> String {
    let fields = card["embeds"][0]["fields"].as_array().expect("fields");
    let found = fields.iter().find(|field| field["name"] == name);
    found.map_or_else(
        || panic!("no {name}: {fields:?}"),
        |f| f["value"].as_str().expect("text").to_owned(),
    )
}

fn content(message: &Value) -> &str {
    message["content"].as_str().expect("text")
}

#[tokio::test]
async fn a_sale_typed_in_a_room_has_one_message_for_its_whole_life() {
    let mut guild = Guild::new(MUG).await;
    let replies = guild.says(MOD, "!sale start mug 10m").await;
    assert_eq!(replies.len(), 1);
    assert!(replies[0].starts_with("Preparing #1 Fern Mug"), "{replies:?}");
    let opened = guild.card();
    let link = guild.world.url("/live");
    assert_eq!(content(&opened), format!("SALE OPEN · Fern Mug · $18 · 3 left · 10 min · {link}"));
    let sale = guild.world.newest().id;
    assert_eq!(controls(&opened), [format!("get:{sale}"), link]);
    assert_eq!(field(&opened, "Left"), "3 of 3");
    let ends = guild.world.newest().ends_at.expect("it is open").seconds();
    assert_eq!(field(&opened, "Ends"), format!("<t:{ends}:R> (<t:{ends}:T>)"));
    assert_eq!(opened["embeds"][0]["footer"]["text"], "OPEN · #1");
    let open_colour = opened["embeds"][0]["color"].clone();

    guild.advance(secs(3)).await;
    guild.world.clicks("ana").await;
    guild.advance(secs(3)).await;
    let held = guild.card();
    assert_eq!(held["id"], opened["id"]);
    assert_eq!(field(&held, "Left"), "2 of 3");
    assert!(content(&held).starts_with("Fern Mug: 2 of 3 left"), "{}", content(&held));

    guild.says(MOD, "!sale pause").await;
    let paused = guild.card();
    assert!(content(&paused).starts_with("PAUSED · Fern Mug"), "{}", content(&paused));
    assert_eq!(paused["components"][0]["components"][0]["disabled"], true);
    assert_eq!(paused["embeds"][0]["footer"]["text"], "PAUSED · #1");
    guild.advance(secs(3)).await;
    guild.says(MOD, "!sale resume").await;
    assert!(content(&guild.card()).starts_with("SALE OPEN · Fern Mug is back"));

    guild.world.pays("ana").await;
    for who in ["bo", "cy"] {
        guild.world.clicks(who).await;
        guild.world.pays(who).await;
    }
    guild.advance(secs(3)).await;
    let ended = guild.card();
    assert_eq!(ended["id"], opened["id"]);
    assert!(content(&ended).starts_with("SOLD OUT · Fern Mug · 3 sold"), "{}", content(&ended));
    assert_eq!(controls(&ended), Vec::<String>::new());
    assert_eq!(field(&ended, "Sold"), "3 of 3");
    assert_ne!(ended["embeds"][0]["color"], open_colour);
    let results: Vec<Value> = guild
        .fake
        .messages(SHOP)
        .into_iter()
        .filter(|message| message["message_reference"]["message_id"] == opened["id"])
        .collect();
    assert_eq!(results.len(), 1);
    assert!(content(&results[0]).starts_with("SOLD OUT · Fern Mug · 3 in"), "{results:#?}");
    guild.done().await;
}

#[tokio::test]
async fn a_killed_program_goes_on_editing_the_same_message() {
    let odd = Odd::new(MUG).await;
    let mut first = odd.live().await;
    first.says(MOD, "!sale start mug 10m").await;
    let opened = first.card();
    let posts = odd.fake.calls("POST", "/channels/1001/messages").len();
    first.kill().await;

    let second = odd.live().await;
    second.world.settle().await;
    second.advance(secs(10)).await;
    let mut world = second;
    world.world.clicks("ana").await;
    world.advance(secs(5)).await;
    let card = world.card();
    assert_eq!(card["id"], opened["id"]);
    assert!(content(&card).starts_with("Fern Mug: 2 of 3 left"), "{}", content(&card));
    assert_eq!(
        odd.fake.calls("POST", "/channels/1001/messages").len(),
        posts,
        "nothing is said twice"
    );
    world.world.proves().await;
    world.done().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_makes_no_second_message() {
    let mut guild = Guild::new(MUG).await;
    guild.fake.with(|all| {
        let lost = super::fake::Fault {
            method: "POST",
            part: "/channels/1001/messages",
            status: 502,
            body: Value::Null,
            times: 3,
            done: true,
        };
        all.faults.push(lost);
    });
    // The reply to the moderator, the opening and its first repetition are lost on the way back.
    guild.says(MOD, "!sale start mug 10m").await;
    guild.advance(secs(20)).await;
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    guild.done().await;
}

#[tokio::test]
async fn a_deleted_message_comes_back_once() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let remove = |guild: &Guild| {
        guild.fake.with(|all| {
            let messages = all.messages.get_mut("1001").expect("there is one");
            messages.retain(|_, message| message["embeds"].as_array().is_none_or(Vec::is_empty));
        });
    };
    remove(&guild);
    guild.advance(secs(3)).await;
    guild.world.clicks("ana").await;
    guild.advance(secs(3)).await;
    assert!(content(&guild.card()).starts_with("Fern Mug: 2 of 3 left"));
    remove(&guild);
    guild.world.clicks("bo").await;
    guild.advance(secs(3)).await;
    assert_eq!(guild.fake.live(SHOP).len(), 0, "whoever deletes it twice means it");
    guild.advance(mins(12)).await;
    let last = guild.fake.messages(SHOP).pop().expect("the result");
    assert!(content(&last).starts_with("ENDED · Fern Mug"), "{last}");
    guild.done().await;
}

#[tokio::test]
async fn ten_changes_at_once_are_one_edit() {
    let many = MUG.replace("stock = 3", "stock = 20").replace("max_stock = 10", "max_stock = 30");
    let mut guild = Guild::new(&many).await;
    guild.says(MOD, "!sale start mug 10m").await;
    guild.advance(secs(3)).await;
    let before = guild.fake.calls("PATCH", "/channels/1001/").len();
    for n in 0..10 {
        guild.world.clicks(&format!("buyer {n}")).await;
    }
    guild.advance(secs(4)).await;
    let edits = guild.fake.calls("PATCH", "/channels/1001/").len() - before;
    assert!((1..=2).contains(&edits), "{edits} edits");
    assert_eq!(field(&guild.card(), "Left"), "10 of 20");
    guild.advance(mins(20)).await;
    guild.done().await;
}

#[tokio::test]
async fn an_old_message_is_edited_rarely_and_replaced_when_discord_takes_no_more() {
    let long = MUG.replace("max_duration = \"30m\"", "max_duration = \"3h\"");
    let mut guild = Guild::new(&long).await;
    guild.says(MOD, "!sale start mug 2h").await;
    let opened = guild.card();
    guild.advance(mins(61)).await;
    let edits = |guild: &Guild| guild.fake.calls("PATCH", "/channels/1001/").len();
    let posts = |guild: &Guild| guild.fake.calls("POST", "/channels/1001/messages").len();
    // A change every three seconds, and an edit in thirty.
    let before = edits(&guild);
    for who in ["ana", "bo", "cy"] {
        guild.world.clicks(who).await;
        guild.advance(secs(3)).await;
    }
    assert_eq!(edits(&guild) - before, 1);
    guild.advance(secs(30)).await;
    assert_eq!(edits(&guild) - before, 2);
    assert_eq!(field(&guild.card(), "Left"), "0 of 3");

    // Too many all the same: stock waits, and nothing is posted for it.
    guild.advance(secs(31)).await;
    let (edited, posted) = (edits(&guild), posts(&guild));
    guild.fake.fault("PATCH", "/channels/1001/messages", 429, 30_046, 1);
    guild.world.pays("ana").await;
    guild.advance(secs(60)).await;
    assert_eq!((edits(&guild), posts(&guild)), (edited + 1, posted));
    guild.advance(secs(90)).await;
    assert!(edits(&guild) > edited + 1);
    assert_eq!(guild.card()["id"], opened["id"]);

    // A new state does not wait: it is said in a new message, in the old one's place.
    guild.fake.fault("PATCH", "/channels/1001/messages", 429, 30_046, 100);
    guild.says(MOD, "!sale pause").await;
    let paused = guild.card();
    assert_ne!(paused["id"], opened["id"]);
    assert!(content(&paused).starts_with("PAUSED · Fern Mug"), "{}", content(&paused));
    guild.fake.with(|all| all.faults.clear());
    guild.advance(secs(3)).await;
    guild.says(MOD, "!sale resume").await;
    guild.advance(mins(70)).await;
    let ended = guild.card();
    assert_eq!(ended["id"], paused["id"]);
    assert!(content(&ended).starts_with("ENDED · Fern Mug"), "{}", content(&ended));
    guild.done().await;
}

#[tokio::test]
async fn a_busy_discord_is_caught_up_with() {
    let mut guild = Guild::new(MUG).await;
    guild.fake.fault("POST", "/channels/1001/messages", 500, 0, 2);
    guild.fake.fault("POST", "/channels/1001/messages", 429, 0, 1);
    guild.says(MOD, "!sale start mug 10m").await;
    assert_eq!(guild.fake.live(SHOP).len(), 0);
    guild.advance(secs(30)).await;
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    guild.fake.fault("PATCH", "/channels/1001/messages", 500, 0, 1);
    guild.advance(mins(15)).await;
    assert!(content(&guild.card()).starts_with("ENDED · Fern Mug"), "{}", guild.card());
    guild.done().await;
}

#[tokio::test]
async fn a_missing_permission_is_told_by_its_name_once() {
    let mut guild = Guild::new(MUG).await;
    guild.fake.with(|all| all.closed.insert("1001".to_owned(), 50_013));
    guild.types(MOD, MODS, "!sale start mug 10m");
    guild.work_off().await;
    guild.advance(secs(1)).await;
    let told: Vec<Value> = guild
        .fake
        .messages(MODS)
        .into_iter()
        .filter(|message| content(message).contains("lacks Send Messages in channel 1001"))
        .collect();
    assert_eq!(told.len(), 1, "{:#?}", guild.fake.messages(MODS));
    // The sale runs all the same, and the room is not knocked at for every change.
    let knocks = guild.fake.with(|all| all.calls.len());
    for who in ["ana", "bo", "cy"] {
        guild.world.clicks(who).await;
        guild.world.pays(who).await;
        guild.advance(secs(3)).await;
    }
    assert_eq!(guild.world.newest().paid, 3);
    let tried = guild
        .fake
        .with(|all| all.calls[knocks..].iter().filter(|call| call.path.contains("/1001/")).count());
    assert!(tried <= 2, "{tried} tries");
    // What was parked is a person's business: this world does not end clean, and says so.
    let (rest, parked) = guild.world.app.at_rest().await.expect("the store");
    assert!(rest && parked >= 1);
    guild.fake.done();
}

#[tokio::test]
async fn an_opening_that_the_room_does_not_take_is_told_elsewhere() {
    let mut guild = Guild::new(MUG).await;
    guild.fake.with(|all| {
        all.closed.insert("1001".to_owned(), 50_008);
        all.types.insert("1001".to_owned(), 4);
    });
    guild.types(MOD, MODS, "!sale start mug 10m");
    guild.work_off().await;
    guild.advance(secs(1)).await;
    let told = guild.fake.messages(MODS);
    let told = told.iter().filter(|m| content(m).contains("is a category")).count();
    assert_eq!(told, 1, "{:#?}", guild.fake.messages(MODS));
    let heard = guild.world.heard();
    let told = heard.iter().filter(|line| line.contains("announce the sale in discord:1001"));
    assert_eq!(told.count(), 1, "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("SALE OPEN")), "{heard:?}");
    guild.fake.done();
}

#[tokio::test]
async fn a_picture_that_discord_does_not_take_costs_the_picture_only() {
    let pictured = MUG.replace("warm = 0", "warm = 0\nimage = \"https://shop.example/mug.jpg\"");
    let mut guild = Guild::new(&pictured).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let image = guild.card()["embeds"][0]["image"]["url"].clone();
    assert_eq!(image, "https://shop.example/mug.jpg");
    guild.advance(mins(12)).await;

    guild.types(MOD, SHOP, "!sale start mug 5m");
    guild.fake.fault("POST", "/channels/1001/messages", 200, 0, 0);
    let heard = guild.next().await;
    let Heard::Said(message) = heard else { panic!("{heard:?}") };
    let listener = guild.world.app.listener.clone();
    listener.said(&message).await;
    guild.fake.fault("POST", "/channels/1001/messages", 400, 50_035, 1);
    guild.world.settle().await;
    let newest = guild.fake.live(SHOP).pop().expect("it is shown");
    assert!(newest["embeds"][0]["image"].is_null(), "{newest}");
    guild.advance(mins(12)).await;
    guild.done().await;
}

#[tokio::test]
async fn one_role_is_mentioned_at_the_opening_and_nobody_ever_else() {
    let mut odd = Odd::new(MUG).await;
    odd.config = Box::new(|config| config.announce_role = "777".to_owned());
    let mut guild = odd.live().await;
    guild.says(MOD, "!sale start mug 10m").await;
    let opened = guild.card();
    assert!(content(&opened).starts_with("SALE OPEN · "), "{}", content(&opened));
    assert!(content(&opened).ends_with(" <@&777>"), "{}", content(&opened));
    guild.advance(mins(12)).await;
    let bodies: Vec<Value> = guild.fake.with(|all| {
        let sent = all.calls.iter().filter(|call| call.method != "GET" && call.method != "PUT");
        sent.map(|call| call.body["allowed_mentions"]["roles"].clone()).collect()
    });
    let mentioned: Vec<&Value> =
        bodies.iter().filter(|roles| **roles == serde_json::json!(["777"])).collect();
    assert_eq!(mentioned.len(), 1, "{bodies:?}");
    guild.done().await;
}

#[tokio::test]
async fn moderators_are_told_of_armed_sales_in_words() {
    let mut guild = Guild::new(MUG).await;
    guild.types(MOD, MODS, "!sale arm mug 10m");
    guild.work_off().await;
    guild.world.settle().await;
    let all = guild.fake.messages(MODS);
    assert!(
        all.iter().any(|message| content(message).starts_with("ARMED · \\#1 Fern Mug")
            || content(message).starts_with("ARMED · #1 Fern Mug")),
        "{all:#?}"
    );
    assert_eq!(guild.fake.live(SHOP).len(), 0);
    guild.types(VIEWER, SHOP, "!sale start #1");
    guild.work_off().await;
    assert_eq!(guild.fake.live(SHOP).len(), 0, "a viewer opens nothing");
    guild.says(MOD, "!sale start #1").await;
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    guild.advance(mins(15)).await;
    guild.done().await;
}

/// What Discord sends to everybody in a room, the bot itself included, of a message of the bot's.
fn echoed(guild: &Guild, content: &str, sale: &str) -> Value {
    let mut me = user(BOT, "Till");
    me["bot"] = true.into();
    let mut said = message(guild.fake.fresh(), SHOP, &me, &[], content);
    said["components"] = json!([{ "type": 1, "components": [
        { "type": 2, "style": 3, "label": "Get yours", "custom_id": format!("get:{sale}") }
    ] }]);
    said
}

#[tokio::test]
async fn a_twin_on_discord_is_told_once_and_what_is_ours_is_not() {
    let odd = Odd::new(MUG).await;
    let mut guild = odd.live().await;
    guild.says(MOD, "!sale start mug 10m").await;
    let ours = guild.world.newest().id.to_string();
    let opening = content(&guild.card()).to_owned();
    guild.world.heard();
    guild.kill().await;
    // A new life is shown what the last one said, then what a program with the same settings and
    // another database says.
    let mut guild = odd.live().await;
    let (pass_on, heard) = tokio::sync::mpsc::channel(16);
    guild.world.app.listen(heard);
    let theirs = "01a201ee10e1747eadf41b1a7fee2fc0";
    for sale in [ours.as_str(), ours.as_str(), theirs, theirs] {
        let said = echoed(&guild, &opening, sale);
        guild.fake.event("MESSAGE_CREATE", said);
        let heard = guild.next().await;
        assert!(matches!(heard, Heard::Own { .. }), "{heard:?}");
        pass_on.send(heard).await.expect("it listens");
        if sale == ours {
            // Whatever comes of it has come once the next is answered.
            guild.world.settle().await;
            assert!(
                guild.world.app.engine.store().docs("double", None).await.expect("it").is_empty()
            );
        }
    }
    let mut told = 0;
    eventually("moderators are told", async || {
        told += guild.world.heard().iter().filter(|l| l.contains("Another program")).count();
        told > 0
    })
    .await;
    guild.world.settle().await;
    told += guild.world.heard().iter().filter(|l| l.contains("Another program")).count();
    assert_eq!(told, 1);
    guild.fake.done();
}
