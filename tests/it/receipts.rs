//! Receipts: what the provider keeps, how far people came, who ran what, and what went back.

use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
    report::{Report, Row},
};

use crate::{
    polar,
    square::shop::{MUG as SQUARE_MUG, Shop},
    world::{MUG, World, mins, secs},
};

async fn receipt(world: &World) -> Report {
    let id = world.newest().id;
    let store = world.app.engine.store();
    let sale = store.load(id).await.expect("the store").expect("the sale");
    Report::of(&sale, &store.journal(id).await.expect("the store"))
}

fn row<'a>(report: &'a Report, fate: &str) -> &'a Row {
    report.payments.iter().find(|row| row.fate == fate).expect("a payment of that fate")
}

#[tokio::test]
async fn a_receipt_tells_people_fees_and_who_ran_what() {
    let config = "[providers.sandbox]\ncalls_per_second = 100000\nfee = 0.03\n";
    let mut world = World::new(&format!("{config}{}", MUG.replace("stock = 3", "stock = 2"))).await;
    world.says_quietly("!sale start mug 10m").await;
    world.says_quietly("!sale extend 5m").await;
    world.clicks("ana").await;
    world.pays("ana").await;
    // Bo holds one and lets it lapse; cy waits in line and gets what comes free.
    world.clicks("bo").await;
    let line = world.url(&format!("/sales/{}/line", world.newest().id));
    world.posts("cy", &line, &[]).await;
    let own = world.browser("cy").at.expect("a page of their own");
    // Dee comes to a closed door and leaves no trace.
    assert_eq!(world.clicks("dee").await.status, 409);
    world.says_quietly("!sale restock 1").await;
    world.says_quietly("!sale restock -1").await;
    world.advance(mins(4)).await;
    world.posts("cy", &world.url(&format!("{own}/accept")), &[]).await;
    world.heard();
    let report = receipt(&world).await;
    let funnel = report.funnel;
    assert_eq!((funnel.clicked, funnel.paid, funnel.kept), (Some(3), 1, 1), "{report:#?}");
    assert!(funnel.held >= Some(2), "{funnel:?}");
    assert_eq!((report.fees.minor, report.fees_told, report.net.minor), (54, 1, 1746));
    assert_eq!(report.checkout_delay.max, 0, "time stands still while a page is made");
    let did: Vec<&str> = report.deeds.iter().map(|deed| deed.did.as_str()).collect();
    assert_eq!(&did[..2], ["start mug", "extend 5m"], "{did:?}");
    assert!(did.contains(&"restock 1"), "{did:?}");
    assert!(report.deeds.iter().all(|deed| deed.by == "console:moderator moderator"));
    let said = world.says("!sale report").await;
    assert_eq!(said[1], "paid $18 · refunded $0 · needs review $0 · kept $18");
    assert_eq!(said[2], "fees $0.54 · net $17.46");
    // The documentation shows what is really printed, but for its numbers.
    let shape = |line: &str| line.replace(|c: char| c.is_ascii_digit() || c == '.', "");
    let told: Vec<String> = include_str!("../../docs/receipts.md").lines().map(shape).collect();
    for line in &said[1..4] {
        assert!(told.contains(&shape(line)), "docs/receipts.md lacks: {line}");
    }
    assert!(said.iter().any(|line| line.ends_with("extend 5m · console:moderator moderator")));
    world.advance(mins(20)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn square_tells_its_fee_later_and_a_lost_word_of_it_is_asked_for() {
    let mut shop = Shop::new(SQUARE_MUG).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    shop.pays("ana").await;
    let report = receipt(&shop.world).await;
    assert_eq!((report.fees.minor, report.fees_told, report.net.minor), (82, 1, 1718));
    // The second payment's fee is told while nobody listens.
    shop.world.clicks("bo").await;
    shop.pays_silently("bo").await;
    let told = shop.square.books().events.pop_back().expect("the fee");
    assert!(told.to_string().contains("processing_fee"), "{told}");
    shop.deliver().await;
    let report = receipt(&shop.world).await;
    assert_eq!((report.completed, report.fees_told), (2, 1));
    let line = "fees $0.82 (1 of 2 known) · net $35.18";
    assert!(report.lines().iter().any(|said| said == line), "{:#?}", report.lines());
    sweep(&shop.world.app.engine, Round::All).await.expect("asks");
    let report = receipt(&shop.world).await;
    assert_eq!((report.fees.minor, report.fees_told, report.net.minor), (164, 2, 3436));
    // With its fee known, each is looked at once a round: it may be refunded in the dashboard.
    let before = shop.square.calls("GET /v2/payments");
    sweep(&shop.world.app.engine, Round::All).await.expect("asks");
    assert_eq!(shop.square.calls("GET /v2/payments"), before + 2);
    let before = shop.square.calls("GET /v2/payments");
    sweep(&shop.world.app.engine, Round::Running).await.expect("asks");
    assert_eq!(shop.square.calls("GET /v2/payments"), before, "in the others not at all");
    shop.world.heard();
    shop.passes(mins(15)).await;
    shop.world.heard();
    shop.done().await;
}

#[tokio::test]
async fn surplus_on_a_shared_page_is_itemised_and_its_fee_stays_with_polar() {
    let plan =
        polar::shop::PLAN.replace("stock = 3", "stock = 1\ncheckout = \"shared\"\ngrace = \"1m\"");
    let mut shop = polar::shop::Shop::new(&plan).await;
    shop.opens().await;
    for who in ["ana", "bo"] {
        shop.visits(who).await;
    }
    shop.pays_silently("ana").await;
    shop.pays_silently("bo").await;
    shop.deliver().await;
    shop.passes(secs(30)).await;
    let report = receipt(&shop.world).await;
    assert_eq!((report.gross.minor, report.kept.minor), (3600, 1800), "{report:#?}");
    let surplus = report.extra.surplus;
    assert_eq!((surplus.count, surplus.amount.minor), (1, 1800));
    assert_eq!(row(&report, "refunded").refund, Some("surplus"));
    // 40 cents and 4 % of each, refunded or not.
    assert_eq!((report.fees.minor, report.net.minor), (224, 1800 - 224));
    assert_eq!((report.funnel.clicked, report.funnel.paid, report.funnel.kept), (None, 2, 1));
    let line = "paid when nothing was left 1 ($18)";
    assert!(report.lines().iter().any(|said| said == line), "{:#?}", report.lines());
    let mut csv = Vec::new();
    report.write_csv(&mut csv, livetill::report::Columns::Comma).expect("written");
    let csv = String::from_utf8(csv).expect("text");
    let heading = csv.lines().next().expect("a heading");
    assert!(heading.ends_with(",special,refunded,fee,refund"), "{heading}");
    assert!(csv.lines().any(|row| row.ends_with(",18.00,1.12,surplus")), "{csv}");
    shop.passes(Span::from_secs(1)).await;
    shop.world.heard();
    shop.done().await;
}
