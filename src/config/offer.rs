//! What a template offers beside its units, as the owner writes it.

use serde::Deserialize;

use super::template::{Reader, Text};
use crate::{
    money::{Currency, Money},
    sale::offer::{Choice, CodeList, Condition, Judge, Offers, Special, Upsell, Value, Whose},
};

/// Options, and values of each, at the most: a page must stay a page.
const OPTIONS_MAX: usize = 8;
const VALUES_MAX: usize = 40;

/// Up-sells at the most.
const UPSELLS_MAX: usize = 12;

/// A choice as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawOption {
    name: String,
    label: Option<String>,
    choices: Vec<RawValue>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawValue {
    name: String,
    label: Option<String>,
    add: Option<Text>,
}

/// An up-sell as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawUpsell {
    name: String,
    label: Option<String>,
    price: Option<Text>,
    stock: Option<RawStock>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum RawStock {
    Units(u32),
    Word(String),
}

/// A condition as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawCondition {
    label: Option<String>,
    codes: Option<String>,
    once: Option<bool>,
    url: Option<String>,
}

/// A special price as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawSpecial {
    code_list: Option<String>,
    once: Option<bool>,
    role: Option<String>,
    price: Option<Text>,
}

/// What of a template's keys is about offers.
pub(super) struct RawOffers<'a> {
    pub options: &'a [RawOption],
    pub upsells: &'a [RawUpsell],
    pub condition: Option<&'a RawCondition>,
    pub specials: &'a [RawSpecial],
}

/// A word that forms and reports carry.
fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

fn is_label(text: &str) -> bool {
    (1..=100).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

impl Reader<'_> {
    pub(super) fn offers(&mut self, raw: &RawOffers<'_>, price: Money) -> Offers {
        Offers {
            options: self.choices(raw.options, price.currency),
            upsells: self.upsells(raw.upsells, price.currency),
            condition: raw.condition.and_then(|one| self.condition(one)),
            specials: self.specials(raw.specials, price),
        }
    }

    /// Name and label of the `i`-th of a list; says what is wrong with them.
    fn named(
        &mut self,
        key: &str,
        (name, label): (&str, Option<&String>),
        before: &[&str],
    ) -> (String, String) {
        if !is_word(name) {
            let says = "needs a name of at most 32 letters and digits, like name = \"size\"";
            self.wrong(key, says);
        } else if before.contains(&name) {
            self.wrong(key, format!("the name {name} is used twice"));
        }
        let label = label.map_or_else(|| name.to_owned(), Clone::clone);
        if !is_label(&label) {
            self.wrong(key, "the label has 1 to 100 characters");
        }
        (name.to_owned(), label)
    }

    fn choices(&mut self, raw: &[RawOption], currency: Currency) -> Vec<Choice> {
        if raw.len() > OPTIONS_MAX {
            self.wrong("options", format!("there may be {OPTIONS_MAX} at the most"));
        }
        let mut all: Vec<Choice> = Vec::new();
        for (i, one) in raw.iter().enumerate() {
            let key = format!("options[{i}]");
            let before: Vec<&str> = all.iter().map(|choice| choice.name.as_str()).collect();
            let (name, label) = self.named(&key, (&one.name, one.label.as_ref()), &before);
            if !(1..=VALUES_MAX).contains(&one.choices.len()) {
                let says = format!(
                    "needs 1 to {VALUES_MAX} choices, like choices = [{{ name = \"XL\", add = \
                     \"2.50\" }}]"
                );
                self.wrong(&key, says);
            }
            let mut values: Vec<Value> = Vec::new();
            for (j, value) in one.choices.iter().enumerate() {
                let key = format!("{key}.choices[{j}]");
                let before: Vec<&str> = values.iter().map(|value| value.name.as_str()).collect();
                let (name, label) = self.named(&key, (&value.name, value.label.as_ref()), &before);
                let add = value.add.clone().unwrap_or(Text::Whole(0));
                let add = self.money(&format!("{key}.add"), &add, currency);
                values.push(Value { name, label, add });
            }
            all.push(Choice { name, label, values });
        }
        all
    }

    fn upsells(&mut self, raw: &[RawUpsell], currency: Currency) -> Vec<Upsell> {
        if raw.len() > UPSELLS_MAX {
            self.wrong("upsell", format!("there may be {UPSELLS_MAX} at the most"));
        }
        let mut all: Vec<Upsell> = Vec::new();
        for (i, one) in raw.iter().enumerate() {
            let key = format!("upsell[{i}]");
            let before: Vec<&str> = all.iter().map(|upsell| upsell.name.as_str()).collect();
            let (name, label) = self.named(&key, (&one.name, one.label.as_ref()), &before);
            let price = match &one.price {
                Some(price) => self.money(&format!("{key}.price"), price, currency),
                None => Money::new(0, currency),
            };
            if price.minor <= 0 {
                let says = "needs a price of its own, like price = \"4.00\"";
                self.wrong(&format!("{key}.price"), says);
            }
            let stock = match &one.stock {
                Some(RawStock::Units(units)) if *units > 0 => Some(*units),
                Some(RawStock::Word(word)) if word == "with_main" => None,
                Some(_) | None => {
                    let says = "needs a stock rule: how many there are, like stock = 5, or stock \
                                = \"with_main\" for one with each unit";
                    self.wrong(&format!("{key}.stock"), says);
                    None
                }
            };
            all.push(Upsell { name, label, price, stock });
        }
        all
    }

    fn list(&mut self, key: &str, name: &str, once: Option<bool>) -> CodeList {
        if !is_word(name) {
            let says = "is the name of a list of codes: letters and digits, like \"vip-codes\"";
            self.wrong(key, says);
        }
        CodeList { name: name.to_owned(), once: once.unwrap_or(true) }
    }

    fn condition(&mut self, raw: &RawCondition) -> Option<Condition> {
        let label = raw.label.clone().unwrap_or_else(|| "Code".to_owned());
        if !is_label(&label) {
            self.wrong("condition.label", "write 1 to 100 characters");
        }
        let judge = match (&raw.codes, &raw.url) {
            (Some(name), None) => Judge::List(self.list("condition.codes", name, raw.once)),
            (None, Some(url)) => {
                if raw.once.is_some() {
                    let says = "goes with codes only: what the shop's own check accepts, it may \
                                refuse the next time";
                    self.wrong("condition.once", says);
                }
                if !may_be_asked(url) {
                    let says = "must be an https:// address, or http:// of this machine";
                    self.wrong("condition.url", says);
                }
                Judge::Url { url: url.clone() }
            }
            (Some(_), Some(_)) | (None, None) => {
                let says = "needs one of codes = \"vip-codes\" (a list in the store) and url = \
                            \"https://…\" (a check of the shop's own)";
                self.wrong("condition", says);
                return None;
            }
        };
        Some(Condition { label, judge })
    }

    fn specials(&mut self, raw: &[RawSpecial], usual: Money) -> Vec<Special> {
        let mut all: Vec<Special> = Vec::new();
        for (i, one) in raw.iter().enumerate() {
            let key = format!("special[{i}]");
            let of = match (&one.code_list, &one.role) {
                (Some(name), None) => {
                    Whose::List(self.list(&format!("{key}.code_list"), name, one.once))
                }
                (None, Some(id)) => {
                    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit()) {
                        let says = "is the id of a Discord role, like \"123456789012345678\"";
                        self.wrong(&format!("{key}.role"), says);
                    }
                    if one.once.is_some() {
                        self.wrong(&format!("{key}.once"), "goes with code_list only");
                    }
                    Whose::Role { id: id.clone() }
                }
                (Some(_), Some(_)) | (None, None) => {
                    self.wrong(&key, "needs one of code_list and role: whose price it is");
                    continue;
                }
            };
            let price = one.price.clone().unwrap_or(Text::Whole(0));
            let price = self.money(&format!("{key}.price"), &price, usual.currency);
            if price.minor <= 0 || price.minor >= usual.minor {
                let says = format!("must be above zero and less than the price, {usual}");
                self.wrong(&format!("{key}.price"), says);
            }
            let special = Special { price, of };
            if all.iter().any(|other| other.key() == special.key()) {
                self.wrong(&key, "names the same people as another one");
            }
            all.push(special);
        }
        all
    }
}

/// Only over an encrypted connection, or on this machine.
fn may_be_asked(url: &str) -> bool {
    let plain = url.chars().all(|c| c.is_ascii_graphic()) && url.len() <= 2000;
    let local = url.strip_prefix("http://").is_some_and(|rest| {
        let host = rest.split(['/', '?']).next().unwrap_or_default();
        is_loopback(host)
    });
    plain && !url.contains('@') && (url.starts_with("https://") || local)
}

fn is_loopback(host: &str) -> bool {
    let name = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = name.unwrap_or_else(|| host.split(':').next().unwrap_or_default());
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::super::templates;
    use super::*;

    fn offers(more: &str) -> Result<Offers, String> {
        let raw = toml::from_str(&format!("[mug]\nprice = \"18.00\"\n{more}")).expect("a table");
        let all = templates(&raw).map_err(|all| format!("{}: {}", all[0].key, all[0].says))?;
        Ok(all["mug"].offers.clone())
    }

    #[test]
    fn all_of_it_together() {
        let offers = offers(concat!(
            "options = [{ name = \"size\", choices = [{ name = \"M\" }, { name = \"XL\", label = ",
            "\"Extra large\", add = \"2.50\" }] }]\n",
            "condition = { label = \"Serial number\", codes = \"vip-codes\", once = false }\n",
            "[[mug.upsell]]\nname = \"sticker\"\nprice = \"4\"\nstock = 5\n",
            "[[mug.upsell]]\nname = \"card\"\nprice = 1.5\nstock = \"with_main\"\n",
            "[[mug.special]]\ncode_list = \"friends\"\nprice = \"12.00\"\n",
            "[[mug.special]]\nrole = \"123\"\nprice = \"10.00\"\n",
        ))
        .expect("reads");
        let [_, large] = offers.options[0].values.as_slice() else { panic!("two values") };
        assert_eq!((large.label.as_str(), large.add.minor), ("Extra large", 250));
        assert_eq!((offers.upsells[0].stock, offers.upsells[1].stock), (Some(5), None));
        assert_eq!(offers.upsells[1].price.minor, 150);
        let lists: Vec<(&str, bool)> =
            offers.lists().map(|list| (list.name.as_str(), list.once)).collect();
        assert_eq!(lists, [("vip-codes", false), ("friends", true)]);
        let roles = ["9".to_owned(), "123".to_owned()];
        assert_eq!(offers.special_of_roles(&roles).as_deref(), Some("role:123"));
        assert_eq!(offers.special_of_roles(&roles[..1]), None);
    }

    #[test]
    fn mistakes_are_named_by_their_key() {
        let sizes = |add: &str| {
            format!(
                "options = [{{ name = \"size\", choices = [{{ name = \"M\", add = \"{add}\" }}] }}]"
            )
        };
        let upsell = |rest: &str| format!("[[mug.upsell]]\nname = \"sticker\"\n{rest}");
        let special = |rest: &str| format!("[[mug.special]]\n{rest}");
        for (more, says) in [
            (sizes("-1"), "templates.mug.options[0].choices[0].add: not an amount"),
            (sizes("0.001"), "templates.mug.options[0].choices[0].add: USD has 2 decimals"),
            ("options = [{ name = \"size\" }]".into(), "options[0]: needs 1 to 40 choices"),
            ("options = [{ choices = [{ name = \"M\" }] }]".into(), "options[0]: needs a name"),
            (upsell("stock = 5"), "templates.mug.upsell[0].price: needs a price"),
            (upsell("price = \"0\"\nstock = 5"), "upsell[0].price: needs a price"),
            (upsell("price = \"4\""), "templates.mug.upsell[0].stock: needs a stock rule"),
            (upsell("price = \"4\"\nstock = 0"), "upsell[0].stock: needs a stock rule"),
            (upsell("price = \"4\"\nstock = \"lots\""), "upsell[0].stock: needs a stock rule"),
            ("condition = { label = \"x\" }".into(), "condition: needs one of"),
            ("condition = { codes = \"a b\" }".into(), "condition.codes: is the name"),
            ("condition = { url = \"http://shop.example\" }".into(), "must be an https:// address"),
            ("condition = { url = \"http://127.0.0.1.evil.example/\" }".into(), "must be an https"),
            ("condition = { url = \"http://localhost@evil.example/\" }".into(), "must be an https"),
            (special("price = \"12\""), "special[0]: needs one of code_list and role"),
            (special("role = \"admins\"\nprice = \"12\""), "special[0].role: is the id"),
            (
                special("role = \"1\"\nprice = \"18\""),
                "special[0].price: must be above zero and less",
            ),
            (special("role = \"1\""), "special[0].price: must be above zero"),
        ] {
            let error = offers(&more).expect_err(&more);
            assert!(error.contains(says), "{more}: {error}");
        }
        for url in [
            "https://shop.example/check",
            "http://127.0.0.1:9/x",
            "http://[::1]:9",
            "http://localhost/",
        ] {
            assert!(offers(&format!("condition = {{ url = \"{url}\" }}")).is_ok(), "{url}");
        }
    }
}
