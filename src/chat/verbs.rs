//! Verbs that change something.

use std::sync::Arc;

use super::{Chat, No, answer, seen};
use crate::{
    engine::{Origin, StartOrder, TellError, Told},
    id::{Buyer, SaleId},
    notice::text,
    platform::Reply,
    provider::carries,
    room::Message,
    sale::{
        Phase, Sale,
        event::Event,
        refusal::Refusal,
        template::{Overrides, Template},
    },
    shop::{ASK_FOR, Shop, UNDO_FOR},
    view::View,
};

impl Chat {
    pub(super) async fn start(
        &self,
        message: &Message,
        name: &str,
        overrides: &Overrides,
        arm: bool,
    ) -> Result<Reply, No> {
        let template = self.template(name, overrides)?;
        let view = self.begin(message, template, arm).await?;
        let how = if arm { "Arming" } else { "Preparing" };
        Ok(Reply::line(begun(how, &view)))
    }

    /// A template with what varies this time.
    fn template(&self, name: &str, overrides: &Overrides) -> Result<Template, No> {
        let templates = self.templates();
        let template = templates.get(name).ok_or(No::Say(format!("No template {name}.")))?;
        Ok(template.with(overrides)?)
    }

    async fn begin(
        &self,
        message: &Message,
        template: Template,
        arm: bool,
    ) -> Result<Arc<View>, No> {
        if let Some(provider) = self.engine.provider(&template.provider) {
            carries(provider.as_ref(), &template).map_err(No::Say)?;
        }
        let order = StartOrder {
            template,
            rooms: self.rooms.clone(),
            mod_rooms: self.mod_rooms.clone(),
            by: message.user.clone(),
            asked_in: message.room.clone(),
            arm,
            seen: Some(seen(message)),
        };
        let view = self.engine.start(&order).await?;
        self.can_undo(message, view.id, Event::Stopped).await;
        Ok(view)
    }

    /// Makes a sale ready and opens it when the running one ends.
    pub(super) async fn next(
        &self,
        message: &Message,
        name: &str,
        overrides: &Overrides,
    ) -> Result<Reply, No> {
        let template = self.template(name, overrides)?;
        let view = self.begin(message, template, true).await?;
        let user = &message.user;
        let queue = |shop: &Shop, now| Some((shop.enqueue(view.id, user, now), ()));
        self.engine.shop_change(queue).await?;
        Ok(Reply::line(begun("Next, when nothing else is on:", &view)))
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
        let view = self.begin(message, template, false).await?;
        Ok(Reply::line(begun("Preparing", &view)))
    }

    pub(super) async fn open(&self, message: &Message, number: u32) -> Result<Reply, No> {
        let sale = self.numbered(number).await?;
        let told = self.tell(message, sale, Event::Opened).await?;
        Ok(Reply::line(format!("Opening #{} {}", told.view.number, text::plain(&told.view.title))))
    }

    pub(super) async fn stop(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale)?;
        let touched = self.engine.look(view.id, live_holds).await?;
        if touched > 0 {
            let what = format!(
                "{} hold something in #{} {}; their pages would be closed now",
                people(touched),
                view.number,
                text::plain(&view.title)
            );
            return self.ask(message, view.id, Event::Stopped, &what).await;
        }
        let told = self.tell(message, view.id, Event::Stopped).await?;
        Ok(Reply::line(format!("Stopping #{}", told.view.number)))
    }

    pub(super) async fn extend(
        &self,
        message: &Message,
        sale: Option<u32>,
        by_ms: i64,
    ) -> Result<Reply, No> {
        let view = self.running(sale)?;
        let event = Event::Extended { by_ms };
        if by_ms < 0 {
            let touched = self.engine.look(view.id, live_holds).await?;
            if touched > 0 {
                let what = format!("{} may get less time to pay", people(touched));
                return self.ask(message, view.id, event, &what).await;
            }
        }
        let told = self.tell(message, view.id, event).await?;
        self.can_undo(message, view.id, Event::Extended { by_ms: -by_ms }).await;
        Ok(Reply::line(format!("{} · {}", self.now_ends(&told.view), undo_hint())))
    }

    pub(super) async fn pause(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale)?;
        self.tell(message, view.id, Event::Paused).await?;
        self.can_undo(message, view.id, Event::Resumed).await;
        Ok(Reply::line(format!(
            "Paused #{}. Go on with: !sale resume · {}",
            view.number,
            undo_hint()
        )))
    }

    pub(super) async fn resume(&self, message: &Message, sale: Option<u32>) -> Result<Reply, No> {
        let view = self.running(sale)?;
        let told = self.tell(message, view.id, Event::Resumed).await?;
        Ok(Reply::line(self.now_ends(&told.view)))
    }

    pub(super) async fn restock(
        &self,
        message: &Message,
        sale: Option<u32>,
        units: i64,
    ) -> Result<Reply, No> {
        let view = self.running(sale)?;
        let buyer = Buyer::from(message.user.key());
        let (own, free) = self
            .engine
            .look(view.id, move |sale| {
                (sale.holds_of(&buyer).any(|hold| hold.is_taken()), sale.head.free())
            })
            .await?;
        if own {
            return Err(Refusal::OwnSale.into());
        }
        let event = Event::Restocked { units };
        if units < -i64::from(free) {
            let missing = -units - i64::from(free);
            let what =
                format!("{missing} of these are in buyers' hands; you would be short of them");
            return self.ask(message, view.id, event, &what).await;
        }
        let told = self.tell(message, view.id, event).await?;
        self.can_undo(message, view.id, Event::Restocked { units: -units }).await;
        Ok(Reply::line(format!("{} · {}", stock_now(&told.view), undo_hint())))
    }

    pub(super) async fn undo(&self, message: &Message) -> Result<Reply, No> {
        let user = &message.user;
        let taken = self.engine.shop_change(|shop, now| shop.undo(user, now)).await?;
        let nothing = || {
            No::Say(format!(
                "Nothing to take back: it works for {} after a start, extend, restock or pause.",
                UNDO_FOR.words()
            ))
        };
        let undo = taken.ok_or_else(nothing)?;
        if undo.event == Event::Stopped {
            let touched = self.engine.look(undo.sale, |sale| sale.head.tally.taken()).await?;
            if touched > 0 {
                return Err(No::Say(
                    "Somebody holds one already. To end it all the same: !sale stop".to_owned(),
                ));
            }
        }
        let told = self.tell(message, undo.sale, undo.event).await?;
        Ok(Reply::line(format!(
            "Taken back · {}",
            text::status_line(&told.view, self.engine.now())
        )))
    }

    pub(super) async fn yes(&self, message: &Message) -> Result<Reply, No> {
        let (user, room) = (&message.user, &message.room);
        let taken = self.engine.shop_change(|shop, now| shop.confirm(user, room, now)).await?;
        let ask = taken.ok_or_else(|| {
            No::Say("Nothing of yours waits for a yes here (any more).".to_owned())
        })?;
        let told = self.tell(message, ask.sale, ask.event).await?;
        Ok(Reply::line(format!("Done · {}", text::status_line(&told.view, self.engine.now()))))
    }

    /// Asks for a *yes* before something that touches other people's holds.
    async fn ask(
        &self,
        message: &Message,
        sale: SaleId,
        event: Event,
        what: &str,
    ) -> Result<Reply, No> {
        if !self.first_to_hear(message).await {
            return Err(No::Repeated);
        }
        let (user, room) = (&message.user, &message.room);
        let ask = |shop: &Shop, now| Some((shop.ask(user, room, sale, event.clone(), now), ()));
        self.engine.shop_change(ask).await?;
        let line = format!("{what}. To do it, say within {}: !sale yes", ASK_FOR.words());
        Ok(Reply { confirm: true, ..Reply::line(line) })
    }

    async fn can_undo(&self, message: &Message, sale: SaleId, event: Event) {
        let user = &message.user;
        let note = |shop: &Shop, now| Some((shop.can_undo(user, sale, event.clone(), now), ()));
        if let Err(error) = self.engine.shop_change(note).await {
            tracing::warn!(%error, "an undo could not be noted");
        }
    }

    async fn tell(&self, message: &Message, sale: SaleId, event: Event) -> Result<Told, No> {
        let by = message.user.key();
        match self.engine.tell(sale, event, &by, Origin::Seen(seen(message))).await {
            Err(TellError::Refused(refusal)) => Err(No::Refused(text::refusal(&refusal))),
            told => Ok(told?),
        }
    }

    fn now_ends(&self, view: &View) -> String {
        let left = text::time_left(view, self.engine.now()).unwrap_or_default();
        format!("#{} ends in {}", view.number, left.words())
    }

    /// The sale a verb means: by number, or the only one that is not over.
    pub(super) fn running(&self, number: Option<u32>) -> Result<Arc<View>, No> {
        let live: Vec<_> = self.engine.views().live();
        if let Some(number) = number {
            let found = live.iter().find(|view| view.number == number).cloned();
            return found.ok_or_else(|| answer::no_such_sale(number, &live));
        }
        let running: Vec<_> = live.into_iter().filter(|view| !view.state.is_over()).collect();
        match running.as_slice() {
            [] => Err(No::Say("Nothing is running. Start something: !sale list".to_owned())),
            [one] => Ok(one.clone()),
            several => Err(answer::which(several)),
        }
    }

    async fn numbered(&self, number: u32) -> Result<SaleId, No> {
        let found = self.engine.store().sale_numbered(number).await;
        found
            .map_err(|error| No::Say(format!("Nothing was changed: {error}.")))?
            .ok_or_else(|| No::Say(format!("There is no sale #{number}. See !sale list")))
    }
}

fn begun(how: &str, view: &View) -> String {
    format!(
        "{how} #{} {} · {} × {} for {} · take it back with: !sale undo",
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

fn people(n: u32) -> String {
    if n == 1 { "1 buyer".to_owned() } else { format!("{n} buyers") }
}

fn stock_now(view: &View) -> String {
    let mut line = format!("#{} has {} in all, {} left", view.number, view.stock, view.left);
    if view.short > 0 {
        line.push_str(&format!(", SHORT of {}", view.short));
    }
    line
}

fn undo_hint() -> &'static str {
    "take it back with: !sale undo"
}
