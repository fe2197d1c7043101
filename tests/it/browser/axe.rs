//! Whether everybody can use a page: axe-core's rules, of which no serious or critical one may be
//! broken.

use std::{path::Path, process::Command, sync::LazyLock};

use serde_json::Value;

use super::driver::Person;
use crate::world::World;

/// The rules, fetched once and kept in `target/`.
static RULES: LazyLock<String> = LazyLock::new(|| {
    let fetch = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/axe");
    let out = Command::new(fetch).output().expect("tests/axe runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let path = String::from_utf8(out.stdout).expect("a path");
    std::fs::read_to_string(path.trim()).expect("the rules")
});

/// What is badly wrong with the page that `person` looks at, a line for each place.
pub async fn violations(person: &Person, world: &World) -> Vec<String> {
    if person.asks(world, "return 'axe' in window").await != Value::Bool(true) {
        // A script of its own would not get past the page's policy; the browser's driver does.
        person.asks(world, &RULES).await;
    }
    let run = "const done = arguments[arguments.length - 1];
         axe.run(document, { resultTypes: ['violations'] }).then(
             (found) => done(found.violations),
             (error) => done([{ impact: 'critical', id: String(error), nodes: [{}] }]));";
    let found = person.asks_later(world, run).await;
    let found = found.as_array().expect("a list").iter();
    found
        .filter(|one| one["impact"] == "serious" || one["impact"] == "critical")
        .flat_map(|one| {
            let places = one["nodes"].as_array().expect("a list").iter();
            places.map(|place| {
                let why = &place["any"][0]["message"];
                format!("{} at {}: {why}", one["id"], place["target"])
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_some_cannot_use_is_found() {
    let world = World::new(crate::world::MUG).await;
    let person = Person::new(&world).await;
    person.opens(&world, "/live").await;
    assert_eq!(violations(&person, &world).await, Vec::<String>::new());
    let spoil = "document.querySelector('main').innerHTML = \
                 '<img src=\"data:,\"><button></button>'";
    person.asks(&world, spoil).await;
    let found = violations(&person, &world).await;
    for rule in ["image-alt", "button-name"] {
        assert!(found.iter().any(|one| one.contains(rule)), "{rule}: {found:?}");
    }
    person.leaves(&world).await;
    world.done().await;
}
