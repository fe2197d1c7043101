//! Links, orders, pages, payments and refunds of the stand-in.

use axum::{
    body::Body,
    http::{Method, Response, header},
};
use serde_json::{Value, json};

use super::fake::{Answer, Books, LOCATION, no};

fn money(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "USD" })
}

fn amount(value: &Value) -> i64 {
    value["amount"].as_i64().unwrap_or(0)
}

impl Books {
    pub fn make_link(&mut self, body: &Value, url: &str) -> Answer {
        let email = &body["pre_populated_data"]["buyer_email"];
        if !email.is_null() && email.as_str() == self.faults.bad_email.as_deref() {
            let mut answer = no(400, "INVALID_EMAIL_ADDRESS", "The email address is not valid.");
            answer.1["errors"][0]["field"] = Value::from("pre_populated_data.buyer_email");
            return answer;
        }
        let total = match self.total(body) {
            Ok(total) => total,
            Err(answer) => return answer,
        };
        let (link, order) = (self.id("LINK"), self.id("ORDER"));
        let mut made = body["order"].clone();
        made["id"] = Value::from(order.clone());
        made["state"] = Value::from("DRAFT");
        made["version"] = Value::from(1);
        made["total_money"] = money(total + self.faults.surcharge);
        made["fulfillments"] = json!([{ "uid": "f1", "type": "DIGITAL", "state": "PROPOSED" }]);
        self.orders.insert(order.clone(), made.clone());
        let made_link = json!({
            "id": link, "version": 1, "order_id": order, "url": format!("{url}/u/{link}"),
            "description": body["description"], "checkout_options": body["checkout_options"],
            "created_at": self.time(),
        });
        self.links.insert(link, made_link.clone());
        (200, json!({ "payment_link": made_link, "related_resources": { "orders": [made] } }))
    }

    /// What an order costs after Square's rules; a modifier's price counts once per unit.
    fn total(&mut self, body: &Value) -> Result<i64, Answer> {
        let mut total = amount(&body["checkout_options"]["shipping_fee"]["charge"]);
        for line in body["order"]["line_items"].as_array().into_iter().flatten() {
            let quantity: i64 = line["quantity"].as_str().and_then(|q| q.parse().ok()).unwrap_or(0);
            let Some(id) = line["catalog_object_id"].as_str() else {
                // A line of no catalog has a name and a price of its own.
                if line["name"].as_str().is_none_or(str::is_empty) {
                    return Err(no(
                        400,
                        "MISSING_REQUIRED_PARAMETER",
                        "An ad hoc line needs a name.",
                    ));
                }
                total += amount(&line["base_price_money"]) * quantity;
                continue;
            };
            let Some(object) = self.objects.get(id).filter(|o| o["type"] == "ITEM_VARIATION")
            else {
                self.wrong.push(format!("a line of {id}, which is no variation"));
                return Err(no(404, "NOT_FOUND", "Catalog object not found."));
            };
            let mut price = amount(&object["item_variation_data"]["price_money"]);
            for modifier in line["modifiers"].as_array().into_iter().flatten() {
                let Some(id) = modifier["catalog_object_id"].as_str() else {
                    if modifier["name"].as_str().is_none_or(str::is_empty) {
                        let says = "An ad hoc modifier needs a name.";
                        return Err(no(400, "MISSING_REQUIRED_PARAMETER", says));
                    }
                    price += amount(&modifier["base_price_money"]);
                    continue;
                };
                let Some(object) = self.objects.get(id).filter(|o| o["type"] == "MODIFIER") else {
                    return Err(no(404, "NOT_FOUND", "Modifier not found."));
                };
                price += match &modifier["base_price_money"] {
                    Value::Null => amount(&object["modifier_data"]["price_money"]),
                    own => amount(own),
                };
            }
            total += price * quantity;
        }
        let discounts = body["order"]["discounts"].as_array().into_iter().flatten();
        total -= discounts.map(|one| amount(&one["amount_money"])).sum::<i64>();
        Ok(total)
    }

    pub fn delete_link(&mut self, id: &str) -> Answer {
        let Some(link) = self.links.get_mut(id).filter(|link| link["gone"] != true) else {
            return no(404, "NOT_FOUND", "Payment link not found.");
        };
        link["gone"] = Value::from(true);
        let order_id = link["order_id"].as_str().expect("an order").to_owned();
        let order = self.orders.get_mut(&order_id).expect("the order");
        let tried = order["tenders"].is_array();
        // After a failed card, and sometimes for no known reason, nothing is cancelled.
        if self.faults.delete_cancels_nothing || tried {
            return (200, json!({ "id": id }));
        }
        order["state"] = Value::from("CANCELED");
        order["version"] = Value::from(order["version"].as_i64().expect("a version") + 1);
        if self.faults.delete_lies {
            order["lies"] = Value::from(true);
        }
        (200, json!({ "id": id, "cancelled_order_id": order_id }))
    }

    pub fn update_order(&mut self, id: &str, body: &Value) -> Answer {
        let races = self.faults.order_races > 0;
        self.faults.order_races = self.faults.order_races.saturating_sub(1);
        let refuses = self.faults.cannot_cancel;
        let Some(order) = self.orders.get_mut(id) else {
            return no(404, "NOT_FOUND", "Order not found.");
        };
        let version = order["version"].as_i64().expect("a version");
        if races {
            order["version"] = Value::from(version + 1);
        }
        let change = &body["order"];
        if change["version"] != order["version"] {
            return no(409, "VERSION_MISMATCH", "The order has changed.");
        }
        if refuses || matches!(order["state"].as_str(), Some("CANCELED" | "COMPLETED")) {
            return no(400, "BAD_REQUEST", "This order cannot be updated.");
        }
        let left = order["fulfillments"].as_array().expect("a list").iter().any(|own| {
            let changed = change["fulfillments"].as_array().into_iter().flatten();
            !changed.into_iter().any(|new| new["uid"] == own["uid"] && new["state"] == "CANCELED")
        });
        if change["state"] == "CANCELED" && left {
            self.wrong.push("an order cancelled before its fulfillments".to_owned());
            return no(400, "BAD_REQUEST", "Fulfillments must be cancelled first.");
        }
        order["state"] = change["state"].clone();
        order["version"] = Value::from(order["version"].as_i64().expect("a version") + 1);
        (200, json!({ "order": order }))
    }

    pub fn orders(&mut self, body: &Value) -> Answer {
        let ids = body["order_ids"].as_array().expect("ids");
        if ids.len() > 100 || ids.is_empty() {
            self.wrong.push(format!("{} orders in one question", ids.len()));
        }
        let found: Vec<_> = ids.iter().filter_map(|id| self.orders.get(id.as_str()?)).collect();
        (200, json!({ "orders": found }))
    }

    pub fn refund(&mut self, body: &Value) -> Answer {
        let id = body["payment_id"].as_str().unwrap_or_default();
        let Some(payment) = self.payments.get_mut(id) else {
            return no(404, "NOT_FOUND", "Payment not found.");
        };
        if payment["status"] != "COMPLETED" {
            return no(400, "REFUND_ERROR_PAYMENT_NEEDS_COMPLETION", "Not completed.");
        }
        let sum = amount(&payment["refunded_money"]) + amount(&body["amount_money"]);
        if sum > amount(&payment["total_money"]) {
            return no(400, "REFUND_AMOUNT_INVALID", "More than was paid.");
        }
        payment["refunded_money"] = money(sum);
        self.ids += 1;
        let refund = json!({
            "id": format!("REFUND{:04}", self.ids), "status": "PENDING", "payment_id": id,
            "amount_money": body["amount_money"], "location_id": LOCATION,
        });
        self.refunds.insert(format!("REFUND{:04}", self.ids), refund.clone());
        let mut done = refund.clone();
        done["status"] = Value::from("COMPLETED");
        self.event("refund.created", "refund", refund.clone());
        self.event("refund.updated", "refund", done);
        (200, json!({ "refund": refund }))
    }

    /// A refund takes a while; whoever asks finds it done.
    pub fn refund_state(&mut self, id: &str) -> Answer {
        let Some(refund) = self.refunds.get_mut(id) else {
            return no(404, "NOT_FOUND", "Refund not found.");
        };
        refund["status"] = Value::from("COMPLETED");
        (200, json!({ "refund": refund }))
    }

    /// What a browser sees.
    pub fn page(&mut self, method: &Method, path: &str) -> Response<Body> {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        let html = |status: u16, text: &str| {
            let answer =
                Response::builder().status(status).header(header::CONTENT_TYPE, "text/html");
            answer.body(Body::from(format!("<script>'sold out'</script>{text}"))).expect("a page")
        };
        match segments.as_slice() {
            ["u", link] => match self.links.get(*link).filter(|link| link["gone"] != true) {
                Some(link) => {
                    let to = format!("/order/{}", link["order_id"].as_str().expect("an order"));
                    let answer = Response::builder().status(302).header(header::LOCATION, to);
                    answer.body(Body::empty()).expect("an answer")
                }
                None => html(404, "This link is no longer active."),
            },
            ["order", order] => match self.is_payable(order) {
                None => html(404, "Nothing here"),
                Some(Payable::Paid) => html(200, "Thank you for your order"),
                Some(Payable::No) => html(400, "Something went wrong"),
                Some(Payable::Yes) => {
                    html(200, &format!("{} <button>Pay now</button>", self.faults.phrase))
                }
            },
            ["order", order, how] if *method == Method::POST => match self.is_payable(order) {
                Some(Payable::Yes) if *how == "fail" => {
                    self.try_card(order, "FAILED");
                    html(402, "Your card was declined")
                }
                Some(Payable::Yes) => {
                    self.pay(order);
                    let to = self.back(order);
                    let answer = Response::builder().status(303).header(header::LOCATION, to);
                    answer.body(Body::empty()).expect("an answer")
                }
                Some(Payable::Paid) => html(200, "Thank you for your order"),
                Some(Payable::No) | None => html(400, "Something went wrong"),
            },
            _ => html(404, "Nothing here"),
        }
    }

    fn back(&self, order: &str) -> String {
        let link = self.links.values().find(|link| link["order_id"] == order).expect("a link");
        link["checkout_options"]["redirect_url"].as_str().expect("an address").to_owned()
    }

    fn is_payable(&self, order: &str) -> Option<Payable> {
        let order = self.orders.get(order)?;
        let paid = order["tenders"].as_array().is_some_and(|all| {
            let done = |t: &Value| {
                t["id"].as_str().is_some_and(|id| self.payments[id]["status"] == "COMPLETED")
            };
            all.iter().any(done)
        });
        Some(match order["state"].as_str() {
            _ if paid => Payable::Paid,
            Some("DRAFT" | "OPEN") => Payable::Yes,
            _ if order["lies"] == true => Payable::Yes,
            _ => Payable::No,
        })
    }

    /// A card is tried: the order remembers it either way.
    pub fn try_card(&mut self, order: &str, status: &str) -> Value {
        let id = self.id("PAY");
        let total = self.orders[order]["total_money"].clone();
        let payment = json!({
            "id": id, "status": status, "order_id": order, "location_id": LOCATION,
            "amount_money": total, "total_money": total, "source_type": "CARD",
            "created_at": self.time(), "updated_at": self.time(), "receipt_url": "https://squareup.com/receipt/x",
            "application_details": { "square_product": "ECOMMERCE_API" },
        });
        self.payments.insert(id.clone(), payment.clone());
        let order = self.orders.get_mut(order).expect("the order");
        let mut tenders = order["tenders"].as_array().cloned().unwrap_or_default();
        tenders.push(json!({ "id": id, "payment_id": id, "type": "CARD" }));
        order["tenders"] = Value::from(tenders);
        order["version"] = Value::from(order["version"].as_i64().expect("a version") + 1);
        payment
    }

    /// Pays an order, whatever its page would say; Square takes the units off the stock.
    pub fn pay(&mut self, order: &str) -> String {
        let payment = self.try_card(order, "COMPLETED");
        self.orders.get_mut(order).expect("the order")["state"] = Value::from("OPEN");
        let mut approved = payment.clone();
        approved["status"] = Value::from("APPROVED");
        self.event("payment.created", "payment", approved);
        for _ in 0..2 {
            self.event(
                "order.updated",
                "order_updated",
                json!({ "order_id": order, "state": "OPEN", "version": 3, "location_id": LOCATION }),
            );
        }
        let lines = self.orders[order]["line_items"].as_array().cloned().unwrap_or_default();
        for line in lines {
            // What is in no catalog has no stock there.
            let Some(id) = line["catalog_object_id"].as_str().map(str::to_owned) else { continue };
            let units: i64 = line["quantity"].as_str().and_then(|q| q.parse().ok()).expect("units");
            if let Some((count, _)) = self.counts.get(&id).copied() {
                self.set_count(&id, count - units);
            }
        }
        self.event("payment.updated", "payment", payment.clone());
        payment["id"].as_str().expect("an id").to_owned()
    }
}

enum Payable {
    Yes,
    Paid,
    No,
}
