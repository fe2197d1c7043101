//! The one live message of a sale in a room: posted once, then edited, restored once if somebody
//! deletes it, and answered with the result at the end. Once it is too old to be edited at will,
//! stock is shown more rarely, and a state that Discord will not have edited in is posted anew in
//! its place.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};
use serenity::model::id::{ChannelId, MessageId};
use sha2::{Digest, Sha256};

use super::{
    Discord,
    book::{Kept, Page},
    card,
    escape::{clip, line},
    wire::Failed,
};
use crate::{
    clock::Span,
    notice::Notice,
    platform::{Post, SayError},
    room::Room,
    view::{State, View},
};

/// Discord's code for a message that is not there.
const UNKNOWN_MESSAGE: isize = 10_008;

/// Discord counts edits of messages older than this, by a limit that it does not tell.
const OLD_AFTER: Span = Span::from_mins(55);

/// An old message shows stock this often: people who counted saw 3 edits in 20 s pass.
const OLD_EVERY: Span = Span::from_secs(30);

/// After too many edits all the same, its stock rests this long.
const REST: Span = Span::from_mins(2);

/// How much an edit matters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Edit {
    /// How many are left: the next one says it, too.
    Stock,
    /// A new state, which must be shown.
    State,
}

/// What a room's message is to become.
struct Update<'a> {
    room: &'a Room,
    view: &'a View,
    line: &'a str,
}

impl Discord {
    /// A state notice: the live message follows, and an end is said once more as a reply.
    pub(super) async fn tell(&self, post: &Post) -> Result<(), SayError> {
        let update = Update { room: &post.room, view: &post.view, line: &post.line };
        match &post.notice {
            Notice::Opened { .. } => self.open(&update, &post.key).await,
            Notice::Paused { .. } | Notice::Resumed { .. } if is_overtaken(post) => Ok(()),
            Notice::Paused { .. } | Notice::Resumed { .. } => {
                self.follow(&update, Some(&post.key)).await
            }
            Notice::SoldOut { .. } | Notice::Ended { .. } | Notice::Cancelled { .. } => {
                // The room hears how it ended, whatever became of the message.
                let shown = self.follow(&update, None).await;
                self.result(&update, &post.key).await.and(shown)
            }
            Notice::Armed { .. } | Notice::NotStarted { .. } | Notice::Trouble { .. } => {
                let channel = self.channel(&post.room)?;
                let body = self.plain(&post.line, Some(&nonce(&post.key, "say")));
                self.post(channel, body).await.map(drop)
            }
        }
    }

    /// Brings the live message up to a newer view; without a live message there is nothing to do.
    pub(super) async fn refresh(
        &self,
        room: &Room,
        view: &View,
        line: &str,
    ) -> Result<(), SayError> {
        let update = Update { room, view, line };
        let slot = self.book.page(view.id, room);
        let mut page = slot.lock().await;
        self.book.know(&mut page, view.id, room).await?;
        self.edit(&mut page, &update, Edit::Stock).await
    }

    /// Posts the live message, unless an earlier attempt did.
    async fn open(&self, update: &Update<'_>, key: &str) -> Result<(), SayError> {
        let slot = self.book.page(update.view.id, update.room);
        let mut page = slot.lock().await;
        self.book.know(&mut page, update.view.id, update.room).await?;
        if page.kept.is_some() {
            return self.edit(&mut page, update, Edit::State).await;
        }
        let role = &self.announce_role;
        let make = |picture| card::opening(update.view, update.line, &self.own, role, picture);
        let message = self.post_live(update.room, make, &nonce(key, "open")).await?;
        self.note(&mut page, update, message, false).await
    }

    /// Edits the live message; `post_as` posts it if there was never one.
    async fn follow(&self, update: &Update<'_>, post_as: Option<&str>) -> Result<(), SayError> {
        let slot = self.book.page(update.view.id, update.room);
        let mut page = slot.lock().await;
        self.book.know(&mut page, update.view.id, update.room).await?;
        match (&page.kept, post_as) {
            (Some(_), _) => self.edit(&mut page, update, Edit::State).await,
            (None, Some(key)) => {
                let make = |picture| card::live(update.view, update.line, &self.own, picture);
                let message = self.post_live(update.room, make, &nonce(key, "open")).await?;
                self.note(&mut page, update, message, false).await
            }
            (None, None) => Ok(()),
        }
    }

    /// Edits, if this is news. The page is ours alone meanwhile, so nothing older can follow.
    async fn edit(&self, page: &mut Page, update: &Update<'_>, what: Edit) -> Result<(), SayError> {
        let Some(kept) = page.kept.clone() else { return Ok(()) };
        let Some(id) = kept.message.as_deref().and_then(message_id) else { return Ok(()) };
        let body = card::live(update.view, update.line, &self.own, true);
        let news = (update.view.revision, fingerprint(&body));
        if let Some(shown) = page.shown {
            let same = shown.1 == news.1;
            if same || shown.0 > news.0 {
                page.shown = Some((shown.0.max(news.0), shown.1));
                return Ok(());
            }
        }
        let now = self.clock.now();
        if what == Edit::Stock && now < page.rests_until {
            return Err(SayError::NotBefore(page.rests_until));
        }
        let channel = self.channel(update.room)?;
        let mut done = self.wire.edit(channel, id, &body).await;
        if let Err(Failed::Refused(says)) = &done {
            // Most likely the picture: the sale is shown without it.
            tracing::warn!(says, "Discord does not take the message; trying it without picture");
            let body = card::live(update.view, update.line, &self.own, false);
            done = self.wire.edit(channel, id, &body).await;
        }
        match done {
            Ok(()) => {
                self.works(channel);
                page.shown = Some(news);
                if kept.posted_at.is_some_and(|at| now.since(at) >= OLD_AFTER) {
                    page.rests_until = now + OLD_EVERY;
                }
                Ok(())
            }
            Err(Failed::TooManyEdits) if what == Edit::Stock => {
                page.rests_until = now + REST;
                Err(SayError::NotBefore(page.rests_until))
            }
            Err(Failed::TooManyEdits) => self.renew(page, update, id).await,
            Err(Failed::Gone { code: UNKNOWN_MESSAGE, .. }) => {
                self.restore(page, update, kept).await
            }
            Err(failed) => Err(self.trouble(channel, failed).await),
        }
    }

    /// Posts the live message anew and takes the old one away, which can be edited no more.
    async fn renew(
        &self,
        page: &mut Page,
        update: &Update<'_>,
        old: MessageId,
    ) -> Result<(), SayError> {
        let (sale, room) = (update.view.id, update.room);
        tracing::info!(%sale, %room, "Discord takes no more edits of the live message; a new one");
        let restored = page.kept.as_ref().is_some_and(|kept| kept.restored);
        let make = |picture| card::live(update.view, update.line, &self.own, picture);
        let key = format!("{sale}:{room}:{old}");
        let message = self.post_live(room, make, &nonce(&key, "renew")).await?;
        self.note(page, update, message, restored).await?;
        if let Err(failed) = self.wire.delete(self.channel(room)?, old).await {
            tracing::warn!(%failed, %room, "the old live message stays where it is");
        }
        Ok(())
    }

    /// The live message is gone: posted anew once, then never again.
    async fn restore(
        &self,
        page: &mut Page,
        update: &Update<'_>,
        kept: Kept,
    ) -> Result<(), SayError> {
        let (sale, room) = (update.view.id, update.room);
        if kept.restored || update.view.state.is_over() {
            tracing::warn!(%sale, %room, "the live message was deleted; it stays away");
            let gone = Kept { message: None, restored: true, ..kept };
            return self.book.keep(page, sale, room, gone).await;
        }
        tracing::warn!(%sale, %room, "the live message was deleted; posting it again, once");
        let make = |picture| card::live(update.view, update.line, &self.own, picture);
        let key = format!("{sale}:{room}");
        let message = self.post_live(room, make, &nonce(&key, "restore")).await?;
        self.note(page, update, message, true).await
    }

    /// Says how it ended, as a reply to the live message; once.
    async fn result(&self, update: &Update<'_>, key: &str) -> Result<(), SayError> {
        let (sale, room) = (update.view.id, update.room);
        let slot = self.book.page(sale, room);
        let mut page = slot.lock().await;
        self.book.know(&mut page, sale, room).await?;
        let kept = page.kept.clone().unwrap_or_default();
        if kept.result.is_some() {
            return Ok(());
        }
        let channel = self.channel(room)?;
        let mut body = self.plain(update.line, Some(&nonce(key, "result")));
        if let Some(id) = &kept.message {
            body["message_reference"] = json!({ "message_id": id, "fail_if_not_exists": false });
        }
        let made = self.post(channel, body).await?;
        let kept = Kept { result: Some(made), ..kept };
        self.book.keep(&mut page, sale, room, kept).await
    }

    async fn post_live(
        &self,
        room: &Room,
        make: impl Fn(bool) -> Value,
        nonce: &str,
    ) -> Result<String, SayError> {
        let channel = self.channel(room)?;
        let with_nonce = |mut body: Value| {
            body["nonce"] = nonce.into();
            body["enforce_nonce"] = true.into();
            body
        };
        let mut made = self.wire.post(channel, &with_nonce(make(true))).await;
        if let Err(Failed::Refused(says)) = &made {
            tracing::warn!(says, "Discord does not take the message; trying it without picture");
            made = self.wire.post(channel, &with_nonce(make(false))).await;
        }
        match made {
            Ok(made) => {
                self.works(channel);
                Ok(made.id)
            }
            Err(failed) => Err(self.trouble(channel, failed).await),
        }
    }

    async fn note(
        &self,
        page: &mut Page,
        update: &Update<'_>,
        message: String,
        restored: bool,
    ) -> Result<(), SayError> {
        let body = card::live(update.view, update.line, &self.own, true);
        let posted_at = Some(self.clock.now());
        let kept = Kept { message: Some(message), posted_at, restored, result: None };
        self.book.keep(page, update.view.id, update.room, kept).await?;
        page.shown = Some((update.view.revision, fingerprint(&body)));
        Ok(())
    }

    /// A message of one line.
    pub(super) fn plain(&self, text: &str, nonce: Option<&str>) -> Value {
        let mut body = json!({
            "content": clip(&line(text, &self.own), card::CONTENT_MAX),
            "allowed_mentions": card::no_mentions(),
        });
        if let Some(nonce) = nonce {
            body["nonce"] = nonce.into();
            body["enforce_nonce"] = true.into();
        }
        body
    }

    /// Posts a message; as one of its own where replies are not allowed.
    pub(super) async fn post(
        &self,
        channel: ChannelId,
        mut body: Value,
    ) -> Result<String, SayError> {
        let mut made = self.wire.post(channel, &body).await;
        if made.as_ref().is_err_and(|failed| *failed == Failed::NoHistory) {
            // Told; the answer comes all the same.
            self.trouble(channel, Failed::NoHistory).await;
            body["message_reference"] = Value::Null;
            made = self.wire.post(channel, &body).await;
            if let Ok(made) = made {
                return Ok(made.id);
            }
        }
        match made {
            Ok(made) => {
                self.works(channel);
                Ok(made.id)
            }
            Err(failed) => Err(self.trouble(channel, failed).await),
        }
    }
}

/// Whether the sale went on since: the notice behind this one in the line speaks for it.
fn is_overtaken(post: &Post) -> bool {
    let paused = matches!(post.notice, Notice::Paused { .. });
    paused != (post.view.state == State::Paused)
}

/// Names a message, so that Discord makes it once however often it is asked: 24 of the 25
/// characters that a nonce may have.
pub(super) fn nonce(key: &str, what: &str) -> String {
    let digest = Sha256::new().chain_update(what).chain_update([0]).chain_update(key).finalize();
    hex::encode(&digest[..12])
}

fn fingerprint(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    hasher.finish()
}

fn message_id(text: &str) -> Option<MessageId> {
    text.parse::<u64>().ok().filter(|id| *id > 0).map(MessageId::new)
}
