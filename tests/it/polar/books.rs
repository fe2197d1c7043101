//! Products, links, sessions and refunds of the stand-in.

use serde_json::{Value, json};

use super::fake::{Answer, Books, invalid, no};
use livetill::clock::Timestamp;

const DAY_MS: i64 = 24 * 3600 * 1000;

fn check_metadata(body: &Value) -> Option<Answer> {
    let pairs = body["metadata"].as_object()?;
    let fine = |(key, value): (&String, &Value)| {
        let value = match value {
            Value::String(text) => (1..=500).contains(&text.chars().count()),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        value && (1..=40).contains(&key.chars().count())
    };
    let good = pairs.len() <= 50 && pairs.iter().all(fine);
    (!good).then(|| invalid("metadata", "Invalid metadata"))
}

impl Books {
    /// New prices for a product; the ones left out are archived.
    fn prices(&mut self, body: &Value) -> Result<Value, Answer> {
        let wanted = body["prices"].as_array().cloned().unwrap_or_default();
        if wanted.is_empty() {
            return Err(invalid("prices", "At least one price is required."));
        }
        let mut prices = Vec::new();
        for mut price in wanted {
            let fine = price["amount_type"] == "fixed"
                && price["price_amount"].as_i64().is_some_and(|amount| amount >= 50)
                && price["price_currency"] == "usd"
                && price["tax_behavior"] == "inclusive";
            if !fine {
                return Err(invalid("prices", "Invalid price"));
            }
            price["id"] = Value::from(self.id("price"));
            price["source"] = Value::from("catalog");
            prices.push(price);
        }
        Ok(Value::from(prices))
    }

    pub fn make_product(&mut self, body: &Value) -> Answer {
        let name = body["name"].as_str().unwrap_or_default().chars().count();
        if !(3..=64).contains(&name) {
            return invalid("name", "3 to 64 characters");
        }
        if let Some(wrong) = check_metadata(body) {
            return wrong;
        }
        let prices = match self.prices(body) {
            Ok(prices) => prices,
            Err(wrong) => return wrong,
        };
        let mut product = body.clone();
        let id = self.id("product");
        product["id"] = Value::from(id.clone());
        product["is_archived"] = Value::from(false);
        product["is_recurring"] = Value::from(false);
        product["created_at"] = Value::from(self.time());
        product["prices"] = prices;
        self.products.insert(id, product.clone());
        (201, product)
    }

    pub fn change_product(&mut self, id: &str, body: &Value) -> Answer {
        if !self.products.contains_key(id) {
            return no(404, "ResourceNotFound", "Not found");
        }
        if self.faults.cannot_close {
            return invalid("prices", "This product cannot be changed.");
        }
        if body["prices"].is_array() {
            let prices = match self.prices(body) {
                Ok(prices) => prices,
                Err(wrong) => return wrong,
            };
            let until = self.now + self.faults.latency_ms;
            let product = self.products.get_mut(id).expect("known");
            let replaced = product["prices"].take();
            product["replaced"] = json!({ "prices": replaced, "until": until });
            product["prices"] = prices;
        }
        if let Some(archived) = body["is_archived"].as_bool() {
            let product = self.products.get_mut(id).expect("known");
            product["is_archived"] = Value::from(archived);
            // An archived product leaves every link, and a link left empty goes.
            self.links.retain(|_, link| {
                let products = link["products"].as_array_mut().expect("products");
                products.retain(|one| one["id"] != id || !archived);
                !products.is_empty()
            });
        }
        (200, self.products[id].clone())
    }

    /// The product that a page is to sell.
    fn sold(&mut self, body: &Value) -> Result<Value, Answer> {
        if let Some(wrong) = check_metadata(body) {
            return Err(wrong);
        }
        let id = body["products"][0].as_str().unwrap_or_default();
        let Some(product) = self.products.get(id) else {
            return Err(invalid("products", "Product does not exist."));
        };
        if product["is_archived"] == true {
            return Err(invalid("products", "Product is archived."));
        }
        Ok(product.clone())
    }

    pub fn make_link(&mut self, body: &Value) -> Answer {
        if body["payment_processor"] != "stripe" {
            return invalid("payment_processor", "Field required");
        }
        let product = match self.sold(body) {
            Ok(product) => product,
            Err(wrong) => return wrong,
        };
        let (id, secret) = (self.id("link"), self.id("polar_cl"));
        let mut link = body.clone();
        link["id"] = Value::from(id.clone());
        link["client_secret"] = Value::from(secret.clone());
        link["url"] = Value::from(format!("{}/buy/{secret}", self.url));
        link["products"] = json!([product]);
        self.links.insert(id, link.clone());
        (201, link)
    }

    pub fn make_session(&mut self, body: &Value) -> Answer {
        let email = &body["customer_email"];
        if !email.is_null() && email.as_str() == self.faults.bad_email.as_deref() {
            return invalid("customer_email", "value is not a valid email address");
        }
        let product = match self.sold(body) {
            Ok(product) => product,
            Err(wrong) => return wrong,
        };
        (201, self.session(body, &product))
    }

    /// A session that sells a product at the price it has now.
    pub fn session(&mut self, body: &Value, product: &Value) -> Value {
        let (id, secret) = (self.id("checkout"), self.id("polar_c"));
        let amount = product["prices"][0]["price_amount"].as_i64().expect("an amount");
        let mut session = body.clone();
        for (name, value) in [
            ("id", Value::from(id.clone())),
            ("client_secret", Value::from(secret.clone())),
            ("url", Value::from(format!("{}/checkout/{id}", self.url))),
            ("status", Value::from("open")),
            ("created_at", Value::from(self.time())),
            ("expires_at", Value::from(Timestamp::from_millis(self.now + DAY_MS).rfc3339())),
            ("expires_ms", Value::from(self.now + DAY_MS)),
            ("amount", Value::from(amount)),
            ("tax_amount", Value::Null),
            ("total_amount", Value::from(amount + self.faults.surcharge)),
            ("list_amount", Value::from(amount)),
            ("currency", Value::from("usd")),
            ("product_id", product["id"].clone()),
            ("product_price_id", product["prices"][0]["id"].clone()),
            ("products", json!([product])),
        ] {
            session[name] = value;
        }
        self.sessions.insert(id, session.clone());
        let shown = session.clone();
        self.event("checkout.created", &shown);
        session
    }

    pub fn refund(&mut self, body: &Value) -> Answer {
        let id = body["order_id"].as_str().unwrap_or_default().to_owned();
        let Some(order) = self.orders.get(&id).cloned() else {
            return no(404, "ResourceNotFound", "Not found");
        };
        if self.faults.disputed {
            return no(403, "RefundDisputedPayment", "The payment is disputed.");
        }
        let left = order["refundable_amount"].as_i64().expect("an amount");
        let amount = body["amount"].as_i64().unwrap_or(0);
        if left == 0 {
            return no(403, "RefundedAlready", "Order is already fully refunded");
        }
        if amount < 1 || amount > left {
            return invalid("amount", "Refund amount exceeds refundable amount");
        }
        let tax = order["tax_amount"].as_i64().expect("tax") * amount
            / order["net_amount"].as_i64().expect("net");
        let refund = json!({
            "id": self.id("refund"), "order_id": id, "amount": amount, "tax_amount": tax,
            "currency": "usd", "status": "pending", "created_at": self.time(),
            "reason": body["reason"],
        });
        {
            let order = self.orders.get_mut(&id).expect("known");
            order["refundable_amount"] = Value::from(left - amount);
            let left_tax = order["refundable_tax_amount"].as_i64().expect("tax") - tax;
            order["refundable_tax_amount"] = Value::from(left_tax);
        }
        let refund_id = refund["id"].as_str().expect("an id").to_owned();
        self.refunds.insert(refund_id.clone(), refund.clone());
        self.event("refund.created", &refund);
        if !self.faults.refunds_wait {
            self.refund_ends(&refund_id, "succeeded");
        }
        (201, self.refunds[&refund_id].clone())
    }

    /// A refund comes to its end.
    pub fn refund_ends(&mut self, id: &str, status: &str) {
        let refund = self.refunds.get_mut(id).expect("known");
        refund["status"] = Value::from(status);
        let refund = refund.clone();
        self.event("refund.updated", &refund);
        if status == "succeeded" {
            let order = self.orders.get_mut(refund["order_id"].as_str().expect("id")).expect("it");
            let whole = order["refundable_amount"] == 0;
            order["status"] = Value::from(if whole { "refunded" } else { "partially_refunded" });
            let order = order.clone();
            self.event("order.refunded", &order);
        }
    }
}
