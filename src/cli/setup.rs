//! `setup`: asks what a shop needs to begin with, and writes `config.toml` and `livetill.env`.

mod draft;
mod goods;
mod prompt;
mod service;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use anyhow::{Context, Result};
use toml_edit::Array;

use self::{
    draft::{Draft, SHIPPED},
    prompt::Prompt,
};
use super::{Ended, check};
use crate::{
    command::guess::nearest,
    config::{self, Providers, SECRETS_FILE, is_setting},
    file,
    id::{Entropy, SystemEntropy},
    net::is_private_host,
    room::{PlatformName, Room},
};

const CHATS: [&str; 4] = ["none", "discord", "twitch", "both"];
const DESK_TOKEN: &str = "LIVETILL_HTTP__DESK_TOKEN";

pub(super) async fn setup(path: &Path, environment: &HashMap<String, String>) -> Result<Ended> {
    let prompt = Prompt::new();
    let mut draft = Draft::new(path, environment)?;
    file::can_replace(path).with_context(|| format!("{} cannot be written", path.display()))?;
    if !may_write(&prompt, path)? {
        prompt.say("Nothing was changed.")?;
        return Ok(Ended::Failed);
    }
    prompt.say("Press Enter to accept the [default]. Nothing is saved until the end.")?;
    let mut wins: Vec<&str> =
        environment.keys().map(String::as_str).filter(|key| is_setting(key)).collect();
    wins.sort_unstable();
    if !wins.is_empty() {
        let wins = wins.join(", ");
        prompt.say(&format!("The environment sets {wins}, and wins over what is written here."))?;
    }
    shop(&prompt, &mut draft)?;
    chats(&prompt, &mut draft)?;
    provider(&prompt, &mut draft)?;
    goods::ask(&prompt, &mut draft)?;
    if !draft.has_secret(DESK_TOKEN) {
        draft.set_secret(DESK_TOKEN, &fresh_token(&SystemEntropy));
    }
    for kept in draft.write()? {
        prompt.say(&format!("The old one is kept as {}", kept.display()))?;
    }
    finish(&prompt, &draft, path, environment).await
}

/// Asks before anything that is there is replaced.
fn may_write(prompt: &Prompt, path: &Path) -> Result<bool> {
    let secrets = path.with_file_name(SECRETS_FILE);
    let there: Vec<String> = [path, &secrets]
        .iter()
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    let untouched =
        !secrets.exists() && std::fs::read_to_string(path).is_ok_and(|text| text == SHIPPED);
    if there.is_empty() {
        return Ok(true);
    }
    if untouched {
        let words = format!("Found the default {}. Use it as a starting point?", path.display());
        return prompt.confirm(&words, true);
    }
    let words = format!(
        "Already there: {}. Replace? What is there now is kept as *.old; secrets carry over, other \
         settings and templates do not",
        there.join(" and ")
    );
    prompt.confirm(&words, false)
}

fn shop(prompt: &Prompt, draft: &mut Draft) -> Result<()> {
    prompt.ask(draft, "Name of the shop", "Livetill", |draft, name| {
        draft.set("shop.name", name);
        Ok(())
    })?;
    let words = "Its address, like https://shop.example; Enter for this machine only";
    // No sale can be made of it yet, so that the sandbox does not object to an address for all.
    draft.set("providers.sandbox.allow_public", true);
    prompt.ask(draft, words, "", |draft, url| {
        draft.set("shop.public_url", url.trim_end_matches('/'));
        Ok(())
    })?;
    let url = draft.check().map_err(anyhow::Error::msg)?.config.shop.public_url;
    if url.starts_with("https://") {
        let words =
            "Does a proxy or tunnel on this machine (like Caddy) forward that address here?";
        if prompt.confirm(words, true)? {
            draft.set("http.trusted_proxies", Array::from_iter(["127.0.0.1"]));
        }
    } else if let Some(port) = port_of(&url) {
        let words = "Listen on all of this machine's addresses, so that others can open it?";
        if prompt.confirm(words, true)? {
            draft.set("http.listen", SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).to_string());
        }
    }
    Ok(())
}

/// The port of an `http://` address of a private network, other than this machine's own.
fn port_of(url: &str) -> Option<u16> {
    let host = url.strip_prefix("http://")?;
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let own = name == "localhost" || name.starts_with("127.") || name == "[::1]";
    (is_private_host(host) && !own).then(|| port.parse().ok())?
}

fn chats(prompt: &Prompt, draft: &mut Draft) -> Result<()> {
    let words = "Chats besides this terminal (none, discord, twitch, both)";
    let mut chats = String::new();
    choose(prompt, draft, words, &CHATS, "none", |_, chat| chats = chat.to_owned())?;
    let mut rooms = vec![Room::console()];
    if chats == "discord" || chats == "both" {
        rooms.extend(discord(prompt, draft)?);
        set_rooms(draft, "shop.rooms", &rooms);
    }
    if chats == "twitch" || chats == "both" {
        rooms.extend(twitch(prompt, draft)?);
        set_rooms(draft, "shop.rooms", &rooms);
    }
    Ok(())
}

/// Asks for Discord's ids and token; answers the rooms that hear of sales.
fn discord(prompt: &Prompt, draft: &mut Draft) -> Result<Vec<Room>> {
    let words = "Discord: the bot's token, made as in docs/discord.md";
    prompt.ask_secret(draft, words, "LIVETILL_DISCORD__TOKEN", true, |draft| {
        draft.set("discord.enabled", true);
        Ok(())
    })?;
    let words = "Discord: ids of the channels that hear of sales, with commas between";
    ask_rooms(prompt, draft, words, PlatformName::Discord, ("shop.rooms", true))?;
    let rooms = draft.check().map_err(anyhow::Error::msg)?.config.shop.rooms;
    let words = "Discord: id of the moderators' channel, for money and trouble; Enter for none";
    ask_rooms(prompt, draft, words, PlatformName::Discord, ("shop.mod_rooms", false))?;
    let words = "Discord: ids of roles that may run sales; Enter for all who may manage the server";
    prompt.ask(draft, words, "", |draft, roles| {
        draft.set("discord.moderator_roles", Array::from_iter(list(roles)));
        Ok(())
    })?;
    Ok(rooms)
}

/// Asks for Twitch's channel and application; answers the rooms that hear of sales.
fn twitch(prompt: &Prompt, draft: &mut Draft) -> Result<Vec<Room>> {
    let words = "Twitch: client id of your application, made as in docs/twitch.md";
    prompt.ask(draft, words, "", |draft, id| {
        if id.is_empty() {
            return Err("this one is needed to log the bot in".to_owned());
        }
        draft.set("twitch.client_id", id);
        draft.set("twitch.enabled", true);
        Ok(())
    })?;
    let words = "Twitch: login of the channel, as in twitch.tv/<login>";
    ask_rooms(prompt, draft, words, PlatformName::Twitch, ("shop.rooms", true))?;
    Ok(draft.check().map_err(anyhow::Error::msg)?.config.shop.rooms)
}

/// Asks for rooms of one platform by their channels and sets `key` to them alone.
fn ask_rooms(
    prompt: &Prompt,
    draft: &mut Draft,
    words: &str,
    platform: PlatformName,
    (key, required): (&str, bool),
) -> Result<()> {
    prompt.ask(draft, words, "", |draft, channels| {
        let rooms: Result<Vec<Room>, _> =
            list(channels).map(|channel| format!("{platform}:{channel}").parse()).collect();
        let rooms = rooms.map_err(|error: crate::room::RoomError| error.to_string())?;
        if rooms.is_empty() && required {
            return Err("name one at least".to_owned());
        }
        set_rooms(draft, key, &rooms);
        Ok(())
    })
}

fn set_rooms(draft: &mut Draft, key: &str, rooms: &[Room]) {
    draft.set(key, Array::from_iter(rooms.iter().map(Room::to_string)));
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

fn provider(prompt: &Prompt, draft: &mut Draft) -> Result<()> {
    let words = format!("Who takes the money ({})", Providers::NAMES.join(", "));
    let first = Providers::NAMES[0];
    let mut chosen = String::new();
    choose(prompt, draft, &words, Providers::NAMES, first, |_, name| chosen = name.to_owned())?;
    service::ask(prompt, draft, &chosen)?;
    // From here on the sandbox's own rule holds again.
    let mut strict = draft.clone();
    strict.set("providers.sandbox.allow_public", false);
    match strict.check() {
        Ok(_) => *draft = strict,
        Err(why) => {
            prompt.say(&format!("  {why}"))?;
            let words = "Open the sandbox's pages, which take no real money, to everybody?";
            if !prompt.confirm(words, false)? {
                return provider(prompt, draft);
            }
        }
    }
    Ok(())
}

/// Asks for one of some words; a near miss is suggested.
fn choose(
    prompt: &Prompt,
    draft: &mut Draft,
    words: &str,
    all: &[&str],
    default: &str,
    mut take: impl FnMut(&mut Draft, &str),
) -> Result<()> {
    let mut chosen = String::new();
    let slot = std::cell::RefCell::new(&mut chosen);
    prompt.ask(draft, words, default, |_, answer| {
        let answer = answer.to_ascii_lowercase();
        if !all.contains(&answer.as_str()) {
            let guess = nearest(&answer, all.iter().copied());
            let guess = guess.map_or(String::new(), |one| format!(". Did you mean {one}?"));
            return Err(format!("one of {}{guess}", all.join(", ")));
        }
        **slot.borrow_mut() = answer;
        Ok(())
    })?;
    take(draft, &chosen);
    Ok(())
}

fn fresh_token(entropy: &dyn Entropy) -> String {
    hex::encode([entropy.bytes(), entropy.bytes()].concat())
}

/// Says what was written and what `check` finds.
async fn finish(
    prompt: &Prompt,
    draft: &Draft,
    path: &Path,
    environment: &HashMap<String, String>,
) -> Result<Ended> {
    let secrets = path.with_file_name(SECRETS_FILE);
    prompt.say(&format!(
        "Written: {}, and {} for your eyes only, with a fresh token for the desk at /desk if there \
         was none.",
        path.display(),
        secrets.display()
    ))?;
    prompt.say("This is what livetill check finds:")?;
    let loaded = config::load(path, environment)?;
    let ended = check::check(&loaded, path, false, false).await?;
    if loaded.config.twitch.enabled {
        prompt.say("Next: livetill login twitch")?;
    }
    prompt.say(&format!("Next: livetill, and then !sale start {}", draft.template()))?;
    Ok(ended)
}
