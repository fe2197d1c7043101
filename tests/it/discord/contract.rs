//! What Discord takes: field names, types and sizes of the requests we send, from its own OpenAPI
//! document (version 10, MIT licence). What stands in no schema there is refused here, too.

use std::sync::LazyLock;

use serde_json::Value;

static TABLE: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("contract.json")).expect("a table"));

/// What is wrong with a request; empty if nothing is.
pub fn wrong(method: &str, path: &str, body: &Value) -> Vec<String> {
    let route = format!("{method} {}", shape(path));
    let Some(schema) = TABLE["routes"].get(&route) else {
        return vec![format!("{route}: a request nobody expects a body in")];
    };
    let mut found = Vec::new();
    check(schema, body, &route, &mut found);
    if let Some(embeds) = body["embeds"].as_array() {
        let size: usize = embeds.iter().map(text_in).sum();
        if size > 6000 {
            found.push(format!("{route}: {size} characters in embeds, at most 6000"));
        }
    }
    found
}

/// Whether a body goes to that address at all.
pub fn takes_body(method: &str, path: &str) -> bool {
    TABLE["routes"].get(format!("{method} {}", shape(path))).is_some()
}

fn text_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(all) => all.iter().map(text_in).sum(),
        Value::Object(all) => {
            all.iter().filter(|(key, _)| *key != "url").map(|(_, v)| text_in(v)).sum()
        }
        _ => 0,
    }
}

/// The address with every id and token taken out.
fn shape(path: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    for n in 1..parts.len() {
        let is_id = !parts[n].is_empty() && parts[n].bytes().all(|b| b.is_ascii_digit());
        let after_id =
            n > 1 && parts[n - 1] == "{}" && ["interactions", "webhooks"].contains(&parts[n - 2]);
        if is_id || after_id {
            parts[n] = "{}";
        }
    }
    parts.join("/")
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        return check(&TABLE["schemas"][name], value, at, found);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let tries: Vec<Vec<String>> = any
            .iter()
            .map(|one| {
                let mut wrong = Vec::new();
                check(one, value, at, &mut wrong);
                wrong
            })
            .collect();
        if tries.iter().all(|wrong| !wrong.is_empty()) {
            // The nearest miss says most: a wrong size rather than a wrong type.
            let far = |wrong: &Vec<String>| {
                let types = wrong.iter().filter(|line| line.starts_with(&format!("{at}: ")));
                let types = types.filter(|line| line.contains(" is not \"")).count();
                (types, wrong.len())
            };
            found.extend(tries.into_iter().min_by_key(far).unwrap_or_default());
        }
        return;
    }
    if !of_type(&schema["type"], value) {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
        return;
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        found.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    match value {
        Value::String(text) => {
            let size = text.chars().count() as u64;
            if size > schema["maxLength"].as_u64().unwrap_or(u64::MAX) {
                found.push(format!("{at}: {size} characters, at most {}", schema["maxLength"]));
            }
            if size < schema["minLength"].as_u64().unwrap_or(0) {
                found.push(format!("{at}: too short"));
            }
            if schema["pattern"].is_string() && !text.bytes().all(|b| b.is_ascii_digit()) {
                found.push(format!("{at}: {text} is not a number"));
            }
        }
        Value::Number(number) => {
            let number = number.as_f64().expect("a number");
            if number > schema["maximum"].as_f64().unwrap_or(f64::MAX)
                || number < schema["minimum"].as_f64().unwrap_or(f64::MIN)
            {
                found.push(format!("{at}: {number} is out of bounds"));
            }
        }
        Value::Array(items) => {
            if items.len() as u64 > schema["maxItems"].as_u64().unwrap_or(u64::MAX) {
                found.push(format!("{at}: {} items", items.len()));
            }
            if (items.len() as u64) < schema["minItems"].as_u64().unwrap_or(0) {
                found.push(format!("{at}: too few items"));
            }
            for (n, item) in items.iter().enumerate() {
                check(&schema["items"], item, &format!("{at}[{n}]"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                match schema["properties"].get(name) {
                    Some(schema) => check(schema, field, &format!("{at}.{name}"), found),
                    None => found.push(format!("{at}.{name}: no such field")),
                }
            }
            for name in schema["required"].as_array().into_iter().flatten() {
                if fields.get(name.as_str().expect("a name")).is_none() {
                    found.push(format!("{at}: {name} is missing"));
                }
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

fn of_type(wanted: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => false,
    };
    match wanted {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| name.as_str().is_some_and(is)),
        _ => true,
    }
}

#[test]
fn mistakes_are_noticed() {
    use serde_json::json;
    let post = "/channels/1/messages";
    let button = |label: &str| {
        json!({ "components": [{ "type": 1, "components": [
        { "type": 2, "style": 1, "custom_id": "x", "label": label },
    ] }] })
    };
    let cases = [
        (json!({ "content": "x".repeat(2001) }), "2001 characters"),
        (json!({ "contents": "x" }), "no such field"),
        (json!({ "content": 7 }), "is not"),
        (json!({ "nonce": "x".repeat(26) }), "characters"),
        (json!({ "embeds": [{ "title": "x".repeat(257) }] }), "257 characters"),
        (json!({ "embeds": [{ "colour": 1 }] }), "no such field"),
        (json!({ "message_reference": { "message_id": "x" } }), "not a number"),
        (button(&"x".repeat(81)), "81 characters"),
    ];
    for (body, says) in cases {
        let found = wrong("POST", post, &body);
        assert!(found.iter().any(|line| line.contains(says)), "{body}: {found:?}");
    }
    assert_eq!(wrong("POST", post, &button("Get yours")), Vec::<String>::new());
    assert!(!wrong("POST", "/channels/1/nonsense", &json!({})).is_empty());
}
