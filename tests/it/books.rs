//! Every receipt against the provider's own list of payments, to the cent.

use livetill::{
    report::{Report, Row},
    store::Store,
};
use serde_json::Value;

/// A payment as the provider has it in its books, in minor units.
#[derive(Debug)]
pub struct Entry {
    pub id: String,
    pub amount: i64,
    pub refunded: i64,
    pub fee: Option<i64>,
}

/// Compares all receipts of the provider's sales with its list. What a receipt may not know yet (a
/// fee that was not told, a refund on its way) it must say itself.
pub async fn agree(store: &dyn Store, provider: &str, list: &[Entry]) {
    let unmatched = store.unmatched().await.expect("the store");
    let mut found = 0;
    for line in store.sales(1000).await.expect("the store") {
        if line.head.template.provider != provider {
            continue;
        }
        let sale = store.load(line.id).await.expect("the store").expect("the sale");
        let report = Report::of(&sale, &store.journal(line.id).await.expect("the store"));
        let rows: Vec<&Row> = report.payments.iter().filter(|row| row.fate != "pending").collect();
        let entry = |row: &Row| list.iter().find(|one| one.id == row.payment);
        let mine: Vec<(&Row, &Entry)> = rows
            .iter()
            .map(|row| (*row, entry(row).unwrap_or_else(|| panic!("not at {provider}: {row:?}"))))
            .collect();
        found += mine.len();
        sums(&report, &mine);
    }
    let belongs_to_none = |one: &&Entry| {
        unmatched.iter().any(|(who, fact)| who == provider && fact.id.as_str() == one.id)
    };
    let apart = list.iter().filter(belongs_to_none).count();
    assert_eq!(found + apart, list.len(), "payments that no receipt has: {list:#?}");
}

fn sums(report: &Report, mine: &[(&Row, &Entry)]) {
    let n = report.number;
    let currency = report.gross.currency;
    let own = |row: &&Row| row.amount.currency == currency;
    assert_eq!(report.completed as usize, mine.len(), "#{n}");
    let (mut gross, mut went_back, mut fees) = (0, 0, 0);
    for (row, entry) in mine {
        assert_eq!(row.amount.minor, entry.amount, "#{n} {row:?}");
        if row.fate != "refunding" {
            assert_eq!(row.refunded.minor, entry.refunded, "#{n} {row:?} {entry:?}");
        }
        let fee = row.fee.map(|fee| fee.minor);
        assert!(fee.is_none() || fee == entry.fee, "#{n} {row:?} {entry:?}");
        if own(row) {
            gross += entry.amount;
            went_back += row.refunded.minor;
            fees += fee.unwrap_or(0);
        }
    }
    let untold = mine.iter().filter(|(row, _)| own(row) && row.fee.is_none()).count();
    assert_eq!(report.gross.minor, gross, "#{n}");
    assert_eq!(report.refunded.minor - report.refunding.minor, went_back, "#{n} {report:?}");
    assert_eq!(
        report.kept.minor,
        gross - report.refunded.minor - report.undecided.minor,
        "#{n} {report:?}"
    );
    assert_eq!(report.fees.minor, fees, "#{n}");
    assert_eq!(report.net.minor, report.kept.minor - fees, "#{n}");
    let told = report.completed - report.foreign - report.fees_told;
    assert_eq!(told as usize, untold, "#{n}: every fee is in the sum, or said to be missing");
    let funnel = report.funnel;
    assert!(funnel.kept <= funnel.paid, "#{n} {funnel:?}");
    if let (Some(clicked), Some(held)) = (funnel.clicked, funnel.held) {
        assert!(held <= clicked && funnel.paid <= held, "#{n} {funnel:?}");
    }
}

/// The same with the built-in provider, which keeps its books in the same store.
pub async fn agree_with_sandbox(store: &dyn Store) {
    let docs = store.docs("sandbox_payment", None).await.expect("the store");
    let list: Vec<Entry> = docs
        .into_iter()
        .map(|doc| Entry {
            amount: amount(&doc.body["amount"]).expect("an amount"),
            refunded: doc.body["refunded"].as_i64().expect("an amount"),
            fee: amount(&doc.body["fee"]),
            id: doc.id,
        })
        .collect();
    agree(store, "sandbox", &list).await;
}

/// The minor units of an amount of money.
pub fn amount(money: &Value) -> Option<i64> {
    money["amount"].as_i64()
}
