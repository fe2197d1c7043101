//! Every page in every state, light and dark: can everybody use it, is it lean, does it fit a
//! phone?

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use serde_json::json;

use super::{
    axe,
    driver::{Person, Wish},
    lean, photo, pictures,
};
use crate::{
    desk::{Shut, TOKEN, desk_setup},
    world::{World, mins, secs},
};

/// A shop with everything a page can show.
fn shop() -> String {
    let mug = format!(
        r#"
title = "Fern Mug"
description = "Hand-thrown, 350 ml, glazed in fern green. No two are alike."
image = "{}"
price = "18.00"
stock = 3
warm = 0
max_stock = 20
max_duration = "60m"
delivery = [
    {{ name = "ship", label = "Ship to me", fee = "6.00", ask_address = true }},
    {{ name = "pickup", label = "Local pickup", fee = "0.00" }},
]
"#,
        photo::ADDRESS
    );
    let asking = mug.replace("Fern Mug", "Moss Bowl").replace(
        "stock = 3",
        "stock = 9\nper_buyer = 4\nask = [\"name\", \"email\", \"phone\", \"address\"]",
    );
    format!("[templates.mug]{mug}[templates.bowl]{asking}")
}

const PICKUP: &[(&str, &str)] = &[("delivery", "pickup")];

/// Somebody who looks at everything and notes what is wrong.
struct Looker {
    person: Person,
    wrong: Vec<String>,
}

impl Looker {
    async fn new(world: &World) -> Self {
        let photos = Some(photo::serve().await);
        let person = Person::with(world, Wish { photos, ..Wish::default() }).await;
        Self { person, wrong: Vec::new() }
    }

    async fn opens(&mut self, world: &World, name: &str, at: &str) {
        self.person.opens(world, "about:blank").await;
        self.person.traffic(world).await;
        self.person.opens(world, at).await;
        let lean = lean::wrongs(&self.person, world).await;
        self.wrong.extend(lean.into_iter().map(|wrong| format!("{name}: {wrong}")));
        self.judges(world, name).await;
    }

    /// Looks at the page that is open, by day and by night.
    async fn judges(&mut self, world: &World, name: &str) {
        for (scheme, suffix) in [("light", ""), ("dark", "-dark")] {
            let media = json!({ "features": [
                { "name": "prefers-color-scheme", "value": scheme },
                { "name": "prefers-reduced-motion", "value": "reduce" },
            ] });
            self.person.devtools(world, "Emulation.setEmulatedMedia", media).await;
            let name = format!("{name}{suffix}");
            let found = axe::violations(&self.person, world).await;
            self.wrong.extend(found.into_iter().map(|wrong| format!("{name}: {wrong}")));
            if let Some(path) = pictures::wanted(&name) {
                let picture = self.person.picture(world).await;
                std::fs::write(path, picture).expect("written");
            }
        }
    }

    /// From the buyer's own page to the payment page; answers where that is.
    async fn pays_at(&self, world: &World, amount: &str) -> String {
        let on = "(//a)[starts-with(normalize-space(), 'Pay now') or \
                  starts-with(normalize-space(), 'I have not paid yet')]";
        self.person.presses_at(world, on).await;
        self.person.sees(world, &format!("Pay {amount}")).await;
        self.person.at(world).await
    }

    async fn done(self, mut world: World) {
        self.person.leaves(&world).await;
        world.advance(mins(70)).await;
        world.heard();
        world.done().await;
        assert!(self.wrong.is_empty(), "{:#?}", self.wrong);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_viewers_see() {
    let mut world = World::new(&shop()).await;
    let mut looker = Looker::new(&world).await;
    looker.opens(&world, "nothing on", "/live").await;
    looker.opens(&world, "not found", "/nowhere").await;
    world.says("!sale start mug 10m").await;
    looker.opens(&world, "open", "/live").await;
    world.says("!sale pause").await;
    looker.opens(&world, "paused", "/live").await;
    world.says("!sale resume").await;
    for who in ["ana", "ben"] {
        world.claims(who, PICKUP).await;
    }
    looker.opens(&world, "the last one", "/live").await;
    world.claims("cleo", PICKUP).await;
    looker.opens(&world, "all held", "/live").await;
    // Somebody is faster than their page.
    let claim = "const form = document.querySelector('form'); \
                 form.action = form.action.replace('/line', '/holds'); form.submit()";
    looker.person.asks(&world, claim).await;
    looker.person.sees(&world, "every unit is reserved").await;
    looker.judges(&world, "refused").await;
    world.says("!sale start bowl 10m").await;
    looker.opens(&world, "several on", "/live").await;
    looker.opens(&world, "many questions", &format!("/sales/{}", world.newest().id)).await;
    world.says("!sale stop #2").await;
    looker.opens(&world, "cancelled", &format!("/sales/{}", world.newest().id)).await;
    for who in ["ana", "ben", "cleo"] {
        world.pays(who).await;
    }
    let sale = world.app.engine.views().all().last().expect("the mugs").id;
    looker.opens(&world, "sold out", &format!("/sales/{sale}")).await;
    world.says("!sale start mug 10m").await;
    world.advance(mins(11)).await;
    looker.opens(&world, "ended", &format!("/sales/{}", world.newest().id)).await;
    looker.opens(&world, "last result", "/live").await;
    looker.done(world).await;
}

/// Somebody claims where payment pages take long; answers their own page.
async fn claims_slowly(world: &mut World, who: &str, form: &'static [(&str, &str)]) -> String {
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    let mut browser = world.browser(who);
    let claim = tokio::spawn(async move {
        browser.post(&url, form).await;
        browser
    });
    while !claim.is_finished() {
        world.advance(secs(1)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.browsers.insert(who.to_owned(), claim.await.expect("no panic"));
    let sale = format!("/sales/{}", world.newest().id);
    let shown = world.looks(who, &sale).await.text;
    let at = shown.split("href=\"/holds/").nth(1).expect("a link to the hold");
    format!("/holds/{}", at.split('"').next().expect("a token"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_buyers_see() {
    let slow = "[providers.sandbox]\ncalls_per_second = 100000\n[providers.sandbox.faults]\n\
                ready_after_ms = 20000\nclose_ignored = 1.0\n";
    let mut world = World::new(&format!("{slow}{}", shop())).await;
    let mut looker = Looker::new(&world).await;
    world.says_quietly("!sale start mug 30m stock=2").await;
    world.advance(secs(30)).await;
    let ana = claims_slowly(&mut world, "ana", PICKUP).await;
    looker.opens(&world, "opening", &ana).await;
    world.advance(secs(30)).await;
    looker.opens(&world, "yours to pay", &ana).await;
    looker.opens(&world, "back from paying", &format!("{ana}?back=1")).await;
    let anas_page = looker.pays_at(&world, "$18").await;
    looker.judges(&world, "payment").await;
    let bea = claims_slowly(&mut world, "bea", &[("delivery", "ship")]).await;
    world.advance(secs(30)).await;
    looker.person.opens(&world, &bea).await;
    looker.pays_at(&world, "$24").await;
    looker.judges(&world, "payment with address").await;

    let line = world.url(&format!("/sales/{}/line", world.newest().id));
    let dora = world.posts("dora", &line, PICKUP).await.location.expect("a page");
    looker.opens(&world, "in line", &dora).await;
    let release = world.url(&format!("{bea}/release"));
    world.posts("bea", &release, &[]).await;
    looker.opens(&world, "cancelled", &bea).await;
    looker.opens(&world, "offered", &dora).await;
    world.advance(mins(4)).await;
    looker.opens(&world, "not taken", &dora).await;
    looker.opens(&world, "time over", &ana).await;

    for who in ["emil", "fay"] {
        let own = claims_slowly(&mut world, who, PICKUP).await;
        world.advance(secs(30)).await;
        looker.person.opens(&world, &own).await;
        let page = looker.pays_at(&world, "$18").await;
        looker.person.presses(&world, "Pay $18").await;
        looker.person.sees(&world, "it is yours").await;
        looker.opens(&world, "paid", &own).await;
        looker.opens(&world, "payment made", &page).await;
    }
    assert_eq!(world.newest().state.word(), "sold_out");
    // Ana's page was said to be closed. It was not.
    let late = world.url(&anas_page);
    world.posts("ana", &late, &[("do", "pay")]).await;
    world.advance(secs(5)).await;
    looker.opens(&world, "refunded", &ana).await;
    let text = looker.person.sees(&world, "Refunded").await;
    assert!(text.contains("$18 came when nothing was left. It went back to you."), "{text}");
    looker.done(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_stream_shows() {
    let mut world = World::new(&shop()).await;
    let mut looker = Looker::new(&world).await;
    let scene = json!({ "width": 460, "height": 900, "deviceScaleFactor": 1, "mobile": false });
    looker.person.devtools(&world, "Emulation.setDeviceMetricsOverride", scene).await;
    looker.opens(&world, "overlay none", "/overlay").await;
    world.says("!sale start mug 10m").await;
    looker.opens(&world, "overlay line", "/overlay?qr=1").await;
    looker.opens(&world, "overlay card", "/overlay?layout=card").await;
    world.says("!sale pause").await;
    looker.opens(&world, "overlay paused", "/overlay").await;
    world.says("!sale resume").await;
    for who in ["ana", "ben", "cleo"] {
        world.claims(who, PICKUP).await;
    }
    looker.opens(&world, "overlay all held", "/overlay?layout=card").await;
    for who in ["ana", "ben", "cleo"] {
        world.pays(who).await;
    }
    looker.person.sees(&world, "SOLD OUT").await;
    looker.judges(&world, "overlay sold out").await;
    looker.done(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_owner_sees() {
    let mut setup = desk_setup(&shop());
    let shut = Arc::new(AtomicBool::new(true));
    let switch = shut.clone();
    setup.wrap_platform = Arc::new(move |inner| Arc::new(Shut { inner, shut: switch.clone() }));
    let mut world = World::build(&setup).await;
    let mut looker = Looker::new(&world).await;
    looker.opens(&world, "desk login", "/desk").await;
    looker.person.types(&world, "token", "a-guess").await;
    looker.person.presses(&world, "Log in").await;
    looker.person.sees(&world, "Wrong token.").await;
    looker.judges(&world, "desk wrong token").await;
    looker.person.types(&world, "token", TOKEN).await;
    looker.person.presses(&world, "Log in").await;
    looker.person.sees(&world, "None so far.").await;
    world.says("!sale start mug 10m").await;
    world.claims("ana", PICKUP).await;
    world.pays("ana").await;
    world.claims("ben", &[("delivery", "ship")]).await;
    looker.opens(&world, "desk", "/desk").await;
    looker.person.sees(&world, "the room is closed to us").await;
    looker.opens(&world, "desk sale", "/desk/sales/1").await;
    shut.store(false, Ordering::SeqCst);
    looker.person.presses(&world, "Try again").await;
    looker.person.sees(&world, "The owner's desk").await;
    looker.done(world).await;
}
