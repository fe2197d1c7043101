//! One person, one unit: however often a form is sent, with cookies or without.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::world::{Answer, MUG, World, client, mins};

/// The key in the form of a page.
fn key(page: &Answer) -> String {
    let key =
        page.text.split("name=\"key\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    key.unwrap_or_else(|| panic!("a key in {}", page.text)).to_owned()
}

async fn over(mut world: World) {
    world.advance(mins(40)).await;
    world.heard();
    world.done().await;
}

/// Somebody who keeps no cookies opens the page.
async fn opened(world: &World, path: &str) -> Answer {
    let request = client().get(world.url(path));
    let answer = request.send().await.expect("answers");
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    Answer { status, location: None, headers, text: answer.text().await.expect("text") }
}

#[tokio::test]
async fn the_first_look_brings_the_cookie_and_a_key_that_nobody_else_gets() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let path = format!("/sales/{}", world.newest().id);
    let mut keys = Vec::new();
    for path in ["/live", "/live", &path] {
        let page = opened(&world, path).await;
        let cookie = page.headers["set-cookie"].to_str().expect("text");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
        let cache = page.headers["cache-control"].to_str().expect("text");
        assert!(cache.contains("private") && cache.contains("no-cache"), "{cache}");
        assert!(!page.text.contains("<key>"));
        keys.push(key(&page));
    }
    // Who is known is not given another name, but another key.
    let first = world.looks("ana", "/live").await;
    let cookie = world.browser("ana").cookie;
    assert!(cookie.is_some());
    let second = world.looks("ana", "/live").await;
    assert!(!second.headers.contains_key("set-cookie"));
    assert_eq!(world.browser("ana").cookie, cookie);
    keys.extend([key(&first), key(&second)]);
    let all: std::collections::BTreeSet<_> = keys.iter().collect();
    assert_eq!(all.len(), keys.len(), "each showing has its own");
    over(world).await;
}

#[tokio::test]
async fn a_form_sent_many_times_at_once_without_cookies_is_one_hold() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 9")).await;
    world.says("!sale start mug 10m").await;
    let id = world.newest().id;
    let key = key(&opened(&world, "/live").await);
    let host = world.app.base_url.trim_start_matches("http://").to_owned();
    let body = format!("key={key}&delivery=pickup");
    let request = format!(
        "POST /sales/{id}/holds HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut lines = Vec::new();
    for _ in 0..8 {
        lines.push(TcpStream::connect(&host).await.expect("a connection"));
    }
    // All at the same moment.
    let answers = world
        .during(async move {
            for line in &mut lines {
                line.write_all(request.as_bytes()).await.expect("sent");
            }
            let mut answers = Vec::new();
            for mut line in lines {
                let mut text = String::new();
                line.read_to_string(&mut text).await.expect("an answer");
                answers.push(text);
            }
            answers
        })
        .await;
    assert_eq!(world.newest().held, 1);
    let places: std::collections::BTreeSet<_> = answers
        .iter()
        .map(|answer| {
            assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
            answer.lines().find(|line| line.starts_with("location:")).expect("a place").to_owned()
        })
        .collect();
    assert_eq!(places.len(), 1, "all are led to one page: {places:?}");
    over(world).await;
}

#[tokio::test]
async fn a_form_sent_again_after_it_was_paid_leads_to_what_it_bought() {
    let two = MUG.replace("warm = 0", "warm = 0\nper_buyer = 2");
    let mut world = World::new(&two).await;
    world.says("!sale start mug 10m").await;
    for (who, keeps) in [("ana", true), ("ben", false)] {
        let before = world.newest().paid;
        let form = key(&world.looks(who, "/live").await);
        let forget = |world: &mut World| {
            if !keeps && let Some(browser) = world.browsers.get_mut(who) {
                browser.cookie = None;
            }
        };
        forget(&mut world);
        assert_eq!(world.claims(who, &[("key", &form)]).await.status, 303);
        world.pays(who).await;
        forget(&mut world);
        let again = world.claims(who, &[("key", &form)]).await;
        let to = again.location.expect("led on");
        assert!(to.starts_with("/holds/"), "{to}");
        assert!(world.looks(who, &to).await.text.contains("it is yours"));
        assert_eq!((world.newest().paid, world.newest().held), (before + 1, 0));
    }
    // A second one is another form, where the template allows it.
    let form = key(&world.looks("ana", "/live").await);
    assert_eq!(world.claims("ana", &[("key", &form)]).await.status, 303);
    world.pays("ana").await;
    assert_eq!(world.newest().paid, 3);
    // Sold out: the old form still leads to what it bought.
    let again = world.claims("ana", &[("key", &form)]).await;
    assert!(again.location.is_some_and(|to| to.starts_with("/holds/")), "{}", again.text);
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn what_was_let_go_can_be_had_again_and_made_up_keys_are_nobody() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 9")).await;
    world.says("!sale start mug 10m").await;
    let form = key(&world.looks("ana", "/live").await);
    world.claims("ana", &[("key", &form)]).await;
    let page = world.looks("ana", "/live").await.text;
    let own = page.split("href=\"/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let own = format!("/holds/{}", own.expect("a link"));
    let release = world.url(&format!("{own}/release"));
    world.posts("ana", &release, &[]).await;
    assert_eq!(world.newest().held, 0);
    assert_eq!(world.claims("ana", &[("key", &form)]).await.status, 303);
    assert_eq!(world.newest().held, 1);
    // Nobody becomes somebody else by a key that was not made here.
    let mut forged = form.clone();
    forged.replace_range(form.len() - 4.., "0000");
    for bad in [forged.as_str(), "", "x", "0-0-0", &"9".repeat(5000)] {
        let before = world.newest().held;
        let url = world.url(&format!("/sales/{}/holds", world.newest().id));
        let request = client().post(&url).form(&[("key", bad), ("delivery", "pickup")]);
        let status = world.during(async move { request.send().await.expect("answers").status() });
        assert_eq!(status.await, 303, "{bad}");
        assert_eq!(world.newest().held, before + 1, "{bad}");
    }
    over(world).await;
}
