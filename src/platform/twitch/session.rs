//! One life of the connection: logs in, enters the rooms, hears, until it is told to stop or a
//! person is needed. The library reconnects by itself; how that goes is told to the desk.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use twitch_irc::{
    ClientConfig, TwitchIRCClient,
    login::{CredentialsPair, LoginCredentials},
    message::{NoticeMessage, ServerMessage, UserStateMessage},
};

use super::{
    desk::Desk,
    token::{Keeper, TokenError, VALIDATE_EVERY},
    verdict::{of_notice, refuses_login},
    wire::{CONNECT_WITHIN, Dial, NONCE, Wire},
};
use crate::clock::Clock;

/// A client of the library over our own connection.
pub type Client = TwitchIRCClient<Wire, Pass>;

/// Messages that wait on one connection before the library opens another; more than can ever
/// wait, since a second connection would mix up their order.
const WAITING_MAX: usize = 10_000;

/// Rooms that did not let us in are tried again this often.
const JOIN_EVERY: Duration = Duration::from_secs(60);

/// The longest pause before a connection, in seconds.
const PAUSE_MAX: u64 = 30;

/// Login and token for each new connection.
pub struct Pass {
    /// Where the tokens are kept.
    pub keeper: Arc<Keeper>,
    /// Where to connect, and how things stand.
    pub dial: Arc<Dial>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ends this life.
    pub stop: CancellationToken,
    /// Told when a person is needed.
    pub broken: mpsc::Sender<String>,
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pass")
    }
}

/// There will be no more connections.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub struct Stopped;

#[async_trait]
impl LoginCredentials for Pass {
    type Error = Stopped;

    /// Called for each new connection, and that the one before is gone is told by nothing else.
    /// Answers no error before the end: the library would ask again at once.
    async fn get_credentials(&self) -> Result<CredentialsPair, Stopped> {
        tokio::select! {
            pair = self.pair() => Ok(pair),
            () = self.stop.cancelled() => Err(Stopped),
        }
    }
}

impl Pass {
    async fn pair(&self) -> CredentialsPair {
        let desk = &self.dial.desk;
        let mut tries = desk.connecting();
        loop {
            tokio::time::sleep(pause(tries)).await;
            match self.keeper.pass(self.clock.now()).await {
                Ok(pair) => {
                    desk.login_is(&pair.login);
                    self.dial.leave();
                    return pair;
                }
                Err(TokenError::Later(why) | TokenError::Renewable(why)) => desk.away(why),
                Err(TokenError::Person(why)) => {
                    // Whoever hears it ends this life.
                    let _ = self.broken.send(why).await;
                    self.stop.cancelled().await;
                }
            }
            tries += 1;
        }
    }
}

/// How long to wait before a connection: not at all before the first two, then ever longer.
fn pause(tries: u32) -> Duration {
    match tries.saturating_sub(2) {
        0 => Duration::ZERO,
        n => Duration::from_secs((1_u64 << n.min(6)).min(PAUSE_MAX)),
    }
}

/// One life of the connection.
pub struct Session {
    /// The library's client.
    pub client: Client,
    incoming: mpsc::UnboundedReceiver<ServerMessage>,
    broken: mpsc::Receiver<String>,
    keeper: Arc<Keeper>,
    desk: Arc<Desk>,
    clock: Arc<dyn Clock>,
    life: CancellationToken,
}

impl Session {
    /// A life that has not begun to connect.
    pub fn new(keeper: &Arc<Keeper>, dial: &Arc<Dial>, clock: &Arc<dyn Clock>) -> Self {
        let life = CancellationToken::new();
        let (tell, broken) = mpsc::channel(1);
        let mut config = ClientConfig::new_simple(Pass {
            keeper: keeper.clone(),
            dial: dial.clone(),
            clock: clock.clone(),
            stop: life.clone(),
            broken: tell,
        });
        config.max_waiting_messages_per_connection = WAITING_MAX;
        config.connect_timeout = CONNECT_WITHIN;
        let (incoming, client) = Client::new(config);
        Self {
            client,
            incoming,
            broken,
            keeper: keeper.clone(),
            desk: dial.desk.clone(),
            clock: clock.clone(),
            life,
        }
    }

    /// Hears until a person is needed, and says what for; `said` gets what people say.
    pub async fn run(
        mut self,
        mut said: impl FnMut(&twitch_irc::message::PrivmsgMessage),
    ) -> String {
        self.client.connect().await;
        let mut join = tokio::time::interval(JOIN_EVERY);
        let mut look_at = self.clock.now() + VALIDATE_EVERY;
        let clock = self.clock.clone();
        loop {
            tokio::select! {
                message = self.incoming.recv() => match message {
                    Some(message) => {
                        self.desk.heard_a_line();
                        if let Err(why) = self.hear(message, &mut said).await {
                            return why;
                        }
                    }
                    // The library's task ended, which it does not while we hold the client.
                    None => return "the Twitch client ended by itself: restart".to_owned(),
                },
                Some(why) = self.broken.recv() => return why,
                _ = join.tick() => self.join(),
                () = clock.sleep_until(look_at) => {
                    look_at = clock.now() + VALIDATE_EVERY;
                    match self.keeper.look(clock.now()).await {
                        Ok(()) => {}
                        Err(TokenError::Later(why) | TokenError::Renewable(why)) => tracing::warn!(why, "Twitch's token could not be looked at"),
                        Err(TokenError::Person(why)) => return why,
                    }
                }
            }
        }
    }

    /// Enters the rooms that we are not in.
    fn join(&self) {
        for room in self.desk.rooms() {
            let joined = self.desk.room(&room, |state| state.joined).unwrap_or(true);
            if !joined && let Err(error) = self.client.join(room.clone()) {
                tracing::error!(room, %error, "not a Twitch channel");
            }
        }
    }

    async fn hear(
        &self,
        message: ServerMessage,
        said: &mut impl FnMut(&twitch_irc::message::PrivmsgMessage),
    ) -> Result<(), String> {
        match message {
            ServerMessage::Privmsg(message) => said(&message),
            ServerMessage::UserState(state) => self.user_state(&state),
            ServerMessage::GlobalUserState(state) => {
                self.desk.welcomed(&state.user_id);
                self.keeper.accepted().await;
            }
            ServerMessage::Notice(notice) => return self.notice(&notice).await,
            // Nothing else concerns us; the library answers PING and RECONNECT.
            _ => {}
        }
        Ok(())
    }

    fn user_state(&self, state: &UserStateMessage) {
        let tag = |name: &str| state.source.tags.0.get(name).map(String::as_str);
        let badge = |name: &str| state.badges.iter().any(|badge| badge.name == name);
        let moderates = badge("broadcaster") || badge("moderator") || tag("mod") == Some("1");
        self.desk.user_state(&state.channel_login, moderates, tag(NONCE));
    }

    async fn notice(&self, notice: &NoticeMessage) -> Result<(), String> {
        let words = crate::notice::text::plain(&notice.message_text);
        match (&notice.channel_login, notice.message_id.as_deref()) {
            (Some(room), Some(id)) => {
                if let Some(verdict) = of_notice(id, &words) {
                    self.desk.verdict(room, verdict);
                }
            }
            (None, _) if refuses_login(&words) => {
                tracing::warn!(words, "Twitch refused the login");
                self.keeper.refused(&words).await.map_err(|error| error.to_string())?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.life.cancel();
        self.desk.left();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_away_is_asked_ever_more_rarely() {
        let secs: Vec<u64> = (1..10).map(|tries| pause(tries).as_secs()).collect();
        assert_eq!(secs, [0, 0, 2, 4, 8, 16, 30, 30, 30]);
    }
}
