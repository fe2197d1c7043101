//! The service behind the provider `sandbox`: real pages, real webhooks, no real money.
//!
//! It runs inside this program and keeps its own books; its adapter speaks to it over HTTP like to
//! any other provider.

mod book;
mod faults;
mod hooks;
mod ledger;
mod outgoing;
mod past;
mod web;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use self::ledger::Ledger;
use crate::{
    clock::Clock,
    id::Entropy,
    provider::sandbox::{Access, Settings, client},
    store::Store,
};

/// What the sandbox needs.
pub struct Setup {
    /// Where it keeps its books.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// How it behaves.
    pub settings: Settings,
    /// How its adapter reaches it.
    pub access: Access,
    /// What browsers call our listener.
    pub public_url: String,
}

/// The service.
pub struct Service {
    ledger: Ledger,
    access: Access,
    public_url: String,
    client: reqwest::Client,
    /// Rung when a webhook was queued.
    bell: Notify,
    calls_per_second: u32,
    calls: Mutex<(i64, u32)>,
}

impl Service {
    /// A service that goes on with what its books hold.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(setup: Setup) -> Result<Arc<Self>, reqwest::Error> {
        let Settings { faults, fee, calls_per_second, .. } = setup.settings;
        let (store, clock, entropy) = (setup.store, setup.clock, setup.entropy);
        Ok(Arc::new(Self {
            ledger: Ledger { store, clock, entropy, faults, fee },
            access: setup.access,
            public_url: setup.public_url,
            client: client()?,
            bell: Notify::new(),
            calls_per_second,
            calls: Mutex::new((0, 0)),
        }))
    }

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
