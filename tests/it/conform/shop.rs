//! A shop on any provider's stand-in, with the people around it.

use std::sync::Arc;

use livetill::{
    clock::Span,
    reconcile::{Round, sweep},
    sale::{
        payment::Fate,
        template::{Capabilities, CheckoutShape},
    },
};

use super::till::{Event, Start, Till};
use crate::world::{Setup, World, client, mins, secs};

pub struct Shop {
    pub world: World,
    pub till: Arc<dyn Till>,
    pub setup: Setup,
}

/// The template of every scenario, called `mug`.
pub fn template(till: &dyn Till, stock: u32, currency: &str) -> String {
    let shape = match till.shape() {
        CheckoutShape::PerBuyer => "per_buyer",
        CheckoutShape::Shared => "shared",
    };
    format!(
        "[templates.mug]\nprovider = \"{}\"\ncheckout = \"{shape}\"\ntitle = \"Fern Mug\"\n\
         price = \"18.00\"\ncurrency = \"{currency}\"\nstock = {stock}\nwarm = 0\n\
         max_stock = 1000\nmax_duration = \"30m\"\n{}",
        till.name(),
        till.options(),
    )
}

/// Writes the account's secrets beside the configuration, as an owner does.
pub fn write_secrets(till: &dyn Till, dir: &std::path::Path) {
    let name = till.name().to_uppercase();
    let line = |(key, value)| format!("LIVETILL_PROVIDERS__{name}__{key}={value}\n");
    let text: String = till.secrets().into_iter().map(line).collect();
    let path = dir.join("livetill.env");
    std::fs::write(&path, text).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("owned");
    }
}

impl Shop {
    /// Three units.
    pub async fn new(start: Start) -> Self {
        Self::with(start, 3, |_| {}).await
    }

    /// `before` tells the stand-in something before the program starts.
    pub async fn with(start: Start, stock: u32, before: impl FnOnce(&dyn Till)) -> Self {
        let setup = Setup::new("");
        let till = start(setup.clock.clone()).await;
        before(till.as_ref());
        Self::build(setup, till, stock).await
    }

    /// A world on a stand-in that may have seen others.
    pub async fn build(mut setup: Setup, till: Arc<dyn Till>, stock: u32) -> Self {
        setup.config = till.config() + &template(till.as_ref(), stock, "USD");
        write_secrets(till.as_ref(), setup.dir.path());
        till.stand_between(&mut setup);
        Self { world: World::build(&setup).await, till, setup }
    }

    /// Kills the program and starts it anew on the same database.
    pub async fn restarts(mut self) -> Self {
        self.world.app.stop().await;
        let browsers = std::mem::take(&mut self.world.browsers);
        drop(self.world);
        // Another life does not draw the same random numbers again.
        self.setup.seed += 1;
        let mut world = World::build(&self.setup).await;
        world.browsers = browsers;
        Self { world, ..self }
    }

    pub fn can(&self) -> Capabilities {
        let name = self.till.name();
        self.world.app.engine.provider(name).expect("it is set up").capabilities()
    }

    pub fn is_shared(&self) -> bool {
        self.till.shape() == CheckoutShape::Shared
    }

    pub async fn says(&mut self, line: &str) -> Vec<String> {
        self.world.says(line).await
    }

    /// Starts the sale and reads what is said.
    pub async fn opens(&mut self) {
        let said = self.says("!sale start mug 10m").await;
        assert!(said.iter().any(|line| line.starts_with("SALE OPEN")), "{said:?}");
    }

    /// Somebody follows the link and stands before a page to pay, or finds that they cannot.
    pub async fn comes(&mut self, who: &str) -> bool {
        if self.is_shared() {
            return self.visits(who).await;
        }
        let answer = self.world.clicks(who).await;
        let own = self.world.url("/holds/");
        answer.status == 303
            && answer.location.is_some_and(|to| !to.starts_with("/holds/") && !to.starts_with(&own))
    }

    async fn visits(&mut self, who: &str) -> bool {
        let answer = self.world.looks(who, "/live").await;
        let Some(link) = answer.location else { return false };
        let link = self.till.reach(&self.world, link);
        let page = self.world.looks(who, &link).await;
        // A link may make a page of its own for each visit, or be the page.
        let at = page.location.unwrap_or(link);
        self.world.browsers.get_mut(who).expect("came").at = Some(at);
        page.status < 400
    }

    /// The page that somebody stands before.
    pub fn page_of(&self, who: &str) -> String {
        self.world.browsers[who].at.clone().expect("was sent somewhere")
    }

    /// A buyer presses *Pay*; no word of it reaches us yet. Says whether money moved.
    pub async fn pays_silently(&mut self, who: &str) -> bool {
        self.till.press(&self.world, &self.page_of(who)).await
    }

    /// A buyer presses *Pay*, and the provider tells.
    pub async fn pays(&mut self, who: &str) -> bool {
        let moved = self.pays_silently(who).await;
        self.deliver().await;
        moved
    }

    /// Money moves on a buyer's page, whatever the page would say; the provider tells.
    pub async fn pays_against_the_rules(&mut self, who: &str, cents: Option<i64>) {
        self.till.force(&self.world, &self.page_of(who), cents).await;
        self.deliver().await;
    }

    /// The provider delivers what it has to tell.
    pub async fn deliver(&mut self) {
        loop {
            let events = self.till.events(&self.world).await;
            if events.is_empty() {
                return;
            }
            for event in events {
                assert_eq!(self.send(&event).await, 200, "{event:?}");
            }
        }
    }

    /// What the provider has to tell gets lost.
    pub async fn loses_events(&mut self) {
        self.till.events(&self.world).await;
    }

    pub async fn send(&self, event: &Event) -> u16 {
        let headers = self.till.sign(&self.world, event).await;
        self.send_with(&headers, &event.body).await
    }

    pub async fn send_with(&self, headers: &[(&'static str, String)], body: &[u8]) -> u16 {
        let url = self.world.url(&format!("/webhooks/{}", self.till.name()));
        let mut request = client().post(url).body(body.to_vec());
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let send = async move { request.send().await.expect("answers").status().as_u16() };
        self.world.during(send).await
    }

    /// Asks the provider about everything unsettled.
    pub async fn asks(&self) {
        sweep(&self.world.app.engine, Round::Running).await.expect("asks");
        self.world.settle().await;
    }

    /// Lets time pass, asking every few seconds as the running program does.
    pub async fn passes(&mut self, span: Span) {
        self.passes_in(span, secs(3)).await;
    }

    /// Lets the sale and its grace run out, asking now and then.
    pub async fn ends(&mut self) {
        self.passes_in(mins(14), secs(30)).await;
    }

    async fn passes_in(&mut self, span: Span, steps: Span) {
        let mut left = span;
        while !left.is_zero() {
            let step = left.min(steps);
            self.world.advance(step).await;
            self.till.people_work(&self.world).await;
            self.asks().await;
            left = left.minus(step);
        }
    }

    /// The fates of the newest sale's payments, sorted.
    pub async fn fates(&self) -> Vec<&'static str> {
        let id = self.world.newest().id;
        let store = self.world.app.engine.store();
        let sale = store.load(id).await.expect("the store").expect("the sale");
        let mut all: Vec<_> = sale.payments().map(|one| one.fate.word()).collect();
        all.sort_unstable();
        all
    }

    /// What we say that we hold of the buyers' money agrees with the provider, to the cent.
    async fn money_agrees(&self) {
        let store = self.world.app.engine.store();
        let mut ours = 0;
        for view in self.world.app.engine.views().all() {
            let sale = store.load(view.id).await.expect("the store").expect("the sale");
            for payment in sale.payments() {
                ours += match &payment.fate {
                    Fate::Kept | Fate::Person { .. } => payment.fact.amount.minor,
                    Fate::Pending | Fate::Part | Fate::Refund { .. } => 0,
                };
            }
        }
        let sums = self.till.sums(&self.world).await;
        assert_eq!(sums.paid - sums.back, ours, "{sums:?}");
    }

    /// Ends the world: closed, proven, settled to the cent, nothing left at the provider, and
    /// nothing that it would have called wrong.
    pub async fn done(mut self) {
        for _ in 0..5 {
            self.world.runs_out().await;
            self.deliver().await;
            self.till.people_work(&self.world).await;
            sweep(&self.world.app.engine, Round::All).await.expect("asks");
        }
        self.world.heard();
        assert!(self.world.app.engine.views().all().iter().all(|view| view.closed));
        self.money_agrees().await;
        let left = self.till.left(&self.world).await;
        assert!(left.is_empty(), "left at the provider, or wrong: {left:#?}");
        self.world.done().await;
    }
}
