//! What buyers see of the stand-in: links that make a session for each visit, pages that are paid.

use axum::{
    body::Body,
    http::{Method, Response, header},
};
use serde_json::{Value, json};

use super::fake::Books;

fn says(status: u16, text: &str) -> Response<Body> {
    Response::builder().status(status).body(Body::from(text.to_owned())).expect("an answer")
}

fn to(url: &str) -> Response<Body> {
    let answer = Response::builder().status(303).header(header::LOCATION, url);
    answer.body(Body::empty()).expect("an answer")
}

impl Books {
    pub fn page(&mut self, method: &Method, path: &str) -> Response<Body> {
        let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        match (method.as_str(), segments.as_slice()) {
            ("GET", ["buy", secret]) => {
                let link = self.links.values().find(|link| link["client_secret"] == *secret);
                let Some(link) = link.cloned() else { return says(404, "no such link") };
                // Every visit makes a session, a crawler's too.
                let product =
                    self.products[link["products"][0]["id"].as_str().expect("id")].clone();
                let body =
                    json!({ "metadata": link["metadata"], "success_url": link["success_url"] });
                let session = self.session(&body, &product);
                to(session["url"].as_str().expect("an address"))
            }
            ("GET", ["checkout", id]) => match self.sessions.get(*id) {
                Some(one) if one["expires_ms"].as_i64() <= Some(self.now) => says(410, "expired"),
                Some(_) => says(200, "Pay now"),
                None => says(404, "no such page"),
            },
            ("POST", ["checkout", id, "pay"]) => {
                let answer = self.confirm(id);
                if answer.status() == 200 {
                    self.succeed(id);
                    let back = self.sessions[*id]["success_url"].as_str().unwrap_or_default();
                    return to(back);
                }
                answer
            }
            ("POST", ["checkout", id, "confirm"]) => self.confirm(id),
            _ => says(404, "nothing here"),
        }
    }

    /// The buyer presses *Pay*: the price is looked at, not the product.
    pub fn confirm(&mut self, id: &str) -> Response<Body> {
        let Some(session) = self.sessions.get(id) else { return says(404, "no such page") };
        if session["expires_ms"].as_i64() <= Some(self.now) {
            return says(410, "ExpiredCheckoutError");
        }
        if session["status"] != "open" {
            return says(403, "NotOpenCheckout");
        }
        let product = &self.products[session["product_id"].as_str().expect("id")];
        let replaced = &product["replaced"];
        let still = replaced["until"].as_i64().is_some_and(|until| self.now < until);
        let prices = if still { &replaced["prices"] } else { &product["prices"] };
        let prices = prices.as_array().expect("prices");
        if !prices.iter().any(|price| price["id"] == session["product_price_id"]) {
            return says(422, "Price is archived.");
        }
        self.sessions.get_mut(id).expect("known")["status"] = Value::from("confirmed");
        let session = self.sessions[id].clone();
        self.event("checkout.updated", &session);
        says(200, "")
    }

    /// The card fails: the page is open again.
    pub fn card_fails(&mut self, id: &str) {
        let session = self.sessions.get_mut(id).expect("known");
        assert_eq!(session["status"], "confirmed");
        session["status"] = Value::from("open");
    }

    /// The money is there.
    pub fn succeed(&mut self, id: &str) {
        let session = self.sessions.get_mut(id).expect("known");
        assert_eq!(session["status"], "confirmed");
        session["status"] = Value::from("succeeded");
        let session = session.clone();
        let off = self.faults.order_discount;
        let total = session["total_amount"].as_i64().expect("an amount") - off;
        let tax = total / 6;
        let order_id = self.id("order");
        let mut order = json!({
            "id": order_id, "created_at": self.time(), "status": "pending", "paid": false,
            "billing_reason": "purchase", "product_id": session["product_id"],
            "checkout_id": id, "metadata": session["metadata"], "net_amount": total - tax,
            "tax_amount": tax, "total_amount": total, "currency": "usd",
            "refunded_amount": 0, "refundable_amount": total - tax,
            "refundable_tax_amount": tax, "platform_fee_amount": total / 25 + 40,
            "platform_fee_currency": "usd", "modified_at": null,
            "discount_id": session["discount_id"], "discount_amount": off,
        });
        self.event("order.created", &order);
        order["status"] = Value::from("paid");
        order["paid"] = Value::from(true);
        self.orders.insert(order_id, order.clone());
        self.event("order.updated", &order);
        self.event("order.paid", &order);
        self.event("checkout.updated", &session);
    }
}
