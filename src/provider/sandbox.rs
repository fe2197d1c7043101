//! A provider to try things out with: real pages, real webhooks, no real money.
//!
//! The service half (`ledger`, `web`, `hooks`) runs inside this program and keeps its own books;
//! the adapter half speaks to it over HTTP like to any other provider, and knows nothing more.

mod adapter;
mod book;
mod faults;
mod hooks;
mod ledger;
mod outgoing;
mod settings;
mod web;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use self::ledger::Ledger;
pub use self::settings::{Faults, Settings};
use crate::{
    clock::{Clock, Span},
    id::Entropy,
    sale::template::{Capabilities, RefundKind},
    store::Store,
};

/// Its name.
pub const NAME: &str = "sandbox";

/// A call that takes longer has failed.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// What the sandbox can do: everything that the program knows of.
pub fn capabilities() -> Capabilities {
    Capabilities {
        per_buyer: true,
        shared: true,
        revocable: true,
        refund: RefundKind::Instant,
        idempotent: true,
        units: true,
        physical: true,
        any_amount: true,
        add_ons: true,
        prefill: false,
        splits: false,
        real_money: false,
        retire_after: Span::ZERO,
    }
}

/// What the sandbox needs.
pub struct Setup {
    /// Where it keeps its books.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Faults to play.
    pub faults: Faults,
    /// The share of each payment that it keeps as its fee.
    pub fee: f64,
    /// API calls per second before it answers 429.
    pub calls_per_second: u32,
    /// Address of our own listener.
    pub listener: SocketAddr,
    /// What browsers call that listener.
    pub public_url: String,
    /// Key for its webhooks' signatures.
    pub webhook_key: Vec<u8>,
}

/// The service half.
pub struct Service {
    ledger: Ledger,
    token: String,
    public_url: String,
    listener: SocketAddr,
    webhook_key: Vec<u8>,
    client: reqwest::Client,
    /// Rung when a webhook was queued.
    bell: Notify,
    calls_per_second: u32,
    calls: Mutex<(i64, u32)>,
}

/// The adapter half.
pub struct Sandbox {
    client: reqwest::Client,
    base: String,
    token: String,
    webhook_key: Vec<u8>,
}

/// Both halves of a sandbox.
///
/// # Errors
/// If no HTTP client can be made.
pub fn new(setup: Setup) -> Result<(Arc<Sandbox>, Arc<Service>), reqwest::Error> {
    let client = reqwest::Client::builder()
        .timeout(CALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?;
    let token: String = hex::encode(setup.entropy.bytes());
    let adapter = Sandbox {
        client: client.clone(),
        base: format!("http://{}/sandbox", setup.listener),
        token: token.clone(),
        webhook_key: setup.webhook_key.clone(),
    };
    let service = Service {
        ledger: Ledger {
            store: setup.store,
            clock: setup.clock,
            entropy: setup.entropy,
            faults: setup.faults,
            fee: setup.fee,
        },
        token,
        public_url: setup.public_url,
        listener: setup.listener,
        webhook_key: setup.webhook_key,
        client,
        bell: Notify::new(),
        calls_per_second: setup.calls_per_second,
        calls: Mutex::new((0, 0)),
    };
    Ok((Arc::new(adapter), Arc::new(service)))
}

impl Service {
    /// Its pages and its API, to be served under `/sandbox`.
    pub fn routes(self: &Arc<Self>) -> axum::Router {
        web::routes(self.clone())
    }

    /// Listings it still holds: id and sale.
    ///
    /// # Errors
    /// If its books cannot be read.
    pub async fn left_behind(&self) -> Result<Vec<(String, String)>, String> {
        let left = self.ledger.left_behind().await.map_err(|error| error.to_string())?;
        Ok(left.into_iter().map(|(id, listing)| (id, listing.sale)).collect())
    }

    /// Webhooks that are still to be delivered.
    ///
    /// # Errors
    /// If its books cannot be read.
    pub async fn waiting(&self) -> Result<usize, String> {
        let hooks = self.ledger.store.docs(ledger::HOOK, None).await;
        hooks.map(|hooks| hooks.len()).map_err(|error| error.to_string())
    }

    /// Counts a call; past the limit, says after how many seconds to come back.
    fn over_the_limit(&self) -> Option<u32> {
        let second = self.ledger.clock.now().seconds();
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.0 != second {
            *calls = (second, 0);
        }
        calls.1 += 1;
        (calls.1 > self.calls_per_second).then_some(1)
    }
}
