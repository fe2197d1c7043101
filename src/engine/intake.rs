//! What providers say: finds the sale it is about and tells it. Money is stored before anything
//! else, whether or not it belongs to something.

use std::sync::atomic::Ordering;

use super::{Engine, Origin, TellError};
use crate::{
    id::{CheckoutId, HoldId, SaleId},
    provider::News,
    sale::{event::Event, payment::PaymentFact},
    store::{Commit, Committed, PageRef, Seen},
};

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

    /// Looks again at payments that belonged to nothing; called when a page came to be known.
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
        for (provider, fact) in waiting {
            if self.sale_of(&provider, &fact).await?.is_some() {
                self.take_payment(&provider, fact, Origin::Any).await?;
            }
        }
        Ok(())
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
