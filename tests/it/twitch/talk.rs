//! Commands from Twitch, and what is said there.

use livetill::clock::Span;

use super::{
    fake::{BOT, BOT_ID, MOD, OWNER, Person, ROOM_ID},
    stage::{Scene, Stage},
};
use crate::world::{client, mins, secs};

#[tokio::test]
async fn a_sale_started_in_twitch_is_shown_there_and_on_the_console() {
    let mut stage = Stage::new().await;
    let id = stage.whispers(&MOD, "!sale start mug 10m");
    let saw = stage.sees("SALE OPEN").await;
    let link = stage.world.url("/live");
    assert_eq!(
        saw,
        [
            "Preparing #1 Fern Mug · 3 × $18 for 10 min · undo with: !sale undo".to_owned(),
            format!("SALE OPEN · Fern Mug · $18 · 3 left · 10 min · {link}"),
        ]
    );
    let parents: Vec<_> = stage.chat.state().shown.iter().map(|s| s.parent.clone()).collect();
    assert_eq!(parents, [Some(id), None], "the answer is threaded under the question");
    let said = stage.world.heard();
    assert_eq!(said, [format!("SALE OPEN · Fern Mug · $18 · 3 left · 10 min · {link}")]);
    for who in ["ana", "bo", "cy"] {
        stage.world.clicks(who).await;
        stage.world.advance(secs(21)).await;
        stage.world.pays(who).await;
    }
    let saw = stage.sees("SOLD OUT").await;
    assert!(saw.last().expect("a line").starts_with("SOLD OUT · Fern Mug · 3 in "), "{saw:?}");
    stage.done().await;
}

#[tokio::test]
async fn the_owner_may_and_named_moderators_only() {
    let mut scene = Scene::new().await;
    scene.config.moderator_users = vec!["8".to_owned()];
    let mut stage = scene.play().await;
    stage.is_up().await;
    let other = Person { id: "8", login: "moe", name: "Moe", ..MOD };
    stage.whispers(&MOD, "!sale start mug 10m");
    let saw = stage.says(&OWNER, "!sale list", "mug · Fern Mug").await;
    assert_eq!(saw.len(), 1, "{saw:?}");
    stage.says(&other, "!sale start mug 10m", "SALE OPEN").await;
    stage.says(&OWNER, "!sale stop", "CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn whoever_only_looks_like_a_moderator_is_not_heard() {
    let mut stage = Stage::new().await;
    let nobody = Person { id: "66", login: "eve", name: "Eve", badges: "", tags: ";mod=0" };
    for who in [
        // Names prove nothing.
        Person { login: "mo", name: "Mo", ..nobody },
        Person { login: "plant_lady", name: "Plant_Lady", ..nobody },
        Person { name: "moderator", ..nobody },
        Person { name: "broadcaster/1", ..nobody },
        // Neither do other badges.
        Person { badges: "vip/1,subscriber/24", tags: ";mod=0;vip=1", ..nobody },
        Person { badges: "moderatorx/1", ..nobody },
        // A moderator of another channel, in a chat that both share.
        Person { tags: ";mod=1;source-room-id=555", ..MOD },
        // The bot hears itself.
        Person { id: BOT_ID, login: BOT, name: BOT, ..MOD },
    ] {
        stage.whispers(&who, "!sale start mug 10m");
    }
    // What the owner asks after all that is answered first and alone.
    let saw = stage.says(&OWNER, "!sale list", "mug · Fern Mug").await;
    assert_eq!(saw.len(), 1, "{saw:?}");
    // Said in a shared chat, but here.
    let here = Person { tags: ";mod=1;source-room-id=100", ..MOD };
    assert_eq!(here.tags.split('=').next_back(), Some(ROOM_ID));
    stage.says(&here, "!sale start mug 10m", "SALE OPEN").await;
    stage.says(&MOD, "!sale stop", "CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn a_thread_is_answered_with_a_bare_verb() {
    let mut stage = Stage::new().await;
    stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
    stage.world.clicks("ana").await;
    let asked = stage.says(&MOD, "!sale stop", "!sale yes").await;
    assert!(asked.last().expect("a line").contains("!sale yes"), "{asked:?}");
    let threaded = Person {
        tags: ";mod=1;reply-parent-display-name=till_bot;reply-parent-msg-body=x;\
               reply-parent-msg-id=p;reply-parent-user-id=900;reply-parent-user-login=till_bot",
        ..MOD
    };
    stage.says(&threaded, "@till_bot !sale yes", "CANCELLED").await;
    stage.done().await;
}

#[tokio::test]
async fn hostile_titles_are_harmless() {
    for (title, shown) in [
        ("/ban eve", "/ban eve"),
        ("a\r\nPRIVMSG #x :b", "aPRIVMSG #x :b"),
        (". /me", ". /me"),
        ("\u{202E}gum\u{200B} nreF", "gum nreF"),
    ] {
        let mut stage = Stage::new().await;
        // On the console, since a chat line cannot hold a line break.
        stage.world.says(&format!("!sale start mug 10m title=\"{title}\"")).await;
        let saw = stage.sees("SALE OPEN").await;
        let line = saw.last().expect("a line");
        assert!(line.starts_with(&format!("SALE OPEN · {shown} · $18")), "{line:?}");
        stage.world.clicks("ana").await;
        stage.world.advance(secs(25)).await;
        stage.world.says("!sale stop").await;
        stage.world.says("!sale yes").await;
        stage.sees("CANCELLED").await;
        // The fake has counted commands, line breaks and invisible characters as violations.
        stage.world.advance(mins(20)).await;
        stage.done().await;
    }
}

#[tokio::test]
async fn the_same_words_never_come_twice_within_thirty_seconds() {
    let mut stage = Stage::new().await;
    for _ in 0..2 {
        stage.says(&MOD, "!sale start mug 10m", "SALE OPEN").await;
        stage.says(&MOD, "!sale stop", "CANCELLED").await;
        // The same text from one person within two seconds counts once.
        stage.world.advance(secs(3)).await;
    }
    let shown = stage.chat.shown();
    let cancelled: Vec<&str> =
        shown.iter().map(String::as_str).filter(|line| line.starts_with("CANCELLED")).collect();
    assert_eq!(
        cancelled,
        ["CANCELLED · Fern Mug · 0 of 3 sold", "CANCELLED · Fern Mug · 0 of 3 sold (2)"]
    );
    let link = stage.world.url("/live");
    let again = format!("SALE OPEN · Fern Mug · $18 · 3 left · 10 min (2) · {link}");
    assert!(shown.contains(&again), "{shown:?}");
    stage.done().await;
}

#[tokio::test]
async fn a_thousand_changes_in_a_minute_stay_within_the_budget_and_end_true() {
    let each = 250;
    let mut scene = Scene::new().await;
    let four: String = ["mug", "bowl", "vase", "plate"]
        .iter()
        .map(|name| {
            format!(
                "[templates.{name}]\nprice = \"5.00\"\nstock = {}\nmax_stock = 1000\nwarm = 0\n\
                 hold = \"9m\"\n",
                each + 10
            )
        })
        .collect();
    let rooms = scene.setup.config.find("[shop]").expect("rooms");
    scene.setup.config = format!("{four}{}", &scene.setup.config[rooms..]);
    scene.chat.state().moderates = false;
    let mut stage = scene.play().await;
    stage.is_up().await;
    for name in ["mug", "bowl", "vase", "plate"] {
        stage.world.says(&format!("!sale start {name} 10m")).await;
    }
    let sales: Vec<_> = stage.world.app.engine.views().all().iter().map(|view| view.id).collect();
    assert_eq!(sales.len(), 4);
    let client = client();
    for _ in 0..each / 5 {
        let claims: Vec<_> = (0..20)
            .map(|n| stage.world.url(&format!("/sales/{}/holds", sales[n % 4])))
            .map(|url| client.post(url).send())
            .collect();
        for claimed in stage.world.during(futures_util::future::join_all(claims)).await {
            assert_eq!(claimed.expect("an answer").status(), 303);
        }
        stage.world.advance(Span::from_millis(1200)).await;
    }
    assert!(stage.world.app.engine.views().all().iter().all(|view| view.left == 10));
    let shown = stage.chat.state().shown.len();
    assert_eq!(stage.chat.state().came.len(), shown, "nothing was dropped");
    // Four openings, and then a line in 20 s at the most.
    let most = 4 + each * 4 * 60 / 1000 / 20 + 1;
    assert!((5..=most).contains(&shown), "{shown} lines: {:#?}", stage.chat.shown());
    stage.world.advance(mins(3)).await;
    let lines = stage.chat.shown();
    for view in stage.world.app.engine.views().all() {
        let line = lines.iter().rfind(|line| line.contains(&view.title)).expect("a line");
        assert!(line.contains(&format!("10 of {} left", each + 10)), "{line}");
    }
    assert!(stage.chat.state().violations.is_empty(), "{:?}", stage.chat.state().violations);
}

#[tokio::test]
async fn another_program_on_the_bots_account_is_told_once_and_a_person_is_not() {
    let mut stage = Stage::new().await;
    stage.is_up().await;
    let twin = Person { id: BOT_ID, login: BOT, name: BOT, ..MOD };
    // Typed by hand with the bot's account.
    stage.chat.says(&twin, "h1", "back in a minute, the sale opens soon");
    let opening = "SALE OPEN \u{b7} Fern Mug \u{b7} $18 \u{b7} 3 left \u{b7} 10 min \u{b7} ";
    for n in 0..3 {
        stage.chat.says(&twin, &format!("d{n}"), &format!("{opening}https://other.example/live"));
    }
    let mut told = 0;
    let start = std::time::Duration::from_secs(60);
    let telling = async {
        while told == 0 {
            told += stage.world.heard().iter().filter(|l| l.contains("Another program")).count();
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(start, telling).await.expect("moderators are told");
    // A command that comes behind the others is answered: all of them were worked off.
    stage.says(&MOD, "!sale status", "Nothing is running").await;
    let more = stage.world.heard();
    told += more.iter().filter(|line| line.contains("Another program")).count();
    assert_eq!(told, 1, "{more:?}");
    let kept = stage.world.app.engine.store().docs("double", None).await.expect("the store");
    assert_eq!((kept.len(), kept[0].id.as_str()), (1, "twitch"), "check says it");
    stage.done().await;
}
