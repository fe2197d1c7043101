//! An archived sale: what stays of it, and what becomes of money that is told of later.

use std::sync::Arc;

use super::{
    histories::is_news,
    play::{Play, template, usd},
};
use crate::{
    clock::{Span, Timestamp},
    money::Money,
    report::{Report, prove, to_keep},
    sale::{
        Head, ListingState, Phase, Sale,
        archive::{Archiving, Funnel, stays_whole, stays_whole_by_head},
        decide,
        event::{Claim, Event},
        head::PendingCount,
        hold::{Checkout, Hold, HoldState},
        payment::{
            Fate, Payment, PaymentFact, PaymentStatus, RefundFact, RefundReason, RefundStatus,
            Reversed,
        },
        template::Template,
    },
    store::JournalLine,
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

/// Everything of a receipt that must be the same before and after.
fn totals(sale: &Sale, journal: &[JournalLine]) -> serde_json::Value {
    let mut all = serde_json::to_value(Report::of(sale, journal)).expect("JSON");
    let keys = all.as_object_mut().expect("an object");
    for detail in ["archived", "payments", "deeds"] {
        keys.remove(detail);
    }
    all
}

pub fn archive(play: &mut Play) {
    let figures = to_keep(&play.sale, &play.journal).expect("its books agree");
    let order = Archiving { as_of: play.sale.head.revision, figures };
    play.tell(Event::Archived(Box::new(order))).expect("never refused");
}

/// A sale that is over is archived, if it may be: its sums stay; whatever is told of it again comes
/// to the same as if it were whole; and money that nobody knew of goes before a person.
pub(super) fn money_outlives_its_claims(play: &mut Play) {
    let whole = play.sale.clone();
    let stays = stays_whole(&whole);
    let person = |sale: &Sale| sale.payments().any(|p| matches!(p.fate, Fate::Person { .. }));
    assert!(stays.is_some() || !person(&whole), "before a person, and its claims go");
    if stays.is_some() {
        // Whatever was counted, and by whomever.
        let figures = to_keep(&over(7).sale, &over(7).journal).expect("its books agree");
        let order = Archiving { as_of: whole.head.revision, figures };
        play.tell(Event::Archived(Box::new(order))).expect("never refused");
        assert_eq!(play.sale.holds().count(), whole.holds().count());
        assert_eq!(play.sale.head, whole.head);
        return;
    }
    let before = totals(&whole, &play.journal);
    archive(play);
    assert!(play.sale.head.archived.is_some());
    assert_eq!(totals(&play.sale, &[]), before);
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

/// A sale of that number, 7 or more, that is over: Ana paid, Bo did not.
pub fn over(number: u8) -> Play {
    let mut play = Play::numbered(template(), number);
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
    let mut play = over(7);
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
    let mut play = over(7);
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
    let mut play = over(7);
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
    let mut play = over(7);
    let figures = to_keep(&play.sale, &play.journal).expect("its books agree");
    for as_of in [play.sale.head.revision - 1, play.sale.head.revision + 1] {
        let order = Archiving { as_of, figures };
        play.tell(Event::Archived(Box::new(order))).expect("never refused");
        assert!(play.sale.head.archived.is_none());
    }
}

/// Ana pays for two after her page took five seconds, Bo's time runs out, Cy was in line and left,
/// and a page was made ahead that nobody had.
fn busy() -> Play {
    let mut play = Play::open(Template { per_buyer: 2, warm: 2, ..template() });
    let two = Claim { units: 2, ..Play::claim_of("ana") };
    let ana = play.claims(two).expect("free");
    play.pass(Span::from_secs(5));
    play.work();
    play.claim("bo").expect("free");
    play.work();
    play.joins(Play::claim_of("cy")).expect("all is held");
    play.pay(ana);
    play.run_out();
    play
}

#[test]
fn what_is_kept_is_what_was_counted() {
    let mut play = busy();
    let (lines, holds) = (play.journal.len(), play.sale.holds().count());
    let kept = to_keep(&play.sale, &play.journal).expect("its books agree");
    let funnel = Funnel { clicked: Some(3), held: Some(2), paid: 1, kept: 1 };
    assert_eq!((kept.claimed, kept.lapsed, kept.funnel), (3, 2, funnel));
    assert!(holds > 3, "somebody else's page");
    assert_eq!((kept.delay.count, kept.delay.p50, kept.delay.max), (2, 0, 5000));
    assert_eq!((kept.commits as usize, kept.taken_max), (lines, 3));
    let before = totals(&play.sale, &play.journal);
    let proof = prove(&play.sale, &play.journal);
    archive(&mut play);
    assert_eq!(totals(&play.sale, &[]), before);
    let archived = play.sale.head.archived.clone().expect("archived");
    assert_eq!((archived.figures, archived.revision), (kept, play.sale.head.revision));
    let proven = prove(&play.sale, &play.journal[lines..]);
    assert_eq!((proven.commits, proven.taken_max), (proof.commits, proof.taken_max));
    assert_eq!((proven.oversold, proven.wrong.as_slice()), (0, &[][..]));
    // The buyer's hold is gone with its units, and what the money was for stands beside it.
    assert_eq!(
        play.sale.payments().map(|one| play.sale.units_of(one)).sum::<Option<u32>>(),
        Some(2)
    );
    // What was said before it is not there; if it is, as after a kill, nothing of it counts.
    assert_eq!(prove(&play.sale, &play.journal), proven);
}

#[test]
fn what_stayed_of_an_archived_sale_is_still_held_to_its_books() {
    let mut play = busy();
    archive(&mut play);
    let fact = PaymentFact { hold: None, ..play.payments[0].clone() };
    play.deliver(&PaymentFact { id: "late".into(), ..fact });
    let (sale, journal) = (play.sale.clone(), play.journal.split_off(play.journal.len() - 2));
    let wrong = |sale: &Sale, journal: &[JournalLine]| prove(sale, journal).wrong.join("; ");
    assert_eq!(wrong(&sale, &journal), "");
    assert!(wrong(&sale, &journal[..1]).contains("the journal ends at revision"));
    let twice = [journal[0].clone(), journal[1].clone(), journal[1].clone()];
    assert!(wrong(&sale, &twice).contains("comes after"));
    let mut more = sale.clone();
    more.payments.values_mut().for_each(|one| one.units = Some(3));
    assert!(wrong(&more, &journal).contains("2 units are paid, 3 are kept"));
}

#[test]
fn books_that_do_not_agree_are_no_figures() {
    let play = busy();
    let of = |change: fn(&mut Vec<JournalLine>)| {
        let mut journal = play.journal.clone();
        change(&mut journal);
        to_keep(&play.sale, &journal).expect_err("they do not agree")
    };
    assert!(of(|journal| drop(journal.pop())).contains("the journal ends at"));
    assert!(of(|journal| drop(journal.remove(9))).contains("hold"));
    let fewer = |journal: &mut Vec<JournalLine>| journal.iter_mut().for_each(|line| line.stock = 2);
    assert!(of(fewer).contains("1 units were sold above the stock"));
    let aside =
        |journal: &mut Vec<JournalLine>| journal[3].quarantined = Some("it broke".to_owned());
    assert!(of(aside).contains("set aside"));
}

/// What is said of a sale that was over, changed a little.
fn held_back(change: impl Fn(&mut Sale)) -> Option<&'static str> {
    let mut sale = over(7).sale;
    change(&mut sale);
    stays_whole(&sale)
}

#[test]
fn whatever_is_not_settled_by_its_head_keeps_a_sale_whole() {
    let settled = "something of it is not settled";
    let left = "something of it may be left at the provider";
    let changes: [(fn(&mut Head), _); 9] = [
        (
            |head| head.phase = Phase::Closing { end: head.phase.end().expect("over") },
            "it is not closed",
        ),
        (|head| head.listing = ListingState::Left { listing: None }, left),
        (|head| head.listing = ListingState::Making, left),
        (|head| head.short = 1, "more was promised than was there"),
        (|head| head.tally.unsettled = 1, settled),
        (|head| head.tally.warm = 1, settled),
        (|head| head.tally.waiting = 1, settled),
        (|head| head.parts = 1, settled),
        (|head| head.tally.lapsed = 1, "the counters differ from the holds"),
    ];
    for (n, (change, why)) in changes.into_iter().enumerate() {
        assert_eq!(held_back(|sale| change(&mut sale.head)), Some(why), "{n}");
        let mut head = over(7).sale.head;
        assert_eq!(stays_whole_by_head(&head), None);
        change(&mut head);
        assert_eq!(stays_whole_by_head(&head), Some(why).filter(|_| n != 8), "{n}");
    }
    let at = Timestamp::from_millis(0);
    let coming: [fn(&mut Head, Timestamp); 3] = [
        |head, at| head.warm_again_at = Some(at),
        |head, at| head.parts_until = Some(at),
        |head, at| head.count = Some(PendingCount { count: 0, at, act_at: at }),
    ];
    for change in coming {
        let why = held_back(|sale| change(&mut sale.head, at));
        assert_eq!(why, Some("something of it is still to come"));
    }
}

#[test]
fn a_payment_that_may_still_move_keeps_its_sale_whole() {
    let why = |change: &dyn Fn(&mut Payment)| {
        held_back(|sale| sale.payments.values_mut().for_each(change))
    };
    let unsettled = Some("a payment is not settled, or is before a person");
    let refund = |status| Fate::Refund { why: RefundReason::Double, status, refund: None };
    let person = Fate::Person { why: "it fell".to_owned() };
    let asked = refund(RefundStatus::Requested);
    for fate in [Fate::Pending, Fate::Part, person, asked, refund(RefundStatus::Failed)] {
        assert_eq!(why(&|one| one.fate = fate.clone()), unsettled, "{fate:?}");
    }
    for what in [Reversed::Refund, Reversed::KeptPayment, Reversed::Payment] {
        assert_eq!(why(&|one| one.reversed = Some(what)), unsettled, "{what:?}");
    }
    assert_eq!(why(&|one| one.fate = refund(RefundStatus::Done)), None);
    let came_to_nothing = |one: &mut Payment| {
        one.fate = Fate::Pending;
        one.fact.status = PaymentStatus::Failed;
    };
    assert_eq!(why(&came_to_nothing), None);
}

#[test]
fn a_page_on_which_somebody_may_still_pay_keeps_its_sale_whole() {
    let open = Some("a payment page of it was never closed");
    fn hold(sale: &mut Sale, n: usize) -> &mut Hold {
        Arc::make_mut(
            sale.holds.values_mut().filter(|hold| hold.buyer.is_some()).nth(n).expect("one"),
        )
    }
    fn payment(sale: &mut Sale) -> &mut Payment {
        sale.payments.values_mut().next().expect("Ana's")
    }
    // Ana's page was paid, Bo's was closed.
    assert_eq!(held_back(|_| {}), None);
    assert!(!hold(&mut over(7).sale, 0).checkouts[0].closed);
    assert_eq!(held_back(|sale| hold(sale, 1).checkouts[0].closed = false), open);
    assert_eq!(held_back(|sale| hold(sale, 1).making.push(2)), open);
    assert_eq!(held_back(|sale| hold(sale, 1).state = HoldState::Discarding), open);
    // The only page of what was paid was paid, however the payment was told.
    assert_eq!(held_back(|sale| payment(sale).fact.checkout = None), None);
    // Of several, the one that was paid on.
    let second = |sale: &mut Sale, closed| {
        let ana = hold(sale, 0);
        let page = Checkout { id: "second".into(), closed, ..ana.checkouts[0].clone() };
        ana.checkouts.push(page);
    };
    let of_two = |change: &dyn Fn(&mut Sale)| {
        held_back(|sale| {
            second(sale, true);
            change(sale);
        })
    };
    assert_eq!(held_back(|sale| second(sale, false)), open);
    assert_eq!(of_two(&|_| {}), None);
    assert_eq!(of_two(&|sale| payment(sale).fact.checkout = None), open);
    assert_eq!(of_two(&|sale| payment(sale).hold = None), open);
    let by_order = |sale: &mut Sale| {
        payment(sale).fact.checkout = None;
        payment(sale).fact.order = Some("O1".to_owned());
        hold(sale, 0).checkouts[0].order = Some("O1".to_owned());
    };
    assert_eq!(of_two(&by_order), None);
    let failed = |sale: &mut Sale| {
        payment(sale).fact.status = PaymentStatus::Failed;
        payment(sale).fate = Fate::Pending;
    };
    assert_eq!(of_two(&failed), open);
}

/// The lines about payments before a person.
fn decisions(play: &mut Play) -> Vec<String> {
    play.work();
    let heard = play.heard("console").into_iter();
    heard.filter(|line| line.contains("needs your decision")).collect()
}

#[test]
fn a_unit_is_said_to_stay_reserved_only_where_one_does() {
    let (reserved, none) = ("its unit stays reserved", "no unit is reserved for it");
    // Another amount on a hold of its own.
    let mut play = Play::open(template());
    let ana = play.claim("ana").expect("free");
    play.work();
    let fact = play.money(ana, usd("40"));
    play.deliver(&fact);
    assert!(decisions(&mut play)[0].ends_with(reserved));
    // Paid twice, and the second cannot go back: the unit is there for the first.
    let bo = play.claim("bo").expect("free");
    play.work();
    play.pay(bo);
    let twice = play.money(bo, usd("18"));
    play.deliver(&twice);
    let refund = RefundFact {
        payment: twice.id,
        refund: None,
        status: RefundStatus::Failed,
        amount: None,
        says: None,
        as_of: None,
    };
    play.tell(Event::RefundMoved(refund)).expect("taken");
    assert!(decisions(&mut play)[1].ends_with(none));
    // Of no claim at all; and of an archived sale, where nothing can be.
    let fact = PaymentFact { id: "stray".into(), hold: None, ..fact };
    play.deliver(&fact);
    assert!(decisions(&mut play)[2].ends_with(none));
    let mut play = over(7);
    let fact = PaymentFact { id: "late".into(), ..play.payments[0].clone() };
    archive(&mut play);
    play.deliver(&fact);
    let heard = decisions(&mut play);
    assert!(heard[0].contains("after this sale was archived on 2026-01-01"), "{heard:?}");
    assert!(heard[0].ends_with(none), "{heard:?}");
}
