//! What is armed is a secret until it opens; what is said of a sale is one number everywhere.

use serde_json::Value;

use crate::{
    desk::{TOKEN, desk_setup},
    world::{MUG, World, client, mins, secs},
};

const DROP: &str = r#"
[templates.drop]
title = "Nine Tailed Kettle"
price = "8765.43"
stock = 7
warm = 0
"#;

/// Everything that anybody can ask for, as one text.
async fn leaks(world: &mut World, id: &str, number: u32) -> String {
    let mut all = String::new();
    for path in [
        "/live".to_owned(),
        "/overlay".to_owned(),
        "/overlay?layout=card".to_owned(),
        "/api/sales".to_owned(),
        "/metrics".to_owned(),
        "/readyz".to_owned(),
    ] {
        all += &world.looks("cy", &path).await.text;
    }
    for path in ["/api/sales/{}", "/sales/{}", "/sales/{}/events"] {
        for key in [id.to_owned(), number.to_string()] {
            let answer = world.looks("cy", &path.replace("{}", &key)).await;
            assert_eq!(answer.status, 404, "{path} {key}");
            all += &answer.text;
        }
    }
    for path in ["holds", "line"] {
        let url = world.url(&format!("/sales/{id}/{path}"));
        let answer = world.posts("cy", &url, &[("delivery", "pickup")]).await;
        assert_eq!(answer.status, 404, "{path}");
        all += &answer.text;
    }
    all
}

#[tokio::test]
async fn an_armed_sale_is_a_secret_until_it_opens_and_one_that_never_opens_for_ever() {
    livetill::meter::start().expect("a recorder");
    let mut world = World::build(&desk_setup(DROP)).await;
    world.says("!sale arm drop 10m").await;
    let armed = world.newest();
    assert_eq!(armed.state.word(), "armed");
    let id = armed.id.to_string();
    let all = leaks(&mut world, &id, 1).await;
    for word in ["Kettle", "8765.43", "8,765", &id, "livetill_units{are=\"left\"} 7"] {
        assert!(!all.contains(word), "{word} in {all}");
    }
    assert!(all.contains("livetill_sales{state=\"armed\"} 0"), "{all}");
    // Moderators and the desk see it.
    let said = world.says("!sale status").await;
    assert!(said[0].contains("Nine Tailed Kettle"), "{said:?}");
    let login = world.url("/desk/login");
    world.posts("owner", &login, &[("token", TOKEN)]).await;
    assert!(world.looks("owner", "/desk").await.text.contains("Nine Tailed Kettle"));
    // Stopped before it opened: the list of what is over does not tell either.
    world.says("!sale stop").await;
    let all = leaks(&mut world, &id, 1).await;
    assert!(!all.contains("Kettle") && !all.contains(&id), "{all}");
    // Opened, it is everybody's.
    world.advance(secs(3)).await;
    world.says("!sale arm drop 10m").await;
    world.says("!sale start #2").await;
    let sales: Value =
        serde_json::from_str(&world.looks("cy", "/api/sales").await.text).expect("JSON");
    assert_eq!((sales.as_array().map(Vec::len), &sales[0]["number"]), (Some(1), &2.into()));
    assert_eq!(world.looks("cy", "/api/sales/2").await.status, 200);
    let stream = client().get(world.url("/sales/2/events")).send().await.expect("answers");
    assert_eq!(stream.status(), 200);
    drop(stream);
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn one_number_is_said_everywhere_when_units_were_missing_at_the_end() {
    let mut world = World::build(&desk_setup(MUG)).await;
    world.says("!sale start mug 10m").await;
    for who in ["ana", "ben", "cy"] {
        world.clicks(who).await;
    }
    world.pays("ana").await;
    // One more is promised than is there: what is let go makes it good, later.
    world.says("!sale restock -1").await;
    world.says("!sale yes").await;
    world.advance(secs(3)).await;
    let mut said = world.says("!sale stop").await;
    said.extend(world.says("!sale yes").await);
    let end = said.iter().find(|line| line.starts_with("CANCELLED")).expect("an end");
    assert!(end.contains("1 of 3 sold"), "{end}");
    world.advance(mins(13)).await;
    world.heard();
    let view = world.newest();
    assert_eq!((view.paid, view.stock, view.left, view.held), (1, 3, 2, 0));
    let page = world.looks("cy", &format!("/sales/{}", view.id)).await.text;
    assert!(page.contains("<strong>1</strong> of 3 sold"), "{page}");
    assert!(page.contains("Ended") && !page.contains(">Cancelled"), "{page}");
    let live = world.looks("cy", "/live").await.text;
    assert!(live.contains("1 of 3 sold") && live.contains("no real money"), "{live}");
    let overlay = world.looks("cy", "/overlay?counts=1").await.text;
    assert!(overlay.contains("ENDED · 1 of 3 sold"), "{overlay}");
    let api: Value =
        serde_json::from_str(&world.looks("cy", "/api/sales/1").await.text).expect("JSON");
    assert_eq!((&api["stock"], &api["state"]), (&3.into(), &"cancelled".into()));
    let login = world.url("/desk/login");
    world.posts("owner", &login, &[("token", TOKEN)]).await;
    let desk = world.looks("owner", "/desk").await.text;
    assert!(desk.contains("1 of 3 sold") && desk.contains("no real money"), "{desk}");
    let report = world.says("!sale report #1").await.join("\n");
    assert!(report.contains("1 of 3 sold"), "{report}");
    world.done().await;
}
