//! A world whose shop runs on the stand-in for Polar.

use livetill::{
    clock::{Clock, Span},
    provider::signature::sign_standard,
    reconcile::{Round, sweep},
};
use serde_json::Value;

use super::fake::{Books, Fake, TOKEN};
use crate::{
    books::{Entry, agree},
    world::{Answer, Setup, World, client, secs},
};

pub const SECRET: &str = "whsec_polarExampleSecret0123456789abcdefgh";

/// Three licences, a page for each buyer.
pub const PLAN: &str = r#"
[templates.plan]
provider = "polar"
title = "Brush Pack"
price = "18.00"
stock = 3
warm = 0
max_stock = 100
max_duration = "30m"
"#;

pub struct Shop {
    pub world: World,
    pub polar: Fake,
}

/// A configuration for that stand-in; `polar` are more lines for `[providers.polar]`.
pub fn config(fake: &Fake, templates: &str, polar: &str) -> String {
    format!(
        "[providers.polar]\napi_url = \"{}\"\ncalls_per_second = 100000\n{polar}\n{templates}",
        fake.url
    )
}

impl Shop {
    pub async fn new(templates: &str) -> Self {
        Self::with(templates, "").await
    }

    /// `polar` are more lines for `[providers.polar]`.
    pub async fn with(templates: &str, polar: &str) -> Self {
        let mut setup = Setup::new("");
        let fake = Fake::start(setup.clock.clone()).await;
        setup.config = config(&fake, templates, polar);
        Self::build(setup, fake).await
    }

    pub async fn build(setup: Setup, polar: Fake) -> Self {
        let secrets = setup.dir.path().join("livetill.env");
        let text = format!(
            "LIVETILL_PROVIDERS__POLAR__ACCESS_TOKEN={TOKEN}\n\
             LIVETILL_PROVIDERS__POLAR__WEBHOOK_SECRET={SECRET}\n"
        );
        std::fs::write(&secrets, text).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&secrets, mode).expect("owned");
        }
        Self { world: World::build(&setup).await, polar }
    }

    pub async fn says(&mut self, line: &str) -> Vec<String> {
        self.world.says(line).await
    }

    /// Starts the sale and reads what is said.
    pub async fn opens(&mut self) {
        let said = self.says("!sale start plan 10m").await;
        assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    }

    /// The session that a buyer was sent to.
    pub fn session_of(&self, who: &str) -> String {
        let at = self.world.browsers[who].at.clone().expect("was sent somewhere");
        at.rsplit('/').next().expect("an id").to_owned()
    }

    /// A buyer presses *Pay*; no webhook is delivered yet.
    pub async fn pays_silently(&mut self, who: &str) -> Answer {
        let page = format!("{}/checkout/{}/pay", self.polar.url, self.session_of(who));
        self.world.posts(who, &page, &[]).await
    }

    /// A buyer presses *Pay*, and Polar tells.
    pub async fn pays(&mut self, who: &str) -> Answer {
        let answer = self.pays_silently(who).await;
        self.deliver().await;
        answer
    }

    /// Polar delivers what it has to tell.
    pub async fn deliver(&mut self) {
        loop {
            let Some(event) = self.polar.books().events.pop_front() else { return };
            // As the service does, it is sent again when a busy machine took too long.
            let mut answer = self.send(&event).await;
            while answer == 503 {
                answer = self.send(&event).await;
            }
            assert_eq!(answer, 200, "{event}");
        }
    }

    pub async fn send(&self, event: &Value) -> u16 {
        let id = event["id"].as_str().expect("an id");
        let body = event["body"].to_string();
        let signature = self.sign(SECRET.as_bytes(), id, body.as_bytes());
        self.send_raw(id, body.as_bytes(), &signature).await
    }

    pub fn sign(&self, key: &[u8], id: &str, body: &[u8]) -> String {
        sign_standard(key, id, self.world.clock.now(), body)
    }

    pub async fn send_raw(&self, id: &str, body: &[u8], signature: &str) -> u16 {
        let request = client()
            .post(self.world.url("/webhooks/polar"))
            .header("webhook-id", id)
            .header("webhook-timestamp", self.world.clock.now().seconds().to_string())
            .header("webhook-signature", signature)
            .body(body.to_vec());
        let send = async move { request.send().await.expect("answers").status().as_u16() };
        self.world.during(send).await
    }

    /// Asks Polar about everything unsettled.
    pub async fn asks(&self) {
        sweep(&self.world.app.engine, Round::Running).await.expect("asks");
        self.world.settle().await;
    }

    /// Lets time pass, asking every few seconds as the running program does.
    pub async fn passes(&mut self, span: Span) {
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(secs(3));
            self.world.advance(step).await;
            self.asks().await;
            left = left.minus(step);
        }
    }

    /// The fates of the newest sale's payments, sorted.
    pub async fn fates(&self) -> Vec<String> {
        let id = self.world.newest().id;
        let store = self.world.app.engine.store();
        let sale = store.load(id).await.expect("the store").expect("the sale");
        let mut all: Vec<_> = sale.payments().map(|one| one.fate.word().to_owned()).collect();
        all.sort();
        all
    }

    /// Compares every receipt with Polar's own list.
    pub async fn books_agree(&self) {
        let list: Vec<Entry> = {
            let books = self.polar.books();
            let ours = |order: &&Value| order["metadata"]["livetill_hold"].is_string();
            books.orders.values().filter(ours).map(|order| entry(order, &books)).collect()
        };
        agree(self.world.app.engine.store(), "polar", &list).await;
    }

    /// Ends the world: closed, proven, nothing left at Polar, and nothing that Polar would have
    /// called wrong.
    pub async fn done(mut self) {
        for _ in 0..5 {
            self.world.runs_out().await;
            self.deliver().await;
            sweep(&self.world.app.engine, Round::All).await.expect("asks");
        }
        let left = leftovers(&self.polar);
        assert!(left.is_empty(), "left at Polar, or wrong: {left:#?}");
        self.books_agree().await;
        self.world.done().await;
    }
}

/// What of ours is still there or can still be paid, and what Polar would have refused.
pub fn leftovers(polar: &Fake) -> Vec<String> {
    let mut books = polar.books();
    let mut left = std::mem::take(&mut books.wrong);
    left.extend(
        books.products.values().filter(|one| one["is_archived"] != true).map(Value::to_string),
    );
    left.extend(books.links.values().map(Value::to_string));
    let sessions: Vec<String> = books.sessions.keys().cloned().collect();
    left.extend(sessions.into_iter().filter(|id| books.confirm(id).status() == 200));
    left
}

/// An order; what went back of it is what Polar's refunds say.
fn entry(order: &Value, books: &Books) -> Entry {
    let number = |one: &Value, name: &str| one[name].as_i64().unwrap_or(0);
    let done = |one: &&Value| one["order_id"] == order["id"] && one["status"] == "succeeded";
    let refunds = books.refunds.values().filter(done);
    Entry {
        id: order["id"].as_str().expect("an id").to_owned(),
        amount: number(order, "total_amount"),
        refunded: refunds.map(|one| number(one, "amount") + number(one, "tax_amount")).sum(),
        fee: order["platform_fee_amount"].as_i64(),
    }
}
