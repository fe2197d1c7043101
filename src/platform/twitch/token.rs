//! Keeps the bot's tokens usable: looks at them at the start and every hour, renews them before
//! they end, keeps the renewed ones before the first use.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use twitch_irc::login::CredentialsPair;

use super::{
    auth::{Auth, AuthError, Granted, SCOPES, Validated},
    file,
    settings::Settings,
    tokens::Tokens,
};
use crate::{
    clock::{Span, Timestamp},
    secret::Secret,
};

/// Twitch asks for a look at the token this often.
pub const VALIDATE_EVERY: Span = Span::from_mins(60);

/// A token is renewed when it has less than this left.
const RENEW_BEFORE: Span = Span::from_mins(10);

/// What to do about a login that is not accepted any more.
const MEND: &str = "Fix: livetill login twitch";

/// Why there is no usable token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token service is not well: later perhaps.
    #[error("{0}")]
    Later(String),
    /// The token is no longer good, and the bot renews it when it starts.
    #[error("{0}")]
    Renewable(String),
    /// A person must do something.
    #[error("{0}")]
    Person(String),
}

/// Keeps the tokens.
pub struct Keeper {
    auth: Auth,
    config: Settings,
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: Option<Tokens>,
    validated_at: Option<Timestamp>,
    /// The chat server refused the token.
    refused: bool,
    /// It was renewed and not accepted by the chat server since.
    renewed: bool,
}

impl Keeper {
    /// A keeper of the tokens in the environment (in `config`) or in the file at `path`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(config: Settings, path: PathBuf) -> Result<Self, AuthError> {
        let auth = Auth::new(&config.auth_url)?;
        Ok(Self { auth, config, path, state: Mutex::default() })
    }

    /// Login and token for a new connection, checked or renewed if need be.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn pass(&self, now: Timestamp) -> Result<CredentialsPair, TokenError> {
        let mut state = self.state.lock().await;
        self.freshen(&mut state, now).await?;
        let tokens = self.tokens(&mut state)?;
        let token = Some(tokens.access.expose().to_owned());
        Ok(CredentialsPair { login: tokens.login.clone(), token })
    }

    /// Looks whether the token is still good; renews it if it is not.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn look(&self, now: Timestamp) -> Result<(), TokenError> {
        let mut state = self.state.lock().await;
        self.freshen(&mut state, now).await
    }

    /// The chat server accepted the token.
    pub async fn accepted(&self) {
        let mut state = self.state.lock().await;
        (state.refused, state.renewed) = (false, false);
    }

    /// The chat server refused the token: it is renewed once; a second refusal needs a person.
    ///
    /// # Errors
    /// If it was renewed already.
    pub async fn refused(&self, says: &str) -> Result<(), TokenError> {
        let mut state = self.state.lock().await;
        if state.renewed {
            return Err(TokenError::Person(format!("the chat server says: {says}. {MEND}")));
        }
        state.refused = true;
        Ok(())
    }

    /// What the token service says of the token as it is; renews nothing, so that a running bot
    /// is not left with a refresh token that was used up.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn examine(&self) -> Result<Validated, TokenError> {
        let mut state = self.state.lock().await;
        let tokens = self.tokens(&mut state)?;
        let refresh = tokens.refresh.is_set();
        match self.auth.validate(&tokens.access).await {
            Ok(valid) => {
                self.check(&valid)?;
                Ok(valid)
            }
            Err(AuthError::Refused(says)) if refresh => Err(TokenError::Renewable(format!(
                "the token is no longer good ({says}); the bot renews it when it starts"
            ))),
            Err(AuthError::Refused(says)) => Err(TokenError::Person(no_longer(&says))),
            Err(error) => Err(TokenError::Later(error.to_string())),
        }
    }

    /// Forgets what is in memory, to take up what a person has put in its place.
    pub async fn reload(&self) {
        *self.state.lock().await = State::default();
    }

    async fn freshen(&self, state: &mut State, now: Timestamp) -> Result<(), TokenError> {
        let ends_at = self.tokens(state)?.expires_at;
        if state.refused || ends_at.is_some_and(|at| at <= now + RENEW_BEFORE) {
            self.renew(state, now).await?;
        }
        if state.validated_at.is_some_and(|at| now.since(at) < VALIDATE_EVERY) {
            return Ok(());
        }
        let mut valid = self.auth.validate(&self.tokens(state)?.access).await;
        if matches!(valid, Err(AuthError::Refused(_))) {
            self.renew(state, now).await?;
            valid = self.auth.validate(&self.tokens(state)?.access).await;
        }
        match valid {
            Ok(valid) => {
                self.check(&valid)?;
                state.validated_at = Some(now);
                let tokens = self.tokens(state)?;
                tokens.login = valid.login;
                tokens.client_id = valid.client_id;
                tokens.expires_at = ends(valid.expires_in, now);
                Ok(())
            }
            Err(AuthError::Refused(says)) => Err(TokenError::Person(no_longer(&says))),
            // The chat server may take the token all the same, if it is known whose it is.
            Err(error) if !self.tokens(state)?.login.is_empty() => {
                tracing::warn!(%error, "Twitch's token could not be looked at");
                Ok(())
            }
            Err(error) => Err(TokenError::Later(error.to_string())),
        }
    }

    /// The tokens in use; read at the first need.
    fn tokens<'a>(&self, state: &'a mut State) -> Result<&'a mut Tokens, TokenError> {
        let tokens = match state.tokens.take() {
            Some(tokens) => tokens,
            None => self.read()?,
        };
        Ok(state.tokens.insert(tokens))
    }

    /// From the environment, unless the file holds what became of just those; else from the file.
    fn read(&self) -> Result<Tokens, TokenError> {
        let kept = file::read(&self.path).map_err(|error| TokenError::Person(error.to_string()))?;
        let Some(origin) = Self::fingerprint(&self.config) else {
            return kept.ok_or_else(|| {
                TokenError::Person(format!(
                    "there is no token: LIVETILL_TWITCH__TOKEN is not set and {} is not there. \
                     {MEND}",
                    self.path.display()
                ))
            });
        };
        if let Some(kept) = kept.filter(|kept| kept.origin.as_ref() == Some(&origin)) {
            return Ok(kept);
        }
        let token = self.config.token.expose().trim();
        Ok(Tokens {
            login: self.config.login.to_ascii_lowercase(),
            client_id: self.config.client_id.clone(),
            access: Secret::from(token.strip_prefix("oauth:").unwrap_or(token)),
            refresh: Secret::from(self.config.refresh_token.expose().trim()),
            expires_at: None,
            origin: Some(origin),
        })
    }

    /// Names the tokens in the environment, if there are any, without telling them.
    pub fn fingerprint(config: &Settings) -> Option<String> {
        let Settings { token, refresh_token, .. } = config;
        if !token.is_set() && !refresh_token.is_set() {
            return None;
        }
        let digest = Sha256::new()
            .chain_update(token.expose())
            .chain_update([0])
            .chain_update(refresh_token.expose())
            .finalize();
        Some(hex::encode(&digest[..16]))
    }

    /// Takes up what was written to the file since it was read; whether there was something.
    fn take_newer(&self, state: &mut State) -> Result<bool, TokenError> {
        let newest = self.read()?;
        let newer = state.tokens.as_ref().is_none_or(|tokens| tokens.access != newest.access);
        if newer {
            *state = State { tokens: Some(newest), ..State::default() };
        }
        Ok(newer)
    }

    /// A new pair of tokens in the place of those in use.
    async fn renew(&self, state: &mut State, now: Timestamp) -> Result<(), TokenError> {
        if self.take_newer(state)? {
            // Somebody logged in or renewed meanwhile: those have their own chance.
            return Ok(());
        }
        let tokens = self.tokens(state)?.clone();
        if !tokens.refresh.is_set() {
            return Err(TokenError::Person(format!(
                "the token is no longer good, and there is no refresh token. {MEND}, or set a new \
                 LIVETILL_TWITCH__TOKEN"
            )));
        }
        if tokens.client_id.is_empty() {
            let says = "the token cannot be renewed without twitch.client_id: set it to the id of \
                        the application that the token was made for";
            return Err(TokenError::Person(says.to_owned()));
        }
        let secret = &self.config.client_secret;
        let granted = self.auth.refresh(&tokens.client_id, secret, &tokens.refresh).await;
        let granted = granted.map_err(|error| match error {
            AuthError::Refused(says) => TokenError::Person(no_longer(&says)),
            AuthError::Unreachable(_) => TokenError::Later(error.to_string()),
        })?;
        let renewed = granted.tokens(&tokens, now);
        if let Err(error) = file::write(&self.path, &renewed) {
            tracing::error!(%error, "Twitch's new token cannot be kept: after the next start log in again");
        }
        *state = State { tokens: Some(renewed), renewed: true, ..State::default() };
        Ok(())
    }

    /// Whether it is the token that the configuration means, and allows what is needed.
    fn check(&self, valid: &Validated) -> Result<(), TokenError> {
        let wanted = &self.config.login;
        if !wanted.is_empty() && !wanted.eq_ignore_ascii_case(&valid.login) {
            return Err(TokenError::Person(format!(
                "the token belongs to {}, but twitch.login is {wanted}. {MEND} as {wanted}, or \
                 correct twitch.login",
                valid.login
            )));
        }
        let lacks: Vec<&str> = SCOPES
            .split(' ')
            .filter(|scope| !valid.scopes.iter().any(|given| given == scope))
            .collect();
        if lacks.is_empty() {
            return Ok(());
        }
        let lacks = lacks.join(" and ");
        Err(TokenError::Person(format!("the token does not allow {lacks}. {MEND}")))
    }
}

impl Granted {
    /// The new pair in the place of `before`; Twitch may leave the refresh token as it was.
    pub fn tokens(self, before: &Tokens, now: Timestamp) -> Tokens {
        let Self { access_token, refresh_token, expires_in } = self;
        Tokens {
            access: access_token,
            refresh: if refresh_token.is_set() { refresh_token } else { before.refresh.clone() },
            expires_at: ends(expires_in, now),
            ..before.clone()
        }
    }
}

fn ends(expires_in: i64, now: Timestamp) -> Option<Timestamp> {
    (expires_in > 0).then(|| now + Span::from_secs(expires_in))
}

fn no_longer(says: &str) -> String {
    format!("Twitch no longer accepts the bot's login ({says}). {MEND}")
}
