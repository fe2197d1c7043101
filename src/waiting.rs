//! Looks after what waits in the shop's row: questions nobody confirmed, and sales queued to open
//! when the running one ends.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio_util::sync::CancellationToken;

use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, Origin, TellError},
    notice::text,
    platform::Platform,
    sale::event::Event,
    shop::{Ask, Queued},
    view::{State, View},
};

/// With nothing due, look again after this long.
const LONGEST_SLEEP: Span = Span::from_secs(30);

/// After a failure, look again after this long.
const AFTER_FAILURE: Span = Span::from_secs(1);

/// Looks after what waits.
pub struct Waiting {
    engine: Engine,
    platforms: Vec<Arc<dyn Platform>>,
    /// Whether a sale waits for another one to end.
    queued: AtomicBool,
}

impl Waiting {
    /// Speaks through `platforms`.
    pub fn new(engine: Engine, platforms: Vec<Arc<dyn Platform>>) -> Self {
        Self { engine, platforms, queued: AtomicBool::new(true) }
    }

    /// Does what is due; answers when the next question runs out.
    ///
    /// # Errors
    /// If the store fails; nothing is lost then.
    pub async fn step(&self) -> Result<Option<Timestamp>, TellError> {
        let shop = self.engine.store().shop().await?;
        self.queued.store(!shop.queue.is_empty(), Ordering::Relaxed);
        if let Some(queued) = shop.queue.first() {
            self.look_after(queued).await?;
        }
        if shop.asks.iter().any(|ask| ask.until <= self.engine.now()) {
            let expired = self.engine.shop_change(|shop, now| shop.expire(now)).await?;
            for ask in expired.unwrap_or_default() {
                self.tell_expired(&ask).await;
            }
        }
        Ok(shop.asks.iter().map(|ask| ask.until).filter(|at| *at > self.engine.now()).min())
    }

    /// Opens the first queued sale once nothing else is being sold.
    async fn look_after(&self, queued: &Queued) -> Result<(), TellError> {
        let views = self.engine.views().live();
        let next = views.iter().find(|view| view.id == queued.sale);
        let busy = |view: &&Arc<View>| {
            matches!(view.state, State::Open | State::AllHeld | State::Paused | State::Arming)
                && view.id != queued.sale
        };
        match next.map(|view| view.state) {
            Some(State::Arming) => return Ok(()),
            Some(State::Armed) if views.iter().any(|view| busy(&view)) => return Ok(()),
            Some(State::Armed) if !self.open(queued).await? => return Ok(()),
            // It is open, never got ready, or was opened or stopped by hand.
            _ => {}
        }
        let sale = queued.sale;
        self.engine.shop_change(|shop, now| shop.unqueue(sale, now).map(|shop| (shop, ()))).await?;
        Ok(())
    }

    /// Opens it, unless the queue waits for a word. Whoever stops a sale notes that before, so it
    /// is read only now that nothing is being sold.
    async fn open(&self, queued: &Queued) -> Result<bool, TellError> {
        if self.engine.store().shop().await?.queue_held {
            return Ok(false);
        }
        match self.engine.tell(queued.sale, Event::Opened, &queued.by, Origin::Any).await {
            // Somebody was faster, or it cannot be opened any more.
            Ok(_) | Err(TellError::Refused(_)) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn tell_expired(&self, ask: &Ask) {
        let platform = self.platforms.iter().find(|p| p.name() == ask.room.platform);
        let Some(platform) = platform else { return };
        let about = match (&ask.event, self.engine.views().get(ask.sale)) {
            (Event::Started(start), _) => format!(" · {}", text::plain(&start.template.title)),
            (_, Some(view)) => format!(" · #{} {}", view.number, text::plain(&view.title)),
            _ => String::new(),
        };
        let line = format!("Not done: nobody said yes in time{about}");
        if let Err(error) = platform.say(&ask.room, &[line]).await {
            tracing::warn!(%error, room = %ask.room, "that a question ran out was not said");
        }
    }

    /// Looks after what waits until stopped.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut views = self.engine.views().bell();
        loop {
            views.borrow_and_update();
            let next = match self.step().await {
                Ok(next) => next.unwrap_or_else(|| self.engine.now() + LONGEST_SLEEP),
                Err(error) => {
                    tracing::error!(%error, "what waits could not be looked after");
                    self.engine.now() + AFTER_FAILURE
                }
            };
            tokio::select! {
                () = self.engine.clock().sleep_until(next) => {}
                // Only who waits for a sale to end has to look whenever one changes.
                _ = views.changed(), if self.queued.load(Ordering::Relaxed) => {}
                () = self.engine.shop_changed() => {}
                () = stop.cancelled() => return,
            }
        }
    }
}
