//! No, and why. A refusal is an answer to a person, not an error.

use crate::{
    clock::Span,
    id::HoldId,
    money::Money,
    sale::template::{Ask, Delivery},
};

/// Why something is not done. Changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sale is not open.
    NotOpen,
    /// The sale is paused.
    Paused,
    /// The sale is over.
    Over,
    /// Everything is held; some may come back.
    AllHeld,
    /// Everything is sold.
    SoldOut,
    /// This buyer holds something already.
    AlreadyHolding(HoldId),
    /// This buyer has all they may have.
    BuyerFull {
        /// Units per buyer.
        per_buyer: u32,
    },
    /// More units than that buyer, or the stock, has left.
    TooManyUnits {
        /// Units they may still have.
        left: u32,
    },
    /// This buyer let too many holds lapse.
    TooManyTries,
    /// Too many holds from one address.
    AddressFull,
    /// No such delivery choice.
    UnknownDelivery(Vec<Delivery>),
    /// That delivery choice is sold out.
    ChoiceSoldOut {
        /// What the buyer reads of it.
        label: String,
        /// The others, which are not.
        left: Vec<Delivery>,
    },
    /// Something that was asked is missing.
    MissingAnswer(Ask),
    /// This sale's page is shared: there is nothing to claim.
    SharedCheckout,
    /// No such hold in this sale.
    UnknownHold,
    /// The hold is past letting go.
    HoldOver,
    /// The verb does not fit the sale's state.
    WrongState {
        /// What was asked.
        verb: &'static str,
        /// What the sale is.
        state: &'static str,
    },
    /// Outside the template's bounds.
    Bound(Bound),
    /// A value that cannot be used.
    Value {
        /// The argument.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Shortening would end the sale now.
    WouldEnd,
    /// The provider still shows the item as sold out.
    ProviderSoldOut,
    /// A moderator who buys here may not change the stock.
    OwnSale,
    /// The core found itself in a state that must not be.
    Broken(&'static str),
}

/// Which bound was crossed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// No units at all.
    NoStock,
    /// More units than allowed.
    MaxStock(u32),
    /// Longer than allowed.
    MaxDuration(Span),
    /// Cheaper than allowed.
    MinPrice(Money),
    /// More starts per hour than allowed.
    SalesPerHour(u32),
}

impl Refusal {
    /// A short stable code for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotOpen => "not_open",
            Self::Paused => "paused",
            Self::Over => "over",
            Self::AllHeld => "all_held",
            Self::SoldOut => "sold_out",
            Self::AlreadyHolding(_) => "already_holding",
            Self::BuyerFull { .. } => "buyer_full",
            Self::TooManyUnits { .. } => "too_many_units",
            Self::TooManyTries => "too_many_tries",
            Self::AddressFull => "address_full",
            Self::UnknownDelivery(_) => "unknown_delivery",
            Self::ChoiceSoldOut { .. } => "choice_sold_out",
            Self::MissingAnswer(_) => "missing_answer",
            Self::SharedCheckout => "shared_checkout",
            Self::UnknownHold => "unknown_hold",
            Self::HoldOver => "hold_over",
            Self::WrongState { .. } => "wrong_state",
            Self::Bound(_) => "bound",
            Self::Value { .. } => "value",
            Self::WouldEnd => "would_end",
            Self::ProviderSoldOut => "provider_sold_out",
            Self::OwnSale => "own_sale",
            Self::Broken(_) => "broken",
        }
    }
}
