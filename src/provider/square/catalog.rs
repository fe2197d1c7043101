//! The listing: one catalog write, one count of the stock; and its removal.
//!
//! Square lets one program at a time write to a seller's catalog and answers 429 to all others
//! (its BatchUpsertCatalogObjects reference), so that everything here takes its turn.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Square,
    client::text,
    error::Fault,
    item,
    listing::{Notes, Plan},
    options::{After, Strategy},
};
use crate::provider::{
    Call, Outcome, ProviderError,
    rest::{list, segment},
};

/// A retrieved object is written back this often when somebody else writes it meanwhile.
const TRIES: u32 = 3;

impl Square {
    /// Makes the listing, or takes the one that exists, and sets its stock.
    pub(super) async fn provision(
        &self,
        plan: &Plan,
        call: &Call,
    ) -> Result<Outcome, ProviderError> {
        let notes = match plan.strategy {
            Strategy::Fresh => self.fresh_item(plan, call).await?,
            Strategy::Variation => self.fresh_variation(plan, call).await?,
            Strategy::Reuse => self.reused(plan, call).await?,
        };
        if let Err(fault) = self.set_stock(plan, &notes.variation, &call.key).await {
            let error = fault.hasty();
            if matches!(error, ProviderError::Reject { .. }) {
                // A refused start leaves nothing behind; not sure of that, it is tried again.
                self.delete_objects(&notes.made).await.map_err(Fault::steady)?;
            }
            return Err(error);
        }
        Ok(Outcome::Provisioned(notes.listing()))
    }

    async fn fresh_item(&self, plan: &Plan, call: &Call) -> Result<Notes, ProviderError> {
        let shared = self.shared_modifiers(plan).await?;
        let objects = item::fresh(plan, &self.location);
        let ids = self.upsert(objects, &format!("{}-c", call.key)).await.map_err(Fault::hasty)?;
        let item = made(&ids, item::ITEM)?;
        let mut made_here = vec![item.clone()];
        made_here.extend(ids.get(item::MODIFIER_LIST).cloned());
        let own = plan.delivery.iter().enumerate().filter_map(|(n, choice)| {
            Some((choice.name.clone(), ids.get(&item::modifier(n))?.clone()))
        });
        let modifiers = if shared.is_empty() { own.collect() } else { shared };
        let variation = made(&ids, item::VARIATION)?;
        Ok(self.notes(plan, Some(item), variation, modifiers, made_here))
    }

    async fn fresh_variation(&self, plan: &Plan, call: &Call) -> Result<Notes, ProviderError> {
        let modifiers = self.shared_modifiers(plan).await?;
        let parent = plan.item.as_deref().unwrap_or_default();
        let parent = self.object(parent).await.map_err(Fault::hasty)?;
        let objects = vec![item::variation_of(plan, &parent, &self.location)];
        let ids = self.upsert(objects, &format!("{}-c", call.key)).await.map_err(Fault::hasty)?;
        let variation = made(&ids, item::VARIATION)?;
        let made_here = vec![variation.clone()];
        Ok(self.notes(plan, plan.item.clone(), variation, modifiers, made_here))
    }

    /// A variation that exists: its price must be ours, and it must be tracked.
    async fn reused(&self, plan: &Plan, call: &Call) -> Result<Notes, ProviderError> {
        let modifiers = self.shared_modifiers(plan).await?;
        let id = plan.variation.as_deref().unwrap_or_default();
        for _ in 0..TRIES {
            let object = self.object(id).await.map_err(Fault::hasty)?;
            item::check_price(&object, plan, &self.location)
                .map_err(|says| ProviderError::Reject { says })?;
            let item = object.pointer("/item_variation_data/item_id").and_then(Value::as_str);
            let item = item.map(str::to_owned);
            let Some(tracked) = item::tracked(&object, plan.track, &self.location) else {
                return Ok(self.notes(plan, item, id.to_owned(), modifiers, Vec::new()));
            };
            // The body holds the version that was read, so the key does too.
            let key = format!("{}-{}", call.key, object["version"]);
            match self.upsert(vec![tracked], &key).await {
                Ok(_) => return Ok(self.notes(plan, item, id.to_owned(), modifiers, Vec::new())),
                Err(fault) if fault.is_conflict() => {}
                Err(fault) => return Err(fault.hasty()),
            }
        }
        Err(contended())
    }

    /// Modifiers of a list that the seller keeps, by the name of the delivery choice.
    async fn shared_modifiers(
        &self,
        plan: &Plan,
    ) -> Result<BTreeMap<String, String>, ProviderError> {
        let Some(id) = plan.modifier_list.as_deref() else { return Ok(BTreeMap::new()) };
        let object = self.object(id).await.map_err(Fault::hasty)?;
        item::match_modifiers(&object, plan).map_err(|says| ProviderError::Reject { says })
    }

    fn notes(
        &self,
        plan: &Plan,
        item: Option<String>,
        variation: String,
        modifiers: BTreeMap<String, String>,
        made: Vec<String>,
    ) -> Notes {
        Notes {
            sale: plan.sale,
            strategy: plan.strategy,
            after: plan.after,
            location: self.location.clone(),
            item,
            variation,
            modifiers,
            made,
        }
    }

    /// Removes, archives or empties what was made.
    pub(super) async fn retire(&self, notes: &Notes, call: &Call) -> Result<(), ProviderError> {
        match (notes.strategy, notes.after) {
            (Strategy::Reuse, _) => {
                self.empty(&notes.variation, &notes.location, call).await.map_err(Fault::steady)
            }
            (Strategy::Fresh | Strategy::Variation, After::Keep) => Ok(()),
            (Strategy::Fresh, After::Archive) => match notes.item.as_deref() {
                Some(item) => self.archive(item, call).await,
                None => Ok(()),
            },
            (Strategy::Variation, After::Archive)
            | (Strategy::Fresh | Strategy::Variation, After::Delete) => {
                self.delete_objects(&notes.made).await.map_err(Fault::steady)
            }
        }
    }

    async fn archive(&self, item: &str, call: &Call) -> Result<(), ProviderError> {
        for _ in 0..TRIES {
            let object = match self.object(item).await {
                Ok(object) => object,
                Err(fault) if fault.is_not_found() => return Ok(()),
                Err(fault) => return Err(fault.steady()),
            };
            let key = format!("{}-{}", call.key, object["version"]);
            match self.upsert(vec![item::archived(&object)], &key).await {
                Ok(_) => return Ok(()),
                Err(fault) if fault.is_conflict() => {}
                Err(fault) => return Err(fault.steady()),
            }
        }
        Err(contended())
    }

    /// Writes objects in one batch; answers the ids that new ones got.
    async fn upsert(
        &self,
        objects: Vec<Value>,
        key: &str,
    ) -> Result<BTreeMap<String, String>, Fault> {
        let _turn = self.catalog.lock().await;
        let body = json!({ "idempotency_key": key, "batches": [{ "objects": objects }] });
        let answer = self.client.post("/v2/catalog/batch-upsert", &body).await?;
        let pair = |one: &Value| {
            let id = |name: &str| one[name].as_str().map(str::to_owned);
            Some((id("client_object_id")?, id("object_id")?))
        };
        Ok(list(&answer, "/id_mappings").iter().filter_map(pair).collect())
    }

    /// Deletes objects; what is gone already is as good as deleted.
    pub(super) async fn delete_objects(&self, ids: &[String]) -> Result<(), Fault> {
        if ids.is_empty() {
            return Ok(());
        }
        let _turn = self.catalog.lock().await;
        let body = json!({ "object_ids": ids });
        match self.client.post("/v2/catalog/batch-delete", &body).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.is_not_found() => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    /// Reads one catalog object.
    pub(super) async fn object(&self, id: &str) -> Result<Value, Fault> {
        let mut answer = self.client.get(&format!("/v2/catalog/object/{}", segment(id))).await?;
        text(&answer, "/object/id")?;
        Ok(answer["object"].take())
    }
}

fn made(ids: &BTreeMap<String, String>, name: &str) -> Result<String, ProviderError> {
    ids.get(name).cloned().ok_or_else(|| ProviderError::Retry {
        says: format!("Square answered without the id of {name}"),
        after: None,
    })
}

fn contended() -> ProviderError {
    let says = "somebody else keeps changing the same item at Square".to_owned();
    ProviderError::Retry { says, after: None }
}
