//! Pages: a product made for one page, and the session or link that sells it.
//!
//! A session cannot be closed by itself. What a buyer pays is the price of a product, and a price
//! that was replaced is refused, so each page has a product of its own that nothing else sells.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Polar,
    options::{MARK, METADATA_VALUE_MAX, NAME_MAX, Options},
};
use crate::{
    clock::Span,
    id::{CheckoutId, HoldId},
    money::{Currency, Money},
    provider::{
        Call, Outcome, ProviderError, ReturnPages,
        rest::{Fault, segment, text},
    },
    sale::{
        Sale,
        event::Verdict,
        hold::{Checkout, Hold},
        template::{Ask, Template},
    },
};

pub(super) const PRODUCTS: &str = "/v1/products/";
pub(super) const SESSIONS: &str = "/v1/checkouts/";
pub(super) const LINKS: &str = "/v1/checkout-links/";

/// When to look again at a page that cannot be paid yet.
const AGAIN: Span = Span::from_millis(1000);

/// A page to be made: frozen with the effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Ours alone; what is made is found again by it.
    pub mark: String,
    pub product: Value,
    /// The session or the link, without its product.
    pub page: Map<String, Value>,
    pub shared: bool,
    /// What the page must ask for; none where a discount decides.
    pub expect: Option<Money>,
}

/// How we call what a hold's `nth` order made.
pub(super) fn mark(hold: HoldId, nth: u32) -> String {
    format!("{hold} {nth}")
}

/// A price as Polar takes it. Inclusive: the buyer pays what chat was told, tax or no tax.
pub(super) fn price(amount: Money) -> Value {
    json!({
        "amount_type": "fixed",
        "price_amount": amount.minor,
        "price_currency": amount.currency.code().to_lowercase(),
        "tax_behavior": "inclusive",
    })
}

/// An amount of Polar's, whose currencies are in lower case.
pub(super) fn money(minor: &Value, currency: &Value) -> Option<Money> {
    let currency: Currency = currency.as_str()?.parse().ok()?;
    Some(Money::new(minor.as_i64()?, currency))
}

/// The frozen request for a hold's page, or for the sale's.
pub(super) fn plan(
    sale: &Sale,
    hold: &Hold,
    nth: u32,
    options: &Options,
    pages: &dyn ReturnPages,
    shop: Option<&str>,
) -> Plan {
    let template = &sale.head.template;
    let shared = hold.id.is_shared();
    let mark = mark(hold.id, nth);
    let mut metadata: Map<String, Value> = options.metadata.clone().into_iter().collect();
    let own = [
        (MARK.to_owned(), "page".to_owned()),
        (format!("{MARK}_sale"), sale.head.id.to_string()),
        (format!("{MARK}_hold"), hold.id.to_string()),
        (format!("{MARK}_page"), mark.clone()),
    ];
    metadata.extend(own.map(|(key, value)| (key, Value::from(value))));
    if let Some(shop) = shop {
        metadata.insert(format!("{MARK}_shop"), Value::from(shop));
    }
    // By it an order tells that its price was lowered by the shop itself.
    if let Some(discount) = options.discount_id.as_ref().filter(|_| !shared) {
        metadata.insert(format!("{MARK}_discount"), Value::from(discount.clone()));
    }
    let delivery = hold.delivery.as_deref().and_then(|name| template.delivery(name));
    if let Some(delivery) = delivery {
        metadata.insert(format!("{MARK}_delivery"), Value::from(delivery.name.clone()));
    }
    let choices = hold.extras.words();
    if !choices.is_empty() {
        let choices = choices.chars().take(METADATA_VALUE_MAX).collect::<String>();
        metadata.insert(format!("{MARK}_choices"), Value::from(choices));
    }
    let title = title(template, hold);
    let product = json!({
        "name": title.chars().take(NAME_MAX).collect::<String>(),
        "description": Some(&template.description).filter(|text| !text.is_empty()),
        "visibility": "private",
        "prices": [price(hold.amount)],
        "metadata": metadata,
    });
    let page = page(sale, hold, &title, metadata, options, pages);
    let expect = options.discount_id.is_none().then_some(hold.amount);
    Plan { mark, product, page, shared, expect }
}

/// What the page says is bought. Polar shows one thing at one price, so what was chosen stands
/// behind its name.
fn title(template: &Template, hold: &Hold) -> String {
    let bill = template.bill(hold.units, hold.delivery.as_deref(), &hold.extras);
    let chosen = bill.into_iter().flat_map(|bill| bill.adds.into_iter().chain(bill.fee));
    let chosen: Vec<String> = chosen.map(|line| line.label).collect();
    match chosen.as_slice() {
        [] => template.title.clone(),
        some => format!("{} ({})", template.title, some.join(", ")),
    }
}

/// The session or the link, without its product.
fn page(
    sale: &Sale,
    hold: &Hold,
    title: &str,
    metadata: Map<String, Value>,
    options: &Options,
    pages: &dyn ReturnPages,
) -> Map<String, Value> {
    let shared = hold.id.is_shared();
    let back = if shared { pages.sale_page(sale.head.id) } else { pages.hold_page(hold.id) };
    let success = options.success_url.clone().unwrap_or_else(|| back.clone());
    let mut page = Map::new();
    let mut put = |key: &str, value: Value| page.insert(key.to_owned(), value);
    put("metadata", Value::from(metadata));
    put("allow_discount_codes", Value::from(false));
    put("require_billing_address", Value::from(options.require_billing_address));
    put("success_url", Value::from(success));
    put("return_url", Value::from(options.return_url.clone().unwrap_or(back)));
    if shared {
        put("payment_processor", Value::from("stripe"));
        put("label", Value::from(options.label.clone().unwrap_or_else(|| title.to_owned())));
    } else {
        put("currency", Value::from(hold.amount.currency.code().to_lowercase()));
        for (ask, field) in [(Ask::Email, "customer_email"), (Ask::Name, "customer_name")] {
            // A field that is filled in ahead must never cost the page.
            let taken = |answer: &&String| ask != Ask::Email || answer.is_ascii();
            if let Some(answer) = hold.answers.get(&ask).filter(taken) {
                put(field, Value::from(answer.clone()));
            }
        }
        if let Some(discount) = &options.discount_id {
            put("discount_id", Value::from(discount.clone()));
        }
    }
    page
}

impl Polar {
    /// Makes a page, or takes up what an attempt before this one left.
    pub(super) async fn open(
        &self,
        nth: u32,
        plan: &Plan,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let found =
            if call.first { None } else { self.find(&plan.mark).await.map_err(Fault::hasty)? };
        let again = found.is_some();
        let product = match found {
            Some(product) => product,
            None => {
                let made = self.client.post(PRODUCTS, &plan.product).await;
                made.map_err(|fault| fault.unsure(Fault::hasty))?
            }
        };
        let product = text(&product, "/id").map_err(Fault::hasty)?;
        let left = if again { self.page_of(product, plan.shared).await? } else { None };
        let page = match left {
            Some(page) => page,
            None => self.make_page(product, plan).await?,
        };
        let total = total(&page, plan)?;
        if let Some(expected) = plan.expect.filter(|expected| *expected != total) {
            self.archive(product, &price(expected)).await.map_err(Fault::steady)?;
            let says = format!("Polar would ask for {total} instead of {expected}");
            return Err(ProviderError::Reject { says });
        }
        let field = |path| text(&page, path).map_err(Fault::hasty);
        Ok(Outcome::Opened(Checkout {
            id: CheckoutId::from(product),
            nth,
            order: Some(field("/id")?.to_owned()),
            url: field("/url")?.to_owned(),
            total,
            made_at: call.now,
            proven: false,
            closed: false,
        }))
    }

    async fn make_page(&self, product: &str, plan: &Plan) -> Result<Value, ProviderError> {
        let mut request = plan.page.clone();
        request.insert("products".to_owned(), json!([product]));
        let path = if plan.shared { LINKS } else { SESSIONS };
        let fault = match self.client.post(path, &Value::from(request)).await {
            Ok(page) => return Ok(page),
            Err(fault) => fault,
        };
        if let Some(amended) = amended(plan, &fault) {
            return Err(amended);
        }
        let error = fault.unsure(Fault::hasty);
        if matches!(error, ProviderError::Reject { .. }) {
            // A refused page leaves nothing behind; not sure of that, it is tried again.
            let price = plan.product.pointer("/prices/0").cloned().unwrap_or_default();
            self.archive(product, &price).await.map_err(Fault::steady)?;
        }
        Err(error)
    }

    /// The product with that mark that is still sold.
    async fn find(&self, mark: &str) -> Result<Option<Value>, Fault> {
        Ok(self.marked("page", mark).await?.into_iter().next())
    }

    /// Products that carry our mark and are still sold.
    pub(super) async fn marked(&self, key: &str, value: &str) -> Result<Vec<Value>, Fault> {
        let key = if key.is_empty() { MARK.to_owned() } else { format!("{MARK}_{key}") };
        let filter = segment(&format!("metadata[{key}]"));
        let path = format!("{PRODUCTS}?is_archived=false&{filter}={}", segment(value));
        let found = self.client.all(&path).await?;
        // A filter that the server does not know is no filter at all.
        let ours = |one: &Value| one["metadata"][&key] == value && one["is_archived"] != true;
        Ok(found.into_iter().filter(ours).collect())
    }

    /// The page that sells a product, made by an attempt whose answer was lost.
    async fn page_of(&self, product: &str, shared: bool) -> Result<Option<Value>, ProviderError> {
        let path = if shared { LINKS } else { SESSIONS };
        let path = format!("{path}?product_id={}", segment(product));
        let found = self.client.all(&path).await.map_err(Fault::hasty)?;
        Ok(found.into_iter().find(|one| shared || one["status"] == "open"))
    }

    /// Whether a page can be paid: Polar says so, and its address answers.
    pub(super) async fn probe(&self, body: &Value) -> Result<Verdict, ProviderError> {
        let not_yet = |says: String| Ok(Verdict::NotYet { says, again_after: AGAIN });
        let id = segment(body["page"].as_str().unwrap_or_default());
        let shared = body["shared"] == true;
        let path = if shared { LINKS } else { SESSIONS };
        let page = match self.client.get(&format!("{path}{id}")).await {
            Ok(page) => page,
            Err(fault) if fault.is_not_found() => {
                return not_yet("Polar does not show the page yet".to_owned());
            }
            Err(fault) => return Err(fault.hasty()),
        };
        if shared {
            let products = page["products"].as_array().map(Vec::as_slice).unwrap_or_default();
            if !products.iter().any(|product| product["is_archived"] != true) {
                return not_yet("the link sells nothing".to_owned());
            }
        } else if page["status"] != "open" {
            let status = page["status"].as_str().unwrap_or("unknown");
            return not_yet(format!("the page is {status}"));
        }
        let url = page["url"].as_str().or(body["url"].as_str()).unwrap_or_default();
        match self.client.page_status(url).await {
            Some(200..=399) => Ok(Verdict::Payable),
            Some(status) => not_yet(format!("the page answers {status}")),
            None => not_yet("the page does not answer".to_owned()),
        }
    }
}

/// What the page will ask for.
fn total(page: &Value, plan: &Plan) -> Result<Money, ProviderError> {
    let own = if plan.shared {
        let price = plan.product.pointer("/prices/0");
        price.and_then(|price| money(&price["price_amount"], &price["price_currency"]))
    } else {
        money(&page["total_amount"], &page["currency"])
    };
    own.ok_or_else(|| ProviderError::Retry {
        says: "Polar does not say what the page will ask for".to_owned(),
        after: None,
    })
}

/// The request without the prefilled answer that Polar does not like: no reason to lose a buyer.
fn amended(plan: &Plan, fault: &Fault) -> Option<ProviderError> {
    let mut plan = plan.clone();
    let says = fault.says().to_owned();
    let bad = ["customer_email", "customer_name"].into_iter().find(|field| says.contains(field))?;
    if fault.status() != Some(422) {
        return None;
    }
    plan.page.remove(bad)?;
    Some(ProviderError::Amend { body: json!(plan), says })
}
