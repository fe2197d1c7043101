//! What was sold and what became of the money: the receipt, the packing list and the proof.

mod csv;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::Serialize;

use crate::{
    clock::Timestamp,
    money::Money,
    sale::{
        Move, Sale,
        hold::{Hold, HoldState},
        payment::{Fate, Payment, PaymentStatus},
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
    /// Price of one.
    pub price: Money,
    /// Units for sale.
    pub stock: u32,
    /// Units whose payment is kept.
    pub sold: u32,
    /// Units promised that are not there.
    pub short: u32,
    /// Units sold elsewhere meanwhile.
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
    /// What stays.
    pub net: Money,
    /// One row per payment.
    pub payments: Vec<Row>,
}

/// One payment.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The provider's id.
    pub payment: String,
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
    /// What the buyer answered on our page.
    pub answers: BTreeMap<Ask, String>,
}

impl Report {
    /// Sums a sale up.
    pub fn of(sale: &Sale) -> Self {
        let head = &sale.head;
        let zero = Money::new(0, head.template.price.currency);
        let mut rows: Vec<Row> = sale.payments().map(|payment| row(sale, payment)).collect();
        rows.sort_by(|a, b| (&a.at, &a.payment).cmp(&(&b.at, &b.payment)));
        let claims = || sale.holds().filter(|hold| hold.buyer.is_some());
        let given_back = |hold: &&Hold| matches!(hold.state, HoldState::Released { .. });
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let mut report = Self {
            number: head.number,
            title: head.template.title.clone(),
            phase: head.phase.word(),
            reason: head.phase.end().map(|end| end.reason.word()),
            started_by: head.started_by.name.clone(),
            started_at: head.started_at.rfc3339(),
            opened_at: head.opened_at().map(Timestamp::rfc3339),
            price: head.template.price,
            stock: head.stock,
            sold: head.tally.paid,
            short: head.short,
            outside: head.outside,
            claimed: count(claims().count()),
            lapsed: count(claims().filter(given_back).count()),
            gross: zero,
            refunded: zero,
            undecided: zero,
            net: zero,
            payments: rows,
        };
        for payment in sale.payments() {
            report.add(payment);
        }
        report
    }

    fn add(&mut self, payment: &Payment) {
        let fact = &payment.fact;
        let same = fact.amount.currency == self.gross.currency;
        if fact.status != PaymentStatus::Completed || !same {
            return;
        }
        let amount = fact.amount.minor;
        self.gross.minor += amount;
        match &payment.fate {
            Fate::Refund { .. } => self.refunded.minor += amount,
            Fate::Person { .. } => {
                self.refunded.minor += fact.refunded;
                self.undecided.minor += amount - fact.refunded;
            }
            Fate::Kept | Fate::Pending => {
                self.refunded.minor += fact.refunded;
                self.net.minor += amount - fact.refunded;
            }
        }
    }

    /// The receipt in lines.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![format!(
            "#{} {} · {} · {} of {} sold at {}",
            self.number,
            crate::notice::text::plain(&self.title),
            self.reason.unwrap_or(self.phase).replace('_', " "),
            self.sold,
            self.stock,
            self.price,
        )];
        lines.push(format!(
            "paid {} · refunded {} · before a person {} · kept {}",
            self.gross, self.refunded, self.undecided, self.net
        ));
        lines.push(format!("claims {} · given back {}", self.claimed, self.lapsed));
        if self.short > 0 {
            lines.push(format!("SHORT of {}: more was promised than is there", self.short));
        }
        if self.outside > 0 {
            lines.push(format!("{} sold elsewhere meanwhile", self.outside));
        }
        lines.extend(self.payments.iter().map(Row::line));
        lines
    }
}

impl Row {
    fn line(&self) -> String {
        let mut line = format!("  {} · {} · {}", self.at, self.payment, self.amount);
        if let Some(units) = self.units {
            line.push_str(&format!(" · {units} ×"));
        }
        if let Some(delivery) = &self.delivery {
            line.push_str(&format!(" {delivery}"));
        }
        for (option, value) in &self.options {
            line.push_str(&format!(" · {option} {value}"));
        }
        for upsell in &self.upsells {
            line.push_str(&format!(" · plus {upsell}"));
        }
        if let Some(special) = &self.special {
            line.push_str(&format!(" · at {special}"));
        }
        if let Some(buyer) = &self.buyer {
            line.push_str(&format!(" · {}", crate::notice::text::plain(buyer)));
        }
        line.push_str(&format!(" · {}", self.fate));
        for (flag, word) in [(self.late, "late"), (self.surplus, "surplus")] {
            if flag {
                line.push_str(&format!(" ({word})"));
            }
        }
        if let Some(why) = &self.why {
            line.push_str(&format!(": {}", crate::notice::text::plain(why)));
        }
        line
    }
}

fn row(sale: &Sale, payment: &Payment) -> Row {
    let hold = payment.hold.and_then(|id| sale.hold(id));
    let page = payment.fact.checkout.as_ref();
    let extras = hold.map(|hold| hold.extras.clone()).unwrap_or_default();
    let order = hold.zip(page).and_then(|(hold, page)| hold.checkout(page)?.order.clone());
    Row {
        payment: payment.fact.id.to_string(),
        order: payment.fact.order.clone().or(order),
        link: payment.fact.link.clone(),
        at: payment.fact.at.rfc3339(),
        hold: hold.map(|hold| hold.id.n),
        buyer: hold.and_then(|hold| hold.buyer_name.clone()),
        units: hold.map(|hold| hold.units),
        delivery: hold.and_then(|hold| hold.delivery.clone()),
        options: extras.options,
        upsells: extras.upsells,
        special: extras.special,
        amount: payment.fact.amount,
        fate: payment.fate.word(),
        why: match &payment.fate {
            Fate::Person { why } => Some(why.clone()),
            _ => None,
        },
        late: payment.late,
        surplus: payment.surplus,
        answers: hold.map(|hold| hold.answers.clone()).unwrap_or_default(),
    }
}

/// What the journal proves about a sale, recomputed without the rules that made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Proof {
    /// Units taken above the stock, at the worst commit.
    pub oversold: u32,
    /// Most units taken at any commit.
    pub taken_max: u32,
    /// Commits looked at.
    pub commits: u32,
    /// Whatever does not agree, in words.
    pub wrong: Vec<String>,
}

/// Recomputes a sale's ledger from its journal and compares it with what is stored.
pub fn prove(sale: &Sale, journal: &[JournalLine]) -> Proof {
    let mut proof = Proof::default();
    let mut holds: BTreeMap<u32, (Cow<'static, str>, u32)> = BTreeMap::new();
    let mut added = Added::default();
    let mut revision = 0;
    for line in journal {
        proof.commits += 1;
        if line.revision <= revision {
            proof.wrong.push(format!("revision {} comes after {revision}", line.revision));
        }
        revision = line.revision;
        for step in &line.moves {
            added.step(step);
            let was = holds.insert(step.n, (step.to.clone(), step.units));
            let was = was.map(|(state, _)| state);
            if was != step.from {
                let from = step.from.as_deref().unwrap_or("nothing");
                let was = was.as_deref().unwrap_or("nothing");
                proof.wrong.push(format!("hold {} left {from}, but was {was}", step.n));
            }
        }
        let taken: u32 =
            holds.values().filter(|(state, _)| is_taken(state)).map(|(_, units)| units).sum();
        proof.taken_max = proof.taken_max.max(taken);
        proof.oversold = proof.oversold.max(taken.saturating_sub(line.stock));
        proof.oversold = proof.oversold.max(added.over(sale));
    }
    if revision != sale.head.revision {
        proof.wrong.push(format!(
            "the journal ends at revision {revision}, the sale is at {}",
            sale.head.revision
        ));
    }
    compare(sale, &holds, &mut proof);
    proof
}

/// Up-sells that are taken, by their name.
#[derive(Default)]
struct Added(BTreeMap<String, BTreeSet<u32>>);

impl Added {
    fn step(&mut self, step: &Move) {
        for name in &step.added {
            let holders = self.0.entry(name.clone()).or_default();
            if is_taken(&step.to) {
                holders.insert(step.n);
            } else {
                holders.remove(&step.n);
            }
        }
    }

    /// How many are taken above what there are, of the worst of them.
    fn over(&self, sale: &Sale) -> u32 {
        let over = self.0.iter().filter_map(|(name, holders)| {
            let stock = sale.head.template.offers.upsell(name)?.stock?;
            Some(u32::try_from(holders.len()).unwrap_or(u32::MAX).saturating_sub(stock))
        });
        over.max().unwrap_or(0)
    }
}

fn is_taken(state: &str) -> bool {
    matches!(state, "offered" | "opening" | "open" | "closing" | "paid" | "lapsed")
}

/// The stored holds and payments against the recomputed ones.
fn compare(sale: &Sale, holds: &BTreeMap<u32, (Cow<'static, str>, u32)>, proof: &mut Proof) {
    for hold in sale.holds() {
        match holds.get(&hold.id.n) {
            Some((state, units)) if state == hold.state.word() && *units == hold.units => {}
            other => proof.wrong.push(format!(
                "hold {} is {} with {} units, the journal says {other:?}",
                hold.id.n,
                hold.state.word(),
                hold.units
            )),
        }
        if let HoldState::Paid { payment, .. } = &hold.state {
            let joined = sale.payment(payment).is_some_and(|p| p.hold == Some(hold.id));
            if !joined {
                proof.wrong.push(format!("hold {} is paid by no payment", hold.id.n));
            }
        }
    }
    if holds.len() != sale.holds().count() {
        proof.wrong.push("the journal knows holds that are not stored".to_owned());
    }
    let kept: u32 = sale
        .payments()
        .filter(|payment| payment.fate == Fate::Kept)
        .filter_map(|payment| sale.hold(payment.hold?))
        .map(|hold| hold.units)
        .sum();
    let paid = sale.head.tally.paid;
    let refunded_elsewhere: u32 = sale
        .holds()
        .filter_map(|hold| match &hold.state {
            HoldState::Paid { payment, .. } => Some((hold.units, sale.payment(payment)?)),
            _ => None,
        })
        .filter(|(_, payment)| payment.fate != Fate::Kept)
        .map(|(units, _)| units)
        .sum();
    if kept + refunded_elsewhere != paid {
        proof.wrong.push(format!("{paid} units are paid, {kept} are kept"));
    }
    if let Err(broken) = sale.audit() {
        proof.wrong.push(broken.to_owned());
    }
}
