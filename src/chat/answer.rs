//! Verbs that only look, and what is said when it is not clear what was meant.

use std::sync::Arc;

use super::{Chat, No, deed};
use crate::{
    clock::Timestamp,
    engine::{TellError, given_up},
    notice::text,
    platform::{Health, Platform, Reply, Standing},
    report::Report,
    sale::{Sale, hold::HoldState},
    view::View,
};

/// Past sales in a list.
const PAST_MAX: usize = 5;

impl Chat {
    pub(super) async fn status(&self, number: Option<u32>) -> Result<Reply, No> {
        let now = self.engine.now();
        let all = self.engine.shown();
        let views: Vec<_> = match number {
            Some(number) => all.into_iter().filter(|view| view.number == number).collect(),
            None => all.into_iter().filter(|view| !view.closed).collect(),
        };
        match (views.as_slice(), number) {
            // It may have been over for long.
            ([], Some(number)) => {
                let old = [self.recent(Some(number)).await?];
                let lines = vec![text::status_line(&old[0], now)];
                Ok(Reply { private: has_secret(&old), ..Reply::lines(lines) })
            }
            (views, _) => {
                let mut lines: Vec<_> =
                    views.iter().map(|view| text::status_line(view, now)).collect();
                if lines.is_empty() {
                    lines.push("Nothing is running.".to_owned());
                }
                lines.extend(self.waiting_queue().await);
                if let Some(trouble) = self.engine.trouble() {
                    lines.insert(0, format!("This may be out of date: {trouble}."));
                }
                lines.extend(self.standing(now));
                lines.extend(self.given_up().await);
                Ok(Reply { private: has_secret(views), ..Reply::lines(lines) })
            }
        }
    }

    /// That the queue waits for a word, if it does.
    async fn waiting_queue(&self) -> Option<String> {
        let shop = self.engine.store().shop().await.ok().filter(|shop| shop.queue_held)?;
        let first = self.engine.views().get(shop.queue.first()?.sale)?;
        Some(deed::queue_waits(&first))
    }

    /// That something waits for a person, without what and why: others may read along.
    async fn given_up(&self) -> Option<String> {
        let parked = self.engine.store().outbox().await.ok()?.parked;
        (parked > 0).then(|| {
            let tasks = text::tasks_need_you(parked);
            format!("{tasks}. Fixed the reason? !sale retry · more at the desk")
        })
    }

    /// How each platform with a connection stands, in one line.
    fn standing(&self, now: Timestamp) -> Option<String> {
        let standing = |platform: &Arc<dyn Platform>| {
            let Health { standing, since } = platform.health()?;
            let word = match standing {
                Standing::Starting => "connecting",
                Standing::Up => "connected",
                Standing::Away(_) => "away",
                Standing::Broken(_) => "BROKEN, see the log",
            };
            Some(format!("{}: {word} for {}", platform.name(), now.since(since).words()))
        };
        let all: Vec<_> = self.platforms.iter().filter_map(standing).collect();
        (!all.is_empty()).then(|| all.join(" · "))
    }

    pub(super) async fn list(&self) -> Reply {
        let now = self.engine.now();
        let mut lines: Vec<String> = self
            .templates()
            .values()
            .map(|t| {
                format!(
                    "{} · {} · {} × {} for {}",
                    t.name,
                    text::plain(&t.title),
                    t.stock,
                    t.price,
                    t.duration.words()
                )
            })
            .collect();
        if lines.is_empty() {
            lines.push("No templates: add one to config.toml".to_owned());
        }
        let (live, past): (Vec<_>, Vec<_>) =
            self.engine.shown().into_iter().partition(|view| !view.closed);
        let sales = live.iter().chain(past.iter().take(PAST_MAX));
        let sales: Vec<_> = sales.cloned().collect();
        lines.extend(sales.iter().map(|view| text::status_line(view, now)));
        Reply { private: has_secret(&sales), ..Reply::lines(lines) }
    }

    pub(super) async fn links(&self, number: Option<u32>) -> Result<Reply, No> {
        let view = self.recent(number).await?;
        let now = self.engine.now();
        let lines = self.engine.look(view.id, move |sale| page_lines(sale, now)).await?;
        Ok(Reply::private(lines))
    }

    pub(super) async fn report(&self, number: Option<u32>) -> Result<Reply, No> {
        let view = self.recent(number).await?;
        let journal = self.engine.store().journal(view.id).await.map_err(TellError::from)?;
        let look = move |sale: &Sale| Report::of(sale, &journal).lines();
        let lines = self.engine.look(view.id, look).await?;
        Ok(Reply::private(lines))
    }

    /// Tries again what was given up, and says what that was: sale, what it is about, why.
    pub(super) async fn retry(&self, number: Option<u32>) -> Result<Reply, No> {
        let groups = given_up::groups(self.engine.store()).await.map_err(TellError::from)?;
        let meant = groups.iter().filter(|group| number.is_none() || group.number == number);
        let mut lines: Vec<String> = meant
            .map(|group| {
                let why = text::plain(&group.why);
                format!("{} {}: given up because: {why}", group.sale(), text::plain(&group.what()))
            })
            .collect();
        if lines.is_empty() {
            return Ok(Reply::private(vec!["Nothing needs you.".to_owned()]));
        }
        let taken = self.engine.retry_all(number).await.map_err(TellError::from)?;
        lines.push(format!("Trying again: {taken}. What fails once more is told again."));
        Ok(Reply::private(lines))
    }

    /// The sale a looking verb means: by number, or the newest.
    pub(super) async fn recent(&self, number: Option<u32>) -> Result<Arc<View>, No> {
        let all = self.engine.views().all();
        let Some(number) = number else {
            return all.first().cloned().ok_or_else(|| No::Say("No sale so far.".to_owned()));
        };
        if let Some(view) = all.iter().find(|view| view.number == number) {
            return Ok(view.clone());
        }
        let old = self.engine.store().sale_numbered(number).await.map_err(TellError::from)?;
        let old = old.ok_or_else(|| no_such_sale(number))?;
        let link = self.engine.link().to_owned();
        Ok(self.engine.look(old, move |sale| Arc::new(View::of(sale, &link))).await?)
    }
}

/// Every page that is or may be open. Addresses of buyers' pages are for the buyers alone.
fn page_lines(sale: &Sale, now: Timestamp) -> Vec<String> {
    let mut lines = vec![format!("#{} open payment pages:", sale.head.number)];
    for hold in sale.holds().filter(|hold| hold.may_be_payable()) {
        if matches!(hold.state, HoldState::Paid { .. }) {
            continue;
        }
        let mut line = format!("  hold {} · {} × · {}", hold.id.n, hold.units, hold.state.word());
        if let Some(delivery) = &hold.delivery {
            line.push_str(&format!(" · {delivery}"));
        }
        if !hold.extras.is_empty() {
            line.push_str(&format!(" · {}", hold.extras.words()));
        }
        if let Some(name) = &hold.buyer_name {
            line.push_str(&format!(" · {}", text::plain(name)));
        }
        if let Some(deadline) = sale.deadline_of(hold) {
            line.push_str(&format!(" · {} left", deadline.since(now).words()));
        }
        for page in hold.checkouts.iter().filter(|page| !page.closed) {
            line.push_str(&format!(" · {}", page.id));
        }
        lines.push(line);
    }
    if lines.len() == 1 {
        let archived = sale.head.archived.as_ref();
        let archived =
            archived.map(|archived| format!(" (details archived since {})", archived.day()));
        lines.push(format!("  none{}", archived.unwrap_or_default()));
    }
    lines
}

/// Whether viewers must not read about one of them yet.
fn has_secret(views: &[Arc<View>]) -> bool {
    views.iter().any(|view| view.secret)
}

pub(super) fn no_such_sale(number: u32) -> No {
    No::Say(format!("There is no sale #{number}. See !sale list"))
}

/// Answers a verb that is for a running sale, about another one. `known` are sales of all kinds.
pub(super) fn not_running(number: u32, known: &[Arc<View>]) -> No {
    let (over, running): (Vec<_>, Vec<_>) =
        known.iter().cloned().partition(|view| view.state.is_over());
    let asked = match over.iter().find(|view| view.number == number) {
        // What never opened is a secret for ever.
        Some(view) if view.secret => format!("#{number} is over."),
        Some(view) => format!("#{number} {} is over.", text::plain(&view.title)),
        None => format!("There is no sale #{number} running."),
    };
    No::Say(match running.as_slice() {
        [] => format!("{asked} Nothing is running. See !sale list"),
        some => format!("{asked} There is {}", names(some)),
    })
}

pub(super) fn which(running: &[Arc<View>]) -> No {
    No::Say(format!("Which one? {}. Add its number, like #{}", names(running), running[0].number))
}

pub(super) fn names(views: &[Arc<View>]) -> String {
    let name = |view: &Arc<View>| match view.secret {
        // The room may read along.
        true => format!("#{} (armed)", view.number),
        false => format!("#{} {}", view.number, text::plain(&view.title)),
    };
    views.iter().map(name).collect::<Vec<_>>().join(", ")
}
