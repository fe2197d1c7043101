//! Who is heard as a moderator, and who is not heard at all.

use livetill::{platform::Heard, room::Role};
use serde_json::{Value, json};

use super::{
    fixtures::{ABROAD, ANA, BO, ELSEWHERE, LOUD, MANAGERS, MIA, MODS, OWNER, SHOP, message, user},
    guild::{Guild, MOD, Odd, VIEWER, Who},
};
use crate::world::MUG;

async fn role(guild: &mut Guild, who: Who) -> Role {
    guild.types(who, SHOP, "hello");
    match guild.next().await {
        Heard::Said(message) => message.role,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_ids_whoever_manages_the_server_runs_sales() {
    let mut guild = Guild::new(MUG).await;
    for who in [MOD, Who(OWNER, "Somebody", &[])] {
        assert_eq!(role(&mut guild, who).await, Role::Moderator, "{}", who.1);
    }
    for who in [VIEWER, Who(ANA, "Mia", &[]), Who(ANA, "MODERATOR ADMIN", &[LOUD])] {
        assert_eq!(role(&mut guild, who).await, Role::Viewer, "{}", who.1);
    }
    guild.done().await;
}

#[tokio::test]
async fn with_ids_only_these_run_sales() {
    let mut odd = Odd::new(MUG).await;
    odd.config = Box::new(|config| {
        config.moderator_roles = vec![LOUD.to_string()];
        config.moderator_users = vec![BO.to_string()];
    });
    let mut guild = odd.live().await;
    for who in [Who(ANA, "Ana", &[LOUD]), Who(BO, "Bo", &[])] {
        assert_eq!(role(&mut guild, who).await, Role::Moderator, "{}", who.1);
    }
    for who in [MOD, Who(OWNER, "Owner", &[]), Who(LOUD, "Bo", &[]), Who(ANA, "Bo", &[MANAGERS])] {
        assert_eq!(role(&mut guild, who).await, Role::Viewer, "{}", who.1);
    }
    let command = odd.fake.with(|all| all.registered[0]["commands"][0].clone());
    assert_eq!(command["default_member_permissions"], "8192", "they must see what they may use");
    guild.done().await;
}

#[tokio::test]
async fn bots_webhooks_edits_private_and_foreign_messages_have_no_effect() {
    let mut guild = Guild::new(MUG).await;
    let fresh = |change: &dyn Fn(&mut Value)| {
        let id = guild.fake.fresh();
        let mut said = message(id, SHOP, &user(MIA, "Mia"), &[MANAGERS], "!sale start mug 10m");
        change(&mut said);
        said
    };
    let unheard = [
        fresh(&|said| said["author"]["bot"] = true.into()),
        fresh(&|said| said["webhook_id"] = "55".into()),
        fresh(&|said| {
            said["guild_id"] = Value::Null;
            said["member"] = Value::Null;
            said["channel_id"] = "31".into();
        }),
        fresh(&|said| said["channel_id"] = ELSEWHERE.to_string().into()),
        fresh(&|said| {
            said["channel_id"] = ABROAD.to_string().into();
            said["guild_id"] = "200".into();
        }),
        // "Somebody pinned a message" and the like.
        fresh(&|said| said["type"] = 6.into()),
        fresh(&|said| {
            said["author"]["id"] = super::fixtures::BOT.to_string().into();
            said["author"]["bot"] = true.into();
        }),
    ];
    for said in unheard {
        guild.fake.event("MESSAGE_CREATE", said);
    }
    let edited = fresh(&|said| said["edited_timestamp"] = "2026-01-01T00:00:01Z".into());
    guild.fake.event("MESSAGE_UPDATE", edited);
    let token = guild.uses(MOD, ABROAD, "start", &[("what", json!("mug"))]);
    assert_eq!(guild.answered(&token).await.kinds, [4]);
    // Whatever comes first must be this one.
    guild.types(MOD, MODS, "!sale list");
    let Heard::Said(heard) = guild.work_off().await else { panic!("a message") };
    assert_eq!((heard.text.as_str(), heard.room.channel.as_str()), ("!sale list", "1002"));
    assert!(guild.world.app.engine.views().all().is_empty());
    guild.done().await;
}

#[tokio::test]
async fn a_number_of_another_shop_means_nothing_here() {
    let mut guild = Guild::new(MUG).await;
    let replies = guild.says(MOD, "!sale stop #77").await;
    assert_eq!(replies.len(), 1);
    assert!(replies[0].contains("no sale #77 running"), "{replies:?}");
    guild.done().await;
}

#[tokio::test]
async fn without_message_content_mentions_and_slash_commands_work() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.flags = 0);
    let mut guild = odd.live().await;
    let intents = odd.fake.with(|all| all.gateway.hellos[0].1["intents"].as_u64());
    assert_eq!(intents, Some(1 | 1 << 9), "what it may not have is not asked for");
    guild.types(MOD, SHOP, "!sale start mug 10m");
    let replies = guild.says(MOD, "<@4242> sale list").await;
    assert_eq!(replies.len(), 1, "{replies:?}");
    let findings = livetill::platform::Platform::check(guild.discord.as_ref(), &[]).await;
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].says.contains("Message Content Intent"), "{findings:?}");
    assert!(guild.world.app.engine.views().all().is_empty());
    guild.done().await;
}
