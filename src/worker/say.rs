//! Carries a state notice to a room.

use std::sync::Arc;

use super::Worker;
use crate::{
    clock::Span,
    engine::TellError,
    notice::{Notice, text},
    platform::{Platform, Post, SayError},
    sale::{effect::Effect, event::Event},
    store::Leased,
    view::State,
};

/// A notice that could not be said for so long is checked against how things stand now.
const OLD_NEWS: Span = Span::from_secs(60);

impl Worker {
    pub(super) async fn say(
        &self,
        platform: &dyn Platform,
        leased: Leased,
    ) -> Result<(), TellError> {
        let Effect::Announce { room, notice } = leased.effect.clone() else {
            return self.park(&leased, "not something to say").await;
        };
        let engine = self.engine.clone();
        // What another replica queued may have come sooner than its view.
        let view = match engine.views().get(leased.sale).filter(|_| !engine.is_shared()) {
            Some(view) => view,
            None => {
                let link = engine.link().to_owned();
                let view = move |sale: &_| crate::view::View::of(sale, &link);
                Arc::new(engine.look(leased.sale, view).await?)
            }
        };
        let old = self.engine.now().since(leased.queued_at) >= OLD_NEWS;
        if old && is_overtaken(&notice, view.state) {
            // The room was away; it hears how things stand now, not how they stood.
            return self.tell(&leased, Event::Done).await;
        }
        let post = Post {
            room,
            line: text::line(&notice, engine.link()),
            notice,
            view,
            key: leased.id.as_str().to_owned(),
            again: leased.attempts > 1,
        };
        let said = tokio::time::timeout(self.within, platform.announce(&post)).await;
        match said.unwrap_or_else(|_| Err(SayError::Retry("no answer".to_owned()))) {
            Ok(()) => self.tell(&leased, Event::Done).await,
            Err(SayError::Retry(why)) => self.put_off(&leased, &why, None).await,
            Err(SayError::NotBefore(at)) => {
                self.not_before(&leased, at, "much is being said").await
            }
            Err(SayError::Refused(why)) => self.park(&leased, &why).await,
        }
    }
}

/// Whether what a notice says is no longer so, and a later notice says what is.
fn is_overtaken(notice: &Notice, state: State) -> bool {
    match notice {
        Notice::Opened { .. } | Notice::Resumed { .. } => state.is_over() || state == State::Paused,
        Notice::Paused { .. } => state.is_over() || matches!(state, State::Open | State::AllHeld),
        Notice::SoldOut { .. }
        | Notice::Ended { .. }
        | Notice::Cancelled { .. }
        | Notice::Armed { .. }
        | Notice::NotStarted { .. }
        | Notice::Trouble { .. } => false,
    }
}
