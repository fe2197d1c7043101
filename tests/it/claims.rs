//! Claims over HTTP: who may have what, and what never makes a hold.

use crate::world::{MUG, World, client, mins, secs};

#[tokio::test]
async fn looking_makes_no_hold() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let before = world.newest();
    let agents = ["Discordbot/2.0", "Twitterbot/1.0", "facebookexternalhit/1.1", "Mozilla/5.0", ""];
    let paths = ["/live".to_owned(), format!("/sales/{}", before.id), "/api/sales".to_owned()];
    let client = client();
    for n in 0..100 {
        let url = world.url(&paths[n % paths.len()]);
        let agent = agents[n % agents.len()];
        let request = if n % 2 == 0 { client.get(url) } else { client.head(url) };
        let answer = request.header("user-agent", agent).send().await.expect("answers");
        assert_eq!(answer.status(), 200);
    }
    // Nor does a GET where only a form belongs.
    let url = format!("/sales/{}/holds", before.id);
    assert_eq!(world.looks("ana", &url).await.status, 405);
    world.settle().await;
    let after = world.newest();
    assert_eq!((after.held, after.revision), (0, before.revision));
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn delivery_choice_and_units_are_part_of_the_claim() {
    let choice = MUG.replace("warm = 0", "warm = 1\nper_buyer = 2")
        + "delivery = [{ name = \"ship\", label = \"Ship\", fee = \"6\", ask_address = true }, \
           { name = \"pickup\", label = \"Pick up\" }]\n";
    let mut world = World::new(&choice).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(page.contains("value=\"ship\"") && page.contains("+ $6"), "{page}");
    assert_eq!(world.claims("ana", &[("delivery", "rocket")]).await.status, 409);
    assert_eq!(world.claims("ana", &[("delivery", "ship"), ("units", "3")]).await.status, 409);
    assert_eq!(world.claims("ana", &[("delivery", "ship"), ("units", "x")]).await.status, 409);
    assert_eq!(world.claims("ana", &[("delivery", "ship"), ("units", "2")]).await.status, 303);
    assert_eq!(world.newest().held, 2);
    let page = world.browser("ana").at.expect("a page");
    let text = world.looks("ana", &page).await.text;
    assert!(text.contains("Pay $42") && text.contains("name=\"address\""), "{text}");
    let asked = world.pays("ana").await;
    assert!(asked.text.contains("Please give your name and postal address"), "{}", asked.text);
    let form = [("do", "pay"), ("name", "Ana"), ("address", "1 Fern Street")];
    assert_eq!(world.posts("ana", &page, &form).await.status, 303);
    assert_eq!(world.newest().paid, 2);
    let full = world.claims("ana", &[("delivery", "pickup")]).await;
    assert!(full.text.contains("You have 2"), "{}", full.text);
    // A warm page of the other choice is handed out at once.
    assert_eq!(world.claims("bo", &[("delivery", "pickup")]).await.status, 303);
    let page = world.browser("bo").at.expect("a page");
    assert!(world.looks("bo", &page).await.text.contains("Pay $18"));
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn answers_are_asked_for_and_checked() {
    let ask = MUG.to_owned() + "ask = [\"name\", \"email\"]\n";
    let mut world = World::new(&ask).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(page.contains("inputmode=\"email\""), "{page}");
    let bad = world.claims("ana", &[("name", "Ana"), ("email", "nonsense")]).await;
    assert!(bad.status == 409 && bad.text.contains("e-mail address"), "{}", bad.text);
    assert_eq!(world.claims("ana", &[("email", "a@b.example")]).await.status, 409);
    let good = [("name", "Ana"), ("email", "a@b.example")];
    assert_eq!(world.claims("ana", &good).await.status, 303);
    world.pays("ana").await;
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn a_form_from_another_site_is_turned_away() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1.evil.example"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let answer = client().post(&url).header(name, value).send().await.expect("answers");
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    assert_eq!(world.newest().held, 0);
    // From here, as browsers say it in different ways.
    let own = world.app.base_url.clone();
    for (name, value) in [("origin", own.as_str()), ("sec-fetch-site", "same-origin")] {
        let request = client().post(&url).header(name, value);
        let answer = world.during(async move { request.send().await.expect("answers").status() });
        assert_eq!(answer.await, 303, "{name}: {value}");
    }
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn an_untrusted_peer_is_not_believed_about_its_address() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 10")).await;
    world.says("!sale start mug 10m").await;
    // The peer is this machine and nobody's proxy: what it says is ignored, and it is exempt.
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    for n in 0..4 {
        let request = client().post(&url).header("x-forwarded-for", format!("203.0.113.{n}"));
        let status =
            world.during(async move { request.send().await.expect("answers").status() }).await;
        // The sandbox's page is for private networks, the claim itself is fine.
        assert_eq!(status, 303);
    }
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn scripts_get_the_reason_as_json() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 1")).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    let answer = client().post(&url).header("accept", "application/json").send().await;
    let answer = answer.expect("answers");
    assert_eq!(answer.status(), 409);
    let body: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(body, serde_json::json!({ "error": "all_held" }));
    world.pays("ana").await;
    let answer = client().post(&url).header("accept", "application/json").send().await;
    let body: serde_json::Value = answer.expect("answers").json().await.expect("JSON");
    assert_eq!(body, serde_json::json!({ "error": "sold_out" }));
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_claim_that_is_no_form_is_told_how_to_be_one() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    let sent = client().post(url).json(&serde_json::json!({ "units": 1 })).send();
    let answer = sent.await.expect("answers");
    assert_eq!(answer.status(), 415);
    let says: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(says["error"], "not_a_form", "{says}");
    assert_eq!(world.newest().held, 0);
    world.says("!sale stop").await;
    world.advance(mins(2)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_browser_that_lets_holds_lapse_gets_no_more() {
    let mut world = World::new(&format!("[http]\ntries_per_buyer = 2\n{MUG}")).await;
    world.says("!sale start mug 30m").await;
    for _ in 0..2 {
        assert_eq!(world.clicks("ana").await.status, 303);
        world.advance(mins(4)).await;
    }
    let refused = world.clicks("ana").await;
    assert!(
        refused.status == 409 && refused.text.contains("expire in this sale"),
        "{}",
        refused.text
    );
    world.says("!sale stop").await;
    world.heard();
    world.done().await;
}

/// How often a text stands on a page.
fn times(page: &str, text: &str) -> usize {
    page.matches(text).count()
}

#[tokio::test]
async fn why_nothing_is_had_is_one_sentence_with_the_state_in_it() {
    let mut world = World::new(&MUG.replace("stock = 3", "stock = 1")).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale pause").await;
    let paused = world.clicks("ben").await;
    assert_eq!(paused.status, 409);
    assert_eq!(times(&paused.text, "This sale is paused: please try again in a moment."), 1);
    world.says("!sale resume").await;
    world.clicks("ana").await;
    let held = world.clicks("ben").await;
    let says = "It is all held: every unit is reserved right now, and some may come back.";
    assert_eq!(times(&held.text, says), 1, "{}", held.text);
    world.pays("ana").await;
    let sold_out = world.clicks("ben").await;
    assert_eq!(times(&sold_out.text, "Everything is sold out."), 1, "{}", sold_out.text);
    for page in [&paused, &held, &sold_out] {
        for tail in ["(paused)", "(all held)", "(sold out)", "(open)"] {
            assert!(!page.text.contains(tail), "{}", page.text);
        }
    }
    world.advance(secs(3)).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale stop").await;
    let cancelled = world.clicks("ben").await;
    assert_eq!(times(&cancelled.text, "This sale was cancelled and has ended."), 1);
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn what_was_typed_stays_and_the_wrong_field_is_told_apart() {
    let ask = MUG.to_owned() + "ask = [\"name\", \"email\", \"address\"]\n";
    let mut world = World::new(&ask).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(!page.contains("http-equiv=\"refresh\""), "nobody types for nothing: {page}");
    let typed = [("name", "Ana \"A\" <b>"), ("email", "jürgen"), ("address", "1 Fern Street\nKew")];
    for who in ["ana", "a stranger"] {
        let bad = world.claims(who, &typed).await;
        assert_eq!(bad.status, 409);
        for part in ["value=\"Ana &#34;A&#34; &#60;b&#62;\"", "1 Fern Street\nKew</textarea>"] {
            assert!(bad.text.contains(part), "{part}: {}", bad.text);
        }
        let field = bad.text.split("<input name=\"email\"").nth(1).expect("a field");
        let field = field.split('>').next().expect("its end");
        for part in
            ["value=\"jürgen\"", "aria-invalid=\"true\"", "aria-describedby=\"why\"", "autofocus"]
        {
            assert!(field.contains(part), "{part}: {field}");
        }
        assert_eq!(times(&bad.text, "aria-invalid"), 1, "{}", bad.text);
        assert_eq!(times(&bad.text, "there is no @ in it"), 1, "{}", bad.text);
        assert!(!bad.text.contains("http-equiv=\"refresh\""), "{}", bad.text);
        assert_eq!(bad.headers["cache-control"], "no-store");
    }
    // The next one sees nothing of it.
    let other = world.looks("ben", "/live").await.text;
    assert!(!other.contains("jürgen") && !other.contains("Fern Street"), "{other}");
    let typed = [("name", "Ana"), ("email", "jürgen@bücher.example"), ("address", "1 Fern Street")];
    assert_eq!(world.claims("ana", &typed).await.status, 303);
    world.pays("ana").await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
