//! An archived sale: what stays of it, and what becomes of money that is told of later.

use super::{
    histories::is_news,
    play::{Play, template, usd},
};
use crate::{
    clock::Span,
    money::Money,
    report::Report,
    sale::{
        Sale,
        archive::{Archiving, Figures, stays_whole},
        decide,
        event::Event,
        payment::{Fate, PaymentStatus, RefundFact, RefundStatus},
    },
};

/// Everything of a receipt that is a sum.
type Sums = ([Money; 6], [u32; 6], Vec<(String, Money, &'static str, Money, Option<u32>)>);

fn sums(sale: &Sale) -> Sums {
    let report = Report::of(sale, &[]);
    let row =
        |row: crate::report::Row| (row.payment, row.amount, row.fate, row.refunded, row.units);
    let Report { gross, refunded, undecided, kept, refunding, net, .. } = report;
    let Report { stock, sold, short, outside, completed, claimed, .. } = report;
    (
        [gross, refunded, undecided, kept, refunding, net],
        [stock, sold, short, outside, completed, claimed],
        report.payments.into_iter().map(row).collect(),
    )
}

fn figures(sale: &Sale) -> Figures {
    let report = Report::of(sale, &[]);
    let (claimed, lapsed) = (report.claimed, report.lapsed);
    let (funnel, delay) = (report.funnel, report.checkout_delay);
    Figures { claimed, lapsed, funnel, delay, commits: 1, taken_max: 1 }
}

fn archive(play: &mut Play) {
    let as_of = play.sale.head.revision;
    let order = Archiving { as_of, figures: figures(&play.sale) };
    play.tell(Event::Archived(Box::new(order))).expect("never refused");
}

/// A sale that is over is archived, if it may be: its sums stay; whatever is told of it again comes
/// to the same as if it were whole; and money that nobody knew of goes before a person.
pub(super) fn money_outlives_its_claims(play: &mut Play) {
    let whole = play.sale.clone();
    let stays = stays_whole(&whole);
    let person = |sale: &Sale| sale.payments().any(|p| matches!(p.fate, Fate::Person { .. }));
    assert!(stays.is_some() || !person(&whole), "before a person, and its claims go");
    archive(play);
    assert_eq!(play.sale.head.archived.is_some(), stays.is_none());
    if stays.is_some() {
        assert_eq!(play.sale.holds().count(), whole.holds().count());
        assert_eq!(play.sale.head, whole.head);
        return;
    }
    assert_eq!(play.sale.holds().count(), 0);
    assert_eq!(sums(&play.sale), sums(&whole));
    archive(play);
    assert_eq!(play.sale.head.revision, whole.head.revision + 1, "once");
    play.now = play.now + Span::from_secs(100 * 24 * 3600);
    let mut whole = whole;
    for event in play.history.clone().into_iter().filter(is_news) {
        whole.apply(decide(&whole, &event, play.now).expect("taken"));
        play.tell(event).expect("taken");
    }
    assert_eq!(sums(&play.sale), sums(&whole));
    let pages: Vec<_> = play.pages.iter().map(|(id, (hold, ..))| (id.clone(), *hold)).collect();
    let Some((page, hold)) = pages.into_iter().next() else { return };
    let before = sums(&play.sale);
    let fact = play.money_on(&page, hold, usd("18"));
    play.deliver(&fact);
    assert_eq!(play.fate(&fact), "person");
    let after = sums(&play.sale);
    assert_eq!(after.0[2].minor, before.0[2].minor + 1800, "undecided");
    assert_eq!((after.0[3], after.1[1]), (before.0[3], before.1[1]), "kept and sold");
}

fn over() -> Play {
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("a hold");
    play.claim("bo").expect("a hold");
    play.work();
    play.pay(ana);
    play.run_out();
    assert!(play.sale.head.is_closed());
    play
}

#[test]
fn a_settled_sale_is_archived_and_money_that_comes_late_goes_before_a_person() {
    let mut play = over();
    assert_eq!(stays_whole(&play.sale), None);
    money_outlives_its_claims(&mut play);
    assert!(play.sale.head.archived.is_some());
    play.work();
    let heard = play.heard("console");
    let says = "came in after this sale was archived";
    assert_eq!(heard.iter().filter(|line| line.contains(says)).count(), 1, "{heard:#?}");
}

#[test]
fn a_refund_of_an_archived_sale_is_booked_as_ever() {
    let mut play = over();
    let paid = play.payments[0].clone();
    archive(&mut play);
    let refund = RefundFact {
        payment: paid.id.clone(),
        refund: Some("r1".into()),
        status: RefundStatus::Done,
        amount: Some(500),
        says: None,
        as_of: Some(play.now),
    };
    play.tell(Event::RefundMoved(refund.clone())).expect("taken");
    play.tell(Event::RefundMoved(refund)).expect("taken");
    let report = Report::of(&play.sale, &[]);
    assert_eq!((report.refunded, report.kept), (usd("5"), usd("13")));
    assert_eq!(report.sold, 1);
}

#[test]
fn a_payment_under_way_on_an_archived_sale_goes_before_a_person_at_once() {
    let mut play = over();
    let mut fact = play.payments[0].clone();
    archive(&mut play);
    fact.id = "late".into();
    fact.status = PaymentStatus::Pending;
    play.deliver(&fact);
    assert_eq!(play.fate(&fact), "person");
    // In no sum before it is money.
    assert_eq!(Report::of(&play.sale, &[]).undecided, usd("0"));
    fact.status = PaymentStatus::Completed;
    play.deliver(&fact);
    assert_eq!(play.fate(&fact), "person");
    assert_eq!(Report::of(&play.sale, &[]).undecided, usd("18"));
}

#[test]
fn figures_of_an_earlier_revision_archive_nothing() {
    let mut play = over();
    let order = Archiving { as_of: play.sale.head.revision - 1, figures: figures(&play.sale) };
    play.tell(Event::Archived(Box::new(order))).expect("never refused");
    assert!(play.sale.head.archived.is_none());
}
