//! The end of the input: what was started is brought to its end, and then the program ends.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use super::{LOOK_EVERY, left_on, say};
use crate::{app::App, cli::Ended, clock::Span, notice::text, reconcile, view::View};

/// How long pages stay up after the last sale is done, once input has ended.
const LINGER: Duration = Duration::from_secs(5);

/// Input has ended: what was started is brought to its end.
pub(super) async fn to_the_end(
    app: &App,
    stopped: &mut (impl Future<Output = ()> + Unpin),
) -> Result<Ended> {
    let mut asked = false;
    loop {
        match app.at_rest().await {
            // Nobody will ask again until the next start: word of a payment may be lost.
            Ok((true, 0)) if !asked => {
                asked = true;
                linger(app, stopped).await;
                reconcile::once_more(&app.engine).await;
                continue;
            }
            Ok((true, 0)) => return Ok(Ended::Well),
            Ok((true, parked)) => {
                say(&format!("{}. What and why: livetill check", text::tasks_need_you(parked)));
                return Ok(Ended::Failed);
            }
            Ok((false, _)) => {}
            Err(error) => tracing::error!(%error, "cannot see how far things are"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = &mut *stopped => {
                left_on(app);
                return Ok(Ended::Well);
            }
        }
    }
}

/// Stays a little when somebody bought: the last buyers are on their way back to their page.
async fn linger(app: &App, stopped: &mut (impl Future<Output = ()> + Unpin)) {
    let recent = |view: &Arc<View>| {
        let ended_at = view.ends_at.unwrap_or_default();
        view.paid > 0 && app.engine.now().since(ended_at) < Span::from_mins(10)
    };
    if app.engine.views().all().iter().any(recent) {
        tokio::select! {
            () = tokio::time::sleep(LINGER) => {}
            () = stopped => {}
        }
    }
}
