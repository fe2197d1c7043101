//! A sale on a table: a model provider, a hand-moved clock, and what happened so far.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::{
    clock::{Span, Timestamp},
    id::{Buyer, CheckoutId, HoldId, PaymentId, SaleId},
    money::Money,
    notice::Notice,
    room::{PlatformName, Room, User},
    sale::{
        Decision, Phase, Sale, decide,
        effect::Effect,
        event::{Claim, ClaimLimits, CloseAnswer, Event, Listing, Start, Verdict},
        hold::{Checkout, Hold},
        offer::{Choice, CodeList, Extras, Offers, Special, Upsell, Value, Whose},
        payment::{PaymentFact, PaymentStatus, RefundFact, RefundStatus},
        refusal::Refusal,
        start,
        template::{Bounds, Capabilities, CheckoutShape, Delivery, RefundKind, Template},
    },
    store::JournalLine,
};

pub fn usd(text: &str) -> Money {
    Money::parse(text, "USD".parse().expect("a currency")).expect("an amount")
}

pub fn template() -> Template {
    Template {
        name: "mug".into(),
        title: "Fern Mug".into(),
        description: String::new(),
        image: None,
        price: usd("18"),
        stock: 3,
        duration: Span::from_mins(10),
        provider: "model".into(),
        checkout: CheckoutShape::PerBuyer,
        hold: Span::from_mins(3),
        grace: Span::from_mins(2),
        arm_ttl: Span::from_mins(120),
        ready_limit: Span::from_secs(60),
        opening_limit: Span::from_mins(5),
        per_buyer: 1,
        warm: 0,
        delivery: vec![],
        ask: vec![],
        offers: Offers::default(),
        bounds: Bounds {
            max_stock: 10,
            max_duration: Span::from_mins(30),
            min_price: usd("5"),
            max_price: None,
            sales_per_hour: 4,
        },
        options: serde_json::Value::Null,
    }
}

pub fn delivery(name: &str, fee: &str) -> Delivery {
    Delivery { name: name.into(), label: name.into(), fee: usd(fee), ask_address: name == "ship" }
}

/// Two sizes, a few stickers, a card for every order, and a price for friends.
pub fn offers(stickers: u32) -> Offers {
    let value = |name: &str, add| Value { name: name.into(), label: name.into(), add: usd(add) };
    let upsell = |label: &str, price, stock| Upsell {
        name: label.to_lowercase(),
        label: label.into(),
        price: usd(price),
        stock,
    };
    let list = CodeList { name: "friends".into(), once: true };
    Offers {
        options: vec![Choice {
            name: "size".into(),
            label: "Size".into(),
            values: vec![value("M", "0"), value("XL", "2.50")],
        }],
        upsells: vec![upsell("Sticker", "4", Some(stickers)), upsell("Card", "1", None)],
        condition: None,
        specials: vec![Special { price: usd("12"), of: Whose::List(list) }],
    }
}

pub fn capabilities() -> Capabilities {
    Capabilities {
        per_buyer: true,
        shared: true,
        revocable: true,
        refund: RefundKind::Instant,
        idempotent: true,
        units: true,
        physical: true,
        any_amount: true,
        add_ons: true,
        prefill: true,
        splits: true,
        real_money: true,
        retire_after: Span::from_secs(10),
    }
}

pub fn moderator() -> User {
    User { platform: PlatformName::Console, id: "mod".into(), name: "mod".into() }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    Open,
    Paid,
    Closed,
}

/// How the provider answers a close request next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMood {
    Honest,
    Pending,
    Cannot,
}

#[derive(Clone)]
pub struct Play {
    pub sale: Sale,
    pub now: Timestamp,
    /// Work not done yet.
    pub todo: VecDeque<(Effect, Timestamp)>,
    /// The provider's pages.
    pub pages: BTreeMap<CheckoutId, (HoldId, Page, Money)>,
    /// The provider's payments, delivered or not.
    pub payments: Vec<PaymentFact>,
    /// What chat heard.
    pub said: Vec<(Room, Notice)>,
    /// Every event so far, to be repeated out of order.
    pub history: Vec<Event>,
    /// What the store would keep of it.
    pub journal: Vec<JournalLine>,
    pub listings: i32,
    pub payable: bool,
    next: u32,
}

pub const ROOM: &str = "twitch:ana";

impl Play {
    pub fn new(template: Template) -> Self {
        Self::start(template, false)
    }

    pub fn start(template: Template, arm: bool) -> Self {
        Self::begin(template, arm, 7)
    }

    /// An open sale of that number, 7 or more; nothing of it has a name that another's has.
    pub fn numbered(template: Template, number: u8) -> Self {
        let mut play = Self::begin(template, false, number);
        play.work();
        play
    }

    fn begin(template: Template, arm: bool, number: u8) -> Self {
        let now = Timestamp::from_millis(1_767_225_600_000);
        let order = Start {
            id: SaleId::new(now, [number - 6; 16]),
            number: number.into(),
            template: Arc::new(template),
            capabilities: capabilities(),
            rooms: vec![ROOM.parse().expect("a room")],
            mod_rooms: vec![Room::console()],
            by: moderator(),
            asked_in: Room::console(),
            arm,
        };
        let (sale, decision) = start(&order, now).expect("starts");
        let mut play = Self {
            sale,
            now,
            todo: VecDeque::new(),
            pages: BTreeMap::new(),
            payments: Vec::new(),
            said: Vec::new(),
            history: Vec::new(),
            journal: Vec::new(),
            listings: 0,
            payable: true,
            next: u32::from(number - 7) * 1000 + 1,
        };
        play.note(Event::Started(Box::new(order)), &decision);
        play.take(&decision);
        play
    }

    /// A sale that is open, everything due worked off.
    pub fn open(template: Template) -> Self {
        let mut play = Self::new(template);
        play.work();
        assert!(matches!(play.sale.head.phase, Phase::Open { .. }), "{:?}", play.sale.head.phase);
        play
    }

    fn note(&mut self, event: Event, decision: &Decision) {
        self.journal.push(JournalLine {
            revision: decision.head.revision,
            at: decision.head.last_at,
            by: "test".to_owned(),
            stock: decision.head.stock,
            event: Some(Arc::new(event)),
            moves: decision.moves.clone(),
            quarantined: None,
        });
    }

    fn take(&mut self, decision: &Decision) {
        for due in &decision.effects {
            self.todo.push_back((due.effect.clone(), due.at));
        }
    }

    pub fn tell(&mut self, event: Event) -> Result<Option<HoldId>, Refusal> {
        self.history.push(event.clone());
        let before = self.sale.head.revision;
        let decision = decide(&self.sale, &event, self.now)?;
        assert_eq!(decision.changed, decision.head.revision > before);
        self.sale.apply(decision.clone());
        if decision.changed {
            self.note(event.clone(), &decision);
        }
        self.take(&decision);
        if let Err(broken) = self.sale.audit() {
            panic!("{broken} after {event:?}");
        }
        Ok(decision.hold)
    }

    pub fn claim_of(buyer: &str) -> Claim {
        Claim {
            buyer: Buyer::from(buyer),
            buyer_name: None,
            address: None,
            units: 1,
            delivery: None,
            answers: BTreeMap::new(),
            extras: Extras::default(),
            form: None,
            limits: ClaimLimits { per_address: 2, tries: 3 },
        }
    }

    pub fn claim(&mut self, buyer: &str) -> Result<HoldId, Refusal> {
        let claim = Box::new(Self::claim_of(buyer));
        self.tell(Event::Claimed(claim)).map(|hold| hold.expect("a claim is answered with a hold"))
    }

    /// The same for a claim that is more than a name.
    pub fn claims(&mut self, claim: Claim) -> Result<HoldId, Refusal> {
        let told = self.tell(Event::Claimed(Box::new(claim)));
        told.map(|hold| hold.expect("a claim is answered with a hold"))
    }

    /// A viewer joins the line.
    pub fn joins(&mut self, claim: Claim) -> Result<HoldId, Refusal> {
        let told = self.tell(Event::Joined(Box::new(claim)));
        told.map(|hold| hold.expect("whoever waits has a hold"))
    }

    /// The provider lied about closing a page: it can be paid all the same.
    pub fn reopen(&mut self, page: &CheckoutId) {
        self.pages.get_mut(page).expect("known").1 = Page::Open;
    }

    /// How many effects of a kind wait to be done.
    pub fn waiting(&self, kind: impl Fn(&Effect) -> bool) -> usize {
        self.todo.iter().filter(|(effect, _)| kind(effect)).count()
    }

    pub fn hold(&self, id: HoldId) -> &Hold {
        self.sale.hold(id).expect("the hold exists")
    }

    pub fn state(&self, id: HoldId) -> &'static str {
        self.hold(id).state.word()
    }

    /// Lets time pass, tick included.
    pub fn pass(&mut self, span: Span) {
        self.now = self.now + span;
        self.tell(Event::Ticked).expect("a tick is never refused");
    }

    /// Moves to the next deadline or piece of work, whichever comes first.
    pub fn pass_to_next(&mut self) -> bool {
        let work = self.todo.iter().map(|(_, at)| *at).min();
        match [work, self.sale.next_deadline()].into_iter().flatten().min() {
            Some(at) => {
                self.now = self.now.max(at);
                self.tell(Event::Ticked).expect("a tick is never refused");
                true
            }
            None => false,
        }
    }

    /// Does everything that is due, first come first served.
    pub fn work(&mut self) {
        while let Some(at) = self.todo.iter().position(|(_, at)| *at <= self.now) {
            let (effect, _) = self.todo.remove(at).expect("found just now");
            self.perform(&effect, CloseMood::Honest);
        }
    }

    /// Runs until nothing is left to do and no deadline is ahead.
    pub fn run_out(&mut self) {
        for _ in 0..10_000 {
            self.work();
            if !self.pass_to_next() {
                return;
            }
        }
        panic!("no end: {:?} {:?}", self.sale.head, self.todo);
    }

    /// The buyer pays whatever page they hold, deadline or not. Returns the fact, undelivered.
    pub fn pay_page(&mut self, page: &CheckoutId) -> Option<PaymentFact> {
        let (hold, state, total) = self.pages.get_mut(page)?;
        if *state != Page::Open {
            return None;
        }
        if !hold.is_shared() {
            *state = Page::Paid;
        }
        let (hold, amount) = (*hold, *total);
        Some(self.money_on(page, hold, amount))
    }

    /// The buyer pays the first half of a page with a gift card, or then the rest.
    pub fn pay_part(&mut self, page: &CheckoutId) -> Option<PaymentFact> {
        let paid = self.payments.iter().filter(|fact| fact.checkout.as_ref() == Some(page));
        let paid: i64 = paid.map(|fact| fact.amount.minor).sum();
        let (hold, state, total) = self.pages.get_mut(page)?;
        if *state != Page::Open || hold.is_shared() {
            return None;
        }
        if paid > 0 {
            *state = Page::Paid;
        }
        let part = if paid > 0 { total.minor - paid } else { total.minor / 2 };
        let (hold, amount) = (*hold, Money::new(part, total.currency));
        Some(self.money_on(page, hold, amount))
    }

    /// So much more than a page asks for, whatever was paid on it before.
    pub fn pay_other(&mut self, page: &CheckoutId, more: i64) -> PaymentFact {
        let (hold, _, total) = self.pages[page];
        self.money_on(page, hold, Money::new(total.minor + more, total.currency))
    }

    /// Money on a hold whose page may be closed.
    pub fn money(&mut self, hold: HoldId, amount: Money) -> PaymentFact {
        let page = self.page_of(hold);
        self.money_on(&page, hold, amount)
    }

    pub fn money_on(&mut self, page: &CheckoutId, hold: HoldId, amount: Money) -> PaymentFact {
        let fact = PaymentFact {
            fee: None,
            id: PaymentId::from(format!("p{}", self.next)),
            hold: Some(hold),
            checkout: Some(page.clone()),
            order: None,
            amount,
            tip: 0,
            discount: 0,
            as_of: None,
            refunded: 0,
            status: PaymentStatus::Completed,
            at: self.now,
            link: None,
        };
        self.next += 1;
        self.payments.push(fact.clone());
        fact
    }

    pub fn page_of(&self, hold: HoldId) -> CheckoutId {
        let mut pages = self.pages.iter();
        pages.find(|(_, (id, ..))| *id == hold).map(|(page, _)| page.clone()).expect("has a page")
    }

    pub fn pay(&mut self, hold: HoldId) -> PaymentFact {
        let fact = self.pay_page(&self.page_of(hold)).expect("payable");
        self.deliver(&fact);
        fact
    }

    pub fn deliver(&mut self, fact: &PaymentFact) {
        self.tell(Event::PaymentSeen(Box::new(fact.clone()))).expect("money is never refused");
    }

    pub fn fate(&self, fact: &PaymentFact) -> &'static str {
        self.sale.payment(&fact.id).expect("known").fate.word()
    }

    /// Does one effect at the provider and tells the outcome.
    pub fn perform(&mut self, effect: &Effect, mood: CloseMood) {
        if let Some(event) = self.outcome(effect, mood) {
            self.tell(event).expect("outcomes are never refused");
        }
    }

    pub fn outcome(&mut self, effect: &Effect, mood: CloseMood) -> Option<Event> {
        Some(match effect {
            Effect::Provision => {
                self.listings += 1;
                Event::Provisioned { listing: Listing(serde_json::json!({})) }
            }
            Effect::Restock { units } => Event::StockSet { units: *units },
            Effect::OpenCheckout { hold, nth } => {
                if !self.sale.wants(effect) {
                    let says = "not sent".to_owned();
                    return Some(Event::CheckoutRejected { hold: *hold, nth: *nth, says });
                }
                let id = CheckoutId::from(format!("c{}-{nth}-{}", hold.n, self.next));
                self.next += 1;
                let total = self.sale.hold(*hold).expect("known").amount;
                self.pages.insert(id.clone(), (*hold, Page::Open, total));
                Event::CheckoutOpened {
                    hold: *hold,
                    checkout: Checkout {
                        id: id.clone(),
                        nth: *nth,
                        order: None,
                        url: format!("https://pay.example/{id}"),
                        total,
                        made_at: self.now,
                        proven: false,
                        closed: false,
                    },
                }
            }
            Effect::Probe { hold, checkout } => Event::Probed {
                hold: *hold,
                checkout: checkout.clone(),
                verdict: if self.payable {
                    Verdict::Payable
                } else {
                    let says = "out of stock".to_owned();
                    Verdict::NotYet { says, again_after: Span::from_secs(1) }
                },
            },
            Effect::CloseCheckout { hold, nth, checkout } => Event::CheckoutClosed {
                hold: *hold,
                nth: *nth,
                checkout: checkout.clone(),
                answer: self.close(checkout.as_ref(), mood),
            },
            Effect::Retire => {
                self.listings -= 1;
                Event::Retired
            }
            Effect::Refund { payment, amount } => Event::RefundMoved(RefundFact {
                payment: payment.clone(),
                refund: Some("r".to_owned()),
                status: RefundStatus::Done,
                amount: Some(amount.minor),
                says: None,
                as_of: None,
            }),
            Effect::Announce { room, notice } => {
                self.said.push((room.clone(), notice.clone()));
                return None;
            }
        })
    }

    fn close(&mut self, page: Option<&CheckoutId>, mood: CloseMood) -> CloseAnswer {
        let Some((_, state, _)) = page.and_then(|page| self.pages.get_mut(page)) else {
            return CloseAnswer::Closed;
        };
        match (*state, mood) {
            (Page::Paid, _) => {
                let paid = |fact: &&PaymentFact| fact.checkout.as_ref() == page;
                let mut all = self.payments.iter().filter(paid).cloned();
                let payment = Box::new(all.next().expect("paid"));
                CloseAnswer::AlreadyPaid { payment, more: all.collect() }
            }
            (Page::Open, CloseMood::Pending) => CloseAnswer::PaymentPending,
            (Page::Open, CloseMood::Cannot) => CloseAnswer::CannotClose { says: "no".to_owned() },
            (Page::Open | Page::Closed, _) => {
                *state = Page::Closed;
                CloseAnswer::Closed
            }
        }
    }

    /// The lines one room heard, in words.
    pub fn heard(&self, room: &str) -> Vec<String> {
        self.said
            .iter()
            .filter(|(at, _)| at.to_string() == room)
            .map(|(_, notice)| crate::notice::text::line(notice, "LINK"))
            .collect()
    }
}
