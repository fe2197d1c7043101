//! Verbs that ask the payment services themselves.

use std::{path::Path, sync::Arc};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use tokio::net::TcpListener;

use super::Ended;
use crate::{
    app::{App, Outside, remote_providers},
    clock::{Clock, SystemClock},
    config::{Config, Loaded},
    demo::Folder,
    finding::Finding,
    id::SystemEntropy,
    mac::short_hash,
    probe::{
        Prober, Round, Spread,
        history::{self, Measured},
        spread,
    },
    provider::{Call, Leftover, Provider},
    sale::{carry::facts, template::Template},
    store::{self, Access, OpenError, Store},
};

/// What browsers call the listener, as far as the configuration says.
fn base_url(config: &Config) -> String {
    if config.shop.public_url.is_empty() {
        return format!("http://{}", config.http.listen);
    }
    config.shop.public_url.clone()
}

/// The payment services elsewhere that are configured.
fn providers(loaded: &Loaded) -> Result<Vec<Arc<dyn Provider>>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    remote_providers(&loaded.config, &base_url(&loaded.config), &clock)
}

/// Every provider's findings; a line for those with none.
pub(super) async fn findings(loaded: &Loaded, mend: bool) -> Result<Vec<Finding>> {
    let mut all = Vec::new();
    for provider in providers(loaded)? {
        let own = |template: &&Template| template.provider == provider.name();
        let templates: Vec<&Template> = loaded.templates.values().filter(own).collect();
        let found = provider.check(&templates, mend).await;
        if found.is_empty() {
            let key = format!("providers.{}", provider.name());
            all.push(Finding::ok(key, "answers, and has what the templates need"));
        }
        let (can, cannot): (Vec<_>, Vec<_>) =
            facts(&provider.capabilities()).into_iter().partition(|(_, able)| *able);
        let words = |list: &[(&str, bool)]| {
            list.iter().map(|(what, _)| *what).collect::<Vec<_>>().join("; ")
        };
        let says = match cannot.as_slice() {
            [] => format!("can: {}", words(&can)),
            none => format!("can: {}. Cannot: {}", words(&can), words(none)),
        };
        all.push(Finding::ok(format!("providers.{}", provider.name()), says));
        all.extend(found);
    }
    Ok(all)
}

/// `audit`: what the bot ever made and left at a provider; with `retire`, removes it.
pub(super) async fn audit(loaded: &Loaded, retire: bool) -> Result<Ended> {
    let store = match store::open(&loaded.config.store.url, Access::Read).await {
        Ok(store) => Some(store),
        Err(OpenError::Missing(_)) => None,
        Err(error) => bail!(error),
    };
    let mut seen = Audited::default();
    for provider in providers(loaded)? {
        let store = store.as_ref().map(|store| store as &dyn Store);
        look_through(provider.as_ref(), store, retire, &mut seen).await?;
    }
    let Audited { left, foreign, failed } = seen;
    if foreign > 0 {
        println!(
            "{foreign} foreign: what the shop of another database made is removed with that \
             database's configuration."
        );
    }
    if store.is_none() && retire {
        println!(
            "Nothing was removed: there is no store at {}, and without the store that made them \
             nobody can tell whose these are. Set store.url to it.",
            crate::store::shown(&loaded.config.store.url)
        );
        return Ok(Ended::Failed);
    }
    match left {
        0 if !failed && foreign > 0 => println!("Nothing of this shop is left behind."),
        0 if !failed => println!("Nothing is left behind."),
        0 => {}
        n if store.is_none() => println!(
            "{n} of some shop; there is no store here that could tell whether it is this one."
        ),
        n if retire => println!("{n} could not be removed."),
        n => println!("{n} left behind. Remove with: livetill audit --retire"),
    }
    Ok(if left == 0 && !failed { Ended::Well } else { Ended::Failed })
}

/// What an audit came upon.
#[derive(Default)]
struct Audited {
    left: usize,
    foreign: usize,
    failed: bool,
}

/// Lists what stands at one provider; with `retire`, removes what is this store's and not in use.
async fn look_through(
    provider: &dyn Provider,
    store: Option<&dyn Store>,
    retire: bool,
    seen: &mut Audited,
) -> Result<()> {
    if let Some(says) = provider.unlisted() {
        println!("unknown  {}: {says}", provider.name());
    }
    let found = match provider.left_behind().await {
        Ok(found) => found,
        Err(error) => {
            eprintln!("livetill: {}: {error}", provider.name());
            seen.failed = true;
            return Ok(());
        }
    };
    // After the listing: a sale is stored before anything is made for it, so that what is listed of
    // a sale that runs is known to be in use.
    let live = match store {
        Some(store) => store.live_sales().await?,
        None => Vec::new(),
    };
    for one in found {
        let name = format!("{} {} at {}", one.kind, one.id, provider.name());
        if one.sale.is_some_and(|sale| live.contains(&sale)) {
            println!("in use   {name}");
            continue;
        }
        let Some(store) = store else {
            seen.left += 1;
            println!("unknown  {name}");
            continue;
        };
        if !is_ours(store, &one).await? {
            seen.foreign += 1;
            println!("foreign  {name}: made by another store, and left alone");
            continue;
        }
        if !retire {
            seen.left += 1;
            println!("left     {name}");
            continue;
        }
        let now = SystemClock.now();
        let key = short_hash(&json!([one.id, now]).to_string());
        match provider.remove(&one, &Call { key, now, first: true }).await {
            Ok(()) => println!("removed  {name}"),
            Err(error) => {
                seen.left += 1;
                println!("left     {name}: {error}");
            }
        }
    }
    Ok(())
}

/// Whether this store's shop made it: its mark says so, or, where it is of an older version and names
/// no shop, the store knows the sale.
async fn is_ours(store: &dyn Store, one: &Leftover) -> Result<bool> {
    if one.shop.is_some() && one.shop == store.shop_id().await? {
        return Ok(true);
    }
    match one.sale {
        Some(sale) => Ok(store.load(sale).await?.is_some()),
        None => Ok(false),
    }
}

/// Rounds measured at the most: each writes to the seller's catalog.
const ROUNDS_MAX: u32 = 200;

/// `probe`: how long until something can be paid.
pub(super) async fn probe(
    loaded: &Loaded,
    config: &Path,
    name: &str,
    rounds: u32,
    json: bool,
) -> Result<Ended> {
    ensure!((1..=ROUNDS_MAX).contains(&rounds), "--rounds takes 1 to {ROUNDS_MAX}");
    let known: Vec<&str> = loaded.templates.keys().map(String::as_str).collect();
    let Some(template) = loaded.templates.get(name) else {
        bail!("there is no template {name}; there are: {}", known.join(", "));
    };
    let folder = Folder::new()?;
    let url = format!("sqlite:{}", folder.file("probe.db").display());
    let outside = Outside {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        store: Arc::new(store::open(&url, Access::Write).await?),
        listener: TcpListener::bind("127.0.0.1:0").await?,
        platforms: Vec::new(),
        wrap: Arc::new(|provider| provider),
    };
    let mut app = App::build(loaded, outside).await?;
    app.serve().await?;
    let provider = app.engine.provider(&template.provider).cloned();
    let Some(provider) = provider else { bail!("{} is not set up", template.provider) };
    let page = format!("{}/live", base_url(&loaded.config));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let prober = Prober { provider, clock, entropy, page };
    let mut done = Vec::new();
    let file = history::file(config);
    for n in 1..=rounds {
        let at = SystemClock.now();
        let round = prober.round(template).await?;
        let (template, provider) = (template.name.clone(), template.provider.clone());
        let measured = Measured { at, template, provider, round: round.clone() };
        if let Err(error) = history::keep(&file, &measured) {
            eprintln!("livetill: round {n} is not kept in {}: {error}", file.display());
        }
        if !json {
            match &round.failed {
                Some(why) => println!("round {n}: never payable: {why}"),
                None => println!(
                    "round {n}: item {} ms, page {} ms, payable {} ms, close {} ms, retire {} ms",
                    round.item_ms, round.page_ms, round.payable_ms, round.close_ms, round.retire_ms
                ),
            }
        }
        done.push(round);
    }
    app.stop().await;
    show(name, &done, json)
}

/// The rounds' spreads, step by step.
fn show(name: &str, done: &[Round], json: bool) -> Result<Ended> {
    let failed = done.iter().filter(|round| round.failed.is_some()).count();
    type Step = (&'static str, fn(&Round) -> i64);
    let steps: [Step; 6] = [
        ("item", |r| r.item_ms),
        ("page", |r| r.page_ms),
        ("payable", |r| r.payable_ms),
        ("start to payable", Round::until_payable),
        ("close", |r| r.close_ms),
        ("retire", |r| r.retire_ms),
    ];
    if json {
        let spreads: serde_json::Map<String, serde_json::Value> = steps
            .iter()
            .map(|(step, of)| (step.replace(' ', "_"), json!(spread(done, of))))
            .collect();
        let all = json!({ "template": name, "failed": failed, "rounds": done, "ms": spreads });
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("{:<18}{:>8}{:>8}{:>8}", "ms", "p50", "p95", "max");
        for (step, of) in steps {
            if let Some(Spread { p50, p95, max }) = spread(done, of) {
                println!("{step:<18}{p50:>8}{p95:>8}{max:>8}");
            }
        }
    }
    Ok(if failed == 0 { Ended::Well } else { Ended::Failed })
}

/// `probe --history`: what was measured so far, by hour of day.
pub(super) fn history(config: &Path, template: Option<&str>, as_json: bool) -> Result<Ended> {
    let file = history::file(config);
    let read = history::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let (mut all, unreadable) = read;
    for line in unreadable {
        eprintln!("livetill: {}: line {line} cannot be read and is left out", file.display());
    }
    all.retain(|one| template.is_none_or(|name| one.template == name));
    let hours = history::by_hour(&all);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&hours)?);
        return Ok(Ended::Well);
    }
    if hours.is_empty() {
        println!("Nothing was measured so far. Measure with: livetill probe <template>");
        return Ok(Ended::Well);
    }
    println!(
        "{:<10}{:>8}{:>8}{:>8}{:>8}{:>8}",
        "hour, UTC", "rounds", "failed", "p50", "p95", "max"
    );
    for hour in hours {
        let ms = |of: fn(&Spread) -> i64| {
            hour.ms.as_ref().map_or_else(|| "-".to_owned(), |spread| of(spread).to_string())
        };
        println!(
            "{:<10}{:>8}{:>8}{:>8}{:>8}{:>8}",
            format!("{:02}:00", hour.hour),
            hour.count,
            hour.failed,
            ms(|spread| spread.p50),
            ms(|spread| spread.p95),
            ms(|spread| spread.max),
        );
    }
    println!("Milliseconds from the start until something could be paid.");
    Ok(Ended::Well)
}
