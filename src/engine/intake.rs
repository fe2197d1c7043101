//! What providers say: finds the sale it is about and tells it. Money is stored before anything
//! else, whether or not it belongs to something.

use std::{
    collections::{HashMap, HashSet},
    sync::{PoisonError, atomic::Ordering},
};

use super::{Engine, Origin, TellError};
use crate::{
    clock::{Span, Timestamp},
    id::{CheckoutId, HoldId, SaleId},
    provider::{News, Whose},
    sale::{event::Event, hold::Checkout, payment::PaymentFact},
    store::{Commit, Committed, PageRef, Seen},
};

/// A payment that belongs to no sale, and of which nobody can say whose it is, is forgotten after so
/// long: no page of ours is made and not known for that time.
const STRAY_FOR: Span = Span::from_secs(3 * 24 * 3600);

/// Whose a payment is, is asked again after this long.
const ASK_WHOSE_AFTER: Span = Span::from_mins(10);

/// Asked so many times in one round; each takes a call.
const ASKED_MAX: usize = 5;

/// Pages and orders of strays that are remembered; of more the regular rounds think.
const STRAYS_MAX: usize = 10_000;

/// Payments that belong to no sale so far.
#[derive(Default)]
pub(super) struct Strays {
    pages: HashSet<String>,
    asked: HashMap<String, Timestamp>,
}

impl Engine {
    /// Takes one piece of news. `seen` makes it count once.
    ///
    /// # Errors
    /// If it could not be stored; whoever brought it should bring it again.
    pub async fn take(
        &self,
        provider: &str,
        news: News,
        seen: Option<Seen>,
    ) -> Result<(), TellError> {
        let origin = seen.map_or(Origin::Any, Origin::Seen);
        let by = format!("provider:{provider}");
        let told = match news {
            News::Payment(fact) => return self.take_payment(provider, fact, origin).await,
            News::Correction(fact) => {
                return match self.store().sale_of_payment(provider, fact.id.as_str()).await? {
                    Some(_) => self.take_payment(provider, fact, origin).await,
                    None => Ok(()),
                };
            }
            News::Refund(fact) => {
                let payment = fact.payment.as_str();
                match self.store().sale_of_payment(provider, payment).await? {
                    Some(sale) => self.tell(sale, Event::RefundMoved(fact), &by, origin).await,
                    // Of a payment that is not ours.
                    None => return Ok(()),
                }
            }
            News::Count { sale, count, at } => {
                self.tell(sale, Event::Counted { count, at }, &by, origin).await
            }
            News::SoldOut { sale, set } => {
                self.tell(sale, Event::SoldOutMarked { set }, &by, origin).await
            }
            News::ChoiceSoldOut { sale, delivery, set } => {
                self.tell(sale, Event::ChoiceMarked { delivery, set }, &by, origin).await
            }
            // A hint is asked about by whoever brings it; one that was not is asked about soon.
            News::ListingChanged { at: _ } | News::Hint { order: _ } => {
                self.listing_changed(provider);
                return Ok(());
            }
            News::PageClosed { checkout } => {
                return self.take_closed_page(provider, checkout, &by, origin).await;
            }
        };
        ignore_known(told.map(drop))
    }

    async fn take_payment(
        &self,
        provider: &str,
        mut fact: PaymentFact,
        origin: Origin,
    ) -> Result<(), TellError> {
        let by = format!("provider:{provider}");
        if let Some((sale, hold)) = self.sale_of(provider, &fact).await? {
            fact.hold = hold.or(fact.hold.filter(|hold| hold.sale == sale));
            let event = Event::PaymentSeen(Box::new(fact));
            return ignore_known(self.tell(sale, event, &by, origin).await.map(drop));
        }
        tracing::info!(payment = %fact.id, provider, "a payment that belongs to no sale so far");
        self.note_stray(&fact);
        let mut commit = Commit { at: self.now(), ..Commit::default() };
        commit.unmatched.push((provider.to_owned(), fact));
        if let Origin::Seen(seen) = origin {
            commit.seen.push(seen);
        }
        match self.store().commit(commit).await? {
            Committed::Applied => {
                self.inner.unmatched.store(true, Ordering::SeqCst);
                Ok(())
            }
            Committed::Stale | Committed::Duplicate(_) => Ok(()),
        }
    }

    /// The sale a payment belongs to: our own reference first, then page, then order, then what
    /// the payment was joined to before.
    async fn sale_of(
        &self,
        provider: &str,
        fact: &PaymentFact,
    ) -> Result<Option<(SaleId, Option<HoldId>)>, TellError> {
        if let Some(hold) = fact.hold {
            // A reference of ours from another database is not ours.
            let known = match self.views().get(hold.sale) {
                Some(_) => true,
                None => self.store().load(hold.sale).await?.is_some(),
            };
            if known {
                return Ok(Some((hold.sale, Some(hold))));
            }
        }
        let pages =
            [fact.checkout.clone().map(PageRef::Checkout), fact.order.clone().map(PageRef::Order)];
        for page in pages.into_iter().flatten() {
            if let Some(hold) = self.store().hold_of(provider, &page).await? {
                return Ok(Some((hold.sale, Some(hold))));
            }
        }
        let joined = self.store().sale_of_payment(provider, fact.id.as_str()).await?;
        Ok(joined.map(|sale| (sale, None)))
    }

    async fn take_closed_page(
        &self,
        provider: &str,
        checkout: CheckoutId,
        by: &str,
        origin: Origin,
    ) -> Result<(), TellError> {
        let page = PageRef::Checkout(checkout.clone());
        let Some(hold) = self.store().hold_of(provider, &page).await? else { return Ok(()) };
        let event = Event::CheckoutClosed {
            hold,
            nth: 0,
            checkout: Some(checkout),
            answer: crate::sale::event::CloseAnswer::Closed,
        };
        ignore_known(self.tell(hold.sale, event, by, origin).await.map(drop))
    }

    fn note_stray(&self, fact: &PaymentFact) {
        let mut strays = self.inner.strays.lock().unwrap_or_else(PoisonError::into_inner);
        if strays.pages.len() < STRAYS_MAX {
            strays.pages.extend(fact.checkout.as_ref().map(ToString::to_string));
            strays.pages.extend(fact.order.clone());
        }
    }

    /// A page came to be known: was something paid on it before?
    ///
    /// # Errors
    /// If the store fails.
    pub async fn match_page(&self, page: &Checkout) -> Result<(), TellError> {
        let waits = {
            let strays = self.inner.strays.lock().unwrap_or_else(PoisonError::into_inner);
            strays.pages.contains(page.id.as_str())
                || page.order.as_ref().is_some_and(|order| strays.pages.contains(order))
        };
        if waits { self.match_again().await } else { Ok(()) }
    }

    /// Looks again at payments that belonged to nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn match_again(&self) -> Result<(), TellError> {
        // Another program may have stored one.
        if !self.is_shared() && !self.inner.unmatched.load(Ordering::SeqCst) {
            return Ok(());
        }
        let waiting = self.store().unmatched().await?;
        self.inner.unmatched.store(!waiting.is_empty(), Ordering::SeqCst);
        let mut asked = 0;
        let mut foreign = Vec::new();
        for (provider, mut fact) in waiting {
            if self.sale_of(&provider, &fact).await?.is_some() {
                self.take_payment(&provider, fact, Origin::Any).await?;
                continue;
            }
            // A sale is stored before anything of it can be paid: one that is not known here is
            // another database's.
            let mut dropped = fact.hold.is_some() || self.now().since(fact.at) > STRAY_FOR;
            if !dropped && asked < ASKED_MAX && self.may_ask_whose(&provider, &fact) {
                asked += 1;
                match self.whose(&provider, &fact).await {
                    Whose::Ours(hold) => {
                        fact.hold = Some(hold);
                        if self.sale_of(&provider, &fact).await?.is_some() {
                            self.take_payment(&provider, fact, Origin::Any).await?;
                            continue;
                        }
                        dropped = true;
                    }
                    Whose::NotOurs => dropped = true,
                    Whose::Unknown => {}
                }
            }
            if dropped {
                tracing::info!(payment = %fact.id, provider, "a payment is none of ours");
                foreign.push((provider, fact.id.to_string()));
            }
        }
        if foreign.is_empty() {
            return Ok(());
        }
        let commit = Commit { at: self.now(), foreign, ..Commit::default() };
        match self.store().commit(commit).await? {
            Committed::Applied | Committed::Stale | Committed::Duplicate(_) => Ok(()),
        }
    }

    /// Whether it is time to ask whose a payment is; one replica asks for all.
    fn may_ask_whose(&self, provider: &str, fact: &PaymentFact) -> bool {
        if !self.acts_for(provider) {
            return false;
        }
        let now = self.now();
        let mut strays = self.inner.strays.lock().unwrap_or_else(PoisonError::into_inner);
        strays.asked.retain(|_, at| now.since(*at) < ASK_WHOSE_AFTER);
        if strays.asked.len() >= STRAYS_MAX || strays.asked.contains_key(fact.id.as_str()) {
            return false;
        }
        strays.asked.insert(fact.id.to_string(), now);
        true
    }

    async fn whose(&self, provider: &str, fact: &PaymentFact) -> Whose {
        let Some(adapter) = self.provider(provider).cloned() else { return Whose::Unknown };
        adapter.whose(fact).await.unwrap_or_else(|error| {
            tracing::warn!(provider, %error, payment = %fact.id, "no answer about whose it is");
            Whose::Unknown
        })
    }
}

/// Having heard it before, or having set it aside for a person, is as good as having taken it.
fn ignore_known(told: Result<(), TellError>) -> Result<(), TellError> {
    match told {
        Err(TellError::Duplicate | TellError::Quarantined(_)) => Ok(()),
        Err(TellError::Refused(refusal)) => {
            tracing::warn!(?refusal, "news were refused");
            Ok(())
        }
        other => other,
    }
}
