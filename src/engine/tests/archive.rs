//! Old sales on a real database: what is read of one before its details go, what comes up
//! meanwhile, and what is left of the details.

use tokio::join;

use super::bench::{Bench, once, seen};
use crate::{
    clock::{Span, Timestamp},
    engine::{Archival, Origin},
    provider::{News, ProviderError},
    report::{Report, prove},
    sale::{
        ListingState, Sale,
        effect::Effect,
        event::Event,
        hold::Hold,
        payment::{Fate, Fee, Payment, PaymentFact},
        tests::{
            archive::over,
            play::{Play, usd},
        },
    },
    store::{JournalLine, SaleLine, Store, Work},
};

/// A sale that ended long ago.
async fn old(play: &Play) -> Bench {
    let bench = Bench::new(play).await;
    bench.pass(Span::from_secs(100 * 24 * 3600));
    bench
}

async fn lines(bench: &Bench) -> Vec<SaleLine> {
    let now = bench.engine.now();
    let old = bench.store.old_sales(now, 0, 100).await.expect("reads");
    old.into_iter().map(|(_, line)| line.expect("whole")).collect()
}

/// Archives it, if it is old enough now.
async fn archives(bench: &Bench) -> Archival {
    let line = lines(bench).await.pop().expect("it has details");
    bench.engine.archive(&line, bench.engine.now()).await.expect("the store answers")
}

fn whole(why: &str) -> Archival {
    Archival::Whole(why.to_owned())
}

/// Something that happens right after that call of the store was answered.
fn meanwhile(bench: &Bench, call: &'static str, work: impl Future<Output = ()> + Send + 'static) {
    *bench.store.meanwhile.lock().expect("unpoisoned") = Some((call, Box::pin(work)));
}

/// The fee of Ana's payment is told: something new that settles nothing and unsettles nothing.
fn fee(play: &Play) -> Event {
    let fee = Some(Fee { money: usd("1"), as_of: play.now });
    Event::PaymentSeen(Box::new(PaymentFact { fee, ..play.payments[0].clone() }))
}

#[tokio::test]
async fn an_old_sale_is_archived_with_the_figures_of_its_journal() {
    let play = over(7);
    let bench = old(&play).await;
    let before = Report::of(&play.sale, &play.journal);
    assert_eq!(archives(&bench).await, Archival::Done);
    let (sale, journal) = bench.store.books(bench.sale).await.expect("reads").expect("is there");
    let after = Report::of(&sale, &journal);
    assert_eq!(
        (after.claimed, after.lapsed, after.kept),
        (before.claimed, before.lapsed, before.kept)
    );
    let proof = prove(&sale, &journal);
    assert_eq!((proof.commits as usize, proof.wrong.len()), (play.journal.len(), 0));
    assert_eq!(journal.len(), 1, "the line that archived it");
    assert_eq!((journal[0].by.as_str(), lines(&bench).await.len()), ("archive", 0));
    assert_eq!(bench.store.archived().await.expect("counts"), 1);
}

#[tokio::test]
async fn it_is_old_enough_by_its_end() {
    let play = over(7);
    let bench = old(&play).await;
    let end = play.sale.head.phase.end().expect("over").at;
    let line = lines(&bench).await.pop().expect("there");
    let at = async |before: Timestamp| bench.engine.archive(&line, before).await.expect("answers");
    assert_eq!(at(end).await, whole("it ended not long enough ago"));
    assert!(bench.stored().await.head.archived.is_none());
    assert_eq!(at(end + Span::from_millis(1)).await, Archival::Done);
}

#[tokio::test]
async fn what_comes_while_it_is_counted_leaves_it_whole_and_is_counted_the_next_time() {
    let play = over(7);
    let bench = old(&play).await;
    let (engine, id, event) = (bench.another(), bench.sale, fee(&play));
    meanwhile(&bench, "books", async move {
        engine.tell(id, event, "test", Origin::Any).await.expect("taken");
    });
    assert_eq!(archives(&bench).await, whole("something came up meanwhile"));
    let sale = bench.stored().await;
    assert!(sale.head.archived.is_none() && sale.holds().count() == play.sale.holds().count());
    assert_eq!(bench.lines().await, play.journal.len() + 1);
    assert_eq!(archives(&bench).await, Archival::Done);
    let figures = bench.stored().await.head.archived.clone().expect("archived").figures;
    assert_eq!(figures.commits as usize, play.journal.len() + 1);
}

#[tokio::test]
async fn money_that_comes_while_it_is_counted_goes_before_a_person_and_keeps_it_whole() {
    let play = over(7);
    let bench = old(&play).await;
    let engine = bench.engine.clone();
    let fact = PaymentFact { id: "late".into(), hold: None, ..play.payments[0].clone() };
    let event = Event::PaymentSeen(Box::new(fact));
    let id = bench.sale;
    meanwhile(&bench, "books", async move {
        engine.tell(id, event, "test", once("late")).await.expect("taken");
    });
    assert_eq!(archives(&bench).await, whole("something came up meanwhile"));
    let report = async || {
        let (sale, journal) = bench.store.books(id).await.expect("reads").expect("there");
        assert!(prove(&sale, &journal).wrong.is_empty());
        Report::of(&sale, &journal)
    };
    assert_eq!((report().await.undecided, report().await.archived), (usd("18"), None));
    let told = |work: &Work| matches!(work.effect, Effect::Announce { .. });
    let work = bench.store.work_of(id).await.expect("reads");
    assert_eq!(work.iter().filter(|work| told(work)).count(), 1);
    assert_eq!(archives(&bench).await, whole("work of it is left to do, or was given up"));
}

#[tokio::test]
async fn money_that_comes_before_its_details_are_removed_is_no_claim_s() {
    let play = over(7);
    let bench = old(&play).await;
    let away = ProviderError::Retry { says: "away".to_owned(), after: None };
    bench.stub.forgets.lock().expect("unpoisoned").extend([Err(away)]);
    assert_eq!(archives(&bench).await, Archival::Left);
    assert_eq!(lines(&bench).await.len(), 1, "its details are there");
    // Bo's page can be paid after all; the store still knows whose it is.
    let bo = play.sale.holds().find(|hold| hold.buyer == Some("bo".into())).expect("Bo's");
    let fact = PaymentFact {
        id: "late".into(),
        hold: None,
        checkout: Some(bo.checkouts[0].id.clone()),
        ..play.payments[0].clone()
    };
    let news = News::Payment(fact);
    bench.engine.take("model", news, Some(seen("late"))).await.expect("taken");
    let person = |one: &Payment| matches!(one.fate, Fate::Person { .. });
    assert_eq!(bench.stored().await.payments().filter(|one| person(one)).count(), 1);
    // The rest goes, and what was told since stays.
    assert_eq!(archives(&bench).await, Archival::Done);
    assert_eq!((bench.lines().await, lines(&bench).await.len()), (2, 0));
    let (sale, journal) = bench.store.books(bench.sale).await.expect("reads").expect("is there");
    let report = Report::of(&sale, &journal);
    assert_eq!((report.undecided, report.kept, report.sold), (usd("18"), usd("18"), 1));
    assert!(prove(&sale, &journal).wrong.is_empty());
    // By its own id too it is known, whatever the page was.
    let again = PaymentFact { hold: None, checkout: None, ..play.payments[0].clone() };
    bench.engine.take("model", News::Payment(again), None).await.expect("taken");
    assert!(bench.store.unmatched().await.expect("reads").is_empty());
    assert_eq!(Report::of(&bench.stored().await, &[]).gross, report.gross);
}

#[tokio::test]
async fn what_the_provider_keeps_of_it_goes_first_and_all_of_it() {
    let bench = old(&over(7)).await;
    bench.stub.forgets.lock().expect("unpoisoned").extend([Ok(true), Ok(true), Ok(false)]);
    assert_eq!(archives(&bench).await, Archival::Done);
    assert!(bench.stub.forgets.lock().expect("unpoisoned").is_empty());
}

#[tokio::test]
async fn a_line_read_before_it_was_archived_archives_nothing_again() {
    let bench = old(&over(7)).await;
    let line = lines(&bench).await.pop().expect("there");
    let archive = async || {
        bench.engine.archive(&line, bench.engine.now()).await.expect("answers");
        bench.stored().await.head
    };
    let first = archive().await;
    bench.pass(Span::from_mins(60));
    assert_eq!(archive().await, first);
}

#[tokio::test]
async fn two_programs_at_once_archive_it_once() {
    let play = over(7);
    let bench = old(&play).await;
    let line = lines(&bench).await.pop().expect("there");
    let (one, two, now) = (bench.engine.clone(), bench.another(), bench.engine.now());
    let (one, two) = join!(one.archive(&line, now), two.archive(&line, now));
    for done in [one.expect("answers"), two.expect("answers")] {
        assert!(done == Archival::Done, "{done:?}");
    }
    let (sale, journal) = bench.store.books(bench.sale).await.expect("reads").expect("is there");
    assert_eq!((journal.len(), lines(&bench).await.len()), (1, 0));
    assert_eq!(
        sale.head.archived.as_ref().expect("archived").figures.commits as usize,
        play.journal.len()
    );
}

/// Something done to a journal.
type Change = fn(&mut Vec<JournalLine>);

#[tokio::test]
async fn whatever_is_wrong_with_its_books_leaves_it_whole() {
    let changes: [(Change, _); 3] = [
        (|lines| drop(lines.remove(4)), "hold"),
        (
            |lines| lines[4].quarantined = Some("it broke".to_owned()),
            "something that was said of it",
        ),
        (|lines| lines[1..].iter_mut().for_each(|line| line.stock = 0), "2 units were sold above"),
    ];
    for (change, says) in changes {
        let mut play = over(7);
        change(&mut play.journal);
        let bench = old(&play).await;
        let Archival::Whole(why) = archives(&bench).await else { panic!("archived: {says}") };
        assert!(why.starts_with(&format!("its books do not agree: {says}")), "{why}");
        assert_eq!(bench.lines().await, play.journal.len());
        assert_eq!(bench.stored().await.head, play.sale.head);
    }
}

#[tokio::test]
async fn the_cheap_is_looked_at_first_and_the_journal_last() {
    let asked = |bench: &Bench| ["work_of", "load", "books"].map(|call| bench.store.times(call));
    // By its head.
    let mut play = over(7);
    play.sale.head.listing = ListingState::Left { listing: None };
    let bench = old(&play).await;
    assert_eq!(archives(&bench).await, whole("something of it may be left at the provider"));
    assert_eq!(asked(&bench), [0, 0, 0]);
    // By work that is left.
    let mut play = over(7);
    play.todo.push_back((Effect::Retire, play.now));
    let bench = old(&play).await;
    assert_eq!(archives(&bench).await, whole("work of it is left to do, or was given up"));
    assert_eq!(asked(&bench), [1, 0, 0]);
    // By its holds.
    let mut play = over(7);
    let open = |hold: &Hold| {
        let mut hold = hold.clone();
        hold.checkouts.iter_mut().for_each(|page| page.closed = false);
        hold
    };
    let holds = play.sale.holds().map(open).collect();
    let payments = play.sale.payments().cloned().collect();
    play.sale = Sale::assemble(play.sale.head.clone(), holds, payments);
    let bench = old(&play).await;
    assert_eq!(archives(&bench).await, whole("a payment page of it was never closed"));
    assert_eq!(asked(&bench), [1, 1, 0]);
    // Nothing holds it.
    let bench = old(&over(7)).await;
    assert_eq!(archives(&bench).await, Archival::Done);
    assert_eq!(bench.store.times("books"), 1);
}
