//! What was sold and what became of the money: the receipt, the packing list and the proof.

mod csv;
mod people;
mod proof;
mod text;
mod totals;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

pub use self::{
    csv::Columns,
    people::Deed,
    proof::{Proof, prove},
    totals::to_keep,
};
pub use crate::sale::archive::{Funnel, Percentiles};
use crate::{
    clock::Timestamp,
    money::Money,
    sale::{
        Sale,
        payment::{Fate, Payment, PaymentStatus, RefundReason},
        template::Ask,
    },
    store::JournalLine,
};

/// One sale's receipt.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Short number.
    pub number: u32,
    /// What was sold.
    pub title: String,
    /// Its phase.
    pub phase: &'static str,
    /// Why it ended, if it did.
    pub reason: Option<&'static str>,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: String,
    /// When it opened.
    pub opened_at: Option<String>,
    /// The day since which claims, buyers and journal are archived, if they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived: Option<String>,
    /// Price of one.
    pub price: Money,
    /// Units for sale.
    pub stock: u32,
    /// Units whose payment is kept.
    pub sold: u32,
    /// Units promised that are not there.
    pub short: u32,
    /// Units sold elsewhere during the sale.
    pub outside: u32,
    /// Claims made.
    pub claimed: u32,
    /// Claims given back unpaid.
    pub lapsed: u32,
    /// Everything that was paid.
    pub gross: Money,
    /// What went back, or is going.
    pub refunded: Money,
    /// What a person must decide.
    pub undecided: Money,
    /// What stays: `gross` less `refunded` and `undecided`.
    pub kept: Money,
    /// What of `refunded` is still on its way.
    pub refunding: Money,
    /// What the provider keeps, as far as it has told.
    pub fees: Money,
    /// Of how many payments the fee is known.
    pub fees_told: u32,
    /// `kept` less `fees`.
    pub net: Money,
    /// Payments that are money.
    pub completed: u32,
    /// Of these, how many are in another currency than the sale: they are in no sum.
    pub foreign: u32,
    /// Payments that were, or will be, given back, by the reason.
    pub extra: Extra,
    /// How far buyers came.
    pub funnel: Funnel,
    /// From a claim to its payment page.
    pub checkout_delay: Percentiles,
    /// One row per payment.
    pub payments: Vec<Row>,
    /// Who ran what, oldest first.
    pub deeds: Vec<Deed>,
}

/// Payments that go back, by the reason.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Extra {
    /// Paid when nothing was left.
    pub surplus: Sum,
    /// Second payments for one hold.
    pub double: Sum,
    /// Refunded at the provider by somebody else.
    pub elsewhere: Sum,
    /// Parts of a price whose rest never came.
    pub incomplete: Sum,
    /// More than one person may have, or paid with a code that another order has.
    pub limit: Sum,
}

/// So many payments, and what they come to.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sum {
    /// How many.
    pub count: u32,
    /// Their amounts together.
    pub amount: Money,
}

/// One payment.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The provider's id.
    pub payment: String,
    /// The other payments that paid for the same hold together with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub together_with: Vec<String>,
    /// The provider's order, where it has one.
    pub order: Option<String>,
    /// Where the seller finds it.
    pub link: Option<String>,
    /// When it was made.
    pub at: String,
    /// The hold's number.
    pub hold: Option<u32>,
    /// What chat calls the buyer.
    pub buyer: Option<String>,
    /// Units.
    pub units: Option<u32>,
    /// Delivery choice.
    pub delivery: Option<String>,
    /// The value of each option.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Up-sells that go with it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub upsells: BTreeSet<String>,
    /// Whose special price was paid: `code:LIST` or `role:ID`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub special: Option<String>,
    /// How much.
    pub amount: Money,
    /// `kept`, `refunding`, `refunded`, `person` or `pending`.
    pub fate: &'static str,
    /// Why, for a person.
    pub why: Option<String>,
    /// Paid after the buyer's time.
    pub late: bool,
    /// Paid when nothing was left.
    pub surplus: bool,
    /// What of it went back so far, as the provider says.
    pub refunded: Money,
    /// What the provider keeps of it, once it says so.
    pub fee: Option<Money>,
    /// Why it goes back: `surplus`, `double` or `elsewhere`.
    pub refund: Option<&'static str>,
    /// What the buyer answered on our page.
    pub answers: BTreeMap<Ask, String>,
}

impl Report {
    /// Sums a sale up. Every amount of money in it is what the provider said of its payments.
    pub fn of(sale: &Sale, journal: &[JournalLine]) -> Self {
        let head = &sale.head;
        let zero = Money::new(0, head.template.price.currency);
        let mut rows: Vec<Row> = sale.payments().map(|payment| row(sale, payment)).collect();
        rows.sort_by(|a, b| (&a.at, &a.payment).cmp(&(&b.at, &b.payment)));
        let figures = totals::figures(sale, journal);
        let none = Sum { count: 0, amount: zero };
        let mut report = Self {
            number: head.number,
            title: head.template.title.clone(),
            phase: head.phase.word(),
            reason: head.phase.end().map(|end| end.reason.word()),
            started_by: head.started_by.name.clone(),
            started_at: head.started_at.rfc3339(),
            opened_at: head.opened_at().map(Timestamp::rfc3339),
            archived: head.archived.as_ref().map(|archived| archived.day()),
            price: head.template.price,
            stock: head.shown_stock(),
            sold: head.tally.paid,
            short: head.short,
            outside: head.outside,
            claimed: figures.claimed,
            lapsed: figures.lapsed,
            gross: zero,
            refunded: zero,
            undecided: zero,
            kept: zero,
            refunding: zero,
            fees: zero,
            fees_told: 0,
            net: zero,
            completed: 0,
            foreign: 0,
            extra: Extra {
                surplus: none,
                double: none,
                elsewhere: none,
                incomplete: none,
                limit: none,
            },
            funnel: figures.funnel,
            checkout_delay: figures.delay,
            payments: rows,
            deeds: people::deeds(journal),
        };
        for payment in sale.payments() {
            report.add(payment);
        }
        report
    }

    fn add(&mut self, payment: &Payment) {
        let fact = &payment.fact;
        if fact.status != PaymentStatus::Completed {
            return;
        }
        self.completed += 1;
        if fact.amount.currency != self.gross.currency {
            self.foreign += 1;
            return;
        }
        let amount = fact.amount.minor;
        self.gross.minor += amount;
        match &payment.fate {
            Fate::Refund { why, .. } => {
                self.refunded.minor += amount;
                self.refunding.minor += amount - fact.refunded;
                let sum = match why {
                    RefundReason::Surplus => &mut self.extra.surplus,
                    RefundReason::Double => &mut self.extra.double,
                    RefundReason::Elsewhere => &mut self.extra.elsewhere,
                    RefundReason::Incomplete => &mut self.extra.incomplete,
                    RefundReason::Limit => &mut self.extra.limit,
                };
                sum.count += 1;
                sum.amount.minor += amount;
            }
            Fate::Person { .. } | Fate::Part => {
                self.refunded.minor += fact.refunded;
                self.undecided.minor += amount - fact.refunded;
            }
            Fate::Kept | Fate::Pending => self.refunded.minor += fact.refunded,
        }
        if let Some(fee) = fact.fee.filter(|fee| fee.money.currency == self.fees.currency) {
            self.fees_told += 1;
            self.fees.minor += fee.money.minor;
        }
        self.kept.minor = self.gross.minor - self.refunded.minor - self.undecided.minor;
        self.net.minor = self.kept.minor - self.fees.minor;
    }
}

fn row(sale: &Sale, payment: &Payment) -> Row {
    let hold = payment.hold.and_then(|id| sale.hold(id));
    let page = payment.fact.checkout.as_ref();
    let extras = hold.map(|hold| hold.extras.clone()).unwrap_or_default();
    let together_with = sale.kept_beside(payment).map(|other| other.fact.id.to_string()).collect();
    let order = hold.zip(page).and_then(|(hold, page)| hold.checkout(page)?.order.clone());
    Row {
        payment: payment.fact.id.to_string(),
        together_with,
        order: payment.fact.order.clone().or(order),
        link: payment.fact.link.clone(),
        at: payment.fact.at.rfc3339(),
        hold: payment.hold.map(|hold| hold.n),
        buyer: hold.and_then(|hold| hold.buyer_name.clone()),
        units: sale.units_of(payment),
        delivery: hold.and_then(|hold| hold.delivery.clone()),
        options: extras.options,
        upsells: extras.upsells,
        special: extras.special,
        amount: payment.fact.amount,
        fate: payment.fate.word(),
        why: match &payment.fate {
            Fate::Person { why } => Some(why.clone()),
            Fate::Part => Some("a part of the price; the rest has not come".to_owned()),
            _ => None,
        },
        late: payment.late,
        surplus: payment.surplus,
        refunded: Money::new(payment.fact.refunded, payment.fact.amount.currency),
        fee: payment.fact.fee.map(|fee| fee.money),
        refund: match &payment.fate {
            Fate::Refund { why, .. } => Some(why.word()),
            _ => None,
        },
        answers: hold.map(|hold| hold.answers.clone()).unwrap_or_default(),
    }
}
