//! The score card of a rehearsal in a moderators' room: what happened, and what to make of it.

use super::score::Score;
use crate::{chat::rehearse::Play, provider::sandbox};

/// The card, line by line.
pub(super) fn card(score: &Score, play: &Play) -> Vec<String> {
    let Score { holds, late, click_to_checkout: click, money, .. } = score;
    let reason = score.reason.unwrap_or("?").replace('_', " ");
    let word = if score.is_good() { "all well" } else { "NOT WELL" };
    let yes = if score.settled { "yes" } else { "NO" };
    let mut lines = vec![
        format!(
            "score card · {word} · {} of {} sold ({reason}) · oversold {} · settled {yes}",
            score.sold, score.stock, score.oversold
        ),
        format!(
            "{} shoppers · {} holds, {} paid, {} given back · {} turned away",
            score.buyers, holds.made, holds.paid, holds.lost, holds.refused
        ),
        format!(
            "click to checkout p50 {} ms, p95 {} ms (by the rehearsal's clock: at speed {} this \
             machine's own work counts {} times)",
            click.p50, click.p95, play.speed, play.speed
        ),
        format!(
            "money {} paid, {} refunded, {} kept · late {} ({} kept, {} refunded) · surplus {}",
            money.gross,
            money.refunded,
            money.net,
            late.payments,
            late.kept,
            late.refunded,
            score.surplus
        ),
        format!("chat would have shown {} lines", score.lines),
    ];
    lines.extend(advice(score, play).into_iter().map(|line| format!("tip: {line}")));
    lines.extend(score.wrong.iter().map(|wrong| format!("WRONG: {wrong}")));
    lines
}

/// What a moderator should know before the real one.
fn advice(score: &Score, play: &Play) -> Vec<String> {
    let mut lines = Vec::new();
    let template = &play.template;
    if score.holds.lost > 0 {
        let hold = template.hold;
        lines.push(format!(
            "{} of {} holds were not paid; each kept its unit for up to {}. A shorter hold= brings \
             units back sooner, a longer one is kinder",
            score.holds.lost,
            score.holds.made,
            hold.words()
        ));
    }
    let unsold = score.stock.saturating_sub(score.sold);
    if score.holds.refused > 0 && unsold > 0 {
        lines.push(format!(
            "{} shoppers found everything held, and {unsold} stayed unsold: a longer sale, or \
             !sale extend near the end, sells them",
            score.holds.refused
        ));
    } else if score.holds.refused > 0 {
        lines.push(format!(
            "{} shoppers left empty-handed: you could sell more",
            score.holds.refused
        ));
    }
    if score.dead_pages > 0 {
        lines.push(format!("{} pages could not be paid when handed out", score.dead_pages));
    }
    let given_back = score.surplus + score.late.refunded;
    if given_back > 0 {
        lines.push(format!(
            "{given_back} payments came too late for a unit and went back; a real provider may keep \
             its fee of each"
        ));
    }
    if template.provider != sandbox::NAME {
        lines.push(format!(
            "{} itself was not rehearsed: try livetill check, and livetill probe {}",
            template.provider, template.name
        ));
    }
    if lines.is_empty() {
        lines.push("nothing out of the ordinary".to_owned());
    }
    lines
}
