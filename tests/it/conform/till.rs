//! What the suite asks of a provider's stand-in: to play its troubles, to let buyers pay, and to
//! open its books. It knows nothing of what must come of it.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use livetill::{clock::Span, sale::template::CheckoutShape};

use crate::world::{ManualClock, Setup, World, client};

pub mod noventiq;
pub mod polar;
pub mod sandbox;
pub mod square;

/// Starts a stand-in that keeps this time.
pub type Start = fn(Arc<ManualClock>) -> BoxFuture<'static, Arc<dyn Till>>;

/// A webhook on its way.
#[derive(Clone, Debug)]
pub struct Event {
    /// The provider's id of it.
    pub id: String,
    /// What it says, as JSON.
    pub body: Vec<u8>,
}

/// What moved at the provider, in cents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Paid by buyers.
    pub paid: i64,
    /// Given back to them.
    pub back: i64,
}

/// Something an account lacks, each told by its own line of `livetill check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lack {
    Token,
    Currency,
    Webhook,
}

/// How an account is told about.
pub struct Account {
    /// The key of the line that says how it is.
    pub key: &'static str,
    /// Secrets that the environment sets anew.
    pub environment: Vec<(&'static str, &'static str)>,
}

/// A provider's stand-in, whatever the provider.
#[async_trait]
pub trait Till: Send + Sync {
    /// The provider's name in configurations.
    fn name(&self) -> &'static str;

    /// One page per buyer, or one for all.
    fn shape(&self) -> CheckoutShape;

    /// The lines of `[providers.<name>]`.
    fn config(&self) -> String;

    /// Lines that every template of this provider needs at its end.
    fn options(&self) -> &'static str {
        ""
    }

    /// Names and values that come from the environment.
    fn secrets(&self) -> Vec<(&'static str, String)>;

    /// Stands between the program and its provider, where the stand-in is the program's own.
    fn stand_between(&self, setup: &mut Setup) {
        let _ = setup;
    }

    /// Answers nothing any more, or again.
    fn be_away(&self, away: bool);

    /// About every n-th change is done and its answer lost; 0 for none.
    fn lose_answers(&self, every: u64);

    /// Refuses to close pages from now on. Some can be told before the sale only, and for good.
    fn refuse_to_close(&self, refuse: bool);

    /// What we change takes effect that much later, where it can be told so.
    fn be_slow(&self, latency: Span) {
        let _ = latency;
    }

    /// Where a link of an earlier life of the program leads now.
    fn reach(&self, world: &World, link: String) -> String {
        let _ = world;
        link
    }

    /// People at the provider do what was asked of them, like a refund.
    async fn people_work(&self, world: &World) {
        let _ = world;
    }

    /// A buyer presses *Pay*; whether money moved. Nobody is told yet.
    async fn press(&self, world: &World, page: &str) -> bool;

    /// Money moves on a page whatever its rules say, and as much as is said.
    async fn force(&self, world: &World, page: &str, cents: Option<i64>);

    /// Takes the webhooks that are on their way.
    async fn events(&self, world: &World) -> Vec<Event>;

    /// The headers of a webhook, rightly signed now.
    async fn sign(&self, world: &World, event: &Event) -> Vec<(&'static str, String)>;

    /// The news of a payment, as it were of something else that the account sells.
    fn foreign(&self, event: &Event) -> Event;

    /// Whether it is the news that a payment is complete.
    fn is_payment(&self, event: &Event) -> bool;

    /// Pages that were ever made, whatever became of them.
    async fn pages(&self, world: &World) -> usize;

    /// What there still is of ours, and what of our calls was wrong.
    async fn left(&self, world: &World) -> Vec<String>;

    /// What moved.
    async fn sums(&self, world: &World) -> Sums;

    /// Calls to its API so far.
    fn calls(&self) -> usize;

    /// Puts the account in order, or has it lack something; `None` if there is none.
    fn account(&self, lack: Option<Lack>) -> Option<Account>;
}

/// Sends a form to a page of the stand-in's, as a buyer's browser does; answers the status.
async fn post(world: &World, url: String, form: &'static [(&'static str, &'static str)]) -> u16 {
    let send = async move {
        let request = client().post(url).form(form);
        request.send().await.expect("the page answers").status().as_u16()
    };
    world.during(send).await
}

/// The last part of an address.
fn last(page: &str) -> &str {
    page.rsplit('/').next().expect("a part")
}
