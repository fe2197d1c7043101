//! Orders as Noventiq tells of them, read as tolerantly as their partly known shape asks for.

use serde_json::Value;

use crate::{
    clock::Timestamp,
    id::{CheckoutId, HoldId, PaymentId},
    mac::short_hash,
    money::{Currency, Money},
    sale::payment::{PaymentFact, PaymentStatus},
};

/// Our reference among the additional data of an order.
pub(super) const HOLD: &str = "livetill_hold";

/// How deep an answer is looked through.
const DEPTH_MAX: u32 = 6;

/// An order that was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Order {
    pub id: String,
    pub status: String,
    pub hold: Option<HoldId>,
    /// The link it was placed with.
    pub page: Option<CheckoutId>,
    pub created: Option<Timestamp>,
    pub paid: Option<Timestamp>,
    /// What the buyer pays; 0 where that cannot be read, so that a person looks.
    amount: Option<Money>,
    link: Option<String>,
    /// How a request to refund it stands, in Noventiq's words.
    pub refund: Option<String>,
}

impl Order {
    /// Reads an order, whatever stands around it; `None` if there is none.
    pub(super) fn read(answer: &Value) -> Option<Self> {
        let order = find(answer, "order_id")?;
        let currency: Option<Currency> =
            find(order, "currency").and_then(|one| one["currency"].as_str()?.parse().ok());
        Some(Self {
            id: word(&order["order_id"])?,
            status: order["status"].as_str().unwrap_or_default().trim().to_lowercase(),
            hold: hold_of(order),
            page: word(&order["external_id"]).map(|id| page_id(Some(&id), "")),
            created: time(&order["create_date"]),
            paid: time(&order["pay_date"]),
            amount: currency
                .map(|currency| amount(order, currency).unwrap_or_else(|| Money::new(0, currency))),
            link: order["order_detail_url"].as_str().map(str::to_owned),
            refund: refund_state(order),
        })
    }

    /// Whether its money went back. An order that was never paid is deleted, too.
    pub(super) fn is_refunded(&self) -> bool {
        self.status == "deleted" && self.paid.is_some()
    }

    /// What it is as money; `None` while it is none.
    pub(super) fn fact(&self) -> Option<PaymentFact> {
        match self.status.as_str() {
            "paid" => self.told(PaymentStatus::Completed, false),
            "deleted" if self.paid.is_some() => self.told(PaymentStatus::Completed, true),
            _ => None,
        }
    }

    /// What it is now, after it was money once.
    pub(super) fn fact_once_paid(&self) -> Option<PaymentFact> {
        match self.status.as_str() {
            "paid" => self.told(PaymentStatus::Completed, false),
            "deleted" => self.told(PaymentStatus::Completed, true),
            "not paid" | "terminated" => self.told(PaymentStatus::Failed, false),
            _ => None,
        }
    }

    fn told(&self, status: PaymentStatus, back: bool) -> Option<PaymentFact> {
        let amount = self.amount?;
        let refunded = if back { amount.minor } else { 0 };
        Some(PaymentFact {
            id: PaymentId::from(self.id.as_str()),
            hold: self.hold,
            checkout: self.page.clone(),
            order: None,
            amount,
            tip: 0,
            discount: 0,
            refunded,
            status,
            at: self.paid.or(self.created).unwrap_or_default(),
            link: self.link.clone(),
            // No document names a fee of the service, nor a time of the last change: every order is
            // read anew.
            fee: None,
            as_of: None,
        })
    }
}

/// The ids that a search found.
pub(super) fn ids(answer: &Value) -> Vec<String> {
    let found = find(answer, "ids").and_then(|one| one["ids"].as_array());
    found.into_iter().flatten().filter_map(word).collect()
}

/// A number or a text that is not empty, as a text.
pub(super) fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The first object that has `key`, from the outside in.
pub(super) fn find<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    find_within(value, key, DEPTH_MAX)
}

fn find_within<'a>(value: &'a Value, key: &str, depth: u32) -> Option<&'a Value> {
    if value.get(key).is_some_and(|inner| !inner.is_null()) {
        return Some(value);
    }
    let depth = depth.checked_sub(1)?;
    match value {
        Value::Array(all) => all.iter().find_map(|one| find_within(one, key, depth)),
        Value::Object(all) => all.values().find_map(|one| find_within(one, key, depth)),
        _ => None,
    }
}

/// Every object that looks like a product of an order.
fn products<'a>(value: &'a Value, depth: u32, found: &mut Vec<&'a Value>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::Object(all) => {
            let priced = all.contains_key("amount") || all.contains_key("price");
            let named = all.contains_key("name") || all.contains_key("vendor_code");
            if priced && named {
                return found.push(value);
            }
            all.values().for_each(|one| products(one, depth, found));
        }
        Value::Array(all) => all.iter().for_each(|one| products(one, depth, found)),
        _ => {}
    }
}

/// What the buyer pays: the sum over the products, else what stands on the order itself.
fn amount(order: &Value, currency: Currency) -> Option<Money> {
    let mut all = Vec::new();
    products(order, DEPTH_MAX, &mut all);
    if all.is_empty() {
        let places = ["/amount", "/total", "/payment/amount", "/total_amount"];
        return places.iter().find_map(|at| money(order.pointer(at)?, currency));
    }
    all.iter().try_fold(Money::new(0, currency), |sum, product| {
        let own = money(&product["amount"], currency).or_else(|| {
            let units = product["quantity"].as_u64().unwrap_or(1);
            money(&product["price"], currency)?.times(u32::try_from(units).ok()?)
        });
        sum.plus(own?)
    })
}

/// An amount in major units, a text with two decimals as a rule.
fn money(value: &Value, currency: Currency) -> Option<Money> {
    let text = word(value)?;
    let exponent = currency.exponent();
    // Two decimals are written of every currency.
    let short = match text.split_once('.') {
        Some((whole, part)) if part.len() > exponent => {
            let (kept, rest) = part.split_at_checked(exponent)?;
            if rest.bytes().any(|b| b != b'0') {
                return None;
            }
            if kept.is_empty() { whole.to_owned() } else { format!("{whole}.{kept}") }
        }
        _ => text,
    };
    Money::parse(&short, currency).ok()
}

/// Our reference: on a product, else among the additional data.
fn hold_of(order: &Value) -> Option<HoldId> {
    let mut all = Vec::new();
    products(order, DEPTH_MAX, &mut all);
    let on_product = all.iter().find_map(|one| one["vendor_code"].as_str()?.trim().parse().ok());
    on_product.or_else(|| {
        let data = &find(order, "additional_data")?["additional_data"];
        if let Some(hold) = data[HOLD].as_str() {
            return hold.parse().ok();
        }
        let ours = data.as_array()?.iter().find(|one| one["name"] == HOLD)?;
        ours["value"].as_str()?.parse().ok()
    })
}

/// How a request to refund it stands: a word wherever the answer speaks of a refund.
fn refund_state(order: &Value) -> Option<String> {
    let inside = |block: &Value| {
        let of = |key: &str| find(block, key).and_then(|one| word(&one[key]));
        of("status").or_else(|| of("state"))
    };
    let all = order.as_object()?.iter().filter(|(key, _)| key.starts_with("refund"));
    let mut words = all.filter_map(|(key, block)| match key.ends_with("status") {
        true => word(block),
        false => inside(block),
    });
    words.next()
}

fn time(value: &Value) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(value.as_str()?)
}

/// How a link is known: by the id that orders carry back, else by its address.
pub(super) fn page_id(external: Option<&str>, url: &str) -> CheckoutId {
    match external {
        Some(id) => CheckoutId::from(id),
        None => CheckoutId::from(format!("link:{}", short_hash(url)).as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SALE: &str = "019b76da0800777788889999aaaabbbb";

    fn order(status: &str) -> Value {
        json!({
            "order_id": 5_555_555, "status": status, "external_id": "TEST12025", "currency": "EUR",
            "create_date": "2026-01-01T09:16:35+03:00", "pay_date": "2026-01-01T09:17:00+03:00",
            "products": [
                { "id": "111", "vendor_code": format!("{SALE}-7"), "name": "Mug", "price": "10.00",
                  "quantity": 1, "amount": "10.00" },
                { "id": "112", "vendor_code": "", "name": "Box", "price": "4.00", "quantity": 2,
                  "amount": "" },
            ],
        })
    }

    #[test]
    fn an_order_is_found_in_any_envelope() {
        let plain = Order::read(&order("paid")).expect("read");
        for envelope in [json!({ "order": order("paid") }), json!({ "data": [order("paid")] })] {
            assert_eq!(Order::read(&envelope).as_ref(), Some(&plain));
        }
        let fact = plain.fact().expect("money");
        assert_eq!((fact.id.as_str(), fact.amount.minor, fact.refunded), ("5555555", 1800, 0));
        assert_eq!(fact.hold.map(|hold| hold.n), Some(7));
        assert_eq!(fact.checkout, Some(CheckoutId::from("TEST12025")));
        assert_eq!(ids(&json!({ "data": { "ids": [1, "2", null] } })), ["1", "2"]);
    }

    #[test]
    fn only_money_is_a_payment() {
        let fact = |order: &Value| Order::read(order).and_then(|order| order.fact());
        for status in ["not paid", "terminated", "", "pondering"] {
            assert_eq!(fact(&order(status)), None, "{status}");
        }
        assert_eq!(fact(&order("deleted")).map(|fact| fact.refunded), Some(1800));
        let mut never = order("deleted");
        never["pay_date"] = "".into();
        assert_eq!(fact(&never), None, "cancelled unpaid");
        let mut dark = order("paid");
        dark["products"][0]["amount"] = "ten".into();
        dark["products"][0]["price"] = json!(null);
        assert_eq!(fact(&dark).map(|fact| fact.amount.minor), Some(0), "a person looks");
    }

    #[test]
    fn our_reference_is_found_twice_over() {
        let mut one = order("paid");
        one["products"][0]["vendor_code"] = "MUG".into();
        assert_eq!(Order::read(&one).expect("read").hold, None, "of somebody else");
        let hold = format!("{SALE}-7");
        one["additional_data"] = json!([{ "name": HOLD, "value": hold }]);
        assert_eq!(Order::read(&one).expect("read").hold.map(|hold| hold.n), Some(7));
        one["additional_data"] = json!({ HOLD: hold });
        assert_eq!(Order::read(&one).expect("read").hold.map(|hold| hold.n), Some(7));
    }

    #[test]
    fn a_refund_request_is_seen_wherever_it_stands() {
        for refund in [
            json!({ "refund": { "status": "New" } }),
            json!({ "refund_amount": "", "refund_data": [{ "state": "New" }] }),
            json!({ "refund_status": "New" }),
        ] {
            let mut one = order("paid");
            for (key, value) in refund.as_object().expect("fields") {
                one[key] = value.clone();
            }
            assert_eq!(Order::read(&one).expect("read").refund.as_deref(), Some("New"));
        }
        assert_eq!(Order::read(&order("paid")).expect("read").refund, None);
    }

    #[test]
    fn two_decimals_are_read_of_every_currency() {
        let of = |text: &str, code: &str| {
            money(&Value::from(text), code.parse().expect("a currency")).map(|money| money.minor)
        };
        assert_eq!((of("2500.00", "JPY"), of("2500.50", "JPY")), (Some(2500), None));
        assert_eq!(
            (of("25", "EUR"), of("25.5", "EUR"), of("25.505", "EUR")),
            (Some(2500), Some(2550), None)
        );
    }
}
