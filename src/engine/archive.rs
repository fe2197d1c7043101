//! Archives old sales: what stays of one is committed like every change, and its details are removed
//! after that, a little at a time.

use super::{Engine, Origin, TellError};
use crate::{
    clock::{Span, Timestamp},
    id::SaleId,
    report::to_keep,
    sale::{
        Sale,
        archive::{Archiving, stays_whole, stays_whole_by_head},
        event::Event,
    },
    store::SaleLine,
};

/// Between two strokes of work that may wait.
const BETWEEN_STROKES: Span = Span::from_millis(200);

/// Who archives, in the journal.
const BY: &str = "archive";

/// What became of an old sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Archival {
    /// Its details are gone.
    Done,
    /// It is archived, and its details are still there: they go the next time.
    Left,
    /// It keeps its details, and why.
    Whole(String),
}

impl Engine {
    /// Archives a sale that ended before `before`, unless something of it is unsettled or its books
    /// do not agree; or goes on removing what an archived one left.
    ///
    /// # Errors
    /// If the store fails, or something of the sale is damaged; what is left is removed the next
    /// time.
    pub async fn archive(&self, line: &SaleLine, before: Timestamp) -> Result<Archival, TellError> {
        if line.head.archived.is_none() {
            let ended = line.head.phase.end().map(|end| end.at);
            if ended.is_none_or(|at| at >= before) {
                return Ok(Archival::Whole("it ended not long enough ago".to_owned()));
            }
            if let Some(why) = stays_whole_by_head(&line.head) {
                return Ok(Archival::Whole(why.to_owned()));
            }
            if let Some(why) = self.give_up_details(line.id).await? {
                return Ok(Archival::Whole(why));
            }
            tracing::info!(sale = %line.id, number = line.number, "an old sale is archived");
        }
        // The store's own last: while something of it is there, the next sweep looks at the sale.
        if let Some(provider) = self.provider(&line.head.template.provider) {
            loop {
                match provider.forget(line.id).await {
                    Ok(true) => self.rest().await,
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, sale = %line.id, "what its provider keeps did not go");
                        return Ok(Archival::Left);
                    }
                }
            }
        }
        while self.store().clear_archived(line.id).await? {
            self.rest().await;
        }
        Ok(Archival::Done)
    }

    /// Waits a little between two strokes of work that may wait: whoever sells goes first.
    pub async fn rest(&self) {
        self.clock().sleep_until(self.now() + BETWEEN_STROKES).await;
    }

    /// Notes what stays of a sale; from then on its details are not read any more. Says why not, if
    /// it keeps them. The journal, most of what there is, is read last.
    async fn give_up_details(&self, id: SaleId) -> Result<Option<String>, TellError> {
        if !self.store().work_of(id).await?.is_empty() {
            return Ok(Some("work of it is left to do, or was given up".to_owned()));
        }
        let sale = self.store().load(id).await?.ok_or(TellError::Unknown)?;
        if let Some(why) = stays_whole(&sale) {
            return Ok(Some(why.to_owned()));
        }
        drop(sale);
        let (sale, journal) = self.store().books(id).await?.ok_or(TellError::Unknown)?;
        let figures = match to_keep(&sale, &journal) {
            Ok(figures) => figures,
            Err(wrong) => return Ok(Some(format!("its books do not agree: {wrong}"))),
        };
        let as_of = sale.head.revision;
        drop((sale, journal));
        let order = Event::Archived(Box::new(Archiving { as_of, figures }));
        self.tell(id, order, BY, Origin::Any).await?;
        let is = self.look(id, |sale: &Sale| sale.head.archived.is_some()).await?;
        Ok((!is).then(|| "something came up meanwhile".to_owned()))
    }
}
