//! What anybody may see of a sale at one revision. Every surface renders this and nothing else.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    money::Money,
    sale::{
        EndReason, Head, PauseReason, Phase, Sale,
        hold::Hold,
        offer::Offers,
        refusal::Refusal,
        template::{Ask, CheckoutShape, Delivery},
    },
};

/// The reason of a sale that is shown as paused while the store is silent.
const OUT_OF_TOUCH: &str = "out_of_touch";

/// A sale as the world may see it. Serialises to the public JSON of `/api/sales`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct View {
    /// Opaque id.
    pub id: SaleId,
    /// Short number.
    pub number: u32,
    /// Name of the template.
    pub template: String,
    /// What is sold.
    pub title: String,
    /// Where it stands.
    pub state: State,
    /// Why it is paused or over.
    pub reason: Option<&'static str>,
    /// Price of one unit.
    pub price: Money,
    /// Units for sale.
    pub stock: u32,
    /// Units paid.
    pub paid: u32,
    /// Units held and not paid.
    pub held: u32,
    /// Units to be had right now.
    pub left: u32,
    /// When it opened.
    #[serde(serialize_with = "rfc3339")]
    pub opened_at: Option<Timestamp>,
    /// When it ends or ended; none while paused.
    #[serde(serialize_with = "rfc3339")]
    pub ends_at: Option<Timestamp>,
    /// Counts up with every change.
    pub revision: u64,
    /// Where buyers go.
    pub link: String,

    /// A sentence or two.
    #[serde(skip)]
    pub description: String,
    /// Address of a picture.
    #[serde(skip)]
    pub image: Option<String>,
    /// Ways to get the goods.
    #[serde(skip)]
    pub delivery: Vec<Delivery>,
    /// Names of those among them that are sold out.
    #[serde(skip)]
    pub closed_choices: Vec<String>,
    /// What buyers are asked.
    #[serde(skip)]
    pub ask: Vec<Ask>,
    /// What is offered beside the units.
    #[serde(skip)]
    pub offers: Offers,
    /// Names of up-sells that are sold out or held.
    #[serde(skip)]
    pub gone: Vec<String>,
    /// Units one buyer may have.
    #[serde(skip)]
    pub per_buyer: u32,
    /// Buyers who have a page or wait for one.
    #[serde(skip)]
    pub paying: u32,
    /// People in line for what may come free.
    #[serde(skip)]
    pub waiting: u32,
    /// How long it is open in all.
    #[serde(skip)]
    pub length: Span,
    /// Selling time left while paused.
    #[serde(skip)]
    pub paused_left: Option<Span>,
    /// The page that all buyers share, while it may be used.
    #[serde(skip)]
    pub shared_page: Option<String>,
    /// Whether everything is settled and cleaned away.
    #[serde(skip)]
    pub closed: bool,
    /// What troubles it; for moderators only.
    #[serde(skip)]
    pub note: Option<String>,
    /// Units promised that are not there; for moderators only.
    #[serde(skip)]
    pub short: u32,
    /// Whether it is for moderators only: armed, and never opened.
    #[serde(skip)]
    pub secret: bool,
    /// Whether its money is pretend.
    #[serde(skip)]
    pub sandbox: bool,
    /// Whether buyers have pages of their own.
    #[serde(skip)]
    pub shape: CheckoutShape,
    /// How long a buyer's page stays theirs.
    #[serde(skip)]
    pub hold: Span,
}

/// Where a sale stands, in the words of the public view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Being made ready.
    Arming,
    /// Ready, waiting to be opened.
    Armed,
    /// Selling.
    Open,
    /// Not selling for a while.
    Paused,
    /// Selling, but everything is in somebody's hands.
    AllHeld,
    /// Every unit paid.
    SoldOut,
    /// The clock ended it.
    Ended,
    /// A moderator ended it.
    Cancelled,
    /// It never opened.
    Failed,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Arming,
        Self::Armed,
        Self::Open,
        Self::Paused,
        Self::AllHeld,
        Self::SoldOut,
        Self::Ended,
        Self::Cancelled,
        Self::Failed,
    ];

    /// The word in the public JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Arming => "arming",
            Self::Armed => "armed",
            Self::Open => "open",
            Self::Paused => "paused",
            Self::AllHeld => "all_held",
            Self::SoldOut => "sold_out",
            Self::Ended => "ended",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Whether selling is over.
    pub fn is_over(self) -> bool {
        match self {
            Self::SoldOut | Self::Ended | Self::Cancelled | Self::Failed => true,
            Self::Arming | Self::Armed | Self::Open | Self::Paused | Self::AllHeld => false,
        }
    }

    /// Whether a sale that is no secret has something to show in it.
    fn is_public(self) -> bool {
        match self {
            Self::Arming | Self::Armed | Self::Failed => false,
            Self::Open
            | Self::Paused
            | Self::AllHeld
            | Self::SoldOut
            | Self::Ended
            | Self::Cancelled => true,
        }
    }
}

impl View {
    /// Whether viewers may know of the sale yet.
    pub fn is_public(&self) -> bool {
        self.state.is_public() && !self.secret
    }

    /// Why no claim at all can succeed right now.
    pub fn refuses(&self, now: Timestamp) -> Option<Refusal> {
        match self.state {
            State::Open | State::AllHeld if self.is_past_its_end(now) => Some(Refusal::Over),
            State::Open => None,
            State::AllHeld => Some(Refusal::AllHeld),
            State::SoldOut => Some(Refusal::SoldOut),
            // Whoever keeps the books answers.
            State::Paused if self.is_out_of_touch() => None,
            State::Paused => Some(Refusal::Paused),
            State::Arming | State::Armed => Some(Refusal::NotOpen),
            State::Ended | State::Cancelled | State::Failed => Some(Refusal::Over),
        }
    }

    /// The view for somebody who looks now. Its end needs no word from the store: whoever cannot
    /// reach that must not show a sale as open for ever.
    pub fn at(self: Arc<Self>, now: Timestamp) -> Arc<Self> {
        if !self.is_selling() || !self.is_past_its_end(now) {
            return self;
        }
        let mut over = Self::clone(&self);
        over.state = State::Ended;
        over.reason = Some(EndReason::TimeUp.word());
        over.shared_page = None;
        Arc::new(over)
    }

    /// The view while the store is silent: it may have been ended or paused meanwhile, and nothing
    /// can be sold here until the store is back.
    pub fn out_of_touch(self: Arc<Self>) -> Arc<Self> {
        if !self.is_selling() {
            return self;
        }
        let mut away = Self::clone(&self);
        away.state = State::Paused;
        away.reason = Some(OUT_OF_TOUCH);
        away.ends_at = None;
        away.shared_page = None;
        Arc::new(away)
    }

    /// Whether it is shown as paused only because the store is silent.
    pub fn is_out_of_touch(&self) -> bool {
        self.reason == Some(OUT_OF_TOUCH)
    }

    fn is_selling(&self) -> bool {
        matches!(self.state, State::Open | State::AllHeld)
    }

    fn is_past_its_end(&self, now: Timestamp) -> bool {
        self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }

    /// Whether a delivery choice is sold out.
    pub fn is_choice_sold_out(&self, choice: &Delivery) -> bool {
        self.closed_choices.contains(&choice.name)
    }

    /// Renders `sale`; `link` is the address posted in chat.
    pub fn of(sale: &Sale, link: &str) -> Self {
        let head = &sale.head;
        let template = &head.template;
        let ends_at = match &head.phase {
            Phase::Open { ends_at, .. } => Some(*ends_at),
            Phase::Closing { end } | Phase::Closed { end, .. } => Some(end.at),
            Phase::Arming { .. } | Phase::Armed { .. } | Phase::Paused { .. } => None,
        };
        let state = state_of(sale);
        Self {
            id: head.id,
            number: head.number,
            template: template.name.clone(),
            title: template.title.clone(),
            state,
            reason: reason_of(&head.phase),
            price: template.price,
            stock: head.shown_stock(),
            paid: head.tally.paid,
            held: head.tally.held(),
            left: head.shown_stock().saturating_sub(head.tally.taken()),
            opened_at: head.opened_at(),
            ends_at,
            revision: head.revision,
            link: link.to_owned(),
            description: template.description.clone(),
            image: template.image.clone(),
            delivery: template.delivery.clone(),
            closed_choices: head.closed_choices.clone(),
            ask: template.ask.clone(),
            offers: template.offers.clone(),
            gone: gone(&sale.head),
            per_buyer: template.per_buyer,
            paying: head.tally.unsettled,
            waiting: head.tally.waiting,
            length: head.length,
            paused_left: match &head.phase {
                Phase::Paused { left, .. } => Some(*left),
                _ => None,
            },
            shared_page: shared_page(sale, state),
            closed: head.is_closed(),
            note: head.note.clone(),
            short: head.short,
            secret: head.phase.is_secret(),
            sandbox: !head.capabilities.real_money,
            shape: template.checkout,
            hold: template.hold,
        }
    }
}

/// Up-sells that nobody can have right now.
fn gone(head: &Head) -> Vec<String> {
    let names = head.template.offers.upsells.iter().map(|upsell| &upsell.name);
    names.filter(|name| head.free_of(name) == Some(0)).cloned().collect()
}

fn state_of(sale: &Sale) -> State {
    match &sale.head.phase {
        Phase::Arming { .. } => State::Arming,
        Phase::Armed { .. } => State::Armed,
        Phase::Open { .. } if sale.head.free() == 0 => State::AllHeld,
        Phase::Open { .. } => State::Open,
        Phase::Paused { .. } => State::Paused,
        Phase::Closing { end } | Phase::Closed { end, .. } => match end.reason {
            EndReason::SoldOut => State::SoldOut,
            EndReason::TimeUp => State::Ended,
            EndReason::Stopped => State::Cancelled,
            EndReason::Failed => State::Failed,
        },
    }
}

fn reason_of(phase: &Phase) -> Option<&'static str> {
    match phase {
        Phase::Closing { end } | Phase::Closed { end, .. } => Some(end.reason.word()),
        Phase::Paused { why: PauseReason::Asked, .. } => Some("asked"),
        Phase::Paused { why: PauseReason::ProviderSoldOut, .. } => Some("provider_sold_out"),
        Phase::Arming { .. } | Phase::Armed { .. } | Phase::Open { .. } => None,
    }
}

fn shared_page(sale: &Sale, state: State) -> Option<String> {
    let shared = sale.head.template.checkout == CheckoutShape::Shared && state == State::Open;
    let hold = sale.hold(crate::id::HoldId::shared(sale.head.id)).filter(|_| shared)?;
    Hold::proven(hold).map(|page| page.url.clone())
}

#[expect(clippy::ref_option, reason = "serde passes the field by reference")]
fn rfc3339<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(Timestamp::rfc3339).serialize(serializer)
}
