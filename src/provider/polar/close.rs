//! Closing a page so that it can certainly not be paid any more.
//!
//! Archiving a product or deleting a link leaves open pages payable for a day. Replacing the price
//! and archiving in one call refuses everybody who has not pressed *Pay* yet; whoever has is
//! waited for.

use serde_json::{Value, json};

use super::{
    Polar,
    money::order_fact,
    page::{LINKS, PRODUCTS, SESSIONS},
};
use crate::{
    provider::{
        Leftover, ProviderError,
        rest::{Fault, segment, text},
    },
    sale::{event::CloseAnswer, payment::PaymentStatus},
};

impl Polar {
    /// Closes whatever one order of a hold made, known or not.
    pub(super) async fn close(
        &self,
        product: Option<&str>,
        body: &Value,
    ) -> Result<CloseAnswer, ProviderError> {
        if let Some(product) = product {
            let link = body["link"].as_str();
            return self.close_page(product, &body["price"], link).await;
        }
        let mark = body["mark"].as_str().unwrap_or_default();
        let mut answer = CloseAnswer::Closed;
        for product in self.marked("page", mark).await.map_err(Fault::steady)? {
            let id = text(&product, "/id").map_err(Fault::steady)?;
            match self.close_page(id, &body["price"], None).await? {
                CloseAnswer::Closed => {}
                other => answer = other,
            }
        }
        Ok(answer)
    }

    async fn close_page(
        &self,
        product: &str,
        price: &Value,
        link: Option<&str>,
    ) -> Result<CloseAnswer, ProviderError> {
        match self.archive(product, price).await {
            Ok(()) => {}
            Err(fault) if matches!(fault.status(), Some(400 | 409 | 422)) => {
                return Ok(CloseAnswer::CannotClose { says: fault.says().to_owned() });
            }
            Err(fault) => return Err(fault.steady()),
        }
        if let Some(link) = link {
            match self.client.delete(&format!("{LINKS}{}", segment(link))).await {
                Ok(_) => {}
                Err(fault) if fault.is_not_found() => {}
                Err(fault) => return Err(fault.steady()),
            }
        }
        self.what_is_under_way(product, link.is_some()).await
    }

    /// Replaces the price and archives, in one call; nothing that is gone can be paid.
    pub(super) async fn archive(&self, product: &str, price: &Value) -> Result<(), Fault> {
        let change = json!({ "prices": [price], "is_archived": true });
        let answer =
            match self.client.patch(&format!("{PRODUCTS}{}", segment(product)), &change).await {
                Ok(answer) => answer,
                Err(fault) if fault.is_not_found() => return Ok(()),
                Err(fault) => return Err(fault),
            };
        if answer["is_archived"] == true {
            return Ok(());
        }
        Err(Fault::Lost("Polar did not say that the product is archived".to_owned()))
    }

    /// Whether somebody pressed *Pay* before the price was replaced.
    async fn what_is_under_way(
        &self,
        product: &str,
        shared: bool,
    ) -> Result<CloseAnswer, ProviderError> {
        let product = segment(product);
        // On a shared link people who paid are no news of this page, and may be many.
        let only = if shared { "&status=confirmed" } else { "" };
        let path = format!("{SESSIONS}?product_id={product}{only}");
        let sessions = self.client.all(&path).await.map_err(Fault::steady)?;
        if sessions.iter().any(|one| one["status"] == "confirmed") {
            return Ok(CloseAnswer::PaymentPending);
        }
        if shared || !sessions.iter().any(|one| one["status"] == "succeeded") {
            return Ok(CloseAnswer::Closed);
        }
        let path = format!("/v1/orders/?product_id={product}");
        let orders = self.client.all(&path).await.map_err(Fault::steady)?;
        let paid = orders.iter().filter_map(order_fact);
        match paid.into_iter().find(|fact| fact.status == PaymentStatus::Completed) {
            Some(payment) => {
                Ok(CloseAnswer::AlreadyPaid { payment: Box::new(payment), more: Vec::new() })
            }
            None => Ok(CloseAnswer::PaymentPending),
        }
    }

    /// Archives whatever is left of a sale: above all the products of pages that were paid.
    pub(super) async fn retire(&self, sale: &str) -> Result<(), ProviderError> {
        for product in self.marked("sale", sale).await.map_err(Fault::steady)? {
            let id = text(&product, "/id").map_err(Fault::steady)?;
            self.archive(id, &same_price(&product)).await.map_err(Fault::steady)?;
        }
        Ok(())
    }

    /// Products of ours that are still sold.
    pub(super) async fn leftovers(&self) -> Result<Vec<Leftover>, Fault> {
        let found = self.marked("", "page").await?;
        let leftover = |product: &Value| {
            Some(Leftover {
                kind: "product".to_owned(),
                id: product["id"].as_str()?.to_owned(),
                order: None,
                sale: product.pointer("/metadata/livetill_sale")?.as_str()?.parse().ok(),
                shop: product
                    .pointer("/metadata/livetill_shop")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            })
        };
        Ok(found.iter().filter_map(leftover).collect())
    }

    pub(super) async fn remove_leftover(&self, leftover: &Leftover) -> Result<(), ProviderError> {
        let path = format!("{PRODUCTS}{}", segment(&leftover.id));
        let product = match self.client.get(&path).await {
            Ok(product) => product,
            Err(fault) if fault.is_not_found() => return Ok(()),
            Err(fault) => return Err(fault.hasty()),
        };
        self.archive(&leftover.id, &same_price(&product)).await.map_err(Fault::hasty)
    }
}

/// A new price like the one that a product has.
fn same_price(product: &Value) -> Value {
    let old = product["prices"].as_array().and_then(|prices| prices.first());
    let field = |name: &str| old.map_or(Value::Null, |old| old[name].clone());
    json!({
        "amount_type": "fixed",
        "price_amount": field("price_amount"),
        "price_currency": field("price_currency"),
        "tax_behavior": "inclusive",
    })
}
