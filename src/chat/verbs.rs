//! Verbs that change something.

use std::sync::Arc;

use super::{Chat, No, answer, deed, seen};
use crate::{
    engine::{Origin, StartOrder, TellError, Told},
    id::SaleId,
    notice::text,
    platform::Reply,
    provider::carries,
    room::Message,
    sale::{
        Phase, Sale,
        event::{Event, Start},
        refusal::Refusal,
        template::{Overrides, Template},
    },
    shop::{AskedStart, Outcome, Shop},
    view::{State, View},
};

/// How a sale begins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// It opens as soon as it is ready.
    Start,
    /// It waits for a word.
    Arm,
    /// It waits until nothing else is being sold.
    Next,
}

impl How {
    fn word(self) -> &'static str {
        match self {
            Self::Start => "Preparing",
            Self::Arm => "Arming",
            Self::Next => "Queued",
        }
    }
}

impl Chat {
    pub(super) async fn start(
        &self,
        message: &Message,
        name: &str,
        overrides: &Overrides,
        how: How,
    ) -> Result<Reply, No> {
        let template = self.template(name, overrides)?;
        self.begin(message, template, how).await
    }

    /// A template with what varies this time.
    pub(super) fn template(&self, name: &str, overrides: &Overrides) -> Result<Template, No> {
        let templates = self.templates();
        let template = templates.get(name).ok_or(No::Say(format!("No template {name}.")))?;
        Ok(template.with(overrides)?)
    }

    /// Starts a sale, unless its price is doubtful: that is asked about first.
    async fn begin(&self, message: &Message, template: Template, how: How) -> Result<Reply, No> {
        if let Some(provider) = self.engine.provider(&template.provider) {
            carries(provider.as_ref(), &template).map_err(No::Say)?;
        }
        let dear = template.too_dear();
        let order = StartOrder {
            template,
            rooms: self.rooms.clone(),
            mod_rooms: self.mod_rooms.clone(),
            by: message.user.clone(),
            asked_in: message.room.clone(),
            arm: how != How::Start,
            second: false,
            seen: Some(seen(message)),
        };
        if let Some(max) = dear {
            let template = &order.template;
            let what = format!(
                "{} for {}: that is more than {max} (max_price of the template). To confirm, type !sale yes within",
                text::plain(&template.title),
                template.price
            );
            return self.ask_start(message, &order, how, false, &what).await;
        }
        self.order(message, &order, how).await
    }

    async fn order(&self, message: &Message, order: &StartOrder, how: How) -> Result<Reply, No> {
        let view = match self.engine.start(order).await {
            Err(TellError::Refused(on @ Refusal::OnAlready { .. })) => {
                let what = format!(
                    "{} A second one? To confirm, type !sale yes within",
                    text::refusal(&on)
                );
                return self.ask_start(message, order, how, true, &what).await;
            }
            started => started?,
        };
        self.ended(message, Outcome::Back(view.id, Event::Stopped)).await;
        let begun = begun(how, &view);
        if how != How::Next {
            return Ok(Reply::line(begun));
        }
        let user = &message.user;
        let queue = |shop: &Shop, now| {
            let next = shop.enqueue(view.id, user, now);
            let waits = next.queue_held.then(|| next.queue.first().map(|first| first.sale));
            Some((next, waits.flatten()))
        };
        let waits = self.engine.shop_change(queue).await?.flatten();
        let waits = waits.and_then(|first| self.engine.views().get(first));
        let waits = waits.map(|first| deed::queue_waits(&first));
        Ok(Reply::lines([begun].into_iter().chain(waits).collect()))
    }

    async fn ask_start(
        &self,
        message: &Message,
        order: &StartOrder,
        how: How,
        second: bool,
        what: &str,
    ) -> Result<Reply, No> {
        let provider = self.engine.provider(&order.template.provider);
        let provider = provider.ok_or(No::from(TellError::Unknown))?;
        let start = Start {
            // A sale that is not there yet has neither.
            id: SaleId::new(self.engine.now(), [0; 16]),
            number: 0,
            template: Arc::new(order.template.clone()),
            capabilities: provider.capabilities(),
            rooms: order.rooms.clone(),
            mod_rooms: order.mod_rooms.clone(),
            by: order.by.clone(),
            asked_in: order.asked_in.clone(),
            arm: order.arm,
        };
        let asked = AskedStart { queued: how == How::Next, second };
        let about = (start.id, Event::Started(Box::new(start)), Some(asked));
        self.asks(message, about, &[], what).await
    }

    /// Starts what was asked about.
    pub(super) async fn start_as_asked(
        &self,
        message: &Message,
        start: &Start,
        asked: AskedStart,
    ) -> Result<Reply, No> {
        let order = StartOrder {
            template: (*start.template).clone(),
            rooms: start.rooms.clone(),
            mod_rooms: start.mod_rooms.clone(),
            by: start.by.clone(),
            asked_in: start.asked_in.clone(),
            arm: start.arm,
            second: asked.second,
            seen: Some(seen(message)),
        };
        let how = match (asked.queued, start.arm) {
            (true, _) => How::Next,
            (false, true) => How::Arm,
            (false, false) => How::Start,
        };
        self.order(message, &order, how).await
    }

    /// Starts the last sale once more, as it was.
    pub(super) async fn again(&self, message: &Message) -> Result<Reply, No> {
        let last = self.engine.views().all().into_iter().find(|view| view.state.is_over());
        let last = last.ok_or_else(|| No::Say("There is no sale to repeat so far.".to_owned()))?;
        let template = self.engine.look(last.id, |sale| (*sale.head.template).clone()).await?;
        let templates = self.templates();
        let today = templates.get(&template.name).ok_or_else(|| {
            No::Say(format!("There is no template {} any more.", text::plain(&template.name)))
        })?;
        // As it was, inside the bounds of today.
        let template = Template { bounds: today.bounds, ..template };
        let template = template.with(&Overrides::default())?;
        self.begin(message, template, How::Start).await
    }

    pub(super) async fn open(&self, message: &Message, number: u32) -> Result<Reply, No> {
        let sale = self.numbered(number).await?;
        let told = self.does(message, sale, Event::Opened).await?;
        // This is the word that the queue may wait for.
        self.engine.shop_change(|shop, now| shop.release_queue(now).map(|shop| (shop, ()))).await?;
        Ok(Reply::line(format!("Opening #{} {}", told.view.number, text::plain(&told.view.title))))
    }

    pub(super) async fn stop(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale, |_| true)?;
        let touched = self.engine.look(view.id, live_holds).await?;
        if touched > 0 {
            let what = format!(
                "{} in #{} {}; stopping closes their payment pages",
                checking_out(touched),
                view.number,
                text::plain(&view.title)
            );
            return self.ask(message, view.id, Event::Stopped, &what).await;
        }
        let queue = self.hold_queue(view.id).await?;
        let told = self.does(message, view.id, Event::Stopped).await?;
        let line = format!("Stopping #{}", told.view.number);
        Ok(Reply::lines([line].into_iter().chain(queue).collect()))
    }

    /// Ends every sale, those that wait included, after one *yes*.
    pub(super) async fn stop_all(&self, message: &Message) -> Result<Reply, No> {
        let live = self.engine.shown_live();
        let on: Vec<_> = live.into_iter().filter(|view| !view.state.is_over()).collect();
        let [first, also @ ..] = on.as_slice() else { return self.stop(message, None).await };
        if also.is_empty() {
            return self.stop(message, Some(first.number)).await;
        }
        let also: Vec<SaleId> = also.iter().map(|view| view.id).collect();
        let what = format!(
            "This ends {} sales and closes their payment pages: {}. To confirm, type !sale yes within",
            on.len(),
            answer::names(&on)
        );
        self.asks(message, (first.id, Event::Stopped, None), &also, &what).await
    }

    pub(super) async fn extend(
        &self,
        message: &Message,
        sale: Option<u32>,
        by_ms: i64,
    ) -> Result<Reply, No> {
        let view = self.running(sale, |_| true)?;
        let event = Event::Extended { by_ms };
        if by_ms < 0 {
            let touched = self.engine.look(view.id, live_holds).await?;
            if touched > 0 {
                let what = format!("{} may get less time to pay", people(touched));
                return self.ask(message, view.id, event, &what).await;
            }
        }
        let told = self.does(message, view.id, event).await?;
        Ok(Reply::line(format!("{} · {}", self.now_ends(&told.view), undo_hint())))
    }

    pub(super) async fn pause(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale, |state| state != State::Paused)?;
        self.does(message, view.id, Event::Paused).await?;
        Ok(Reply::line(format!(
            "Paused #{}. Go on with: !sale resume · {}",
            view.number,
            undo_hint()
        )))
    }

    pub(super) async fn resume(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale, |state| state == State::Paused)?;
        let told = self.does(message, view.id, Event::Resumed).await?;
        Ok(Reply::line(self.now_ends(&told.view)))
    }

    pub(super) async fn restock(
        &self,
        message: &Message,
        sale: Option<u32>,
        units: i64,
    ) -> Result<Reply, No> {
        let view = self.running(sale, |_| true)?;
        let free = self.free_to_change(message, view.id).await?;
        let event = Event::Restocked { units };
        let some_stay = i64::from(view.stock).saturating_add(units) > 0;
        if some_stay && units < -i64::from(free) {
            let missing = -units - i64::from(free);
            let are = if missing == 1 { "of them is" } else { "of them are" };
            let what =
                format!("{missing} {are} already reserved or sold; you'd be {missing} short");
            return self.ask(message, view.id, event, &what).await;
        }
        let told = self.does(message, view.id, event).await?;
        Ok(Reply::line(format!("{} · {}", stock_now(&told.view), undo_hint())))
    }

    /// Tells a sale, and notes what takes it back.
    async fn does(&self, message: &Message, sale: SaleId, event: Event) -> Result<Told, No> {
        let told = self.tell(message, sale, event.clone()).await?;
        self.ended(message, deed::outcome(&told.view, &event)).await;
        Ok(told)
    }

    pub(super) async fn tell(
        &self,
        message: &Message,
        sale: SaleId,
        event: Event,
    ) -> Result<Told, No> {
        let by = message.user.signature();
        match self.engine.tell(sale, event, &by, Origin::Seen(seen(message))).await {
            Err(TellError::Refused(refusal)) => Err(No::Refused(text::refusal(&refusal))),
            told => Ok(told?),
        }
    }

    fn now_ends(&self, view: &View) -> String {
        let left = text::time_left(view, self.engine.now()).unwrap_or_default();
        format!("#{} ends in {}", view.number, left.words())
    }

    /// The sale a verb means: by number; or the only one that is not over; or the only one that is
    /// being sold, whatever waits; or the only one of those that the verb can be for.
    pub(super) fn running(
        &self,
        number: Option<u32>,
        fits: impl Fn(State) -> bool,
    ) -> Result<Arc<View>, No> {
        let live = self.engine.shown_live();
        if let Some(number) = number {
            let found = live.iter().find(|view| view.number == number).cloned();
            return found.ok_or_else(|| answer::not_running(number, &self.engine.shown()));
        }
        let running: Vec<_> = live.into_iter().filter(|view| !view.state.is_over()).collect();
        let sold =
            |view: &&Arc<View>| matches!(view.state, State::Open | State::AllHeld | State::Paused);
        let only = |some: Vec<&Arc<View>>| match some.as_slice() {
            [one] => Some((*one).clone()),
            _ => None,
        };
        if running.is_empty() {
            return Err(No::Say("Nothing is running. Start something: !sale list".to_owned()));
        }
        only(running.iter().collect())
            .or_else(|| only(running.iter().filter(sold).collect()))
            .or_else(|| only(running.iter().filter(sold).filter(|v| fits(v.state)).collect()))
            .ok_or_else(|| answer::which(&running))
    }

    async fn numbered(&self, number: u32) -> Result<SaleId, No> {
        let found = self.engine.store().sale_numbered(number).await;
        found
            .map_err(|error| No::Say(format!("Nothing was changed: {error}.")))?
            .ok_or_else(|| No::Say(format!("There is no sale #{number}. See !sale list")))
    }
}

fn begun(how: How, view: &View) -> String {
    let when = if how == How::Next { "; opens when nothing else is on" } else { "" };
    format!(
        "{} #{} {} · {} × {} for {}{when} · undo with: !sale undo",
        how.word(),
        view.number,
        text::plain(&view.title),
        view.stock,
        view.price,
        view.length.words(),
    )
}

fn live_holds(sale: &Sale) -> u32 {
    match sale.head.phase {
        Phase::Closing { .. } | Phase::Closed { .. } => 0,
        _ => sale.head.tally.unsettled,
    }
}

fn checking_out(n: u32) -> String {
    format!("{} {} checking out", people(n), if n == 1 { "is" } else { "are" })
}

fn people(n: u32) -> String {
    text::counted(n.into(), "buyer")
}

fn stock_now(view: &View) -> String {
    let mut line = format!("#{} has {} in all, {} left", view.number, view.stock, view.left);
    if view.short > 0 {
        line.push_str(&format!(", {} short", view.short));
    }
    line
}

fn undo_hint() -> &'static str {
    "undo with: !sale undo"
}
