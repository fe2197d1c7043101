//! The store over SQL.

use std::{fs::File, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::{AnyConnection, AnyPool, Connection, Row, any::AnyRow, query};
use tokio::sync::mpsc;

use super::{
    Change, Commit, Committed, Doc, DocChange, Holding, JournalLine, LeaseAsk, Leased, OldSale,
    OutboxCount, PageRef, ParkedEffect, Peers, PutOff, SaleLine, Seen, Store, StoreError, Turn,
    Work,
    group::Writer,
    listener::{Speaker, listen},
    load::{first_line, head, journal, load},
    place::Place,
    row::{count, damaged, hold_id, number, read, sale_id, sale_line, text},
    sql,
    write::{Write, Written},
};
use crate::{
    clock::Timestamp,
    id::{EffectId, HoldId, SaleId},
    sale::{Sale, payment::PaymentFact},
    shop::{Shop, id_of},
};

/// A store over SQL. Writes go through one writer, reads through a small pool.
#[derive(Debug)]
pub struct SqlStore {
    pub(super) pool: AnyPool,
    pub(super) writer: Option<Writer>,
    pub(super) place: Place,
    /// On a server, where other programs may write as well.
    pub(super) shared: Option<Shared>,
    /// Held as long as the store lives: one program per file.
    pub(super) _locks: (Option<Arc<File>>, Option<File>),
}

/// What it takes to hear of other programs.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) url: SecretString,
    pub(super) speaker: Arc<Speaker>,
}

impl SqlStore {
    async fn write(&self, write: Write) -> Result<Written, StoreError> {
        match &self.writer {
            Some(writer) => writer.write(write).await,
            None => Err(StoreError::Away("opened for reading only".to_owned())),
        }
    }

    async fn done(&self, write: Write) -> Result<bool, StoreError> {
        Ok(match self.write(write).await? {
            Written::Done(done) => done,
            Written::Committed(_) | Written::Leased(_) | Written::Turn(_) => false,
        })
    }

    /// Reads that all see the same state. After an error the connection is given up: whether its
    /// transaction has ended, driver and database may see differently.
    async fn snapshot<T>(
        &self,
        read: impl AsyncFnOnce(&mut AnyConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut db = self.pool.acquire().await?;
        let all = async {
            let mut snapshot = db.begin_with(self.place.begin_reading()).await?;
            let all = read(&mut snapshot).await?;
            snapshot.commit().await?;
            Ok(all)
        };
        let all = all.await;
        if all.is_err() {
            db.close_on_drop();
        }
        all
    }

    async fn sale_ids(&self, rows: Vec<AnyRow>) -> Result<Vec<SaleId>, StoreError> {
        rows.iter().map(|row| sale_id(row, "id")).collect()
    }
}

#[async_trait]
impl Store for SqlStore {
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        match self.write(Write::Commit(Box::new(commit))).await? {
            Written::Committed(committed) => Ok(committed),
            Written::Done(_) | Written::Leased(_) | Written::Turn(_) => Ok(Committed::Stale),
        }
    }

    async fn load(&self, sale: SaleId) -> Result<Option<Sale>, StoreError> {
        self.snapshot(async |db| load(db, sale).await).await
    }

    async fn books(&self, sale: SaleId) -> Result<Option<(Sale, Vec<JournalLine>)>, StoreError> {
        self.snapshot(async |db| {
            let Some(loaded) = load(db, sale).await? else { return Ok(None) };
            let lines = journal(db, sale, first_line(&loaded.head)).await?;
            Ok(Some((loaded, lines)))
        })
        .await
    }

    async fn sales(&self, limit: u32) -> Result<Vec<SaleLine>, StoreError> {
        let rows = query(sql::SELECT_SALES).bind(i64::from(limit)).fetch_all(&self.pool).await?;
        rows.iter().map(sale_line).collect()
    }

    async fn live_sales(&self) -> Result<Vec<SaleId>, StoreError> {
        let rows = query(sql::SELECT_LIVE_SALES).fetch_all(&self.pool).await?;
        self.sale_ids(rows).await
    }

    async fn sale_numbered(&self, number: u32) -> Result<Option<SaleId>, StoreError> {
        let find = query(sql::SELECT_SALE_NUMBERED).bind(i64::from(number));
        let row = find.fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| sale_id(row, "id")).transpose()
    }

    async fn shop(&self) -> Result<Shop, StoreError> {
        let row = query(sql::SELECT_SHOP).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(Shop::default()) };
        let shop: Shop = read("shop", "1", &text(&row, "body")?)?;
        Ok(shop)
    }

    async fn secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.done(Write::Secret(hex::encode(fresh))).await?;
        let row = query(sql::SELECT_SECRET).fetch_one(&self.pool).await?;
        secret(&row)
    }

    async fn shop_id(&self) -> Result<Option<String>, StoreError> {
        let row = query(sql::SELECT_SECRET).fetch_optional(&self.pool).await?;
        row.map(|row| Ok(id_of(&secret(&row)?))).transpose()
    }

    async fn hold_of(&self, provider: &str, page: &PageRef) -> Result<Option<HoldId>, StoreError> {
        let (text, key) = match page {
            PageRef::Checkout(id) => (sql::SELECT_CHECKOUT, id.as_str()),
            PageRef::Order(id) => (sql::SELECT_CHECKOUT_OF_ORDER, id.as_str()),
        };
        let row = query(text).bind(provider).bind(key).fetch_optional(&self.pool).await?;
        row.as_ref().map(hold_id).transpose()
    }

    async fn sale_of_payment(
        &self,
        provider: &str,
        payment: &str,
    ) -> Result<Option<SaleId>, StoreError> {
        let find = query(sql::SELECT_PAYMENT_SALE).bind(provider).bind(payment);
        let row = find.fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| sale_id(row, "sale")).transpose()
    }

    async fn due_sales(&self, now: Timestamp) -> Result<Vec<SaleId>, StoreError> {
        let rows = query(sql::SELECT_DUE_SALES).bind(now.millis()).fetch_all(&self.pool).await?;
        self.sale_ids(rows).await
    }

    async fn next_wake(&self) -> Result<Option<Timestamp>, StoreError> {
        let row = query(sql::SELECT_NEXT_WAKE).fetch_one(&self.pool).await?;
        Ok(row.try_get::<Option<i64>, _>("at")?.map(Timestamp::from_millis))
    }

    async fn hear(&self, seen: Seen, at: Timestamp) -> Result<bool, StoreError> {
        self.done(Write::Hear(seen, at)).await
    }

    async fn forget(&self, before: Timestamp) -> Result<bool, StoreError> {
        self.done(Write::Forget(before)).await
    }

    async fn lease(&self, ask: LeaseAsk) -> Result<Option<Leased>, StoreError> {
        match self.write(Write::Lease(ask)).await? {
            Written::Leased(leased) => Ok(leased.map(|leased| *leased)),
            Written::Committed(_) | Written::Done(_) | Written::Turn(_) => Ok(None),
        }
    }

    async fn postpone(&self, put_off: PutOff) -> Result<(), StoreError> {
        self.done(Write::Postpone(put_off)).await?;
        Ok(())
    }

    async fn end_leases(&self, target: &str, now: Timestamp) -> Result<(), StoreError> {
        self.done(Write::EndLeases(target.to_owned(), now)).await?;
        Ok(())
    }

    async fn next_effect(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = query(sql::SELECT_NEXT_EFFECT).bind(target).fetch_one(&self.pool).await?;
        Ok(row.try_get::<Option<i64>, _>("at")?.map(Timestamp::from_millis))
    }

    async fn outbox(&self) -> Result<OutboxCount, StoreError> {
        let row = query(sql::COUNT_EFFECTS).fetch_one(&self.pool).await?;
        let all = number(&row, "n")?.unsigned_abs();
        let parked = number(&row, "parked")?.unsigned_abs();
        Ok(OutboxCount { waiting: all - parked, parked })
    }

    async fn parked(&self) -> Result<Vec<ParkedEffect>, StoreError> {
        let rows = query(sql::SELECT_PARKED).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let id = text(row, "id")?;
                Ok(ParkedEffect {
                    sale: sale_id(row, "sale")?,
                    effect: read("outbox", &id, &text(row, "effect")?)?,
                    why: text(row, "why")?,
                    queued_at: Timestamp::from_millis(number(row, "queued_at")?),
                    id: EffectId::from(id),
                })
            })
            .collect()
    }

    async fn work_of(&self, sale: SaleId) -> Result<Vec<Work>, StoreError> {
        let rows = query(sql::SELECT_WORK).bind(sale.to_string()).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let id = text(row, "id")?;
                Ok(Work {
                    effect: read("outbox", &id, &text(row, "effect")?)?,
                    due_at: Timestamp::from_millis(number(row, "due_at")?),
                    attempts: count(row, "outbox", "attempts")?,
                    parked: number(row, "parked")? == 1,
                    why: text(row, "why")?,
                    id: EffectId::from(id),
                })
            })
            .collect()
    }

    async fn retry(&self, id: EffectId, now: Timestamp) -> Result<bool, StoreError> {
        self.done(Write::Retry(id, now)).await
    }

    async fn unmatched(&self) -> Result<Vec<(String, PaymentFact)>, StoreError> {
        let rows = query(sql::SELECT_UNMATCHED).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let id = text(row, "id")?;
                Ok((text(row, "provider")?, read("payment", &id, &text(row, "body")?)?))
            })
            .collect()
    }

    async fn journal(&self, sale: SaleId) -> Result<Vec<JournalLine>, StoreError> {
        self.snapshot(async |db| match head(db, sale).await? {
            Some(head) => journal(db, sale, first_line(&head)).await,
            None => Ok(Vec::new()),
        })
        .await
    }

    async fn old_sales(
        &self,
        before: Timestamp,
        after: u32,
        limit: u32,
    ) -> Result<Vec<OldSale>, StoreError> {
        let find = query(sql::SELECT_OLD_SALES).bind(before.millis());
        let find = find.bind(i64::from(after)).bind(i64::from(limit));
        let rows = find.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok((count(row, "sale", "number")?, sale_line(row)))).collect()
    }

    async fn archived(&self) -> Result<u64, StoreError> {
        let row = query(sql::COUNT_ARCHIVED).fetch_one(&self.pool).await?;
        Ok(number(&row, "n")?.unsigned_abs())
    }

    async fn clear_archived(&self, sale: SaleId) -> Result<bool, StoreError> {
        self.done(Write::Clear(sale)).await
    }

    async fn doc(&self, kind: &str, id: &str) -> Result<Option<Doc>, StoreError> {
        let find = query(sql::SELECT_DOC).bind(kind).bind(id);
        let row = find.fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| doc(kind, row)).transpose()
    }

    async fn docs(&self, kind: &str, parent: Option<&str>) -> Result<Vec<Doc>, StoreError> {
        let rows = match parent {
            Some(parent) => {
                query(sql::SELECT_DOCS_OF).bind(kind).bind(parent).fetch_all(&self.pool).await?
            }
            None => query(sql::SELECT_DOCS).bind(kind).fetch_all(&self.pool).await?,
        };
        rows.iter().map(|row| doc(kind, row)).collect()
    }

    async fn put_docs(&self, docs: Vec<DocChange>) -> Result<bool, StoreError> {
        self.done(Write::Docs(docs)).await
    }

    fn trouble(&self) -> Option<StoreError> {
        self.writer.as_ref()?.pulse.why()
    }

    async fn ready(&self) -> Result<(), StoreError> {
        match &self.writer {
            Some(writer) => writer.pulse.ready().await,
            None => Ok(()),
        }
    }

    async fn close(&self) {
        // Readers first: the last connection folds everything into the file.
        self.pool.close().await;
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }

    fn peers(&self) -> Option<&dyn Peers> {
        self.shared.is_some().then_some(self)
    }
}

#[async_trait]
impl Peers for SqlStore {
    async fn revision(&self, sale: SaleId) -> Result<Option<u64>, StoreError> {
        let find = query(sql::SELECT_REVISION).bind(sale.to_string());
        let row = find.fetch_optional(&self.pool).await?;
        row.map(|row| Ok(number(&row, "revision")?.unsigned_abs())).transpose()
    }

    async fn revisions(&self, last: u32) -> Result<Vec<(SaleId, u64)>, StoreError> {
        let mut rows = query(sql::SELECT_LIVE_REVISIONS).fetch_all(&self.pool).await?;
        let last = query(sql::SELECT_LAST_REVISIONS).bind(i64::from(last));
        rows.extend(last.fetch_all(&self.pool).await?);
        rows.iter()
            .map(|row| Ok((sale_id(row, "id")?, number(row, "revision")?.unsigned_abs())))
            .collect()
    }

    async fn take_turn(&self, turn: Turn) -> Result<Holding, StoreError> {
        Ok(match self.write(Write::Turn(turn)).await? {
            Written::Turn(holding) => holding,
            Written::Committed(_) | Written::Done(_) | Written::Leased(_) => Holding::Others,
        })
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        let row = query(sql::SELECT_CLOCK).fetch_one(&self.pool).await?;
        Ok(Timestamp::from_millis(number(&row, "now")?))
    }

    fn changes(&self) -> mpsc::Receiver<Change> {
        match &self.shared {
            Some(shared) => listen(shared.url.clone(), shared.speaker.clone()),
            // Nobody else is there: a receiver that stays silent.
            None => mpsc::channel(1).1,
        }
    }
}

fn secret(row: &AnyRow) -> Result<[u8; 32], StoreError> {
    let mut secret = [0; 32];
    hex::decode_to_slice(text(row, "secret")?, &mut secret)
        .map_err(|_| damaged("shop", "1", "the secret is not 64 hex digits"))?;
    Ok(secret)
}

fn doc(kind: &str, row: &AnyRow) -> Result<Doc, StoreError> {
    let id = text(row, "id")?;
    Ok(Doc {
        kind: kind.to_owned(),
        parent: text(row, "parent")?,
        version: number(row, "version")?,
        body: read("document", &id, &text(row, "body")?)?,
        id,
    })
}
