//! What may be sold, within which bounds, and what its provider can do.

use std::{
    collections::BTreeMap,
    sync::{Arc, RwLock},
};

use serde::{Deserialize, Serialize};

use crate::{
    clock::Span,
    money::Money,
    notice::visible::visible,
    sale::{
        offer::{Choice, Offers},
        refusal::{Bound, Refusal},
    },
};

/// Templates by name; replaced whole when they are read anew.
pub type Templates = Arc<RwLock<Arc<BTreeMap<String, Template>>>>;

/// A named preset. A running sale carries its own copy, so that a reload changes nothing mid-sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The word typed in chat.
    pub name: String,
    /// What is sold, in people's words.
    pub title: String,
    /// A sentence or two for the page.
    pub description: String,
    /// Address of a picture.
    pub image: Option<String>,
    /// Price of one unit, without delivery.
    pub price: Money,
    /// Units for sale.
    pub stock: u32,
    /// How long the sale is open.
    pub duration: Span,
    /// Name of the provider.
    pub provider: String,
    /// One page per buyer or one for all.
    pub checkout: CheckoutShape,
    /// How long a buyer has to pay once their page is handed over.
    pub hold: Span,
    /// How long after the end an open page may still be paid.
    pub grace: Span,
    /// How long an armed sale waits to be opened.
    pub arm_ttl: Span,
    /// How long a page may take to become payable before it is given up.
    pub ready_limit: Span,
    /// How long a buyer waits in line for a page at the most.
    pub opening_limit: Span,
    /// Units one buyer may have.
    pub per_buyer: u32,
    /// Pages kept ready ahead of their buyers, per delivery choice.
    pub warm: u32,
    /// Ways to get the goods; empty if there is nothing to choose.
    pub delivery: Vec<Delivery>,
    /// What the buyer is asked on our own page before a checkout is made.
    pub ask: Vec<Ask>,
    /// What is offered beside the units.
    #[serde(default, skip_serializing_if = "Offers::is_empty")]
    pub offers: Offers,
    /// What no command may exceed.
    pub bounds: Bounds,
    /// The provider's own options, read by its adapter only.
    pub options: serde_json::Value,
}

/// One page per buyer, or one that a whole sale shares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutShape {
    /// A page per hold.
    #[default]
    PerBuyer,
    /// A page per sale.
    Shared,
}

/// A way to get the goods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The word in forms and reports.
    pub name: String,
    /// What the buyer reads.
    pub label: String,
    /// What it costs, once per order.
    pub fee: Money,
    /// Whether the provider's page asks for a postal address.
    pub ask_address: bool,
}

/// Something a buyer is asked before a checkout is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Their name.
    Name,
    /// Their e-mail address.
    Email,
    /// Their telephone number with country code.
    Phone,
    /// Their postal address.
    Address,
}

/// What no command may exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Units a sale may ever offer, restocks included.
    pub max_stock: u32,
    /// Time a sale may be open, extensions included; also the longest total pause.
    pub max_duration: Span,
    /// Lowest price of a unit.
    pub min_price: Money,
    /// Price of a unit above which a *yes* is asked for; none in sales of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_price: Option<Money>,
    /// Starts of this template within any hour.
    pub sales_per_hour: u32,
}

/// What a provider can do, as data: the sale's rules, the doctor and the documentation read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Can make a page per buyer.
    pub per_buyer: bool,
    /// Can make a page that a whole sale shares.
    pub shared: bool,
    /// Can close a page that is not paid.
    pub revocable: bool,
    /// Whether refunds happen at once or are asked of people.
    pub refund: RefundKind,
    /// Repeating a call under the same key does its work once.
    pub idempotent: bool,
    /// More than one unit per page.
    pub units: bool,
    /// Physical goods: addresses and delivery choices.
    pub physical: bool,
    /// A buyer's page may ask for another amount than the template's: options that cost more,
    /// special prices.
    #[serde(default)]
    pub any_amount: bool,
    /// Lines of their own beside the goods: up-sells.
    #[serde(default)]
    pub add_ons: bool,
    /// Its page is filled in with what the buyer was asked on ours.
    #[serde(default)]
    pub prefill: bool,
    /// Several payments may make up what one page asks for: a gift card and a card.
    #[serde(default)]
    pub splits: bool,
    /// Whether real money moves; if not, pages say so.
    pub real_money: bool,
    /// How long to wait for late news before cleaning up.
    pub retire_after: Span,
}

/// How a provider refunds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundKind {
    /// The call does it.
    Instant,
    /// The call asks people to do it.
    Requested,
}

/// What a command varies for one sale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `!sale start mug 10m`.
    pub duration: Option<Span>,
    /// `stock=`.
    pub stock: Option<u32>,
    /// `price=`, in the template's currency.
    pub price: Option<String>,
    /// `title=`.
    pub title: Option<String>,
    /// `image=`.
    pub image: Option<String>,
    /// `hold=`.
    pub hold: Option<Span>,
}

/// The longest title, in characters.
pub const TITLE_CHARS_MAX: usize = 100;

impl Template {
    /// The template as one sale will run it.
    ///
    /// # Errors
    /// Refuses whatever lies outside the template's bounds, naming the bound.
    pub fn with(&self, overrides: &Overrides) -> Result<Self, Refusal> {
        let mut one = self.clone();
        let Overrides { duration, stock, price, title, image, hold } = overrides;
        if let Some(duration) = *duration {
            one.duration = duration;
        }
        if let Some(stock) = *stock {
            one.stock = stock;
        }
        if let Some(text) = price {
            one.price = Money::typed(text, self.price.currency)
                .map_err(|error| Refusal::Value { key: "price", why: error.to_string() })?;
        }
        if let Some(title) = title {
            one.title = checked_title(title)?;
        }
        if let Some(image) = image {
            one.image = Some(checked_image(image)?);
        }
        if let Some(hold) = *hold {
            one.hold = hold;
        }
        one.check_bounds()?;
        Ok(one)
    }

    /// Holds the template to its own bounds.
    ///
    /// # Errors
    /// Names the bound that is crossed.
    pub fn check_bounds(&self) -> Result<(), Refusal> {
        let Bounds { max_stock, max_duration, min_price, .. } = self.bounds;
        if self.stock == 0 {
            return Err(Refusal::Bound(Bound::NoStock));
        }
        if self.stock > max_stock {
            return Err(Refusal::Bound(Bound::MaxStock(max_stock)));
        }
        if self.duration > max_duration {
            return Err(Refusal::Bound(Bound::MaxDuration(max_duration)));
        }
        if self.price.minor < min_price.minor {
            return Err(Refusal::Bound(Bound::MinPrice(min_price)));
        }
        if self.hold > max_duration {
            return Err(Refusal::Bound(Bound::MaxHold(max_duration)));
        }
        if self.dearest().is_none() {
            return Err(Refusal::Value { key: "price", why: "is too large".to_owned() });
        }
        Ok(())
    }

    /// The price that is surely meant at the most, if this one is above it.
    pub fn too_dear(&self) -> Option<Money> {
        self.bounds.max_price.filter(|max| self.price.minor > max.minor)
    }

    /// The delivery choice called `name`.
    pub fn delivery(&self, name: &str) -> Option<&Delivery> {
        self.delivery.iter().find(|d| d.name == name)
    }

    /// The most that an order can come to; `None` if it cannot be counted.
    fn dearest(&self) -> Option<Money> {
        let Offers { options, upsells, .. } = &self.offers;
        let most = |choice: &Choice| choice.values.iter().map(|value| value.add.minor).max();
        let adds = options.iter().filter_map(most).try_fold(0_i64, i64::checked_add)?;
        let fees = self.delivery.iter().map(|delivery| delivery.fee.minor).max();
        let mut once = upsells.iter().map(|one| one.price.minor).chain(fees);
        let once = once.try_fold(0_i64, i64::checked_add)?;
        let money = |minor| Money::new(minor, self.price.currency);
        self.price.plus(money(adds))?.times(self.stock)?.plus(money(once))
    }
}

/// A title that can be shown: no control characters, not blank, not too long.
fn checked_title(title: &str) -> Result<String, Refusal> {
    let clean: String = visible(title).chars().filter(|c| !c.is_control()).collect();
    let clean = clean.trim();
    if clean.is_empty() {
        return Err(Refusal::Value { key: "title", why: "is empty".to_owned() });
    }
    if clean.chars().count() > TITLE_CHARS_MAX {
        let why = format!("is longer than {TITLE_CHARS_MAX} characters");
        return Err(Refusal::Value { key: "title", why });
    }
    Ok(clean.to_owned())
}

/// An address that a browser may load a picture from.
fn checked_image(image: &str) -> Result<String, Refusal> {
    let fine = image.starts_with("https://")
        && image.len() <= 2000
        && image.chars().all(|c| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\''));
    if fine {
        return Ok(image.to_owned());
    }
    Err(Refusal::Value { key: "image", why: "must be an https:// address".to_owned() })
}
