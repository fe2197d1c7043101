//! Says one line and finds out what became of it.

use std::{sync::PoisonError, time::Duration};

use twitch_irc::message::{IRCMessage, IRCTags};

use super::{
    Twitch, desk::RoomState, memory::Words, session::Client, verdict::Verdict, wire::NONCE,
};
use crate::{
    platform::{SayError, Standing},
    room::Room,
};

/// The server says what became of a message within this time.
const VERDICT_WITHIN: Duration = Duration::from_secs(5);

/// A living server answers a PING within this time.
const PONG_WITHIN: Duration = Duration::from_secs(3);

/// A message waits for those before it this long.
const TURN_WITHIN: Duration = Duration::from_secs(8);

/// A line to be said.
pub(super) struct Line<'a> {
    /// Its words.
    pub text: &'a str,
    /// Id of the message it answers.
    pub parent: Option<&'a str>,
    /// Names a state notice, and whether an earlier attempt may have been heard.
    pub notice: Option<(&'a str, bool)>,
    /// It is not worth saying if it waits longer for its turn.
    pub within: Duration,
}

impl<'a> Line<'a> {
    /// A line that nobody asked for and that can wait a while.
    pub fn new(text: &'a str) -> Self {
        Self { text, parent: None, notice: None, within: TURN_WITHIN }
    }
}

impl Twitch {
    /// Says one line in a room and waits until the server tells what became of it.
    pub(super) async fn send(&self, room: &Room, line: Line<'_>) -> Result<(), SayError> {
        let name = room.channel.as_str();
        let turn = self.turns.get(name);
        let turn = turn.ok_or_else(|| SayError::Refused(format!("{room} is not set up")))?;
        let turn = tokio::time::timeout(line.within, turn.lock()).await;
        let _turn = turn.map_err(|_| SayError::Retry("others wait to be said".to_owned()))?;
        let now = self.clock.now();
        let words = self.desk.room(name, |state| match line.notice {
            Some((key, again)) => state.memory.notice(key, line.text, again, now),
            None => {
                let text = state.memory.fresh(line.text, now);
                Words { text, maybe_said: false }
            }
        });
        let words = words.ok_or_else(|| SayError::Refused(format!("{room} is not set up")))?;
        if words.text.is_empty() {
            return Ok(());
        }
        let client = self.ready(name)?;
        self.desk.spend(name).map_err(SayError::NotBefore)?;
        let key = line.notice.map(|(key, _)| key);
        self.desk.room(name, |state| state.memory.sends(key, &words.text, now));
        let verdict = self.speak(&client, name, &words.text, line.parent).await;
        let not_shown = |said_before: bool| {
            let forget =
                |state: &mut RoomState| state.memory.not_shown(key, &words.text, said_before);
            self.desk.room(name, forget);
        };
        match &verdict {
            Some(Verdict::Duplicate) => not_shown(true),
            Some(Verdict::NotNow(_) | Verdict::Never(_)) => not_shown(false),
            Some(Verdict::Shown | Verdict::Lost) | None => {}
        }
        match verdict {
            Some(Verdict::Shown) => Ok(()),
            Some(Verdict::Duplicate) if words.maybe_said => Ok(()),
            Some(Verdict::Duplicate) => Err(SayError::Retry("it was said just before".to_owned())),
            Some(Verdict::NotNow(why)) => Err(SayError::Retry(why)),
            Some(Verdict::Never(why)) => Err(SayError::Refused(why)),
            Some(Verdict::Lost) => Err(SayError::Retry("the connection was lost".to_owned())),
            // A living server that keeps silent dropped it: it had shown the same just before.
            None if words.maybe_said && self.lives(&client).await => {
                tracing::warn!(room = name, "Twitch kept silent about a repeated line");
                Ok(())
            }
            None => Err(SayError::Retry("Twitch did not say whether it was shown".to_owned())),
        }
    }

    /// The client, if the room hears us now.
    fn ready(&self, name: &str) -> Result<Client, SayError> {
        let (joined, closed) = self
            .desk
            .room(name, |state| (state.joined, state.closed.clone()))
            .unwrap_or((false, None));
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match (client, self.desk.health().standing) {
            (Some(client), _) if joined => Ok(client),
            (_, Standing::Broken(why)) => Err(SayError::Refused(why)),
            (_, Standing::Away(why)) => Err(SayError::Retry(why)),
            (_, Standing::Starting | Standing::Up) => match closed {
                Some(why) => Err(SayError::Refused(why)),
                None => Err(SayError::Retry(format!("#{name} has not let the bot in yet"))),
            },
        }
    }

    /// Sends a message and waits for the server's word; `None` if there is none in time.
    async fn speak(
        &self,
        client: &Client,
        name: &str,
        text: &str,
        parent: Option<&str>,
    ) -> Option<Verdict> {
        let mut sending = self.desk.sending(name)?;
        let mut tags = IRCTags::new();
        tags.0.insert(NONCE.to_owned(), sending.nonce.clone());
        if let Some(parent) = parent {
            tags.0.insert("reply-parent-msg-id".to_owned(), parent.to_owned());
        }
        let params = vec![format!("#{name}"), text.to_owned()];
        let message = IRCMessage::new(tags, None, "PRIVMSG".to_owned(), params);
        let sent = async {
            // That the bytes left means nothing; that they could not leave does.
            client.send_message(message).await.ok()?;
            (&mut sending.verdict).await.ok()
        };
        match tokio::time::timeout(VERDICT_WITHIN, sent).await {
            Ok(verdict) => Some(verdict.unwrap_or(Verdict::Lost)),
            Err(_) => None,
        }
    }

    /// Whether the server answers.
    async fn lives(&self, client: &Client) -> bool {
        let before = self.desk.lines();
        let answered = async {
            client.ping().await.ok()?;
            while self.desk.lines() == before {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Some(())
        };
        matches!(tokio::time::timeout(PONG_WITHIN, answered).await, Ok(Some(())))
    }
}
