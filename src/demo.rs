//! A rehearsal of the real program: the sandbox provider and a crowd that clicks over real HTTP.
//!
//! What the crowd means to do is a function of the seed; what comes of it is up to the program.

mod plan;
mod score;
mod shopper;

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
    plan::plan,
    shopper::{Kept, Shopper},
};
use crate::{
    app::{App, Outside},
    clock::{Clock, Span, SystemClock},
    config::{Config, Loaded},
    id::{Entropy, SystemEntropy},
    platform::console::{Console, message},
    provider::sandbox::Faults,
    sale::template::Template,
    store::{self, Access, Store},
};

/// What a rehearsal is like.
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

/// How long the rehearsal may take beyond the sale's own time.
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a rehearsal to its end.
///
/// # Errors
/// If the program cannot be started on a temporary database.
pub async fn run(rehearsal: &Rehearsal, template: Template) -> Result<Score> {
    let folder = Folder::new()?;
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
    let mut app = start(&folder, rehearsal, template, console).await?;
    app.serve().await?;
    app.run();
    app.hear(&message("start".to_owned(), "!sale start demo")).await;
    let view = wait_for_opening(&app).await?;
    let kept = crowd(&app, rehearsal, view.id).await;
    settle(&app).await;
    let sale = app.engine.look(view.id, Clone::clone).await?;
    let journal = app.engine.store().journal(view.id).await?;
    let (rest, parked) = app.at_rest().await?;
    app.stop().await;
    let left = app.sandbox.left_behind().await.unwrap_or_default().len();
    Ok(Score::new(rehearsal, &sale, &journal, &kept, rest && parked == 0 && left == 0)
        .with_lines(lines.load(Ordering::Relaxed)))
}

async fn start(
    folder: &Folder,
    rehearsal: &Rehearsal,
    template: Template,
    console: Arc<Console>,
) -> Result<App> {
    let mut config = Config::default();
    config.shop.name = "Livetill rehearsal".to_owned();
    config.providers.sandbox.calls_per_second = 30;
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
    let template = rehearsed(template, rehearsal);
    let templates = [("demo".to_owned(), template)].into();
    let loaded = Loaded { config, templates, warnings: Vec::new(), path: None };
    let url = format!("sqlite:{}", folder.file("demo.db").display());
    let outside = Outside {
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        store: Arc::new(store::open(&url, Access::Write).await?) as Arc<dyn Store>,
        listener: TcpListener::bind("127.0.0.1:0").await.context("no free port")?,
        platforms: vec![console],
        wrap: Arc::new(|provider| provider),
    };
    App::build(&loaded, outside).await
}

/// The template as a rehearsal runs it: its times shrunk to the sale's length.
fn rehearsed(template: Template, rehearsal: &Rehearsal) -> Template {
    let part = |n: i64| Span::from_millis((rehearsal.duration.millis() / n).max(1000));
    let mut template = Template {
        name: "demo".to_owned(),
        provider: crate::provider::sandbox::NAME.to_owned(),
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

async fn wait_for_opening(app: &App) -> Result<Arc<crate::view::View>> {
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
    let view = tokio::time::timeout(PATIENCE, opened).await.context("the sale did not open")?;
    anyhow::ensure!(view.opened_at.is_some(), "the sale did not open: {:?}", view.note);
    Ok(view)
}

/// Sends everybody in at their time, and waits until they are all gone.
async fn crowd(app: &App, rehearsal: &Rehearsal, sale: crate::id::SaleId) -> Vec<Kept> {
    let hold = Span::from_millis((rehearsal.duration.millis() / 6).max(1000));
    let plans = plan(rehearsal, hold);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let opened = clock.now();
    let tasks = TaskTracker::new();
    let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
    let client = shopper::client();
    for plan in plans {
        let (kept, clock, client) = (kept.clone(), clock.clone(), client.clone());
        let base = app.base_url.clone();
        tasks.spawn(async move {
            clock.sleep_until(opened + plan.arrives).await;
            let one = Shopper::new(client, base, clock).visit(&plan, sale).await;
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        });
    }
    tasks.close();
    let longest = rehearsal.duration.to_std() + PATIENCE;
    if tokio::time::timeout(longest, tasks.wait()).await.is_err() {
        tracing::warn!(left = tasks.len(), "some shoppers never came home");
    }

    std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until nothing is left to do.
async fn settle(app: &App) {
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
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, rest).await.is_err() {
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
        let name: String = SystemEntropy.bytes().iter().map(|b| format!("{b:02x}")).collect();
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
