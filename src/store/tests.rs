//! Writes that share one transaction: what is refused of them leaves nothing behind, and takes
//! nothing with it. What is told in one `join!` waits before the writer begins, and is one group.

mod archive;

use tempfile::TempDir;
use tokio::join;

use super::{Access, Commit, Committed, SaleChange, Seen, SqlStore, Store, open};
use crate::{
    sale::{
        hold::{HoldState, Lapse},
        tests::play::{Play, template},
    },
    shop::Shop,
};

async fn empty() -> (SqlStore, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", dir.path().join("x.db").display());
    let store = open(&url, Access::Write).await.expect("a store");
    store.secret([1; 32]).await.expect("made");
    (store, dir)
}

fn seen(id: &str) -> Seen {
    Seen { source: "test".into(), id: id.into() }
}

/// Ana holds a page; the commit changes the sale as it stands by `revision`.
fn change(play: &Play, expected: Option<u64>, revision: u64) -> Commit {
    let sale = &play.sale;
    let mut head = sale.head.clone();
    head.revision = revision;
    let holds = sale.holds().cloned().map(std::sync::Arc::new);
    Commit {
        sale: Some(SaleChange {
            head,
            expected,
            wake_at: None,
            holds: holds.collect(),
            pages: Vec::new(),
            payments: sale.payments().cloned().collect(),
            journal: Vec::new(),
        }),
        at: play.now,
        ..Commit::default()
    }
}

fn held() -> Play {
    let mut play = Play::open(template());
    play.claim("ana").expect("free");
    play.work();
    play
}

#[tokio::test]
async fn of_a_group_what_is_repeated_or_stale_leaves_nothing_and_its_neighbours_stay() {
    let (store, _dir) = empty().await;
    let play = held();
    let id = play.sale.head.id;
    assert_eq!(store.commit(change(&play, None, 5)).await.expect("writes"), Committed::Applied);
    assert!(store.hear(seen("old"), play.now).await.expect("writes"));

    // The change of the sale, and of the shop, come before what shows that it happened before.
    let repeated = Commit { seen: vec![seen("old")], ..change(&play, Some(5), 6) };
    let shop = Shop { version: 1, ..Shop::default() };
    let stale = Commit { shop: Some(shop), seen: vec![seen("b")], ..change(&play, Some(3), 4) };
    let plain = |key: &str| Commit { seen: vec![seen(key)], at: play.now, ..Commit::default() };
    let (repeated, stale, one, two) = join!(
        store.commit(repeated),
        store.commit(stale),
        store.commit(plain("c")),
        store.commit(plain("d"))
    );
    assert_eq!(repeated.expect("answers"), Committed::Duplicate(vec![seen("old")]));
    assert_eq!(stale.expect("answers"), Committed::Stale);
    assert_eq!((one.expect("writes"), two.expect("writes")), {
        (Committed::Applied, Committed::Applied)
    });
    let stored = store.load(id).await.expect("reads").expect("is there");
    assert_eq!(stored.head.revision, 5);
    assert_eq!(store.shop().await.expect("reads").version, 0);
    assert!(store.hear(seen("b"), play.now).await.expect("writes"), "never heard");
    for key in ["c", "d"] {
        assert!(!store.hear(seen(key), play.now).await.expect("writes"), "{key} was heard");
    }
    // So it is for what comes alone.
    let alone = Commit { seen: vec![seen("e"), seen("old")], ..change(&play, Some(5), 6) };
    let alone = store.commit(alone).await.expect("answers");
    assert_eq!(alone, Committed::Duplicate(vec![seen("old")]));
    assert_eq!(store.load(id).await.expect("reads").expect("there").head.revision, 5);
    assert!(store.hear(seen("e"), play.now).await.expect("writes"), "never heard");
}

#[tokio::test]
async fn what_is_freed_and_used_in_one_step_is_used() {
    let (store, _dir) = empty().await;
    let now = held().now;
    let free = |freed, seen| Commit { freed, seen, at: now, ..Commit::default() };
    assert!(store.hear(seen("a"), now).await.expect("writes"));
    let committed = store.commit(free(vec![seen("a")], vec![seen("a")])).await;
    assert_eq!(committed.expect("writes"), Committed::Applied);
    assert!(!store.hear(seen("a"), now).await.expect("writes"), "somebody has it");
    let committed = store.commit(free(vec![seen("a")], Vec::new())).await;
    assert_eq!(committed.expect("writes"), Committed::Applied);
    assert!(store.hear(seen("a"), now).await.expect("writes"));
}

#[tokio::test]
async fn a_buyer_s_old_hold_may_end_as_the_new_one_begins() {
    let (store, _dir) = empty().await;
    let mut play = held();
    let first = change(&play, None, 5);
    assert_eq!(store.commit(first).await.expect("writes"), Committed::Applied);
    // In one step, and the new one has the lower number, as a page made ahead has.
    let old = play.sale.holds().last().expect("Ana's").clone();
    let mut new = old.clone();
    new.id.n = 0;
    let mut over = old;
    over.state = HoldState::Released { why: Lapse::LetGo, at: play.now };
    play.sale = crate::sale::Sale::assemble(play.sale.head.clone(), vec![new, over], Vec::new());
    let second = change(&play, Some(5), 6);
    assert_eq!(store.commit(second).await.expect("writes"), Committed::Applied);
}

#[tokio::test]
async fn what_waits_when_the_store_is_closed_is_written() {
    let (store, dir) = empty().await;
    let now = held().now;
    let writer = store.writer.clone().expect("it writes");
    let (heard, ()) = join!(store.hear(seen("a"), now), writer.close());
    assert!(heard.expect("written"));
    assert!(store.hear(seen("b"), now).await.is_err(), "it is closed");
    store.close().await;
    drop((store, writer));
    let url = format!("sqlite:{}", dir.path().join("x.db").display());
    let store = open(&url, Access::Write).await.expect("a store");
    assert!(!store.hear(seen("a"), now).await.expect("writes"), "it was");
}
