//! The doctor: what is wrong with the token and in the rooms, each with its mend.

use std::{sync::Arc, time::Duration};

use super::{Twitch, desk::Desk, session::Session, token::TokenError, wire::Dial};
use crate::{
    finding::Finding,
    platform::Standing,
    room::{PlatformName, Room},
};

/// The rooms are given this long to let us in.
const JOIN_WITHIN: Duration = Duration::from_secs(10);

/// Looks at everything; a connection of its own enters the rooms and leaves again.
pub async fn check(twitch: &Twitch, rooms: &[Room]) -> Vec<Finding> {
    let mut found = Vec::new();
    match twitch.keeper.examine().await {
        Ok(valid) => twitch.desk.login_is(&valid.login),
        // The chat itself tells whether the token is good.
        Err(TokenError::Later(why)) => {
            let says = format!(
                "{why}: the token is tried in the chat instead. Fix: check the network and twitch.auth_url"
            );
            found.push(Finding::warning("twitch.token", says));
        }
        // Trying it would use the refresh token up that a running bot needs.
        Err(TokenError::Renewable(why)) => return vec![Finding::warning("twitch.token", why)],
        Err(TokenError::Person(why)) => return vec![Finding::error("twitch.token", why)],
    }
    let names = rooms.iter().filter(|room| room.platform == PlatformName::Twitch);
    let names: Vec<String> = names.map(|room| room.channel.clone()).collect();
    if names.is_empty() {
        // The configuration's own warning, word for word: it is shown once.
        let says = "Twitch is on, but no room there hears of sales: add \"twitch:<login>\"";
        found.push(Finding::warning("shop.rooms", says));
        return found;
    }
    let login = twitch.desk.own().login;
    if names.iter().any(|name| name.eq_ignore_ascii_case(&login)) {
        let says = "the bot speaks with the account of the channel's owner: viewers cannot tell you \
                    from it, and of what you type there it heeds only commands that begin with \
                    !sale. Fix: give the bot an account of its own";
        found.push(Finding::warning("twitch.login", says));
    }
    let desk = Arc::new(Desk::new(twitch.clock.clone(), &login, names.iter().cloned()));
    let Dial { server, trust, .. } = &*twitch.dial;
    let (server, trust) = (server.clone(), trust.clone());
    let dial = Arc::new(Dial { server, trust, desk: desk.clone() });
    let session = Session::new(&twitch.keeper, &dial, &twitch.clock);
    tokio::select! {
        why = session.run(|_| {}) => found.push(Finding::error("twitch.token", why)),
        () = entered(&desk, &names) => {}
        () = tokio::time::sleep(JOIN_WITHIN) => {}
    }
    let answered = |name: &String| desk.room(name, |room| room.answered()).unwrap_or(true);
    if let Standing::Away(why) = desk.health().standing
        && !names.iter().any(answered)
    {
        let says = format!("{why}. Fix: check the network and twitch.server");
        found.push(Finding::error("twitch.server", says));
        return found;
    }
    found.extend(names.iter().filter_map(|name| room(&desk, name, &login)));
    found
}

/// Resolves when each room has let us in or turned us away.
async fn entered(desk: &Desk, names: &[String]) {
    let answered = |name: &String| desk.room(name, |room| room.answered()).unwrap_or(true);
    while !names.iter().all(answered) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn room(desk: &Desk, name: &str, login: &str) -> Option<Finding> {
    let key = format!("twitch:{name}");
    let (entered, moderates, closed) =
        desk.room(name, |room| (room.entered, room.moderates, room.closed.clone()))?;
    if let Some(why) = closed {
        return Some(Finding::error(key, why));
    }
    if !entered {
        let says = "the channel did not let the bot in: check its name, and whether it exists";
        return Some(Finding::error(key, says));
    }
    if moderates {
        return None;
    }
    let says = format!(
        "the bot is no moderator there: it may say 20 lines in 30 s instead of 100, slow mode, \
         followers-only mode and AutoMod hold its lines back. Fix: type /mod {login} in that chat"
    );
    Some(Finding::warning(key, says))
}
