//! What `check` finds wrong, each with its mend.

use std::collections::BTreeMap;

use livetill::{
    platform::discord::{Settings as Config, check},
    room::Room,
};
use serde_json::json;

use super::{fake::Fake, fixtures::TOKEN};

fn config(url: &str) -> Config {
    Config { enabled: true, api_url: url.to_owned(), token: TOKEN.into(), ..Config::default() }
}

fn rooms(all: &[&str]) -> Vec<Room> {
    all.iter().map(|room| room.parse().expect("a room")).collect()
}

#[tokio::test]
async fn nothing_is_said_when_all_is_well() {
    crate::world::crypto();
    let fake = Fake::start().await;
    let found = check(&config(&fake.url), &rooms(&["console", "discord:1001"])).await;
    assert!(found.is_empty(), "{found:?}");
}

#[tokio::test]
async fn each_room_that_lacks_something_is_named_with_what_it_lacks() {
    crate::world::crypto();
    let fake = Fake::start().await;
    fake.with(|all| {
        all.flags = 0;
        // Everybody may not post; members with the managers' role may, which the bot has not.
        let rules = json!([{ "id": "100", "type": 0, "allow": "0", "deny": "18432" }]);
        all.overwrites.insert("1001".to_owned(), rules);
        all.closed.insert("1002".to_owned(), 50_001);
    });
    let asked = rooms(&["discord:1001", "discord:1002", "discord:1003", "discord:77"]);
    let found = check(&config(&fake.url), &asked).await;
    let by_key: BTreeMap<&str, &str> =
        found.iter().map(|finding| (finding.key.as_str(), finding.says.as_str())).collect();
    assert!(by_key["discord.intents"].contains("Message Content Intent"), "{by_key:#?}");
    assert!(by_key["discord:1001"].contains("lacks Send Messages, Embed Links"), "{by_key:#?}");
    assert!(by_key["discord:1001"].contains("permissions=84992"), "{by_key:#?}");
    assert!(by_key["discord:1002"].contains("cannot see such a channel"), "{by_key:#?}");
    assert!(by_key["discord:77"].contains("client_id=4343"), "{by_key:#?}");
    assert_eq!(by_key.len(), 4);
}

#[tokio::test]
async fn a_room_that_is_no_text_channel_is_named_by_its_kind() {
    crate::world::crypto();
    let fake = Fake::start().await;
    for (code, kind, warning) in [
        (2, "a voice channel", true),
        (4, "a category", false),
        (5, "", true),
        (11, "a thread", true),
        (13, "a voice channel", true),
        (15, "a forum", false),
        (16, "a media channel", false),
    ] {
        fake.with(|all| {
            all.types.insert("1001".to_owned(), code);
            // What threads need is not among what plain channels need.
            let rules = json!([{ "id": "100", "type": 0, "deny": "0", "allow": "274878955520" }]);
            all.overwrites.insert("1001".to_owned(), rules.clone());
            all.overwrites.insert("1003".to_owned(), rules);
        });
        let found = check(&config(&fake.url), &rooms(&["discord:1001"])).await;
        if kind.is_empty() {
            assert!(found.is_empty(), "{code}: {found:?}");
            continue;
        }
        let [one] = found.as_slice() else { panic!("{code}: {found:?}") };
        assert_eq!((one.key.as_str(), one.is_error()), ("discord:1001", !warning), "{code}");
        assert!(one.says.contains(kind) && one.says.contains("text or announcement"), "{one:?}");
    }
    // The right that is named is the one that a thread takes, by its channel's settings.
    fake.with(|all| {
        all.types.insert("1001".to_owned(), 11);
        all.overwrites.clear();
    });
    let found = check(&config(&fake.url), &rooms(&["discord:1001"])).await;
    assert!(found[0].says.contains("lacks Send Messages in Threads there"), "{found:?}");
}

#[tokio::test]
async fn a_wrong_token_is_said_once() {
    crate::world::crypto();
    let fake = Fake::start().await;
    fake.with(|all| all.token = "another".to_owned());
    let found = check(&config(&fake.url), &rooms(&["discord:1001"])).await;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].key, "discord.token");
    assert!(found[0].is_error() && !found[0].says.contains(TOKEN), "{found:?}");
}

#[tokio::test]
async fn nobody_there_is_not_a_wrong_token() {
    crate::world::crypto();
    let found = check(&config("http://127.0.0.1:9"), &rooms(&["discord:1001"])).await;
    assert_eq!((found.len(), found[0].key.as_str()), (1, "discord"));
}
