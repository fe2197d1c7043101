//! What was said in a room lately, so that nothing is said twice: Twitch drops a text that was
//! said less than 30 seconds before.

use std::collections::VecDeque;

use super::words::{repeated, spoken};
use crate::clock::{Span, Timestamp};

/// Twitch drops the same text within this time (its NOTICE `msg_duplicate`).
const SAME_WITHIN: Span = Span::from_secs(30);

/// State notices remembered per room, so that a repeat is the same to the letter.
const DRAFTS_MAX: usize = 64;

/// What was said in one room.
#[derive(Default)]
pub struct Memory {
    said: VecDeque<(Timestamp, String)>,
    drafts: VecDeque<Draft>,
}

/// The words of a state notice.
struct Draft {
    key: String,
    text: String,
    sent: Option<Timestamp>,
    /// It may have been said in an earlier life.
    earlier: bool,
}

/// The words of a state notice, and whether an earlier attempt may have been heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// What to say.
    pub text: String,
    /// An earlier attempt may have been heard so lately that Twitch drops this one.
    pub maybe_said: bool,
}

impl Memory {
    /// A line that differs from what was said within 30 seconds.
    pub fn fresh(&mut self, line: &str, now: Timestamp) -> String {
        self.said.retain(|(at, _)| now.since(*at) < SAME_WITHIN);
        let base = spoken(line);
        let said = |text: &str| self.said.iter().any(|(_, said)| said == text);
        let mut text = base.clone();
        let mut nth = 1;
        while said(&text) {
            nth += 1;
            text = repeated(&base, nth);
        }
        text
    }

    /// The words of the state notice `key`: the same again if an attempt may have been heard.
    /// `again` tells of attempts in an earlier life, of which nothing is remembered here.
    pub fn notice(&mut self, key: &str, line: &str, again: bool, now: Timestamp) -> Words {
        let known = self.drafts.iter().find(|draft| draft.key == key);
        if let Some(Draft { text, sent: Some(at), .. }) = known {
            return Words { text: text.clone(), maybe_said: now.since(*at) < SAME_WITHIN };
        }
        let earlier = known.map_or(again, |draft| draft.earlier);
        let text = if earlier { spoken(line) } else { self.fresh(line, now) };
        self.drafts.retain(|draft| draft.key != key);
        if self.drafts.len() >= DRAFTS_MAX {
            self.drafts.pop_front();
        }
        let draft = Draft { key: key.to_owned(), text: text.clone(), sent: None, earlier };
        self.drafts.push_back(draft);
        Words { text, maybe_said: earlier }
    }

    /// A line goes out.
    pub fn sends(&mut self, key: Option<&str>, text: &str, now: Timestamp) {
        self.said.push_back((now, text.to_owned()));
        if let Some(draft) = self.drafts.iter_mut().find(|draft| Some(draft.key.as_str()) == key) {
            draft.sent = Some(now);
        }
    }

    /// The server said that the line was not shown. Shown or not, `said_before` stays noted.
    pub fn not_shown(&mut self, key: Option<&str>, text: &str, said_before: bool) {
        if !said_before && let Some(at) = self.said.iter().rposition(|(_, said)| said == text) {
            self.said.remove(at);
        }
        if let Some(draft) = self.drafts.iter_mut().find(|draft| Some(draft.key.as_str()) == key) {
            draft.sent = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    #[test]
    fn no_text_comes_twice_within_thirty_seconds() {
        let mut memory = Memory::default();
        for (secs, text) in [(0, "a"), (1, "a (2)"), (2, "a (3)"), (31, "a"), (32, "a (2)")] {
            assert_eq!(memory.fresh("a", at(secs)), text);
            memory.sends(None, text, at(secs));
        }
    }

    #[test]
    fn a_notice_that_may_have_been_heard_is_repeated_to_the_letter() {
        let mut memory = Memory::default();
        memory.sends(None, "ENDED", at(0));
        let words = memory.notice("k1", "ENDED", false, at(1));
        assert_eq!(words, Words { text: "ENDED (2)".to_owned(), maybe_said: false });
        memory.sends(Some("k1"), &words.text, at(1));
        let again = memory.notice("k1", "ENDED", true, at(5));
        assert_eq!(again, Words { text: "ENDED (2)".to_owned(), maybe_said: true });
        assert!(!memory.notice("k1", "ENDED", true, at(40)).maybe_said);
    }

    #[test]
    fn a_notice_of_an_earlier_life_is_said_in_its_plain_words() {
        let mut memory = Memory::default();
        memory.sends(None, "ENDED", at(0));
        for secs in [1, 2] {
            let words = memory.notice("k1", "ENDED", true, at(secs));
            assert_eq!(words, Words { text: "ENDED".to_owned(), maybe_said: true });
        }
    }

    #[test]
    fn a_notice_that_was_not_shown_is_worded_anew() {
        let mut memory = Memory::default();
        let words = memory.notice("k1", "ENDED", false, at(0));
        memory.sends(Some("k1"), &words.text, at(0));
        memory.not_shown(Some("k1"), &words.text, false);
        assert_eq!(memory.notice("k1", "ENDED", true, at(1)).text, "ENDED");
        memory.sends(Some("k1"), "ENDED", at(1));
        memory.not_shown(Some("k1"), "ENDED", true);
        assert_eq!(memory.notice("k1", "ENDED", true, at(2)).text, "ENDED (2)");
    }
}
