//! The token: fetched once, renewed in time and when it is refused.

use std::time::Duration;

use livetill::provider::{Provider, StatusAsk};

use crate::{
    noventiq::{
        doctor::account,
        fake::{Fake, PASSWORD},
        shop::{KEYS, Shop},
    },
    world::{ManualClock, mins, secs},
};

const LOGIN: &str = "POST /v1/login_check";

#[tokio::test]
async fn many_calls_at_once_log_in_once() {
    let fake = Fake::start(ManualClock::new()).await;
    fake.books().faults.latency = Duration::from_millis(50);
    let noventiq = account(&fake, PASSWORD);
    let ask = StatusAsk::default();
    let all = (0..8).map(|_| noventiq.status(&ask));
    for answer in futures_util::future::join_all(all).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!((fake.calls(LOGIN), fake.calls("POST /v1/order/search")), (1, 8));
    // One that was refused is replaced once, too.
    fake.books().tokens.clear();
    let all = (0..8).map(|_| noventiq.status(&ask));
    for answer in futures_util::future::join_all(all).await {
        assert!(answer.is_ok(), "{answer:?}");
    }
    assert_eq!(fake.calls(LOGIN), 2);
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_for_every_call() {
    let fake = Fake::start(ManualClock::new()).await;
    let noventiq = account(&fake, "wrong");
    for _ in 0..5 {
        assert!(noventiq.status(&StatusAsk::default()).await.is_err());
    }
    assert_eq!((fake.calls(LOGIN), fake.calls("POST /v1/order/search")), (1, 0));
}

#[tokio::test]
async fn a_token_that_ends_in_mid_sale_is_renewed() {
    let mut shop = Shop::new(KEYS).await;
    shop.opens().await;
    shop.world.clicks("ana").await;
    // Before its time: the service forgot it.
    for token in shop.noventiq.books().tokens.values_mut() {
        *token = 0;
    }
    shop.pays("ana").await;
    assert_eq!((shop.world.newest().paid, shop.noventiq.calls(LOGIN)), (1, 2));
    shop.world.clicks("bo").await;
    shop.pays("bo").await;
    assert_eq!((shop.world.newest().paid, shop.noventiq.calls(LOGIN)), (2, 2));
    shop.passes(mins(13)).await;
    // At its time: renewed before anything is refused.
    shop.world.advance(mins(23 * 60)).await;
    let refused = shop.noventiq.calls("POST /v1/generate_buy_link");
    shop.says("!sale start keys 10m").await;
    assert_eq!(shop.noventiq.calls(LOGIN), 3);
    assert_eq!(shop.noventiq.calls("POST /v1/generate_buy_link"), refused + 1);
    shop.passes(secs(3)).await;
    shop.world.clicks("cy").await;
    shop.pays("cy").await;
    assert_eq!(shop.world.newest().paid, 1);
    shop.passes(mins(13)).await;
    shop.world.heard();
    shop.done().await;
}
