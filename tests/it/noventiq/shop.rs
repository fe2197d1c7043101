//! A world whose shop runs on the stand-in for Noventiq.

use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
};
use serde_json::Value;
use sha2::{Digest, Sha512};

use super::fake::{Fake, PASSWORD, USERNAME};
use crate::world::{Answer, Setup, World, client, secs};

pub const SECRET: &str = "a secret of ours";

/// Three licences.
pub const KEYS: &str = r#"
[templates.keys]
provider = "noventiq"
title = "Brush Pack"
price = "18.00"
stock = 3
warm = 0
max_stock = 100
max_duration = "30m"
[templates.keys.noventiq]
product_id = 4653375
"#;

/// One of them, whose unit goes back when the buyer's time is over.
pub fn strict() -> String {
    format!(
        "{}after_hold = \"strict\"\nallow_surplus = true\n",
        KEYS.replace("stock = 3", "stock = 1")
    )
}

pub struct Shop {
    pub world: World,
    pub noventiq: Fake,
    pub setup: Setup,
}

/// The signature of a webhook, computed as the documentation says.
pub fn sign(secret: &str, body: &Value) -> String {
    let word = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let values = [
        secret.to_owned(),
        word(&body["event"]),
        word(&body["order_id"]),
        word(&body["create_date"]),
        word(&body["payment"]["payment_method"]),
        word(&body["currency"]),
        word(&body["customer"]["email"]),
    ];
    hex::encode(Sha512::digest(values.join(";")))
}

impl Shop {
    pub async fn new(templates: &str) -> Self {
        Self::with(templates, "").await
    }

    /// `noventiq` are more lines for `[providers.noventiq]`.
    pub async fn with(templates: &str, noventiq: &str) -> Self {
        let mut setup = Setup::new("");
        let fake = Fake::start(setup.clock.clone()).await;
        setup.config = format!(
            "[providers.noventiq]\napi_url = \"{}\"\nmarket_id = 17\ncalls_per_second = 100000\n\
             {noventiq}\n{templates}",
            fake.url
        );
        Self::build(setup, fake).await
    }

    pub async fn build(setup: Setup, noventiq: Fake) -> Self {
        write_secrets(setup.dir.path());
        Self { world: World::build(&setup).await, noventiq, setup }
    }

    pub async fn says(&mut self, line: &str) -> Vec<String> {
        self.world.says(line).await
    }

    /// Starts the sale and reads what is said.
    pub async fn opens(&mut self) {
        let said = self.says("!sale start keys 10m").await;
        assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    }

    /// The link that a buyer was sent to.
    pub fn link_of(&self, who: &str) -> String {
        let at = self.world.browsers[who].at.clone().expect("was sent somewhere");
        assert!(at.starts_with(&self.noventiq.url), "{who} is at {at}");
        at.rsplit('/').next().expect("a key").to_owned()
    }

    /// A buyer pays; no webhook is delivered yet.
    pub async fn pays_silently(&mut self, who: &str) -> Answer {
        let page = format!("{}/buy/{}/pay", self.noventiq.url, self.link_of(who));
        self.world.posts(who, &page, &[]).await
    }

    /// A buyer pays, and Noventiq tells.
    pub async fn pays(&mut self, who: &str) -> Answer {
        let answer = self.pays_silently(who).await;
        self.deliver().await;
        answer
    }

    /// Noventiq delivers what it has to tell.
    pub async fn deliver(&mut self) {
        loop {
            let Some(event) = self.noventiq.books().events.pop_front() else { return };
            // As the service does, it is sent again when a busy machine took too long.
            let mut answer = self.send(&event).await;
            while answer == 503 {
                answer = self.send(&event).await;
            }
            assert_eq!(answer, 200, "{event}");
        }
    }

    pub async fn send(&self, event: &Value) -> u16 {
        self.send_raw(event.to_string().as_bytes(), &sign(SECRET, event)).await
    }

    pub async fn send_raw(&self, body: &[u8], signature: &str) -> u16 {
        let request = client()
            .post(self.world.url("/webhooks/noventiq"))
            .header("content-type", "application/json")
            .header("signature", signature)
            .body(body.to_vec());
        let send = async move { request.send().await.expect("answers").status().as_u16() };
        self.world.during(send).await
    }

    /// Asks Noventiq about everything unsettled.
    pub async fn asks(&self, round: Round) {
        sweep(&self.world.app.engine, round).await.expect("asks");
        self.world.settle().await;
    }

    /// Lets time pass, asking every few seconds as the running program does.
    pub async fn passes(&mut self, span: Span) {
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(secs(3));
            self.world.advance(step).await;
            self.asks(Round::Running).await;
            left = left.minus(step);
        }
    }

    /// Kills the program and starts it anew on the same database.
    pub async fn restarts(self) -> Self {
        self.world.app.stop().await;
        let browsers = self.world.browsers.clone();
        drop(self.world);
        let mut shop = Self::build(self.setup, self.noventiq).await;
        shop.world.browsers = browsers;
        shop
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

    /// How many payments of the newest sale are counted as surplus, and how many as late.
    pub async fn surplus_and_late(&self) -> (usize, usize) {
        let id = self.world.newest().id;
        let store = self.world.app.engine.store();
        let sale = store.load(id).await.expect("the store").expect("the sale");
        let surplus = sale.payments().filter(|one| one.surplus).count();
        (surplus, sale.payments().filter(|one| one.late).count())
    }

    /// Ends the world: closed, proven, and nothing that broke the protocol.
    pub async fn done(mut self) {
        for _ in 0..3 {
            self.world.runs_out().await;
            self.deliver().await;
            self.asks(Round::All).await;
        }
        let wrong = self.noventiq.books().wrong.clone();
        assert!(wrong.is_empty(), "against the protocol: {wrong:#?}");
        assert!(self.world.newest().closed);
        self.world.done().await;
    }
}

/// The secrets' file beside a configuration.
pub fn write_secrets(dir: &std::path::Path) {
    let secrets = dir.join("livetill.env");
    let text = format!(
        "LIVETILL_PROVIDERS__NOVENTIQ__USERNAME={USERNAME}\n\
         LIVETILL_PROVIDERS__NOVENTIQ__PASSWORD={PASSWORD}\n\
         LIVETILL_PROVIDERS__NOVENTIQ__WEBHOOK_SECRET={SECRET}\n"
    );
    std::fs::write(&secrets, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&secrets, mode).expect("owned");
    }
}
