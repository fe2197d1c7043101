//! The crash matrix on Square: the program dies after its n-th commit or its n-th effect, and
//! Square, which goes on, is found in order all the same.

use std::{sync::Arc, time::Duration};

use crate::{
    crash::{Count, Fuse, setup},
    square::{
        fake::Fake,
        shop::{MUG, Shop, config},
    },
    world::{Browser, Setup, mins, secs},
};

/// What the people around remember over crashes.
#[derive(Default)]
struct People {
    browsers: Vec<(&'static str, Browser)>,
    paid: Vec<&'static str>,
}

impl People {
    async fn comes(&mut self, shop: &mut Shop, who: &'static str) {
        if let Some((_, browser)) = self.browsers.iter().find(|(name, _)| *name == who) {
            shop.world.browsers.insert(who.to_owned(), browser.clone());
            return;
        }
        shop.world.clicks(who).await;
        let browser = shop.world.browser(who);
        if browser.at.as_ref().is_some_and(|at| at.starts_with(&shop.square.url)) {
            self.browsers.push((who, browser));
        }
    }

    /// Pays once, at Square, however late; what Square tells of it may get lost.
    async fn pays(&mut self, shop: &mut Shop, who: &'static str) {
        let has_page = self.browsers.iter().any(|(name, _)| *name == who);
        if has_page && !self.paid.contains(&who) {
            self.paid.push(who);
            let order = shop.order_of(who);
            shop.square.books().pay(&order);
            shop.deliver().await;
        }
    }
}

async fn later(shop: &mut Shop) {
    shop.world.advance(mins(4)).await;
    shop.asks().await;
    shop.deliver().await;
}

/// Two units: Ana pays, Bo's time runs out, Cy takes and pays his, Bo pays all the same.
async fn evening(shop: &mut Shop, people: &mut People) {
    for _ in 0..2 {
        // A moderator who got no answer looks, and types again.
        if shop.world.app.engine.views().all().is_empty() {
            shop.world.says_quietly("!sale start mug 10m").await;
        }
    }
    shop.world.advance(secs(5)).await;
    people.comes(shop, "ana").await;
    people.comes(shop, "bo").await;
    people.pays(shop, "ana").await;
    later(shop).await;
    people.comes(shop, "cy").await;
    people.pays(shop, "cy").await;
    people.pays(shop, "bo").await;
    for _ in 0..4 {
        later(shop).await;
    }
    shop.world.runs_out().await;
    shop.asks().await;
    shop.world.runs_out().await;
}

/// One life in a runtime of its own, so that nothing of it survives; answers whether it crashed.
fn live(setup: Setup, fake: &Fake, fuse: &Arc<Fuse>, people: &mut People) -> bool {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let crashed = runtime.block_on(async {
        let blown = fuse.blown.notified();
        tokio::pin!(blown);
        blown.as_mut().enable();
        tokio::select! {
            () = async {
                let mut shop = Shop::build(setup, fake.clone()).await;
                evening(&mut shop, people).await;
                shop.world.app.stop().await;
            } => false,
            () = blown => true,
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
    crashed
}

/// Runs the evening with a crash after `n` steps; answers whether the crash came at all.
fn crash_after(n: i64, count: Count) -> bool {
    let base = Setup::new("");
    let square = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let fake = square.block_on(Fake::start(base.clock.clone()));
    fake.books().faults.delete_lies = true;
    let two = MUG.replace("stock = 3", "stock = 2").replace("warm = 0", "warm = 1");
    let text = config(&fake, &two, "");
    let mut people = People::default();
    let fuse = Fuse::new(n);
    let crashed = live(setup(&text, count, &fuse, &base), &fake, &fuse, &mut people);
    if crashed {
        base.clock.advance(livetill::clock::Span::from_millis(50));
        let forever = Fuse::new(i64::MAX);
        let second = setup(&text, count, &forever, &base);
        assert!(!live(second, &fake, &forever, &mut people), "{count:?} {n}");
    }
    let judge = tokio::runtime::Runtime::new().expect("a runtime");
    judge.block_on(async {
        let forever = Fuse::new(i64::MAX);
        let mut shop = Shop::build(setup(&text, count, &forever, &base), fake.clone()).await;
        shop.world.heard();
        let view = shop.world.newest();
        assert!(view.closed && view.paid <= 2, "crash after {n} {count:?}: {view:?}");
        // Whoever paid has the goods or the money back.
        let (payments, refunds) = (fake.books().payments.len(), fake.books().refunds.len());
        assert_eq!(payments - refunds, view.paid as usize, "crash after {n} {count:?}");
        shop.done().await;
    });
    crashed
}

fn whole_matrix(count: Count, at_least: i64) {
    let mut n = 1;
    loop {
        let threads: Vec<_> =
            (n..n + 4).map(|n| std::thread::spawn(move || crash_after(n, count))).collect();
        let crashed: Vec<bool> =
            threads.into_iter().map(|thread| thread.join().expect("the matrix holds")).collect();
        n += 4;
        if crashed.iter().any(|crashed| !crashed) {
            break;
        }
    }
    assert!(n > at_least, "the evening has more steps than {n}");
}

#[test]
fn every_commit_may_be_the_last_on_square() {
    whole_matrix(Count::Commits, 30);
}

#[test]
fn every_effect_may_be_the_last_on_square() {
    whole_matrix(Count::Effects, 8);
}
