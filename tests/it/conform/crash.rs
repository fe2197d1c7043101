//! The crash matrix on every provider's stand-in: the program dies after its n-th commit or its
//! n-th effect, and the provider, which goes on, is found in order all the same. A seeded sample;
//! with `LIVETILL_TEST_KILLS` at 100 or more, every single step.

use std::{sync::Arc, time::Duration};

use livetill::{
    clock::Span,
    id::Entropy,
    reconcile::{Round, sweep},
};

use super::{
    shop::Shop,
    till::{Start, Till},
};
use crate::{
    crash::{Count, Fuse, setup},
    world::{Browser, Seeded, Setup, mins, secs},
};

/// Steps tried of each count, in the sample.
const SAMPLE: usize = 3;

/// From this many kills on all are meant.
const ALL_FROM: u32 = 100;

const STOCK: u32 = 2;

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
        if shop.comes(who).await {
            self.browsers.push((who, shop.world.browser(who)));
        }
    }

    /// Pays once, however late; what the provider tells of it may get lost.
    async fn pays(&mut self, shop: &mut Shop, who: &'static str) {
        let has_page = self.browsers.iter().any(|(name, _)| *name == who);
        if has_page && !self.paid.contains(&who) {
            self.paid.push(who);
            shop.pays_against_the_rules(who, None).await;
        }
    }
}

async fn later(shop: &mut Shop) {
    shop.world.advance(mins(4)).await;
    shop.asks().await;
    shop.deliver().await;
    shop.till.people_work(&shop.world).await;
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
    // Twice: what was found may be refunded, and that takes people.
    for _ in 0..2 {
        sweep(&shop.world.app.engine, Round::All).await.expect("asks");
        shop.world.runs_out().await;
        shop.till.people_work(&shop.world).await;
    }
}

/// One life in a runtime of its own, so that nothing of it survives; answers whether it crashed.
fn live(setup: Setup, till: &Arc<dyn Till>, fuse: &Arc<Fuse>, people: &mut People) -> bool {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let crashed = runtime.block_on(async {
        let blown = fuse.blown.notified();
        tokio::pin!(blown);
        blown.as_mut().enable();
        tokio::select! {
            () = async {
                let mut shop = Shop::build(setup, till.clone(), STOCK).await;
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
fn crash_after(start: Start, n: i64, count: Count) -> bool {
    let base = Setup::new("");
    // The provider lives on.
    let provider = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let till = provider.block_on(start(base.clock.clone()));
    let mut people = People::default();
    let fuse = Fuse::new(n);
    let crashed = live(setup("", count, &fuse, &base), &till, &fuse, &mut people);
    let forever = Fuse::new(i64::MAX);
    if crashed {
        base.clock.advance(Span::from_millis(50));
        let second = setup("", count, &forever, &base);
        assert!(!live(second, &till, &forever, &mut people), "{count:?} {n}");
    }
    let judge = tokio::runtime::Runtime::new().expect("a runtime");
    judge.block_on(async {
        let last = setup("", count, &forever, &base);
        let mut shop = Shop::build(last, till.clone(), STOCK).await;
        shop.world.heard();
        assert_eq!(shop.world.app.engine.views().all().len(), 1, "{n} {count:?}: one sale");
        let view = shop.world.newest();
        assert!(view.closed && view.paid <= STOCK, "crash after {n} {count:?}: {view:?}");
        // Whoever paid has the goods or the money back.
        let sums = till.sums(&shop.world).await;
        assert_eq!(sums.paid - sums.back, 1800 * i64::from(view.paid), "{n} {count:?}: {sums:?}");
        shop.done().await;
    });
    crashed
}

/// Every step there is, several at once: each is mostly waiting.
fn whole(start: Start, count: Count) -> i64 {
    let mut n = 1;
    loop {
        let threads: Vec<_> =
            (n..n + 4).map(|n| std::thread::spawn(move || crash_after(start, n, count))).collect();
        let crashed: Vec<bool> =
            threads.into_iter().map(|thread| thread.join().expect("the matrix holds")).collect();
        n += 4;
        if crashed.contains(&false) {
            return n;
        }
    }
}

pub fn any_step_may_be_the_last(start: Start) {
    let kills = std::env::var("LIVETILL_TEST_KILLS").ok().and_then(|n| n.parse().ok());
    let all = kills.unwrap_or(0) >= ALL_FROM;
    let random = Seeded::new(5);
    for (count, steps) in [(Count::Commits, 24), (Count::Effects, 8)] {
        if all {
            let n = whole(start, count);
            assert!(n > steps, "the evening has more steps than {n}");
            continue;
        }
        let sample = (0..SAMPLE).map(|_| 1 + i64::from(random.bytes()[0]) % steps);
        for n in sample {
            assert!(crash_after(start, n, count), "the evening has more steps than {n}");
        }
    }
}
