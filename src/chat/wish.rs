//! A unit claimed from chat: the same claim as on the page, answered to one person only.

use std::{collections::BTreeMap, sync::Arc};

use super::Chat;
use crate::{
    clock::Span,
    engine::{Origin, TellError},
    id::{Buyer, HoldId},
    notice::text,
    platform::{Grant, Wish},
    sale::{
        event::{Claim, Event},
        offer::Extras,
        refusal::Refusal,
    },
    view::View,
};

/// A claim waits this long for its page before the buyer is sent to their own page to wait.
const WAIT_FOR_PAGE: Span = Span::from_secs(4);

impl Chat {
    /// Claims for a person in chat.
    pub async fn grant(&self, wish: &Wish) -> Grant {
        let Some(view) = self.engine.public(wish.sale).await else {
            return Grant::No("That sale is over.".to_owned());
        };
        if !view.ask.is_empty() || view.offers.needs_page() {
            return Grant::No(format!("This one needs a few details first: {}", view.link));
        }
        let buyer = Buyer::from(wish.user.key());
        let mine = buyer.clone();
        let held = self.engine.look(view.id, move |sale| sale.live_hold_of(&mine).map(|h| h.id));
        if let Ok(Some(hold)) = held.await {
            return self.yours(view, hold).await;
        }
        if let Some(refusal) = view.refuses(self.engine.now()) {
            return Grant::No(no(&refusal));
        }
        let choice = view.delivery.len() > 1 && wish.delivery.is_none();
        if choice || (view.per_buyer > 1 && wish.units.is_none()) {
            return Grant::Choose(view);
        }
        let only = view.delivery.first().filter(|_| view.delivery.len() == 1);
        let claim = Claim {
            buyer,
            buyer_name: Some(text::plain(&wish.user.name)),
            address: None,
            units: wish.units.unwrap_or(1),
            delivery: wish.delivery.clone().or_else(|| only.map(|choice| choice.name.clone())),
            answers: BTreeMap::new(),
            extras: Extras {
                special: view.offers.special_of_roles(&wish.roles),
                ..Extras::default()
            },
            form: None,
            limits: self.limits,
        };
        let by = wish.user.key();
        let event = Event::Claimed(Box::new(claim));
        match self.engine.tell(view.id, event, &by, Origin::Any).await {
            Ok(told) => match told.hold {
                Some(hold) => self.yours(told.view, hold).await,
                None => Grant::No("Please use the page instead.".to_owned()),
            },
            Err(TellError::Refused(Refusal::AlreadyHolding(hold))) => self.yours(view, hold).await,
            Err(TellError::Refused(refusal)) => Grant::No(no(&refusal)),
            Err(error) => {
                tracing::error!(%error, sale = %view.id, number = view.number, "a claim was not taken");
                Grant::No(
                    "Too much at once. Please try again: you won't be charged twice.".to_owned(),
                )
            }
        }
    }

    async fn yours(&self, view: Arc<View>, hold: HoldId) -> Grant {
        let pay = self.engine.handed_over(hold, WAIT_FOR_PAGE).await;
        let look = move |sale: &crate::sale::Sale| {
            sale.hold(hold).map(|hold| (hold.units, sale.deadline_of(hold)))
        };
        let (units, until) =
            self.engine.look(view.id, look).await.ok().flatten().unwrap_or_default();
        let page = self.engine.pages().hold_page(hold);
        let until = until.filter(|_| pay.is_some());
        Grant::Yours { view, units, pay, page, until }
    }
}

fn no(refusal: &Refusal) -> String {
    text::refusal(refusal)
}
