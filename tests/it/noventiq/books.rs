//! Links, orders, refunds and webhooks of the stand-in, and what buyers see of it.

use std::collections::BTreeSet;

use axum::{
    body::Body,
    http::{Method, Response},
};
use livetill::clock::Timestamp;
use serde_json::{Value, json};

use super::fake::{Answer, Books, no};

/// Original products that exist.
pub const PRODUCTS: [u64; 3] = [4_653_375, 4_653_376, 4_653_377];

/// The seller's checkout page.
pub const MARKET: u64 = 17;

fn says(status: u16, text: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(text.to_owned())).expect("an answer")
}

/// Cents of a price with a dot and two decimals.
fn cents(price: &Value) -> Option<i64> {
    let (whole, part) = price.as_str()?.split_once('.')?;
    (part.len() == 2).then(|| format!("{whole}{part}").parse().ok())?
}

fn decimal(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// What is wrong with an entry of a basket.
fn entry_trouble(entry: &Value, seen: &mut BTreeSet<u64>) -> Option<&'static str> {
    let Some(id) = entry["id"].as_u64().filter(|id| PRODUCTS.contains(id)) else {
        return Some("products.id: the product does not exist");
    };
    if !seen.insert(id) {
        return Some("products: each entry must use a different original product");
    }
    if entry["name"].as_str().is_none_or(str::is_empty) {
        return Some("products.name is required");
    }
    if cents(&entry["price"]).is_none_or(|cents| cents <= 0) {
        return Some("products.price must be a string with two decimals");
    }
    let long = |key: &str, max| entry[key].as_str().is_some_and(|text| text.chars().count() > max);
    if long("sku", 40) || long("vendor_code", 255) {
        return Some("products: a text is too long");
    }
    (!entry["quantity"].is_null() && entry["quantity"].as_u64().is_none_or(|n| n == 0))
        .then_some("products.quantity must be a number")
}

impl Books {
    /// A date as orders carry it.
    pub fn date(&self) -> String {
        let text = Timestamp::from_millis(self.now).rfc3339();
        format!("{}+00:00", &text[..19])
    }

    pub fn make_link(&mut self, body: &Value) -> Answer {
        if !["USD", "EUR"].iter().any(|code| body["currency"] == *code) {
            return no(400, 21, "The currency is not enabled for you.");
        }
        if !body["market_id"].is_null() && body["market_id"] != MARKET {
            return no(400, 22, "There is no such market.");
        }
        let products = body["products"].as_array().cloned().unwrap_or_default();
        let mut seen = BTreeSet::new();
        let trouble = products.iter().find_map(|entry| entry_trouble(entry, &mut seen));
        if let Some(trouble) = trouble.or(products.is_empty().then_some("products is required")) {
            return no(400, 23, trouble);
        }
        let email = &body["customer"]["email"];
        if email.is_string() && email.as_str() == self.faults.bad_email.as_deref() {
            return no(400, 24, "customer.email: not an address");
        }
        self.ids += 1;
        let key = format!("buy-{:04}", self.ids);
        let url = format!("{}/buy/{key}", self.url);
        let external = format!("TEST{:05}", self.ids);
        let link = json!({ "key": key, "external_id": external, "used": false, "request": body });
        self.links.insert(key, link);
        if self.faults.anonymous {
            return (200, json!({ "buy_link": url }));
        }
        (200, json!({ "buy_link": url, "external_id": external }))
    }

    /// The buyer presses *Continue*: an order, not paid yet. A link is good for one.
    pub fn place(&mut self, key: &str) -> Option<u64> {
        let link = self.links.get_mut(key).filter(|link| link["used"] == false)?;
        link["used"] = Value::from(true);
        let link = link.clone();
        self.ids += 1;
        let id = 5_000_000 + self.ids;
        let mut total = self.faults.surcharge;
        let mut products = Vec::new();
        for entry in link["request"]["products"].as_array().expect("products") {
            let units = entry["quantity"].as_i64().unwrap_or(1);
            let amount = cents(&entry["price"]).expect("checked") * units;
            total += amount;
            let shown = if products.is_empty() { amount + self.faults.surcharge } else { amount };
            products.push(json!({
                "id": entry["id"].to_string(), "vendor_code": entry["vendor_code"],
                "sku": entry["sku"].as_str().unwrap_or_default(), "business_segment": "b2c",
                "name": entry["name"], "price": entry["price"], "quantity": units,
                "discount_percent": "", "discount_amount": "", "vat_amount": "0.00",
                "amount": decimal(shown), "margin": "1.00",
            }));
        }
        let customer = &link["request"]["customer"];
        let order = json!({
            "order_id": id, "order_name": format!("A000{id}"), "status": "not paid",
            "external_id": link["external_id"], "create_date": self.date(), "pay_date": "",
            "currency": link["request"]["currency"], "locale": "en_EN", "cents": total,
            "order_detail_url": format!("{}/order/status/{id}", self.url),
            "customer": { "country": "FR", "type": "physical",
                          "email": customer["email"].as_str().unwrap_or("buyer@example.org") },
            "payment": { "payment_method": "CreditCard", "payment_system_name": "Bank Card",
                         "card_last_4": null },
            "products": products,
            "additional_data": link["request"]["additional_data"],
        });
        self.orders.insert(id, order);
        self.tell("order.created", id);
        Some(id)
    }

    /// The money is there.
    pub fn succeed(&mut self, id: u64) {
        let date = self.date();
        let order = self.orders.get_mut(&id).expect("known");
        assert_eq!(order["status"], "not paid");
        order["status"] = Value::from("paid");
        order["pay_date"] = Value::from(date);
        self.tell("order.payment.succeeded", id);
    }

    /// A webhook for each product of an order.
    pub fn tell(&mut self, event: &str, id: u64) {
        let order = self.orders[&id].clone();
        let products = order["products"].as_array().expect("products");
        for (n, product) in products.iter().enumerate() {
            let mut body = order.clone();
            let fields = body.as_object_mut().expect("an object");
            fields.remove("products");
            fields.remove("cents");
            body["event"] = event.into();
            body["event_date"] = self.date().into();
            body["product"] = product.clone();
            body["document_part"] = format!("{}-of-{}", n + 1, products.len()).into();
            self.events.push_back(body);
        }
    }

    pub fn ask_refund(&mut self, id: &str, body: &Value) -> Answer {
        let order = id.parse().ok().and_then(|id: u64| self.orders.get_mut(&id));
        let Some(order) = order else { return no(404, 3, "Order not found.") };
        let long =
            |key: &str, max| body[key].as_str().is_none_or(|text| text.chars().count() > max);
        if long("email", 80) || long("description", 500) {
            return no(400, 31, "email is required");
        }
        if order["status"] != "paid" {
            return no(400, 32, "The order is not paid.");
        }
        if order["refund"]["status"] == "New" || order["refund"]["status"] == "Processing" {
            return no(400, 33, "There is a refund request already.");
        }
        order["refund"] = json!({ "status": "New" });
        (200, json!({}))
    }

    /// People decide on the request to refund an order.
    pub fn decide_refund(&mut self, id: u64, granted: bool) {
        let order = self.orders.get_mut(&id).expect("known");
        assert_eq!(order["refund"]["status"], "New", "nobody asked");
        if !granted {
            order["refund"]["status"] = Value::from("Rejected");
            return;
        }
        order["refund"]["status"] = Value::from("Completed");
        order["status"] = Value::from("deleted");
        self.tell("product.returned", id);
    }

    pub fn page(&mut self, method: &Method, path: &str) -> Response<Body> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["buy", key]) => match self.links.get(*key) {
                _ if self.faults.dead_links => says(404, "not found"),
                // Looking does not use it up.
                Some(_) => says(200, "Pay now"),
                None => says(404, "not found"),
            },
            ("POST", ["buy", key, "pay"]) => match self.place(key) {
                Some(order) => {
                    self.succeed(order);
                    says(200, "Thank you")
                }
                None => says(410, "This link was used"),
            },
            _ => says(404, "nothing here"),
        }
    }
}
