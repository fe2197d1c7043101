//! The catalog and the inventory of the stand-in.

use serde_json::{Value, json};

use super::fake::{Answer, Books, LOCATION, no};
use livetill::clock::Timestamp;

const DAY_MS: i64 = 24 * 3600 * 1000;

impl Books {
    fn locked(&mut self) -> Option<Answer> {
        if self.faults.locked == 0 {
            return None;
        }
        self.faults.locked -= 1;
        Some(no(429, "RATE_LIMITED", "Catalog locked by prior request"))
    }

    pub fn upsert(&mut self, body: &Value) -> Answer {
        if let Some(locked) = self.locked() {
            return locked;
        }
        let mut mappings = Vec::new();
        let mut objects: Vec<Value> = Vec::new();
        for batch in body["batches"].as_array().expect("batches") {
            objects.extend(batch["objects"].as_array().expect("objects").iter().cloned());
        }
        for object in &objects {
            if let Err(answer) = self.check_version(object) {
                return answer;
            }
        }
        let mut text = Value::from(objects).to_string();
        // Ids that begin with # are the batch's own; longest first, since one may begin another.
        let mut temporary: Vec<String> = text
            .match_indices("\"id\":\"#")
            .map(|(at, _)| text[at + 6..].split('"').next().expect("an id").to_owned())
            .collect();
        temporary.sort_by_key(|id| std::cmp::Reverse(id.len()));
        for id in temporary {
            let real = self.id("OBJ");
            text = text.replace(&format!("\"{id}\""), &format!("\"{real}\""));
            mappings.push(json!({ "client_object_id": id, "object_id": real }));
        }
        if text.contains("\"#") {
            self.wrong.push("a temporary id that belongs to nothing".to_owned());
            return no(400, "INVALID_VALUE", "unknown temporary id");
        }
        let objects: Vec<Value> = serde_json::from_str(&text).expect("JSON");
        for object in objects {
            self.store(object);
        }
        self.event(
            "catalog.version.updated",
            "catalog_version",
            json!({ "updated_at": self.time() }),
        );
        (200, json!({ "id_mappings": mappings }))
    }

    fn check_version(&mut self, object: &Value) -> Result<(), Answer> {
        let id = object["id"].as_str().expect("an id");
        if id.starts_with('#') {
            return Ok(());
        }
        match self.objects.get(id) {
            None => Err(no(404, "NOT_FOUND", "Catalog object not found.")),
            Some(known) if known["version"] != object["version"] => Err(no(
                400,
                "VERSION_MISMATCH",
                "Object version does not match latest database version.",
            )),
            Some(_) => Ok(()),
        }
    }

    /// Stores an object and what it contains; a variation also in its parent.
    fn store(&mut self, mut object: Value) {
        object["version"] = Value::from(self.version());
        object["updated_at"] = Value::from(self.time());
        for path in ["/item_data/variations", "/modifier_list_data/modifiers"] {
            let children = object.pointer(path).and_then(Value::as_array).cloned();
            for child in children.unwrap_or_default() {
                self.store(child);
            }
        }
        let id = object["id"].as_str().expect("an id").to_owned();
        self.objects.insert(id, object);
    }

    pub fn delete_objects(&mut self, body: &Value) -> Answer {
        if let Some(locked) = self.locked() {
            return locked;
        }
        let mut deleted = Vec::new();
        for id in body["object_ids"].as_array().expect("ids") {
            let Some(object) = self.objects.remove(id.as_str().expect("an id")) else { continue };
            deleted.push(id.clone());
            for path in ["/item_data/variations", "/modifier_list_data/modifiers"] {
                for child in object.pointer(path).and_then(Value::as_array).into_iter().flatten() {
                    self.objects.remove(child["id"].as_str().expect("an id"));
                    deleted.push(child["id"].clone());
                }
            }
        }
        (200, json!({ "deleted_object_ids": deleted, "deleted_at": self.time() }))
    }

    /// As stored, with the read-only mark where stock or a hand set it.
    fn shown(&self, id: &str, stale: bool) -> Option<Value> {
        let mut object = self.objects.get(id)?.clone();
        if object["type"] == "MODIFIER" {
            let sold_out = self.marked.iter().any(|marked| marked == id);
            object["modifier_data"]["location_overrides"] =
                json!([{ "location_id": LOCATION, "sold_out": sold_out }]);
        }
        if object["type"] != "ITEM_VARIATION" {
            return Some(object);
        }
        let data = &mut object["item_variation_data"];
        let own = data["location_overrides"].as_array().cloned().unwrap_or_default();
        let here = own.iter().find(|one| one["location_id"] == LOCATION);
        let tracked = here
            .and_then(|one| one["track_inventory"].as_bool())
            .or(data["track_inventory"].as_bool())
            .unwrap_or(false);
        let count = self.counts.get(id).map_or(0, |(count, _)| *count);
        let sold_out = stale || self.marked.iter().any(|m| m == id) || (tracked && count <= 0);
        let mut here = here.cloned().unwrap_or_else(|| json!({ "location_id": LOCATION }));
        if tracked {
            here["track_inventory"] = Value::from(true);
        }
        here["sold_out"] = Value::from(sold_out);
        let mut all: Vec<Value> =
            own.into_iter().filter(|one| one["location_id"] != LOCATION).collect();
        all.push(here);
        data["location_overrides"] = Value::from(all);
        Some(object)
    }

    fn stale(&mut self) -> bool {
        let stale = self.faults.stale_reads > 0;
        self.faults.stale_reads = self.faults.stale_reads.saturating_sub(1);
        stale
    }

    pub fn object(&mut self, id: &str) -> Answer {
        let stale = self.stale();
        match self.shown(id, stale) {
            Some(object) => (200, json!({ "object": object })),
            None => no(404, "NOT_FOUND", "Catalog object not found."),
        }
    }

    pub fn objects(&mut self, body: &Value) -> Answer {
        let stale = self.stale();
        let ids = body["object_ids"].as_array().expect("ids");
        let found = ids.iter().filter_map(|id| self.shown(id.as_str()?, stale));
        (200, json!({ "objects": found.collect::<Vec<_>>() }))
    }

    pub fn all_objects(&mut self) -> Answer {
        let all: Vec<_> = self.objects.values().collect();
        (200, json!({ "objects": all }))
    }

    pub fn change_stock(&mut self, body: &Value) -> Answer {
        for change in body["changes"].as_array().expect("changes") {
            let (kind, data) = match change["type"].as_str() {
                Some("PHYSICAL_COUNT") => ("count", &change["physical_count"]),
                Some("ADJUSTMENT") => ("adjust", &change["adjustment"]),
                other => {
                    self.wrong.push(format!("a change of type {other:?}"));
                    return no(400, "INVALID_VALUE", "type");
                }
            };
            let at = data["occurred_at"].as_str().and_then(Timestamp::parse_rfc3339);
            let at = at.map_or(i64::MAX, Timestamp::millis);
            if at > self.now || at < self.now - DAY_MS {
                self.wrong.push("a change dated in the future or more than a day ago".to_owned());
                return no(400, "INVALID_TIME", "occurred_at");
            }
            let id = data["catalog_object_id"].as_str().unwrap_or_default().to_owned();
            if !self.objects.contains_key(&id) || data["location_id"] != LOCATION {
                return no(404, "NOT_FOUND", "Catalog object not found.");
            }
            let quantity: i64 = match data["quantity"].as_str().map(str::parse) {
                Some(Ok(quantity)) => quantity,
                _ => return no(400, "INVALID_VALUE", "quantity"),
            };
            let sign = match (kind, data["from_state"].as_str(), data["to_state"].as_str()) {
                ("count", ..) if data["state"] == "IN_STOCK" => 0,
                ("adjust", Some("NONE"), Some("IN_STOCK")) => 1,
                ("adjust", Some("IN_STOCK"), Some("WASTE")) => -1,
                _ => return no(400, "INVALID_VALUE", "state"),
            };
            let before = self.counts.get(&id).map_or(0, |(count, _)| *count);
            let count = if sign == 0 { quantity } else { before + sign * quantity };
            self.set_count(&id, count);
        }
        (200, json!({ "counts": [] }))
    }

    /// The count moves, and everybody who wants to know is told.
    pub fn set_count(&mut self, id: &str, count: i64) {
        let was_out = self.counts.get(id).is_none_or(|(count, _)| *count <= 0);
        self.counts.insert(id.to_owned(), (count, self.now));
        let told = json!([{
            "catalog_object_id": id, "catalog_object_type": "ITEM_VARIATION",
            "state": "IN_STOCK", "location_id": LOCATION, "quantity": count.to_string(),
            "calculated_at": self.time(),
        }]);
        self.event("inventory.count.updated", "inventory_counts", told);
        if was_out != (count <= 0) {
            let at = json!({ "updated_at": self.time() });
            self.event("catalog.version.updated", "catalog_version", at);
        }
    }

    pub fn stock(&mut self, body: &Value) -> Answer {
        let ids = body["catalog_object_ids"].as_array().expect("ids");
        let counts = ids.iter().filter_map(|id| {
            let (count, at) = self.counts.get(id.as_str()?)?;
            Some(json!({
                "catalog_object_id": id, "catalog_object_type": "ITEM_VARIATION",
                "state": "IN_STOCK", "location_id": LOCATION, "quantity": count.to_string(),
                "calculated_at": Timestamp::from_millis(*at).rfc3339(),
            }))
        });
        (200, json!({ "counts": counts.collect::<Vec<_>>() }))
    }
}
