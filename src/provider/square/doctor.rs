//! What is wrong with the account, and what is left in it.

use serde_json::{Value, json};

use super::{NAME, Options, Square, error::Fault, listing::read_mark};
use crate::{
    finding::Finding,
    provider::{
        Call, Leftover, ProviderError,
        rest::{list, segment},
    },
    sale::{event::CloseAnswer, template::Template},
};

/// Events without which something is heard of by asking only.
const EVENTS: [&str; 7] = [
    "catalog.version.updated",
    "inventory.count.updated",
    "order.updated",
    "payment.created",
    "payment.updated",
    "refund.created",
    "refund.updated",
];

/// Sent to try the way: it says nothing but "look again", so a made-up one does no harm. A made-up
/// payment would be kept as one that belongs to no sale.
const TEST_EVENT: &str = "catalog.version.updated";

/// Pages of the catalog looked through for leftovers.
const CATALOG_PAGES_MAX: usize = 200;

/// What a seller must have allowed.
const RIGHTS: [&str; 9] = [
    "ITEMS_READ",
    "ITEMS_WRITE",
    "INVENTORY_READ",
    "INVENTORY_WRITE",
    "ORDERS_READ",
    "ORDERS_WRITE",
    "PAYMENTS_READ",
    "PAYMENTS_WRITE",
    "MERCHANT_PROFILE_READ",
];

const SUBSCRIPTIONS: &str = "/v2/webhooks/subscriptions";

fn key(what: &str) -> String {
    format!("providers.{NAME}.{what}")
}

impl Square {
    pub(super) async fn diagnose(&self, templates: &[&Template], mend: bool) -> Vec<Finding> {
        let mut found = Vec::new();
        if let Err(fault) = self.check_location(templates, &mut found).await {
            // Nothing else would be answered.
            let what = if fault.is_not_found() { "location_id" } else { "access_token" };
            return vec![Finding::error(key(what), fault.says())];
        }
        found.extend(self.client.drift().finding(NAME, "Square"));
        self.check_rights(&mut found).await;
        if let Err(fault) = self.check_ids(templates, &mut found).await {
            found.push(Finding::error(key("access_token"), fault.says()));
        }
        match self.check_webhooks(mend, &mut found).await {
            Ok(()) => {}
            Err(fault) => {
                let says = format!(
                    "the webhook subscription cannot be looked at (that takes the application's \
                     own access token): {}",
                    fault.says()
                );
                found.push(Finding::warning(key("access_token"), says));
            }
        }
        found
    }

    async fn check_location(
        &self,
        templates: &[&Template],
        found: &mut Vec<Finding>,
    ) -> Result<(), Fault> {
        let path = format!("/v2/locations/{}", segment(&self.location));
        let answer = self.client.get(&path).await?;
        let location = &answer["location"];
        let name = location["name"].as_str().unwrap_or("the location");
        if location["status"] != "ACTIVE" {
            let says = format!("{name} is not active: choose another, or activate it at Square");
            found.push(Finding::error(key("location_id"), says));
        }
        let cards = list(&answer, "/location/capabilities")
            .iter()
            .any(|one| one == "CREDIT_CARD_PROCESSING");
        if !cards {
            let says = format!(
                "{name} takes no cards: finish activating card payments in the Square Dashboard"
            );
            found.push(Finding::error(key("location_id"), says));
        }
        let currency = location["currency"].as_str().unwrap_or_default();
        for template in templates.iter().filter(|one| one.price.currency.code() != currency) {
            let says = format!("{name} sells in {currency}: write currency = \"{currency}\"");
            found.push(Finding::error(format!("templates.{}.currency", template.name), says));
        }
        Ok(())
    }

    /// What the token may do, where Square tells: of a seller's own token it says nothing.
    async fn check_rights(&self, found: &mut Vec<Finding>) {
        let Ok(answer) = self.client.post("/oauth2/token/status", &json!({})).await else { return };
        let has = list(&answer, "/scopes");
        for right in RIGHTS.into_iter().filter(|right| !has.iter().any(|one| one == right)) {
            if !has.is_empty() {
                let says =
                    format!("the token lacks the right {right}: authorize it again with that");
                found.push(Finding::error(key("access_token"), says));
            }
        }
    }

    /// Catalog ids that templates name exist.
    async fn check_ids(
        &self,
        templates: &[&Template],
        found: &mut Vec<Finding>,
    ) -> Result<(), Fault> {
        for template in templates {
            let Ok(options) = Options::of(template) else { continue };
            let single = [
                ("category_id", &options.category_id),
                ("item_id", &options.item_id),
                ("variation_id", &options.variation_id),
                ("modifier_list_id", &options.modifier_list_id),
            ];
            let mut wanted: Vec<(&str, &str)> =
                single.iter().filter_map(|(name, id)| Some((*name, id.as_deref()?))).collect();
            wanted.extend(options.taxes.iter().map(|id| ("taxes", id.as_str())));
            wanted.extend(options.discounts.iter().map(|id| ("discounts", id.as_str())));
            if wanted.is_empty() {
                continue;
            }
            let ids: Vec<&str> = wanted.iter().map(|(_, id)| *id).collect();
            let body = json!({ "object_ids": ids });
            let answer = self.client.post("/v2/catalog/batch-retrieve", &body).await?;
            let known = list(&answer, "/objects");
            for (name, id) in wanted {
                if !known.iter().any(|one| one["id"] == id && one["is_deleted"] != true) {
                    let key = format!("templates.{}.{NAME}.{name}", template.name);
                    found.push(Finding::error(key, format!("Square knows no {id}")));
                }
            }
        }
        Ok(())
    }

    async fn check_webhooks(&self, mend: bool, found: &mut Vec<Finding>) -> Result<(), Fault> {
        if !self.notification_url.starts_with("https://") {
            let says = format!(
                "Square sends webhooks to https addresses only, not to {}: put HTTPS in front of \
                 the listener and set shop.public_url or this key",
                self.notification_url
            );
            found.push(Finding::error(key("notification_url"), says));
            return Ok(());
        }
        let answer = self.client.get(SUBSCRIPTIONS).await?;
        let all = list(&answer, "/subscriptions");
        let ours = all.iter().find(|one| one["notification_url"] == self.notification_url.as_str());
        let Some(ours) = ours else {
            let says = format!("no webhook subscription sends to {}", self.notification_url);
            return self.subscribe(mend, says, found).await;
        };
        let events = list(ours, "/event_types");
        let missing: Vec<&str> =
            EVENTS.into_iter().filter(|kind| !events.iter().any(|one| one == kind)).collect();
        let id = ours["id"].as_str().unwrap_or_default();
        if missing.is_empty() && ours["enabled"] != false {
            found.push(self.test_event(id).await);
            return Ok(());
        }
        let mut wanted: Vec<Value> = events.to_vec();
        wanted.extend(missing.iter().map(|kind| Value::from(*kind)));
        let says = match missing.as_slice() {
            [] => "the webhook subscription is switched off".to_owned(),
            missing => format!("the webhook subscription leaves out {}", missing.join(", ")),
        };
        if !mend {
            let says = format!("{says}: livetill check --fix mends it");
            found.push(Finding::error(key("notification_url"), says));
            return Ok(());
        }
        let body = json!({ "subscription": { "event_types": wanted, "enabled": true } });
        self.client.put(&format!("{SUBSCRIPTIONS}/{}", segment(id)), &body).await?;
        found.push(Finding::warning(key("notification_url"), format!("{says}: fixed")));
        found.push(self.test_event(id).await);
        Ok(())
    }

    /// Has Square send an event of its own, and reads what our listener answered.
    async fn test_event(&self, subscription: &str) -> Finding {
        let path = format!("{SUBSCRIPTIONS}/{}/test", segment(subscription));
        let answer = match self.client.post(&path, &json!({ "event_type": TEST_EVENT })).await {
            Ok(answer) => answer,
            Err(fault) => {
                let says = format!("no test event could be asked for: {}", fault.says());
                return Finding::warning(key("notification_url"), says);
            }
        };
        let status = answer.pointer("/subscription_test_result/status_code");
        let status = status.and_then(Value::as_i64).unwrap_or(0);
        let says = format!("Square's test event to {} was answered", self.notification_url);
        match status {
            200..=299 => Finding::ok(key("notification_url"), format!("{says} with {status}")),
            401 => {
                let says = format!(
                    "{says} with 401: copy the subscription's signature key from the Square \
                     Developer Console, and make this key its address to the letter"
                );
                Finding::error(key("signature_keys"), says)
            }
            // What a proxy says while nothing runs behind it, as is usual before the first start.
            0 | 502..=504 => {
                let with =
                    if status == 0 { "by nobody".to_owned() } else { format!("with {status}") };
                let says = format!(
                    "{says} {with}: if the bot is running, see that HTTPS leads to its listener; \
                     if not, start it and check again"
                );
                Finding::warning(key("notification_url"), says)
            }
            _ => {
                let says = format!(
                    "{says} with {status}: something else than the bot answers there; lead that \
                     address to its listener"
                );
                Finding::error(key("notification_url"), says)
            }
        }
    }

    async fn subscribe(
        &self,
        mend: bool,
        says: String,
        found: &mut Vec<Finding>,
    ) -> Result<(), Fault> {
        if !mend {
            let says = format!("{says}: livetill check --fix makes one");
            found.push(Finding::error(key("notification_url"), says));
            return Ok(());
        }
        // One subscription for one address, however often this is run.
        let name: String = format!("livetill {}", self.notification_url).chars().take(64).collect();
        let body = json!({
            "idempotency_key": crate::mac::short_hash(&self.notification_url),
            "subscription": {
                "name": name,
                "event_types": EVENTS,
                "notification_url": self.notification_url,
                "api_version": self.version,
            },
        });
        self.client.post(SUBSCRIPTIONS, &body).await?;
        let says = "a webhook subscription was made. Its signature key stands in the Square \
                    Developer Console under Webhooks: set \
                    LIVETILL_PROVIDERS__SQUARE__SIGNATURE_KEYS to it";
        found.push(Finding::error(key("signature_keys"), says));
        Ok(())
    }

    /// Items, variations and modifier lists that carry our mark, and links that can be paid.
    pub(super) async fn leftovers(&self) -> Result<Vec<Leftover>, Fault> {
        let mut all = self.open_links().await?;
        let mut cursor = String::new();
        for _ in 0..CATALOG_PAGES_MAX {
            let path = format!("/v2/catalog/list?types=ITEM,MODIFIER_LIST{cursor}");
            let answer = self.client.get(&path).await?;
            all.extend(list(&answer, "/objects").iter().flat_map(marked));
            match answer["cursor"].as_str().filter(|next| !next.is_empty()) {
                Some(next) => cursor = format!("&cursor={}", segment(next)),
                None => return Ok(all),
            }
        }
        Err(Fault::Lost("has a catalog too large to be looked through".to_owned()))
    }

    async fn open_links(&self) -> Result<Vec<Leftover>, Fault> {
        let mut all = Vec::new();
        for link in self.links().await? {
            let Some((mark, shop)) = link["description"].as_str().and_then(read_mark) else {
                continue;
            };
            let order = link["order_id"].as_str().unwrap_or_default();
            // A paid link takes no second payment and is left alone.
            let payable = match self.order(order).await {
                Ok(order) => is_unpaid(&order),
                Err(fault) if fault.is_not_found() => true,
                Err(fault) => return Err(fault),
            };
            if payable {
                all.push(Leftover {
                    kind: "payment link".to_owned(),
                    id: link["id"].as_str().unwrap_or_default().to_owned(),
                    order: Some(order.to_owned()),
                    sale: mark.split(['-', ' ']).next().and_then(|sale| sale.parse().ok()),
                    shop,
                });
            }
        }
        Ok(all)
    }

    pub(super) async fn remove_leftover(
        &self,
        leftover: &Leftover,
        call: &Call,
    ) -> Result<(), ProviderError> {
        let Some(order) = &leftover.order else {
            let ids = std::slice::from_ref(&leftover.id);
            return self.delete_objects(ids).await.map_err(Fault::hasty);
        };
        match self.close_page(Some(&leftover.id), order, call.now, call).await? {
            CloseAnswer::Closed => Ok(()),
            CloseAnswer::AlreadyPaid { payment, .. } => {
                let says = format!("it was paid: look at payment {}", payment.id);
                Err(ProviderError::Reject { says })
            }
            CloseAnswer::PaymentPending => {
                Err(ProviderError::Reject { says: "a payment is under way".to_owned() })
            }
            CloseAnswer::CannotClose { says } => Err(ProviderError::Reject { says }),
        }
    }
}

/// A paid order is open, with nothing due; one whose card failed may be open too.
fn is_unpaid(order: &Value) -> bool {
    let due = order.pointer("/net_amount_due_money/amount").and_then(Value::as_i64);
    order["state"] == "DRAFT" || (order["state"] == "OPEN" && due.is_some_and(|due| due > 0))
}

/// What of an object carries our mark: all of it, or single variations of the seller's own item.
fn marked(object: &Value) -> Vec<Leftover> {
    let leftover = |kind: &str, id: &Value, mark: &Value| {
        let (sale, shop) = read_mark(mark.as_str()?)?;
        let (sale, id) = (sale.parse().ok(), id.as_str()?.to_owned());
        Some(Leftover { kind: kind.to_owned(), id, order: None, sale, shop })
    };
    if object["type"] == "MODIFIER_LIST" {
        let mark = &object["modifier_list_data"]["internal_name"];
        return leftover("modifier list", &object["id"], mark).into_iter().collect();
    }
    // Archived on purpose.
    if object["item_data"]["is_archived"] == true {
        return Vec::new();
    }
    let variations = list(object, "/item_data/variations");
    let ours: Vec<Leftover> = variations
        .iter()
        .filter_map(|one| {
            leftover("variation", &one["id"], &one["item_variation_data"]["user_data"])
        })
        .collect();
    match ours.first() {
        // With a variation of another sale, or of another shop, the item is not this one's alone.
        Some(first)
            if ours.len() == variations.len()
                && ours.iter().all(|one| (one.sale, &one.shop) == (first.sale, &first.shop)) =>
        {
            let id = object["id"].as_str().unwrap_or_default().to_owned();
            let (sale, shop) = (first.sale, first.shop.clone());
            vec![Leftover { kind: "item".to_owned(), id, order: None, sale, shop }]
        }
        Some(_) | None => ours,
    }
}
