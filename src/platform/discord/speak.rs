//! Answers: to a message as a reply, to a slash command or a button in its own private message.

use std::sync::Arc;

use serde_json::{Value, json};
use serenity::model::id::{ChannelId, MessageId};

use super::{
    Discord,
    card::{CONTENT_MAX, fits_button, link_button, no_mentions, relative},
    escape::{label, pages, words},
    interaction::EPHEMERAL,
    live::nonce,
    press::Press,
    waiting::Waits,
    wire::Failed,
};
use crate::{
    platform::{Grant, Reply, SayError, Wish},
    room::{Message, Room},
    view::View,
};

/// Messages that one answer may take; what is longer is cut with a hint.
const PAGES_MAX: usize = 5;

/// Choices in one menu (Discord's reference of *String Select*).
const CHOICES_MAX: usize = 25;

impl Discord {
    pub(super) async fn respond(&self, to: &Message, reply: &Reply) -> Result<(), SayError> {
        let row = if reply.confirm { confirm(&to.user.id) } else { json!([]) };
        let pages = self.pages(&reply.lines);
        if let Some(waits) = self.waiting.take(&to.id, self.clock.now()) {
            return self.fill(&waits, &pages, row).await;
        }
        let channel = self.channel(&to.room)?;
        for (n, text) in pages.iter().enumerate() {
            let mut body = self.message(text);
            if n == 0 {
                let to = to.id.parse::<u64>().ok().filter(|id| *id > 0).map(MessageId::new);
                if let Some(to) = to {
                    let to = to.to_string();
                    body["message_reference"] =
                        json!({ "message_id": to, "fail_if_not_exists": false });
                }
                body["components"] = row.clone();
            }
            body["nonce"] = nonce(&format!("{}:{n}", to.id), "reply").into();
            body["enforce_nonce"] = true.into();
            self.post(channel, body).await?;
        }
        Ok(())
    }

    pub(super) async fn speak(&self, room: &Room, lines: &[String]) -> Result<(), SayError> {
        let channel: ChannelId = self.channel(room)?;
        for text in self.pages(lines) {
            self.post(channel, self.message(&text)).await?;
        }
        Ok(())
    }

    pub(super) async fn hand_out(&self, wish: &Wish, grant: &Grant) -> Result<(), SayError> {
        let Some(waits) = self.waiting.take(&wish.id, self.clock.now()) else {
            return Err(SayError::Refused("the press is too old to be answered".to_owned()));
        };
        let (text, rows) = match grant {
            Grant::Choose(view) => self.choices(wish, view),
            Grant::Yours { view, units, pay, page, until } => {
                let mut text = format!("**Yours:** {units} × {}.", words(&view.title, 256));
                let mut row = Vec::new();
                match pay {
                    Some(url) if fits_button(url) => row.push(link_button("Pay now", url)),
                    Some(url) => text.push_str(&format!("\nPay here: <{url}>")),
                    None => text.push_str(
                        "\nYour payment page is being made: your own page shows it in a moment.",
                    ),
                }
                if let Some(until) = until {
                    text.push_str(&format!("\nPay before it goes to others: {}", relative(*until)));
                }
                if fits_button(page) {
                    row.push(link_button("Your page", page));
                }
                let rows = if row.is_empty() { json!([]) } else { json!([buttons(row)]) };
                (text, rows)
            }
            Grant::No(why) => (self.pages(std::slice::from_ref(why)).concat(), json!([])),
        };
        self.fill(&waits, &[text], rows).await
    }

    /// Puts an answer where the asker waits for it; nothing to say takes the waiting away.
    async fn fill(&self, waits: &Waits, pages: &[String], rows: Value) -> Result<(), SayError> {
        let Some((first, rest)) = pages.split_first() else {
            return self.wire.drop_answer(&waits.token).await.map_err(unanswered);
        };
        let mut body = self.message(first);
        body["components"] = rows;
        self.wire.edit_answer(&waits.token, &body).await.map_err(unanswered)?;
        for text in rest {
            let mut body = self.message(text);
            body["flags"] = EPHEMERAL.into();
            self.wire.follow_up(&waits.token, &body).await.map_err(unanswered)?;
        }
        Ok(())
    }

    /// What there is to choose: first how it comes, then how many.
    fn choices(&self, wish: &Wish, view: &Arc<View>) -> (String, Value) {
        let title = words(&view.title, 256);
        if view.delivery.len() > 1 && wish.delivery.is_none() {
            let options: Vec<Value> = view
                .delivery
                .iter()
                .filter(|choice| !view.is_choice_sold_out(choice))
                .take(CHOICES_MAX)
                .map(|choice| {
                    let fee = if choice.fee.minor == 0 {
                        "no extra cost".to_owned()
                    } else {
                        format!("+ {}", choice.fee)
                    };
                    json!({
                        "label": label(&choice.label, 100),
                        "value": choice.name,
                        "description": label(&fee, 100),
                    })
                })
                .collect();
            let fits = !options.is_empty()
                && view.delivery.len() <= CHOICES_MAX
                && view.delivery.iter().all(|choice| choice.name.len() <= 60);
            if fits {
                let press = Press::Delivery(view.id);
                let menu = menu(&press, "How would you like to get it?", options);
                return (format!("**{title}**: how would you like to get it?"), menu);
            }
        } else {
            let most = view.per_buyer.min(view.left).clamp(1, CHOICES_MAX as u32);
            let press = Press::Units(view.id, wish.delivery.clone());
            let options = (1..=most)
                .map(|n| json!({ "label": n.to_string(), "value": n.to_string() }))
                .collect();
            if press.fits() {
                return (format!("**{title}**: how many?"), menu(&press, "How many?", options));
            }
        }
        (format!("Please choose on the page: {}", view.link), json!([]))
    }

    fn pages(&self, lines: &[String]) -> Vec<String> {
        let mut pages = pages(lines, &self.own, CONTENT_MAX);
        if pages.len() > PAGES_MAX {
            pages.truncate(PAGES_MAX);
            pages.push("… and more. All of it: livetill report, on the computer.".to_owned());
        }
        pages
    }

    fn message(&self, text: &str) -> Value {
        json!({ "content": text, "allowed_mentions": no_mentions() })
    }
}

fn confirm(asker: &str) -> Value {
    let Ok(asker) = asker.parse() else { return json!([]) };
    let press = Press::Confirm(asker).id();
    json!([buttons(vec![json!({
        "type": 2, "style": 4, "label": "Confirm", "custom_id": press,
    })])])
}

fn buttons(row: Vec<Value>) -> Value {
    json!({ "type": 1, "components": row })
}

fn menu(press: &Press, asks: &str, options: Vec<Value>) -> Value {
    let menu = json!({
        "type": 3,
        "custom_id": press.id(),
        "placeholder": asks,
        "min_values": 1,
        "max_values": 1,
        "options": options,
    });
    json!([{ "type": 1, "components": [menu] }])
}

/// A private answer that did not arrive: nobody waits for it any more.
fn unanswered(failed: Failed) -> SayError {
    match failed {
        Failed::Away(says) => SayError::Retry(says),
        other => SayError::Refused(other.to_string()),
    }
}
