//! Links: one for each hold, good for one order, made of an original product under the template's
//! name and price. None can be listed, looked up or taken back.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{
    Noventiq,
    options::{DECIMALS, Options},
    order::{HOLD, find, page_id, word},
    settings::Settings,
};
use crate::{
    clock::Span,
    money::Money,
    provider::{Call, Outcome, ProviderError, rest::Fault},
    sale::{
        Sale,
        event::Verdict,
        hold::{Checkout, Hold},
        offer::Bill,
        template::{Ask, Template},
    },
};

pub(super) const LINKS: &str = "/v1/generate_buy_link";

/// The sale among them.
const SALE: &str = "livetill_sale";

/// When to look again at a page that cannot be paid yet.
const AGAIN: Span = Span::from_millis(1000);

/// What requests call things, as configured.
#[derive(Clone, Debug)]
pub(super) struct Names {
    market: u64,
    customer: String,
    quantity: String,
    additional_data: bool,
}

impl Names {
    pub(super) fn of(config: &Settings) -> Self {
        Self {
            market: config.market_id,
            customer: config.customer_field.trim().to_owned(),
            quantity: config.quantity_field.trim().to_owned(),
            additional_data: config.additional_data,
        }
    }

    /// Whether an order can be of several units.
    pub(super) fn units(&self) -> bool {
        !self.quantity.is_empty()
    }

    /// A request for one entry of each kind, `each` for one unit with all that comes with it;
    /// `reference` comes back on the order.
    pub(super) fn request(
        &self,
        template: &Template,
        options: &Options,
        (units, each): (u32, Money),
        reference: &str,
    ) -> Map<String, Value> {
        let entry = |id: u64, name: &str, price: &Money, units: u32| {
            let mut entry = Map::new();
            entry.insert("id".to_owned(), json!(id));
            entry.insert("name".to_owned(), json!(name));
            entry.insert("price".to_owned(), json!(two_decimals(*price)));
            entry.insert("vendor_code".to_owned(), json!(reference));
            if self.units() {
                entry.insert(self.quantity.clone(), json!(units));
            }
            entry
        };
        // Checked when the template was read and again when the sale was started.
        let price = options.main_price(each).unwrap_or(each);
        let mut main = entry(options.product_id, &template.title, &price, units);
        let put = |entry: &mut Map<String, Value>, key: &str, value: &Option<String>| {
            if let Some(value) = value {
                entry.insert(key.to_owned(), json!(value));
            }
        };
        put(&mut main, "sku", &options.sku);
        put(&mut main, "name_for_invoice", &options.name_for_invoice);
        let mut products = vec![Value::from(main)];
        for part in &options.with {
            let price = Money::typed(&part.price, template.price.currency);
            let mut one =
                entry(part.product_id, &part.name, &price.unwrap_or(template.price), units);
            put(&mut one, "sku", &part.sku);
            products.push(Value::from(one));
        }
        let mut request = Map::new();
        request.insert("currency".to_owned(), json!(template.price.currency.code()));
        if self.market > 0 {
            request.insert("market_id".to_owned(), json!(self.market));
        }
        request.insert("products".to_owned(), Value::from(products));
        request
    }

    /// The frozen request for a hold's link.
    pub(super) fn plan(&self, sale: &Sale, hold: &Hold, options: &Options) -> Plan {
        let template = &sale.head.template;
        let reference = hold.id.to_string();
        let bill = template.bill(hold.units, hold.delivery.as_deref(), &hold.extras);
        let each = bill.as_ref().and_then(Bill::each).unwrap_or(template.price);
        let mut request = self.request(template, options, (hold.units, each), &reference);
        let delivery = hold.delivery.as_deref().and_then(|name| template.delivery(name));
        let fee = delivery.filter(|choice| choice.fee.minor > 0);
        let fee = fee.zip(options.delivery_product_id);
        let fee = fee.map(|(choice, id)| (id, &choice.label, choice.fee));
        let upsells = hold.extras.upsells.iter().filter_map(|name| {
            let upsell = template.offers.upsell(name)?;
            Some((*options.upsell_product_ids.get(name)?, &upsell.label, upsell.price))
        });
        let once = upsells.chain(fee).map(|(id, label, price)| {
            let mut entry = json!({ "id": id, "name": label, "vendor_code": reference,
                                    "price": two_decimals(price) });
            if self.units() {
                entry[&self.quantity] = json!(1);
            }
            entry
        });
        if let Some(Value::Array(products)) = request.get_mut("products") {
            let chosen = bill.iter().flat_map(|bill| &bill.adds).map(|line| line.label.as_str());
            let chosen = chosen.collect::<Vec<_>>().join(", ");
            if let Some(main) = products.first_mut().filter(|_| !chosen.is_empty()) {
                main["name"] = json!(format!("{} ({chosen})", template.title));
            }
            products.extend(once);
        }
        if self.additional_data {
            let mut data = vec![(SALE, sale.head.id.to_string()), (HOLD, reference)];
            data.extend(delivery.map(|choice| ("delivery", choice.name.clone())));
            let entry = |(name, value): (&str, String)| json!({ "name": name, "value": value });
            let data: Vec<Value> = data.into_iter().map(entry).collect();
            request.insert("additional_data".to_owned(), Value::from(data));
        }
        let customer = customer(hold);
        if !self.customer.is_empty() && !customer.is_empty() {
            request.insert(self.customer.clone(), Value::from(customer));
        }
        Plan { request, customer: self.customer.clone(), total: hold.amount }
    }
}

/// A link to be made: frozen with the effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Plan {
    pub request: Map<String, Value>,
    /// What the buyer's data are called in it.
    pub customer: String,
    /// What the buyer will be asked for.
    pub total: Money,
}

/// Major units with a dot and two decimals, whatever the currency.
fn two_decimals(amount: Money) -> String {
    let plain = amount.decimal();
    match amount.currency.exponent() {
        0 => format!("{plain}.{}", "0".repeat(DECIMALS)),
        _ => plain,
    }
}

/// What the buyer told us, under the names that webhooks use.
fn customer(hold: &Hold) -> Map<String, Value> {
    let mut customer = Map::new();
    let mut put = |key: &str, value: &str| {
        if !value.trim().is_empty() {
            customer.insert(key.to_owned(), json!(value.trim()));
        }
    };
    if let Some(name) = hold.answers.get(&Ask::Name) {
        let name = name.trim();
        let (first, last) = name.rsplit_once(' ').unwrap_or((name, ""));
        put("first_name", first);
        put("last_name", last);
    }
    for (ask, key) in [(Ask::Email, "email"), (Ask::Phone, "phone")] {
        // What is filled in ahead must never cost the page.
        let answer = hold.answers.get(&ask).filter(|answer| answer.is_ascii());
        put(key, answer.map_or("", String::as_str));
    }
    if !customer.is_empty() {
        customer.insert("type".to_owned(), json!("physical"));
    }
    customer
}

impl Noventiq {
    /// Makes a link. A repeat after a lost answer makes one more: whatever either of them brings
    /// carries the hold's reference.
    pub(super) async fn open(
        &self,
        nth: u32,
        plan: &Plan,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let answer = match self.client.post(LINKS, &json!(plan.request)).await {
            Ok(answer) => answer,
            Err(fault) => return Err(amended(plan, &fault).unwrap_or_else(|| fault.hasty())),
        };
        let url = find(&answer, "buy_link").and_then(|one| word(&one["buy_link"]));
        let Some(url) = url else {
            return Err(Fault::Lost("Noventiq answered without a buy_link".to_owned()).hasty());
        };
        let external = find(&answer, "external_id").and_then(|one| word(&one["external_id"]));
        Ok(Outcome::Opened(Checkout {
            id: page_id(external.as_deref(), &url),
            nth,
            order: None,
            url,
            total: plan.total,
            made_at: call.now,
            proven: false,
            closed: false,
        }))
    }

    /// Whether a link leads to a page. Looking places no order, which alone uses a link up.
    pub(super) async fn probe(&self, body: &Value) -> Verdict {
        let not_yet = |says: String| Verdict::NotYet { says, again_after: AGAIN };
        if !self.open_links {
            return Verdict::Payable;
        }
        match self.client.page_status(body["url"].as_str().unwrap_or_default()).await {
            Some(200..=399) => Verdict::Payable,
            Some(status) => not_yet(format!("the page answers {status}")),
            None => not_yet("the page does not answer".to_owned()),
        }
    }
}

/// The request without the buyer's data, where Noventiq does not like them: no reason to lose a
/// buyer.
fn amended(plan: &Plan, fault: &Fault) -> Option<ProviderError> {
    let words = ["customer", "email", "phone", "first_name", "last_name", "country"];
    let says = fault.says().to_lowercase();
    if !matches!(fault.status(), Some(400 | 422)) || !words.iter().any(|one| says.contains(one)) {
        return None;
    }
    let mut plan = plan.clone();
    plan.request.remove(&plan.customer)?;
    Some(ProviderError::Amend { body: json!(plan), says: fault.says().to_owned() })
}
