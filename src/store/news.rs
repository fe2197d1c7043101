//! What one commit tells the other programs on the same database: which sales changed, and whether
//! there is work or the shop changed. One short text; whoever misses it looks by itself later.

use std::collections::BTreeMap;

use sqlx::{AnyConnection, query};

use super::{Change, Commit, StoreError, sql, write::Write};
use crate::id::SaleId;

/// The server takes fewer than 8000 bytes.
const BYTES_MAX: usize = 7000;

/// Instead of a list that would be too long.
const EVERYTHING: &str = "*";

/// The text for what was written; `None` if nobody else is concerned.
pub(super) fn of<'a>(writes: impl Iterator<Item = &'a Write>) -> Option<String> {
    let (mut sales, mut work, mut shop_changed) = (BTreeMap::new(), false, false);
    for write in writes {
        let Write::Commit(step) = write else { continue };
        let Commit { sale, shop, effects, done, parked, .. } = step.as_ref();
        if let Some(change) = sale {
            sales.insert(change.head.id, change.head.revision);
        }
        work |= !effects.is_empty() || !done.is_empty() || !parked.is_empty();
        shop_changed |= shop.is_some();
    }
    if sales.is_empty() && !work && !shop_changed {
        return None;
    }
    let mut text = format!("{}{}", u8::from(work), u8::from(shop_changed));
    for (sale, revision) in sales {
        text.push_str(&format!(" {sale}@{revision}"));
    }
    Some(if text.len() > BYTES_MAX { EVERYTHING.to_owned() } else { text })
}

/// Reads such a text; what is not understood may concern anything.
pub(super) fn read(text: &str) -> Change {
    try_read(text).unwrap_or(Change::Anything)
}

fn try_read(text: &str) -> Option<Change> {
    let mut words = text.split(' ');
    let (work, shop) = match words.next()? {
        "00" => (false, false),
        "01" => (false, true),
        "10" => (true, false),
        "11" => (true, true),
        _ => return None,
    };
    let sale = |word: &str| -> Option<(SaleId, u64)> {
        let (sale, revision) = word.split_once('@')?;
        Some((sale.parse().ok()?, revision.parse().ok()?))
    };
    Some(Change::Known { sales: words.map(sale).collect::<Option<_>>()?, work, shop })
}

/// Tells it, should the transaction be committed.
pub(super) async fn tell(db: &mut AnyConnection, text: String) -> Result<(), StoreError> {
    query(sql::NOTIFY).bind(super::postgres::CHANNEL).bind(text).execute(db).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, shop::Shop};

    #[test]
    fn what_is_told_is_read() {
        let commit = |commit| Write::Commit(Box::new(commit));
        assert_eq!(of([&Write::EndLeases("x".into(), Timestamp::default())].into_iter()), None);
        let shop = commit(Commit { shop: Some(Shop::default()), ..Commit::default() });
        let text = of([&shop].into_iter()).expect("told");
        assert_eq!(read(&text), Change::Known { sales: vec![], work: false, shop: true });
        let id = SaleId::new(Timestamp::default(), [7; 16]);
        let told = read(&format!("10 {id}@42"));
        assert_eq!(told, Change::Known { sales: vec![(id, 42)], work: true, shop: false });
        for strange in ["", "*", "10 x@1", "12", &format!("10 {id}")] {
            assert_eq!(read(strange), Change::Anything, "{strange}");
        }
    }
}
