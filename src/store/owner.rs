//! Whose a database is.

use super::{DocChange, OpenError, SqlStore, Store};

/// Documents of the store itself, and the one that says whose it is.
const STORE: &str = "store";
const SHOP: &str = "shop";

impl SqlStore {
    /// Whether the database is this shop's. One that is nobody's so far becomes it, if `take`; so
    /// does one in which nothing was ever sold, since renaming an empty shop is nobody's business.
    ///
    /// # Errors
    /// If it belongs to another shop, or the store does not answer.
    pub async fn belongs_to(&self, shop: &str, take: bool) -> anyhow::Result<()> {
        let owner = self.doc(STORE, SHOP).await?;
        let theirs = owner.as_ref().and_then(|doc| doc.body.as_str());
        if theirs == Some(shop) {
            return Ok(());
        }
        let free = theirs.is_none() || self.sales(1).await?.is_empty();
        if !free {
            let (theirs, ours) = (theirs.unwrap_or_default().to_owned(), shop.to_owned());
            return Err(OpenError::OtherShop { place: self.place.to_string(), theirs, ours }.into());
        }
        if take {
            let change = DocChange {
                kind: STORE,
                id: SHOP.to_owned(),
                parent: String::new(),
                expected: owner.map_or(0, |doc| doc.version),
                body: Some(shop.into()),
            };
            // Should another program be first, its word counts.
            if !self.put_docs(vec![change]).await? {
                return Box::pin(self.belongs_to(shop, take)).await;
            }
        }
        Ok(())
    }
}
