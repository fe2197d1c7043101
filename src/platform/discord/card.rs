//! A sale as a Discord message: one plain line, one embed, one row of buttons. Pure.
//!
//! Bodies are plain JSON, as Discord's reference of *Create Message* and *Edit Message* has them.

use serde_json::{Value, json};

use super::{
    escape::{clip, label, line, words},
    press::Press,
};
use crate::{
    clock::Timestamp,
    view::{State, View},
};

/// Characters in a message (Discord's reference of *Create Message*).
pub(super) const CONTENT_MAX: usize = 2000;

/// Characters in an embed's title, and what we let a description have of its 4,096.
const TITLE_MAX: usize = 256;
const DESCRIPTION_MAX: usize = 1000;

/// Characters in the address of a link button, and of a picture.
const URL_MAX: usize = 512;
const IMAGE_MAX: usize = 2048;

const GREEN: u32 = 0x2E_CC71;
const AMBER: u32 = 0xF1_C40F;
const BLUE: u32 = 0x34_98DB;
const GREY: u32 = 0x95_A5A6;

/// Nobody is mentioned, whatever a text says.
pub(super) fn no_mentions() -> Value {
    json!({ "parse": [], "users": [], "roles": [], "replied_user": false })
}

/// The live message of a sale. `said` is the line in words; `picture` whether to show one.
pub(super) fn live(view: &View, said: &str, own: &str, picture: bool) -> Value {
    let components = buttons(view);
    json!({
        "content": clip(&line(said, own), CONTENT_MAX),
        "embeds": [embed(view, picture)],
        "components": components,
        "allowed_mentions": no_mentions(),
    })
}

/// The live message when it first appears, with the one role that is told.
pub(super) fn opening(view: &View, said: &str, own: &str, role: &str, picture: bool) -> Value {
    let mut body = live(view, said, own, picture);
    if !role.is_empty() {
        let said = clip(&line(said, own), CONTENT_MAX - role.len() - 5);
        body["content"] = format!("{said} <@&{role}>").into();
        body["allowed_mentions"]["roles"] = json!([role]);
    }
    body
}

fn embed(view: &View, picture: bool) -> Value {
    let (word, colour) = look(view.state);
    let mut fields = vec![field("Price", &view.price.to_string())];
    if view.state.is_over() {
        fields.push(field("Sold", &format!("{} of {}", view.paid, view.stock)));
        if view.paying > 0 && view.state != State::SoldOut {
            fields.push(field("Still paying", &view.paying.to_string()));
        }
    } else {
        fields.push(field("Left", &format!("{} of {}", view.left, view.stock)));
        if view.per_buyer > 1 {
            fields.push(field("Per person", &format!("up to {}", view.per_buyer)));
        }
    }
    fields.extend(time(view));
    let mut embed = json!({
        "title": words(&view.title, TITLE_MAX),
        "color": colour,
        "fields": fields,
        "footer": { "text": format!("{word} · #{}", view.number) },
    });
    if !view.description.trim().is_empty() {
        embed["description"] = words(&view.description, DESCRIPTION_MAX).into();
    }
    let image = view.image.as_deref().filter(|url| picture && is_address(url, IMAGE_MAX));
    if let Some(url) = image {
        embed["image"] = json!({ "url": url });
    }
    embed
}

fn field(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": words(value, 200), "inline": true })
}

/// When it ends or ended, both ways: the client counts down by itself, so no edit is spent on it.
fn time(view: &View) -> Option<Value> {
    let (name, value) = match (view.state.is_over(), view.ends_at, view.paused_left) {
        (true, Some(at), _) => ("Ended", moment(at)),
        (false, Some(at), _) => ("Ends", moment(at)),
        (_, None, Some(left)) => ("Time left", left.words()),
        (_, None, None) => return None,
    };
    Some(json!({ "name": name, "value": value, "inline": true }))
}

/// A moment as Discord's clients show it: how far off, and the time of day.
fn moment(at: Timestamp) -> String {
    format!("{} ({})", relative(at), format_args!("<t:{}:T>", at.seconds()))
}

/// How far off a moment is, counted by the reader's own client.
pub(super) fn relative(at: Timestamp) -> String {
    format!("<t:{}:R>", at.seconds())
}

/// The state as a word and a colour.
fn look(state: State) -> (&'static str, u32) {
    match state {
        State::Arming => ("GETTING READY", BLUE),
        State::Armed => ("READY", BLUE),
        State::Open => ("OPEN", GREEN),
        State::AllHeld => ("ALL HELD", AMBER),
        State::Paused => ("PAUSED", AMBER),
        State::SoldOut => ("SOLD OUT", GREY),
        State::Ended => ("ENDED", GREY),
        State::Cancelled => ("CANCELLED", GREY),
        State::Failed => ("NOT STARTED", GREY),
    }
}

/// *Get yours* and a link to the page; nothing once the sale is over.
fn buttons(view: &View) -> Value {
    let on = match view.state {
        State::Open | State::AllHeld => true,
        State::Paused => false,
        State::Arming
        | State::Armed
        | State::SoldOut
        | State::Ended
        | State::Cancelled
        | State::Failed => return json!([]),
    };
    let link = is_address(&view.link, URL_MAX);
    // What our page must ask, or what one page sells to all, cannot be had by a button.
    let here = view.ask.is_empty() && view.shared_page.is_none();
    let mut row = Vec::new();
    if here {
        let press = Press::Get(view.id).id();
        row.push(json!({
            "type": 2, "style": 3, "label": "Get yours", "custom_id": press, "disabled": !on,
        }));
    }
    if link {
        let name = if here { "Open the page" } else { "Get yours" };
        row.push(link_button(name, &view.link));
    }
    if row.is_empty() { json!([]) } else { json!([{ "type": 1, "components": row }]) }
}

/// A button that opens an address.
pub(super) fn link_button(name: &str, url: &str) -> Value {
    json!({ "type": 2, "style": 5, "label": label(name, 80), "url": url })
}

/// Whether an address may stand on a link button.
pub(super) fn fits_button(url: &str) -> bool {
    is_address(url, URL_MAX)
}

/// Whether Discord would take it for an address: one that it refuses spoils the whole message.
fn is_address(url: &str, max: usize) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= max
        && url.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_discord_takes() {
        for url in ["https://shop.example/a.png?x=1", "http://127.0.0.1:8080/live"] {
            assert!(is_address(url, URL_MAX), "{url}");
        }
        let long = format!("https://shop.example/{}", "x".repeat(URL_MAX));
        for url in ["", "ftp://x", "https://", "https:///x", "https://a b", "javascript:x", &long] {
            assert!(!is_address(url, URL_MAX), "{url}");
        }
    }
}
