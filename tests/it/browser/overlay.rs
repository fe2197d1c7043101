//! The overlay beside a whole sale.

use super::driver::{Person, Wish};
use crate::world::{MUG, World, mins};

async fn watched() -> (World, Person) {
    let world = World::new(MUG).await;
    let obs = Person::with(&world, Wish { wide: true, ..Wish::default() }).await;
    obs.opens(&world, "/overlay?layout=card").await;
    obs.until(&world, "document.querySelector('main').dataset.state === 'none'").await;
    (world, obs)
}

const GONE: &str = "document.querySelector('main.gone') && \
                    getComputedStyle(document.querySelector('main')).opacity === '0'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_shows_a_sale_from_its_opening_to_the_last_unit_and_hides_itself() {
    let (mut world, obs) = watched().await;
    world.says("!sale start mug 10m").await;
    obs.sees(&world, "3 of 3 left").await;
    obs.until(&world, "document.querySelector('.qr').naturalWidth > 0").await;
    for (who, left) in [("ana", "2 of 3 left"), ("ben", "1 of 3 left")] {
        world.clicks(who).await;
        obs.sees(&world, left).await;
    }
    world.clicks("cleo").await;
    obs.sees(&world, "ALL HELD").await;
    for who in ["ana", "ben", "cleo"] {
        world.pays(who).await;
    }
    let text = obs.sees(&world, "SOLD OUT").await;
    assert!(!text.contains("left"), "{text}");
    obs.until(&world, GONE).await;
    // The next sale is shown again.
    world.says("!sale start mug 10m title=\"Moss Bowl\"").await;
    obs.sees(&world, "Moss Bowl").await;
    obs.leaves(&world).await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_follows_pauses_and_the_clock_to_the_end() {
    let (mut world, obs) = watched().await;
    world.says("!sale start mug 10m").await;
    obs.sees(&world, "3 of 3 left").await;
    world.says("!sale pause").await;
    obs.sees(&world, "PAUSED").await;
    world.says("!sale resume").await;
    obs.sees_no(&world, "PAUSED").await;
    world.says("!sale restock 2").await;
    obs.sees(&world, "5 of 5 left").await;
    world.advance(mins(11)).await;
    // How little was sold is not for the audience.
    let text = obs.sees(&world, "ENDED").await;
    assert!(!text.contains("sold"), "{text}");
    obs.until(&world, GONE).await;
    obs.opens(&world, "/overlay?counts=1").await;
    let says = "return document.querySelector('.says').textContent";
    assert_eq!(obs.asks(&world, says).await, "ENDED · 0 of 5 sold");
    obs.leaves(&world).await;
    world.heard();
    world.done().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fits_the_sizes_that_the_docs_recommend() {
    let photo = format!("{MUG}image = \"https://photos.example/mug.svg\"\n");
    let mut world = World::new(&photo).await;
    world.says("!sale start mug 10m").await;
    let photos = Some(super::photo::serve().await);
    let obs = Person::with(&world, Wish { wide: true, photos, ..Wish::default() }).await;
    for (at, width, height) in [
        ("/overlay?layout=card", 400, 600),
        ("/overlay?layout=card", 360, 480),
        ("/overlay", 1280, 100),
        ("/overlay?qr=1", 1280, 160),
    ] {
        let size = serde_json::json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        obs.devtools(&world, "Emulation.setDeviceMetricsOverride", size).await;
        obs.opens(&world, at).await;
        let text = obs.sees(&world, "3 of 3 left").await;
        assert!(text.contains("no real money"), "{text}");
        let over = "return [...document.querySelectorAll('main, main *')].filter((el) => { \
                    const box = el.getBoundingClientRect(); \
                    return box.right > innerWidth || box.bottom > innerHeight || box.left < 0; \
                    }).map((el) => el.className || el.tagName).join()";
        assert_eq!(obs.asks(&world, over).await, "", "{at} in {width} × {height}");
    }
    obs.leaves(&world).await;
    world.advance(mins(13)).await;
    world.heard();
    world.done().await;
}
