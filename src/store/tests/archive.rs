//! What is removed of an archived sale, stroke by stroke: all of its details and nothing else, and
//! at any moment the sale reads as an archived one.

use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row, query};

use super::{super::StoreError, Commit, Committed, SaleChange, SqlStore, Store, empty};
use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    report::{prove, to_keep},
    sale::{
        Head,
        archive::Archiving,
        event::Event,
        payment::PaymentFact,
        tests::play::{Play, template},
    },
};

/// More than are removed in one stroke.
const HOLDS: u8 = 70;

/// A sale that is over: the first who claimed paid, nobody else did.
fn over(number: u8, holds: u8) -> Play {
    let mut many = template();
    (many.stock, many.bounds.max_stock) = (holds.into(), holds.into());
    let mut play = Play::numbered(many, number);
    for n in 0..holds {
        let hold = play.claim(&format!("buyer {n}")).expect("free");
        play.work();
        if n == 0 {
            play.pay(hold);
        }
    }
    play.run_out();
    play
}

/// Archives it on the table, and hears of money after that.
fn archived(play: &mut Play) {
    let figures = to_keep(&play.sale, &play.journal).expect("its books agree");
    let order = Archiving { as_of: play.sale.head.revision, figures };
    play.tell(Event::Archived(Box::new(order))).expect("never refused");
    assert!(play.sale.head.archived.is_some());
    let late = PaymentFact {
        id: format!("late {}", play.sale.head.number).as_str().into(),
        hold: None,
        ..play.payments[0].clone()
    };
    play.deliver(&late);
}

/// Stores a sale line by line, with the holds of `whole`: as one that was archived just now.
async fn put(store: &SqlStore, play: &Play, whole: &Play) {
    let mut expected = None;
    let last = play.journal.len() - 1;
    for (n, line) in play.journal.iter().enumerate() {
        let pages = whole.sale.holds().flat_map(|hold| {
            hold.checkouts.iter().map(|page| (hold.id, page.id.clone(), page.order.clone()))
        });
        let all = n == last;
        let change = SaleChange {
            head: Head { revision: line.revision, ..play.sale.head.clone() },
            expected,
            wake_at: None,
            holds: whole.sale.holds().filter(|_| all).cloned().map(std::sync::Arc::new).collect(),
            pages: pages.filter(|_| all).collect(),
            payments: play.sale.payments().filter(|_| all).cloned().collect(),
            journal: vec![line.clone()],
        };
        expected = Some(line.revision);
        let commit = Commit { sale: Some(change), at: play.now, ..Commit::default() };
        assert_eq!(store.commit(commit).await.expect("writes"), Committed::Applied);
    }
}

/// How many rows a sale has: holds, pages, journal, payments.
async fn rows(store: &SqlStore, sale: SaleId) -> [i64; 4] {
    let mut counts = [0; 4];
    for (count, table) in counts.iter_mut().zip(["hold", "checkout", "journal", "payment"]) {
        let find = format!("select count(*) as n from {table} where sale = '{sale}'");
        let row = query(AssertSqlSafe(find)).fetch_one(&store.pool).await.expect("counts");
        *count = row.get("n");
    }
    counts
}

/// The numbers of the old sales, and whether each can be read.
async fn old(store: &SqlStore, before: Timestamp, after: u32, limit: u32) -> Vec<(u32, bool)> {
    let old = store.old_sales(before, after, limit).await.expect("reads");
    old.into_iter().map(|(number, line)| (number, line.is_ok())).collect()
}

const EVER: Timestamp = Timestamp::from_millis(i64::MAX);

#[tokio::test]
async fn stroke_by_stroke_all_details_of_one_sale_go_and_nothing_of_another() {
    let (store, _dir) = empty().await;
    let whole = over(8, HOLDS);
    let mut play = whole.clone();
    archived(&mut play);
    let id = play.sale.head.id;
    put(&store, &play, &whole).await;
    // One before it and one after it: the one whole, the other archived as well.
    let (before, mut after) = (over(7, 3), over(9, 3));
    put(&store, &before, &before).await;
    let as_it_was = after.clone();
    archived(&mut after);
    put(&store, &after, &as_it_was).await;
    let others =
        async || [rows(&store, before.sale.head.id).await, rows(&store, after.sale.head.id).await];
    let stay = others().await;
    let all = i64::from(HOLDS);
    assert_eq!(rows(&store, id).await, [all, all, play.journal.len() as i64, 2]);

    let mut strokes = Vec::new();
    loop {
        let (sale, journal) = store.books(id).await.expect("reads").expect("is there");
        assert_eq!(sale.holds().count(), 0, "its details are not read any more");
        assert_eq!(journal, play.journal[play.journal.len() - 2..]);
        assert_eq!(prove(&sale, &journal).wrong, Vec::<String>::new());
        let left = rows(&store, id).await;
        let is_done = left == [0, 0, 2, 2];
        // While anything is there, the next sweep finds it.
        let found = old(&store, EVER, 7, 1).await;
        assert_eq!(found, [(if is_done { 9 } else { 8 }, true)], "{left:?}");
        let more = store.clear_archived(id).await.expect("removes");
        assert_eq!(more, !is_done, "{left:?}");
        if !more {
            break;
        }
        strokes.push(left);
        assert!(strokes.len() < 20, "{strokes:?}");
    }
    assert!(strokes[1][..2] == [all - 64, all - 64], "64 holds in a stroke: {strokes:?}");
    assert!(strokes.len() > 3, "the journal after them: {strokes:?}");
    assert_eq!(others().await, stay);
    assert_eq!(store.archived().await.expect("counts"), 1);
}

#[tokio::test]
async fn nothing_goes_of_a_sale_that_is_not_archived_or_not_there() {
    let (store, _dir) = empty().await;
    let play = over(7, 3);
    put(&store, &play, &play).await;
    let before = rows(&store, play.sale.head.id).await;
    assert!(!store.clear_archived(play.sale.head.id).await.expect("nothing to do"));
    assert_eq!(rows(&store, play.sale.head.id).await, before);
    assert_eq!(store.archived().await.expect("counts"), 0);
    let nobody = over(8, 1).sale.head.id;
    assert!(!store.clear_archived(nobody).await.expect("nothing to do"));
}

#[tokio::test]
async fn old_sales_are_closed_and_old_and_a_damaged_one_is_one_of_them() {
    let (store, dir) = empty().await;
    let mut open = Play::numbered(template(), 9);
    open.pass(Span::from_secs(1));
    for play in [over(7, 1), over(8, 1), open, over(10, 1)] {
        put(&store, &play, &play).await;
    }
    let began = over(7, 1).sale.head.started_at;
    assert_eq!(old(&store, began, 0, 9).await, []);
    let now = began + Span::from_millis(1);
    assert_eq!(old(&store, now, 0, 9).await, [(7, true), (8, true), (10, true)]);
    assert_eq!(old(&store, now, 7, 1).await, [(8, true)]);
    let damage = "update sale set body = '{}' where number = 8";
    let url = format!("sqlite:{}", dir.path().join("x.db").display());
    let mut db = AnyConnection::connect(&url).await.expect("opens");
    query(damage).execute(&mut db).await.expect("damaged");
    assert_eq!(old(&store, now, 0, 9).await, [(7, true), (8, false), (10, true)]);
    let (_, line) = store.old_sales(now, 7, 1).await.expect("reads").remove(0);
    assert!(matches!(line, Err(StoreError::Damaged { table: "sale", .. })));
}
