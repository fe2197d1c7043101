//! A send budget per account: what matters most is said first, and nobody is flooded.
//!
//! Stands in front of a platform and lets through what its limits allow. The more a line matters,
//! the more of the budget it may use: stock lines half of it, safety all of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{
    clock::{Clock, Span, Timestamp},
    finding::Finding,
    notice::Notice,
    platform::{Grant, Health, Limits, Platform, Post, Reply, SayError, Wish},
    room::{Message, PlatformName, Room},
    view::View,
};

/// An answer that would have to wait longer than this is not worth having.
const ANSWER_AGE_MAX: Span = Span::from_secs(15);

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Something must stop, or is wrong.
    Safety,
    /// Somebody waits for an answer.
    Reply,
    /// A sale changed its state.
    State,
    /// How many are left.
    Stock,
}

impl Lane {
    /// How much of a budget of `sends` this lane may use up.
    fn share(self, sends: u32) -> usize {
        let kept_back = match self {
            Self::Safety => 0,
            Self::Reply => sends / 10,
            Self::State => sends / 5,
            Self::Stock => sends / 2,
        };
        (sends - kept_back).max(1) as usize
    }
}

/// A platform behind its send budget.
pub struct Budgeted {
    inner: Arc<dyn Platform>,
    clock: Arc<dyn Clock>,
    sent: Mutex<VecDeque<Timestamp>>,
}

impl Budgeted {
    /// Puts a budget in front of `inner`.
    pub fn new(inner: Arc<dyn Platform>, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, sent: Mutex::default() }
    }

    /// Takes one send out of the budget; if there is none, says when there will be.
    fn take(&self, lane: Lane, room: &Room) -> Result<(), Timestamp> {
        let now = self.clock.now();
        let Limits { sends, within, .. } = self.inner.limits(room);
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        while sent.front().is_some_and(|at| *at + within <= now) {
            sent.pop_front();
        }
        let share = lane.share(sends);
        if sent.len() < share {
            sent.push_back(now);
            return Ok(());
        }
        // When so many have grown old that this lane's share has room again.
        let frees = sent.get(sent.len() - share).copied().unwrap_or(now);
        Err(frees + within)
    }

    /// Waits for a send, unless that takes too long for a conversation.
    async fn wait(&self, lane: Lane, room: &Room) -> Result<(), SayError> {
        let latest = self.clock.now() + ANSWER_AGE_MAX;
        while let Err(at) = self.take(lane, room) {
            if at > latest {
                return Err(SayError::Retry("too much was said already".to_owned()));
            }
            self.clock.sleep_until(at).await;
        }
        Ok(())
    }
}

fn lane_of(notice: &Notice) -> Lane {
    match notice {
        Notice::Paused { .. } | Notice::Cancelled { .. } | Notice::Trouble { .. } => Lane::Safety,
        Notice::Opened { .. }
        | Notice::Resumed { .. }
        | Notice::SoldOut { .. }
        | Notice::Ended { .. }
        | Notice::Armed { .. }
        | Notice::NotStarted { .. } => Lane::State,
    }
}

#[async_trait]
impl Platform for Budgeted {
    fn name(&self) -> PlatformName {
        self.inner.name()
    }

    fn limits(&self, room: &Room) -> Limits {
        self.inner.limits(room)
    }

    async fn announce(&self, post: &Post) -> Result<(), SayError> {
        self.take(lane_of(&post.notice), &post.room).map_err(SayError::NotBefore)?;
        self.inner.announce(post).await
    }

    async fn reply(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        self.wait(Lane::Reply, &to.room).await?;
        self.inner.reply(to, reply).await
    }

    async fn say(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        self.wait(Lane::Reply, room).await?;
        self.inner.say(room, lines).await
    }

    async fn show(&self, room: &Room, view: &Arc<View>, line: &str) -> Result<(), SayError> {
        self.take(Lane::Stock, room).map_err(SayError::NotBefore)?;
        self.inner.show(room, view, line).await
    }

    async fn grant(&self, wish: &Wish, grant: &Grant) -> Result<(), SayError> {
        self.inner.grant(wish, grant).await
    }

    fn health(&self) -> Option<Health> {
        self.inner.health()
    }

    async fn check(&self, rooms: &[Room]) -> Vec<Finding> {
        self.inner.check(rooms).await
    }
}
