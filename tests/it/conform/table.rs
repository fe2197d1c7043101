//! The table of docs/providers.md, as measured. `LIVETILL_TEST_UPDATE=1` rewrites it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use livetill::{
    clock::Timestamp,
    probe::{
        Round,
        history::{self, Measured},
        spread,
    },
    sale::template::{CheckoutShape, RefundKind},
};

use super::{
    crowd::{self, Rush},
    shop::Shop,
    till::Start,
};
use crate::world::mins;

const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

const HEAD: &str = "\
| provider, kind of page | calls per click | calls per sale | surplus in a rush | an open page at \
the close | refunds | units in an order | goods that are sent | seconds to payable |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Calls of one claim, and of a sale without its buyers, from the start to the last trace of it.
async fn calls(start: Start) -> (usize, usize) {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    // The first page was proven before the opening; a click makes the second.
    assert!(shop.comes("ana").await);
    let before = shop.till.calls();
    assert!(shop.comes("bo").await);
    let click = shop.till.calls() - before;
    shop.done().await;
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    shop.world.advance(mins(14)).await;
    let sale = shop.till.calls();
    shop.done().await;
    (click, sale)
}

/// Whether a page that a buyer stands before can still be paid when the sale is over.
async fn outlives_the_sale(start: Start) -> bool {
    let mut shop = Shop::new(start).await;
    shop.opens().await;
    assert!(shop.comes("ana").await);
    shop.ends().await;
    let moved = shop.pays("ana").await;
    shop.done().await;
    moved
}

/// What probes of a live account measured: copies of its `probes.jsonl` lines, per provider.
fn seconds(all: &[Measured], provider: &str) -> String {
    let own: Vec<&Measured> = all.iter().filter(|one| one.provider == provider).collect();
    let rounds: Vec<Round> = own.iter().map(|one| one.round.clone()).collect();
    let last: Option<Timestamp> = own.iter().map(|one| one.at).max();
    match (spread(&rounds, Round::until_payable), last) {
        (Some(ms), Some(last)) => {
            let text = last.rfc3339();
            let day = text.split('T').next().expect("a day");
            let tenth = |ms: i64| format!("{}.{}", ms / 1000, ms % 1000 / 100);
            format!("{}, at most {} ({day})", tenth(ms.p50), tenth(ms.max))
        }
        _ => "not tried".to_owned(),
    }
}

async fn row(start: Start, probes: &[Measured]) -> String {
    let (can, name, shape) = {
        let shop = Shop::new(start).await;
        let facts = (shop.can(), shop.till.name(), shop.till.shape());
        shop.done().await;
        facts
    };
    let (click, sale) = calls(start).await;
    let Rush { payments, surplus } = crowd::rush(start).await;
    let surplus = match surplus {
        0 => "none".to_owned(),
        n => format!("{n} of {payments} payments, all refunded"),
    };
    let fate = if outlives_the_sale(start).await {
        "can be paid; its unit stays taken"
    } else {
        "refuses to be paid"
    };
    let refunds = match can.refund {
        RefundKind::Instant => "at once",
        RefundKind::Requested => "asked of people",
    };
    let shape = match shape {
        CheckoutShape::PerBuyer => "one per buyer",
        CheckoutShape::Shared => "shared",
    };
    // On a shared page nobody asks how many.
    let units = if can.units && shape != "shared" { "several" } else { "one" };
    let sent = if can.physical { "yes" } else { "no" };
    let seconds = if name == "sandbox" { "pretend".to_owned() } else { seconds(probes, name) };
    format!(
        "| {name}, {shape} | {click} | {sale} | {surplus} | {fate} | {refunds} | {units} | {sent} \
         | {seconds} |\n"
    )
}

/// The tables hold what the run measured; each is rewritten when told to.
pub async fn is_what_the_run_measured(all: &[Start]) {
    let (probes, unreadable) = history::read(&root().join("docs/probes.jsonl")).expect("readable");
    assert!(unreadable.is_empty(), "docs/probes.jsonl: {unreadable:?}");
    let rows: String = join_all(all.iter().map(|start| row(*start, &probes))).await.concat();
    let measured = format!("{HEAD}{rows}");
    println!("{measured}");
    let path: PathBuf = root().join("docs/providers.md");
    let text = fs::read_to_string(&path).expect("docs/providers.md");
    let (before, rest) = text.split_once(BEGIN).expect("the table begins");
    let (written, after) = rest.split_once(END).expect("the table ends");
    if written == measured {
        return;
    }
    if std::env::var_os("LIVETILL_TEST_UPDATE").is_some_and(|value| value == "1") {
        let text = format!("{before}{BEGIN}{measured}{END}{after}");
        return fs::write(&path, text).expect("written");
    }
    assert_eq!(
        written, measured,
        "docs/providers.md is stale: LIVETILL_TEST_UPDATE=1 cargo test --test it conform::the_table"
    );
}

#[test]
fn seconds_come_with_their_day_or_not_at_all() {
    let round = |ms| Round { item_ms: ms, ..Round::default() };
    let measured = |at: &str, ms| Measured {
        at: Timestamp::parse_rfc3339(at).expect("a time"),
        template: "mug".to_owned(),
        provider: "square".to_owned(),
        round: round(ms),
    };
    let all = [measured("2026-11-20T08:30:00Z", 2340), measured("2026-11-21T08:30:00Z", 9100)];
    assert_eq!(seconds(&all, "square"), "2.3, at most 9.1 (2026-11-21)");
    assert_eq!(seconds(&all, "polar"), "not tried");
}
