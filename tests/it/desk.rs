//! The owner's desk: nobody else gets in, and everything can be seen and done there.

use std::{
    os::unix::fs::OpenOptionsExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use livetill::{
    platform::{Limits, Platform, Post, Reply, SayError},
    room::{Message, PlatformName, Room},
    view::View,
};

use crate::world::{Answer, MUG, Setup, World, mins, secs};

pub const TOKEN: &str = "a-long-random-word";

pub fn desk_setup(config: &str) -> Setup {
    with_token(Setup::new(config))
}

/// A world whose desk opens with [`TOKEN`].
pub fn with_token(setup: Setup) -> Setup {
    let path = setup.dir.path().join("livetill.env");
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let text = format!("LIVETILL_HTTP__DESK_TOKEN={TOKEN}\n");
    std::io::Write::write_all(&mut file.expect("a file"), text.as_bytes()).expect("written");
    setup
}

async fn with_desk(config: &str) -> World {
    World::build(&desk_setup(config)).await
}

pub async fn log_in(world: &mut World) {
    let url = world.url("/desk/login");
    let answer = world.posts("owner", &url, &[("token", TOKEN)]).await;
    assert_eq!((answer.status, answer.location.as_deref()), (303, Some("/desk")));
    let cookie = answer.headers["set-cookie"].to_str().expect("text").to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/desk"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains(TOKEN));
}

async fn says(world: &mut World, line: &str) -> String {
    let url = world.url("/desk/say");
    let answer = world.posts("owner", &url, &[("line", line)]).await;
    follows(world, answer).await
}

/// What a page shows that a form leads to; the same when it is loaded again.
async fn follows(world: &mut World, answer: Answer) -> String {
    let to = answer.location.expect("a reload does nothing again");
    let shown = world.looks("owner", &to).await.text;
    assert_eq!(world.looks("owner", &to).await.text, shown);
    shown
}

#[tokio::test]
async fn without_a_token_there_is_no_desk() {
    let mut world = World::new(MUG).await;
    for path in ["/desk", "/desk/login", "/desk/sales/1", "/desk/sales/1/packing.csv"] {
        assert_eq!(world.looks("eve", path).await.status, 404, "{path}");
    }
    let url = world.url("/desk/login");
    assert_eq!(world.posts("eve", &url, &[("token", "")]).await.status, 404);
    world.done().await;
}

#[tokio::test]
async fn nobody_without_the_token_sees_or_does_anything() {
    let mut world = with_desk(MUG).await;
    world.says("!sale start mug 10m").await;
    for path in ["/desk", "/desk/sales/1", "/desk/sales/1/packing.csv"] {
        let answer = world.looks("eve", path).await;
        assert_eq!(answer.location.as_deref(), Some("/desk/login"), "{path}");
    }
    let say = world.url("/desk/say");
    world.posts("eve", &say, &[("line", "stop")]).await;
    assert_eq!(world.newest().state.word(), "open");
    // A forged cookie, and one of another purpose.
    let forged = format!("livetill_desk=99999999999999.{}", "0".repeat(32));
    let mut eve = world.browser("eve");
    eve.cookie = Some(forged);
    world.browsers.insert("eve".to_owned(), eve);
    assert_eq!(world.looks("eve", "/desk").await.location.as_deref(), Some("/desk/login"));
    // Guessing is slow, from wherever it comes; the right token always opens.
    let login = world.url("/desk/login");
    for n in 0..10 {
        let guess = format!("guess-{n}");
        assert_eq!(world.posts("eve", &login, &[("token", guess.as_str())]).await.status, 403);
    }
    log_in(&mut world).await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_reload_at_the_desk_does_nothing_again() {
    let mut world = with_desk(MUG).await;
    log_in(&mut world).await;
    says(&mut world, "start mug 10m").await;
    // Each answer is asked for twice.
    assert!(says(&mut world, "restock 1").await.contains('4'));
    assert_eq!(world.newest().stock, 4);
    for path in ["/desk/say", "/desk/retry", "/desk/logout"] {
        let answer = world.looks("owner", path).await;
        assert_eq!((answer.status, answer.location.as_deref()), (303, Some("/desk")), "{path}");
    }
    assert_eq!(world.looks("owner", "/desk").await.status, 200, "still in");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn logging_out_ends_every_login_over_a_restart_too() {
    let setup = desk_setup(MUG);
    let mut world = World::build(&setup).await;
    log_in(&mut world).await;
    assert_eq!(world.looks("owner", "/desk").await.status, 200);
    let copy = world.browser("owner");
    world.browsers.insert("thief".to_owned(), copy.clone());
    let url = world.url("/desk/logout");
    world.posts("owner", &url, &[]).await;
    assert_eq!(world.looks("thief", "/desk").await.location.as_deref(), Some("/desk/login"));
    world.done().await;
    let mut world = World::build(&setup).await;
    world.browsers.insert("thief".to_owned(), copy);
    assert_eq!(world.looks("thief", "/desk").await.location.as_deref(), Some("/desk/login"));
    log_in(&mut world).await;
    assert_eq!(world.looks("owner", "/desk").await.status, 200);
    world.done().await;
}

#[tokio::test]
async fn the_owner_sees_holds_money_and_journal_and_speaks_as_a_moderator() {
    let mut world = with_desk(MUG).await;
    log_in(&mut world).await;
    let said = says(&mut world, "start mug 10m title=\"<b>Fern</b>\"").await;
    assert!(said.contains("Preparing #1"), "{said}");
    world.clicks("ana").await;
    world.pays("ana").await;
    world.clicks("ben").await;
    let sale = world.looks("owner", "/desk/sales/1").await.text;
    assert!(sale.contains("$18 kept") && sale.contains("<td>paid</td>"), "{sale}");
    assert!(sale.contains("hold 1: open → paid") && !sale.contains("<b>Fern"), "{sale}");
    // The same rules as in chat: what touches buyers asks first.
    assert!(says(&mut world, "stop").await.contains("To confirm, type !sale yes within"));
    assert_eq!(world.newest().state.word(), "open");
    world.advance(secs(3)).await;
    assert!(says(&mut world, "yes").await.contains("Done"));
    assert_eq!(world.newest().state.word(), "cancelled");
    let csv = world.looks("owner", "/desk/sales/1/packing.csv").await;
    assert_eq!(csv.text.lines().count(), 2, "{}", csv.text);
    // A day's work later the login is over.
    world.advance(mins(12 * 60)).await;
    assert_eq!(world.looks("owner", "/desk").await.location.as_deref(), Some("/desk/login"));
    world.heard();
    world.done().await;
}

/// A room that is closed to us for a while.
pub struct Shut {
    pub inner: Arc<dyn Platform>,
    pub shut: Arc<AtomicBool>,
}

#[async_trait]
impl Platform for Shut {
    fn name(&self) -> PlatformName {
        self.inner.name()
    }
    fn limits(&self, room: &Room) -> Limits {
        self.inner.limits(room)
    }
    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        if self.shut.load(Ordering::SeqCst) {
            return Err(SayError::Refused("the room is closed to us".to_owned()));
        }
        self.inner.announce(post).await
    }
    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.inner.reply(to, reply).await
    }
    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        self.inner.say(room, lines).await
    }
    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.inner.show(room, view, line).await
    }
}

#[tokio::test]
async fn what_was_given_up_can_be_tried_again() {
    let mut setup = desk_setup(MUG);
    let shut = Arc::new(AtomicBool::new(true));
    let switch = shut.clone();
    setup.wrap_platform = Arc::new(move |inner| Arc::new(Shut { inner, shut: switch.clone() }));
    let mut world = World::build(&setup).await;
    log_in(&mut world).await;
    let again = world.url("/desk/retry");
    // There is no such work: said, and nothing happens.
    let answer = world.posts("owner", &again, &[("effect", "nothing")]).await;
    let shown = follows(&mut world, answer).await;
    assert!(shown.contains("not waiting for anybody"), "{shown}");
    world.says("!sale start mug 10m").await;
    let parked = world.app.engine.store().parked().await.expect("the store");
    assert_eq!(parked.len(), 1, "{parked:?}");
    let id = parked[0].id.to_string();
    let shown = world.looks("owner", "/desk").await.text;
    assert!(shown.contains(&id) && shown.contains("the room is closed to us"), "{shown}");
    assert!(shown.contains("<a href=\"/desk/sales/1\">#1</a>"), "{shown}");
    assert!(shown.contains("announce (console:console)") || shown.contains("announce (console)"));
    // All at once: it is still shut, and is given up again.
    assert_eq!(world.posts("owner", &again, &[("all", "1")]).await.status, 303);
    world.settle().await;
    assert_eq!(world.app.engine.store().parked().await.expect("the store").len(), 1);
    shut.store(false, Ordering::SeqCst);
    world.heard();
    assert_eq!(world.posts("owner", &again, &[("effect", id.as_str())]).await.status, 303);
    let said = world.heard();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn what_was_given_up_is_told_and_tried_again_in_chat() {
    let mut setup = desk_setup(MUG);
    let shut = Arc::new(AtomicBool::new(true));
    let switch = shut.clone();
    setup.wrap_platform = Arc::new(move |inner| Arc::new(Shut { inner, shut: switch.clone() }));
    let mut world = World::build(&setup).await;
    let nothing = world.says("!sale retry").await;
    assert_eq!(nothing, ["Nothing needs you."]);
    world.says("!sale start mug 10m").await;
    let said = world.says("!sale status").await;
    assert!(
        said.iter().any(|line| line.starts_with("1 task needs") && line.contains("!sale retry"))
    );
    shut.store(false, Ordering::SeqCst);
    let said = world.says("!sale retry #7").await;
    assert_eq!(said, ["Nothing needs you."], "of that sale");
    let said = world.says("!sale retry all").await;
    assert!(said[0].starts_with("#1 announce (console"), "{said:?}");
    assert!(said[0].contains("given up because: the room is closed to us"), "{said:?}");
    assert!(said.iter().any(|line| line.starts_with("Trying again: 1.")), "{said:?}");
    world.settle().await;
    let said = [said, world.heard()].concat();
    assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
