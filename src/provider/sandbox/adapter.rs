//! The adapter half: speaks to the service over HTTP, like to any other provider.

use async_trait::async_trait;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{NAME, Sandbox, capabilities};
use crate::{
    clock::{Span, Timestamp},
    id::{CheckoutId, PaymentId, SaleId},
    money::Money,
    provider::{
        Call, Delivery, News, Outcome, Provider, ProviderError, ReturnPages, StatusAsk, Verified,
        Webhook, WebhookError, signature,
    },
    sale::{
        Sale,
        effect::Effect,
        event::{CloseAnswer, Listing, Verdict},
        hold::{Checkout, Hold},
        offer::Bill,
        payment::{Fee, PaymentFact, PaymentStatus, RefundFact, RefundStatus},
        template::{Capabilities, Template},
    },
};

/// What a page says while it cannot be bought from, whatever its status.
const OUT_OF_STOCK: &str = "out of stock";

impl Sandbox {
    async fn post(&self, path: &str, body: &Value) -> Result<Value, ProviderError> {
        let request = self
            .client
            .post(format!("{}/api{path}", self.base))
            .bearer_auth(&self.token)
            .json(body);
        let answer = request.send().await.map_err(|error| unknown(&error))?;
        let status = answer.status();
        let after = answer
            .headers()
            .get(reqwest::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Span::from_secs);
        let body: Value = answer.json().await.map_err(|error| unknown(&error))?;
        let says = body["error"].as_str().unwrap_or("no reason given").to_owned();
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::TOO_MANY_REQUESTS => Err(ProviderError::SlowDown { after }),
            status if status.is_client_error() => Err(ProviderError::Reject { says }),
            _ => Err(ProviderError::Retry { says, after }),
        }
    }

    /// Looks at a page as a shopper's browser would.
    async fn probe(&self, page: &CheckoutId) -> Result<Verdict, ProviderError> {
        let url = format!("{}/pay/{page}", self.base);
        let answer = self.client.get(url).send().await.map_err(|error| unknown(&error))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|error| unknown(&error))?;
        let not_yet = |says: &str| Verdict::NotYet {
            says: says.to_owned(),
            again_after: Span::from_millis(500),
        };
        Ok(match status {
            StatusCode::OK if text.to_lowercase().contains(OUT_OF_STOCK) => {
                not_yet("the page says it is out of stock")
            }
            StatusCode::OK => Verdict::Payable,
            StatusCode::NOT_FOUND => not_yet("the page is not there yet"),
            status => not_yet(&format!("the page answers {status}")),
        })
    }
}

fn unknown(error: &reqwest::Error) -> ProviderError {
    let says =
        if error.is_timeout() { "it did not answer in time" } else { "it cannot be reached" };
    ProviderError::Retry { says: says.to_owned(), after: None }
}

fn malformed(what: &str) -> ProviderError {
    ProviderError::Retry { says: format!("its answer has no {what}"), after: None }
}

fn field<'a>(body: &'a Value, name: &str) -> Result<&'a str, ProviderError> {
    body[name].as_str().ok_or_else(|| malformed(name))
}

/// As of when it says what it says.
fn as_of(data: &Value) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(data["as_of"].as_str()?)
}

/// Reads what the sandbox says of a payment.
fn payment_fact(data: &Value) -> Option<PaymentFact> {
    let at = Timestamp::parse_rfc3339(data["at"].as_str()?)?;
    let fee = serde_json::from_value::<Money>(data["fee"].clone()).ok();
    Some(PaymentFact {
        id: PaymentId::from(data["id"].as_str()?),
        hold: data["reference"].as_str().and_then(|text| text.parse().ok()),
        checkout: data["page"].as_str().map(CheckoutId::from),
        order: None,
        amount: serde_json::from_value::<Money>(data["amount"].clone()).ok()?,
        tip: 0,
        discount: 0,
        refunded: data["refunded"].as_i64().unwrap_or(0),
        status: match data["status"].as_str()? {
            "completed" => PaymentStatus::Completed,
            "failed" => PaymentStatus::Failed,
            _ => PaymentStatus::Pending,
        },
        at,
        link: None,
        fee: fee.map(|money| Fee { money, as_of: at }),
        as_of: as_of(data),
    })
}

fn page_order(sale: &Sale, hold: &Hold, nth: u32, pages: &dyn ReturnPages) -> Value {
    let template = &sale.head.template;
    let delivery = hold.delivery.as_deref().and_then(|name| template.delivery(name));
    let return_url =
        if hold.id.is_shared() { pages.sale_page(sale.head.id) } else { pages.hold_page(hold.id) };
    json!({
        "listing": sale.head.listing().map(|listing| listing.0.clone()),
        "reference": hold.id,
        "nth": nth,
        "title": template.title,
        "units": hold.units,
        "delivery": delivery.map(|d| d.label.clone()),
        "ask_address": delivery.is_some_and(|d| d.ask_address),
        "parts": parts(template, hold),
        "total": hold.amount,
        "shared": hold.id.is_shared(),
        "return_url": return_url,
    })
}

/// What the page lists beside the goods, each with what it comes to.
fn parts(template: &Template, hold: &Hold) -> Vec<String> {
    let bill = template.bill(hold.units, hold.delivery.as_deref(), &hold.extras);
    let Some(Bill { price, unit, adds, upsells, .. }) = bill else { return Vec::new() };
    let special = (unit != price).then(|| format!("Special price: {unit} each"));
    let each = adds.into_iter().map(|line| match line.amount.minor {
        0 => line.label,
        _ => format!("{}: {} each", line.label, line.amount),
    });
    let once = upsells.into_iter().map(|line| format!("{}: {}", line.label, line.amount));
    special.into_iter().chain(each).chain(once).collect()
}

#[async_trait]
impl Provider for Sandbox {
    fn name(&self) -> &'static str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        capabilities()
    }

    fn accepts(&self, _: &Template) -> Result<(), String> {
        Ok(())
    }

    fn frame(&self, sale: &Sale, effect: &Effect, pages: &dyn ReturnPages) -> Value {
        let head = &sale.head;
        let listing = head.listing().map(|listing| listing.0.clone());
        match effect {
            Effect::Provision => json!({
                "sale": head.id,
                "title": head.template.title,
                "stock": head.stock,
                "retired": false,
            }),
            Effect::Restock { units } => json!({ "listing": listing, "units": units }),
            Effect::OpenCheckout { hold, nth } => {
                sale.hold(*hold).map_or(Value::Null, |hold| page_order(sale, hold, *nth, pages))
            }
            Effect::CloseCheckout { hold, nth, .. } => {
                json!({ "listing": listing, "reference": hold, "nth": nth })
            }
            Effect::Retire => json!({ "listing": listing }),
            Effect::Refund { payment, amount } => {
                json!({ "payment": payment, "amount": amount.minor })
            }
            Effect::Probe { .. } | Effect::Announce { .. } => Value::Null,
        }
    }

    async fn perform(
        &self,
        effect: &Effect,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let mut keyed = body.clone();
        if let Value::Object(fields) = &mut keyed {
            fields.insert("key".to_owned(), Value::from(call.key.clone()));
        }
        match effect {
            Effect::Provision => {
                let answer = self.post("/listings", &keyed).await?;
                let listing = field(&answer, "listing")?;
                Ok(Outcome::Provisioned(Listing(Value::from(listing))))
            }
            Effect::Restock { .. } => {
                let listing = field(body, "listing")?;
                self.post(&format!("/listings/{listing}/stock"), &keyed).await?;
                Ok(Outcome::StockSet)
            }
            Effect::OpenCheckout { nth, .. } => {
                let answer = self.post("/pages", &keyed).await?;
                let total = serde_json::from_value(answer["total"].clone());
                Ok(Outcome::Opened(Checkout {
                    id: CheckoutId::from(field(&answer, "page")?),
                    nth: *nth,
                    order: None,
                    url: field(&answer, "url")?.to_owned(),
                    total: total.map_err(|_| malformed("total"))?,
                    made_at: call.now,
                    proven: false,
                    closed: false,
                }))
            }
            Effect::Probe { checkout, .. } => Ok(Outcome::Probed(self.probe(checkout).await?)),
            Effect::CloseCheckout { checkout, .. } => {
                let answer = match checkout {
                    Some(page) => self.post(&format!("/pages/{page}/close"), body).await?,
                    None => self.post("/pages/close_order", body).await?,
                };
                Ok(Outcome::Closed(close_answer(&answer)?))
            }
            Effect::Retire => {
                let listing = field(body, "listing")?;
                self.post(&format!("/listings/{listing}/retire"), body).await?;
                Ok(Outcome::Retired)
            }
            Effect::Refund { payment, amount } => {
                let answer = self.post("/refunds", &keyed).await?;
                Ok(Outcome::Refund(RefundFact {
                    payment: payment.clone(),
                    refund: answer["refund"].as_str().map(str::to_owned),
                    status: RefundStatus::Done,
                    amount: Some(amount.minor),
                    says: None,
                    as_of: as_of(&answer),
                }))
            }
            Effect::Announce { .. } => {
                Err(ProviderError::Reject { says: "a provider says nothing in chat".to_owned() })
            }
        }
    }

    fn calls(&self, _effect: &Effect) -> u32 {
        1
    }

    async fn status(&self, ask: &StatusAsk) -> Result<Vec<News>, ProviderError> {
        let pages: Vec<&str> = ask.pages.iter().map(|(_, page)| page.id.as_str()).collect();
        let again = ask.again.iter().map(PaymentId::as_str);
        let payments: Vec<&str> =
            ask.refunds.iter().map(|(id, _)| id.as_str()).chain(again).collect();
        if pages.is_empty() && payments.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.post("/status", &json!({ "pages": pages, "payments": payments })).await?;
        let payments = answer["payments"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(payments.iter().filter_map(payment_fact).map(News::Payment).collect())
    }

    fn verify(&self, webhook: &Webhook, now: Timestamp) -> Result<Verified, WebhookError> {
        let keys = std::slice::from_ref(&self.webhook_key);
        signature::standard(keys, webhook, now).map(|(_, verified)| verified)
    }

    fn parse(&self, webhook: &Verified) -> Result<Delivery, WebhookError> {
        let garbage = |what: &str| WebhookError::Garbage(what.to_owned());
        let event: Value =
            serde_json::from_slice(webhook.body()).map_err(|_| garbage("it is not JSON"))?;
        let id = event["id"].as_str().filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| garbage("it has no id"))?.to_owned();
        let data = &event["data"];
        let news = match event["type"].as_str().ok_or_else(|| garbage("it has no type"))? {
            "payment.completed" | "payment.failed" => {
                let fact = payment_fact(data).ok_or_else(|| garbage("its payment is malformed"))?;
                vec![News::Payment(fact)]
            }
            kind @ ("refund.completed" | "refund.failed") => vec![News::Refund(RefundFact {
                payment: data["payment"]
                    .as_str()
                    .map(PaymentId::from)
                    .ok_or_else(|| garbage("its refund has no payment"))?,
                refund: data["refund"].as_str().map(str::to_owned),
                status: match kind {
                    "refund.failed" => RefundStatus::Failed,
                    _ => RefundStatus::Done,
                },
                amount: data["amount"].as_i64(),
                says: (kind == "refund.failed").then(|| "the sandbox says that it failed".into()),
                as_of: as_of(data).or_else(|| Timestamp::parse_rfc3339(event["at"].as_str()?)),
            })],
            _ => Vec::new(),
        };
        Ok(Delivery { id, news })
    }

    async fn forget(&self, sale: SaleId) -> Result<bool, ProviderError> {
        let answer = self.post("/forget", &json!({ "sale": sale })).await?;
        Ok(answer["more"] == true)
    }

    fn checkout_hosts(&self) -> Vec<String> {
        // Its pages are ours.
        Vec::new()
    }
}

fn close_answer(answer: &Value) -> Result<CloseAnswer, ProviderError> {
    match answer["state"].as_str() {
        Some("closed") => Ok(CloseAnswer::Closed),
        Some("refused") => {
            Ok(CloseAnswer::CannotClose { says: "the sandbox refuses to close it".to_owned() })
        }
        Some("paid") => {
            let fact = payment_fact(&answer["payments"][0]).ok_or_else(|| malformed("payment"))?;
            Ok(CloseAnswer::AlreadyPaid { payment: Box::new(fact), more: Vec::new() })
        }
        _ => Err(malformed("state")),
    }
}
