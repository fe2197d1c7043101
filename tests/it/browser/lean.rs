//! What a page costs those who open it: few requests, few bytes, nobody else's servers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{driver::Person, photo};
use crate::world::World;

/// Style, script, stream and the page itself; the product's photo and, on the overlay, the QR code
/// come on top.
const REQUESTS_MAX: usize = 4;

/// Everything but the photo, headers included.
const BYTES_MAX: f64 = 40_000.0;

/// What is wrong with how the page that was just opened was loaded.
pub async fn wrongs(person: &Person, world: &World) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut own = BTreeMap::<String, String>::new();
    let mut strangers = BTreeSet::new();
    let mut bytes = 0.0;
    for event in person.traffic(world).await {
        let params = &event["params"];
        let id = params["requestId"].as_str().unwrap_or_default().to_owned();
        match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                if url.starts_with(&world.app.base_url) {
                    own.insert(id, url.to_owned());
                } else if url.starts_with("http") && url != photo::ADDRESS {
                    strangers.insert(url.to_owned());
                }
            }
            Some("Network.loadingFinished") if own.contains_key(&id) => {
                bytes += params["encodedDataLength"].as_f64().unwrap_or_default();
            }
            _ => {}
        }
    }
    let requests = own.values().filter(|url| !url.ends_with("/qr.svg")).count();
    if own.is_empty() || requests > REQUESTS_MAX {
        wrong.push(format!("{requests} requests: {:?}", own.values()));
    }
    if bytes == 0.0 || bytes > BYTES_MAX {
        wrong.push(format!("{bytes} bytes"));
    }
    if !strangers.is_empty() {
        wrong.push(format!("asks others: {strangers:?}"));
    }
    for entry in person.console(world).await {
        let says = entry["message"].as_str().unwrap_or_default();
        if entry["level"] == "SEVERE" && !says.contains("the server responded with a status of 4") {
            wrong.push(format!("the console says: {says}"));
        }
    }
    // Nothing is wider than the screen, on the smallest phones too.
    let wide = person.asks(world, "return document.documentElement.scrollWidth > innerWidth").await;
    if wide != Value::Bool(false) {
        wrong.push("is wider than the screen".to_owned());
    }
    wrong
}
