//! What several replicas hear and say: each line acted on once, answered once, said by one.

use std::{collections::BTreeSet, sync::atomic::Ordering};

use livetill::{
    platform::{Heard, Wish, console::message},
    room::{Message, Room},
};

use super::Three;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_three_replicas_hear_is_done_once_and_answered_once() {
    let three = Three::new().await;
    let senders = three.apps.iter().filter(|app| app.engine.acts_for("say:twitch")).count();
    assert_eq!(senders, 1, "one sends to the account");
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    three.everybody_hears("m2", "!sale status").await;
    three.everybody_hears("m3", "!sale dance").await;
    let sale = three.apps[0].engine.views().all()[0].id;
    let wish = Wish {
        id: "press".into(),
        room: "twitch:ana".parse().expect("a room"),
        user: message("x".into(), "bo> hi").user,
        sale,
        delivery: None,
        units: None,
        roles: Vec::new(),
    };
    for ear in &three.ears {
        ear.send(Heard::Wants(wish.clone())).await.expect("listens");
    }
    three.until("it is granted", |three| !three.said("grant").is_empty()).await;
    three.until("two are left", |three| !three.said("show 2").is_empty()).await;
    three.quiet().await;
    for (part, times) in
        [("reply Preparing", 1), ("SALE OPEN", 1), ("grant yours", 1), ("grant", 1), ("reply", 3)]
    {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    // Everybody shows the same.
    let views: BTreeSet<(u64, u32)> = three
        .apps
        .iter()
        .map(|app| app.engine.views().get(sale).expect("known everywhere"))
        .map(|view| (view.revision, view.left))
        .collect();
    assert_eq!(views.len(), 1, "{views:?}");
    // Notices, shows and answers all came from the one whose turn it is.
    let speakers: BTreeSet<usize> = three
        .said("")
        .into_iter()
        .filter(|(_, line)| !line.starts_with("grant"))
        .map(|(replica, _)| replica)
        .collect();
    assert_eq!(speakers.into_iter().collect::<Vec<_>>(), [three.sender().expect("one")]);
    three.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_sender_leaves_another_speaks_and_nothing_is_said_twice() {
    let three = Three::new().await;
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    let first = three.sender().expect("one");
    three.apps[first].stop().await;
    three.until("another has the turn", |three| three.sender().is_some_and(|n| n != first)).await;
    let second = three.sender().expect("one");
    // Whoever left hears nothing any more.
    let room: Room = "twitch:ana".parse().expect("a room");
    let stop = Message { room, ..message("m2".into(), "!sale stop") };
    for (n, ear) in three.ears.iter().enumerate() {
        if n != first {
            ear.send(Heard::Said(stop.clone())).await.expect("listens");
        }
    }
    three.until("it is over", |three| !three.said("CANCELLED").is_empty()).await;
    three.quiet().await;
    assert_eq!(three.said("CANCELLED").len(), 1, "{:#?}", three.said(""));
    assert_eq!(three.said("CANCELLED")[0].0, second);
    assert_eq!(three.said("SALE OPEN").len(), 1, "{:#?}", three.said(""));
    for (n, app) in three.apps.iter().enumerate() {
        if n != first {
            app.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_dies_between_acting_and_answering_makes_nobody_act_again() {
    let three = Three::new().await;
    let first = three.sender().expect("one");
    three.dying[first].store(true, Ordering::SeqCst);
    three.everybody_hears("m1", "!sale start mug 10m").await;
    three.until("it opens", |three| !three.said("SALE OPEN").is_empty()).await;
    three.quiet().await;
    assert_eq!(three.said("reply"), [], "the answer died with it");
    three.apps[first].stop().await;
    three.until("another has the turn", |three| three.sender().is_some_and(|n| n != first)).await;
    // A slash command is heard by whoever acknowledged it, whether or not it has the turn.
    let second = three.sender().expect("one");
    let third = 3 - first - second;
    let room: Room = "twitch:ana".parse().expect("a room");
    let pause = Message { aside: true, room, ..message("m2".into(), "!sale pause") };
    three.ears[third].send(Heard::Said(pause)).await.expect("listens");
    three.until("it is answered", |three| !three.said("reply Paused #1").is_empty()).await;
    three.until("it is told", |three| !three.said("PAUSED").is_empty()).await;
    three.quiet().await;
    let replies = three.said("reply");
    assert_eq!((replies.len(), replies[0].0), (1, third), "{replies:?}");
    for (part, times) in [("SALE OPEN", 1), ("notice PAUSED", 1)] {
        assert_eq!(three.said(part).len(), times, "{part}: {:#?}", three.said(""));
    }
    assert_eq!(three.apps[second].engine.views().all().len(), 1, "started once");
    for replica in [second, third] {
        three.apps[replica].stop().await;
    }
}
