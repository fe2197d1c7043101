//! *Get yours*: a hold for that Discord user, and their own page, seen by nobody else.

use livetill::platform::Heard;
use serde_json::Value;

use super::{
    fixtures::{BO, SHOP},
    guild::{Guild, MOD, VIEWER, Who, control, controls},
};
use crate::world::{MUG, mins, secs};

const OTHER: Who = Who(BO, "Bo", &[]);

async fn shown(guild: &Guild, token: &str) -> Value {
    guild.answered(token).await.shown.expect("an answer")
}

#[tokio::test]
async fn a_press_leads_to_a_paid_unit() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let card = guild.card();
    let button = control(&card, "get:");
    let token = guild.presses(VIEWER, SHOP, &card, &button, &[]);
    let Heard::Wants(wish) = guild.work_off().await else { panic!("a wish") };
    assert_eq!(wish.user.id, VIEWER.0.to_string());
    let seen = guild.answered(&token).await;
    assert_eq!(
        (seen.kinds.as_slice(), &seen.first["data"]["flags"]),
        (&[5][..], &serde_json::json!(64))
    );
    let answer = seen.shown.expect("an answer");
    let text = answer["content"].as_str().expect("text");
    let until = livetill::clock::Clock::now(guild.world.clock.as_ref()).seconds() + 180;
    assert!(text.starts_with("**Yours:** 1 × Fern Mug."), "{text}");
    assert!(text.contains(&format!("<t:{until}:R>")), "{text}");
    let [pay, page] = controls(&answer).try_into().expect("two links");
    assert!(pay.contains("/sandbox/pay/") && page.contains("/holds/"), "{pay} {page}");
    // Pressed again: the same page, no second unit.
    let again = guild.presses(VIEWER, SHOP, &card, &button, &[]);
    guild.work_off().await;
    assert_eq!(controls(&shown(&guild, &again).await), [pay.clone(), page]);
    assert_eq!(guild.world.newest().held, 1);
    guild.world.posts("ana", &pay, &[("do", "pay")]).await;
    assert_eq!(guild.world.newest().paid, 1);
    let sold = guild.world.newest().id;
    let full = guild.presses(VIEWER, SHOP, &card, &format!("get:{sold}"), &[]);
    guild.work_off().await;
    let no = shown(&guild, &full).await;
    assert!(no["content"].as_str().expect("text").contains("At most 1 per person"), "{no}");
    guild.advance(mins(15)).await;
    let over = guild.presses(OTHER, SHOP, &card, &button, &[]);
    guild.work_off().await;
    let no = shown(&guild, &over).await["content"].as_str().expect("text").to_owned();
    assert!(no.contains("over"), "{no}");
    guild.done().await;
}

#[tokio::test]
async fn what_there_is_to_choose_is_chosen_in_menus() {
    let choosy = MUG.replace(
        "warm = 0",
        "warm = 0\nper_buyer = 3\ndelivery = [{ name = \"ship\", label = \"Ship to me\", fee = \
         \"6.00\" }, { name = \"pickup\", label = \"Local pickup\", fee = \"0.00\" }]",
    );
    let mut guild = Guild::new(&choosy).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let card = guild.card();
    let first = guild.presses(VIEWER, SHOP, &card, &control(&card, "get:"), &[]);
    guild.work_off().await;
    let how = shown(&guild, &first).await;
    let menu = &how["components"][0]["components"][0];
    assert_eq!(menu["options"][0]["label"], "Ship to me");
    assert_eq!(menu["options"][0]["description"], "+ $6");
    let token = guild.presses(VIEWER, SHOP, &how, &control(&how, "delivery:"), &["ship"]);
    guild.work_off().await;
    let seen = guild.answered(&token).await;
    assert_eq!(seen.kinds, [6], "the menu is replaced");
    let many = seen.shown.expect("an answer");
    let options =
        many["components"][0]["components"][0]["options"].as_array().expect("options").len();
    assert_eq!(options, 3);
    let token = guild.presses(VIEWER, SHOP, &many, &control(&many, "units:"), &["2"]);
    guild.work_off().await;
    let yours = shown(&guild, &token).await;
    assert!(
        yours["content"].as_str().expect("text").starts_with("**Yours:** 2 × Fern Mug."),
        "{yours}"
    );
    let view = guild.world.newest();
    assert_eq!((view.held, view.left), (2, 1));
    guild.advance(mins(15)).await;
    guild.done().await;
}

#[tokio::test]
async fn a_forged_press_gets_nothing_more_than_the_page_would_give() {
    let mut guild = Guild::new(MUG).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let card = guild.card();
    let sale = guild.world.newest().id;
    for forged in ["get:nonsense", "drop:everything", &format!("units:{sale}"), "yes:0x7"] {
        let token = guild.presses(VIEWER, SHOP, &card, forged, &[]);
        assert_eq!(shown(&guild, &token).await["content"], "That is not known any more.");
    }
    let greedy = format!("units:{sale}:");
    let token = guild.presses(VIEWER, SHOP, &card, &greedy, &["4000000000"]);
    guild.work_off().await;
    let no = shown(&guild, &token).await["content"].as_str().expect("text").to_owned();
    assert!(no.starts_with("At most"), "{no}");
    // Another's *Confirm*, and a sale of nobody's.
    let token = guild.presses(VIEWER, SHOP, &card, &format!("yes:{}", MOD.0), &[]);
    assert_eq!(shown(&guild, &token).await["content"], "Only the one who was asked can confirm.");
    let nobodys = format!("get:{}", "0".repeat(32));
    let token = guild.presses(VIEWER, SHOP, &card, &nobodys, &[]);
    guild.work_off().await;
    assert_eq!(shown(&guild, &token).await["content"], "That sale is over.");
    assert_eq!(guild.world.newest().held, 0);
    guild.advance(secs(700)).await;
    guild.done().await;
}

#[tokio::test]
async fn the_last_unit_goes_to_one_of_many_who_press() {
    let one = MUG.replace("stock = 3", "stock = 1");
    let mut guild = Guild::new(&one).await;
    guild.says(MOD, "!sale start mug 10m").await;
    let card = guild.card();
    let button = control(&card, "get:");
    let tokens: Vec<String> = (0..8)
        .map(|n| guild.presses(Who(5000 + n, "Somebody", &[]), SHOP, &card, &button, &[]))
        .collect();
    for _ in &tokens {
        guild.work_off().await;
    }
    let mut yours = 0;
    for token in &tokens {
        let answer = shown(&guild, token).await;
        yours += u32::from(answer["content"].as_str().expect("text").starts_with("**Yours:**"));
    }
    assert_eq!((yours, guild.world.newest().held), (1, 1));
    guild.advance(mins(15)).await;
    guild.done().await;
}
