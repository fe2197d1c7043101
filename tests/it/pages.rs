//! What browsers get: safe, small, honest, and usable without a script.

use crate::world::{MUG, World, client, mins};

#[tokio::test]
async fn a_hostile_title_is_text_everywhere() {
    let title = "<script>alert(1)</script> \\\"x\\\" & {{7*7}} \u{202E}evil";
    let mut world = World::new(&MUG.replace("Fern Mug", title)).await;
    world.says("!sale start mug 10m").await;
    for path in ["/live".to_owned(), format!("/sales/{}", world.newest().id)] {
        let page = world.looks("ana", &path).await;
        assert!(!page.text.contains("<script>alert"), "{}", page.text);
        assert!(
            page.text.contains("&#60;script&#62;alert") || page.text.contains("&lt;script&gt;")
        );
    }
    world.clicks("ana").await;
    let pay = world.browser("ana").at.expect("a page");
    assert!(!world.looks("ana", &pay).await.text.contains("<script>alert"));
    world.advance(mins(13)).await;
    for line in world.heard() {
        assert!(!line.contains('\u{202E}') && !line.contains('\n'), "{line}");
    }
    world.done().await;
}

#[tokio::test]
async fn pages_carry_strict_headers_and_no_foreign_address() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let own = world.looks("ana", "/live").await.text;
    let hold = own.split("href=\"/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let hold = format!("/holds/{}", hold.expect("a link"));
    for path in ["/live", &hold, "/nowhere", "/sales/7"] {
        let page = world.looks("ana", path).await;
        let csp = page.headers.get("content-security-policy").map(|v| v.to_str().expect("text"));
        if page.status != 404 || path == "/sales/7" {
            let csp = csp.expect("a policy");
            assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"));
            assert!(!csp.contains("unsafe"), "{csp}");
            assert_eq!(page.headers["x-content-type-options"], "nosniff");
            assert_eq!(page.headers["referrer-policy"], "same-origin");
        }
        assert!(page.text.len() < 40_000);
        let text = page.text.replace(&world.app.base_url, "");
        assert!(!text.contains("src=\"http") && !text.contains("href=\"http"), "{text}");
        assert!(!text.contains("onclick") && !text.contains("style=\""), "{text}");
    }
    for asset in ["/assets/live.css", "/assets/live.js"] {
        let got = world.looks("ana", asset).await;
        assert!(got.status == 200 && got.text.len() < 20_000);
    }
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn previews_say_what_is_on() {
    let image = MUG.to_owned() + "image = \"https://shop.example/mug.jpg\"\n";
    let mut world = World::new(&image).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    for tag in [
        "<meta property=\"og:title\" content=\"Fern Mug · $18\">",
        "<meta property=\"og:description\" content=\"3 of 3 left · 10 min left\">",
        "<meta property=\"og:image\" content=\"https://shop.example/mug.jpg\">",
    ] {
        assert!(page.contains(tag), "{tag}: {page}");
    }
    assert!(page.contains("role=\"status\""), "a status line for screen readers");
    assert!(page.contains("<form method=\"post\""), "works without a script");
    world.says("!sale stop").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(page.contains("Nothing is on right now. Last: Fern Mug · Ended · 0 of 3 sold"));
    world.done().await;
}

#[tokio::test]
async fn several_sales_are_listed_under_the_one_link() {
    let two = format!(
        "{MUG}{}",
        MUG.replace("templates.mug", "templates.pot").replace("Fern Mug", "Pot")
    );
    let mut world = World::new(&two).await;
    world.says("!sale start mug 10m").await;
    world.says("!sale start pot 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(
        page.contains("Several sales are on.") && page.contains("Pot") && page.contains("Fern Mug")
    );
    world.says("!sale stop #1").await;
    world.says("!sale stop #2").await;
    world.done().await;
}

#[tokio::test]
async fn a_sale_that_is_not_open_yet_is_nobodys_business() {
    let mut world = World::new(MUG).await;
    world.says("!sale arm mug 10m").await;
    let id = world.newest().id;
    assert_eq!(world.looks("ana", &format!("/sales/{id}")).await.status, 404);
    assert_eq!(world.clicks("ana").await.status, 404);
    assert_eq!(world.newest().held, 0);
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn guessed_tokens_open_nothing() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let id = world.newest().id;
    for token in [
        format!("{id}-1"),
        format!("{id}-1-"),
        format!("{id}-1-00000000000000000000000000000000"),
        "x".to_owned(),
        "..%2f..%2fetc".to_owned(),
    ] {
        assert_eq!(world.looks("bo", &format!("/holds/{token}")).await.status, 404, "{token}");
        let release = world.url(&format!("/holds/{token}/release"));
        assert_eq!(world.posts("bo", &release, &[]).await.status, 404, "{token}");
    }
    assert_eq!(world.newest().held, 1);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_buyers_page_tells_how_it_stands() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let own = world.looks("ana", "/live").await.text;
    let hold = own.split("href=\"/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let hold = format!("/holds/{}", hold.expect("a link"));
    let page = world.looks("ana", &hold).await.text;
    assert!(
        page.contains("Reserved for you") && page.contains("Pay now") && page.contains("Cancel")
    );
    assert!(page.contains("Bookmark this page"));
    let back = world.looks("ana", &format!("{hold}?back=1")).await.text;
    assert!(back.contains("Waiting for the payment"), "{back}");
    world.pays("ana").await;
    let page = world.looks("ana", &hold).await.text;
    assert!(page.contains("$18 is paid, and it is yours. Thank you!"), "{page}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn the_stream_follows_a_sale_and_ends_with_the_program() {
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/events", world.newest().id));
    let mut answer = client().get(url).send().await.expect("answers");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    // Nothing on the way gathers or presses it.
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    assert_eq!(answer.headers()["cache-control"], "no-cache, no-transform");
    let mut next = async || {
        let chunk = answer.chunk().await.expect("bytes")?;
        Some(String::from_utf8(chunk.to_vec()).expect("text"))
    };
    let first = next().await.expect("the state as it is");
    assert!(first.contains("event: view") && first.contains("\"left\":3"), "{first}");
    // A sign of life that scripts hear of.
    while next().await.expect("goes on") != "event: alive\ndata: 1\n\n" {}
    world.clicks("ana").await;
    let mut seen = String::new();
    while !seen.contains("\"left\":2") {
        seen = next().await.expect("the change");
    }
    let revision = world.newest().revision;
    assert!(seen.contains(&format!("id: {revision}")) || seen.contains("id: "), "{seen}");
    world.app.stop().await;
    while next().await.is_some() {}
}

#[tokio::test]
async fn every_listener_hears_the_last_word() {
    const LISTENERS: usize = 100;
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/events", world.newest().id));
    let client = client();
    let mut listeners = Vec::new();
    for _ in 0..LISTENERS {
        listeners.push(client.get(&url).send().await.expect("answers"));
    }
    for buyer in ["ana", "ben", "cleo"] {
        world.clicks(buyer).await;
    }
    world.advance(mins(13)).await;
    let last = world.newest().revision;
    for mut listener in listeners {
        let (mut revision, mut text) = (0, String::new());
        while revision < last {
            let chunk = listener.chunk().await.expect("bytes").expect("not the end");
            text.push_str(std::str::from_utf8(&chunk).expect("text"));
            while let Some((event, rest)) = text.split_once("\n\n") {
                if event.starts_with("event: alive") {
                    text = rest.to_owned();
                    continue;
                }
                let id = event.split("id: ").nth(1).and_then(|id| id.lines().next());
                let id = id.expect("an event has an id").parse().expect("a revision");
                assert!(id > revision, "{id} after {revision}");
                revision = id;
                text = rest.to_owned();
            }
        }
        assert_eq!(revision, last);
    }
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn the_sandbox_is_for_private_networks() {
    let mut world = World::new(&format!("[http]\ntrusted_proxies = [\"127.0.0.1\"]\n{MUG}")).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let pay = world.browser("ana").at.expect("a page");
    for (address, status) in [("192.168.1.9", 200), ("203.0.113.7", 403), ("nonsense", 403)] {
        let request = client().get(&pay).header("x-forwarded-for", address);
        let answer = world.during(async move { request.send().await.expect("answers") }).await;
        assert_eq!(answer.status(), status, "{address}");
        if status == 403 {
            let text = answer.text().await.expect("text");
            assert!(text.contains("providers.sandbox.allow_public"), "{text}");
        }
    }
    let banner = world.looks("ana", &pay).await.text;
    assert!(banner.contains("Sandbox. No real money."), "{banner}");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn health_says_what_it_can() {
    let mut world = World::new(MUG).await;
    assert_eq!(world.looks("ana", "/healthz").await.text, "ok\n");
    let ready = world.looks("ana", "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&ready.text).expect("JSON");
    assert_eq!((ready.status, &body["ready"]), (200, &serde_json::json!(true)));
    world.done().await;
}

#[tokio::test]
async fn the_overlay_shows_what_runs_and_nothing_else() {
    let mut world = World::new(MUG).await;
    assert!(world.looks("obs", "/overlay").await.text.contains("data-state=\"none\""));
    world.says("!sale start mug 10m title=\"<script>x</script>\"").await;
    let line = world.looks("obs", "/overlay").await.text;
    assert!(line.contains("&#60;script&#62;") || line.contains("&lt;script&gt;"), "{line}");
    assert!(line.contains("data-field=\"left\">3<") && !line.contains("/qr.svg"), "{line}");
    let card = world.looks("obs", "/overlay?layout=card").await.text;
    assert!(card.contains("/qr.svg") && card.contains("/live"), "{card}");
    let qr = world.looks("obs", "/qr.svg").await;
    assert!(qr.headers["content-type"].to_str().expect("text").starts_with("image/svg"));
    assert!(qr.text.contains("<svg"));
    world.advance(mins(13)).await;
    assert!(world.looks("obs", "/overlay").await.text.contains("class=\"over\""));
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn figures_are_there_for_prometheus() {
    livetill::meter::start().expect("a recorder");
    let mut world = World::new(MUG).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.looks("ana", "/holds/nobody-knows-me").await;
    let text = world.looks("prometheus", "/metrics").await.text;
    for part in [
        "# TYPE livetill_claims_total counter",
        "livetill_claims_total{outcome=\"taken\"}",
        "livetill_effects_total{target=\"sandbox\",effect=\"open_checkout\",outcome=\"done\"}",
        "livetill_sales{state=\"open\"}",
        "livetill_outbox{is=\"parked\"} 0",
        "livetill_http_requests_total{path=\"holds\",status=\"4xx\"}",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("nobody-knows-me") && !text.contains("web:"), "no id is a label");
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
