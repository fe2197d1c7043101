//! What viewers may ask: how many are left, and where. Once in a while per room.

use std::sync::PoisonError;

use super::Chat;
use crate::{
    clock::Span, command::parse::clean, notice::text, platform::Reply, room::Message, view::State,
};

/// A room hears the link this often at the most.
const EVERY: Span = Span::from_secs(20);

/// The words, without rights.
const WORDS: [&str; 2] = ["!buy", "!link"];

impl Chat {
    /// The answer to a viewer's word, if it is one and the room has not just heard it.
    pub(super) async fn for_viewers(&self, message: &Message) -> Option<Reply> {
        let said = clean(&message.text);
        let said = said.trim();
        if !WORDS.iter().any(|word| said.eq_ignore_ascii_case(word)) {
            return None;
        }
        if !self.rooms.contains(&message.room) {
            return None;
        }
        let now = self.engine.now();
        {
            let mut linked = self.linked.lock().unwrap_or_else(PoisonError::into_inner);
            let last = linked.get(&message.room).copied();
            if last.is_some_and(|at| at <= now && now.since(at) < EVERY) {
                return None;
            }
            linked.insert(message.room.clone(), now);
        }
        if !self.first_to_hear(message).await {
            return None;
        }
        let running: Vec<_> = self
            .engine
            .shown_live()
            .iter()
            .filter(|view| matches!(view.state, State::Open | State::AllHeld | State::Paused))
            .map(|view| text::headline(view, now))
            .collect();
        Some(match running.is_empty() {
            true => Reply::line("Nothing on right now."),
            false => Reply::lines(running),
        })
    }
}
