//! Titles that try everything: harmless wherever Discord shows them.

use serde_json::Value;

use super::{
    fixtures::SHOP,
    guild::{Guild, MOD, VIEWER, control},
};
use crate::world::{MUG, mins};

fn hostile(title: &str, description: &str) -> String {
    let title = serde_json::to_string(title).expect("quoted");
    let description = serde_json::to_string(description).expect("quoted");
    MUG.replace("title = \"Fern Mug\"", &format!("title = {title}\ndescription = {description}"))
}

fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(all) => all.iter().for_each(|one| texts(one, found)),
        Value::Object(all) => all.values().for_each(|one| texts(one, found)),
        _ => {}
    }
}

/// Titles have at most 100 characters; what does not fit goes into the description, and the other
/// way round.
const HOSTILE: [&str; 3] = [
    "Mug\r\n/ban x @everyone <@&1> <#2> **bold** <script>alert(1)</script>",
    "[click](https://evil.example) \u{202E}gum\u{202C} `code` ||spoiler|| https://evil.example",
    "# big -# small > quote <:pig:1> <t:1:R> @here ~~gone~~ \\",
];

#[tokio::test]
async fn nothing_in_a_title_or_description_does_anything() {
    let mut shown = String::new();
    for (n, title) in HOSTILE.iter().enumerate() {
        let description = HOSTILE[(n + 1) % HOSTILE.len()];
        let mut guild = Guild::new(&hostile(title, description)).await;
        guild.says(MOD, "!sale start mug 10m").await;
        let card = guild.card();
        let token = guild.presses(VIEWER, SHOP, &card, &control(&card, "get:"), &[]);
        guild.work_off().await;
        let yours = guild.answered(&token).await.shown.expect("an answer");
        let embed = &card["embeds"][0];
        for text in [&card["content"], &embed["title"], &embed["description"], &yours["content"]] {
            let text = text.as_str().expect("text");
            shown.push_str(&text.replace(&guild.world.url(""), "https://shop.example"));
            shown.push('\n');
        }
        guild.advance(mins(15)).await;
        let mut all = Vec::new();
        texts(&yours["content"], &mut all);
        for message in guild.fake.messages(SHOP) {
            texts(&message["content"], &mut all);
            texts(&message["embeds"], &mut all);
        }
        for text in all {
            let ours = ["**Yours:**", "<t:"];
            let rest = ours.iter().fold(text.clone(), |rest, own| rest.replacen(own, "", 2));
            for bad in [
                "@everyone",
                "@here",
                " <",
                "](https://",
                "\u{202E}",
                "\r",
                "https://evil",
                " *",
                " `",
                " ||",
            ] {
                assert!(!rest.contains(bad), "{bad} in {text}");
            }
        }
        guild.done().await;
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test]
async fn the_longest_texts_fit() {
    let mut guild = Guild::new(&hostile(&"*@".repeat(50), &"_<".repeat(3000))).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let card = guild.card();
    assert!(card["embeds"][0]["description"].as_str().expect("text").ends_with('…'));
    guild.says(MOD, "!sale list").await;
    guild.advance(mins(15)).await;
    guild.done().await;
}
