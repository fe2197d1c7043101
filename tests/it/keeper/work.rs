//! The outbox: who may do what next, and what becomes of it.

use std::collections::BTreeSet;

use livetill::{
    clock::{Span, Timestamp},
    id::EffectId,
    sale::effect::{Class, Effect},
    store::{
        Commit, Committed, LeaseAsk, Leased, OutboxCount, PutOff, QueuedEffect, Store, StoreError,
        Work,
    },
};
use serde_json::json;

use super::{Empty, Sample};

const TARGET: &str = "sandbox";

/// A piece of work: its position, lane and class, and after how many seconds it is due.
type Piece = (usize, &'static str, Class, i64);

/// An outbox with work in it.
struct Outbox<'a> {
    empty: &'a Empty,
    sample: &'a Sample,
    /// Leases so far.
    leases: std::cell::Cell<u32>,
}

impl<'a> Outbox<'a> {
    async fn with(empty: &'a Empty, sample: &'a Sample, pieces: &[Piece]) -> Self {
        let made = Self { empty, sample, leases: 0.into() };
        let mut commit = sample.commit();
        commit.effects = pieces.iter().map(|piece| made.queued(*piece)).collect();
        made.commit(commit).await;
        made
    }

    fn at(&self, secs: i64) -> Timestamp {
        self.sample.now() + Span::from_secs(secs)
    }

    fn id(&self, position: usize) -> EffectId {
        EffectId::of_sale(self.sample.sale.head.id, 1, position)
    }

    fn queued(&self, (position, lane, class, due): Piece) -> QueuedEffect {
        QueuedEffect {
            id: self.id(position),
            sale: self.sample.sale.head.id,
            lane: lane.to_owned(),
            target: TARGET.to_owned(),
            class,
            due_at: self.at(due),
            queued_at: self.at(0),
            effect: Effect::Restock { units: i64::try_from(position).expect("small") },
            body: json!({ "piece": position, "key": "é" }),
        }
    }

    async fn commit(&self, commit: Commit) {
        let committed = self.empty.store.commit(commit).await.expect("writes");
        assert_eq!(committed, Committed::Applied, "{:?}", self.empty.engine);
    }

    /// Asks for work at a moment, for ten seconds.
    async fn lease(&self, secs: i64, first: Option<Class>) -> Option<Leased> {
        self.leases.set(self.leases.get() + 1);
        let ask = LeaseAsk {
            target: TARGET.to_owned(),
            now: self.at(secs),
            until: self.at(secs + 10),
            token: format!("token-{}", self.leases.get()),
            first,
        };
        self.empty.store.lease(ask).await.expect("answers")
    }

    /// The piece that a worker gets at a moment.
    async fn gets(&self, secs: i64) -> Option<Leased> {
        self.lease(secs, None).await
    }

    async fn done(&self, leased: &Leased) {
        let done = vec![(leased.id.clone(), leased.token.clone())];
        self.commit(Commit { done, ..Commit::default() }).await;
    }

    fn put_off(&self, leased: &Leased, secs: i64) -> PutOff {
        PutOff {
            id: leased.id.clone(),
            token: leased.token.clone(),
            due_at: self.at(secs),
            why: "busy".into(),
            body: None,
            counts: true,
        }
    }

    async fn count(&self) -> (u64, u64) {
        let OutboxCount { waiting, parked } = self.empty.store.outbox().await.expect("reads");
        (waiting, parked)
    }

    async fn next(&self) -> Option<Timestamp> {
        self.empty.store.next_effect(TARGET).await.expect("reads")
    }

    async fn work(&self) -> Vec<Work> {
        self.empty.store.work_of(self.sample.sale.head.id).await.expect("reads")
    }
}

#[tokio::test]
async fn the_urgent_goes_first_and_a_lane_keeps_its_order() {
    let sample = Sample::new().await;
    let pieces = [
        (0, "a", Class::Warm, 0),
        (1, "b", Class::Buyer, 0),
        // Urgent, but behind what stands before it in its lane.
        (2, "a", Class::Refund, 0),
        (3, "c", Class::Buyer, 5),
        (4, "b", Class::Refund, 0),
    ];
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &pieces).await;
        assert_eq!(outbox.count().await, (5, 0));
        let first = outbox.gets(0).await.expect("work");
        assert_eq!((&first.id, first.class, first.attempts), (&outbox.id(1), Class::Buyer, 1));
        assert_eq!((first.generation, &first.token[..]), (0, "token-1"));
        assert_eq!(first.body, json!({ "piece": 1, "key": "é" }));
        assert_eq!(
            (first.effect.clone(), first.sale),
            (Effect::Restock { units: 1 }, sample.sale.head.id)
        );
        // Its lane waits for it, the one of *c* for its time.
        let second = outbox.gets(0).await.expect("work");
        assert_eq!(second.id, outbox.id(0));
        assert!(outbox.gets(4).await.is_none());
        assert_eq!(outbox.next().await, Some(outbox.at(5)));
        outbox.done(&first).await;
        assert_eq!(outbox.gets(4).await.expect("work").id, outbox.id(4), "the next of its lane");
        outbox.done(&second).await;
        // Urgency decides among heads, unless the asker wants another class first.
        let third = outbox.lease(5, Some(Class::Buyer)).await.expect("work");
        assert_eq!(third.id, outbox.id(3));
        assert_eq!(outbox.lease(5, Some(Class::Warm)).await.expect("work").id, outbox.id(2));
        assert!(outbox.gets(5).await.is_none());
        assert_eq!(outbox.count().await, (3, 0));
    }
}

#[tokio::test]
async fn whoever_lost_a_lease_changes_nothing() {
    let sample = Sample::new().await;
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &[(0, "a", Class::Buyer, 0)]).await;
        let slow = outbox.gets(0).await.expect("work");
        assert!(outbox.gets(9).await.is_none());
        assert_eq!(outbox.next().await, Some(outbox.at(10)));
        let quick = outbox.gets(10).await.expect("the lease ran out");
        assert_eq!((quick.attempts, &quick.id), (2, &slow.id));
        empty.store.postpone(outbox.put_off(&slow, 99)).await.expect("answers");
        let parked = vec![(slow.id.clone(), slow.token.clone(), "no".to_owned())];
        outbox.commit(Commit { parked, ..Commit::default() }).await;
        outbox.done(&slow).await;
        assert_eq!((outbox.count().await, outbox.next().await), ((1, 0), Some(outbox.at(20))));
        outbox.done(&quick).await;
        assert_eq!((outbox.count().await, outbox.next().await), ((0, 0), None));
    }
}

#[tokio::test]
async fn what_is_put_off_comes_again_with_its_reason_and_its_count() {
    let sample = Sample::new().await;
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &[(0, "a", Class::Buyer, 0)]).await;
        let leased = outbox.gets(0).await.expect("work");
        empty.store.postpone(outbox.put_off(&leased, 7)).await.expect("writes");
        let work = outbox.work().await;
        assert_eq!((work[0].due_at, work[0].attempts, &work[0].why[..]), (outbox.at(7), 1, "busy"));
        assert!(outbox.gets(6).await.is_none());
        let leased = outbox.gets(7).await.expect("work");
        assert_eq!(leased.attempts, 2);
        // Asked to slow down: it does not count.
        let put_off = PutOff { counts: false, ..outbox.put_off(&leased, 8) };
        empty.store.postpone(put_off).await.expect("writes");
        let leased = outbox.gets(8).await.expect("work");
        assert_eq!((leased.attempts, leased.generation), (2, 0));
        // Another request: everything is counted anew.
        let put_off = PutOff { body: Some(json!([2])), ..outbox.put_off(&leased, 9) };
        empty.store.postpone(put_off).await.expect("writes");
        let leased = outbox.gets(9).await.expect("work");
        assert_eq!((leased.attempts, leased.generation, leased.body), (1, 1, json!([2])));
    }
}

#[tokio::test]
async fn what_is_given_up_leaves_its_lane_until_a_person_wants_it_again() {
    let sample = Sample::new().await;
    let pieces = [(0, "a", Class::Buyer, 0), (1, "a", Class::Close, 0)];
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &pieces).await;
        let leased = outbox.gets(0).await.expect("work");
        let parked = vec![(leased.id.clone(), leased.token.clone(), "no such item".to_owned())];
        outbox.commit(Commit { parked, ..Commit::default() }).await;
        assert_eq!(outbox.count().await, (1, 1));
        let parked = empty.store.parked().await.expect("reads");
        assert_eq!((parked.len(), &parked[0].id), (1, &outbox.id(0)));
        assert_eq!((&parked[0].why[..], parked[0].queued_at), ("no such item", outbox.at(0)));
        let work = outbox.work().await;
        assert_eq!(work.iter().map(|one| one.parked).collect::<Vec<_>>(), [true, false]);
        let behind = outbox.gets(1).await.expect("work");
        assert_eq!(behind.id, outbox.id(1), "the lane goes on");
        assert!(outbox.gets(60).await.is_some(), "and is not given up with it");

        assert!(!empty.store.retry(outbox.id(1), outbox.at(70)).await.expect("answers"));
        assert!(empty.store.retry(outbox.id(0), outbox.at(70)).await.expect("writes"));
        assert!(!empty.store.retry(outbox.id(0), outbox.at(70)).await.expect("answers"));
        assert_eq!(outbox.count().await, (2, 0));
        let again = outbox.gets(70).await.expect("work");
        assert_eq!((again.id, again.attempts), (outbox.id(0), 1));
    }
}

#[tokio::test]
async fn leases_of_whoever_is_gone_are_ended_for_one_target_alone() {
    let sample = Sample::new().await;
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &[(0, "a", Class::Buyer, 0)]).await;
        outbox.gets(0).await.expect("work");
        empty.store.end_leases("square", outbox.at(1)).await.expect("writes");
        assert!(outbox.gets(1).await.is_none());
        empty.store.end_leases(TARGET, outbox.at(1)).await.expect("writes");
        assert_eq!(outbox.gets(1).await.expect("work").attempts, 2);
        let others = empty.store.next_effect("square").await.expect("reads");
        assert_eq!(others, None);
    }
}

#[tokio::test]
async fn many_workers_at_once_never_get_the_same_piece() {
    let sample = Sample::new().await;
    let lanes = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let pieces: Vec<Piece> =
        lanes.iter().enumerate().map(|(n, lane)| (n, *lane, Class::Buyer, 0)).collect();
    for empty in Empty::all().await {
        let outbox = Outbox::with(&empty, &sample, &pieces).await;
        let programs = empty.programs().await;
        let asks: Vec<_> = (0..30)
            .map(|n| {
                let store = programs[n % programs.len()].clone();
                let ask = LeaseAsk {
                    target: TARGET.to_owned(),
                    now: outbox.at(0),
                    until: outbox.at(10),
                    token: format!("worker-{n}"),
                    first: None,
                };
                tokio::spawn(async move { store.lease(ask).await })
            })
            .collect();
        let mut got = BTreeSet::new();
        for ask in asks {
            let leased: Result<_, StoreError> = ask.await.expect("no panic");
            if let Some(leased) = leased.expect("answers") {
                assert!(got.insert(leased.id.clone()), "{:?} twice", leased.id);
            }
        }
        assert_eq!(got.len(), lanes.len(), "{:?}", empty.engine);
    }
}
