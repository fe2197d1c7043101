//! One of the crowd: a browser without a screen.

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Response, StatusCode, header};

use super::plan::{Habit, Plan};
use crate::{
    clock::{Clock, Span},
    id::SaleId,
    sale::template::{CheckoutShape, Template},
};

/// A shopper who waits in line looks at their page this often.
const LOOK_EVERY: Span = Span::from_millis(500);

/// And gives up after this many looks.
const LOOKS_MAX: u32 = 240;

/// What became of one shopper.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// From the click to the payment page.
    pub(super) waited: Option<Span>,
    /// They were told that there is nothing (any more).
    pub(super) refused: bool,
    /// They pressed *Pay* and it worked.
    pub(super) paid: bool,
    /// They pressed *Pay* after their time.
    pub(super) tried_late: bool,
    /// They were handed a page that could not be paid, in time.
    pub(super) dead_page: bool,
    /// Something answered that should not have.
    pub(super) broken: Option<String>,
}

pub(super) struct Shopper {
    client: Client,
    base: String,
    cookie: Option<String>,
    clock: Arc<dyn Clock>,
    template: Arc<Template>,
}

/// A client for the whole crowd; everybody keeps their own cookie.
pub(super) fn client() -> Client {
    Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .expect("a client without special wishes can be made")
}

impl Shopper {
    pub(super) fn new(
        client: Client,
        base: String,
        clock: Arc<dyn Clock>,
        template: Arc<Template>,
    ) -> Self {
        Self { client, base, cookie: None, clock, template }
    }

    /// Comes, claims, and does with the page what the plan says.
    pub(super) async fn visit(mut self, plan: &Plan, sale: SaleId) -> Kept {
        let mut kept = Kept::default();
        if let Err(error) = self.shop(plan, sale, &mut kept).await {
            kept.broken = Some(error);
        }
        kept
    }

    async fn shop(&mut self, plan: &Plan, sale: SaleId, kept: &mut Kept) -> Result<(), String> {
        let live = self.get(&format!("{}/live", self.base)).await?;
        let clicked = self.clock.now();
        if self.template.checkout == CheckoutShape::Shared {
            // One page for all: the link leads straight to it while there is something to sell.
            let Some(page) = location(&live) else {
                kept.refused = true;
                return Ok(());
            };
            kept.waited = Some(self.clock.now().since(clicked));
            return self.use_page(plan.habit, &page, kept).await;
        }
        let template = self.template.clone();
        let form = answers(&template, plan.choice);
        let url = format!("{}/sales/{sale}/holds", self.base);
        if matches!(plan.habit, Habit::DoubleClicks(_)) {
            // The first press's answer never arrives; the browser keeps only the cookie of the
            // second, so the first hold is somebody's who never comes back.
            let first = self.client.post(&url).form(&form).header("accept", "text/html").send();
            drop(tokio::time::timeout(Duration::from_millis(5), first).await);
        }
        let answer = self.post(&url, &form).await?;
        let Some(page) = self.page_of(answer, kept).await? else { return Ok(()) };
        kept.waited = Some(self.clock.now().since(clicked));
        self.use_page(plan.habit, &page, kept).await
    }

    /// The payment page that a claim leads to, after waiting in line for it if need be.
    async fn page_of(
        &mut self,
        answer: Response,
        kept: &mut Kept,
    ) -> Result<Option<String>, String> {
        if answer.status() == StatusCode::CONFLICT {
            kept.refused = true;
            return Ok(None);
        }
        let mut to = location(&answer).ok_or(format!("a claim answered {}", answer.status()))?;
        for _ in 0..LOOKS_MAX {
            if to.contains("/sandbox/pay/") {
                return Ok(Some(to));
            }
            let own = format!("{}{}", self.base, to.strip_prefix(&self.base).unwrap_or(&to));
            let text = self.get(&own).await?.text().await.map_err(|e| e.to_string())?;
            if let Some(pay) = between(&text, "class=\"button\" href=\"", "\"") {
                return Ok(Some(pay.to_owned()));
            }
            if text.contains(">Over<") || text.contains(">Closing<") {
                return Ok(None);
            }
            to = own;
            self.clock.sleep_until(self.clock.now() + LOOK_EVERY).await;
        }
        Err("waited in line without end".to_owned())
    }

    async fn use_page(&mut self, habit: Habit, page: &str, kept: &mut Kept) -> Result<(), String> {
        let shown = self.get(page).await?;
        if shown.status() != StatusCode::OK {
            kept.dead_page = true;
        }
        match habit {
            Habit::Pays(after) | Habit::DoubleClicks(after) => {
                self.pay(page, after, false, kept).await
            }
            Habit::Stumbles(after) => {
                self.post(page, &[("do", "decline")]).await?;
                self.pay(page, after, false, kept).await
            }
            Habit::PaysLate(after) => self.pay(page, after, true, kept).await,
            Habit::Quits => Ok(()),
            Habit::LetsGo(after) => {
                self.clock.sleep_until(self.clock.now() + after).await;
                let live = self.get(&format!("{}/live", self.base)).await?;
                let text = live.text().await.map_err(|error| error.to_string())?;
                if let Some(hold) = between(&text, "href=\"/holds/", "\"") {
                    let url = format!("{}/holds/{hold}/release", self.base);
                    self.post(&url, &[]).await?;
                }
                Ok(())
            }
        }
    }

    async fn pay(
        &mut self,
        page: &str,
        after: Span,
        late: bool,
        kept: &mut Kept,
    ) -> Result<(), String> {
        self.clock.sleep_until(self.clock.now() + after).await;
        kept.tried_late = late;
        let form = [("do", "pay"), ("name", "Shopper"), ("address", "1 Demo Street")];
        let answer = self.post(page, &form).await?;
        kept.paid = answer.status() == StatusCode::SEE_OTHER;
        if let Some(back) = location(&answer) {
            self.get(&back).await?;
        }
        Ok(())
    }

    async fn get(&mut self, url: &str) -> Result<Response, String> {
        let request = self.client.get(url);
        self.send(request).await
    }

    async fn post(&mut self, url: &str, form: &[(&str, &str)]) -> Result<Response, String> {
        let request = self.client.post(url).form(form);
        self.send(request).await
    }

    async fn send(&mut self, mut request: reqwest::RequestBuilder) -> Result<Response, String> {
        request = request.header(header::ACCEPT, "text/html");
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let set = answer.headers().get(header::SET_COOKIE).and_then(|v| v.to_str().ok());
        if let Some(pair) = set.and_then(|set| set.split(';').next()) {
            self.cookie = Some(pair.to_owned());
        }
        Ok(answer)
    }
}

/// A filled-in form: a delivery choice, and an answer to whatever the page asks.
fn answers(template: &Template, choice: u32) -> Vec<(&str, &str)> {
    let mut form = vec![
        ("name", "Shopper"),
        ("email", "shopper@example.org"),
        ("phone", "+1 555 0100 00"),
        ("address", "1 Demo Street"),
    ];
    let choices = template.delivery.as_slice();
    if let Some(one) = choices.get(choice as usize % choices.len().max(1)) {
        form.push(("delivery", &one.name));
    }
    form
}

fn location(answer: &Response) -> Option<String> {
    answer.headers().get(header::LOCATION)?.to_str().ok().map(str::to_owned)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let rest = &text[start..];
    Some(&rest[..rest.find(after)?])
}
