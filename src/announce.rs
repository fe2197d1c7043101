//! Keeps rooms up to date between state notices: renders the newest view, merges what is stale.
//!
//! State notices are not its business; they go through the outbox. What it says may be lost and
//! is then simply said anew from a newer view.

mod alarm;
pub mod clock;
mod milestone;

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use self::milestone::Passed;
use crate::{
    clock::{Span, Timestamp},
    engine::{Engine, say_target},
    id::SaleId,
    notice::text,
    platform::{Platform, SayError, Updates},
    room::{PlatformName, Room},
    view::{State, View},
};

/// Tells a moderator this often that a sale is still being made ready, where lines are cheap.
const PROGRESS_EVERY: Span = Span::from_secs(5);

/// The same where every line is a message of its own.
const PROGRESS_LINE_EVERY: Span = Span::from_secs(30);

/// Where only milestones are said, a number that changed since is put right after this long.
const PUT_RIGHT_AFTER: Span = Span::from_secs(60);

/// After a room could not be reached, try again after this long.
const AGAIN_AFTER: Span = Span::from_secs(5);

/// Changes of a sale are gathered this long before rooms are looked at.
const GATHER_FOR: Duration = Duration::from_millis(30);

/// While another replica sends to a platform, look again after this long.
const OTHERS_TURN: Span = Span::from_secs(1);

/// What a room was told of a sale.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    revision: u64,
    state: State,
    left: u32,
    /// Everything is held, and nobody pays any more: links that cannot be taken back.
    stuck: bool,
    passed: Passed,
    at: Timestamp,
    /// Not to be tried again before then.
    not_before: Timestamp,
}

impl Told {
    fn of(view: &View, now: Timestamp) -> Self {
        Self {
            revision: view.revision,
            state: view.state,
            left: view.left,
            stuck: is_stuck(view),
            passed: Passed::of(view, now),
            at: now,
            not_before: now,
        }
    }
}

fn is_stuck(view: &View) -> bool {
    view.state == State::AllHeld && view.paying == 0
}

/// What is to be done about a sale in a room.
enum Due {
    Nothing,
    /// Look again then.
    Later(Timestamp),
    /// Nothing to say, but this is how it stands now.
    Note,
    /// Show the newest.
    Show,
    /// It is over and shown: forget it.
    Forget,
}

/// Keeps rooms up to date.
pub struct Announcer {
    engine: Engine,
    platforms: Vec<Arc<dyn Platform>>,
    rooms: Vec<Room>,
    mod_rooms: Vec<Room>,
    told: Mutex<HashMap<(SaleId, Room), Told>>,
    /// Platforms that have had their first round since the start, or since another replica sent to
    /// them; it shows what runs once more.
    begun: Mutex<BTreeSet<PlatformName>>,
}

impl Announcer {
    /// An announcer for these rooms.
    pub fn new(
        engine: Engine,
        platforms: Vec<Arc<dyn Platform>>,
        rooms: Vec<Room>,
        mod_rooms: Vec<Room>,
    ) -> Self {
        let (told, begun) = Default::default();
        Self { engine, platforms, rooms, mod_rooms, told, begun }
    }

    /// Brings every room up to date as far as it may now; says when to look again.
    pub async fn step(&self) -> Option<Timestamp> {
        let steps = self.platforms.iter().map(|platform| self.step_on(platform.as_ref()));
        join_all(steps).await.into_iter().flatten().min()
    }

    async fn step_on(&self, platform: &dyn Platform) -> Option<Timestamp> {
        let now = self.engine.now();
        let name = platform.name();
        if !self.engine.acts_for(&say_target(name.as_str())) {
            self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&name);
            return Some(now + OTHERS_TURN);
        }
        let first = self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        let views = self.engine.certain();
        let mut next: Option<Timestamp> = None;
        let mut later = |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at)));
        for room in self.rooms.iter().filter(|room| room.platform == name) {
            let updates = platform.limits(room).updates;
            // Whoever was heard of longest ago goes first where lines are rationed.
            let mut turns: Vec<_> = views.iter().filter(|v| v.state != State::Arming).collect();
            turns.sort_by_cached_key(|view| self.told_at(view, room));
            for view in turns {
                match self.due(view, room, updates, now, first) {
                    Due::Nothing => {}
                    Due::Later(at) => later(at),
                    Due::Note => self.note(view, room, Told::of(view, now)),
                    Due::Forget => self.forget(view, room),
                    Due::Show => {
                        if let Some(at) = self.show(platform, view, room, now).await {
                            later(at);
                        }
                    }
                }
            }
        }
        if let Some(at) = self.tell_progress(platform, &views, now).await {
            later(at);
        }
        next
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<(SaleId, Room), Told>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn told_at(&self, view: &View, room: &Room) -> Option<Timestamp> {
        self.told().get(&(view.id, room.clone())).map(|told| told.at)
    }

    fn note(&self, view: &View, room: &Room, told: Told) {
        let mut all = self.told();
        let passed = all.get(&(view.id, room.clone())).map_or(told.passed, |was| was.passed);
        let told = Told { passed: told.passed.and(passed), ..told };
        all.insert((view.id, room.clone()), told);
    }

    fn forget(&self, view: &View, room: &Room) {
        self.told().remove(&(view.id, room.clone()));
    }

    /// What is to be done about a sale in a room.
    fn due(&self, view: &View, room: &Room, updates: Updates, now: Timestamp, first: bool) -> Due {
        let told = self.told().get(&(view.id, room.clone())).cloned();
        let edits = matches!(updates, Updates::Edits(_));
        let Some(told) = told else {
            return match (view.closed, first && edits && view.is_public()) {
                (true, _) => Due::Nothing,
                // A restart: what is shown may be old.
                (false, true) => Due::Show,
                // Its first state is a notice's business, not ours.
                (false, false) => Due::Note,
            };
        };
        if view.closed && (!edits || told.revision == view.revision) {
            return Due::Forget;
        }
        if told.not_before > now {
            return Due::Later(told.not_before);
        }
        // A state notice speaks for itself; the next line comes after a decent while.
        if !same_standing(told.state, view.state) {
            return Due::Note;
        }
        match updates {
            Updates::Edits(every) => {
                due_after(told.revision != view.revision, told.at + every, now)
            }
            Updates::Reprints(every) => {
                let selling = matches!(view.state, State::Open | State::AllHeld);
                let new = told.state != view.state
                    || told.left != view.left
                    || told.stuck != is_stuck(view);
                due_after(selling && new, told.at + every, now)
            }
            Updates::Lines(quiet) => self.due_line(view, room, &told, quiet, now),
        }
    }

    /// Whether a milestone is worth a line of its own.
    fn due_line(&self, view: &View, room: &Room, told: &Told, quiet: Span, now: Timestamp) -> Due {
        if !matches!(view.state, State::Open | State::AllHeld) {
            return Due::Nothing;
        }
        let passed = told.passed.and(Passed::of(view, now)) != told.passed;
        let quiet_until = self.spoke_at(room).map_or(told.at, |at| at.max(told.at)) + quiet;
        if passed || told.state != view.state || told.stuck != is_stuck(view) {
            return due_after(true, quiet_until, now);
        }
        let right_at = quiet_until.max(told.at + PUT_RIGHT_AFTER);
        if told.left != view.left && right_at <= now {
            return Due::Show;
        }
        let right_at = (told.left != view.left).then_some(right_at);
        match right_at.into_iter().chain(milestone::next(view, now)).min() {
            Some(at) => Due::Later(at),
            None => Due::Nothing,
        }
    }

    /// When a room last heard a line about any sale.
    fn spoke_at(&self, room: &Room) -> Option<Timestamp> {
        let told = self.told();
        told.iter().filter(|((_, at), _)| at == room).map(|(_, told)| told.at).max()
    }

    /// Shows the newest view; answers when to try again if that was not possible.
    async fn show(
        &self,
        platform: &dyn Platform,
        view: &Arc<View>,
        room: &Room,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let line = text::headline(view, now);
        let again = match platform.show(room, view, &line).await {
            Ok(()) => {
                self.note(view, room, Told::of(view, now));
                return view.closed.then_some(now);
            }
            Err(SayError::NotBefore(at)) => at,
            Err(SayError::Retry(why)) => {
                tracing::warn!(%room, why, "a room could not be brought up to date");
                now + AGAIN_AFTER
            }
            Err(SayError::Refused(why)) => {
                tracing::warn!(%room, why, "a room cannot be brought up to date");
                self.note(view, room, Told::of(view, now));
                return None;
            }
        };
        let mut told = self.told();
        let key = (view.id, room.clone());
        let first = || Told { revision: 0, ..Told::of(view, now) };
        told.entry(key).or_insert_with(first).not_before = again;
        Some(again)
    }

    /// Tells the moderators that a sale is still being made ready.
    async fn tell_progress(
        &self,
        platform: &dyn Platform,
        views: &[Arc<View>],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        for view in views.iter().filter(|view| view.state == State::Arming) {
            for room in self.mod_rooms.iter().filter(|room| room.platform == platform.name()) {
                let cheap = matches!(platform.limits(room).updates, Updates::Reprints(_));
                let every = if cheap { PROGRESS_EVERY } else { PROGRESS_LINE_EVERY };
                let due = match self.told_at(view, room) {
                    None => now + every,
                    Some(at) => at + every,
                };
                if due <= now {
                    let line = if cheap {
                        platform.show(room, view, &progress(view)).await
                    } else {
                        platform.say(room, &[progress(view)]).await
                    };
                    if let Err(error) = line {
                        tracing::warn!(%room, %error, "progress could not be told");
                    }
                }
                if due <= now || self.told_at(view, room).is_none() {
                    self.note(view, room, Told::of(view, now));
                }
                let at = if due <= now { now + every } else { due };
                next = Some(next.map_or(at, |next| next.min(at)));
            }
        }
        next
    }

    /// Keeps rooms up to date until stopped; a platform that hangs holds no other up.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        join_all(self.platforms.iter().map(|platform| self.run_on(platform.as_ref(), &stop))).await;
    }

    async fn run_on(&self, platform: &dyn Platform, stop: &CancellationToken) {
        let mut bell = self.engine.views().bell();
        loop {
            bell.borrow_and_update();
            let next = self.step_on(platform).await;
            let next = next.unwrap_or_else(|| self.engine.now() + Span::from_secs(3600));
            tokio::select! {
                () = self.engine.clock().sleep_until(next) => {}
                // A crowd's changes come close together, and one look serves many of them.
                _ = bell.changed() => tokio::time::sleep(GATHER_FOR).await,
                () = stop.cancelled() => return,
            }
        }
    }
}

fn due_after(wanted: bool, at: Timestamp, now: Timestamp) -> Due {
    match wanted {
        false => Due::Nothing,
        true if at > now => Due::Later(at),
        true => Due::Show,
    }
}

/// Whether no state notice lies between the two.
fn same_standing(a: State, b: State) -> bool {
    let selling = |state| matches!(state, State::Open | State::AllHeld);
    a == b || (selling(a) && selling(b))
}

fn progress(view: &View) -> String {
    let what = view.note.as_deref().unwrap_or("making the payment page");
    format!(
        "#{} {} · still preparing: {}",
        view.number,
        text::plain(&view.title),
        text::plain(what)
    )
}
