//! Sales, payments, documents and the shop: what is written is read back, whole or not at all.

use livetill::{
    clock::{Span, Timestamp},
    id::SaleId,
    sale::{End, EndReason, Phase},
    shop::Shop,
    store::{Commit, Committed, DocChange, PageRef, Store, StoreError},
};
use serde_json::json;

use super::{Empty, Sample, long_ago, seen};

/// Writes it all, and wants it written.
async fn applied(empty: &Empty, commit: Commit) {
    let committed = empty.store.commit(commit).await.expect("writes");
    assert_eq!(committed, Committed::Applied, "{:?}", empty.engine);
}

#[tokio::test]
async fn what_is_committed_is_read_back_as_it_was() {
    let sample = Sample::new().await;
    let (sale, id) = (&sample.sale, sample.sale.head.id);
    for empty in Empty::all().await {
        applied(&empty, sample.commit()).await;
        let store = &empty.store;
        let read = store.load(id).await.expect("reads").expect("is there");
        assert_eq!(read.head, sale.head);
        assert!(read.holds().eq(sale.holds()) && read.payments().eq(sale.payments()));
        let journal = store.journal(id).await.expect("reads");
        assert_eq!(journal, sample.journal, "{:?}", empty.engine);

        let lines = store.sales(10).await.expect("reads");
        assert_eq!(lines.iter().map(|line| (line.id, line.number)).collect::<Vec<_>>(), [(id, 1)]);
        assert_eq!(store.live_sales().await.expect("reads"), [id]);
        assert_eq!(store.sale_numbered(1).await.expect("reads"), Some(id));
        assert_eq!(store.sale_numbered(2).await.expect("reads"), None);
        let stranger = SaleId::new(long_ago(), [9; 16]);
        assert!(store.load(stranger).await.expect("reads").is_none());

        let wake = sale.next_deadline().expect("it runs");
        let before = Timestamp::from_millis(wake.millis() - 1);
        assert_eq!(store.next_wake().await.expect("reads"), Some(wake));
        assert_eq!(store.due_sales(before).await.expect("reads"), []);
        assert_eq!(store.due_sales(wake).await.expect("reads"), [id]);

        let (hold, payment) = (sample.open_hold(), sale.payments().next().expect("Ana's"));
        let page = hold.checkouts[0].id.clone();
        for (provider, page, known) in [
            ("sandbox", PageRef::Checkout(page.clone()), Some(hold.id)),
            ("sandbox", PageRef::Order(format!("order-{}", hold.id.n)), Some(hold.id)),
            ("square", PageRef::Checkout(page), None),
            ("sandbox", PageRef::Order("order-x".into()), None),
        ] {
            assert_eq!(store.hold_of(provider, &page).await.expect("reads"), known, "{page:?}");
        }
        let paid = payment.fact.id.as_str();
        assert_eq!(store.sale_of_payment("sandbox", paid).await.expect("reads"), Some(id));
        assert_eq!(store.sale_of_payment("square", paid).await.expect("reads"), None);
    }
}

#[tokio::test]
async fn a_commit_is_whole_or_not_at_all() {
    let sample = Sample::new().await;
    let id = sample.sale.head.id;
    for empty in Empty::all().await {
        let store = &empty.store;
        applied(&empty, sample.commit()).await;
        applied(&empty, Commit { seen: vec![seen("a"), seen("b")], ..sample.next(1) }).await;

        // Somebody else was first.
        let late = Commit { seen: vec![seen("c")], ..sample.next(1) };
        assert_eq!(store.commit(late).await.expect("answers"), Committed::Stale);
        // Some of it happened before: told which, in whatever company.
        let (a, b, fresh) = (seen("a"), seen("b"), seen("d"));
        for keys in [vec![a.clone()], vec![fresh, b.clone(), a.clone()]] {
            let old: Vec<_> = keys.iter().filter(|key| key.id != "d").cloned().collect();
            let again = Commit { seen: keys, ..sample.next(2) };
            assert_eq!(store.commit(again).await.expect("answers"), Committed::Duplicate(old));
        }
        // A rule of the tables is broken: a second open page for one buyer.
        let mut broken = sample.next(2);
        let mut twin = (*sample.open_hold()).clone();
        twin.id.n += 50;
        broken.sale.as_mut().expect("a change").holds.push(twin.into());
        broken.seen.push(seen("e"));
        let refused = store.commit(broken).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
        let mut oversold = sample.next(2);
        oversold.sale.as_mut().expect("a change").head.stock = 1;
        let refused = store.commit(oversold).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");

        // Nothing of all that stayed, and the next one goes well.
        for key in ["c", "d", "e"] {
            assert!(store.hear(seen(key), sample.now()).await.expect("writes"), "{key}");
        }
        let read = store.load(id).await.expect("reads").expect("is there");
        assert_eq!(read.head.revision, sample.sale.head.revision + 1);
        assert_eq!((read.holds().count(), read.head.stock), (2, sample.sale.head.stock));
        assert_eq!(store.journal(id).await.expect("reads").len(), sample.journal.len() + 1);
        applied(&empty, sample.next(2)).await;
        // What was decided about a revision that is no more is not noted, either.
        let revision = sample.sale.head.revision;
        for (guard, expected) in [(1, Committed::Stale), (2, Committed::Applied)] {
            let key = vec![seen("f")];
            let guard = Some((id, revision + guard));
            let nothing = Commit { guard, seen: key, at: sample.now(), ..Commit::default() };
            assert_eq!(store.commit(nothing).await.expect("answers"), expected);
        }
        // What is freed may come again.
        applied(&empty, Commit { freed: vec![seen("f")], ..sample.next(3) }).await;
        assert!(store.hear(seen("f"), sample.now()).await.expect("writes"));
        assert!(!store.hear(seen("f"), sample.now()).await.expect("writes"));
    }
}

#[tokio::test]
async fn of_many_who_decided_about_one_revision_one_is_right() {
    let sample = Sample::new().await;
    for empty in Empty::all().await {
        applied(&empty, sample.commit()).await;
        let programs = empty.programs().await;
        let writes: Vec<_> = (0..40)
            .map(|n| {
                let store = programs[n % programs.len()].clone();
                let key = seen(&format!("{n}"));
                let commit = Commit { seen: vec![key], ..sample.next(1) };
                tokio::spawn(async move { store.commit(commit).await })
            })
            .collect();
        let mut right = Vec::new();
        for (n, write) in writes.into_iter().enumerate() {
            match write.await.expect("no panic").expect("answers") {
                Committed::Applied => right.push(n),
                other => assert_eq!(other, Committed::Stale, "{n}"),
            }
        }
        assert_eq!(right.len(), 1, "{:?}", empty.engine);
        for n in 0..40 {
            let first = empty.store.hear(seen(&format!("{n}")), sample.now()).await;
            assert_eq!(first.expect("writes"), n != right[0], "{n}");
        }
    }
}

#[tokio::test]
async fn a_payment_of_nobody_is_kept_until_it_is_somebodys() {
    let sample = Sample::new().await;
    let payment = sample.sale.payments().next().expect("Ana's").clone();
    for empty in Empty::all().await {
        let store = &empty.store;
        let mut fact = payment.fact.clone();
        for link in [None, Some("https://there.example/1".to_owned())] {
            fact.link = link;
            let unmatched = vec![("sandbox".to_owned(), fact.clone())];
            applied(&empty, Commit { unmatched, ..Commit::default() }).await;
            let kept = store.unmatched().await.expect("reads");
            assert_eq!(kept, [("sandbox".to_owned(), fact.clone())], "the newest word");
        }
        let id = fact.id.as_str();
        assert_eq!(store.sale_of_payment("sandbox", id).await.expect("reads"), None);
        applied(&empty, sample.commit()).await;
        assert_eq!(store.unmatched().await.expect("reads"), []);
        // Nobody takes it away again.
        let unmatched = vec![("sandbox".to_owned(), fact.clone())];
        applied(&empty, Commit { unmatched, ..Commit::default() }).await;
        assert_eq!(store.unmatched().await.expect("reads"), []);
        let owner = store.sale_of_payment("sandbox", id).await.expect("reads");
        assert_eq!(owner, Some(sample.sale.head.id));
    }
}

#[tokio::test]
async fn the_shop_is_one_row_and_its_secret_is_made_once() {
    for empty in Empty::all().await {
        let store = &empty.store;
        assert_eq!(store.secret([2; 32]).await.expect("reads"), [1; 32]);
        assert_eq!(store.shop().await.expect("reads"), Shop::default());
        let shop = |version, next_number| {
            let shop = Shop { version, next_number, ..Shop::default() };
            Commit { shop: Some(shop), ..Commit::default() }
        };
        applied(&empty, shop(1, 7)).await;
        for stale in [1, 3] {
            let late = store.commit(shop(stale, 9)).await.expect("answers");
            assert_eq!(late, Committed::Stale);
        }
        assert_eq!(store.shop().await.expect("reads").next_number, 7);
        assert_eq!(store.secret([3; 32]).await.expect("reads"), [1; 32]);
    }
}

#[tokio::test]
async fn documents_change_together_and_only_as_expected() {
    let change = |id: &str, expected, body| DocChange {
        kind: "thing",
        id: id.to_owned(),
        parent: if id == "c" { "other".into() } else { "one".into() },
        expected,
        body,
    };
    for empty in Empty::all().await {
        let store = &empty.store;
        let made = ["b", "a", "c"].map(|id| change(id, 0, Some(json!({ "n": id }))));
        assert!(store.put_docs(made.into()).await.expect("writes"));
        let ids = async |parent: Option<&str>| {
            let docs = store.docs("thing", parent).await.expect("reads");
            docs.into_iter().map(|doc| (doc.id, doc.version)).collect::<Vec<_>>()
        };
        let all = |list: &[(&str, i64)]| -> Vec<_> {
            list.iter().map(|(id, version)| ((*id).to_owned(), *version)).collect()
        };
        assert_eq!(ids(None).await, all(&[("a", 1), ("b", 1), ("c", 1)]));
        assert_eq!(ids(Some("one")).await, all(&[("a", 1), ("b", 1)]));
        // The second is not as expected: the first stays as it was.
        for wrong in [
            change("b", 2, Some(json!({}))),
            change("b", 0, Some(json!({}))),
            change("b", 3, None),
            change("z", 1, None),
        ] {
            let both = vec![change("a", 1, Some(json!({ "n": "x" }))), wrong];
            assert!(!store.put_docs(both).await.expect("answers"));
        }
        let doc = store.doc("thing", "a").await.expect("reads").expect("is there");
        assert_eq!((doc.version, &doc.body, doc.parent.as_str()), (1, &json!({ "n": "a" }), "one"));
        let both = vec![change("a", 1, Some(json!({ "n": "ü\u{1f33f}" }))), change("b", 1, None)];
        assert!(store.put_docs(both).await.expect("writes"));
        assert_eq!(ids(None).await, all(&[("a", 2), ("c", 1)]));
        let doc = store.doc("thing", "a").await.expect("reads").expect("is there");
        assert_eq!(doc.body, json!({ "n": "ü\u{1f33f}" }));
        assert!(store.doc("thing", "b").await.expect("reads").is_none());
        assert!(store.doc("thin", "a").await.expect("reads").is_none());
    }
}

#[tokio::test]
async fn closed_sales_wake_nobody() {
    let sample = Sample::new().await;
    for empty in Empty::all().await {
        let mut over = sample.commit();
        let change = over.sale.as_mut().expect("a change");
        let closed_at = sample.now();
        let end = End {
            reason: EndReason::Stopped,
            at: closed_at,
            opened_at: None,
            secret: false,
            stock: None,
        };
        change.head.phase = Phase::Closed { end, closed_at };
        change.wake_at = None;
        applied(&empty, over).await;
        let store = &empty.store;
        let far = closed_at + Span::from_mins(10_000);
        assert_eq!(store.next_wake().await.expect("reads"), None);
        assert_eq!(store.due_sales(far).await.expect("reads"), []);
        assert_eq!(store.live_sales().await.expect("reads"), []);
        assert_eq!(store.sales(10).await.expect("reads").len(), 1);
    }
}
