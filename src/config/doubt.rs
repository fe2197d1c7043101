//! What of the templates is allowed and doubtful, each thing once.

use std::collections::BTreeMap;

use super::template::DEAR;
use crate::{clock::Span, finding::Finding, money::Money, sale::template::Template};

/// Times under this are allowed, and doubted.
const SHORT: Span = Span::from_secs(30);

pub(super) fn check(templates: &BTreeMap<String, Template>, found: &mut Vec<Finding>) {
    for template in templates.values() {
        short_times(template, found);
        dear_extras(template, found);
    }
    currencies(templates, found);
}

fn short_times(template: &Template, found: &mut Vec<Finding>) {
    let times =
        [("hold", template.hold), ("grace", template.grace), ("duration", template.duration)];
    // No grace at all is meant.
    let doubtful =
        |(key, span): &(&str, Span)| *span < SHORT && !(*key == "grace" && span.is_zero());
    for (key, span) in times.into_iter().filter(doubtful) {
        let key = format!("templates.{}.{key}", template.name);
        found.push(Finding::warning(key, format!("{span} is short for people; fine for tests")));
    }
}

/// What comes on top and costs several times what it comes on top of: most likely a slip.
fn dear_extras(template: &Template, found: &mut Vec<Finding>) {
    let Template { name, price, delivery, offers, .. } = template;
    let fees = delivery.iter().enumerate().map(|(i, one)| (format!("delivery[{i}].fee"), one.fee));
    let adds = offers.options.iter().enumerate().flat_map(|(i, option)| {
        let values = option.values.iter().enumerate();
        values.map(move |(j, value)| (format!("options[{i}].choices[{j}].add"), value.add))
    });
    let upsells = offers.upsells.iter().enumerate();
    let upsells = upsells.map(|(i, one)| (format!("upsell[{i}].price"), one.price));
    let dear = |(_, extra): &(String, Money)| extra.minor > price.minor.saturating_mul(DEAR);
    for (key, extra) in fees.chain(adds).chain(upsells).filter(dear) {
        let says = format!("{extra} is far above the price, {price}: is that meant?");
        found.push(Finding::warning(format!("templates.{name}.{key}"), says));
    }
}

/// A provider's account often has one currency.
fn currencies(templates: &BTreeMap<String, Template>, found: &mut Vec<Finding>) {
    let mut used: BTreeMap<&str, BTreeMap<&str, Vec<&str>>> = BTreeMap::new();
    for Template { name, provider, price, .. } in templates.values() {
        let of = used.entry(provider).or_default();
        of.entry(price.currency.code()).or_default().push(name);
    }
    for (provider, by_code) in used.into_iter().filter(|(_, by_code)| by_code.len() > 1) {
        let each = by_code.iter().map(|(code, names)| format!("{code} ({})", names.join(", ")));
        let says = format!(
            "several currencies go to {provider}, whose account often has one: {}. Set currency to \
             the account's in each",
            each.collect::<Vec<_>>().join(", ")
        );
        found.push(Finding::warning("templates", says));
    }
}

#[cfg(test)]
mod tests {
    use super::super::templates;
    use super::*;

    fn doubts(text: &str) -> Vec<String> {
        let all = templates(&toml::from_str(text).expect("tables")).expect("templates");
        let mut found = Vec::new();
        check(&all, &mut found);
        assert!(!found.iter().any(Finding::is_error));
        found.into_iter().map(|one| format!("{}: {}", one.key, one.says)).collect()
    }

    #[test]
    fn several_currencies_are_said_once() {
        let one =
            |name: &str, code: &str| format!("[{name}]\nprice = \"18\"\ncurrency = \"{code}\"\n");
        assert!(doubts(&(one("a", "EUR") + &one("b", "EUR"))).is_empty());
        let said = doubts(&(one("a", "EUR") + &one("b", "USD") + &one("c", "EUR")));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("EUR (a, c), USD (b)"), "{said:?}");
    }

    #[test]
    fn no_grace_at_all_is_meant() {
        for none in ["0s", "0", "0m"] {
            let text = format!("[mug]\nprice = \"18\"\ngrace = \"{none}\"\n");
            let all = templates(&toml::from_str(&text).expect("a table")).expect("a template");
            assert!(all["mug"].grace.is_zero() && doubts(&text).is_empty(), "{none}");
        }
    }

    #[test]
    fn extras_that_cost_several_times_the_goods_are_doubted() {
        let all = |amount: &str| {
            format!(
                "[mug]\nprice = \"18\"\ndelivery = [{{ name = \"ship\", fee = \"{amount}\" }}]\n\
                 options = [{{ name = \"size\", choices = [{{ name = \"XL\", add = \"{amount}\" }}] \
                 }}]\n[[mug.upsell]]\nname = \"card\"\nprice = \"{amount}\"\nstock = 5\n"
            )
        };
        assert!(doubts(&all("54")).is_empty());
        let said = doubts(&all("550"));
        for key in ["delivery[0].fee", "options[0].choices[0].add", "upsell[0].price"] {
            let key = format!("templates.mug.{key}: $550 is far above");
            assert!(said.iter().any(|line| line.starts_with(&key)), "{key} in {said:?}");
        }
        assert_eq!(said.len(), 3, "{said:?}");
    }
}
