//! Holds every request to Square's own contract: fields, types, lengths and enums.

use serde_json::Value;

const TABLE: &str = include_str!("contract.json");

/// The table of requests.
pub struct Contract {
    operations: Vec<(String, Vec<String>, Value)>,
    schemas: Value,
}

impl Contract {
    pub fn new() -> Self {
        let mut table: Value = serde_json::from_str(TABLE).expect("the table reads");
        let operations = table["operations"].as_object().expect("operations");
        let operations = operations.iter().map(|(operation, body)| {
            let (method, path) = operation.split_once(' ').expect("method and path");
            let segments = path.split('/').map(str::to_owned).collect();
            (method.to_owned(), segments, body.clone())
        });
        Self { operations: operations.collect(), schemas: table["schemas"].take() }
    }

    /// Everything wrong with a request.
    pub fn check(&self, method: &str, path: &str, query: &str, body: &[u8]) -> Vec<String> {
        let given: Vec<&str> = path.split('/').collect();
        let fits = |segments: &[String]| {
            segments.len() == given.len()
                && segments.iter().zip(&given).all(|(a, b)| a == b || a.starts_with('{'))
        };
        let found = self.operations.iter().find(|(m, segments, _)| m == method && fits(segments));
        let Some((_, _, wanted)) = found else {
            return vec![format!("{method} {path} is no call of ours")];
        };
        let mut wrong = Vec::new();
        if let Value::Array(names) = wanted {
            for (name, _) in form_urlencoded::parse(query.as_bytes()) {
                if !names.iter().any(|known| *known == *name) {
                    wrong.push(format!("{method} {path}: no parameter {name}"));
                }
            }
            if !body.is_empty() {
                wrong.push(format!("{method} {path} takes no body"));
            }
            return wrong;
        }
        match serde_json::from_slice(body) {
            Ok(body) => self.value(&body, wanted, &format!("{method} {path}"), &mut wrong),
            Err(_) => wrong.push(format!("{method} {path}: the body is not JSON")),
        }
        wrong
    }

    fn value(&self, value: &Value, wanted: &Value, at: &str, wrong: &mut Vec<String>) {
        if let Some(schema) = wanted["of"].as_str() {
            return self.object(value, schema, at, wrong);
        }
        if let Some(inner) = wanted.get("list") {
            let Some(all) = value.as_array() else {
                return wrong.push(format!("{at}: not a list"));
            };
            for (n, one) in all.iter().enumerate() {
                self.value(one, inner, &format!("{at}[{n}]"), wrong);
            }
            return;
        }
        if let Some(inner) = wanted.get("map") {
            let Some(all) = value.as_object() else {
                return wrong.push(format!("{at}: not a map"));
            };
            for (name, one) in all {
                self.value(one, inner, &format!("{at}.{name}"), wrong);
            }
            return;
        }
        let fine = match wanted["is"].as_str() {
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some(_) | None => true,
        };
        if !fine {
            wrong.push(format!("{at}: {value} is not {}", wanted["is"]));
        }
        let Some(text) = value.as_str() else { return };
        let length = text.chars().count() as u64;
        if wanted["max"].as_u64().is_some_and(|max| length > max) {
            wrong.push(format!("{at}: {length} characters, at most {}", wanted["max"]));
        }
        if wanted["min"].as_u64().is_some_and(|min| length < min) {
            wrong.push(format!("{at}: {length} characters, at least {}", wanted["min"]));
        }
        if wanted["enum"].as_array().is_some_and(|all| !all.contains(value)) {
            wrong.push(format!("{at}: {text} is not one of {}", wanted["enum"]));
        }
    }

    fn object(&self, value: &Value, schema: &str, at: &str, wrong: &mut Vec<String>) {
        let fields = &self.schemas[schema];
        let (Some(given), Some(known)) = (value.as_object(), fields.as_object()) else {
            return wrong.push(format!("{at}: not a {schema} as we know it"));
        };
        for (name, one) in given {
            match known.get(name) {
                Some(wanted) => self.value(one, wanted, &format!("{at}.{name}"), wrong),
                None => wrong.push(format!("{at}: {schema} has no field {name} to be written")),
            }
        }
        for (name, wanted) in known {
            if wanted["needed"] == true && !given.contains_key(name) {
                wrong.push(format!("{at}: {schema} needs {name}"));
            }
        }
    }
}

#[test]
fn the_contract_catches_what_is_wrong() {
    let contract = Contract::new();
    let check = |body: &str| {
        contract.check("POST", "/v2/online-checkout/payment-links", "", body.as_bytes())
    };
    assert!(check(r#"{"order":{"location_id":"L"}}"#).is_empty());
    for (body, says) in [
        ("{", "not JSON"),
        (r#"{"order":{}}"#, "needs location_id"),
        (r#"{"ordre":{}}"#, "no field ordre"),
        (r#"{"order":{"location_id":7}}"#, "7 is not"),
        (r#"{"order":{"location_id":"L","tenders":[]}}"#, "no field tenders to be written"),
        (r#"{"order":{"location_id":"L","state":"PAID"}}"#, "not one of"),
    ] {
        let wrong = check(body);
        assert!(wrong.iter().any(|one| one.contains(says)), "{body}: {wrong:?}");
    }
    let long = format!(r#"{{"order":{{"location_id":"L","reference_id":"{:041}"}}}}"#, 0);
    assert!(check(&long)[0].contains("41 characters, at most 40"));
    assert!(!contract.check("POST", "/v2/locations/L/checkouts", "", b"{}").is_empty());
}
