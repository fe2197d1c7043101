//! What a template asks of its provider, held against what that provider can do.
//!
//! One table of rules: the configuration, a start and the doctor read it, so that nothing a
//! provider cannot honour is dropped in silence.

use std::fmt;

use super::template::{Ask, Capabilities, CheckoutShape, RefundKind, Template};

/// Something in a template that its provider cannot honour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cannot {
    /// The template's key.
    pub key: &'static str,
    /// Why, and the mend.
    pub says: String,
}

impl fmt::Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.says)
    }
}

impl Cannot {
    /// Whether it is about goods that are sent or fetched.
    pub fn is_about_goods(&self) -> bool {
        self.says.ends_with(DIGITAL)
    }
}

/// Whether a template asks for something.
type Asks = fn(&Template) -> bool;

/// One rule: a template that asks for something needs a provider that is able to.
struct Rule {
    key: &'static str,
    asks: Asks,
    able: fn(&Capabilities) -> bool,
    /// What follows the provider's name.
    why: &'static str,
}

const DIGITAL: &str = "carries digital goods and services only, and this is for goods that are \
                       sent or fetched: leave it out, or use another provider";

const RULES: &[Rule] = &[
    Rule {
        key: "checkout",
        asks: |t| t.checkout == CheckoutShape::PerBuyer,
        able: |can| can.per_buyer,
        why: "makes no page for each buyer: use checkout = \"shared\", or another provider",
    },
    Rule {
        key: "checkout",
        asks: is_shared,
        able: |can| can.shared,
        why: "makes pages that take one payment each: use checkout = \"per_buyer\"",
    },
    Rule {
        key: "per_buyer",
        asks: |t| t.per_buyer > 1,
        able: |can| can.units,
        why: "sells one unit per order: leave per_buyer at 1",
    },
    Rule { key: "delivery", asks: |t| !t.delivery.is_empty(), able: is_physical, why: DIGITAL },
    Rule { key: "ask", asks: |t| t.ask.contains(&Ask::Address), able: is_physical, why: DIGITAL },
    Rule {
        key: "options",
        asks: |t| t.offers.options.iter().any(|one| one.values.iter().any(|v| v.add.minor > 0)),
        able: |can| can.any_amount,
        why: "asks for one price only: let no choice add to it",
    },
    Rule {
        key: "special",
        asks: |t| !t.offers.specials.is_empty(),
        able: |can| can.any_amount,
        why: "asks for one price only: leave special prices out",
    },
    Rule {
        key: "upsell",
        asks: |t| !t.offers.upsells.is_empty(),
        able: |can| can.add_ons,
        why: "sells one thing per order: offer the other in a sale of its own",
    },
];

/// What needs a page of ours before the payment, which a shared page does not have.
const OURS: &[(&str, Asks)] = &[
    ("ask", |t| !t.ask.is_empty()),
    ("delivery", |t| !t.delivery.is_empty()),
    ("options", |t| !t.offers.options.is_empty()),
    ("upsell", |t| !t.offers.upsells.is_empty()),
    ("condition", |t| t.offers.condition.is_some()),
    ("special", |t| !t.offers.specials.is_empty()),
];

fn is_shared(template: &Template) -> bool {
    template.checkout == CheckoutShape::Shared
}

fn is_physical(able: &Capabilities) -> bool {
    able.physical
}

/// Everything in a template that a provider with these capabilities cannot honour.
pub fn cannot(template: &Template, able: &Capabilities) -> Vec<Cannot> {
    let provider = &template.provider;
    let broken = RULES.iter().filter(|rule| (rule.asks)(template) && !(rule.able)(able));
    let broken = broken
        .map(|Rule { key, why, .. }| Cannot { key, says: format!("{provider} {why}") })
        .collect::<Vec<_>>();
    let ours = OURS.iter().filter(|(_, asks)| is_shared(template) && asks(template));
    let says = "checkout = \"shared\" has no page of ours to ask on: leave it out, or use \
                checkout = \"per_buyer\"";
    let ours = ours.map(|(key, _)| Cannot { key, says: says.to_owned() });
    broken.into_iter().chain(ours).collect()
}

/// What a provider can do, in people's words: what, and whether.
pub fn facts(able: &Capabilities) -> [(&'static str, bool); 11] {
    let Capabilities {
        per_buyer,
        shared,
        revocable,
        refund,
        idempotent,
        units,
        physical,
        any_amount,
        add_ons,
        prefill,
        splits,
        real_money: _,
        retire_after: _,
    } = able;
    [
        ("a page for each buyer", *per_buyer),
        ("one page for a whole sale", *shared),
        ("an unpaid page can be closed", *revocable),
        ("refunds happen at once", *refund == RefundKind::Instant),
        ("a repeated call does its work once", *idempotent),
        ("several units in one order", *units),
        ("goods that are sent or fetched", *physical),
        ("options that cost more, special prices", *any_amount),
        ("up-sells, as lines of their own", *add_ons),
        ("what the buyer was asked is filled in", *prefill),
        ("several payments for one order", *splits),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sale::{
        offer::{Choice, CodeList, Condition, Judge, Offers, Special, Upsell, Value, Whose},
        template::Delivery,
        tests::play::{capabilities, template, usd},
    };

    fn keys(template: &Template, able: &Capabilities) -> Vec<&'static str> {
        cannot(template, able).into_iter().map(|no| no.key).collect()
    }

    #[test]
    fn what_a_provider_cannot_do_is_named_by_its_key() {
        let able = capabilities();
        let plain = Template { delivery: Vec::new(), ..template() };
        assert_eq!(keys(&plain, &able), [""; 0]);
        let post = Delivery {
            name: "ship".into(),
            label: "Ship".into(),
            fee: usd("6"),
            ask_address: true,
        };
        let sent = Template { delivery: vec![post], ask: vec![Ask::Address], ..plain.clone() };
        let digital = Capabilities { physical: false, ..able.clone() };
        assert_eq!(keys(&sent, &digital), ["delivery", "ask"]);
        let shared = Template { checkout: CheckoutShape::Shared, ..sent.clone() };
        assert_eq!(keys(&shared, &able), ["ask", "delivery"]);
        let single = Capabilities { units: false, shared: false, ..able.clone() };
        let many = Template { per_buyer: 2, checkout: CheckoutShape::Shared, ..plain.clone() };
        assert_eq!(keys(&many, &single), ["checkout", "per_buyer"]);
        let said = cannot(&many, &single)[1].to_string();
        assert!(said.starts_with("per_buyer: ") && said.contains("one unit per order"), "{said}");
        let only_shared = Capabilities { per_buyer: false, ..able };
        assert_eq!(keys(&plain, &only_shared), ["checkout"]);
    }

    #[test]
    fn offers_follow_from_the_same_table() {
        let able = capabilities();
        let list = CodeList { name: "vip".into(), once: true };
        let value = Value { name: "XL".into(), label: "XL".into(), add: usd("2.50") };
        let offers = Offers {
            options: vec![Choice {
                name: "size".into(),
                label: "Size".into(),
                values: vec![value],
            }],
            upsells: vec![Upsell {
                name: "card".into(),
                label: "Card".into(),
                price: usd("1"),
                stock: None,
            }],
            condition: Some(Condition { label: "Code".into(), judge: Judge::List(list.clone()) }),
            specials: vec![Special { price: usd("12"), of: Whose::List(list) }],
        };
        let template = Template { offers, ..template() };
        assert_eq!(keys(&template, &able), [""; 0]);
        let fixed = Capabilities { any_amount: false, ..able.clone() };
        assert_eq!(keys(&template, &fixed), ["options", "special"]);
        let single = Capabilities { add_ons: false, ..able.clone() };
        assert_eq!(keys(&template, &single), ["upsell"]);
        let mut free = template.clone();
        free.offers.options[0].values[0].add = usd("0");
        free.offers.specials.clear();
        assert_eq!(keys(&free, &fixed), [""; 0], "a choice that costs nothing changes no price");
        let shared = Template { checkout: CheckoutShape::Shared, ..template };
        assert_eq!(keys(&shared, &able), ["options", "upsell", "condition", "special"]);
    }
}
