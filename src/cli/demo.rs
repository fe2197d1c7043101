//! `demo`: a rehearsal and its score card.

use anyhow::{Result, ensure};

use super::Ended;
use crate::{
    clock::Span,
    config::Loaded,
    demo::{Rehearsal, run},
    sale::template::Template,
};

/// Shoppers, units and time that one machine can play at once.
const BUYERS_MAX: u32 = 20_000;
const STOCK_MAX: u32 = 10_000;
const LONGEST: Span = Span::from_mins(60);
const SHORTEST: Span = Span::from_secs(5);

pub(super) async fn demo(loaded: &Loaded, rehearsal: &Rehearsal) -> Result<Ended> {
    let Rehearsal { buyers, stock, duration, .. } = rehearsal;
    ensure!((1..=BUYERS_MAX).contains(buyers), "--buyers takes 1 to {BUYERS_MAX}");
    ensure!((1..=STOCK_MAX).contains(stock), "--stock takes 1 to {STOCK_MAX}");
    ensure!((SHORTEST..=LONGEST).contains(duration), "--duration takes {SHORTEST} to {LONGEST}");
    if rehearsal.print {
        println!(
            "Rehearsal: {buyers} shoppers, {stock} units, {duration}. No real money, and a \
             provider on a bad day: late, duplicate and lost webhooks, pages that stay open."
        );
    }
    let score = run(rehearsal, template(loaded)).await?;
    if rehearsal.print {
        println!();
        for line in score.card() {
            println!("{line}");
        }
    } else {
        println!("{}", serde_json::to_string_pretty(&score)?);
    }
    Ok(if score.is_good() { Ended::Well } else { Ended::Failed })
}

/// The shop's first template, or one to show with.
fn template(loaded: &Loaded) -> Template {
    let own = loaded.templates.values().next().cloned();
    own.unwrap_or_else(|| {
        let shipped = toml::from_str::<crate::config::Config>(include_str!("../../config.toml"));
        let config = shipped.expect("the shipped configuration is tested");
        let templates = crate::config::templates(&config.templates);
        let all = templates.expect("the shipped templates are tested");
        all.into_values().next().expect("one template is shipped")
    })
}
