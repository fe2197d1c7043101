//! Data into words: the only prose that chat ever sees.
//!
//! One line per sentence, the state word first, the link last. What platforms demand on top (line
//! breaks, mentions, lengths) is their adapters' business.

use super::{Notice, Trouble, visible::visible};
use crate::{
    clock::{Span, Timestamp},
    sale::{
        PauseReason,
        refusal::{Bound, Refusal},
        template::{Ask, Delivery},
    },
    view::{State, View},
};

/// A notice as one line; `link` is the address posted in chat.
pub fn line(notice: &Notice, link: &str) -> String {
    match notice {
        Notice::Opened { title, price, left, length, ends_at: _ } => {
            let title = plain(title);
            format!("SALE OPEN · {title} · {price} · {left} left · {} · {link}", length.words())
        }
        Notice::Paused { title, left, stock, why } => {
            let why = match why {
                PauseReason::Asked => "back in a moment",
                PauseReason::ProviderSoldOut => "the shop is checking its stock",
            };
            format!("PAUSED · {} · {left} of {stock} left · {why}", plain(title))
        }
        Notice::Resumed { title, left, stock, time_left } => format!(
            "SALE OPEN · {} is back · {left} of {stock} left · {} · {link}",
            plain(title),
            time_left.words()
        ),
        Notice::SoldOut { title, sold, took } => {
            format!("SOLD OUT · {} · {sold} in {} · thank you!", plain(title), took.words())
        }
        Notice::Ended { title, sold, stock, paying } => {
            let still = match paying {
                0 => String::new(),
                n => format!(", {n} still paying"),
            };
            format!("ENDED · {} · {sold} of {stock} sold{still}", plain(title))
        }
        Notice::Cancelled { title, sold, stock } => {
            format!("CANCELLED · {} · {sold} of {stock} sold", plain(title))
        }
        Notice::Armed { number, title, for_up_to } => format!(
            "ARMED · #{number} {} · open it within {} with: !sale start #{number}",
            plain(title),
            for_up_to.words()
        ),
        Notice::NotStarted { number, title, why } => match why {
            Some(why) => format!("NOT STARTED · #{number} {} · {}", plain(title), plain(why)),
            None => format!(
                "NOT STARTED · #{number} {} · the reason is in the moderators' room",
                plain(title)
            ),
        },
        Notice::Trouble { number, title, trouble } => {
            // Ids of payments and the provider's words come from outside.
            format!("#{number} {} · {}", plain(title), plain(&trouble_text(*number, trouble)))
        }
    }
}

/// A service's trouble in words: what it answers instead of an answer helps nobody.
fn worded(why: &str) -> String {
    match why.split_once(" answers ") {
        Some((name, status)) if status.starts_with('5') => {
            format!("{name} is out of order at the moment")
        }
        Some((name, _)) => format!("{name} answers with something unexpected"),
        None => why.to_owned(),
    }
}

fn trouble_text(number: u32, trouble: &Trouble) -> String {
    match trouble {
        Trouble::Payment { payment, amount, why, unreserved } => format!(
            "payment {payment} ({amount}) needs your decision: {}. It isn't counted as a sale; {}",
            plain(why),
            if *unreserved { "no unit is reserved for it" } else { "its unit stays reserved" }
        ),
        Trouble::Parked { what, why } => {
            let why = plain(why);
            format!("couldn't {what}: {why}. Fix that, then: !sale retry #{number}")
        }
        Trouble::Delayed { why } => {
            format!("not ready yet: {}. It is tried again and again", plain(&worded(why)))
        }
        Trouble::NoPage { why } => {
            format!("the provider isn't creating payment pages: {}", plain(why))
        }
        Trouble::Short { units } => format!(
            "{} sold that you don't have. Restock, or contact the buyers: !sale report #{number}",
            counted((*units).into(), "unit")
        ),
        // The number of the page that a whole sale shares.
        Trouble::CannotClose { hold: 0, why } => format!(
            "the sale's page cannot be closed: {}. What is paid on it is kept while units are \
             left, else refunded",
            plain(why)
        ),
        Trouble::CannotClose { hold, why } => format!(
            "the page of hold {hold} cannot be closed: {}. Its units stay reserved",
            plain(why)
        ),
        Trouble::Reversed { payment, amount, why } => format!(
            "payment {payment} ({amount}) needs your decision: {}. Settle it at the provider, and with \
             the buyer",
            plain(why)
        ),
        Trouble::StillPaying { hold: 0, waited } => format!(
            "somebody has been paying on the sale's page for {waited}, and the provider does not \
             say how it ended: please look there. The sale goes on to its end; should the money \
             come, it is kept while units are left, else refunded"
        ),
        Trouble::StillPaying { hold, waited } => format!(
            "the payment of hold {hold} has been under way for {waited}, and the provider does not \
             say how it ended: please look there. Its units stay reserved; should the money come, it \
             counts"
        ),
        Trouble::Refunding { payment, amount, why, asked: false } => {
            format!("refunding {amount} (payment {payment}): {}", plain(why))
        }
        Trouble::Refunding { payment, amount, why, asked: true } => format!(
            "asking the provider to refund {amount} (payment {payment}): {}. Their support team decides",
            plain(why)
        ),
    }
}

/// So many of something whose plural ends in *s*: `1 unit`, `2 units`.
pub fn counted(n: u64, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// That so many tasks were given up.
pub fn tasks_need_you(n: u64) -> String {
    format!("{} you", counted(n, "task") + if n == 1 { " needs" } else { " need" })
}

/// The stock line of a running sale.
pub fn stock_line(view: &View, now: Timestamp) -> String {
    let title = plain(&view.title);
    if view.state == State::AllHeld {
        let n = view.paying;
        if n == 0 {
            return format!("ALL HELD · {title} · everything is reserved · {}", view.link);
        }
        let people = if n == 1 { "1 person is" } else { &format!("{n} people are") };
        return format!(
            "ALL HELD · {title} · {people} checking out; some may come back · {}",
            view.link
        );
    }
    let time = time_left(view, now).map(|left| format!(" · {}", left.words())).unwrap_or_default();
    format!("{title}: {} of {} left{time} · {}", view.left, view.stock, view.link)
}

/// A sale in one line for everybody: what an edited message says.
pub fn headline(view: &View, now: Timestamp) -> String {
    let View { paid, stock, left, link, .. } = view;
    let title = plain(&view.title);
    match view.state {
        State::Open | State::AllHeld => stock_line(view, now),
        State::Arming | State::Armed => format!("SOON · {title}"),
        State::Paused => format!("PAUSED · {title} · {left} of {stock} left · {link}"),
        State::SoldOut => format!("SOLD OUT · {title} · {paid} sold · thank you!"),
        State::Ended => {
            let still = match view.paying {
                0 => String::new(),
                n => format!(", {n} still paying"),
            };
            format!("ENDED · {title} · {paid} of {stock} sold{still}")
        }
        State::Cancelled => format!("CANCELLED · {title} · {paid} of {stock} sold"),
        State::Failed => format!("NOT STARTED · {title}"),
    }
}

/// Selling time left, in steps that people use: whole minutes while there are several.
pub fn time_left(view: &View, now: Timestamp) -> Option<Span> {
    let left = match view.paused_left {
        Some(left) => left,
        None => view.ends_at?.since(now),
    };
    let secs = (left.millis() + 500) / 1000;
    Some(if secs >= 120 { Span::from_mins((secs + 30) / 60) } else { Span::from_secs(secs) })
}

/// A sale in one line for moderators.
pub fn status_line(view: &View, now: Timestamp) -> String {
    let View { number, stock, paid, held, left, .. } = view;
    let title = plain(&view.title);
    let mut line = format!("#{number} {title} · {}", view.state.word().replace('_', " "));
    match view.state {
        State::Arming => {
            let what = view.note.as_deref().unwrap_or("making the payment page");
            line.push_str(&format!(" · {}", plain(what)));
        }
        State::Armed => line.push_str(&format!(" · open it with: !sale start #{number}")),
        State::Failed => {
            let why = view.note.as_deref().unwrap_or("no reason known");
            line.push_str(&format!(" · {}", plain(why)));
        }
        State::Open
        | State::AllHeld
        | State::Paused
        | State::SoldOut
        | State::Ended
        | State::Cancelled => {
            line.push_str(&format!(" · {left} of {stock} left · {paid} paid · {held} reserved"));
            if !view.state.is_over()
                && let Some(left) = time_left(view, now)
            {
                line.push_str(&format!(" · {}", left.words()));
            }
            if view.is_out_of_touch() {
                line.push_str(" · the database is out of reach");
            }
        }
    }
    if view.short > 0 {
        line.push_str(&format!(" · {} short", view.short));
    }
    if view.state.is_over() && !view.closed {
        line.push_str(" · cleaning up");
    }
    line
}

fn labels(choices: &[Delivery]) -> String {
    let names: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
    names.join(" or ")
}

/// A whole network has what it may have.
const NETWORK_FULL: &str = "Your network has all it may have right now: everybody on the same \
                            Wi-Fi, company or mobile network shares it. Try another network, like \
                            mobile data, or try again in a few minutes.";

fn wrong_answer(ask: Ask, why: &str) -> String {
    format!("Please look at your {} again: {why}.", ask_word(ask))
}

/// No, and why, for a moderator.
pub fn refusal(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NotOpen => "That sale is not open yet.".to_owned(),
        Refusal::Paused => "That sale is paused.".to_owned(),
        Refusal::Over => "That sale is over.".to_owned(),
        Refusal::AllHeld => "All held: every unit is reserved right now.".to_owned(),
        Refusal::SoldOut => "Sold out.".to_owned(),
        Refusal::AlreadyHolding(_) => "You have one reserved already.".to_owned(),
        Refusal::BuyerFull { per_buyer } => {
            format!("At most {per_buyer} per person, and you have that.")
        }
        Refusal::TooManyUnits { left } => format!("At most {left} right now."),
        Refusal::TooManyTries => {
            "You've let several reservations expire in this sale. Give others a turn.".to_owned()
        }
        Refusal::AddressFull => NETWORK_FULL.to_owned(),
        Refusal::UnknownDelivery(choices) => {
            format!("Please choose how you would like it: {}.", labels(choices))
        }
        Refusal::ChoiceSoldOut { label, left } if left.is_empty() => {
            format!("{label} is sold out.")
        }
        Refusal::ChoiceSoldOut { label, left } => {
            format!("{label} is sold out. There is still: {}.", labels(left))
        }
        Refusal::MissingAnswer(ask) => format!("Please give your {}.", ask_word(*ask)),
        Refusal::WrongAnswer { ask, why } => wrong_answer(*ask, why),
        Refusal::UnknownOption { label, values } => {
            format!("Please choose {label}: {}.", values.join(", "))
        }
        Refusal::UpsellGone { label } => {
            format!("Sold out: {label}. The rest can still be had.")
        }
        Refusal::NotInLine { label } => {
            format!("{label} can't be added while you wait in line.")
        }
        Refusal::CodeMissing { label } => format!("Please give your {label}."),
        Refusal::CodeWrong { label } => format!("That {label} isn't valid for this sale."),
        Refusal::CodeUsed => "That code was used for another order already.".to_owned(),
        Refusal::CodeTries { after } => {
            format!("Too many wrong codes. Please try again in {}.", after.words())
        }
        Refusal::CheckAway { label } => format!(
            "The shop cannot check your {label} at the moment. Nothing was taken; please try \
             again shortly."
        ),
        Refusal::SharedCheckout => "This sale has one page for all: use its link.".to_owned(),
        Refusal::UnknownHold => "There is no such hold.".to_owned(),
        Refusal::HoldOver => "That hold is settled already.".to_owned(),
        Refusal::WrongState { verb, state } => wrong_state(verb, state),
        Refusal::Bound(bound) => bound_text(bound),
        Refusal::Value { key, why } => format!("{key}= {why}."),
        Refusal::OnAlready { number, title } => {
            format!("{} is on already (#{number}).", plain(title))
        }
        Refusal::WouldEnd => {
            "That would end the sale. If that is what you want: !sale stop".to_owned()
        }
        Refusal::ProviderSoldOut => {
            "The shop still shows the item as sold out. Clear that mark there first.".to_owned()
        }
        Refusal::OwnSale => {
            "You've bought in this sale, so another moderator has to change its stock.".to_owned()
        }
        Refusal::Broken(_) => "Internal error; nothing was changed. See the log.".to_owned(),
    }
}

fn wrong_state(verb: &str, state: &str) -> String {
    let is = match state {
        "arming" => "still being made ready",
        "armed" => "armed, not open",
        "open" => "open",
        "paused" => "paused",
        "closing" => "over and being settled",
        _ => "over",
    };
    format!("Cannot {verb}: the sale is {is}.")
}

fn bound_text(bound: &Bound) -> String {
    match bound {
        Bound::NoStock => "The stock must be at least 1.".to_owned(),
        Bound::MaxStock(max) => format!("At most {max} in one sale (max_stock of the template)."),
        Bound::MaxDuration(max) => {
            format!("At most {} in all (max_duration of the template).", max.words())
        }
        Bound::MaxHold(max) => {
            format!("hold= is at most {} (max_duration of the template).", max.words())
        }
        Bound::MinPrice(min) => format!("Not below {min} (min_price of the template)."),
        Bound::SalesPerHour(max) => {
            format!("Started {max} times within the hour (sales_per_hour of the template).")
        }
    }
}

/// What a buyer is asked, in a word.
pub fn ask_word(ask: Ask) -> &'static str {
    match ask {
        Ask::Name => "name",
        Ask::Email => "e-mail address",
        Ask::Phone => "telephone number",
        Ask::Address => "postal address",
    }
}

/// Somebody's text as part of a line: no control or invisible characters, no runs of white space.
pub fn plain(text: &str) -> String {
    let spaced: String =
        text.chars().map(|c| if c.is_control() || c.is_whitespace() { ' ' } else { c }).collect();
    visible(&spaced).split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_titles_become_one_harmless_line() {
        assert_eq!(plain("a\r\n/ban b\0 \u{202E}c\u{200B}d\u{E0041}"), "a /ban b cd");
        let title = "👩\u{200D}🌾 Fern ❤\u{FE0F} می\u{200C}خواهم";
        assert_eq!(plain(title), title);
        assert_eq!(plain("  Fern \u{a0} Mug  "), "Fern Mug");
    }
}
