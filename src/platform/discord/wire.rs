//! Calls to Discord's HTTP API: every one under a deadline, every answer read leniently, every
//! refusal sorted into what can be done about it.
//!
//! serenity's client carries them and holds to Discord's rate limits. No error text ever holds an
//! address: those of interactions carry their token.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use serenity::{
    Error,
    http::{Http, HttpBuilder, HttpError, LightMethod, Request, Route},
    model::id::{ApplicationId, ChannelId, GuildId, InteractionId, MessageId, UserId},
};

use super::settings::Settings;

/// An ordinary call, the wait for our turn under Discord's limits included.
const CALL_WITHIN: Duration = Duration::from_secs(12);

/// The first answer to an interaction; Discord gives up after 3 s.
const ANSWER_WITHIN: Duration = Duration::from_millis(2800);

/// The HTTP half of Discord.
pub(super) struct Wire {
    http: Http,
}

/// Why a call did not do as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failed {
    /// The message, channel or interaction is not there (any more).
    #[error("{says}")]
    Gone {
        /// Discord's code: 10003 a channel, 10008 a message, 10062 an interaction.
        code: isize,
        /// Discord's words.
        says: String,
    },
    /// 50001: we cannot even see it.
    #[error("missing access")]
    NoAccess,
    /// 50013: we may see it and not do this.
    #[error("missing permissions")]
    NotAllowed,
    /// The channel takes no messages, or not now: a category, a forum, a thread that was put away.
    #[error("{0}")]
    NotThere(String),
    /// 160002: a reply needs Read Message History.
    #[error("missing permission to reply")]
    NoHistory,
    /// 30046: a message older than an hour was edited too often lately.
    #[error("an old message was edited too often")]
    TooManyEdits,
    /// 401: the token is not good (any more).
    #[error("Discord does not take the token")]
    BadToken,
    /// Another definite no to this very request.
    #[error("{0}")]
    Refused(String),
    /// Not now, or nobody knows.
    #[error("{0}")]
    Away(String),
}

/// The id of something that was made.
#[derive(Debug, Deserialize)]
pub(super) struct Made {
    pub id: String,
}

/// The application behind the bot.
#[derive(Debug, Deserialize)]
pub(super) struct Application {
    pub id: String,
    #[serde(default)]
    pub flags: Option<u64>,
}

/// Where the gateway is.
#[derive(Debug, Deserialize)]
struct Gateway {
    url: String,
}

impl Wire {
    pub(super) fn new(config: &Settings) -> Self {
        Self { http: client(config).build() }
    }

    /// Interactions are answered under the application's id.
    pub(super) fn set_application(&self, id: ApplicationId) {
        self.http.set_application_id(id);
    }

    fn application(&self) -> Result<ApplicationId, Failed> {
        self.http.application_id().ok_or_else(|| Failed::Away("not connected yet".to_owned()))
    }

    pub(super) async fn gateway(&self) -> Result<String, Failed> {
        let gateway: Gateway = self.get(Route::Gateway).await?;
        Ok(gateway.url)
    }

    pub(super) async fn about_me(&self) -> Result<Application, Failed> {
        self.get(Route::Oauth2ApplicationCurrent).await
    }

    pub(super) async fn me(&self) -> Result<Made, Failed> {
        self.get(Route::UserMe).await
    }

    pub(super) async fn channel(&self, channel_id: ChannelId) -> Result<Value, Failed> {
        self.get(Route::Channel { channel_id }).await
    }

    pub(super) async fn guild(&self, guild_id: GuildId) -> Result<Value, Failed> {
        self.get(Route::Guild { guild_id }).await
    }

    pub(super) async fn member(&self, guild_id: GuildId, user_id: UserId) -> Result<Value, Failed> {
        self.get(Route::GuildMember { guild_id, user_id }).await
    }

    pub(super) async fn post(&self, channel_id: ChannelId, body: &Value) -> Result<Made, Failed> {
        self.read(LightMethod::Post, Route::ChannelMessages { channel_id }, body).await
    }

    pub(super) async fn edit(
        &self,
        channel_id: ChannelId,
        message_id: MessageId,
        body: &Value,
    ) -> Result<(), Failed> {
        let route = Route::ChannelMessage { channel_id, message_id };
        self.send(LightMethod::Patch, route, Some(body), CALL_WITHIN).await
    }

    /// Takes a message of ours away.
    pub(super) async fn delete(
        &self,
        channel_id: ChannelId,
        message_id: MessageId,
    ) -> Result<(), Failed> {
        let route = Route::ChannelMessage { channel_id, message_id };
        self.send(LightMethod::Delete, route, None, CALL_WITHIN).await
    }

    /// The first answer to an interaction.
    pub(super) async fn answer(
        &self,
        interaction_id: InteractionId,
        token: &str,
        body: &Value,
    ) -> Result<(), Failed> {
        let route = Route::InteractionResponse { interaction_id, token };
        self.send(LightMethod::Post, route, Some(body), ANSWER_WITHIN).await
    }

    /// Puts something in place of the first answer.
    pub(super) async fn edit_answer(&self, token: &str, body: &Value) -> Result<(), Failed> {
        let application_id = self.application()?;
        let route = Route::WebhookOriginalInteractionResponse { application_id, token };
        self.send(LightMethod::Patch, route, Some(body), CALL_WITHIN).await
    }

    /// Takes the first answer away.
    pub(super) async fn drop_answer(&self, token: &str) -> Result<(), Failed> {
        let application_id = self.application()?;
        let route = Route::WebhookOriginalInteractionResponse { application_id, token };
        self.send(LightMethod::Delete, route, None, CALL_WITHIN).await
    }

    /// One more answer.
    pub(super) async fn follow_up(&self, token: &str, body: &Value) -> Result<(), Failed> {
        let application_id = self.application()?;
        let route = Route::WebhookFollowupMessages { application_id, token };
        self.send(LightMethod::Post, route, Some(body), CALL_WITHIN).await
    }

    pub(super) async fn register(&self, guild_id: GuildId, body: &Value) -> Result<(), Failed> {
        let application_id = self.application()?;
        let route = Route::GuildCommands { application_id, guild_id };
        self.send(LightMethod::Put, route, Some(body), CALL_WITHIN).await
    }

    async fn get<T: DeserializeOwned>(&self, route: Route<'_>) -> Result<T, Failed> {
        let request = Request::new(route, LightMethod::Get);
        within(CALL_WITHIN, self.http.fire(request)).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        method: LightMethod,
        route: Route<'_>,
        body: &Value,
    ) -> Result<T, Failed> {
        let request = Request::new(route, method).body(Some(body.to_string().into_bytes()));
        within(CALL_WITHIN, self.http.fire(request)).await
    }

    async fn send(
        &self,
        method: LightMethod,
        route: Route<'_>,
        body: Option<&Value>,
        deadline: Duration,
    ) -> Result<(), Failed> {
        let body = body.map(|body| body.to_string().into_bytes());
        let request = Request::new(route, method).body(body);
        within(deadline, self.http.request(request)).await.map(drop)
    }
}

/// A client of Discord's HTTP API. serenity ignores another address while its limiter is on.
pub(super) fn client(config: &Settings) -> HttpBuilder {
    let builder = HttpBuilder::new(config.token.expose());
    match config.api_url.as_str() {
        "" => builder,
        url => builder.proxy(url).ratelimiter_disabled(true),
    }
}

async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<T, Error>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(deadline, call).await {
        Ok(answer) => answer.map_err(sort),
        Err(_) => Err(Failed::Away(format!("no answer within {:.1} s", deadline.as_secs_f32()))),
    }
}

fn sort(error: Error) -> Failed {
    match error {
        Error::Http(HttpError::UnsuccessfulRequest(answer)) => {
            let (status, code) = (answer.status_code.as_u16(), answer.error.code);
            let says = format!("{status}, code {code}: {}", answer.error.message);
            match (status, code) {
                (_, 10_003 | 10_004 | 10_008 | 10_015 | 10_062) => Failed::Gone { code, says },
                (_, 50_001) => Failed::NoAccess,
                (_, 50_013) => Failed::NotAllowed,
                (_, 50_008 | 50_024 | 50_083 | 160_005) => Failed::NotThere(says),
                (_, 160_002) => Failed::NoHistory,
                (_, 30_046) => Failed::TooManyEdits,
                (401, _) => Failed::BadToken,
                (408 | 429, _) | (500.., _) => Failed::Away(says),
                _ => Failed::Refused(says),
            }
        }
        // Its own text would show the address.
        Error::Http(HttpError::Request(error)) => {
            Failed::Away(format!("Discord cannot be reached: {}", error.without_url()))
        }
        Error::Http(_) => Failed::Away("Discord cannot be asked".to_owned()),
        Error::Json(error) => Failed::Away(format!("an answer makes no sense: {error}")),
        other => Failed::Away(other.to_string()),
    }
}

/// The message that only one person will see, to be filled in later.
pub(super) fn defer_private() -> Value {
    json!({ "type": 5, "data": { "flags": super::interaction::EPHEMERAL } })
}

/// "Heard": what was pressed stays as it is until it is edited.
pub(super) fn defer_update() -> Value {
    json!({ "type": 6 })
}

/// An answer for one person, at once.
pub(super) fn private(text: &str) -> Value {
    let data = json!({
        "content": text,
        "flags": super::interaction::EPHEMERAL,
        "allowed_mentions": super::card::no_mentions(),
    });
    json!({ "type": 4, "data": data })
}
