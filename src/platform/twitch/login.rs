//! Logs the bot in: shows an address and a code, waits until a person has agreed there, keeps the
//! tokens.

use std::{path::Path, time::Duration};

use super::{
    auth::{Auth, AuthError, Device},
    file,
    settings::Settings,
    token::Keeper,
    tokens::Tokens,
};
use crate::{
    clock::{Clock, Span},
    secret::Secret,
};

/// Twitch asks not to be asked more often, in seconds.
const INTERVAL: i64 = 5;

/// What a person is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Open this, logged in as the bot account.
    pub address: String,
    /// Type this, if it is not filled in.
    pub code: String,
    /// Before this much time has gone.
    pub within: Span,
}

/// Why the bot was not logged in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// There is no application to log in with.
    #[error(
        "set twitch.client_id first: register an application at https://dev.twitch.tv/console/apps \
         (client type: Public) and copy its Client ID"
    )]
    NoClient,
    /// Nobody agreed in time.
    #[error("nobody agreed in time. Try again: livetill login twitch")]
    Late,
    /// Somebody else logged in.
    #[error(
        "that was {was}, but twitch.login is {wanted}: log in at Twitch as {wanted} (a private \
         window helps) and try again, or correct twitch.login"
    )]
    Somebody {
        /// Who it was.
        was: String,
        /// Who was meant.
        wanted: String,
    },
    /// The token service says no, or nothing.
    #[error("{0}")]
    Auth(#[from] AuthError),
    /// The tokens cannot be kept.
    #[error("{0}")]
    File(#[from] file::FileError),
}

/// Logs in and keeps the tokens at `path`; answers whose they are. `show` is told what a person
/// is to do.
///
/// # Errors
/// See [`LoginError`].
pub async fn login(
    config: &Settings,
    path: &Path,
    clock: &dyn Clock,
    show: impl FnOnce(&Prompt),
) -> Result<String, LoginError> {
    if config.client_id.is_empty() {
        return Err(LoginError::NoClient);
    }
    let auth = Auth::new(&config.auth_url)?;
    let device = auth.device(&config.client_id).await?;
    let within = Span::from_secs(device.expires_in);
    let (address, code) = (device.verification_uri.clone(), device.user_code.clone());
    show(&Prompt { address, code, within });
    let granted = agreed(&auth, config, &device, clock).await?;
    let valid = auth.validate(&granted.access_token).await?;
    let wanted = &config.login;
    if !wanted.is_empty() && !wanted.eq_ignore_ascii_case(&valid.login) {
        return Err(LoginError::Somebody { was: valid.login, wanted: wanted.clone() });
    }
    let before = Tokens {
        login: valid.login.clone(),
        client_id: config.client_id.clone(),
        access: Secret::default(),
        refresh: Secret::default(),
        expires_at: None,
        // Newer than what the environment holds, so it wins over that.
        origin: Keeper::fingerprint(config),
    };
    file::write(path, &granted.tokens(&before, clock.now()))?;
    Ok(valid.login)
}

async fn agreed(
    auth: &Auth,
    config: &Settings,
    device: &Device,
    clock: &dyn Clock,
) -> Result<super::auth::Granted, LoginError> {
    let until = clock.now() + Span::from_secs(device.expires_in);
    let every = if device.interval > 0 { device.interval } else { INTERVAL };
    let every = Duration::from_secs(every.unsigned_abs());
    while clock.now() < until {
        tokio::time::sleep(every).await;
        match auth.granted(&config.client_id, &device.device_code).await {
            Ok(Some(granted)) => return Ok(granted),
            Ok(None) => {}
            // The person is still at it: the service may be back before they are done.
            Err(AuthError::Unreachable(why)) => tracing::warn!(why, "Twitch's token service"),
            Err(error) => return Err(error.into()),
        }
    }
    Err(LoginError::Late)
}
