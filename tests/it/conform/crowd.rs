//! A flash crowd: everybody comes within seconds, webhooks are late, the provider takes its time.
//! How many payments come beyond the stock is a figure; that each goes back is a promise.

use livetill::{
    clock::{Clock, Span},
    id::Entropy,
};

use super::{
    shop::Shop,
    till::{Event, Start},
};
use crate::world::{Browser, Seeded};

/// People, and units for them.
pub const PEOPLE: u32 = 150;
pub const UNITS: u32 = 15;

/// All come within this time of the opening.
const COME_WITHIN_MS: u64 = 8_000;

/// From standing before the page to having paid: a quick wallet, or a card to be fetched.
const PAY_AFTER_MS: (u64, u64) = (6_000, 36_000);

/// Webhooks take up to this long.
const TOLD_WITHIN_MS: u64 = 6_000;

/// The provider's own calls take effect after this.
const LATENCY: Span = Span::from_millis(800);

/// The program asks as often as it does when running.
const ASK_EVERY_MS: u64 = 3_000;

/// What became of the crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rush {
    /// Payments in all.
    pub payments: u32,
    /// Of these, beyond the stock.
    pub surplus: u32,
}

/// What happens next in the simulation.
enum Next {
    Comes(u32),
    Pays(u32),
    Told(Event),
    Asked,
}

fn name(n: u32) -> String {
    format!("viewer{n}")
}

/// Plays the crowd and holds the shop to its promises.
pub async fn rush(start: Start) -> Rush {
    let random = Seeded::new(11);
    let within = |from: u64, to: u64| {
        let bytes = random.bytes();
        let number = u64::from_be_bytes(bytes[..8].try_into().expect("eight"));
        from + number % (to - from)
    };
    let mut shop = Shop::with(start, UNITS, |till| till.be_slow(LATENCY)).await;
    shop.opens().await;
    // One store of connections; each clone keeps its own cookie.
    let visitor = Browser::new();
    shop.world.browsers.extend((0..PEOPLE).map(|n| (name(n), visitor.clone())));
    let began = shop.world.clock.now();
    let mut line: Vec<(u64, Next)> =
        (0..PEOPLE).map(|n| (within(0, COME_WITHIN_MS), Next::Comes(n))).collect();
    let over = COME_WITHIN_MS + PAY_AFTER_MS.1 + 2 * TOLD_WITHIN_MS;
    line.extend((1..over / ASK_EVERY_MS).map(|n| (n * ASK_EVERY_MS, Next::Asked)));
    while !line.is_empty() {
        // Stable: what is due at the same moment happens in the order it came up.
        line.sort_by_key(|(at, _)| *at);
        let (at, next) = line.remove(0);
        let due = began + Span::from_millis(i64::try_from(at).expect("small"));
        let wait = due.since(shop.world.clock.now());
        shop.world.advance(wait).await;
        match next {
            Next::Comes(n) => {
                if shop.comes(&name(n)).await {
                    line.push((at + within(PAY_AFTER_MS.0, PAY_AFTER_MS.1), Next::Pays(n)));
                }
            }
            Next::Pays(n) => {
                shop.pays_silently(&name(n)).await;
                for event in shop.till.events(&shop.world).await {
                    line.push((at + within(0, TOLD_WITHIN_MS), Next::Told(event)));
                }
            }
            Next::Told(event) => assert_eq!(shop.send(&event).await, 200),
            Next::Asked => shop.asks().await,
        }
    }
    shop.ends().await;
    settled(shop).await
}

/// Exactly the stock is kept, and every cent beyond it went back.
async fn settled(shop: Shop) -> Rush {
    let fates = shop.fates().await;
    let count = |word| u32::try_from(fates.iter().filter(|fate| **fate == word).count());
    let kept = count("kept").expect("small");
    let surplus = count("refunded").expect("small");
    assert_eq!((kept, kept + surplus), (UNITS, u32::try_from(fates.len()).expect("small")));
    assert_eq!(shop.world.newest().paid, UNITS);
    let sums = shop.till.sums(&shop.world).await;
    assert_eq!(sums.paid, 1800 * i64::from(kept + surplus));
    assert_eq!(sums.back, 1800 * i64::from(surplus));
    if !shop.is_shared() {
        assert_eq!(surplus, 0, "who holds no unit has no page to pay");
    }
    shop.done().await;
    Rush { payments: kept + surplus, surplus }
}

pub async fn every_payment_beyond_the_stock_goes_back(start: Start) {
    let rush = rush(start).await;
    println!(
        "{PEOPLE} people for {UNITS} units: {} payments, {} of them surplus, all refunded",
        rush.payments, rush.surplus
    );
}
