//! Books of a sale that is long over: what can no longer be paid goes, payments stay, without
//! names.

use super::{
    book::{LedgerError, PageState, SandboxListing, SandboxPage, SandboxPayment},
    ledger::{KEY, LISTING, Ledger, PAGE, PAYMENT, change, read},
};
use crate::store::{Doc, DocChange};

/// Documents removed in one step.
const STEP: usize = 400;

impl Ledger {
    /// Removes some pages of a sale that were closed or paid, with what was answered about them; once
    /// none is left, its listings too. `false` if there was nothing to remove.
    pub(super) async fn forget(&self, sale: &str) -> Result<bool, LedgerError> {
        let mut gone = Vec::new();
        for listing in self.store.docs(LISTING, Some(sale)).await? {
            if !read::<SandboxListing>(&listing)?.retired {
                continue;
            }
            let mut all = true;
            for page in self.store.docs(PAGE, Some(&listing.id)).await? {
                if gone.len() >= STEP || read::<SandboxPage>(&page)?.state == PageState::Open {
                    all = false;
                    continue;
                }
                gone.extend(self.keys(&page.id).await?);
                gone.extend(self.nameless(&page.id).await?);
                gone.push(remove(PAGE, page));
            }
            if all {
                gone.extend(self.keys(&listing.id).await?);
                gone.push(remove(LISTING, listing));
            }
        }
        let some = !gone.is_empty();
        if some && !self.store.put_docs(gone).await? {
            return Err(LedgerError::Invalid("something changed: again".to_owned()));
        }
        Ok(some)
    }

    /// A page's payments without who paid: amounts stay, and what refunds need.
    async fn nameless(&self, page: &str) -> Result<Vec<DocChange>, LedgerError> {
        let mut changes = Vec::new();
        for doc in self.store.docs(PAYMENT, Some(page)).await? {
            let payment: SandboxPayment = read(&doc)?;
            if payment.name.is_some() || payment.address.is_some() {
                let payment = SandboxPayment { name: None, address: None, ..payment };
                changes.push(change(PAYMENT, &doc.id, &doc.parent, doc.version, &payment));
            }
        }
        Ok(changes)
    }

    /// What was answered about something.
    async fn keys(&self, about: &str) -> Result<impl Iterator<Item = DocChange>, LedgerError> {
        let keys = self.store.docs(KEY, Some(about)).await?;
        Ok(keys.into_iter().map(|key| remove(KEY, key)))
    }
}

fn remove(kind: &'static str, doc: Doc) -> DocChange {
    DocChange { kind, id: doc.id, parent: doc.parent, expected: doc.version, body: None }
}
