//! Twitch's token service (id.twitch.tv): look at a token, renew it, log a device in.
//!
//! Sources: Twitch's "Getting OAuth access tokens" (device code grant), "Refreshing access
//! tokens" and "Validating tokens".

use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde::{Deserialize, de::DeserializeOwned};

use crate::{net::is_private_host, secret::Secret};

/// A request that takes longer is given up.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What the bot needs to be allowed: to read a chat and to write in it.
pub const SCOPES: &str = "chat:read chat:edit";

/// The token service, for one registered application.
pub struct Auth {
    client: Client,
    url: String,
}

/// Why a question to the token service was not answered as hoped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// It cannot be reached, or is not well.
    #[error("the token service {0}")]
    Unreachable(String),
    /// It says no.
    #[error("{0}")]
    Refused(String),
}

/// What a token is.
#[derive(Clone, Debug, Deserialize)]
pub struct Validated {
    /// The application it was made for.
    pub client_id: String,
    /// Whose it is.
    #[serde(default)]
    pub login: String,
    /// What it allows.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Seconds until it ends; 0 if it does not.
    #[serde(default)]
    pub expires_in: i64,
}

/// A new pair of tokens.
#[derive(Deserialize)]
pub struct Granted {
    /// For the chat.
    pub access_token: Secret,
    /// For the next pair.
    #[serde(default)]
    pub refresh_token: Secret,
    /// Seconds until the access token ends.
    #[serde(default)]
    pub expires_in: i64,
}

/// What a person is to do to log the bot in.
#[derive(Deserialize)]
pub struct Device {
    /// Names this login to the service.
    pub device_code: Secret,
    /// What the person types, if the address does not hold it.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// Seconds until it is too late.
    pub expires_in: i64,
    /// Seconds between two questions.
    #[serde(default)]
    pub interval: i64,
}

impl Auth {
    /// A client of the service at `url`, like `https://id.twitch.tv`.
    ///
    /// # Errors
    /// If no HTTP client can be made.
    pub fn new(url: &str) -> Result<Self, AuthError> {
        let host = url.split_once("://").map_or("", |(_, host)| host);
        let mut client = Client::builder()
            .timeout(ANSWER_WITHIN)
            .connect_timeout(ANSWER_WITHIN)
            .redirect(reqwest::redirect::Policy::none());
        if is_private_host(host) {
            client = client.no_proxy();
        }
        let client = client.build().map_err(|error| AuthError::Unreachable(error.to_string()))?;
        Ok(Self { client, url: url.to_owned() })
    }

    /// What the token is; refused if it is none any more.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn validate(&self, token: &Secret) -> Result<Validated, AuthError> {
        let request = self.client.get(format!("{}/oauth2/validate", self.url));
        ask(request.header("authorization", format!("OAuth {}", token.expose()))).await
    }

    /// A new pair of tokens for a refresh token. That of a public application works once.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn refresh(
        &self,
        client_id: &str,
        client_secret: &Secret,
        refresh_token: &Secret,
    ) -> Result<Granted, AuthError> {
        let mut form = vec![
            ("grant_type", "refresh_token"),
            ("client_id", client_id),
            ("refresh_token", refresh_token.expose()),
        ];
        if client_secret.is_set() {
            form.push(("client_secret", client_secret.expose()));
        }
        ask(self.client.post(format!("{}/oauth2/token", self.url)).form(&form)).await
    }

    /// Begins to log a device in.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn device(&self, client_id: &str) -> Result<Device, AuthError> {
        let form = [("client_id", client_id), ("scopes", SCOPES)];
        ask(self.client.post(format!("{}/oauth2/device", self.url)).form(&form)).await
    }

    /// Asks whether the person has agreed; `None` if not yet.
    ///
    /// # Errors
    /// See [`AuthError`].
    pub async fn granted(
        &self,
        client_id: &str,
        device_code: &Secret,
    ) -> Result<Option<Granted>, AuthError> {
        let form = [
            ("client_id", client_id),
            ("scopes", SCOPES),
            ("device_code", device_code.expose()),
            ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ];
        match ask(self.client.post(format!("{}/oauth2/token", self.url)).form(&form)).await {
            Ok(granted) => Ok(Some(granted)),
            Err(AuthError::Refused(says)) if says.contains("authorization_pending") => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What the service says when it says no.
#[derive(Deserialize)]
struct No {
    #[serde(default)]
    message: String,
}

async fn ask<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, AuthError> {
    let unreachable = |error: reqwest::Error| {
        let says = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        AuthError::Unreachable(says.to_owned())
    };
    let answer = request.send().await.map_err(unreachable)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(unreachable)?;
    if status.is_success() {
        let unread = |_| AuthError::Unreachable("gave an answer that cannot be read".to_owned());
        return serde_json::from_slice(&body).map_err(unread);
    }
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(AuthError::Unreachable(format!("answers {status}")));
    }
    let says = serde_json::from_slice::<No>(&body).map(|no| no.message).unwrap_or_default();
    let says = if says.is_empty() { status.to_string() } else { says.chars().take(200).collect() };
    Err(AuthError::Refused(says))
}
