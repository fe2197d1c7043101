//! Payment links: one for each hold, since Square takes one payment through each (its Checkout
//! API guide, "Guidelines and limitations").

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Square,
    client::text,
    error::Fault,
    lines::Charge,
    listing::{MARK, Notes, signed},
    options::Options,
};
use crate::{
    id::{CheckoutId, HoldId},
    money::Money,
    provider::{
        Call, Outcome, ProviderError, ReturnPages,
        rest::{list, segment},
    },
    sale::{
        Sale,
        event::CloseAnswer,
        hold::{Checkout, Hold},
        template::Ask,
    },
};

const LINKS: &str = "/v2/online-checkout/payment-links";

/// The longest telephone number Square takes (its PrePopulatedData reference).
const PHONE_MAX: usize = 17;

/// The longest value of metadata (its Order reference).
const METADATA_MAX: usize = 255;

/// Pages of links looked through for one of ours.
const LIST_PAGES_MAX: usize = 50;

/// How we call the link of a hold's `nth` order, in the description that only we see.
pub(super) fn mark(hold: HoldId, nth: u32) -> String {
    format!("{MARK}{hold} {nth}")
}

/// The frozen request for a hold's page.
pub(super) fn frame(
    sale: &Sale,
    hold: &Hold,
    nth: u32,
    options: &Options,
    pages: &dyn ReturnPages,
    shop: Option<&str>,
) -> Value {
    let Some(notes) = sale.head.listing().and_then(Notes::read) else { return Value::Null };
    let template = &sale.head.template;
    let delivery = hold.delivery.as_deref().and_then(|name| template.delivery(name));
    let Some(charge) = Charge::of(template, hold, &notes, options) else { return Value::Null };
    let redirect = options.redirect_url.clone().unwrap_or_else(|| pages.hold_page(hold.id));
    let mut checkout = json!({
        "redirect_url": redirect,
        "ask_for_shipping_address": delivery.is_some_and(|d| d.ask_address),
        "allow_tipping": false,
        "enable_coupon": false,
        "enable_loyalty": false,
    });
    if let Some(fee) = charge.shipping_fee {
        checkout["shipping_fee"] = fee;
    }
    if let Some(email) = &options.support_email {
        checkout["merchant_support_email"] = Value::from(email.clone());
    }
    if let Ok(Some(fee)) = options.app_fee(template) {
        checkout["app_fee_money"] = json!(fee);
    }
    let mut order = json!({
        "location_id": notes.location,
        "reference_id": hold.id,
        "metadata": metadata(sale, hold),
        "line_items": charge.lines,
    });
    for (field, ids) in [("taxes", &options.taxes), ("discounts", &options.discounts)] {
        if !ids.is_empty() {
            let all = ids.iter().map(|id| json!({ "catalog_object_id": id, "scope": "ORDER" }));
            order[field] = all.collect();
        }
    }
    if let Some(special) = charge.discount {
        match order["discounts"].as_array_mut() {
            Some(all) => all.push(special),
            None => order["discounts"] = json!([special]),
        }
    }
    let mut request = json!({
        "description": signed(mark(hold.id, nth), shop),
        "order": order,
        "checkout_options": checkout,
    });
    if let Some(note) = &options.note {
        request["payment_note"] = Value::from(note.clone());
    }
    let answers = prefilled(&hold.answers);
    if !answers.is_empty() {
        request["pre_populated_data"] = Value::Object(answers);
    }
    let expect = (!options.changes_total()).then_some(hold.amount);
    json!({ "request": request, "expect": expect })
}

/// Ours only, and no personal data: other applications do not see it, people at Square may.
fn metadata(sale: &Sale, hold: &Hold) -> Value {
    let mut metadata = json!({
        "livetill_sale": sale.head.number.to_string(),
        "livetill_hold": hold.id.n.to_string(),
    });
    if let Some(delivery) = &hold.delivery {
        metadata["delivery"] = Value::from(delivery.clone());
    }
    let choices = hold.extras.words();
    if !choices.is_empty() {
        metadata["choices"] = Value::from(choices.chars().take(METADATA_MAX).collect::<String>());
    }
    metadata
}

/// What the buyer told us, where Square's form asks for it too.
fn prefilled(answers: &BTreeMap<Ask, String>) -> Map<String, Value> {
    let mut data = Map::new();
    // A field that is filled in ahead must never cost the page.
    if let Some(email) = answers.get(&Ask::Email).filter(|email| email.is_ascii()) {
        data.insert("buyer_email".to_owned(), Value::from(email.clone()));
    }
    let phone = answers
        .get(&Ask::Phone)
        .map(|text| text.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>());
    // Without its country code Square refuses the whole link.
    if let Some(phone) = phone.filter(|p| p.starts_with('+') && p.len() <= PHONE_MAX) {
        data.insert("buyer_phone_number".to_owned(), Value::from(phone));
    }
    let mut address = Map::new();
    if let Some(name) = answers.get(&Ask::Name) {
        let (first, last) = name.trim().rsplit_once(' ').unwrap_or((name.trim(), ""));
        address.insert("first_name".to_owned(), Value::from(first));
        if !last.is_empty() {
            address.insert("last_name".to_owned(), Value::from(last));
        }
    }
    let lines = answers.get(&Ask::Address).map(String::as_str).unwrap_or_default().lines();
    let lines: Vec<&str> = lines.map(str::trim).filter(|line| !line.is_empty()).collect();
    for (n, line) in lines.iter().take(2).enumerate() {
        address.insert(format!("address_line_{}", n + 1), Value::from(*line));
    }
    if lines.len() > 2 {
        address.insert("address_line_3".to_owned(), Value::from(lines[2..].join(", ")));
    }
    if !address.is_empty() {
        data.insert("buyer_address".to_owned(), Value::Object(address));
    }
    data
}

impl Square {
    /// Makes a hold's page.
    pub(super) async fn open_link(
        &self,
        nth: u32,
        body: &Value,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let mut request = body["request"].clone();
        if !request.is_object() {
            let says = "the sale has no item at Square to make a page for".to_owned();
            return Err(ProviderError::Reject { says });
        }
        request["idempotency_key"] = Value::from(call.key.clone());
        let answer = match self.client.post(LINKS, &request).await {
            Ok(answer) => answer,
            Err(fault) => {
                return Err(amended(body, &fault).unwrap_or_else(|| fault.hasty()));
            }
        };
        let found = |path| text(&answer, path).map_err(Fault::hasty);
        let link = found("/payment_link/id")?;
        let order = found("/payment_link/order_id")?;
        let url = found("/payment_link/url")?;
        let expected = serde_json::from_value::<Option<Money>>(body["expect"].clone());
        let expected = expected.unwrap_or_default();
        let total = self.total(&answer, order, expected).await?;
        if let Some(expected) = expected.filter(|expected| *expected != total) {
            return Err(self.withdraw(link, order, expected, total, call).await?);
        }
        Ok(Outcome::Opened(Checkout {
            id: CheckoutId::from(link),
            nth,
            order: Some(order.to_owned()),
            url: url.to_owned(),
            total,
            made_at: call.now,
            proven: false,
            closed: false,
        }))
    }

    /// What the page will ask for; the order is read again when the first answer looks wrong.
    async fn total(
        &self,
        answer: &Value,
        order: &str,
        expected: Option<Money>,
    ) -> Result<Money, ProviderError> {
        let total = |order: &Value| serde_json::from_value(order["total_money"].clone()).ok();
        let related = list(answer, "/related_resources/orders");
        let shown = related.iter().find(|one| one["id"] == order).and_then(total);
        if let Some(shown) = shown
            && expected.is_none_or(|expected| expected == shown)
        {
            return Ok(shown);
        }
        let read = self.order(order).await.map_err(Fault::hasty)?;
        total(&read).ok_or_else(|| ProviderError::Retry {
            says: "Square does not say what the order costs".to_owned(),
            after: None,
        })
    }

    /// A page that asks for another sum than chat was told is shown to nobody.
    async fn withdraw(
        &self,
        link: &str,
        order: &str,
        expected: Money,
        total: Money,
        call: &Call,
    ) -> Result<ProviderError, ProviderError> {
        let says = format!(
            "Square would ask for {total} instead of {expected}: look for a tax, discount or price \
             set on the item"
        );
        match self.close_page(Some(link), order, call.now, call).await? {
            CloseAnswer::Closed => Ok(ProviderError::Reject { says }),
            CloseAnswer::AlreadyPaid { .. }
            | CloseAnswer::PaymentPending
            | CloseAnswer::CannotClose { .. } => Ok(ProviderError::Retry { says, after: None }),
        }
    }

    /// Looks for the link that one order of a hold made, if it made any: its id and order.
    pub(super) async fn find_link(
        &self,
        mark: &str,
    ) -> Result<Option<(String, String)>, ProviderError> {
        for link in self.links().await.map_err(Fault::steady)? {
            // Behind it stands the shop's id, or in links of older versions nothing.
            let found = link["description"].as_str().and_then(|text| text.strip_prefix(mark));
            if found.is_some_and(|rest| rest.is_empty() || rest.starts_with(" of ")) {
                let id = text(&link, "/id").map_err(Fault::steady)?.to_owned();
                let order = text(&link, "/order_id").map_err(Fault::steady)?.to_owned();
                return Ok(Some((id, order)));
            }
        }
        Ok(None)
    }

    /// Every link of this application that there is.
    pub(super) async fn links(&self) -> Result<Vec<Value>, Fault> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..LIST_PAGES_MAX {
            let answer = self.client.get(&format!("{LINKS}?limit=1000{cursor}")).await?;
            all.extend_from_slice(list(&answer, "/payment_links"));
            match answer["cursor"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => cursor = format!("&cursor={}", segment(next)),
                None => return Ok(all),
            }
        }
        Err(Fault::Lost("has more payment links than can be looked through".to_owned()))
    }

    /// Deletes a link; answers the order that Square says it cancelled with it.
    pub(super) async fn delete_link(&self, link: &str) -> Result<Option<String>, Fault> {
        let answer = self.client.delete(&format!("{LINKS}/{}", segment(link))).await?;
        Ok(answer["cancelled_order_id"].as_str().map(str::to_owned))
    }

    /// Reads an order.
    pub(super) async fn order(&self, id: &str) -> Result<Value, Fault> {
        let mut answer = self.client.get(&format!("/v2/orders/{}", segment(id))).await?;
        text(&answer, "/order/id")?;
        Ok(answer["order"].take())
    }
}

/// The request without the prefilled answer that Square does not like: no reason to lose a buyer.
fn amended(body: &Value, fault: &Fault) -> Option<ProviderError> {
    let given = body.pointer("/request/pre_populated_data")?.as_object()?;
    let bad = fault.complaints().iter().find_map(|complaint| {
        let field = complaint.field.as_deref().unwrap_or_default();
        let field = field.strip_prefix("pre_populated_data").map(|rest| rest.trim_matches('.'));
        match (complaint.code.as_str(), field) {
            ("INVALID_EMAIL_ADDRESS", _) => Some("buyer_email"),
            ("INVALID_PHONE_NUMBER", _) => Some("buyer_phone_number"),
            (_, Some(field)) => Some(field.split('.').next().unwrap_or_default()),
            (_, None) => None,
        }
    })?;
    let mut body = body.clone();
    let mut left = given.clone();
    if left.remove(bad).is_none() {
        left.clear();
    }
    let request = body["request"].as_object_mut()?;
    if left.is_empty() {
        request.remove("pre_populated_data");
    } else {
        request.insert("pre_populated_data".to_owned(), Value::Object(left));
    }
    Some(ProviderError::Amend { body, says: fault.says() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_fill_square_s_form() {
        let answers = BTreeMap::from([
            (Ask::Name, "Ana Maria Silva".to_owned()),
            (Ask::Email, "ana@example.org".to_owned()),
            (Ask::Phone, "+44 20 7946 0000".to_owned()),
            (Ask::Address, "1 Road\r\nTown\nAB1 2CD\nUK".to_owned()),
        ]);
        assert_eq!(
            Value::Object(prefilled(&answers)),
            json!({
                "buyer_email": "ana@example.org",
                "buyer_phone_number": "+442079460000",
                "buyer_address": {
                    "first_name": "Ana Maria", "last_name": "Silva",
                    "address_line_1": "1 Road", "address_line_2": "Town",
                    "address_line_3": "AB1 2CD, UK",
                },
            })
        );
        let local = BTreeMap::from([(Ask::Phone, "020 7946 0000".to_owned())]);
        assert!(prefilled(&local).is_empty(), "Square wants the country code");
    }

    #[test]
    fn a_refused_answer_is_left_out() {
        let body = json!({ "request": { "pre_populated_data": {
            "buyer_email": "x@y.z", "buyer_phone_number": "+1",
        } } });
        let refused = |code: &str, field: &str| {
            let error = json!({ "errors": [{ "code": code, "field": field }] });
            Fault::read(400, None, error.to_string().as_bytes())
        };
        let left = |fault: &Fault| match amended(&body, fault) {
            Some(ProviderError::Amend { body, .. }) => {
                body["request"]["pre_populated_data"].clone()
            }
            other => panic!("{other:?}"),
        };
        let email = refused("INVALID_EMAIL_ADDRESS", "pre_populated_data.buyer_email");
        assert_eq!(left(&email), json!({ "buyer_phone_number": "+1" }));
        let odd = refused("INVALID_VALUE", "pre_populated_data");
        assert_eq!(left(&odd), Value::Null);
        assert!(amended(&body, &refused("INVALID_VALUE", "order.location_id")).is_none());
    }
}
