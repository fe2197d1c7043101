//! Templates as the owner writes them, and as the rest of the program wants them.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use super::{
    offer::{RawCondition, RawOffers, RawOption, RawSpecial, RawUpsell},
    own::{Own, split},
    providers::Providers,
};
use crate::{
    clock::Span,
    finding::Finding,
    money::{Currency, Money},
    notice::text::{plain, refusal as refusal_text},
    sale::{
        refusal::{Bound, Refusal},
        template::{Ask, Bounds, CheckoutShape, Delivery, TITLE_CHARS_MAX, Template},
    },
};

/// So many times the template's price, and a *yes* is asked for.
pub(super) const DEAR: i64 = 3;

/// A template as it stands in the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Raw {
    fields: Fields,
    /// Options of the providers' own, each read by its adapter.
    own: Own,
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (fields, own) = split(deserializer, Providers::NAMES)?;
        Ok(Self { fields, own })
    }
}

/// What every template can have.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    title: Option<String>,
    description: Option<String>,
    image: Option<String>,
    price: Option<Text>,
    currency: Option<String>,
    stock: Option<u32>,
    duration: Option<String>,
    provider: Option<String>,
    checkout: Option<CheckoutShape>,
    hold: Option<String>,
    grace: Option<String>,
    arm_ttl: Option<String>,
    ready_limit: Option<String>,
    opening_limit: Option<String>,
    per_buyer: Option<u32>,
    warm: Option<u32>,
    delivery: Vec<RawDelivery>,
    ask: Vec<Ask>,
    options: Vec<RawOption>,
    upsell: Vec<RawUpsell>,
    condition: Option<RawCondition>,
    special: Vec<RawSpecial>,
    max_stock: Option<u32>,
    max_duration: Option<String>,
    min_price: Option<Text>,
    max_price: Option<Text>,
    sales_per_hour: Option<u32>,
}

/// A price: written as a text, though a number is understood too, by its shortest decimal form.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Text {
    Quoted(String),
    Whole(i64),
    Decimal(f64),
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawDelivery {
    name: String,
    label: Option<String>,
    fee: Option<Text>,
    ask_address: bool,
}

impl Raw {
    /// The provider it names.
    pub fn provider_name(&self) -> &str {
        self.fields.provider.as_deref().unwrap_or(Providers::NAMES[0])
    }
}

impl Text {
    fn text(&self) -> String {
        match self {
            Self::Quoted(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
        }
    }
}

/// Reads every template.
///
/// # Errors
/// All that is wrong with any of them.
pub fn templates(raw: &BTreeMap<String, Raw>) -> Result<BTreeMap<String, Template>, Vec<Finding>> {
    let mut good = BTreeMap::new();
    let mut errors = Vec::new();
    let mut known = BTreeMap::new();
    for (name, raw) in raw {
        // Moderators type a name as they like.
        if let Some(other) = known.insert(name.to_lowercase(), name) {
            let says = format!("differs from {other} in capitals only: give it another name");
            errors.push(Finding::error(format!("templates.{name}"), says));
        }
        let mut reader = Reader { name, errors: &mut errors };
        if let Some(template) = reader.template(raw) {
            good.insert(name.clone(), template);
        }
    }
    if errors.is_empty() { Ok(good) } else { Err(errors) }
}

pub(super) struct Reader<'a> {
    name: &'a str,
    errors: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    pub(super) fn wrong(&mut self, key: &str, says: impl ToString) {
        let dot = if key.is_empty() { "" } else { "." };
        let key = format!("templates.{}{dot}{key}", self.name);
        self.errors.push(Finding::error(key, says.to_string()));
    }

    fn template(&mut self, whole: &Raw) -> Option<Template> {
        let raw = &whole.fields;
        let before = self.errors.len();
        self.check_name();
        let currency = self.currency(raw);
        let price = self.price(raw, currency);
        let priced = self.errors.len() == before;
        let duration = self.span("duration", raw.duration.as_deref(), Span::from_mins(10));
        let grace = match raw.grace.as_deref() {
            Some(text) if is_none(text) => Span::ZERO,
            text => self.span("grace", text, Span::from_mins(2)),
        };
        // Short sales that say nothing of `hold` get one that fits.
        let hold = Span::from_mins(3).min((duration + grace).minus(Span::from_secs(1)));
        let hold = self.span("hold", raw.hold.as_deref(), hold);
        let stock = raw.stock.unwrap_or(1);
        let offers = RawOffers {
            options: &raw.options,
            upsells: &raw.upsell,
            condition: raw.condition.as_ref(),
            specials: &raw.special,
        };
        let template = Template {
            name: self.name.to_owned(),
            title: raw.title.as_deref().map_or_else(|| self.name.to_owned(), plain),
            description: raw.description.clone().unwrap_or_default(),
            image: raw.image.clone(),
            price,
            stock,
            duration,
            provider: whole.provider_name().to_owned(),
            checkout: raw.checkout.unwrap_or_default(),
            hold,
            grace,
            arm_ttl: self.span("arm_ttl", raw.arm_ttl.as_deref(), Span::from_mins(120)),
            ready_limit: self.span("ready_limit", raw.ready_limit.as_deref(), Span::from_secs(90)),
            opening_limit: self.span(
                "opening_limit",
                raw.opening_limit.as_deref(),
                Span::from_mins(5),
            ),
            per_buyer: raw.per_buyer.unwrap_or(1),
            warm: raw.warm.unwrap_or(3),
            delivery: self.deliveries(raw, currency),
            ask: raw.ask.clone(),
            offers: self.offers(&offers, price),
            bounds: self.bounds(raw, price, stock, duration),
            options: self.own_options(whole),
        };
        self.check_values(&template, priced);
        (self.errors.len() == before).then_some(template)
    }

    fn check_name(&mut self) {
        let fine = !self.name.is_empty()
            && self.name.len() <= 32
            && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fine {
            let says = "the name is typed in chat: letters, digits, - and _, 32 at most";
            self.wrong("", says);
        }
    }

    fn currency(&mut self, raw: &Fields) -> Currency {
        let code = raw.currency.as_deref().unwrap_or("USD");
        code.parse().unwrap_or_else(|error| {
            self.wrong("currency", error);
            "USD".parse().expect("a currency")
        })
    }

    fn price(&mut self, raw: &Fields, currency: Currency) -> Money {
        let nothing = Money::new(0, currency);
        let Some(price) = &raw.price else {
            self.wrong("price", "is missing: write it like price = \"18.00\"");
            return nothing;
        };
        self.money("price", price, currency)
    }

    pub(super) fn money(&mut self, key: &str, text: &Text, currency: Currency) -> Money {
        Money::typed(&text.text(), currency).unwrap_or_else(|error| {
            self.wrong(key, error);
            Money::new(0, currency)
        })
    }

    fn span(&mut self, key: &str, text: Option<&str>, default: Span) -> Span {
        let Some(text) = text else { return default };
        text.parse().unwrap_or_else(|error| {
            self.wrong(key, error);
            default
        })
    }

    fn deliveries(&mut self, raw: &Fields, currency: Currency) -> Vec<Delivery> {
        let mut all: Vec<Delivery> = Vec::new();
        for (i, one) in raw.delivery.iter().enumerate() {
            let key = format!("delivery[{i}]");
            let plain =
                one.name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
            if one.name.is_empty() || !plain {
                self.wrong(&key, "needs a name of letters and digits, like name = \"ship\"");
            }
            if all.iter().any(|other| other.name == one.name) {
                self.wrong(&key, format!("the name {} is used twice", one.name));
            }
            let fee = one.fee.clone().unwrap_or(Text::Whole(0));
            all.push(Delivery {
                name: one.name.clone(),
                label: one.label.clone().unwrap_or_else(|| one.name.clone()),
                fee: self.money(&format!("{key}.fee"), &fee, currency),
                ask_address: one.ask_address,
            });
        }
        all
    }

    fn bounds(&mut self, raw: &Fields, price: Money, stock: u32, duration: Span) -> Bounds {
        let hour = Span::from_mins(60);
        let longest = self.span("max_duration", raw.max_duration.as_deref(), hour.max(duration));
        let half = Money::new(price.minor / 2, price.currency);
        let min_price = match &raw.min_price {
            Some(text) => self.money("min_price", text, price.currency),
            None => half,
        };
        let before = self.errors.len();
        let max_price = match &raw.max_price {
            Some(text) => self.money("max_price", text, price.currency),
            None => Money::new(price.minor.saturating_mul(DEAR), price.currency),
        };
        if self.errors.len() == before && max_price.minor < price.minor {
            self.wrong("max_price", format!("{max_price} is below the price, {price}"));
        }
        Bounds {
            max_stock: raw.max_stock.unwrap_or(100.max(stock)),
            max_duration: longest,
            min_price,
            max_price: Some(max_price),
            sales_per_hour: raw.sales_per_hour.unwrap_or(12),
        }
    }

    /// The options of the template's own provider; another provider's are a mistake.
    fn own_options(&mut self, raw: &Raw) -> serde_json::Value {
        let mut own = serde_json::Value::Null;
        for (provider, options) in &raw.own {
            if raw.provider_name() == provider {
                own.clone_from(options);
            } else {
                let says = format!(
                    "these options are for provider = \"{provider}\"; this template's is {}",
                    raw.provider_name()
                );
                self.wrong(provider, says);
            }
        }
        own
    }

    /// `priced`: whether the price could be read.
    fn check_values(&mut self, template: &Template, priced: bool) {
        let Template { title, hold, grace, duration, per_buyer, image, price, .. } = template;
        if title.trim().is_empty() || title.chars().count() > TITLE_CHARS_MAX {
            self.wrong("title", format!("write 1 to {TITLE_CHARS_MAX} characters"));
        }
        if priced && price.minor <= 0 {
            self.wrong("price", "must be above zero");
        }
        if *hold >= *duration + *grace {
            let says =
                format!("{hold} must be shorter than duration + grace, {}", *duration + *grace);
            self.wrong("hold", says);
        }
        if *per_buyer == 0 {
            self.wrong("per_buyer", "must be at least 1");
        }
        if image.as_deref().is_some_and(|image| !image.starts_with("https://")) {
            self.wrong("image", "must be an https:// address");
        }
        match template.check_bounds() {
            // Said already.
            Err(Refusal::Bound(Bound::MinPrice(_))) if price.minor <= 0 => {}
            Err(refusal) => self.wrong(key_of(&refusal), refusal_text(&refusal)),
            Ok(()) => {}
        }
    }
}

/// What is to be mended.
fn key_of(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Bound(Bound::NoStock | Bound::MaxStock(_)) => "stock",
        Refusal::Bound(Bound::MaxDuration(_)) => "duration",
        Refusal::Bound(Bound::MaxHold(_)) => "hold",
        Refusal::Bound(Bound::MinPrice(_)) => "price",
        Refusal::Value { key, .. } => key,
        _ => "",
    }
}

/// Whether a length of time says that there is to be none, like `0s`.
fn is_none(text: &str) -> bool {
    matches!(text.trim(), "0" | "0s" | "0m" | "0h")
}
