//! What every program on one database must have alike, in words that can be compared and shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sale::template::{Bounds, CheckoutShape, Template};

/// Templates that are kept one by one; a shop with more is compared by these.
const TEMPLATES_MAX: usize = 100;

/// Characters of a value that are shown.
const SHOWN_MAX: usize = 100;

/// Differences that are named; of the rest it is said how many there are.
const NAMED_MAX: usize = 8;

/// These follow the price unless they are set.
const PRICE_BOUNDS: &str = "min_price or max_price";

/// The settings of one program, without any secret and bounded in size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Keys of the configuration and their values.
    keys: BTreeMap<String, String>,
    /// Templates by name.
    templates: BTreeMap<String, Row>,
}

/// One template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Row {
    /// What can be read at a glance.
    words: BTreeMap<String, String>,
    /// Short marks of what is too long to be shown.
    marks: BTreeMap<String, String>,
}

/// How two programs are called in a sentence about their settings.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The one that is compared with, like "the program at 10.0.0.12:8080".
    pub theirs: &'a str,
    /// Ours, like "this one".
    pub ours: &'a str,
}

impl Settings {
    /// What the keys of a configuration, with their values, and its templates come to.
    pub fn of(keys: &BTreeMap<String, String>, templates: &BTreeMap<String, Template>) -> Self {
        let keys = keys.iter().map(|(key, value)| (key.clone(), short(value)));
        Self { keys: keys.collect(), templates: BTreeMap::new() }.with(templates)
    }

    /// The same with other templates.
    pub fn with(&self, templates: &BTreeMap<String, Template>) -> Self {
        let rows = templates.iter().take(TEMPLATES_MAX);
        let rows = rows.map(|(name, template)| (name.clone(), Row::of(template)));
        Self { keys: self.keys.clone(), templates: rows.collect() }
    }

    /// What differs, each in a few words; empty if nothing does. What only one of two versions of
    /// the program knows of is not compared.
    pub fn differences(&self, theirs: &Self, names: Names<'_>) -> Vec<String> {
        let Names { theirs: they, ours: we } = names;
        let mut found = Vec::new();
        let every: BTreeSet<&String> =
            self.templates.keys().chain(theirs.templates.keys()).collect();
        for name in every {
            match (self.templates.get(name), theirs.templates.get(name)) {
                (Some(mine), Some(other)) => mine.differences(name, other, names, &mut found),
                (Some(_), None) => found.push(format!("{they} has no template {name}, {we} has")),
                (None, Some(_)) => {
                    found.push(format!("{they} has the template {name}, {we} has not"));
                }
                (None, None) => {}
            }
        }
        for (key, mine, other) in unequal(&self.keys, &theirs.keys) {
            found.push(format!("{they} has {key} = {other}, {we} {mine}"));
        }
        let more = found.len().saturating_sub(NAMED_MAX);
        if more > 0 {
            found.truncate(NAMED_MAX);
            found.push(format!("{more} more differences to {they}"));
        }
        found
    }
}

impl Row {
    fn of(template: &Template) -> Self {
        // Whoever adds a field to templates decides here whether it is shown or marked.
        let Template {
            name: _,
            title,
            description,
            image,
            price,
            stock,
            duration,
            provider,
            checkout,
            hold,
            grace,
            arm_ttl,
            ready_limit,
            opening_limit,
            per_buyer,
            warm,
            delivery,
            ask,
            offers,
            bounds,
            options,
        } = template;
        let Bounds { max_stock, max_duration, min_price, max_price, sales_per_hour: often } =
            bounds;
        let shape = match checkout {
            CheckoutShape::PerBuyer => "per_buyer",
            CheckoutShape::Shared => "shared",
        };
        let words = [
            ("price", price.to_string()),
            ("stock", stock.to_string()),
            ("title", format!("{title:?}")),
            ("duration", duration.to_string()),
            ("provider", provider.clone()),
            ("checkout", shape.to_owned()),
            ("hold", hold.to_string()),
            ("grace", grace.to_string()),
            ("arm_ttl", arm_ttl.to_string()),
            ("ready_limit", ready_limit.to_string()),
            ("opening_limit", opening_limit.to_string()),
            ("per_buyer", per_buyer.to_string()),
            ("warm", warm.to_string()),
        ];
        let marks = [
            ("description", mark(description)),
            ("image", mark(image)),
            ("delivery", mark(delivery)),
            ("ask", mark(ask)),
            ("options, upsell, condition or special", mark(offers)),
            ("max_stock, max_duration or sales_per_hour", mark(&(max_stock, max_duration, often))),
            (PRICE_BOUNDS, mark(&(min_price, max_price))),
            ("options for its provider", mark(options)),
        ];
        Self {
            words: words.map(|(key, value)| (key.to_owned(), short(&value))).into(),
            marks: marks.map(|(key, value)| (key.to_owned(), value)).into(),
        }
    }

    fn differences(&self, name: &str, theirs: &Self, names: Names<'_>, found: &mut Vec<String>) {
        let Names { theirs: they, ours: we } = names;
        for (key, mine, other) in unequal(&self.words, &theirs.words) {
            found.push(match key {
                "price" => format!("{they} has {name} at {other}, {we} at {mine}"),
                _ => format!("{they} has {name} with {key} = {other}, {we} {mine}"),
            });
        }
        let same_price = self.words.get("price") == theirs.words.get("price");
        let marks = unequal(&self.marks, &theirs.marks);
        for (key, _, _) in marks.filter(|(key, ..)| same_price || *key != PRICE_BOUNDS) {
            found.push(format!("{they} has {name} with other {key} than {we}"));
        }
    }
}

/// What both have, and not alike.
fn unequal<'a>(
    mine: &'a BTreeMap<String, String>,
    theirs: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    mine.iter().filter_map(|(key, mine)| {
        let other = theirs.get(key).filter(|other| *other != mine)?;
        Some((key.as_str(), mine.as_str(), other.as_str()))
    })
}

/// What fits into a line. What is cut off is told by its mark.
fn short(value: &str) -> String {
    if value.chars().count() <= SHOWN_MAX {
        return value.to_owned();
    }
    let start: String = value.chars().take(SHOWN_MAX).collect();
    format!("{start}… [{}]", mark(&value))
}

/// A few digits that differ where the values do, and show nothing of them.
fn mark(value: &impl Serialize) -> String {
    let text = serde_json::to_vec(value).unwrap_or_default();
    hex::encode(&Sha256::digest(text)[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names<'_> = Names { theirs: "that program", ours: "this one" };

    fn settings(text: &str) -> Settings {
        let loaded = crate::config::read(
            std::path::Path::new("config.toml"),
            text,
            std::collections::HashMap::new(),
        );
        let loaded = loaded.expect("a config");
        Settings::of(&loaded.config.alike(), &loaded.templates)
    }

    fn differences(ours: &str, theirs: &str) -> Vec<String> {
        settings(ours).differences(&settings(theirs), NAMES)
    }

    #[test]
    fn equal_settings_do_not_differ_and_each_difference_is_put_in_words() {
        let mug = "[templates.mug]\nprice = \"20.00\"\nstock = 3\n";
        assert!(differences(mug, mug).is_empty());
        for (theirs, says) in [
            (mug.replace("20.00", "18.50"), "that program has mug at $18.50, this one at $20"),
            (
                format!("{mug}currency = \"CAD\"\n"),
                "that program has mug at 20 CAD, this one at $20",
            ),
            (mug.replace('3', "5"), "that program has mug with stock = 5, this one 3"),
            (
                format!("{mug}description = \"Blue.\"\n"),
                "that program has mug with other description than this one",
            ),
            (
                format!("{mug}[templates.cap]\nprice = \"9.00\"\n"),
                "that program has the template cap, this one has not",
            ),
            (
                format!("[shop]\npublic_url = \"http://10.0.0.1\"\n{mug}"),
                "that program has shop.public_url = \"http://10.0.0.1\", this one \"\"",
            ),
            (
                format!("[shop]\nname = \"Ana\"\n{mug}"),
                "that program has shop.name = \"Ana\", this one \"Livetill\"",
            ),
        ] {
            assert_eq!(differences(mug, &theirs), [says]);
        }
        let gone = mug.replace("mug", "cap");
        let two = [
            "that program has the template cap, this one has not",
            "that program has no template mug, this one has",
        ];
        assert_eq!(differences(mug, &gone), two);
    }

    #[test]
    fn the_list_is_bounded_and_what_another_version_keeps_is_not_compared() {
        let many = |price: &str| {
            let one = |n| format!("[templates.t{n:03}]\nprice = \"{price}\"\n");
            (0..300).map(one).collect::<String>()
        };
        let said = differences(&many("1.00"), &many("2.00"));
        assert_eq!(said.len(), NAMED_MAX + 1);
        assert_eq!(said[NAMED_MAX], "92 more differences to that program");
        let whole = settings(&many("1.00"));
        assert!(serde_json::to_string(&whole).expect("JSON").len() < 100_000);
        let mut newer = settings("[templates.mug]\nprice = \"1.00\"\n");
        let ours = newer.clone();
        newer.keys.insert("shop.new".into(), "1".into());
        assert!(ours.differences(&newer, NAMES).is_empty());
        assert!(newer.differences(&ours, NAMES).is_empty());
    }

    #[test]
    fn values_too_long_to_show_still_differ() {
        let name = |end: &str| short(&format!("{}{end}", "a".repeat(2 * SHOWN_MAX)));
        assert!(name("b") != name("c"));
        assert!(name("b").chars().count() < SHOWN_MAX + 30);
    }
}
