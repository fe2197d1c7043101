//! How the connection stands, for whoever asks.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    clock::Clock,
    platform::{Health, Standing},
};

/// A wrong token, and the mend.
pub(super) const TOKEN_MEND: &str = "Discord rejects the bot's token: make a new one in the \
    developer portal (your application, Bot, Reset Token) and set LIVETILL_DISCORD__TOKEN";

/// A missing intent, and the mend.
pub(super) const INTENT_MEND: &str = "Discord refuses the Message Content intent: switch it on in \
    the developer portal (your application, Bot, Privileged Gateway Intents, Message Content \
    Intent) and start again";

/// Living without the words of messages, and the mend.
pub(super) const CONTENT_MEND: &str = "Discord tells the bot that somebody spoke, not what they \
    said, so !sale is not understood; /sale and \"@bot sale start …\" are. To fix it, switch on \
    Message Content Intent in the developer portal (your application, Bot, Privileged Gateway \
    Intents) and start again";

/// How the connection stands.
pub(super) struct Pulse {
    clock: Arc<dyn Clock>,
    now: Mutex<Health>,
    wordless: AtomicBool,
}

impl Pulse {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let health = Health { standing: Standing::Starting, since: clock.now() };
        Self { clock, now: Mutex::new(health), wordless: AtomicBool::new(false) }
    }

    pub(super) fn get(&self) -> Health {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn is_up(&self) -> bool {
        self.get().standing == Standing::Up
    }

    /// A new standing; what is broken stays so until a person mends it and starts again.
    pub(super) fn set(&self, standing: Standing) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = !matches!(now.standing, Standing::Broken(_));
        if ends && now.standing != standing {
            *now = Health { standing, since: self.clock.now() };
        }
    }

    /// Notes that words do not arrive; true the first time.
    pub(super) fn lacks_words(&self) -> bool {
        !self.wordless.swap(true, Ordering::Relaxed)
    }

    /// Whether words did not arrive.
    pub(super) fn is_wordless(&self) -> bool {
        self.wordless.load(Ordering::Relaxed)
    }
}
