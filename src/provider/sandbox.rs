//! A provider to try things out with: real pages, real webhooks, no real money.
//!
//! The service runs inside this program (`crate::sandbox`); this speaks to it over HTTP like to any
//! other provider, and knows nothing more.

mod adapter;
mod settings;
mod spec;

use std::{net::SocketAddr, time::Duration};

pub use self::settings::{Faults, Settings};
use crate::{
    clock::Span,
    sale::template::{Capabilities, RefundKind},
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

/// How the service is reached.
#[derive(Clone)]
pub struct Access {
    /// Address of our own listener.
    pub address: SocketAddr,
    /// Opens its API.
    pub token: String,
    /// Key for its webhooks' signatures.
    pub webhook_key: Vec<u8>,
}

/// The sandbox as a provider.
pub struct Sandbox {
    client: reqwest::Client,
    base: String,
    token: String,
    webhook_key: Vec<u8>,
}

impl Sandbox {
    /// A provider for the service that is reached that way.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(access: Access) -> Result<Self, reqwest::Error> {
        let Access { address, token, webhook_key } = access;
        let base = format!("http://{address}/sandbox");
        Ok(Self { client: client()?, base, token, webhook_key })
    }
}

/// A client for calls within this machine.
pub(crate) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(CALL_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
}
