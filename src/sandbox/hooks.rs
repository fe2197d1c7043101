//! Delivers the sandbox's webhooks: signed, over HTTP, again until they are taken.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Service, book::LedgerError};
use crate::{
    clock::Span,
    provider::{sandbox::NAME, signature::sign_standard},
    store::Doc,
};

/// Look again after this long, whatever the bell says.
const LONGEST_SLEEP: Span = Span::from_secs(5);

/// Deliveries under way at a time.
const CONCURRENT_MAX: usize = 8;

impl Service {
    /// Delivers what is due; says how many deliveries were tried.
    ///
    /// # Errors
    /// If the books cannot be read or written.
    pub async fn deliver_due(&self) -> Result<usize, String> {
        let (due, _) = self.ledger.due_hooks().await.map_err(|error| error.to_string())?;
        for group in due.chunks(CONCURRENT_MAX) {
            let deliveries = group.iter().map(|(doc, hook)| async move {
                let arrived = self.deliver(doc, &hook.event).await;
                self.ledger.settle_hook(doc, hook, arrived).await
            });
            for settled in join_all(deliveries).await {
                settled.map_err(|error: LedgerError| error.to_string())?;
            }
        }
        Ok(due.len())
    }

    async fn deliver(&self, doc: &Doc, event: &serde_json::Value) -> bool {
        let body = event.to_string().into_bytes();
        let now = self.ledger.clock.wall();
        // Two copies of one event carry the same id, as a provider's redeliveries do.
        let id = event["id"].as_str().unwrap_or(&doc.id);
        let request = self
            .client
            .post(format!("http://{}/webhooks/{NAME}", self.access.address))
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", now.seconds().to_string())
            .header("webhook-signature", sign_standard(&self.access.webhook_key, id, now, &body))
            .body(body);
        match request.send().await {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::warn!(status = %answer.status(), id, "a sandbox webhook was turned away");
                false
            }
            Err(error) => {
                tracing::warn!(%error, id, "a sandbox webhook did not arrive");
                false
            }
        }
    }

    /// Delivers webhooks until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.deliver_due().await {
                tracing::error!(%error, "sandbox webhooks could not be delivered");
            }
            let now = self.ledger.clock.now();
            let latest = now + LONGEST_SLEEP;
            let next = match self.ledger.due_hooks().await {
                Ok((due, next)) if due.is_empty() => next.map_or(latest, |at| at.min(latest)),
                Ok(_) => continue,
                Err(_) => latest,
            };
            tokio::select! {
                () = self.ledger.clock.sleep_until(next) => {}
                () = self.bell.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
