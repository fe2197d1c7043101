//! The buyer's way, on a phone: from the link to what is paid, and every way around it.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::driver::{Person, Wish};
use crate::world::{MUG, World, mins, secs};

/// Mugs with a choice of how to get them.
fn with_choice() -> String {
    format!(
        "{MUG}delivery = [{{ name = \"ship\", label = \"Ship to me\", fee = \"6.00\" }}, \
         {{ name = \"pickup\", label = \"Local pickup\", fee = \"0.00\" }}]\n"
    )
}

async fn on_sale(config: &str, line: &str) -> World {
    let mut world = World::new(config).await;
    world.says(line).await;
    world
}

async fn over(mut world: World, people: impl IntoIterator<Item = Person>) {
    for person in people {
        person.leaves(&world).await;
    }
    world.advance(mins(40)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_the_link_to_what_is_paid() {
    let world = on_sale(&with_choice(), "!sale start mug 10m").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    ana.sees(&world, "3 of 3 left").await;
    ana.presses(&world, "Local pickup").await;
    ana.presses(&world, "Get yours").await;
    ana.sees(&world, "Sandbox. No real money.").await;
    ana.presses(&world, "Pay $18").await;
    let text = ana.sees(&world, "$18 is paid, and it is yours. Thank you!").await;
    assert!(text.contains("Local pickup"), "{text}");
    assert!(ana.at(&world).await.starts_with("/holds/"));
    assert_eq!((world.newest().paid, world.newest().held), (1, 0));
    // Back at the link, it is known what ana has.
    ana.opens(&world, "/live").await;
    ana.sees(&world, "You have 1. Thank you!").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_script_the_way_is_the_same() {
    let world = on_sale(&with_choice(), "!sale start mug 10m").await;
    let ana = Person::with(&world, Wish { no_script: true, ..Wish::default() }).await;
    ana.opens(&world, "/live").await;
    let text = ana.sees(&world, "3 of 3 left").await;
    assert!(text.contains("10 min left"), "{text}");
    ana.presses(&world, "Get yours").await;
    ana.presses(&world, "Try a card that is declined").await;
    ana.sees(&world, "You were not charged; try another.").await;
    ana.presses(&world, "Go back to the shop").await;
    ana.sees(&world, "Waiting for the payment").await;
    ana.presses(&world, "I have not paid yet").await;
    ana.presses(&world, "Pay $24").await;
    ana.sees(&world, "$24 is paid, and it is yours").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_keyboard_alone() {
    let mut world = on_sale(&with_choice(), "!sale start mug 10m").await;
    let ana = Person::with(&world, Wish { wide: true, ..Wish::default() }).await;
    ana.opens(&world, "/live").await;
    ana.sees(&world, "3 of 3 left").await;
    // Tab: the shop's name, the choice, the button; down: the other choice.
    let tab = "\u{E004}";
    ana.keys(&world, tab).await;
    ana.keys(&world, tab).await;
    ana.until(&world, "document.activeElement.value === 'ship'").await;
    ana.keys(&world, "\u{E015}").await;
    ana.until(&world, "document.activeElement.value === 'pickup'").await;
    // Stock moves meanwhile: the focus stays, the choice too.
    world.claims("ben", &[("delivery", "ship")]).await;
    ana.sees(&world, "2 of 3 left").await;
    ana.until(&world, "document.activeElement.value === 'pickup'").await;
    ana.keys(&world, tab).await;
    ana.until(&world, "document.activeElement.matches('button:focus-visible')").await;
    let outline = "getComputedStyle(document.activeElement).outlineStyle === 'solid'";
    ana.until(&world, outline).await;
    ana.keys(&world, "\u{E007}").await;
    ana.sees(&world, "Local pickup").await;
    ana.sees(&world, "Pay $18").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_and_the_back_button_make_one_hold() {
    let world = on_sale(MUG, "!sale start mug 10m").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    let [first, _] = ana.opens_a_tab(&world).await;
    ana.opens(&world, "/live").await;
    ana.presses(&world, "Get yours").await;
    ana.sees(&world, "Pay $18").await;
    let page = ana.at(&world).await;
    // The other tab learns of it when it is looked at, and leads to the same page.
    ana.turns_to(&world, &first).await;
    ana.sees(&world, "One is reserved for you. It is not paid yet.").await;
    ana.presses(&world, "Continue").await;
    ana.presses(&world, "Pay now").await;
    ana.sees(&world, "Pay $18").await;
    assert_eq!(ana.at(&world).await, page);
    assert_eq!(world.newest().held, 1);
    // Back, and back again: the sale's page knows of the hold, and leads on.
    ana.goes_back(&world).await;
    ana.sees(&world, "Reserved for you").await;
    ana.goes_back(&world).await;
    ana.sees(&world, "One is reserved for you. It is not paid yet.").await;
    ana.presses(&world, "Continue").await;
    ana.presses(&world, "Pay now").await;
    ana.presses(&world, "Pay $18").await;
    ana.sees(&world, "it is yours").await;
    // Back from there, and once more: what is paid stays paid.
    ana.goes_back(&world).await;
    if ana.sees(&world, "No real money").await.contains("Pay $18") {
        // As the browser remembers it.
        ana.presses(&world, "Pay $18").await;
    }
    ana.sees(&world, "It takes no second payment").await;
    assert_eq!((world.newest().held, world.newest().paid), (0, 1));
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_kept_link_works_in_another_browser() {
    let world = on_sale(MUG, "!sale start mug 10m").await;
    let in_app = Person::new(&world).await;
    in_app.opens(&world, "/live").await;
    in_app.presses(&world, "Get yours").await;
    in_app.presses(&world, "Go back to the shop").await;
    in_app.sees(&world, "Bookmark this page").await;
    let kept = in_app.at(&world).await;

    let own = Person::with(&world, Wish { wide: true, ..Wish::default() }).await;
    own.opens(&world, &kept).await;
    own.presses(&world, "I have not paid yet").await;
    own.presses(&world, "Pay $18").await;
    own.sees(&world, "it is yours").await;
    // The first one hears of it by itself.
    in_app.sees(&world, "$18 is paid, and it is yours").await;
    assert_eq!((world.newest().held, world.newest().paid), (0, 1));
    over(world, [in_app, own]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_last_second_and_one_too_late() {
    let world = on_sale(MUG, "!sale start mug 10m").await;
    let [ana, ben] = [Person::new(&world).await, Person::new(&world).await];
    let sale = format!("/sales/{}", world.newest().id);
    for person in [&ana, &ben] {
        person.opens(&world, &sale).await;
    }
    // Ben's page hears of nothing any more, as on a train in a tunnel.
    let cut = serde_json::json!({ "urls": ["*/events", "*/sales/*"] });
    ben.devtools(&world, "Network.enable", serde_json::json!({})).await;
    ben.devtools(&world, "Network.setBlockedURLs", cut).await;
    world.advance(secs(599)).await;
    ana.presses(&world, "Get yours").await;
    ana.sees(&world, "Pay $18").await;
    world.advance(secs(2)).await;
    assert_eq!(world.newest().state.word(), "ended");
    // A page that was handed out may be paid in the time of grace.
    ana.presses(&world, "Pay $18").await;
    ana.sees(&world, "$18 is paid, and it is yours").await;
    let uncut = serde_json::json!({ "urls": [] });
    ben.devtools(&world, "Network.setBlockedURLs", uncut).await;
    ben.opens(&world, &sale).await;
    let text = ben.sees(&world, "Ended").await;
    assert!(text.contains("1 of 3 sold") && !text.contains("Get yours"), "{text}");
    over(world, [ana, ben]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sold_out_while_somebody_looks() {
    let one = MUG.replace("stock = 3", "stock = 2\nask = [\"name\"]");
    let mut world = on_sale(&one, "!sale start mug 10m").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    ana.types(&world, "name", "Ana Lovelace").await;
    let name = [("name", "somebody")];
    world.claims("ben", &name).await;
    let text = ana.sees(&world, "1 of 2 left").await;
    assert!(text.contains("the last one"), "{text}");
    world.claims("cleo", &name).await;
    // Nothing is left and nothing is sold: it is said as it is, and what was typed stays.
    let text = ana.sees(&world, "All held: 2 people are checking out; some may come back").await;
    assert!(text.contains("Wait in line") && !text.to_lowercase().contains("sold out"), "{text}");
    ana.until(&world, "document.querySelector('[name=name]').value === 'Ana Lovelace'").await;
    ana.until(&world, "document.activeElement.name === 'name'").await;
    let news = "document.getElementById('news').textContent";
    ana.until(&world, &format!("{news}.startsWith('All held')")).await;
    world.pays("ben").await;
    world.pays("cleo").await;
    let text = ana.sees(&world, "Sold out").await;
    assert!(text.contains("2 of 2 sold") && !text.contains("Wait in line"), "{text}");
    ana.until(&world, &format!("{news} === 'Sold out'")).await;
    // The link in chat leads on to the next sale by itself.
    world.says("!sale start mug 10m title=\"Moss Bowl\"").await;
    ana.sees(&world, "Moss Bowl").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_never_declares_the_end_by_itself() {
    let mut world = on_sale(MUG, "!sale start mug 3s").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    // The shop's clock stands still, the browser's does not.
    ana.until(&world, "/^[01] s$/.test(document.querySelector('[role=timer]').textContent)").await;
    let text = ana.sees(&world, "Get yours").await;
    assert!(text.contains("Open") && !text.contains("Ended"), "{text}");
    world.says("!sale extend 5m").await;
    ana.sees(&world, " min left").await;
    world.advance(mins(6)).await;
    ana.sees(&world, "Ended").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_is_waited_in_and_what_comes_free_is_paid() {
    let one = MUG.replace("stock = 3", "stock = 1");
    let mut world = on_sale(&one, "!sale start mug 20m").await;
    world.clicks("ana").await;
    let ben = Person::new(&world).await;
    ben.opens(&world, "/live").await;
    ben.sees(&world, "All held: 1 person is checking out; it may come back").await;
    ben.presses(&world, "Wait in line").await;
    ben.sees(&world, "You are next").await;
    // Ana's time runs out.
    world.advance(mins(3)).await;
    ben.sees(&world, "It's reserved for you. Still want it?").await;
    ben.until(&world, "document.title.startsWith('One is free')").await;
    ben.presses(&world, "Yes, get it").await;
    ben.presses(&world, "Pay $18").await;
    ben.sees(&world, "it is yours").await;
    assert_eq!(world.newest().state.word(), "sold_out");
    over(world, [ben]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_refused_says_why_and_the_page_goes_on() {
    let one = MUG.replace("stock = 3", "stock = 1\nask = [\"email\"]");
    let mut world = on_sale(&one, "!sale start mug 10m").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    // Fine for the browser, not for us.
    ana.types(&world, "email", "ana@home").await;
    ana.presses(&world, "Get yours").await;
    ana.until(&world, "document.querySelector('[role=alert]')").await;
    // What she typed is there, and what is wrong with it in view.
    ana.until(&world, "document.activeElement.matches('[name=email][aria-invalid]')").await;
    assert_eq!(ana.asks(&world, "return document.activeElement.value").await, "ana@home");
    // It is the sale's page from here on, and it hears of what happens.
    ana.until(&world, "location.pathname.endsWith(document.querySelector('main').dataset.sale)")
        .await;
    world.claims("ben", &[("email", "ben@home.example")]).await;
    ana.sees(&world, "All held: 1 person is checking out").await;
    world.pays("ben").await;
    ana.sees(&world, "Sold out").await;
    over(world, [ana]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_one_moves_nothing_and_the_bar_is_full() {
    let mut world = on_sale(MUG, "!sale start mug 10m").await;
    let ana = Person::new(&world).await;
    ana.opens(&world, "/live").await;
    ana.sees(&world, "3 of 3 left").await;
    let place = "return document.querySelector('form button').getBoundingClientRect().top";
    let before = ana.asks(&world, place).await;
    // A bar of one colour from top to bottom, as it is painted.
    let picture = STANDARD.encode(ana.picture(&world).await);
    let colours = ana
        .asks_later(
            &world,
            &format!(
                "const done = arguments[0], img = new Image(); img.onload = () => {{ \
                 const c = document.createElement('canvas'); c.width = img.width; \
                 c.height = img.height; const d = c.getContext('2d'); d.drawImage(img, 0, 0); \
                 const b = document.querySelector('meter').getBoundingClientRect(); \
                 const seen = new Set(); \
                 for (let y = Math.ceil(b.top) + 1; y < Math.floor(b.bottom) - 1; y++) \
                 seen.add(d.getImageData(b.left + b.width / 2, y, 1, 1).data.join()); \
                 done([...seen]); }}; img.src = 'data:image/png;base64,{picture}';"
            ),
        )
        .await;
    assert_eq!(colours.as_array().map(Vec::len), Some(1), "{colours}");
    world.clicks("ben").await;
    ana.sees(&world, "2 of 3 left").await;
    world.clicks("cleo").await;
    ana.sees(&world, "the last one").await;
    assert_eq!(ana.asks(&world, place).await, before);
    over(world, [ana]).await;
}
