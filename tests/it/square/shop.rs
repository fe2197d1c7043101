//! A world whose shop runs on the stand-in for Square.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
};
use serde_json::Value;
use sha2::Sha256;

use super::fake::{Fake, KEY, LOCATION, NOTIFICATION_URL, TOKEN};
use crate::{
    books::{Entry, agree, amount},
    world::{Answer, Setup, World, client, secs},
};

/// Three mugs, one way to get them.
pub const MUG: &str = r#"
[templates.mug]
provider = "square"
title = "Fern Mug"
price = "18.00"
stock = 3
warm = 0
max_stock = 10
max_duration = "30m"
"#;

pub struct Shop {
    pub world: World,
    pub square: Fake,
    pub setup: Setup,
}

/// A configuration for that stand-in; `square` are more lines for `[providers.square]`.
pub fn config(fake: &Fake, templates: &str, square: &str) -> String {
    format!(
        "[providers.square]\napi_url = \"{}\"\nlocation_id = \"{LOCATION}\"\n\
         notification_url = \"{NOTIFICATION_URL}\"\ncalls_per_second = 100000\n{square}\n\
         {templates}",
        fake.url
    )
}

pub fn sign(url: &str, key: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
    mac.update(url.as_bytes());
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

impl Shop {
    pub async fn new(templates: &str) -> Self {
        Self::with(templates, "").await
    }

    /// `square` are more lines for `[providers.square]`.
    pub async fn with(templates: &str, square: &str) -> Self {
        let mut setup = Setup::new("");
        let fake = Fake::start(setup.clock.clone()).await;
        setup.config = config(&fake, templates, square);
        Self::build(setup, fake).await
    }

    pub async fn build(setup: Setup, square: Fake) -> Self {
        let secrets = setup.dir.path().join("livetill.env");
        let text = format!(
            "LIVETILL_PROVIDERS__SQUARE__ACCESS_TOKEN={TOKEN}\n\
             LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS=old-key, {KEY}\n"
        );
        std::fs::write(&secrets, text).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&secrets, mode).expect("owned");
        }
        Self { world: World::build(&setup).await, square, setup }
    }

    pub async fn says(&mut self, line: &str) -> Vec<String> {
        self.world.says(line).await
    }

    /// Starts the sale and reads what is said.
    pub async fn opens(&mut self) {
        let said = self.says("!sale start mug 10m").await;
        assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    }

    /// The order behind the page a buyer was sent to.
    pub fn order_of(&self, who: &str) -> String {
        let at = self.world.browsers[who].at.clone().expect("was sent somewhere");
        let link = at.rsplit('/').next().expect("an id");
        let books = self.square.books();
        books.links[link]["order_id"].as_str().expect("an order").to_owned()
    }

    /// A buyer looks at the page they were sent to, over Square's own redirect.
    pub async fn looks_at_page(&mut self, who: &str) -> Answer {
        let at = self.world.browser(who).at.expect("was sent somewhere");
        let first = self.world.looks(who, &at).await;
        let answer = match first.location {
            Some(to) => {
                let to = format!("{}{to}", self.square.url);
                self.world.looks(who, &to).await
            }
            None => first,
        };
        let mut browser = self.world.browser(who);
        browser.at = Some(at);
        self.world.browsers.insert(who.to_owned(), browser);
        answer
    }

    /// A buyer presses *Pay*; no webhook is delivered yet.
    pub async fn pays_silently(&mut self, who: &str) -> Answer {
        let page = format!("{}/order/{}/pay", self.square.url, self.order_of(who));
        self.world.posts(who, &page, &[]).await
    }

    pub async fn card_fails(&mut self, who: &str) {
        let page = format!("{}/order/{}/fail", self.square.url, self.order_of(who));
        assert_eq!(self.world.posts(who, &page, &[]).await.status, 402);
    }

    /// A buyer presses *Pay*, and Square tells everybody.
    pub async fn pays(&mut self, who: &str) -> Answer {
        let answer = self.pays_silently(who).await;
        self.deliver().await;
        answer
    }

    /// Square delivers what it has to tell.
    pub async fn deliver(&mut self) {
        loop {
            let Some(event) = self.square.books().events.pop_front() else { return };
            // As the service does, it is sent again when a busy machine took too long.
            let mut answer = self.send(&event).await;
            while answer == 503 {
                answer = self.send(&event).await;
            }
            assert_eq!(answer, 200, "{event}");
        }
    }

    pub async fn send(&self, event: &Value) -> u16 {
        let body = event.to_string();
        let signature = sign(NOTIFICATION_URL, KEY, body.as_bytes());
        self.send_raw(body.as_bytes(), &signature, "Sandbox").await
    }

    pub async fn send_raw(&self, body: &[u8], signature: &str, environment: &str) -> u16 {
        let request = client()
            .post(self.world.url("/webhooks/square"))
            .header("x-square-hmacsha256-signature", signature)
            .header("square-environment", environment)
            .body(body.to_vec());
        let send = async move { request.send().await.expect("answers").status().as_u16() };
        self.world.during(send).await
    }

    /// Asks Square about everything unsettled.
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

    /// Kills the program and starts it anew on the same database.
    pub async fn restarts(self) -> Self {
        self.world.app.stop().await;
        let browsers = self.world.browsers.clone();
        drop(self.world);
        let mut shop = Self::build(self.setup, self.square).await;
        shop.world.browsers = browsers;
        shop
    }

    /// A buyer presses *Get yours* and waits as long as the server lets them.
    pub async fn claims_while_waiting(&mut self, who: &str) -> Answer {
        let url = self.world.url(&format!("/sales/{}/holds", self.world.newest().id));
        let mut browser = self.world.browser(who);
        let task = tokio::spawn(async move { (browser.post(&url, &[]).await, browser) });
        while !task.is_finished() {
            self.world.settle().await;
            self.world.clock.advance(Span::from_millis(500));
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        let (answer, browser) = task.await.expect("no panic");
        self.world.browsers.insert(who.to_owned(), browser);
        answer
    }

    /// Compares every receipt with Square's own list.
    pub async fn books_agree(&self) {
        agree(self.world.app.engine.store(), "square", &list(&self.square)).await;
    }

    /// Ends the world: closed, proven, nothing left at Square, and nothing that Square would have
    /// called wrong.
    pub async fn done(mut self) {
        for _ in 0..5 {
            self.world.runs_out().await;
            self.deliver().await;
            sweep(&self.world.app.engine, Round::All).await.expect("asks");
        }
        let left = leftovers(&self.square);
        assert!(left.is_empty(), "left at Square, or wrong: {left:#?}");
        self.books_agree().await;
        self.world.done().await;
    }
}

/// What of ours is still there or can still be paid, and what Square would have refused.
pub fn leftovers(square: &Fake) -> Vec<String> {
    let books = square.books();
    let made = books.objects.values().filter(|object| is_ours(object));
    let open = books
        .orders
        .values()
        .filter(|order| order["state"] == "DRAFT" || order["state"] == "OPEN")
        .filter(|order| !order["tenders"].is_array());
    let left = made.chain(open).map(Value::to_string);
    books.wrong.iter().cloned().chain(left).collect()
}

/// Square's own list of what was paid over links of ours.
pub fn list(square: &Fake) -> Vec<Entry> {
    let books = square.books();
    let ours = |payment: &&Value| {
        let mut links = books.links.values();
        payment["status"] == "COMPLETED" && links.any(|l| l["order_id"] == payment["order_id"])
    };
    books.payments.values().filter(ours).map(entry).collect()
}

fn entry(payment: &Value) -> Entry {
    let parts = payment["processing_fee"].as_array();
    Entry {
        id: payment["id"].as_str().expect("an id").to_owned(),
        amount: amount(&payment["total_money"]).expect("an amount"),
        refunded: amount(&payment["refunded_money"]).unwrap_or(0),
        fee: parts.map(|parts| parts.iter().filter_map(|p| amount(&p["amount_money"])).sum()),
    }
}

fn is_ours(object: &Value) -> bool {
    object.to_string().contains("livetill ")
}
