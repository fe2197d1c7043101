//! Verbs that only look: they open the store beside a running bot and change nothing.

use std::{collections::BTreeMap, net::IpAddr, path::Path};

use anyhow::{Result, anyhow, bail};
use serde_json::json;

use super::{Ended, warn_of};
use crate::{
    clock::{Clock, Span, SystemClock, Timestamp},
    config::Loaded,
    http::peer::{STRANGE_PROXY, strange_proxy_mend},
    id::SaleId,
    listen::{DOUBLE, DOUBLE_MEND},
    lossy::visible,
    notice::text::plain,
    report::{Columns, Proof, Report, prove},
    sale::Sale,
    store::{self, Access, JournalLine, SqlStore, Store},
};

/// Sales listed at the most.
const SALES_MAX: u32 = 1000;

async fn open(loaded: &Loaded) -> Result<SqlStore> {
    Ok(store::open(&loaded.config.store.url, Access::Read).await?)
}

async fn books(store: &SqlStore, number: u32) -> Result<(Sale, Vec<JournalLine>)> {
    let id = store.sale_numbered(number).await?;
    let id = id.ok_or_else(|| anyhow!("there is no sale {number}. See: livetill sales"))?;
    store.books(id).await?.ok_or_else(|| anyhow!("sale {number} is gone"))
}

pub(super) async fn sales(loaded: &Loaded, as_json: bool) -> Result<Ended> {
    let store = open(loaded).await?;
    let lines = store.sales(SALES_MAX).await?;
    if as_json {
        let rows: Vec<_> = lines
            .iter()
            .map(|line| {
                let head = &line.head;
                json!({
                    "number": line.number,
                    "id": line.id,
                    "title": head.template.title,
                    "phase": head.phase.word(),
                    "reason": head.phase.end().map(|end| end.reason.word()),
                    "price": head.template.price,
                    "stock": head.shown_stock(),
                    "paid": head.tally.paid,
                    "held": head.tally.held(),
                    "started_at": head.started_at.rfc3339(),
                    "started_by": head.started_by.name,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(Ended::Well);
    }
    if lines.is_empty() {
        println!("No sale so far.");
    }
    for line in lines {
        let head = &line.head;
        let reason = head.phase.end().map_or(head.phase.word(), |end| end.reason.word());
        println!(
            "#{:<4} {}  {:<10}  {:>3} of {:<3} sold  {}  {}",
            line.number,
            &head.started_at.rfc3339()[..19],
            reason.replace('_', " "),
            head.tally.paid,
            head.shown_stock(),
            head.template.price,
            plain(&head.template.title),
        );
    }
    Ok(Ended::Well)
}

pub(super) async fn report(
    loaded: &Loaded,
    number: u32,
    as_json: bool,
    as_csv: Option<Columns>,
) -> Result<Ended> {
    let store = open(loaded).await?;
    let (sale, journal) = books(&store, number).await?;
    let report = Report::of(&sale, &journal);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if let Some(columns) = as_csv {
        report.write_csv(std::io::stdout().lock(), columns)?;
    } else {
        for line in report.lines() {
            println!("{}", visible(&line));
        }
    }
    Ok(Ended::Well)
}

pub(super) async fn verify(loaded: &Loaded, number: Option<u32>, as_json: bool) -> Result<Ended> {
    let store = open(loaded).await?;
    let mut proofs: Vec<(u32, Proof)> = Vec::new();
    let numbers = match number {
        Some(number) => vec![number],
        None => store.sales(SALES_MAX).await?.iter().map(|line| line.number).collect(),
    };
    for number in numbers {
        // Sale and journal as of one moment: a bot may be writing beside us.
        let (sale, journal) = books(&store, number).await?;
        proofs.push((number, prove(&sale, &journal)));
    }
    let oversold: u32 = proofs.iter().map(|(_, proof)| proof.oversold).sum();
    let wrong = proofs.iter().any(|(_, proof)| !proof.wrong.is_empty());
    if as_json {
        let sales: Vec<_> =
            proofs.iter().map(|(n, proof)| json!({ "number": n, "proof": proof })).collect();
        println!("{}", json!({ "oversold": oversold, "ok": !wrong, "sales": sales }));
    } else {
        for (number, proof) in &proofs {
            println!(
                "#{number}: {} events, at most {} taken at once, oversold {}",
                proof.commits, proof.taken_max, proof.oversold
            );
            for wrong in &proof.wrong {
                println!("  {wrong}");
            }
        }
        println!("oversold {oversold}");
    }
    Ok(if oversold == 0 && !wrong { Ended::Well } else { Ended::Failed })
}

/// Whether `run` could use the store: the same verdict, before anything is started.
async fn can_run(loaded: &Loaded, store: Option<&SqlStore>) -> Result<()> {
    if let Some(store) = store {
        store.belongs_to(loaded.config.shop.identity(), false).await?;
    }
    Ok(store::could_write(&loaded.config.store.url).await?)
}

/// Work that was given up, together where sale, kind and reason are the same.
async fn parked(store: &store::SqlStore) -> Result<Vec<(String, bool, String)>> {
    let mut groups: BTreeMap<(SaleId, &'static str, String), Vec<String>> = BTreeMap::new();
    for one in store.parked().await? {
        let about = one.effect.about();
        groups.entry((one.sale, one.effect.word(), one.why)).or_default().extend(about);
    }
    let mut findings = Vec::new();
    for ((sale, word, why), holds) in groups {
        let number = store.load(sale).await?.map(|sale| sale.head.number);
        let number = number.map_or_else(|| "a sale".to_owned(), |number| format!("#{number}"));
        let of = if holds.is_empty() { String::new() } else { format!(" ({})", holds.join(", ")) };
        let path = number.trim_start_matches('#');
        let says = format!(
            "{} was given up{of}: {why}. Mend the reason, then press \"try again\" at \
             /desk/sales/{path}; what became of a hold says: !sale why {number} <hold>",
            word.replace('_', " ")
        );
        findings.push((format!("parked work of {number}"), false, says));
    }
    Ok(findings)
}

/// Another program that was seen to speak with our chat account.
async fn doubles(store: &store::SqlStore) -> Result<Vec<(String, bool, String)>> {
    let docs = store.docs(DOUBLE, None).await?;
    let of = |doc: store::Doc| {
        let at = doc.body["at"].as_i64().unwrap_or_default();
        let lately = SystemClock.now().since(Timestamp::from_millis(at)) < DOUBLE_COUNTS_FOR;
        lately.then(|| {
            let says =
                format!("{} Seen last at {}", DOUBLE_MEND, Timestamp::from_millis(at).rfc3339());
            (doc.id, false, says)
        })
    };
    Ok(docs.into_iter().filter_map(of).collect())
}

/// Proxies that sent X-Forwarded-For and are still not listed.
async fn strange_proxies(
    loaded: &Loaded,
    store: &store::SqlStore,
) -> Result<Vec<(String, bool, String)>> {
    let listed = &loaded.config.http.trusted_proxies;
    let docs = store.docs(STRANGE_PROXY, None).await?;
    let strange = docs.into_iter().filter_map(|doc| doc.id.parse::<IpAddr>().ok());
    let strange = strange.filter(|ip| !listed.iter().any(|range| range.contains(*ip)));
    let says = |ip| ("http.trusted_proxies".to_owned(), true, strange_proxy_mend(ip));
    Ok(strange.map(says).collect())
}

/// How long it is remembered that somebody else spoke with our account.
const DOUBLE_COUNTS_FOR: Span = Span::from_mins(24 * 60);

pub(super) async fn check(loaded: &Loaded, path: &Path, as_json: bool, fix: bool) -> Result<Ended> {
    let mut findings: Vec<(String, bool, String)> = Vec::new();
    match &loaded.path {
        Some(path) => {
            findings.push(("config".into(), true, format!("{} is fine", path.display())));
        }
        None => findings.push((
            "config".into(),
            true,
            "no config.toml here: the defaults hold, and there is no template".into(),
        )),
    }
    for warning in &loaded.warnings {
        findings.push((warning.key.clone(), true, warning.says.clone()));
    }
    if loaded.templates.is_empty() {
        let says = "there is nothing to sell: add a [templates.<name>] with a price";
        findings.push(("templates".into(), false, says.into()));
    }
    match open(loaded).await {
        Ok(store) => {
            let outbox = store.outbox().await?;
            let place = store::shown(&loaded.config.store.url);
            let says = format!("{place} opens, {} effect(s) wait", outbox.waiting);
            findings.push(match can_run(loaded, Some(&store)).await {
                Ok(()) => ("store".into(), true, says),
                Err(error) => ("store".into(), false, error.to_string()),
            });
            findings.extend(parked(&store).await?);
            findings.extend(doubles(&store).await?);
            findings.extend(strange_proxies(loaded, &store).await?);
            let mut strays = BTreeMap::<String, usize>::new();
            for (provider, _) in store.unmatched().await? {
                *strays.entry(provider).or_default() += 1;
            }
            for (provider, n) in strays {
                let says = format!(
                    "{n} payment(s) belong to no sale so far. While livetill runs it asks whose they \
                     are, and forgets those of the seller's other sales; one that stays here is to be \
                     looked at in the provider's dashboard"
                );
                findings.push((format!("payments at {provider}"), true, says));
            }
        }
        Err(error) => match error.downcast::<store::OpenError>() {
            Ok(store::OpenError::Missing(place)) => {
                let says = format!("{place} does not exist yet; it is made at the first start");
                findings.push(match can_run(loaded, None).await {
                    Ok(()) => ("store".into(), true, says),
                    Err(error) => ("store".into(), false, error.to_string()),
                });
            }
            Ok(error) => findings.push(("store".into(), false, error.to_string())),
            Err(error) => bail!(error),
        },
    }
    findings.extend(super::provider::findings(loaded, fix).await?);
    findings.extend(super::twitch::check(loaded, path).await?);
    findings.extend(super::discord::check(loaded).await);
    let failed = findings.iter().any(|(_, ok, _)| !ok);
    if as_json {
        let rows: Vec<_> = findings
            .iter()
            .map(|(key, ok, says)| json!({ "key": key, "ok": ok, "says": says }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        warn_of(loaded);
        for (key, ok, says) in &findings {
            // What providers and chats said is among it; lines of ours may be several.
            let says: Vec<String> = says.lines().map(visible).collect();
            let says = says.join("\n");
            println!("{}  {}: {says}", if *ok { "ok  " } else { "FAIL" }, visible(key));
        }
    }
    Ok(if failed { Ended::Failed } else { Ended::Well })
}
