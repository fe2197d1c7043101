//! A rehearsal of the real program: the sandbox provider and a crowd that clicks over real HTTP.
//!
//! What the crowd means to do is a function of the seed; what comes of it is up to the program. It
//! has a store, a listener, a provider and rooms of its own, and knows nobody else's.

mod card;
mod plan;
mod score;
mod shopper;
pub mod stage;
mod voice;

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

pub use self::score::Score;
use self::{
    plan::{Crowd, plan},
    shopper::{Kept, Shopper},
};
use crate::{
    app::{App, Outside},
    clock::{Clock, Span, SystemClock, Timestamp},
    config::{Config, Loaded},
    id::{Entropy, SystemEntropy},
    platform::{
        Platform,
        console::{Console, message},
    },
    provider::sandbox::Faults,
    sale::template::Template,
    store::{self, Access, Store},
};

/// What `livetill demo` is like.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// How many shoppers come.
    pub buyers: u32,
    /// Units for sale.
    pub stock: u32,
    /// How long the sale is open.
    pub duration: Span,
    /// What the crowd means to do.
    pub seed: u64,
    /// Print the chat as it goes.
    pub print: bool,
}

/// A sale to be played with a crowd, and the world it is played in.
struct Scene {
    /// The shop's name on its pages.
    shop: String,
    template: Template,
    crowd: Crowd,
    /// API calls per second of its sandbox.
    calls_per_second: u32,
    /// How long anything may take beyond its own time, by `clock`.
    patience: Span,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    voice: Arc<dyn Platform>,
}

/// How long a rehearsal may take beyond the sale's own time.
const PATIENCE: Span = Span::from_secs(120);

/// How often to look whether everything is done.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The one template's name.
const NAME: &str = "demo";

/// Runs a rehearsal to its end, in this program's own time.
///
/// # Errors
/// If the program cannot be started on a temporary database.
pub async fn run(rehearsal: &Rehearsal, template: Template) -> Result<Score> {
    let lines = Arc::new(AtomicU64::new(0));
    let counted = lines.clone();
    let print = rehearsal.print;
    let progress = Arc::new(Mutex::new(()));
    let console = Console::new(move |line| {
        counted.fetch_add(1, Ordering::Relaxed);
        if print {
            let _turn = progress.lock().unwrap_or_else(PoisonError::into_inner);
            // Nobody may be reading.
            let _ = writeln!(std::io::stdout(), "  chat │ {line}");
        }
    });
    let template = shrunk(template, rehearsal);
    let crowd = Crowd {
        buyers: rehearsal.buyers,
        seed: rehearsal.seed,
        duration: template.duration,
        hold: template.hold,
    };
    let scene = Scene {
        shop: "Livetill rehearsal".to_owned(),
        template,
        crowd,
        calls_per_second: 30,
        patience: PATIENCE,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        voice: console,
    };
    let score = play(scene).await?;
    Ok(score.with_lines(lines.load(Ordering::Relaxed)))
}

/// The template as the demo runs it: its times shrunk to the sale's length, and nothing asked.
fn shrunk(template: Template, rehearsal: &Rehearsal) -> Template {
    let part = |n: i64| Span::from_millis((rehearsal.duration.millis() / n).max(1000));
    let mut template = Template {
        stock: rehearsal.stock,
        duration: rehearsal.duration,
        hold: part(6),
        grace: part(8),
        ask: Vec::new(),
        // The crowd wants the goods, and has no codes.
        offers: crate::sale::offer::Offers::default(),
        ..template
    };
    template.bounds.max_stock = template.bounds.max_stock.max(rehearsal.stock);
    template.bounds.max_duration = template.bounds.max_duration.max(rehearsal.duration);
    template
}

/// Plays a scene to its end.
async fn play(scene: Scene) -> Result<Score> {
    let folder = Folder::new()?;
    let mut app = start(&folder, &scene).await?;
    app.serve().await?;
    app.run();
    let start = message("start".to_owned(), &format!("!sale start {NAME}"));
    let answer = app.chat.hear(&start).await.unwrap_or_default();
    anyhow::ensure!(!app.engine.views().all().is_empty(), "{}", answer.lines.join(" "));
    let view = opening(&app, &scene).await?;
    let kept = come(&app, &scene, view.id).await;
    settle(&app, &scene).await;
    let sale = app.engine.look(view.id, Clone::clone).await?;
    let journal = app.engine.store().journal(view.id).await?;
    let (rest, parked) = app.at_rest().await?;
    app.stop().await;
    let left = app.sandbox.left_behind().await.unwrap_or_default().len();
    Ok(Score::new(&scene.crowd, &sale, &journal, &kept, rest && parked == 0 && left == 0))
}

async fn start(folder: &Folder, scene: &Scene) -> Result<App> {
    let mut config = Config::default();
    config.shop.name.clone_from(&scene.shop);
    config.providers.sandbox.calls_per_second = scene.calls_per_second;
    // What a provider does on a bad day: news lost, doubled and late, a page that stays open.
    config.providers.sandbox.faults = Faults {
        latency_ms: 40,
        ready_after_ms: 300,
        webhook_dropped: 0.1,
        webhook_doubled: 0.2,
        webhook_late_ms: 1500,
        answer_lost: 0.01,
        close_ignored: 0.3,
        ..Faults::default()
    };
    let template = Template {
        name: NAME.to_owned(),
        provider: crate::provider::sandbox::NAME.to_owned(),
        ..scene.template.clone()
    };
    let templates = [(NAME.to_owned(), template)].into();
    let loaded = Loaded { config, templates, warnings: Vec::new(), path: None };
    let url = format!("sqlite:{}", folder.file("demo.db").display());
    let outside = Outside {
        clock: scene.clock.clone(),
        entropy: scene.entropy.clone(),
        store: Arc::new(store::open(&url, Access::Write).await?) as Arc<dyn Store>,
        listener: TcpListener::bind("127.0.0.1:0").await.context("no free port")?,
        platforms: vec![scene.voice.clone()],
        wrap: Arc::new(|provider| provider),
    };
    App::build(&loaded, outside).await
}

async fn opening(app: &App, scene: &Scene) -> Result<Arc<crate::view::View>> {
    let mut bell = app.engine.views().bell();
    let opened = async {
        loop {
            let newest = app.engine.views().all().into_iter().next();
            if let Some(view) = newest.filter(|view| view.opened_at.is_some() || view.closed) {
                return view;
            }
            if bell.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    let latest = scene.clock.now() + scene.template.ready_limit + scene.patience;
    let view = until(scene, latest, opened).await.context("the sale did not open")?;
    anyhow::ensure!(
        view.opened_at.is_some(),
        "the sale did not open: {}",
        view.note.as_deref().unwrap_or("no reason known")
    );
    Ok(view)
}

/// What comes of `work`, if it is done by then.
async fn until<T>(scene: &Scene, latest: Timestamp, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = scene.clock.sleep_until(latest) => None,
    }
}

/// Sends everybody in at their time, and waits until they are all gone.
async fn come(app: &App, scene: &Scene, sale: crate::id::SaleId) -> Vec<Kept> {
    let clock = &scene.clock;
    let opened = clock.now();
    let tasks = TaskTracker::new();
    let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
    let client = shopper::client();
    let template = Arc::new(scene.template.clone());
    for plan in plan(&scene.crowd) {
        let (kept, clock) = (kept.clone(), clock.clone());
        let (base, template) = (app.base_url.clone(), template.clone());
        let shopper = Shopper::new(client.clone(), base, clock.clone(), template);
        tasks.spawn(async move {
            clock.sleep_until(opened + plan.arrives).await;
            let one = shopper.visit(&plan, sale).await;
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        });
    }
    tasks.close();
    let template = &scene.template;
    let longest = template.duration + template.hold + template.hold + scene.patience;
    if until(scene, opened + longest, tasks.wait()).await.is_none() {
        tracing::warn!(left = tasks.len(), "some shoppers never came home");
    }
    std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until nothing is left to do.
async fn settle(app: &App, scene: &Scene) {
    let rest = async {
        loop {
            let waiting = app.sandbox.waiting().await.unwrap_or(0);
            if matches!(app.at_rest().await, Ok((true, _))) && waiting == 0 {
                // One more question to the provider, for what no webhook told.
                let round = crate::reconcile::Round::All;
                if crate::reconcile::sweep(&app.engine, round).await.is_ok()
                    && matches!(app.at_rest().await, Ok((true, _)))
                {
                    return;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let template = &scene.template;
    let longest = template.duration + template.hold + template.grace + scene.patience;
    if until(scene, scene.clock.now() + longest, rest).await.is_none() {
        tracing::warn!("the rehearsal did not come to rest");
    }
}

/// A folder that goes away with what used it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A path inside it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn new() -> Result<Self> {
        let name: String = hex::encode(SystemEntropy.bytes());
        let path = std::env::temp_dir().join(format!("livetill-demo-{name}"));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind in the system's temporary folder at worst.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
