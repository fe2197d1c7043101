//! A provider on a bad day.

use livetill::reconcile::{Round, sweep};

use sqlx::{Connection, Executor};

use crate::{
    database::Engine,
    world::{MUG, Setup, World, mins, secs},
};

fn with(faults: &str) -> String {
    format!(
        "[providers.sandbox]\ncalls_per_second = 100000\n[providers.sandbox.faults]\n{faults}\n{MUG}"
    )
}

/// Everybody who was handed a page could pay it there and then.
async fn page_is_payable(world: &mut World, who: &str) {
    let page = world.browser(who).at.expect("a page");
    let shown = world.looks(who, &page).await;
    assert!(shown.status == 200 && shown.text.contains("<button"), "{}", shown.text);
}

#[tokio::test]
async fn a_page_that_needs_time_delays_the_opening_and_never_a_buyer() {
    for delay in [0, 5, 20] {
        let mut world = World::new(&with(&format!("ready_after_ms = {}", delay * 1000))).await;
        let said = world.says("!sale start mug 10m").await;
        assert_eq!(said.len(), if delay == 0 { 2 } else { 1 }, "{said:?}");
        assert_eq!(world.clicks("early").await.status, if delay == 0 { 303 } else { 404 });
        world.advance(secs(delay + 1)).await;
        let said = world.heard();
        if delay > 0 {
            assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
        }
        if delay > 5 {
            assert!(said[0].contains("still preparing: the page is not there yet"), "{said:?}");
        }
        // The clock of the sale starts with the opening.
        let view = world.newest();
        let (opened, ends) = (view.opened_at.expect("open"), view.ends_at.expect("open"));
        assert_eq!(ends.since(opened), mins(10));
        // Two buyers: one takes the first page, one waits for theirs until it is proven.
        for who in ["ana", "bo"] {
            let answer = world.clicks(who).await;
            if answer.location.as_deref().is_some_and(|to| to.contains("/sandbox/pay/")) {
                page_is_payable(&mut world, who).await;
            }
        }
        world.advance(secs(delay + 2)).await;
        for who in ["ana", "bo"] {
            world.clicks(who).await;
            page_is_payable(&mut world, who).await;
        }
        world.advance(mins(15)).await;
        world.heard();
        world.done().await;
    }
}

#[tokio::test]
async fn a_page_that_says_out_of_stock_does_not_count_as_payable() {
    let mut world = World::new(&with("out_of_stock_ms = 5000")).await;
    world.says("!sale start mug 10m").await;
    world.advance(secs(4)).await;
    assert_eq!(world.newest().state.word(), "arming");
    world.advance(secs(2)).await;
    assert_eq!(world.newest().state.word(), "open");
    world.says("!sale stop").await;
    world.done().await;
}

#[tokio::test]
async fn past_the_limit_the_start_is_refused_with_the_reason() {
    let mut world = World::new(&with("out_of_stock_ms = 500000")).await;
    world.says("!sale start mug 10m").await;
    world.advance(secs(100)).await;
    let said = world.heard();
    let last = said.last().expect("an answer");
    assert_eq!(last, "NOT STARTED · #1 Fern Mug · the page says it is out of stock");
    assert!(!said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    assert_eq!(world.newest().state.word(), "failed");
    let live = world.looks("ana", "/live").await.text;
    assert!(live.contains("Nothing is on right now."), "{live}");
    world.done().await;
}

#[tokio::test]
async fn only_the_second_page_is_dead() {
    let mut world = World::new(&with("dead_page_every = 2")).await;
    world.says("!sale start mug 10m").await;
    assert_eq!(world.newest().state.word(), "open");
    world.clicks("ana").await;
    page_is_payable(&mut world, "ana").await;
    // Bo's first page never comes up; a second one is made beside it.
    let answer = {
        let url = world.url(&format!("/sales/{}/holds", world.newest().id));
        let mut browser = world.browser("bo");
        let clock = world.clock.clone();
        let task = tokio::spawn(async move { (browser.post(&url, &[]).await, browser) });
        while !task.is_finished() {
            world.settle().await;
            clock.advance(secs(1));
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let (answer, browser) = task.await.expect("no panic");
        world.browsers.insert("bo".to_owned(), browser);
        answer
    };
    assert!(answer.location.expect("sent on").starts_with("/holds/"), "told to wait, not misled");
    world.advance(secs(60)).await;
    world.clicks("bo").await;
    page_is_payable(&mut world, "bo").await;
    world.pays("bo").await;
    world.advance(mins(15)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn answers_lost_after_the_work_make_nothing_twice() {
    let mut world = World::new(&with("answer_lost = 0.5\nerror = 0.2")).await;
    world.says("!sale start mug 10m").await;
    world.advance(mins(2)).await;
    assert_eq!(world.newest().state.word(), "open");
    for who in ["ana", "bo"] {
        world.clicks(who).await;
    }
    world.advance(mins(1)).await;
    world.clicks("ana").await;
    world.pays("ana").await;
    world.advance(mins(60)).await;
    world.heard();
    let view = world.newest();
    assert_eq!((view.state.word(), view.paid, view.closed), ("ended", 1, true));
    let docs = world.app.engine.store().docs("sandbox_listing", None).await.expect("the store");
    assert_eq!(docs.len(), 1, "the item was made once");
    world.done().await;
}

#[tokio::test]
async fn lost_webhooks_are_found_by_asking() {
    let mut world = World::new(&with("webhook_dropped = 1.0")).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.pays("ana").await;
    assert_eq!(world.newest().paid, 0, "nobody told us");
    sweep(&world.app.engine, Round::Running).await.expect("asks");
    assert_eq!(world.newest().paid, 1);
    world.advance(mins(12)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_payment_found_at_closing_needs_no_webhook() {
    let mut world = World::new(&with("webhook_dropped = 1.0")).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    world.pays("ana").await;
    world.advance(mins(3)).await;
    let view = world.newest();
    assert_eq!((view.paid, view.held), (1, 0));
    world.advance(mins(9)).await;
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn webhooks_doubled_late_and_shuffled_count_once() {
    let mut world = World::new(&with("webhook_doubled = 1.0\nwebhook_late_ms = 60000")).await;
    world.says("!sale start mug 10m").await;
    for who in ["ana", "bo", "cy"] {
        world.clicks(who).await;
        world.pays(who).await;
    }
    for _ in 0..70 {
        world.advance(secs(1)).await;
    }
    let view = world.newest();
    assert_eq!((view.paid, view.state.word()), (3, "sold_out"));
    let said = world.heard();
    assert_eq!(said.iter().filter(|line| line.starts_with("SOLD OUT")).count(), 1);
    world.done().await;
}

#[tokio::test]
async fn a_close_that_does_not_close_leads_to_a_late_payment_kept_or_refunded() {
    let one = with("close_ignored = 1.0").replace("stock = 3", "stock = 1");
    let mut world = World::new(&one).await;
    world.says("!sale start mug 20m").await;
    world.clicks("ana").await;
    world.advance(mins(4)).await;
    world.clicks("bo").await;
    world.pays("bo").await;
    assert_eq!(world.newest().state.word(), "sold_out");
    // Ana's page was said to be closed. It was not.
    world.pays("ana").await;
    world.advance(secs(5)).await;
    let said = world.heard();
    assert!(said.iter().any(|line| line.contains("refunding $18")), "{said:?}");
    let view = world.newest();
    let sale = world.app.engine.store().load(view.id).await.expect("the store").expect("the sale");
    let fates: Vec<_> = sale.payments().map(|p| (p.fate.word(), p.surplus)).collect();
    assert!(fates.contains(&("refunded", true)) && fates.contains(&("kept", false)), "{fates:?}");
    let own = world.browser("ana").at.expect("sent back");
    let text = world.looks("ana", &own).await.text;
    assert!(text.contains("came when nothing was left. It went back to you."), "{text}");
    world.done().await;
}

/// The service says that it closed a page, takes a payment on it, and its word of that is lost.
#[tokio::test]
async fn a_late_payment_nobody_told_of_is_found_while_the_sale_runs_and_after_a_restart() {
    let faults = "close_ignored = 1.0\nwebhook_dropped = 1.0";
    let setup = Setup::new(&with(faults).replace("stock = 3", "stock = 5"));
    let mut world = World::build(&setup).await;
    world.says("!sale start mug 20m").await;
    for who in ["ana", "bo", "cy"] {
        world.clicks(who).await;
    }
    // Cy pays a page that is paid already, and the other page of nobody.
    world.pays("cy").await;
    world.advance(mins(4)).await;
    world.pays("ana").await;
    sweep(&world.app.engine, Round::All).await.expect("asks");
    assert_eq!(world.newest().paid, 2, "cy in time and ana late");
    world.advance(mins(30)).await;
    assert!(world.newest().closed);
    world.pays("bo").await;
    // Between two looks back of the old life; the new one does not wait for the next.
    world.advance(mins(25)).await;
    world.app.stop().await;
    drop(world);
    let mut world = World::build(&setup).await;
    sweep(&world.app.engine, Round::Whole).await.expect("asks");
    world.settle().await;
    assert_eq!(world.newest().paid, 3);
    world.heard();
    world.done().await;
}

#[tokio::test]
async fn a_close_that_is_refused_keeps_the_unit_taken_for_ever() {
    let one = with("close_refused = 1.0").replace("stock = 3", "stock = 1");
    let mut world = World::new(&one).await;
    world.says("!sale start mug 20m").await;
    world.clicks("ana").await;
    world.advance(mins(4)).await;
    let said = world.heard();
    assert!(said.iter().any(|line| line.contains("cannot be closed")), "{said:?}");
    assert_eq!(world.clicks("bo").await.status, 409);
    world.advance(mins(20)).await;
    let said = world.heard();
    assert_eq!(said.last().map(String::as_str), Some("ENDED · Fern Mug · 0 of 1 sold"));
    assert!(world.newest().closed);
    world.pays("ana").await;
    assert_eq!(world.newest().paid, 1, "a late payment on it is kept");
    world.done().await;
}

#[tokio::test]
async fn whoever_pays_while_the_books_are_away_reads_a_page_and_no_json() {
    let mut world = World::build(&Setup::on(Engine::Sqlite, MUG)).await;
    world.says("!sale start mug 10m").await;
    world.clicks("ana").await;
    let page = world.browser("ana").at.expect("a page");
    let mut db = world.database.raw().await;
    db.execute("alter table document rename to elsewhere").await.expect("moved");
    for form in [None, Some([("do", "pay")])] {
        let mut browser = world.browser("ana");
        let answer = match form {
            None => browser.get(&page).await,
            Some(form) => browser.post(&page, &form).await,
        };
        assert_eq!(answer.status, 503);
        assert!(answer.text.contains("<h1>Not now</h1>"), "{}", answer.text);
        assert!(!answer.text.contains("error"), "{}", answer.text);
    }
    db.execute("alter table elsewhere rename to document").await.expect("back");
    db.close().await.expect("closes");
    world.pays("ana").await;
    world.says("!sale stop").await;
    world.heard();
    world.done().await;
}
