//! What the server says about a message of ours, from the `msg-id` of its NOTICE.

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was shown.
    Shown,
    /// It was not: the same text was shown less than 30 seconds ago.
    Duplicate,
    /// It was not, and may be in a while.
    NotNow(String),
    /// It was not, and will not be until somebody changes something.
    Never(String),
    /// The connection ended before anything was said about it.
    Lost,
}

/// What a NOTICE says about our message; `None` if it is about something else ("This room is now
/// in slow mode"). Ids as in Twitch's list of NOTICE message ids.
pub fn of_notice(id: &str, words: &str) -> Option<Verdict> {
    let not_now = |mend: &str| Verdict::NotNow(format!("{words}{mend}"));
    let never = |mend: &str| Verdict::Never(format!("{words}{mend}"));
    Some(match id {
        "msg_duplicate" => Verdict::Duplicate,
        "msg_ratelimit" => not_now(""),
        // What a moderator is exempt from ends with the setting, or with making the bot one.
        "msg_slowmode"
        | "msg_followersonly"
        | "msg_followersonly_followed"
        | "msg_followersonly_zero"
        | "msg_subsonly"
        | "msg_emoteonly"
        | "msg_r9k" => not_now(" Fix: make the bot a moderator of the channel"),
        "msg_banned" | "msg_timedout" => never(" Fix: unban the bot and make it a moderator"),
        "msg_rejected" | "msg_rejected_mandatory" => {
            never(" Fix: make the bot a moderator, or change AutoMod and blocked terms")
        }
        "msg_requires_verified_phone_number" | "msg_verified_email" => {
            never(" Fix: verify the bot account's e-mail address and telephone number at Twitch")
        }
        "msg_channel_suspended"
        | "msg_suspended"
        | "tos_ban"
        | "no_permission"
        | "msg_bad_characters"
        | "msg_channel_blocked"
        | "unrecognized_cmd" => never(""),
        other if other.starts_with("msg_") => never(""),
        _ => return None,
    })
}

/// Whether a NOTICE to nobody in particular refuses the login.
pub fn refuses_login(words: &str) -> bool {
    [
        "Login authentication failed",
        "Improperly formatted auth",
        "Login unsuccessful",
        "Invalid NICK",
    ]
    .iter()
    .any(|refusal| words.starts_with(refusal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_about_our_message_counts() {
        for id in ["slow_on", "emote_only_off", "host_on", "delete_message_success", ""] {
            assert_eq!(of_notice(id, "x"), None, "{id}");
        }
        assert_eq!(of_notice("msg_duplicate", "x"), Some(Verdict::Duplicate));
        assert!(matches!(of_notice("msg_ratelimit", "x"), Some(Verdict::NotNow(_))));
        for id in ["msg_banned", "msg_channel_suspended", "no_permission", "msg_whatever"] {
            assert!(matches!(of_notice(id, "x"), Some(Verdict::Never(_))), "{id}");
        }
    }
}
