//! The stage in a running bot: a rehearsal on a thread of its own, beside what is live and apart
//! from it.
//!
//! It is handed the live program's clock, its randomness and a way to speak in moderators' rooms,
//! and nothing else: no live store, provider, room, page or figure can be reached from it.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    PATIENCE, Scene, Score,
    card::card,
    plan::Crowd,
    play,
    voice::{MARK, Voice, speak},
};
use crate::{
    app::App,
    chat::rehearse::{Play, Stage},
    clock::{Clock, FastClock, Span},
    config::Config,
    id::Entropy,
    meter,
    notice::text::plain,
    platform::Platform,
    provider::{sandbox, spec::ProviderSpec},
    room::Room,
    sale::{
        offer::Offers,
        template::{TITLE_CHARS_MAX, Template},
    },
};

/// Rehearses sales, one at a time, for as long as the program runs.
pub struct Rehearsals {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    platforms: Vec<Arc<dyn Platform>>,
    rooms: Vec<Room>,
    config: Config,
    stop: CancellationToken,
    tasks: TaskTracker,
    running: Arc<Mutex<Option<Running>>>,
}

/// What is played at present.
struct Running {
    title: String,
    end: CancellationToken,
}

impl Rehearsals {
    /// A stage beside `app`, with the clock and the randomness it was built with.
    pub fn beside(
        app: &App,
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Arc<Self> {
        let platforms = app.platforms().to_vec();
        let mut rooms = config.shop.mod_rooms.clone();
        rooms.retain(|room| platforms.iter().any(|one| one.name() == room.platform));
        Arc::new(Self {
            clock,
            entropy,
            platforms,
            rooms,
            config: config.clone(),
            stop: app.stop_token().clone(),
            tasks: app.tasks().clone(),
            running: Arc::default(),
        })
    }

    /// API calls per second of the sandbox: as fast as the provider it stands in for begins.
    fn calls_per_second(&self, template: &Template) -> u32 {
        let provider = self.config.providers.of(&template.provider);
        provider.map_or(1, ProviderSpec::calls_per_second)
    }

    fn scene(&self, play: &Play, voice: &Arc<Voice>) -> Scene {
        // No shopper knows a code or holds a role, and the shop's own checks are asked nothing.
        let mut template = Template { offers: Offers::default(), ..play.template.clone() };
        template.title =
            format!("{MARK}{}", template.title).chars().take(TITLE_CHARS_MAX).collect();
        let bytes = self.entropy.bytes();
        let seed = bytes.iter().take(4).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
        Scene {
            shop: format!("{MARK}{}", self.config.shop.name),
            crowd: Crowd {
                buyers: play.crowd,
                seed,
                duration: template.duration,
                hold: template.hold,
            },
            calls_per_second: self.calls_per_second(&template),
            template,
            patience: Span::from_millis(PATIENCE.millis() * i64::from(play.speed)),
            clock: Arc::new(FastClock::new(self.clock.clone(), play.speed)),
            entropy: self.entropy.clone(),
            voice: voice.clone(),
        }
    }
}

impl Stage for Rehearsals {
    fn rooms(&self) -> &[Room] {
        &self.rooms
    }

    fn begin(&self, play: Play) -> Result<(), String> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref() {
            return Err(format!(
                "{} is being rehearsed already. End that with: !sale rehearse stop",
                plain(&running.title)
            ));
        }
        let (voice, lines) = Voice::new();
        voice.aside(first_line(&play));
        let end = self.stop.child_token();
        let scene = self.scene(&play, &voice);
        let thread = perform(scene, play.clone(), voice, end.clone());
        thread.map_err(|error| format!("There is no thread to rehearse on: {error}."))?;
        *running = Some(Running { title: play.template.title.clone(), end });
        drop(running);
        let words = speak(lines, play.rooms, self.platforms.clone(), self.clock.clone());
        let running = self.running.clone();
        self.tasks.spawn(async move {
            words.await;
            // Its last word is said: the stage is free.
            *running.lock().unwrap_or_else(PoisonError::into_inner) = None;
        });
        Ok(())
    }

    fn end(&self) -> bool {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.as_ref().map(|running| running.end.cancel()).is_some()
    }
}

/// Plays on a thread of its own, so that no crowd stands in the way of what is live.
fn perform(
    scene: Scene,
    play_of: Play,
    voice: Arc<Voice>,
    end: CancellationToken,
) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let body = move || {
        // The figures of /metrics are of live sales alone, and so is the log without this span.
        let _apart = meter::nowhere();
        let _span = tracing::error_span!("rehearsal").entered();
        let ended = runtime.block_on(async {
            tokio::select! {
                score = play(scene) => Some(score),
                () = end.cancelled() => None,
            }
        });
        // Whatever of it still works goes down with the runtime.
        drop(runtime);
        for line in last_lines(ended, &play_of, &voice) {
            voice.aside(line);
        }
    };
    std::thread::Builder::new().name("rehearsal".to_owned()).spawn(body).map(drop)
}

fn last_lines(ended: Option<Result<Score>>, play: &Play, voice: &Voice) -> Vec<String> {
    match ended.map(|score| score.context("the rehearsal broke off")) {
        Some(Ok(score)) => card(&score.with_lines(voice.lines()), play),
        Some(Err(error)) => {
            tracing::error!(%error, "the rehearsal broke off");
            vec![format!("it broke off: {}", plain(&error.root_cause().to_string()))]
        }
        None => vec!["ended before its time. Nothing is left of it.".to_owned()],
    }
}

/// What is played, and what is not.
fn first_line(play: &Play) -> String {
    let Play { template, crowd, speed, .. } = play;
    let took = Span::from_millis(template.duration.millis() / i64::from(*speed));
    let stand_in = match template.provider.as_str() {
        sandbox::NAME => String::new(),
        other => format!("{other} (the sandbox stands in for it), "),
    };
    let offers = if template.offers.is_empty() { "" } else { "options, up-sells and conditions, " };
    format!(
        "{} · {} × {} for {} · {crowd} shoppers · {speed} times as fast, about {} · nothing is for \
         sale · not rehearsed: {stand_in}{offers}real cards, chat rooms, viewers' phones · its pages open on \
         the bot's own machine only · end it with: !sale rehearse stop",
        plain(&template.title),
        template.stock,
        template.price,
        template.duration.words(),
        took.words(),
    )
}
