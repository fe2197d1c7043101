//! Discord's objects as it sends them, filled as far as clients demand.

use serde_json::{Value, json};

pub const TOKEN: &str = "MTA.abc.secret-token";
pub const BOT: u64 = 4242;
pub const APPLICATION: u64 = 4343;
pub const GUILD: u64 = 100;
pub const OTHER_GUILD: u64 = 200;
/// Where sales are shown, where moderators read, and what is nobody's business.
pub const SHOP: u64 = 1001;
pub const MODS: u64 = 1002;
pub const ELSEWHERE: u64 = 1003;
/// A channel of another server.
pub const ABROAD: u64 = 2001;

/// Roles: one that may manage the server, one that may do nothing and is called so as to mislead.
pub const MANAGERS: u64 = 501;
pub const LOUD: u64 = 502;

pub const OWNER: u64 = 11;
pub const MIA: u64 = 12;
pub const ANA: u64 = 13;
pub const BO: u64 = 14;

pub fn user(id: u64, name: &str) -> Value {
    json!({
        "id": id.to_string(), "username": name, "discriminator": "0", "global_name": null,
        "avatar": null, "bot": false, "public_flags": 0,
    })
}

fn role(id: u64, name: &str, permissions: u64) -> Value {
    json!({
        "id": id.to_string(), "name": name, "permissions": permissions.to_string(), "color": 0,
        "colors": { "primary_color": 0, "secondary_color": null, "tertiary_color": null },
        "hoist": false, "icon": null, "unicode_emoji": null, "position": 1, "managed": false,
        "mentionable": false, "flags": 0,
    })
}

/// The bot's needs: view, send, embed, history.
pub const NEEDED: u64 = 84_992;

pub fn roles(guild: u64) -> Value {
    json!([
        role(guild, "@everyone", NEEDED),
        role(MANAGERS, "Managers", 1 << 5),
        role(LOUD, "MODERATOR ADMIN", 0),
    ])
}

pub fn channel(guild: u64, id: u64, name: &str) -> Value {
    json!({
        "id": id.to_string(), "type": 0, "guild_id": guild.to_string(), "name": name,
        "position": 0, "permission_overwrites": [], "parent_id": null, "topic": null,
        "nsfw": false, "last_message_id": null, "rate_limit_per_user": 0, "flags": 0,
    })
}

pub fn guild(id: u64) -> Value {
    let channels = if id == GUILD {
        json!([
            channel(id, SHOP, "shop"),
            channel(id, MODS, "mods"),
            channel(id, ELSEWHERE, "talk")
        ])
    } else {
        json!([channel(id, ABROAD, "shop")])
    };
    let mut guild: Value = serde_json::from_str(GUILD_REST).expect("JSON");
    guild["id"] = id.to_string().into();
    guild["owner_id"] = OWNER.to_string().into();
    guild["roles"] = roles(id);
    guild["channels"] = channels;
    guild
}

/// What a client demands of a server and nobody here looks at.
const GUILD_REST: &str = r#"{
    "name": "A server", "icon": null, "icon_hash": null, "splash": null,
    "discovery_splash": null, "afk_channel_id": null, "afk_timeout": 300, "verification_level": 0,
    "default_message_notifications": 0, "explicit_content_filter": 0, "emojis": [],
    "features": [], "mfa_level": 0, "application_id": null, "system_channel_id": null,
    "system_channel_flags": 0, "rules_channel_id": null, "max_members": 1000,
    "vanity_url_code": null, "description": null, "banner": null, "premium_tier": 0,
    "premium_progress_bar_enabled": false, "preferred_locale": "en-US",
    "public_updates_channel_id": null, "nsfw_level": 0, "stickers": [],
    "joined_at": "2026-01-01T00:00:00Z", "large": false, "unavailable": false, "member_count": 3,
    "voice_states": [], "members": [], "threads": [], "presences": [], "stage_instances": [],
    "guild_scheduled_events": [], "soundboard_sounds": []
}"#;

pub fn ready(flags: u64) -> Value {
    json!({
        "v": 10,
        "user": { "id": BOT.to_string(), "username": "Till", "discriminator": "0", "avatar": null,
            "bot": true, "verified": true, "mfa_enabled": false, "email": null, "flags": 0 },
        "guilds": [
            { "id": GUILD.to_string(), "unavailable": true },
            { "id": OTHER_GUILD.to_string(), "unavailable": true },
        ],
        "session_id": "session-1",
        "resume_gateway_url": "wss://gateway.invalid",
        "shard": [0, 1],
        "application": { "id": APPLICATION.to_string(), "flags": flags },
    })
}

/// A message of a person in one of the server's channels.
pub fn message(id: u64, channel: u64, author: &Value, roles: &[u64], content: &str) -> Value {
    let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
    let guild = if channel == ABROAD { OTHER_GUILD } else { GUILD };
    json!({
        "id": id.to_string(), "channel_id": channel.to_string(), "guild_id": guild.to_string(),
        "author": author,
        "member": { "roles": roles, "joined_at": "2026-01-01T00:00:00Z", "deaf": false,
            "mute": false, "flags": 0 },
        "content": content, "timestamp": "2026-01-01T00:00:00Z", "edited_timestamp": null,
        "tts": false, "mention_everyone": false, "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": [], "pinned": false, "type": 0, "components": [], "flags": 0,
    })
}

/// A message of the bot as the API answers it.
pub fn posted(id: u64, channel: &str, body: &Value) -> Value {
    let mut message = message(id, 1, &user(BOT, "Till"), &[], "");
    message["author"]["bot"] = true.into();
    message["channel_id"] = channel.into();
    let fields = ["content", "embeds", "components", "message_reference", "allowed_mentions"];
    for field in fields {
        if !body[field].is_null() {
            message[field] = body[field].clone();
        }
    }
    message
}

/// An interaction in a server, `data` left to the caller.
pub fn interaction(
    id: u64,
    kind: u8,
    channel: u64,
    who: &Value,
    roles: &[u64],
    rights: u64,
) -> Value {
    let roles: Vec<String> = roles.iter().map(u64::to_string).collect();
    let guild = if channel == ABROAD { OTHER_GUILD } else { GUILD };
    json!({
        "id": id.to_string(), "application_id": APPLICATION.to_string(), "type": kind,
        "token": format!("interaction-{id}"), "version": 1,
        "guild_id": guild.to_string(), "channel_id": channel.to_string(),
        "channel": { "id": channel.to_string(), "type": 0, "name": "shop", "permissions": "0" },
        "member": { "user": who, "roles": roles, "permissions": rights.to_string(),
            "joined_at": "2026-01-01T00:00:00Z", "deaf": false, "mute": false, "flags": 0,
            "nick": null, "avatar": null, "premium_since": null, "pending": false },
        "app_permissions": "0", "locale": "en-US", "guild_locale": "en-US", "entitlements": [],
        "authorizing_integration_owners": {}, "context": 0, "attachment_size_limit": 524_288,
    })
}
