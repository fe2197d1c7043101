//! What is offered beside the units: options, up-sells, conditions, special prices. Whole sales on
//! the sandbox, over the real pages.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::post,
};
use livetill::{
    clock::{Clock, Timestamp},
    gate::{CodeKey, add_codes},
    platform::{Grant, Wish, console::message},
    provider::{Webhook, signature::standard},
    report::{Columns, Report},
    sale::{Sale, hold::HoldState},
};

use crate::world::{MUG, ManualClock, Setup, World, mins, secs};

const SIZES: &str = r#"
options = [
    { name = "size", label = "Size", choices = [
        { name = "M", add = "0.00" },
        { name = "XL", label = "Extra large", add = "2.50" },
    ] },
]
"#;

const STICKERS: &str = r#"
[[templates.mug.upsell]]
name = "sticker"
label = "Stickers"
price = "4.00"
stock = 1

[[templates.mug.upsell]]
name = "card"
label = "Card"
price = "1.00"
stock = "with_main"
"#;

const FRIENDS: &str = "[[templates.mug.special]]\ncode_list = \"friends\"\nprice = \"2.00\"\n";

async fn sale(world: &World) -> Sale {
    let id = world.newest().id;
    world.app.engine.store().load(id).await.expect("the store").expect("the sale")
}

async fn csv(world: &World) -> String {
    let mut text = Vec::new();
    Report::of(&sale(world).await, &[]).write_csv(&mut text, Columns::Comma).expect("written");
    String::from_utf8(text).expect("text")
}

/// What the page that a buyer was sent to shows.
async fn page_of(world: &mut World, who: &str) -> String {
    let page = world.browser(who).at.expect("was sent somewhere");
    let text = world.looks(who, &page).await.text;
    world.browsers.get_mut(who).expect("known").at = Some(page);
    text
}

async fn loads(world: &World, list: &str, codes: &str) {
    let store = world.app.engine.store();
    let key = CodeKey::new(&store.secret([0; 32]).await.expect("there is one"));
    add_codes(store, &key, list, codes).await.expect("codes");
}

async fn lets_go(world: &mut World, who: &str) {
    let page = world.looks(who, "/live").await.text;
    let token = page.split("/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let url = world.url(&format!("/holds/{}/release", token.expect("a hold")));
    assert_eq!(world.posts(who, &url, &[]).await.status, 303);
    world.settle().await;
}

#[tokio::test]
async fn an_option_changes_the_price_from_the_page_to_the_packing_list() {
    let config = MUG.replace("warm = 0", "warm = 1\nper_buyer = 2") + SIZES;
    let mut world = World::new(&config).await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(
        page.contains("name=\"option.size\"") && page.contains("Extra large + $2.50"),
        "{page}"
    );
    for form in [vec![], vec![("option.size", "XXL")], vec![("option.colour", "M")]] {
        let no = world.claims("ana", &form).await;
        assert!(
            no.status == 409 && no.text.contains("Please choose Size: M, Extra large"),
            "{form:?}"
        );
    }
    assert_eq!(world.claims("ana", &[("option.size", "XL"), ("units", "2")]).await.status, 303);
    let shown = page_of(&mut world, "ana").await;
    assert!(
        shown.contains("Pay $41") && shown.contains("Size: Extra large: $2.50 each"),
        "{shown}"
    );
    let links = world.says("!sale links").await;
    assert!(links.iter().any(|line| line.contains("size XL")), "{links:?}");
    world.pays("ana").await;
    let mine = world.browser("ana").at.expect("her own page");
    let mine = world.looks("ana", &mine).await.text;
    assert!(mine.contains("$41") && mine.contains("Size: Extra large + $2.50"), "{mine}");
    // What is chosen to begin with is what the warm page sells.
    let warm = sale(&world).await.holds().find(|h| h.state == HoldState::Warm).map(|h| h.id);
    assert_eq!(world.claims("bo", &[("option.size", "M")]).await.status, 303);
    let held = sale(&world).await;
    let got = held.holds().find(|h| h.buyer.is_some() && h.id == warm.expect("one")).cloned();
    assert_eq!(got.expect("the warm one").amount.minor, 1800);
    world.pays("bo").await;
    let csv = csv(&world).await;
    assert!(csv.contains("41.00") && csv.contains("size: XL") && csv.contains("size: M"), "{csv}");
    let said = world.says("!sale report").await;
    assert!(said.iter().any(|line| line.contains("$41") && line.contains("size XL")), "{said:?}");
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn an_up_sell_has_its_own_price_and_is_never_oversold() {
    let mut world = World::new(&format!("{MUG}{STICKERS}")).await;
    world.says("!sale start mug 10m").await;
    let sticker = [("upsell.sticker", "1"), ("upsell.card", "1")];
    assert_eq!(world.claims("ana", &sticker).await.status, 303);
    let shown = page_of(&mut world, "ana").await;
    assert!(shown.contains("Stickers: $4") && shown.contains("Pay $23"), "{shown}");
    let page = world.looks("bo", "/live").await.text;
    assert!(page.contains("Stickers</span> <span>sold out"), "{page}");
    let no = world.claims("bo", &sticker).await;
    assert!(no.status == 409 && no.text.contains("Sold out: Stickers"), "{}", no.text);
    let no = world.claims("bo", &[("upsell.hat", "1")]).await;
    assert!(no.status == 409 && no.text.contains("Sold out: hat"), "{}", no.text);
    // Let go, and somebody else may have it.
    lets_go(&mut world, "ana").await;
    assert_eq!(sale(&world).await.head.free_of("sticker"), Some(1));
    assert_eq!(world.claims("bo", &sticker).await.status, 303);
    assert_eq!(world.claims("cy", &[("upsell.card", "1")]).await.status, 303);
    world.pays("bo").await;
    world.pays("cy").await;
    let sale = sale(&world).await;
    assert_eq!((sale.head.free_of("sticker"), sale.head.tally.paid), (Some(0), 2));
    let csv = csv(&world).await;
    assert!(csv.contains("23.00") && csv.contains("\"card, sticker\""), "{csv}");
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn whoever_waits_cannot_wait_for_what_is_counted() {
    let config = MUG.replace("stock = 3", "stock = 1") + STICKERS;
    let mut world = World::new(&config).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let page = world.looks("bo", "/live").await.text;
    assert!(page.contains("upsell.card") && !page.contains("upsell.sticker"), "{page}");
    let line = world.url(&format!("/sales/{}/line", world.newest().id));
    let no = world.posts("bo", &line, &[("upsell.sticker", "1")]).await;
    assert!(
        no.status == 409 && no.text.contains("t be added while you wait in line"),
        "{}",
        no.text
    );
    assert_eq!(world.posts("bo", &line, &[("upsell.card", "1")]).await.status, 303);
    lets_go(&mut world, "ana").await;
    let mine = world.looks("bo", "/live").await.text;
    let token = mine.split("/holds/").nth(1).and_then(|rest| rest.split('"').next());
    let accept = world.url(&format!("/holds/{}/accept", token.expect("an offer")));
    assert_eq!(world.posts("bo", &accept, &[]).await.status, 303);
    world.pays("bo").await;
    assert!(csv(&world).await.contains("19.00"));
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_code_of_a_list_opens_the_sale_once() {
    let config = format!("{MUG}condition = {{ label = \"Serial number\", codes = \"vip\" }}\n");
    let mut world = World::new(&config).await;
    loads(&world, "vip", "AB-12\nCD-34\nEF-56\n").await;
    world.says("!sale start mug 10m").await;
    let page = world.looks("ana", "/live").await.text;
    assert!(page.contains("Serial number") && page.contains("name=\"code\""), "{page}");
    let no = world.clicks("ana").await;
    assert!(no.text.contains("Please give your Serial number"), "{}", no.text);
    let no = world.claims("ana", &[("code", "ZZ-99")]).await;
    assert!(no.status == 409 && no.text.contains("t valid for this sale"), "{}", no.text);
    assert_eq!(world.claims("ana", &[("code", " ab12 ")]).await.status, 303);
    // The same browser with the same code: its own hold, not a second one.
    let again = world.claims("ana", &[("code", "AB-12")]).await;
    assert!(again.location.is_some_and(|to| to.starts_with("/holds/")));
    let no = world.claims("bo", &[("code", "AB-12")]).await;
    assert!(no.status == 409 && no.text.contains("used for another order"), "{}", no.text);
    assert_eq!(world.newest().held, 1);
    // Nothing of the code itself is kept anywhere.
    let head = format!("{:?}", sale(&world).await);
    assert!(!head.contains("AB12") && !head.contains("ab12"), "{head}");
    lets_go(&mut world, "ana").await;
    assert_eq!(world.claims("bo", &[("code", "AB-12")]).await.status, 303, "it came back");
    world.pays("bo").await;
    let no = world.claims("cy", &[("code", "AB-12")]).await;
    assert!(no.text.contains("used for another order"), "{}", no.text);
    // Nor in the next sale.
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(5)).await;
    world.says("!sale start mug 10m").await;
    let no = world.claims("cy", &[("code", "AB-12")]).await;
    assert!(no.text.contains("used for another order"), "{}", no.text);
    assert_eq!(world.claims("cy", &[("code", "CD-34")]).await.status, 303);
    world.pays("cy").await;
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn two_with_the_same_code_in_the_same_moment_get_one() {
    let config = format!("{MUG}condition = {{ label = \"Code\", codes = \"vip\" }}\n");
    let mut world = World::new(&config).await;
    loads(&world, "vip", "one").await;
    world.says("!sale start mug 10m").await;
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    let crowd = (0..8).map(|_| {
        let url = url.clone();
        async move { crate::world::Browser::new().post(&url, &[("code", "one")]).await.status }
    });
    let all: Vec<_> = crowd.map(tokio::spawn).collect();
    let mut statuses = Vec::new();
    for one in all {
        statuses.push(world.during(async move { one.await.expect("no panic") }).await);
    }
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1, "{statuses:?}");
    assert_eq!(world.newest().held, 1);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn guessing_ends() {
    let config = format!("{MUG}condition = {{ label = \"Code\", codes = \"vip\" }}\n");
    let mut world = World::new(&config).await;
    loads(&world, "vip", "right").await;
    world.says("!sale start mug 30m").await;
    for n in 0..5 {
        let no = world.claims("ana", &[("code", &format!("wrong{n}"))]).await;
        assert!(no.text.contains("t valid for this sale"), "{}", no.text);
    }
    let no = world.claims("ana", &[("code", "right")]).await;
    assert!(no.text.contains("Too many wrong codes"), "{}", no.text);
    world.advance(mins(10)).await;
    assert_eq!(world.claims("ana", &[("code", "right")]).await.status, 303);
    world.advance(mins(30)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_are_worth_no_more_and_shut_nobody_else_out() {
    let config = format!(
        "[http]\ntrusted_proxies = [\"127.0.0.1\"]\n{MUG}condition = {{ label = \"Code\", codes = \
         \"vip\" }}\n"
    );
    let mut world = World::new(&config).await;
    loads(&world, "vip", "right").await;
    world.says("!sale start mug 30m").await;
    let url = world.url(&format!("/sales/{}/holds", world.newest().id));
    let guess = |n: usize, code: String| {
        let request = crate::world::client()
            .post(&url)
            .header("x-forwarded-for", "203.0.113.7")
            .header("accept", "application/json")
            .form(&[("code", code)]);
        tokio::spawn(async move {
            let answer = request.send().await.expect("answers");
            let status = answer.status().as_u16();
            (n, status, answer.text().await.expect("a body"))
        })
    };
    let guesses: Vec<_> = (0..120).map(|n| guess(n, format!("wrong-{n}"))).collect();
    let mut told = 0;
    for guess in guesses {
        let (n, status, says) = guess.await.expect("no panic");
        assert_eq!(status, 409, "{n}: {says}");
        told += usize::from(says.contains("code_wrong"));
    }
    assert_eq!(told, 20, "the others hear that there were too many");
    let right = guess(0, "right".to_owned());
    let (_, status, says) = world.during(async move { right.await.expect("no panic") }).await;
    assert_eq!(status, 303, "a right code from the same address: {says}");
    world.advance(mins(33)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_special_price_is_for_who_has_the_code_and_may_lie_below_the_bound() {
    let config = format!("{MUG}min_price = \"9.00\"\n{FRIENDS}");
    let mut world = World::new(&config).await;
    loads(&world, "friends", "Fern").await;
    world.says("!sale start mug 10m").await;
    let no = world.claims("ana", &[("special", "moss")]).await;
    assert!(no.status == 409 && no.text.contains("code for a special price"), "{}", no.text);
    assert_eq!(world.claims("ana", &[("special", "fern")]).await.status, 303);
    let shown = page_of(&mut world, "ana").await;
    assert!(shown.contains("Pay $2<") && shown.contains("Special price: $2 each"), "{shown}");
    assert_eq!(world.clicks("bo").await.status, 303);
    assert!(page_of(&mut world, "bo").await.contains("Pay $18"));
    world.pays("ana").await;
    world.pays("bo").await;
    let csv = csv(&world).await;
    assert!(csv.contains("2.00") && csv.contains("code:friends"), "{csv}");
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_role_has_its_price_where_the_roles_are_known() {
    let config = format!("{MUG}[[templates.mug.special]]\nrole = \"77\"\nprice = \"12.00\"\n");
    let mut world = World::new(&config).await;
    world.says("!sale start mug 10m").await;
    for (who, roles, amount) in [("ana", vec!["77".to_owned()], 1200), ("bo", vec![], 1800)] {
        let wish = Wish {
            id: who.into(),
            room: "twitch:ana".parse().expect("a room"),
            user: message("x".into(), &format!("{who}> hi")).user,
            sale: world.newest().id,
            delivery: None,
            units: None,
            roles,
        };
        let chat = world.app.chat.clone();
        let grant = world.during(async move { chat.grant(&wish).await }).await;
        assert!(matches!(grant, Grant::Yours { .. }), "{grant:?}");
        let sale = sale(&world).await;
        let mut holds = sale.holds();
        let hold = holds.find(|hold| hold.buyer_name.as_deref() == Some(who)).expect("a hold");
        assert_eq!(hold.amount.minor, amount);
    }
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn it_all_goes_together_with_a_name_and_a_price_on_the_fly() {
    let config = format!("{MUG}{SIZES}{STICKERS}{FRIENDS}");
    let setup = Setup::new(&config);
    let mut world = World::build(&setup).await;
    loads(&world, "friends", "fern").await;
    world.says("!sale start mug 10m title=\"Blue Fern\" price=20 stock=2").await;
    let all = [("option.size", "XL"), ("upsell.sticker", "1"), ("special", "fern")];
    assert_eq!(world.claims("ana", &all).await.status, 303);
    assert!(page_of(&mut world, "ana").await.contains("Pay $8.50"), "2 + 2.50 + 4");
    let plain = [("option.size", "XL")];
    assert_eq!(world.claims("bo", &plain).await.status, 303);
    let shown = page_of(&mut world, "bo").await;
    assert!(shown.contains("Blue Fern") && shown.contains("Pay $22.50"), "{shown}");
    // Killed in between: what was chosen stands with the hold, and the code stays used.
    let browsers = world.browsers.clone();
    world.app.stop().await;
    drop(world);
    // A later moment, so that the console's lines have names of their own.
    setup.clock.advance(secs(10));
    let mut world = World::build(&setup).await;
    world.browsers = browsers;
    let held = sale(&world).await;
    let hers = held.holds().find(|hold| hold.extras.special.is_some()).expect("her hold");
    assert_eq!((hers.amount.minor, hers.extras.codes.len()), (850, 1));
    assert!(world.pay_now("ana").await && world.pay_now("bo").await);
    world.settle().await;
    let said = world.heard();
    assert!(said.last().is_some_and(|line| line.starts_with("SOLD OUT")), "{said:?}");
    let csv = csv(&world).await;
    assert!(csv.contains("8.50") && csv.contains("22.50") && csv.contains("code:friends"), "{csv}");
    world.says("!sale start mug 10m").await;
    let again = world.claims("cy", &[("option.size", "M"), ("special", "fern")]).await;
    assert!(again.text.contains("used for another order"), "{}", again.text);
    world.says("!sale stop").await;
    world.done().await;
}

/// A shop's own check, on a real socket.
#[derive(Clone)]
struct Own {
    clock: Arc<ManualClock>,
    asked: Arc<AtomicUsize>,
    wrong: Arc<Mutex<Vec<String>>>,
}

const WORD: &str = "a long word that both know";

async fn own_check(State(own): State<Own>, headers: HeaderMap, body: Bytes) -> Response {
    own.asked.fetch_add(1, Ordering::SeqCst);
    let pairs = headers.iter();
    let text = |value: &axum::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers = pairs.map(|(name, value)| (name.to_string(), text(value))).collect();
    let webhook = Webhook { headers, body: body.to_vec() };
    let now: Timestamp = own.clock.now();
    if let Err(error) = standard(&[WORD.as_bytes().to_vec()], &webhook, now) {
        own.wrong.lock().expect("unpoisoned").push(error.to_string());
    }
    let asked: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    if asked["sale"]["template"] != "mug" || asked["sale"]["title"] != "Fern Mug" {
        own.wrong.lock().expect("unpoisoned").push(asked.to_string());
    }
    match asked["code"].as_str().expect("a code") {
        "good" => "{\"ok\": true}".into_response(),
        "bad" => "{\"ok\": false}".into_response(),
        "nothing" => "{}".into_response(),
        "text" => "yes".into_response(),
        "no" => (StatusCode::FORBIDDEN, "{\"ok\": true}").into_response(),
        "moved" => (StatusCode::FOUND, [(header::LOCATION, "/yes")]).into_response(),
        "endless" => format!("{{\"ok\": true, \"x\": \"{}\"}}", "x".repeat(10_000)).into_response(),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn the_shop_s_own_check_says_yes_or_nobody_gets_in() {
    let mut setup = Setup::new("");
    let own = Own { clock: setup.clock.clone(), asked: Arc::default(), wrong: Arc::default() };
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/check", socket.local_addr().expect("an address"));
    let yes = || async { "{\"ok\": true}" };
    let routes = Router::new()
        .route("/check", post(own_check))
        .route("/yes", post(yes).get(yes))
        .with_state(own.clone());
    let server = tokio::spawn(async move { axum::serve(socket, routes).await });
    setup.config = format!("{MUG}condition = {{ label = \"Serial number\", url = \"{url}\" }}\n");
    let secrets = setup.dir.path().join("livetill.env");
    std::fs::write(&secrets, format!("LIVETILL_SHOP__CHECK_SECRET={WORD}\n")).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&secrets, mode).expect("owned");
    }
    let mut world = World::build(&setup).await;
    world.says("!sale start mug 10m").await;
    for code in ["nothing", "text", "no", "moved", "endless"] {
        let no = world.claims("ana", &[("code", code)]).await;
        assert!(no.status == 409 && no.text.contains("cannot check your Serial number"), "{code}");
    }
    let no = world.claims("ana", &[("code", "bad")]).await;
    assert!(no.status == 409 && no.text.contains("t valid for this sale"), "{}", no.text);
    assert_eq!(world.newest().held, 0);
    assert_eq!(world.claims("ana", &[("code", "good")]).await.status, 303);
    assert_eq!(own.asked.load(Ordering::SeqCst), 7);
    world.pays("ana").await;
    assert_eq!(*own.wrong.lock().expect("unpoisoned"), Vec::<String>::new());
    // It is away: nobody gets in, and is told so.
    server.abort();
    let _ = server.await;
    let no = world.claims("bo", &[("code", "good")]).await;
    assert!(no.text.contains("Nothing was taken; please try again shortly"), "{}", no.text);
    world.says("!sale stop").await;
    world.says("!sale yes").await;
    world.advance(mins(5)).await;
    world.heard();
    world.done().await;
}
