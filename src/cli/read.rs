//! Verbs that only look: they open the store beside a running bot and change nothing.

use anyhow::{Result, anyhow};
use serde_json::json;

use super::Ended;
use crate::{
    config::Loaded,
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
                    "archived": head.archived.as_ref().map(|archived| archived.day()),
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
        let archived = if head.archived.is_some() { "  (archived)" } else { "" };
        println!(
            "#{:<4} {}  {:<10}  {:>3} of {:<3} sold  {}  {}{archived}",
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
        if let Some(since) = &report.archived {
            eprintln!(
                "#{number}: details archived since {since}: the list has every payment and its units, \
                 without buyers and what they chose"
            );
        }
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
            let archived = proof.archived.as_ref();
            let archived =
                archived.map(|since| format!(" (checked when it was archived, {since})"));
            println!(
                "#{number}: {} events, at most {} taken at once, oversold {}{}",
                proof.commits,
                proof.taken_max,
                proof.oversold,
                archived.unwrap_or_default()
            );
            for wrong in &proof.wrong {
                println!("  {wrong}");
            }
        }
        println!("oversold {oversold}");
    }
    Ok(if oversold == 0 && !wrong { Ended::Well } else { Ended::Failed })
}
