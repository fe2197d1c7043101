//! Several rows in one statement: a round trip to the database costs more than a row.
//!
//! Row counts are powers of two, so that few texts exist and each stays prepared.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use sqlx::{Any, AnyConnection, Database, Sqlite, any::AnyArguments, query::Query};

use super::StoreError;

/// Rows in one statement at the most: enough for what gathers during one sync.
const ROWS_MAX: usize = 128;

/// An `insert … values (…), (…) …`, for any number of rows.
#[derive(Debug)]
pub struct Bulk {
    /// Its name in the list of statements.
    pub name: &'static str,
    /// Up to and including `values`.
    pub head: &'static str,
    /// One row, with `$1` to `$n` in its places, each once and in order.
    pub row: &'static str,
    /// Parameters of one row.
    pub columns: usize,
    /// What follows the rows.
    pub tail: &'static str,
}

impl Bulk {
    /// Row counts for which a text is made.
    pub const SIZES: [usize; 8] = [ROWS_MAX, 64, 32, 16, 8, 4, 2, 1];

    /// The statement for that many rows, for one engine; made once, kept for good.
    pub fn text(&self, rows: usize, engine: &str) -> &'static str {
        type Texts = Mutex<HashMap<(&'static str, usize, bool), &'static str>>;
        static TEXTS: OnceLock<Texts> = OnceLock::new();
        // SQLite looks every `$n` up in a list of all of them, each time a statement is bound.
        let numbered = engine != Sqlite::NAME;
        let texts = TEXTS.get_or_init(Texts::default);
        let mut texts = texts.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (self.name, rows, numbered);
        texts.entry(key).or_insert_with(|| Box::leak(self.make(rows, numbered).into()))
    }

    fn make(&self, rows: usize, numbered: bool) -> String {
        let mut text = format!("{} ", self.head);
        for n in 0..rows {
            if n > 0 {
                text.push_str(", ");
            }
            text.push_str(&self.row_from(n * self.columns, numbered));
        }
        text.push(' ');
        text.push_str(self.tail);
        text
    }

    /// The row with its parameters counted on from `first`, or by place alone.
    fn row_from(&self, first: usize, numbered: bool) -> String {
        let mut parts = self.row.split('$');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.bytes().take_while(u8::is_ascii_digit).count();
            let n: usize = part[..digits].parse().expect("a parameter has a number");
            match numbered {
                true => text.push_str(&format!("${}", first + n)),
                false => text.push('?'),
            }
            text.push_str(&part[digits..]);
        }
        text
    }
}

type Bound = Query<'static, Any, AnyArguments>;

/// Writes `items`, as many to a statement as there is a text for; answers the rows affected.
pub(super) async fn insert<T>(
    db: &mut AnyConnection,
    bulk: &Bulk,
    items: &[T],
    bind: impl Fn(Bound, &T) -> Bound,
) -> Result<u64, StoreError> {
    let mut rest = items;
    let mut affected = 0;
    while !rest.is_empty() {
        let rows = Bulk::SIZES.into_iter().find(|n| *n <= rest.len()).unwrap_or(1);
        let (now, later) = rest.split_at(rows);
        let text = bulk.text(rows, db.backend_name());
        let bound = now.iter().fold(sqlx::query(text), &bind);
        affected += bound.execute(&mut *db).await?.rows_affected();
        rest = later;
    }
    Ok(affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_on() {
        let bulk = Bulk {
            name: "x",
            head: "insert into x (a, b) values",
            row: "($1, 0, $2)",
            columns: 2,
            tail: "on conflict do nothing",
        };
        assert_eq!(
            bulk.make(2, true),
            "insert into x (a, b) values ($1, 0, $2), ($3, 0, $4) on conflict do nothing"
        );
        assert_eq!(
            bulk.make(2, false),
            "insert into x (a, b) values (?, 0, ?), (?, 0, ?) on conflict do nothing"
        );
    }

    #[test]
    fn parameters_stand_in_order() {
        for bulk in super::super::sql::BULK {
            let numbers = bulk.row.split('$').skip(1);
            let numbers = numbers.map(|part| part.split([',', ')']).next());
            let counted: Vec<_> = (1..=bulk.columns).map(|n| n.to_string()).collect();
            assert!(numbers.eq(counted.iter().map(|n| Some(n.as_str()))), "{}", bulk.name);
        }
    }
}
