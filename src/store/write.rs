//! What is written, statement by statement, inside a transaction that somebody else holds.

use sqlx::{AnyConnection, Connection, Row, query};

use super::{
    Commit, Committed, DocChange, Holding, LeaseAsk, Leased, PutOff, QueuedEffect, SaleChange,
    Seen, StoreError, Turn, archive,
    bulk::insert,
    document::put_all,
    row::{count, json, number, read, sale_id, text},
    sql,
};
use crate::{
    clock::Timestamp,
    id::{EffectId, SaleId},
    sale::effect::Class,
};

/// One thing to be written, all or nothing.
#[derive(Debug)]
pub(super) enum Write {
    Commit(Box<Commit>),
    Hear(Seen, Timestamp),
    Lease(LeaseAsk),
    Postpone(PutOff),
    EndLeases(String, Timestamp),
    Retry(EffectId, Timestamp),
    Docs(Vec<DocChange>),
    Secret(String),
    Turn(Turn),
    Forget(Timestamp),
    Clear(SaleId),
}

impl Write {
    /// Its place in a group. Rows are taken in the same order everywhere, so that no two groups
    /// wait for each other: the shop, sales, what was heard, leases, documents.
    pub(super) fn turn(&self) -> (u8, String) {
        match self {
            Self::Secret(_) => (0, String::new()),
            Self::Commit(step) => match (&step.shop, &step.sale, &step.guard) {
                (Some(_), ..) => (1, String::new()),
                (None, Some(change), _) => (2, change.head.id.to_string()),
                (None, None, Some((sale, _))) => (2, sale.to_string()),
                (None, None, None) => (3, String::new()),
            },
            Self::Clear(sale) => (2, sale.to_string()),
            Self::Forget(_) => (4, String::new()),
            Self::Hear(seen, _) => (4, format!("{} {}", seen.source, seen.id)),
            Self::Postpone(put_off) => (5, put_off.id.to_string()),
            Self::Retry(id, _) => (5, id.to_string()),
            Self::EndLeases(target, _) => (6, target.clone()),
            Self::Lease(ask) => (7, ask.target.clone()),
            Self::Turn(turn) => (8, turn.name.clone()),
            Self::Docs(docs) => {
                (9, docs.first().map(|doc| format!("{} {}", doc.kind, doc.id)).unwrap_or_default())
            }
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Written {
    Committed(Committed),
    /// Whether it was so.
    Done(bool),
    Leased(Option<Box<Leased>>),
    Turn(Holding),
}

impl Written {
    /// Whether the transaction must be taken back: nothing of it may stay.
    pub(super) fn takes_back(&self) -> bool {
        match self {
            Self::Committed(Committed::Applied) | Self::Leased(_) | Self::Turn(_) => false,
            Self::Committed(Committed::Stale | Committed::Duplicate(_)) => true,
            Self::Done(done) => !done,
        }
    }
}

pub(super) async fn write(db: &mut AnyConnection, write: &Write) -> Result<Written, StoreError> {
    Ok(match write {
        Write::Commit(step) => Written::Committed(commit(db, step).await?),
        Write::Hear(seen, at) => Written::Done(hear(db, seen, *at).await?),
        Write::Lease(ask) => Written::Leased(lease(db, ask).await?.map(Box::new)),
        Write::Postpone(put_off) => {
            postpone(db, put_off).await?;
            Written::Done(true)
        }
        Write::EndLeases(target, now) => {
            query(sql::END_LEASES).bind(target).bind(now.millis()).execute(db).await?;
            Written::Done(true)
        }
        Write::Retry(id, now) => {
            let retry = query(sql::RETRY_EFFECT).bind(id.as_str()).bind(now.millis());
            Written::Done(retry.execute(db).await?.rows_affected() == 1)
        }
        Write::Docs(docs) => Written::Done(put_all(db, docs).await?),
        Write::Secret(hex) => {
            let body = json(&crate::shop::Shop::default());
            query(sql::INSERT_SHOP).bind(hex).bind(body).execute(db).await?;
            Written::Done(true)
        }
        Write::Turn(turn) => Written::Turn(take_turn(db, turn).await?),
        Write::Clear(sale) => Written::Done(archive::clear(db, *sale).await?),
        Write::Forget(before) => {
            let forget = query(sql::PRUNE_SEEN).bind(before.millis());
            Written::Done(forget.execute(db).await?.rows_affected() > 0)
        }
    })
}

async fn commit(db: &mut AnyConnection, step: &Commit) -> Result<Committed, StoreError> {
    let Commit { sale, shop, guard, effects, done, parked, seen, freed, unmatched, foreign, at } =
        step;
    if let Some(shop) = shop {
        let expected = shop.version.saturating_sub(1);
        let rows = query(sql::UPDATE_SHOP)
            .bind(big(shop.version))
            .bind(json(shop))
            .bind(big(expected))
            .execute(&mut *db)
            .await?;
        if rows.rows_affected() != 1 {
            return Ok(Committed::Stale);
        }
    }
    if let Some(change) = sale
        && !write_sale(db, change).await?
    {
        return Ok(Committed::Stale);
    }
    if let Some((sale, revision)) = guard {
        let still = query(sql::TOUCH_SALE).bind(sale.to_string()).bind(big(*revision));
        if still.execute(&mut *db).await?.rows_affected() != 1 {
            return Ok(Committed::Stale);
        }
    }
    for Seen { source, id } in freed {
        query(sql::DELETE_SEEN).bind(source).bind(id).execute(&mut *db).await?;
    }
    let repeated = hear_all(db, seen, *at).await?;
    if !repeated.is_empty() {
        return Ok(Committed::Duplicate(repeated));
    }
    for (id, token) in done {
        query(sql::DELETE_EFFECT).bind(id.as_str()).bind(token).execute(&mut *db).await?;
    }
    for (id, token, why) in parked {
        let park = query(sql::PARK_EFFECT).bind(id.as_str()).bind(token).bind(why);
        park.execute(&mut *db).await?;
    }
    insert(db, &sql::INSERT_EFFECT, effects, |row, effect| {
        let QueuedEffect { id, sale, lane, target, class, due_at, queued_at, effect, body } =
            effect;
        row.bind(id.as_str().to_owned())
            .bind(sale.to_string())
            .bind(lane.clone())
            .bind(target.clone())
            .bind(*class as i64)
            .bind(due_at.millis())
            .bind(queued_at.millis())
            .bind(json(effect))
            .bind(body.to_string())
    })
    .await?;
    for (provider, fact) in unmatched {
        query(sql::UPSERT_UNMATCHED)
            .bind(provider)
            .bind(fact.id.as_str())
            .bind(fact.amount.minor)
            .bind(fact.amount.currency.code())
            .bind(json(fact))
            .execute(&mut *db)
            .await?;
    }
    for (provider, id) in foreign {
        query(sql::DELETE_UNMATCHED).bind(provider).bind(id).execute(&mut *db).await?;
    }
    Ok(Committed::Applied)
}

/// Writes a sale's change; `false` if somebody else was first.
async fn write_sale(db: &mut AnyConnection, change: &SaleChange) -> Result<bool, StoreError> {
    let SaleChange { head, expected, wake_at, journal, .. } = change;
    let id = head.id.to_string();
    let phase = head.phase.word();
    let (taken, paid) = (i64::from(head.tally.taken()), i64::from(head.tally.paid));
    let wake_at = wake_at.map(Timestamp::millis);
    if let Some(expected) = expected {
        let rows = query(sql::UPDATE_SALE)
            .bind(&id)
            .bind(big(head.revision))
            .bind(phase)
            .bind(i64::from(head.stock))
            .bind(taken)
            .bind(paid)
            .bind(wake_at)
            .bind(json(head))
            .bind(big(*expected))
            .execute(&mut *db)
            .await?;
        if rows.rows_affected() != 1 {
            return Ok(false);
        }
    } else {
        query(sql::INSERT_SALE)
            .bind(&id)
            .bind(i64::from(head.number))
            .bind(big(head.revision))
            .bind(phase)
            .bind(i64::from(head.stock))
            .bind(taken)
            .bind(paid)
            .bind(wake_at)
            .bind(head.started_at.millis())
            .bind(json(head))
            .execute(&mut *db)
            .await?;
    }
    write_rows(db, change, &id).await?;
    if let Some(last) = journal.last() {
        query(sql::INSERT_JOURNAL)
            .bind(&id)
            .bind(big(last.revision))
            .bind(last.at.millis())
            .bind(json(journal))
            .execute(&mut *db)
            .await?;
    }
    Ok(true)
}

/// Writes a sale's changed holds, pages and payments.
async fn write_rows(
    db: &mut AnyConnection,
    change: &SaleChange,
    id: &str,
) -> Result<(), StoreError> {
    let SaleChange { head, holds, pages, payments, .. } = change;
    // A buyer's old hold ends before the new one begins, or the unique index would object.
    let (live, over): (Vec<_>, Vec<_>) = holds.iter().partition(|hold| hold.is_live());
    for group in [over, live] {
        insert(db, &sql::UPSERT_HOLD, &group, |row, hold| {
            row.bind(id.to_owned())
                .bind(i64::from(hold.id.n))
                .bind(hold.buyer.as_ref().map(|buyer| buyer.as_str().to_owned()))
                .bind(hold.state.word())
                .bind(i64::from(hold.units))
                .bind(json(hold))
        })
        .await?;
    }
    let provider = &head.template.provider;
    insert(db, &sql::INSERT_CHECKOUT, pages, |row, (hold, page, order)| {
        row.bind(provider.clone())
            .bind(page.as_str().to_owned())
            .bind(order.clone())
            .bind(id.to_owned())
            .bind(i64::from(hold.n))
    })
    .await?;
    insert(db, &sql::UPSERT_PAYMENT, payments, |row, payment| {
        row.bind(provider.clone())
            .bind(payment.fact.id.as_str().to_owned())
            .bind(id.to_owned())
            .bind(payment.fate.word())
            .bind(payment.fact.amount.minor)
            .bind(payment.fact.amount.currency.code())
            .bind(json(payment))
    })
    .await?;
    Ok(())
}

async fn hear(db: &mut AnyConnection, seen: &Seen, at: Timestamp) -> Result<bool, StoreError> {
    let one = std::slice::from_ref(seen);
    Ok(insert_seen(db, one, at).await? == 1)
}

async fn insert_seen(
    db: &mut AnyConnection,
    seen: &[Seen],
    at: Timestamp,
) -> Result<u64, StoreError> {
    insert(db, &sql::INSERT_SEEN, seen, |row, one| {
        row.bind(one.source.clone()).bind(one.id.clone()).bind(at.millis())
    })
    .await
}

/// Notes all of them; answers those that were noted before.
async fn hear_all(
    db: &mut AnyConnection,
    seen: &[Seen],
    at: Timestamp,
) -> Result<Vec<Seen>, StoreError> {
    match seen {
        [] => return Ok(Vec::new()),
        [one] if hear(db, one, at).await? => return Ok(Vec::new()),
        [one] => return Ok(vec![one.clone()]),
        _ => {}
    }
    let mut all = db.begin().await?;
    if insert_seen(&mut all, seen, at).await? == seen.len() as u64 {
        all.commit().await?;
        return Ok(Vec::new());
    }
    // Some were: once more, one by one, to find out which.
    all.rollback().await?;
    let mut repeated = Vec::new();
    for one in seen {
        if !hear(db, one, at).await? {
            repeated.push(one.clone());
        }
    }
    Ok(repeated)
}

async fn lease(db: &mut AnyConnection, ask: &LeaseAsk) -> Result<Option<Leased>, StoreError> {
    let ask_for = |text| {
        let ask_for = query(text).bind(&ask.target).bind(ask.now.millis());
        ask_for.bind(ask.until.millis()).bind(&ask.token)
    };
    let mut row = None;
    if let Some(class) = ask.first {
        let first = ask_for(sql::LEASE_EFFECT_OF_CLASS).bind(class as i64);
        row = first.fetch_optional(&mut *db).await?;
    }
    if row.is_none() {
        row = ask_for(sql::LEASE_EFFECT).fetch_optional(db).await?;
    }
    let Some(row) = row else { return Ok(None) };
    let id: String = row.try_get("id")?;
    let class = number(&row, "class")?;
    Ok(Some(Leased {
        sale: sale_id(&row, "sale")?,
        class: Class::from_number(class)
            .ok_or_else(|| super::row::damaged("outbox", &id, format!("class {class}")))?,
        effect: read("outbox", &id, &text(&row, "effect")?)?,
        body: read("outbox", &id, &text(&row, "body")?)?,
        generation: count(&row, "outbox", "generation")?,
        attempts: count(&row, "outbox", "attempts")?,
        queued_at: Timestamp::from_millis(number(&row, "queued_at")?),
        token: ask.token.clone(),
        id: EffectId::from(id),
    }))
}

async fn postpone(db: &mut AnyConnection, put_off: &PutOff) -> Result<(), StoreError> {
    let PutOff { id, token, due_at, why, body, counts } = put_off;
    let text = if body.is_some() { sql::AMEND_EFFECT } else { sql::POSTPONE_EFFECT };
    let put_off = query(text).bind(id.as_str()).bind(token).bind(due_at.millis()).bind(why);
    let put_off = match body {
        Some(body) => put_off.bind(body.to_string()),
        None => put_off.bind(i64::from(!counts)),
    };
    put_off.execute(db).await?;
    Ok(())
}

async fn take_turn(db: &mut AnyConnection, turn: &Turn) -> Result<Holding, StoreError> {
    let Turn { name, owner, now, until } = turn;
    let kept = query(sql::KEEP_TURN).bind(name).bind(owner).bind(until.millis());
    if kept.execute(&mut *db).await?.rows_affected() == 1 {
        return Ok(Holding::Kept);
    }
    let taken = query(sql::TAKE_TURN).bind(name).bind(owner).bind(until.millis());
    let taken = taken.bind(now.millis()).execute(db).await?.rows_affected() == 1;
    Ok(if taken { Holding::Taken } else { Holding::Others })
}

/// A counter as the databases keep it.
fn big(n: u64) -> i64 {
    i64::try_from(n).expect("no counter of ours reaches 2^63")
}
