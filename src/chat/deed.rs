//! What somebody did last: noted before it is done, so that `undo` takes back that or nothing, and
//! never something older; and questions that wait for a *yes*.

use super::{Chat, No, seen};
use crate::{
    engine::TellError,
    id::SaleId,
    notice::text,
    platform::Reply,
    room::Message,
    sale::{event::Event, refusal::Refusal},
    shop::{ASK_FOR, Ask, AskedStart, Deed, Outcome, Shop, Stays, UNDO_FOR, Undo},
    store::Seen,
};

fn deed(message: &Message) -> Deed<'_> {
    Deed { user: &message.user, message: &message.id }
}

/// The message as something that is begun once, apart from its being done once.
fn begun(message: &Message) -> Seen {
    let Seen { source, id } = seen(message);
    Seen { source: format!("begin:{source}"), id }
}

impl Chat {
    /// Notes that a command is about to be done; false if another program began with it already.
    pub(super) async fn begins(&self, message: &Message, verb: &str) -> Result<bool, No> {
        let begins = |shop: &Shop, now| Some((shop.begins(deed(message), verb, now), ()));
        match self.engine.shop_change_once(Some(begun(message)), begins).await {
            Ok(_) => Ok(true),
            Err(TellError::Duplicate) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Notes something that no sale knows of and nothing takes back.
    pub(super) async fn hides_what_was_before(
        &self,
        message: &Message,
        verb: &str,
    ) -> Result<(), No> {
        if self.begins(message, verb).await? {
            let none = SaleId::new(self.engine.now(), [0; 16]);
            let instead = "To end it: !sale rehearse stop".to_owned();
            self.ended(message, Outcome::Never(none, instead)).await;
        }
        Ok(())
    }

    /// Notes how it went.
    pub(super) async fn ended(&self, message: &Message, outcome: Outcome) {
        let ended = |shop: &Shop, now| Some((shop.ended(deed(message), &outcome, now), ()));
        if let Err(error) = self.engine.shop_change(ended).await {
            // An undo says then that it is not sure.
            tracing::warn!(%error, "what can be taken back could not be noted");
        }
    }

    /// Takes the last thing back, or says why it stays.
    pub(super) async fn undo(&self, message: &Message) -> Result<Reply, No> {
        let user = &message.user;
        let take = |shop: &Shop, now| shop.undo(user, now);
        let taken = self.engine.shop_change_once(Some(begun(message)), take).await?;
        let undo = taken.ok_or_else(|| {
            No::Say(format!(
                "Nothing to undo. Undo works once, for {} after your start, extend, restock, pause \
                 or resume.",
                UNDO_FOR.words()
            ))
        })?;
        let Undo { sale, event, verb, stays, .. } = undo;
        match stays {
            None => {}
            Some(Stays::Asked) => {
                let line = format!("Undone: the question about your {verb} is withdrawn.");
                return Ok(Reply::line(line));
            }
            Some(stays) => return Err(No::Say(stays_as_it_is(&verb, &stays))),
        }
        self.may_take_back(message, sale, &event).await?;
        let queue = match event {
            Event::Stopped => self.hold_queue(sale).await?,
            _ => None,
        };
        let told = match self.tell(message, sale, event).await {
            Ok(told) => told,
            Err(No::Refused(why)) => {
                let says = format!("Your {verb} can no longer be undone. {why}");
                return Err(No::Refused(says));
            }
            Err(other) => return Err(other),
        };
        let line = format!("Undone · {}", text::status_line(&told.view, self.engine.now()));
        Ok(Reply::lines([line].into_iter().chain(queue).collect()))
    }

    /// Whether nobody but the asker has to bear it.
    async fn may_take_back(
        &self,
        message: &Message,
        sale: SaleId,
        event: &Event,
    ) -> Result<(), No> {
        match event {
            Event::Stopped => {
                let touched = self.engine.look(sale, |sale| sale.head.tally.taken()).await?;
                if touched > 0 {
                    let says = "Somebody has reserved one already. To end it anyway: !sale stop";
                    return Err(No::Say(says.to_owned()));
                }
            }
            Event::Restocked { units } => {
                let free = self.free_to_change(message, sale).await?;
                if *units < -i64::from(free) {
                    let says = format!(
                        "It can no longer be undone: of those units only {free} are left. \
                         To take them away anyway: !sale restock {units}"
                    );
                    return Err(No::Say(says));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Units nobody has, if the sale's stock is this person's to change.
    pub(super) async fn free_to_change(&self, message: &Message, sale: SaleId) -> Result<u32, No> {
        let buyer = crate::id::Buyer::from(message.user.key());
        let look = move |sale: &crate::sale::Sale| {
            (sale.holds_of(&buyer).any(|hold| hold.is_taken()), sale.head.free())
        };
        match self.engine.look(sale, look).await? {
            (true, _) => Err(Refusal::OwnSale.into()),
            (false, free) => Ok(free),
        }
    }

    /// Has the queue wait for a word because that sale is stopped; the line that says so.
    pub(super) async fn hold_queue(&self, stopped: SaleId) -> Result<Option<String>, No> {
        let held = self.engine.shop_change(|shop, now| shop.hold_queue(stopped, now)).await?;
        let next = held.and_then(|next| self.engine.views().get(next));
        Ok(next.map(|view| queue_waits(&view)))
    }

    /// Does what was asked about.
    pub(super) async fn yes(&self, message: &Message) -> Result<Reply, No> {
        let (user, room) = (&message.user, &message.room);
        let taken = self.engine.shop_change(|shop, now| shop.confirm(user, room, now)).await?;
        let ask = taken.ok_or_else(|| {
            let lasts = ASK_FOR.words();
            No::Say(format!("Nothing to confirm (a question expires after {lasts})."))
        })?;
        if let Event::Started(start) = ask.event {
            return self.start_as_asked(message, &start, ask.start.unwrap_or_default()).await;
        }
        let queue = match ask.event {
            Event::Stopped => self.hold_queue(ask.sale).await?,
            _ => None,
        };
        if !ask.also.is_empty() {
            let line = match self.stop_each(message, &ask).await?.as_slice() {
                [] => "They are over already.".to_owned(),
                numbers => format!("Stopping {}", numbers.join(", ")),
            };
            return Ok(Reply::lines([line].into_iter().chain(queue).collect()));
        }
        let told = self.tell(message, ask.sale, ask.event.clone()).await?;
        self.ended(message, outcome(&told.view, &ask.event)).await;
        let line = format!("Done · {}", text::status_line(&told.view, self.engine.now()));
        Ok(Reply::lines([line].into_iter().chain(queue).collect()))
    }

    /// Stops several sales; the numbers of those that were not over yet, like `#7`.
    async fn stop_each(&self, message: &Message, ask: &Ask) -> Result<Vec<String>, No> {
        let mut numbers = Vec::new();
        for (n, sale) in std::iter::once(&ask.sale).chain(&ask.also).enumerate() {
            // Each sale counts the message once; one that ended meanwhile is as it should be.
            let part = Message { id: format!("{}/{n}", message.id), ..message.clone() };
            match self.tell(&part, *sale, ask.event.clone()).await {
                Ok(told) => numbers.push(format!("#{}", told.view.number)),
                Err(No::Refused(_) | No::Repeated) => {}
                Err(other) => return Err(other),
            }
        }
        let instead = "To start one once more: !sale again".to_owned();
        self.ended(message, Outcome::Never(ask.sale, instead)).await;
        Ok(numbers)
    }

    /// Asks for a *yes* before something that touches other people's holds.
    pub(super) async fn ask(
        &self,
        message: &Message,
        sale: SaleId,
        event: Event,
        what: &str,
    ) -> Result<Reply, No> {
        let what = format!("{what}. To confirm, type !sale yes within");
        self.asks(message, (sale, event, None), &[], &what).await
    }

    /// Asks for a *yes* in these words, which the time and the command end. `also` are further
    /// sales that the same is to happen to.
    pub(super) async fn asks(
        &self,
        message: &Message,
        (sale, event, start): (SaleId, Event, Option<AskedStart>),
        also: &[SaleId],
        what: &str,
    ) -> Result<Reply, No> {
        let also = also.to_vec();
        if !self.first_to_hear(message).await {
            return Err(No::Repeated);
        }
        let (user, room) = (message.user.key(), message.room.clone());
        let ask = Ask { user, room, sale, also, event, start, until: self.engine.now() };
        let note = |shop: &Shop, now| Some((shop.ask(deed(message), ask.clone(), now), ()));
        self.engine.shop_change(note).await?;
        let line = format!("{what} {}.", ASK_FOR.words());
        Ok(Reply { confirm: true, ..Reply::line(line) })
    }
}

/// What takes a thing back that was just done to a sale.
pub(super) fn outcome(view: &crate::view::View, event: &Event) -> Outcome {
    let (sale, number) = (view.id, view.number);
    match event {
        Event::Started(_) => Outcome::Back(sale, Event::Stopped),
        Event::Extended { by_ms } => Outcome::Back(sale, Event::Extended { by_ms: -by_ms }),
        Event::Restocked { units } => Outcome::Back(sale, Event::Restocked { units: -units }),
        Event::Paused => Outcome::Back(sale, Event::Resumed),
        Event::Resumed => Outcome::Back(sale, Event::Paused),
        Event::Opened => Outcome::Never(sale, format!("To end it: !sale stop #{number}")),
        _ => Outcome::Never(sale, "To start it once more: !sale again".to_owned()),
    }
}

/// Says that the queue waits, and for what.
pub(super) fn queue_waits(next: &crate::view::View) -> String {
    let title = text::plain(&next.title);
    format!("The queue waits for your word: #{0} {title} opens with !sale start #{0}", next.number)
}

fn stays_as_it_is(verb: &str, why: &Stays) -> String {
    match why {
        Stays::Refused | Stays::Asked => {
            format!("Nothing to undo: your last command ({verb}) changed nothing.")
        }
        Stays::Unsure => format!(
            "It is not certain whether your {verb} was done. Nothing was undone; look with: \
             !sale status"
        ),
        Stays::Changed => format!(
            "Somebody else changed that sale since your {verb}. Nothing was undone; look \
             with: !sale status"
        ),
        Stays::Never { instead } => format!("Your {verb} cannot be undone. {instead}"),
    }
}
