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
    /// Something that was asked was answered in a way that nobody can use.
    WrongAnswer {
        /// What was asked.
        ask: Ask,
        /// What is wrong with it.
        why: &'static str,
    },
    /// An option was not chosen, or not from what there is.
    UnknownOption {
        /// What the buyer reads of it.
        label: String,
        /// What there is.
        values: Vec<String>,
    },
    /// That up-sell is sold out, or there never was one.
    UpsellGone {
        /// What the buyer reads of it.
        label: String,
    },
    /// That up-sell cannot be waited for.
    NotInLine {
        /// What the buyer reads of it.
        label: String,
    },
    /// The code that is asked for is missing.
    CodeMissing {
        /// What it is called.
        label: String,
    },
    /// The code is not among those that count.
    CodeWrong {
        /// What it is called.
        label: String,
    },
    /// The code was used for another order.
    CodeUsed,
    /// Too many wrong codes.
    CodeTries {
        /// When the next one is looked at.
        after: Span,
    },
    /// Nobody can say at the moment whether the code is right.
    CheckAway {
        /// What it is called.
        label: String,
    },
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
    /// The same goods are being sold already.
    OnAlready {
        /// Which sale.
        number: u32,
        /// Of what.
        title: String,
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
    /// A hold that is longer than any sale.
    MaxHold(Span),
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
            Self::MissingAnswer(_) | Self::WrongAnswer { .. } => "missing_answer",
            Self::UnknownOption { .. } => "unknown_option",
            Self::UpsellGone { .. } => "upsell_gone",
            Self::NotInLine { .. } => "not_in_line",
            Self::CodeMissing { .. } => "code_missing",
            Self::CodeWrong { .. } => "code_wrong",
            Self::CodeUsed => "code_used",
            Self::CodeTries { .. } => "code_tries",
            Self::CheckAway { .. } => "check_away",
            Self::SharedCheckout => "shared_checkout",
            Self::UnknownHold => "unknown_hold",
            Self::HoldOver => "hold_over",
            Self::WrongState { .. } => "wrong_state",
            Self::Bound(_) => "bound",
            Self::Value { .. } => "value",
            Self::OnAlready { .. } => "on_already",
            Self::WouldEnd => "would_end",
            Self::ProviderSoldOut => "provider_sold_out",
            Self::OwnSale => "own_sale",
            Self::Broken(_) => "broken",
        }
    }
}
