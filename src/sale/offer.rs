//! What a sale offers beside its units, what a buyer chose of it, and what that costs.
//!
//! The amount of a hold is units × (price or special price + what its options add) + up-sells +
//! the delivery's fee. It is counted here and nowhere else.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::money::Money;

/// Everything a template offers beside its units.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offers {
    /// Choices that may change the price; every buyer makes each of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Choice>,
    /// Things a buyer may add to the order, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub upsells: Vec<Upsell>,
    /// What a buyer must know or own to claim.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// Lower prices for some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub specials: Vec<Special>,
}

/// One choice a buyer makes, like the size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The word in forms and reports.
    pub name: String,
    /// What the buyer reads.
    pub label: String,
    /// What there is to choose from; the first is what is chosen to begin with.
    pub values: Vec<Value>,
}

/// One value of a choice, like XL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Value {
    /// The word in forms and reports.
    pub name: String,
    /// What the buyer reads.
    pub label: String,
    /// What it adds to the price of each unit.
    pub add: Money,
}

/// Something that may be added to an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upsell {
    /// The word in forms and reports.
    pub name: String,
    /// What the buyer reads.
    pub label: String,
    /// What it costs, once per order.
    pub price: Money,
    /// How many there are; none for as many as there are units.
    pub stock: Option<u32>,
}

/// What a buyer must give before they may claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is called, like "Serial number".
    pub label: String,
    /// Who says whether it is right.
    pub judge: Judge,
}

/// Who says whether a code is right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Judge {
    /// A list of codes in the store.
    List(CodeList),
    /// The shop's own server.
    Url {
        /// Where it is asked.
        url: String,
    },
}

/// A list of codes in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeList {
    /// Its name.
    pub name: String,
    /// Each code counts for one order only.
    pub once: bool,
}

/// A lower price for some buyers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Special {
    /// The price of one unit.
    pub price: Money,
    /// For whom.
    pub of: Whose,
}

/// Whose special price it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Whose {
    /// Who has a code of that list.
    List(CodeList),
    /// Who has that role on Discord and claims there.
    Role {
        /// Its id.
        id: String,
    },
}

/// What a buyer chose, and what was checked about them before they claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// The value of each option.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Up-sells by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub upsells: BTreeSet<String>,
    /// The condition was checked, and met.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub admitted: bool,
    /// The special price that is theirs, by its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<String>,
    /// Codes that count once, which this claim uses up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<Code>,
}

/// A code, by the keyed mark that is all we keep of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Code {
    /// The list it stands in.
    pub list: String,
    /// Its mark.
    pub mark: String,
}

/// What a hold's amount is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bill {
    /// Units.
    pub units: u32,
    /// The template's price of one.
    pub price: Money,
    /// The price of one that holds: the special one, where there is one.
    pub unit: Money,
    /// What options add to each unit.
    pub adds: Vec<Line>,
    /// What is added to the order, once.
    pub upsells: Vec<Line>,
    /// The delivery's fee, once.
    pub fee: Option<Line>,
}

/// One part of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the buyer reads.
    pub label: String,
    /// How much.
    pub amount: Money,
}

impl Offers {
    /// Whether nothing is offered beside the units.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The up-sell of that name.
    pub fn upsell(&self, name: &str) -> Option<&Upsell> {
        self.upsells.iter().find(|one| one.name == name)
    }

    /// What is chosen to begin with: the first value of each option, and nothing else.
    pub fn plain(&self) -> Extras {
        let first =
            |choice: &Choice| Some((choice.name.clone(), choice.values.first()?.name.clone()));
        Extras { options: self.options.iter().filter_map(first).collect(), ..Extras::default() }
    }

    /// Lists of codes that a buyer may give one of, the condition's first.
    pub fn lists(&self) -> impl Iterator<Item = &CodeList> {
        let condition = self.condition.iter().filter_map(|condition| match &condition.judge {
            Judge::List(list) => Some(list),
            Judge::Url { .. } => None,
        });
        condition.chain(self.special_lists())
    }

    /// Lists of codes that are worth a special price.
    pub fn special_lists(&self) -> impl Iterator<Item = &CodeList> {
        self.specials.iter().filter_map(|special| match &special.of {
            Whose::List(list) => Some(list),
            Whose::Role { .. } => None,
        })
    }

    /// The lowest special price that one of these roles is worth, by its key.
    pub fn special_of_roles(&self, roles: &[String]) -> Option<String> {
        let theirs = self.specials.iter().filter(|special| match &special.of {
            Whose::Role { id } => roles.contains(id),
            Whose::List(_) => false,
        });
        theirs.min_by_key(|special| special.price.minor).map(Special::key)
    }

    /// Whether a claim needs a page of ours: something must be chosen or given first.
    pub fn needs_page(&self) -> bool {
        !self.options.is_empty() || self.condition.is_some()
    }
}

impl Choice {
    /// The value of that name.
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|one| one.name == name)
    }
}

impl Special {
    /// What names it among a template's special prices.
    pub fn key(&self) -> String {
        match &self.of {
            Whose::List(list) => format!("code:{}", list.name),
            Whose::Role { id } => format!("role:{id}"),
        }
    }
}

impl Extras {
    /// Whether nothing was chosen and nothing checked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// In one line, for lists: `size XL, plus stickers, at code:friends`.
    pub fn words(&self) -> String {
        let options = self.options.iter().map(|(name, value)| format!("{name} {value}"));
        let upsells = self.upsells.iter().map(|name| format!("plus {name}"));
        let special = self.special.iter().map(|key| format!("at {key}"));
        options.chain(upsells).chain(special).collect::<Vec<_>>().join(", ")
    }
}

impl Template {
    /// What units, delivery and choices come to, part by part; `None` if something of it is not
    /// offered.
    pub fn bill(&self, units: u32, delivery: Option<&str>, extras: &Extras) -> Option<Bill> {
        let offers = &self.offers;
        if extras.options.len() != offers.options.len() {
            return None;
        }
        let add = |choice: &Choice| {
            let value = choice.value(extras.options.get(&choice.name)?)?;
            let label = format!("{}: {}", choice.label, value.label);
            Some(Line { label, amount: value.add })
        };
        let upsell = |name: &String| {
            let one = offers.upsell(name)?;
            Some(Line { label: one.label.clone(), amount: one.price })
        };
        let fee = match delivery {
            Some(name) => {
                let delivery = self.delivery(name)?;
                Some(Line { label: delivery.label.clone(), amount: delivery.fee })
            }
            None => None,
        };
        let special = match &extras.special {
            Some(key) => Some(offers.specials.iter().find(|one| one.key() == *key)?.price),
            None => None,
        };
        // A sale started at a lower price still is at that price for everybody.
        let lower = |special: &Money| special.minor < self.price.minor;
        Some(Bill {
            units,
            price: self.price,
            unit: special.filter(lower).unwrap_or(self.price),
            adds: offers.options.iter().map(add).collect::<Option<_>>()?,
            upsells: extras.upsells.iter().map(upsell).collect::<Option<_>>()?,
            fee,
        })
    }

    /// What units, delivery and choices cost; `None` if it cannot be counted.
    pub fn total(&self, units: u32, delivery: Option<&str>, extras: &Extras) -> Option<Money> {
        self.bill(units, delivery, extras)?.total()
    }
}

impl Bill {
    /// The sum of it; `None` if it cannot be counted.
    pub fn total(&self) -> Option<Money> {
        let sum = |start: Money, lines: &[Line]| {
            lines.iter().try_fold(start, |sum, line| sum.plus(line.amount))
        };
        let goods = sum(self.unit, &self.adds)?.times(self.units)?;
        let all = sum(goods, &self.upsells)?;
        self.fee.as_ref().map_or(Some(all), |fee| all.plus(fee.amount))
    }

    /// What a special price takes off the whole order, if anything.
    pub fn reduction(&self) -> Option<Money> {
        let less = Money::new(self.price.minor - self.unit.minor, self.price.currency);
        less.times(self.units).filter(|less| less.minor > 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sale::tests::play::{delivery, template, usd};

    fn offered(adds: &[i64], upsells: &[i64], special: Option<i64>, price: i64) -> Template {
        let money = |minor| Money::new(minor, usd("1").currency);
        let choice = |(n, add): (usize, &i64)| Choice {
            name: format!("o{n}"),
            label: format!("Option {n}"),
            values: vec![Value { name: "it".into(), label: "It".into(), add: money(*add) }],
        };
        let upsell = |(n, price): (usize, &i64)| Upsell {
            name: format!("u{n}"),
            label: format!("Up-sell {n}"),
            price: money(*price),
            stock: None,
        };
        let whose = Whose::Role { id: "7".into() };
        let offers = Offers {
            options: adds.iter().enumerate().map(choice).collect(),
            upsells: upsells.iter().enumerate().map(upsell).collect(),
            condition: None,
            specials: special.map(|p| Special { price: money(p), of: whose }).into_iter().collect(),
        };
        let delivery = vec![delivery("ship", "6")];
        Template { price: money(price), offers, delivery, ..template() }
    }

    proptest! {
        #[test]
        fn an_amount_is_the_sum_of_its_parts_or_there_is_none(
            units in 1..50u32,
            price in 1..i64::MAX,
            small in any::<bool>(),
            special in prop::option::of(1..10_000i64),
            adds in prop::collection::vec(0..10_000i64, 0..5),
            upsells in prop::collection::vec(1..10_000i64, 0..5),
        ) {
            let price = if small { price % 1_000_000 + 1 } else { price };
            let template = offered(&adds, &upsells, special, price);
            let mut extras = template.offers.plain();
            extras.upsells = template.offers.upsells.iter().map(|one| one.name.clone()).collect();
            extras.special = template.offers.specials.first().map(Special::key);
            let unit = special.unwrap_or(price).min(price);
            let goods = i128::from(units)
                * (i128::from(unit) + adds.iter().copied().map(i128::from).sum::<i128>());
            let whole = goods + upsells.iter().copied().map(i128::from).sum::<i128>() + 600;
            let total = template.total(units, Some("ship"), &extras).map(|all| all.minor);
            prop_assert_eq!(total, i64::try_from(whole).ok());
            // What a special price takes off is what is missing to the usual price.
            let usual = Extras { special: None, ..extras.clone() };
            let usual = template.total(units, Some("ship"), &usual).map(|all| all.minor);
            let bill = template.bill(units, Some("ship"), &extras).expect("all of it is offered");
            if let (Some(usual), Some(total)) = (usual, total) {
                let less = bill.reduction().map_or(0, |less| less.minor);
                prop_assert_eq!(usual - total, less);
            }
        }
    }

    #[test]
    fn what_is_not_offered_has_no_price() {
        let template = offered(&[100], &[400], None, 1800);
        let plain = template.offers.plain();
        let total = |extras: &Extras| template.total(1, None, extras).map(|all| all.minor);
        assert_eq!(total(&plain), Some(1900));
        assert_eq!(total(&Extras::default()), None, "the option was not chosen");
        let with = |change: fn(&mut Extras)| {
            let mut extras = plain.clone();
            change(&mut extras);
            total(&extras)
        };
        assert_eq!(with(|x| x.options.extend([("o0".into(), "other".into())])), None);
        assert_eq!(with(|x| x.options.extend([("o9".into(), "it".into())])), None);
        assert_eq!(with(|x| x.upsells.extend(["u9".into()])), None);
        assert_eq!(with(|x| x.special = Some("role:8".into())), None);
        assert_eq!(with(|x| x.upsells.extend(["u0".into()])), Some(2300));
        assert_eq!(template.total(1, Some("rocket"), &plain), None);
    }
}
