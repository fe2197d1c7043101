//! One sale in every room at once: started in Twitch, shown there, in Discord and in the terminal,
//! and nothing private in any of them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use livetill::{
    platform::{
        Platform, Standing,
        discord::{Discord, Hints, Settings as Config, Setup},
        twitch::Twitch,
    },
    store::Store,
};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    discord::{fake::Fake, fixtures::TOKEN},
    twitch::{
        fake::{Chat, MOD, ROOM},
        stage::Scene,
    },
    world::{MUG, PATIENCE, World, mins, secs},
};

/// The channel that everybody reads, and the moderators' own.
const PUBLIC: u64 = 1001;
const PRIVATE: u64 = 1002;

struct Evening {
    world: World,
    chat: Arc<Chat>,
    fake: Arc<Fake>,
    twitch: Arc<Twitch>,
    discord: Arc<Discord>,
    stop: CancellationToken,
    said: u32,
}

impl Evening {
    async fn new(templates: &str) -> Self {
        let mut scene = Scene::new().await;
        scene.setup.config = format!(
            "[shop]\nrooms = [\"console\", \"discord:{PUBLIC}\", \"twitch:{ROOM}\"]\n\
             mod_rooms = [\"discord:{PRIVATE}\"]\n{templates}"
        );
        let fake = Fake::start().await;
        let twitch = scene.twitch();
        scene.setup.platforms = vec![twitch.clone()];
        let config = Config {
            enabled: true,
            api_url: fake.url.clone(),
            token: TOKEN.into(),
            ..Config::default()
        };
        let made: Arc<Mutex<Option<Arc<Discord>>>> = Arc::default();
        let (slot, clock) = (made.clone(), scene.setup.clock.clone());
        let build = move |store: &Arc<dyn Store>, base_url: &str| {
            let discord = Discord::new(Setup {
                config,
                rooms: vec![format!("discord:{PUBLIC}").parse().expect("a room")],
                mod_rooms: vec![format!("discord:{PRIVATE}").parse().expect("a room")],
                base_url: base_url.to_owned(),
                clock,
                store: store.clone(),
            });
            *slot.lock().expect("unpoisoned") = Some(discord.clone());
            vec![discord as Arc<dyn Platform>]
        };
        let world = World::with_platforms(&scene.setup, build).await;
        let discord = made.lock().expect("unpoisoned").take().expect("made");
        let stop = CancellationToken::new();
        let (heard, hears) = mpsc::channel(256);
        world.app.listen(hears);
        tokio::spawn(twitch.clone().connect(heard, stop.clone()));
        let (heard, hears) = mpsc::channel(256);
        world.app.listen(hears);
        let hints = Hints { templates: Box::new(Vec::new), sales: Box::new(Vec::new) };
        drop(discord.connect(hints, heard, stop.clone()));
        let evening = Self { world, chat: scene.chat, fake, twitch, discord, stop, said: 0 };
        evening
            .until("both are up", |evening| {
                let up = |health: Option<livetill::platform::Health>| {
                    health.is_some_and(|health| health.standing == Standing::Up)
                };
                up(evening.twitch.health()) && up(evening.discord.health())
            })
            .await;
        evening
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        while !holds(self) {
            self.world.settle().await;
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(2)) => {}
                () = &mut patience => panic!("never: {what}; {:?} {:?}", self.lines(), self.cards()),
            }
        }
    }

    /// A moderator types in Twitch.
    fn types(&mut self, text: &str) {
        self.said += 1;
        self.chat.says(&MOD, &format!("msg-{}", self.said), text);
    }

    fn lines(&self) -> Vec<String> {
        self.chat.state().shown.iter().map(|shown| shown.text.clone()).collect()
    }

    fn cards(&self) -> Vec<Value> {
        self.fake.live(PUBLIC)
    }

    /// Everything anybody could read: chat lines, messages as they are now and as they were sent.
    fn public(&self) -> String {
        let sent = self.fake.with(|all| {
            let public = format!("/channels/{PUBLIC}/");
            all.calls
                .iter()
                .filter(|call| call.path.contains(&public))
                .map(|call| call.body.to_string())
                .collect::<Vec<_>>()
        });
        [self.lines(), sent].concat().join("\n")
    }
}

#[tokio::test]
async fn a_sale_started_in_twitch_is_shown_everywhere_once_and_leaks_nothing() {
    let config = format!(
        "{MUG}ask = [\"name\", \"email\"]\n[providers.sandbox]\ncalls_per_second = 100000\n\
         [providers.sandbox.faults]\nclose_refused = 1.0\n"
    );
    let mut evening = Evening::new(&config).await;
    evening.types("!sale start mug 10m");
    evening
        .until("it is shown in both", |evening| {
            let open = |line: &str| line.contains("SALE OPEN · Fern Mug");
            evening.lines().iter().any(|line| open(line)) && evening.cards().len() == 1
        })
        .await;
    let form = [("name", "Secret Person"), ("email", "secret.person@example.com")];
    for buyer in ["ana", "ben"] {
        assert_eq!(evening.world.claims(buyer, &form).await.status, 303);
    }
    let page = evening.world.browser("ana").at.expect("a payment page");
    evening.world.pays("ana").await;
    for verb in ["report", "links", "why 1"] {
        evening.world.advance(secs(3)).await;
        evening.types(&format!("!sale {verb}"));
        let said = format!("answered: {verb}");
        let before = evening.lines().len();
        evening.until(&said, move |evening| evening.lines().len() > before).await;
    }
    evening.world.advance(mins(13)).await;
    evening
        .until("it ended in both", |evening| {
            let over = evening.lines().iter().any(|line| line.contains("ENDED · Fern Mug"));
            let grey = evening.cards().first().is_some_and(|card| {
                card["content"].as_str().is_some_and(|text| text.starts_with("ENDED"))
            });
            over && grey
        })
        .await;
    assert_eq!(evening.cards().len(), 1, "one message for its whole life");
    for word in ["SALE OPEN", "ENDED"] {
        let n = evening.lines().iter().filter(|line| line.contains(word)).count();
        assert_eq!(n, 1, "{word}: {:?}", evening.lines());
    }
    // The moderators were told what went wrong; nobody else was.
    let private = evening.fake.messages(PRIVATE).iter().map(Value::to_string).collect::<String>();
    assert!(private.contains("cannot be closed"), "{private}");
    let public = evening.public();
    let secret = page.rsplit('/').next().expect("a token");
    for leak in [
        "Secret Person",
        "secret.person",
        secret,
        "/sandbox/pay/",
        "/holds/",
        "access-1",
        TOKEN,
        "cannot be closed",
        "pay_",
    ] {
        assert!(!public.contains(leak), "{leak} in {public}");
    }
    assert!(evening.chat.state().violations.is_empty(), "{:?}", evening.chat.state().violations);
    evening.fake.done();
    evening.world.proves().await;
    evening.stop.cancel();
    evening.world.app.stop().await;
}

#[tokio::test]
async fn a_thousand_changes_edit_each_message_at_most_every_two_seconds() {
    let templates: String = ["a", "b", "c", "d"]
        .map(|name| {
            format!(
                "[templates.{name}]\ntitle = \"Sale {name}\"\nprice = \"1.00\"\nstock = 300\n\
                 max_stock = 300\nwarm = 0\n"
            )
        })
        .concat();
    let mut evening = Evening::new(&templates).await;
    for name in ["a", "b", "c", "d"] {
        evening.world.says_quietly(&format!("!sale start {name} 10m")).await;
    }
    evening.until("four messages", |evening| evening.cards().len() == 4).await;
    let edits =
        |evening: &Evening| evening.fake.calls("PATCH", &format!("/channels/{PUBLIC}/")).len();
    let before = edits(&evening);
    let ids: Vec<_> = evening.world.app.engine.views().all().iter().map(|view| view.id).collect();
    for round in 0..250_i64 {
        for id in &ids {
            let units = if round % 10 == 9 { 8 } else { -1 };
            let event = livetill::sale::event::Event::Restocked { units };
            let any = livetill::engine::Origin::Any;
            evening.world.app.engine.tell(*id, event, "test", any).await.expect("restocked");
        }
        evening.world.advance(livetill::clock::Span::from_millis(240)).await;
    }
    // A minute, four messages, an edit each in two seconds.
    let made = edits(&evening) - before;
    assert!((40..=4 * 31).contains(&made), "{made} edits");
    evening.world.advance(secs(5)).await;
    for view in evening.world.app.engine.views().all() {
        let truth = format!("{}: {} of {} left", view.title, view.left, view.stock);
        let shown = evening
            .cards()
            .iter()
            .any(|card| card["content"].as_str().is_some_and(|text| text.starts_with(&truth)));
        assert!(shown, "{truth}: {:?}", evening.cards());
    }
    evening.world.advance(mins(13)).await;
    assert_eq!(evening.cards().len(), 4);
    evening.fake.done();
    evening.world.proves().await;
    evening.stop.cancel();
    evening.world.app.stop().await;
}
