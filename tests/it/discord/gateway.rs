//! The connection: lost, resumed, begun anew, refused. The sale goes on whatever happens to it.

use livetill::platform::{Heard, Standing};

use super::{
    fixtures::{SHOP, TOKEN},
    guild::{Guild, MOD, Odd},
    socket::Do,
};
use crate::world::{MUG, mins};

async fn is_heard(guild: &mut Guild, text: &str) {
    guild.types(MOD, SHOP, text);
    let Heard::Said(message) = guild.next().await else { panic!("a message") };
    assert_eq!(message.text, text);
}

fn hellos(guild: &Guild) -> Vec<u64> {
    guild.fake.with(|all| all.gateway.hellos.iter().map(|(op, _)| *op).collect())
}

async fn reconnects(guild: &Guild, as_op: u64) {
    guild
        .fake
        .until("it comes back", |all| {
            all.gateway.hellos.last().is_some_and(|h| h.0 == as_op) && all.gateway.hellos.len() > 1
        })
        .await;
    guild.stands("up again", |standing| *standing == Standing::Up).await;
}

#[tokio::test]
async fn a_lost_connection_is_resumed_and_nothing_is_missed() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    for lost in [Do::Close(4000), Do::Drop, Do::Raw(serde_json::json!({ "op": 7, "d": null }))] {
        let before = hellos(&guild).len();
        guild.fake.gateway(lost.clone());
        guild.fake.until("a resume", |all| all.gateway.hellos.len() > before).await;
        assert_eq!(hellos(&guild).last(), Some(&6), "{lost:?}");
        guild.stands("up again", |standing| *standing == Standing::Up).await;
        is_heard(&mut guild, &format!("after {before}")).await;
    }
    guild.advance(mins(15)).await;
    assert_eq!(guild.fake.live(SHOP).len(), 1);
    guild.done().await;
}

#[tokio::test]
async fn a_close_without_a_reason_holds_nobody_up() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.heartbeat_ms = 4000);
    let mut guild = odd.live().await;
    guild.says(MOD, "!sale start mug 10m").await;
    guild.advance(mins(1)).await;
    guild.fake.gateway(Do::Hush);
    // The listening thread is busy with itself for seconds; selling and showing go on.
    let sold = tokio::time::timeout(std::time::Duration::from_secs(3), async {
        guild.world.clicks("ana").await;
        guild.world.pays("ana").await;
        guild.advance(mins(1)).await;
    });
    sold.await.expect("nobody waits for Discord");
    assert!(guild.card()["content"].as_str().expect("text").starts_with("Fern Mug: 2 of 3 left"));
    reconnects(&guild, 2).await;
    is_heard(&mut guild, "hello again").await;
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn an_invalid_session_begins_anew() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let opened = guild.card();
    guild.fake.gateway(Do::Raw(serde_json::json!({ "op": 9, "d": false })));
    reconnects(&guild, 2).await;
    guild.stands("up again", |standing| *standing == Standing::Up).await;
    is_heard(&mut guild, "hello again").await;
    guild.advance(mins(15)).await;
    assert_eq!(guild.card()["id"], opened["id"]);
    guild.done().await;
}

#[tokio::test]
async fn a_line_that_went_dead_is_noticed_while_the_sale_goes_on() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.heartbeat_ms = 700);
    let mut guild = odd.live().await;
    guild.says(MOD, "!sale start mug 10m").await;
    // When it is noticed, Discord cannot be reached for a while, either.
    guild.fake.with(|all| all.gateway.refuse.extend([4000, 4000]));
    guild.fake.gateway(Do::Mute);
    guild.stands("away", |standing| matches!(standing, Standing::Away(_))).await;
    // Deaf, it still speaks: selling needs no gateway.
    guild.world.clicks("ana").await;
    guild.world.pays("ana").await;
    guild.advance(mins(1)).await;
    assert!(guild.card()["content"].as_str().expect("text").starts_with("Fern Mug: 2 of 3 left"));
    reconnects(&guild, 2).await;
    guild.stands("up again", |standing| *standing == Standing::Up).await;
    is_heard(&mut guild, "hello again").await;
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn a_wrong_token_is_named_with_its_mend_and_not_tried_for_ever() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.token = "another".to_owned());
    let guild = odd.begin().await;
    guild.stands("broken", |standing| matches!(standing, Standing::Broken(_))).await;
    let Standing::Broken(mend) = guild.standing() else { panic!("broken") };
    assert!(mend.contains("LIVETILL_DISCORD__TOKEN") && !mend.contains(TOKEN), "{mend}");
    let tries = odd.fake.with(|all| all.calls.len());
    assert!(tries <= 2, "{tries} tries");
    guild.done().await;
}

#[tokio::test]
async fn a_token_that_dies_at_the_gateway_is_named_too() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.gateway.refuse.push_back(4004));
    let guild = odd.begin().await;
    guild.stands("broken", |standing| matches!(standing, Standing::Broken(_))).await;
    let Standing::Broken(mend) = guild.standing() else { panic!("broken") };
    assert!(mend.contains("LIVETILL_DISCORD__TOKEN"), "{mend}");
    guild.done().await;
}

#[tokio::test]
async fn a_missing_intent_is_named_with_its_mend() {
    let odd = Odd::new(MUG).await;
    odd.fake.with(|all| all.refuses_content = true);
    let guild = odd.begin().await;
    guild.stands("broken", |standing| matches!(standing, Standing::Broken(_))).await;
    let Standing::Broken(mend) = guild.standing() else { panic!("broken") };
    assert!(mend.contains("Message Content Intent"), "{mend}");
    guild.done().await;
}

#[tokio::test]
async fn a_sale_runs_while_discord_is_broken() {
    let odd = Odd::new(MUG).await;
    let mut guild = odd.live().await;
    guild.says(MOD, "!sale start mug 10m").await;
    // The token is revoked in mid-sale: Discord closes the line and takes nothing any more.
    odd.fake.with(|all| all.token = "another".to_owned());
    odd.fake.gateway(Do::Close(4004));
    guild.stands("broken", |standing| matches!(standing, Standing::Broken(_))).await;
    for who in ["ana", "bo", "cy"] {
        guild.world.clicks(who).await;
        guild.world.pays(who).await;
    }
    let view = guild.world.newest();
    assert_eq!((view.state.word(), view.paid), ("sold_out", 3));
    // A new token: what Discord was not told yet, it is told now.
    odd.fake.with(|all| all.token = TOKEN.to_owned());
    guild.advance(mins(5)).await;
    assert!(guild.card()["content"].as_str().expect("text").starts_with("SOLD OUT"));
    guild.done().await;
}

#[tokio::test]
async fn a_gateway_that_cannot_be_learnt_is_never_guessed() {
    let odd = Odd::new(MUG).await;
    odd.fake.fault("GET", "/gateway", 500, 0, 1);
    let guild = odd.begin().await;
    guild.stands("away", |standing| matches!(standing, Standing::Away(_))).await;
    assert_eq!(odd.fake.with(|all| all.gateway.connections), 0);
    guild.stands("up", |standing| *standing == Standing::Up).await;
    guild.done().await;
}
