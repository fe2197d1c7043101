//! `check`: everything that is wrong or doubtful, each once, each with its mend.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use anyhow::Result;
use serde_json::json;

use super::Ended;
use crate::{
    clock::{Clock, Span, SystemClock, Timestamp},
    config::Loaded,
    engine::given_up::{self, GivenUp},
    finding::{Finding, Level},
    gate::empty_lists,
    http::peer::{STRANGE_PROXY, strange_proxy_mend},
    listen::{DOUBLE, DOUBLE_MEND},
    lossy::visible,
    notice::text,
    replica::programs::differing,
    store::{self, Access, SqlStore, Store},
};

/// How long it is remembered that somebody else spoke with our account.
const DOUBLE_COUNTS_FOR: Span = Span::from_mins(24 * 60);

/// The level as it stands before a line.
fn word(level: Level) -> &'static str {
    match level {
        Level::Ok => "ok  ",
        Level::Warning => "warn",
        Level::Error => "FAIL",
    }
}

pub(super) async fn check(loaded: &Loaded, path: &Path, as_json: bool, fix: bool) -> Result<Ended> {
    let mut lines = Vec::new();
    if let Some(path) = &loaded.path {
        lines.push(Finding::ok("config", format!("{} is fine", path.display())));
    }
    lines.extend(loaded.warnings.iter().cloned());
    if loaded.templates.is_empty() {
        let says = "there is nothing to sell: add a [templates.<name>] with a price";
        lines.push(Finding::error("templates", says));
    }
    lines.extend(of_store(loaded).await?);
    lines.extend(super::provider::findings(loaded, fix).await?);
    lines.extend(super::twitch::check(loaded, path).await?);
    lines.extend(super::discord::check(loaded).await);
    Ok(show(&once(lines), as_json))
}

/// Each thing once, whoever found it.
fn once(lines: Vec<Finding>) -> Vec<Finding> {
    let mut kept: Vec<Finding> = Vec::new();
    for line in lines {
        if !kept.iter().any(|other| other.key == line.key && other.says == line.says) {
            kept.push(line);
        }
    }
    kept
}

fn show(lines: &[Finding], as_json: bool) -> Ended {
    let is = |line: &Finding, level| line.level == level;
    if as_json {
        let row = |line: &Finding| {
            let (ok, warning) = (!is(line, Level::Error), is(line, Level::Warning));
            json!({ "key": line.key, "ok": ok, "warning": warning, "says": line.says })
        };
        let rows: Vec<_> = lines.iter().map(row).collect();
        println!("{:#}", json!(rows));
    } else {
        for Finding { level, key, says } in lines {
            // What providers and chats said is among it; lines of ours may be several.
            let says: Vec<String> = says.lines().map(visible).collect();
            println!("{}  {}: {}", word(*level), visible(key), says.join("\n"));
        }
    }
    if lines.iter().any(|line| is(line, Level::Error)) { Ended::Failed } else { Ended::Well }
}

async fn of_store(loaded: &Loaded) -> Result<Vec<Finding>> {
    let url = &loaded.config.store.url;
    let verdict = |can: Result<()>, says: String| match can {
        Ok(()) => Finding::ok("store", says),
        Err(error) => Finding::error("store", error.to_string()),
    };
    let store = match store::open(url, Access::Read).await {
        Ok(store) => store,
        Err(store::OpenError::Missing(place)) => {
            let says = format!("{place} does not exist yet; it is made at the first start");
            let mut lines = vec![verdict(can_run(loaded, None).await, says)];
            // Where there is no store there are no codes.
            lines.extend(empty_lists(None, &loaded.templates).await?);
            return Ok(lines);
        }
        Err(error) => return Ok(vec![Finding::error("store", error.to_string())]),
    };
    let outbox = store.outbox().await?;
    let archived = match store.archived().await? {
        0 => String::new(),
        n => format!(", {} archived", text::counted(n, "sale")),
    };
    let waiting = text::counted(outbox.waiting, "effect");
    let says = format!("{} opens, {waiting} waiting{archived}", store::shown(url));
    let mut lines = vec![verdict(can_run(loaded, Some(&store)).await, says)];
    lines.extend(empty_lists(Some(&store), &loaded.templates).await?);
    lines.extend(given_up::groups(&store).await?.iter().map(parked));
    lines.extend(doubles(&store).await?);
    lines.extend(strange_proxies(loaded, &store).await?);
    lines.extend(programs(loaded, &store).await?);
    let mut strays = BTreeMap::<String, usize>::new();
    for (provider, _) in store.unmatched().await? {
        *strays.entry(provider).or_default() += 1;
    }
    for (provider, n) in strays {
        let says = format!(
            "payments that belong to no sale so far: {n}. While livetill runs it asks whose they are, \
             and forgets those of the seller's other sales; one that stays here is to be looked at \
             in the provider's dashboard"
        );
        lines.push(Finding::warning(format!("payments at {provider}"), says));
    }
    Ok(lines)
}

/// Whether `run` could use the store: the same verdict, before anything is started.
async fn can_run(loaded: &Loaded, store: Option<&SqlStore>) -> Result<()> {
    if let Some(store) = store {
        store.belongs_to(loaded.config.shop.identity(), false).await?;
    }
    Ok(store::could_write(&loaded.config.store.url).await?)
}

fn parked(group: &GivenUp) -> Finding {
    let says = format!("{} was given up: {}. {}", group.what(), group.why, group.mend());
    Finding::error(format!("parked work of {}", group.sale()), says)
}

/// Another program that was seen to speak with our chat account.
async fn doubles(store: &SqlStore) -> Result<Vec<Finding>> {
    let docs = store.docs(DOUBLE, None).await?;
    let of = |doc: store::Doc| {
        let at = Timestamp::from_millis(doc.body["at"].as_i64().unwrap_or_default());
        let lately = SystemClock.now().since(at) < DOUBLE_COUNTS_FOR;
        let says = format!("{DOUBLE_MEND} Seen last at {}", at.rfc3339());
        lately.then(|| Finding::error(doc.id, says))
    };
    Ok(docs.into_iter().filter_map(of).collect())
}

/// Proxies that sent X-Forwarded-For and are still not listed.
async fn strange_proxies(loaded: &Loaded, store: &SqlStore) -> Result<Vec<Finding>> {
    let listed = &loaded.config.http.trusted_proxies;
    let docs = store.docs(STRANGE_PROXY, None).await?;
    let strange = docs.into_iter().filter_map(|doc| doc.id.parse::<IpAddr>().ok());
    let strange = strange.filter(|ip| !listed.iter().any(|range| range.contains(*ip)));
    let line = |ip| Finding::warning("http.trusted_proxies", strange_proxy_mend(ip));
    Ok(strange.map(line).collect())
}

/// Programs that run on this database with other settings than these. No failure: whoever is about
/// to update them checks first.
async fn programs(loaded: &Loaded, store: &SqlStore) -> Result<Vec<Finding>> {
    let said = differing(store, &loaded.config.alike(), &loaded.templates).await?;
    Ok(said.into_iter().map(|says| Finding::warning("programs", says)).collect())
}
