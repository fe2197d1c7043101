//! Delivers the sandbox's webhooks: signed, over HTTP, again until they are taken.

use std::sync::Arc;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::{Service, book::LedgerError};
use crate::{
    clock::{Span, Timestamp},
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

    /// Delivers webhooks until stopped. What could not be noted as delivered is delivered again:
    /// while the books cannot be written, with ever longer pauses.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut failed = 0;
        loop {
            let delivered = self.deliver_due().await;
            failed = if delivered.is_ok() { 0 } else { failed + 1 };
            let next = match delivered {
                Ok(_) => match self.next_at().await {
                    Some(next) => next,
                    None => continue,
                },
                Err(error) => {
                    tracing::error!(%error, "sandbox webhooks could not be delivered");
                    self.ledger.clock.now() + pause_after(failed)
                }
            };
            tokio::select! {
                () = self.ledger.clock.sleep_until(next) => {}
                () = self.bell.notified(), if failed == 0 => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// When to look again; `None` for at once.
    async fn next_at(&self) -> Option<Timestamp> {
        let latest = self.ledger.clock.now() + LONGEST_SLEEP;
        match self.ledger.due_hooks().await {
            Ok((due, next)) if due.is_empty() => Some(next.map_or(latest, |at| at.min(latest))),
            Ok(_) => None,
            Err(_) => Some(latest),
        }
    }
}

/// The pause after so many failures in a row: a second, doubling up to half a minute.
fn pause_after(failed: u32) -> Span {
    Span::from_secs((1_i64 << failed.saturating_sub(1).min(5)).min(30))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use serde_json::json;
    use sqlx::{AnyConnection, Connection, Executor};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::{
        clock::Clock,
        engine::tests::bench::{Counted, Still},
        provider::sandbox::{Access, Settings},
        sandbox::{
            Setup,
            book::Hook,
            ledger::{HOOK, change},
        },
        store::{self, Store},
    };

    /// Takes every webhook, and counts them.
    async fn takes_all(listener: TcpListener, taken: Arc<AtomicU32>) {
        loop {
            let (mut socket, _) = listener.accept().await.expect("a connection");
            taken.fetch_add(1, Ordering::SeqCst);
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            let _ = socket.write_all(answer).await;
        }
    }

    #[tokio::test]
    async fn what_cannot_be_noted_as_delivered_is_not_delivered_again_without_a_pause() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}", dir.path().join("x.db").display());
        let books = Arc::new(store::open(&url, store::Access::Write).await.expect("a store"));
        let hook = Hook { event: json!({"id": "e"}), due_at: Timestamp::default(), attempts: 0 };
        let put = books.put_docs(vec![change(HOOK, "h", "e", 0, &hook)]).await;
        assert!(put.expect("written"));
        let mut raw = AnyConnection::connect(&url).await.expect("opens");
        let refuses = "create trigger refuses before delete on document begin \
                       select raise(abort, 'no'); end";
        raw.execute(refuses).await.expect("made");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let taken = Arc::new(AtomicU32::new(0));
        let taker = tokio::spawn(takes_all(listener, taken.clone()));
        let clock = Arc::new(Still::at(Timestamp::from_millis(1_767_225_600_000)));
        let service = Service::new(Setup {
            store: books,
            clock: clock.clone(),
            entropy: Arc::new(Counted::default()),
            settings: Settings::default(),
            access: Access { address, token: "t".to_owned(), webhook_key: vec![1; 32] },
            public_url: "http://127.0.0.1".to_owned(),
        });
        let (begun, stop) = (clock.now(), CancellationToken::new());
        let run = tokio::spawn(service.expect("a service").run(stop.clone()));
        while taken.load(Ordering::SeqCst) < 8 {
            tokio::task::yield_now().await;
        }
        stop.cancel();
        run.await.expect("no panic");
        taker.abort();
        let took = clock.now().since(begun);
        assert!(took >= Span::from_secs(1 + 2 + 4 + 8 + 16 + 30), "{took} for eight deliveries");
    }
}
