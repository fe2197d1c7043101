//! The pages as data for their templates, which are checked as the program is compiled.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    body::Bytes,
    http::{StatusCode, Uri},
    response::{Html, IntoResponse, Response},
};

use super::answers::Sent;
use super::extras::{self, CodeField, OptionField, Sums, UpsellField};
use crate::{
    clock::Timestamp,
    id::SaleId,
    notice::text,
    sale::template::{Ask, CheckoutShape, Delivery},
    view::{State, View},
};

/// A sale for viewers.
#[derive(Template)]
#[template(path = "sale.html", config = "src/pages/askama.toml")]
pub(super) struct SalePage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) view: &'a View,
    pub(super) price: String,
    pub(super) state: String,
    pub(super) summary: String,
    pub(super) url: String,
    pub(super) now: i64,
    pub(super) until: Option<i64>,
    pub(super) time_left: String,
    pub(super) over: bool,
    pub(super) show_stock: bool,
    pub(super) mine: Option<Mine>,
    pub(super) says: Option<&'a str>,
    pub(super) form: Option<ClaimForm>,
    /// Of the form; without one there is room for it.
    pub(super) key: Option<String>,
}

impl ClaimForm {
    /// What is wrong with a field, if it is the one to be put right.
    fn why(&self, name: &str) -> Option<&str> {
        self.wrong.as_ref().filter(|(wrong, _)| wrong == name).map(|(_, why)| why.as_str())
    }

    /// Attributes of the field that is to be put right: it is told apart, and in view.
    fn mark(&self, name: &str) -> &'static str {
        match self.why(name) {
            Some(_) => " aria-invalid=\"true\" aria-describedby=\"why\" autofocus",
            None => "",
        }
    }

    /// Whether there is such a field to be filled in.
    fn has(&self, name: &str) -> bool {
        match name {
            "delivery" => self.delivery.len() > 1,
            "units" => self.units > 1,
            _ => {
                self.ask.iter().any(|one| one.name == name)
                    || self.codes.iter().any(|one| one.name == name)
                    || self.options.iter().any(|one| one.name == name)
                    || self.upsells.iter().any(|one| one.name == name)
            }
        }
    }

    /// Says beside a field what is wrong with it; answers whether there is such a field.
    pub(super) fn says_at(&mut self, name: Option<&str>, why: Option<&str>) -> bool {
        let found = name.filter(|name| self.has(name)).zip(why);
        self.wrong = found.map(|(name, why)| (name.to_owned(), why.to_owned()));
        self.wrong.is_some()
    }
}

/// What this browser has in the sale.
pub(super) struct Mine {
    pub(super) says: String,
    pub(super) href: String,
    pub(super) word: &'static str,
}

/// The claim.
pub(super) struct ClaimForm {
    pub(super) delivery: Vec<Choice>,
    pub(super) units: u32,
    pub(super) units_chosen: u32,
    /// The field that is to be put right, and why.
    wrong: Option<(String, String)>,
    pub(super) ask: Vec<Question>,
    pub(super) options: Vec<OptionField>,
    pub(super) upsells: Vec<UpsellField>,
    pub(super) codes: Vec<CodeField>,
    pub(super) sums: Sums,
    /// Where it is sent, below the sale.
    pub(super) to: &'static str,
    pub(super) button: &'static str,
    pub(super) says: String,
}

pub(super) struct Choice {
    pub(super) name: String,
    pub(super) label: String,
    pub(super) fee: String,
    pub(super) add: i64,
    pub(super) sold_out: bool,
    pub(super) checked: bool,
}

pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    pub(super) kind: &'static str,
    pub(super) autocomplete: &'static str,
    pub(super) long: bool,
    pub(super) typed: String,
}

/// Several sales, or none.
#[derive(Template)]
#[template(path = "list.html", config = "src/pages/askama.toml")]
pub(super) struct ListPage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) heading: &'static str,
    pub(super) summary: String,
    pub(super) cards: Vec<Card>,
}

pub(super) struct Card {
    pub(super) id: SaleId,
    pub(super) title: String,
    pub(super) state: &'static str,
    pub(super) says: String,
    pub(super) image: Option<String>,
}

/// A buyer's own page.
#[derive(Template)]
#[template(path = "hold.html", config = "src/pages/askama.toml")]
pub(super) struct HoldPage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) view: &'a View,
    pub(super) token: &'a str,
    pub(super) now: i64,
    pub(super) heading: &'static str,
    pub(super) tone: &'static str,
    pub(super) units: u32,
    pub(super) amount: String,
    pub(super) delivery: Option<String>,
    pub(super) choices: String,
    pub(super) says: String,
    pub(super) until: Option<i64>,
    pub(super) time_left: String,
    pub(super) pay: Option<String>,
    pub(super) pay_word: &'static str,
    pub(super) offer: bool,
    pub(super) let_go_word: &'static str,
    pub(super) can_let_go: bool,
    pub(super) keep: bool,
    pub(super) refresh: Option<u32>,
}

/// One sentence.
#[derive(Template)]
#[template(path = "message.html", config = "src/pages/askama.toml")]
pub(super) struct MessagePage<'a> {
    pub(super) shop: &'a str,
    pub(super) sandbox: bool,
    pub(super) heading: &'a str,
    pub(super) says: &'a str,
}

/// Renders a page with a status.
pub(super) fn render(status: StatusCode, page: &impl Template) -> Response {
    answer(status, html(page))
}

/// A rendered page with a status; if it could not be rendered, says so instead.
pub(super) fn answer(status: StatusCode, html: Rendered) -> Response {
    match html {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            (StatusCode::INTERNAL_SERVER_ERROR, "This page could not be made.\n").into_response()
        }
    }
}

/// Where the photos on a page come from.
#[derive(Clone)]
struct Photos(BTreeSet<String>);

/// Lets a page show these photos, and none from anywhere else.
pub(super) fn with_photos<'a>(
    mut answer: Response,
    images: impl IntoIterator<Item = &'a str>,
) -> Response {
    let origins = images.into_iter().filter_map(origin).collect();
    answer.extensions_mut().insert(Photos(origins));
    answer
}

/// The origins of a page's photos, each with a space before it.
pub(super) fn photo_origins(answer: &Response) -> String {
    let photos = answer.extensions().get::<Photos>();
    photos.into_iter().flat_map(|photos| &photos.0).map(|origin| format!(" {origin}")).collect()
}

fn origin(image: &str) -> Option<String> {
    let uri: Uri = image.parse().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.[]:".contains(c);
    let host = uri.host().filter(|host| host.chars().all(plain))?;
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("https://{host}{port}"))
}

/// A page as bytes, or why it could not be rendered.
pub(super) type Rendered = askama::Result<Bytes>;

/// Renders a page.
pub(super) fn html(page: &impl Template) -> Rendered {
    page.render().map(Bytes::from)
}

/// A state in words that viewers understand.
pub(super) fn state_words(view: &View) -> String {
    match view.state {
        State::Arming | State::Armed => "Opening soon".to_owned(),
        State::Open
            if !view.delivery.is_empty()
                && view.delivery.iter().all(|one| view.is_choice_sold_out(one)) =>
        {
            "Every way to get it is sold out for now".to_owned()
        }
        State::Open => "Open".to_owned(),
        State::Paused if view.is_out_of_touch() => {
            "One moment: the shop cannot reach its books".to_owned()
        }
        State::Paused => "Paused for a moment".to_owned(),
        State::AllHeld => match view.paying {
            // Nobody pays any more on what cannot be taken back.
            0 => "All held: everything is reserved".to_owned(),
            1 => "All held: 1 person is checking out; it may come back".to_owned(),
            n => format!("All held: {n} people are checking out; some may come back"),
        },
        State::SoldOut => "Sold out".to_owned(),
        // Whoever paid in a sale that was stopped has what they paid for.
        State::Ended | State::Cancelled => "Ended".to_owned(),
        State::Failed => "Did not open".to_owned(),
    }
}

/// One sentence about a sale, for previews and lists.
pub(super) fn summary(view: &View, now: Timestamp) -> String {
    match view.state {
        State::Open => {
            let left = text::time_left(view, now).unwrap_or_default();
            format!("{} of {} left · {} left", view.left, view.stock, left.words())
        }
        State::SoldOut | State::Ended | State::Cancelled => {
            format!("{} · {} of {} sold", state_words(view), view.paid, view.stock)
        }
        State::Arming | State::Armed | State::Paused | State::AllHeld | State::Failed => {
            state_words(view)
        }
    }
}

/// The form for a claim, while one can be made.
pub(super) fn claim_form(view: &View, sent: Sent<'_>) -> Option<ClaimForm> {
    let (to, button, says) = match view.state {
        _ if view.shape == CheckoutShape::Shared => return None,
        State::Open => {
            let hold = view.hold.words();
            let says = format!("You'll pay on the shop's checkout. We hold it for you for {hold}.");
            ("holds", "Get yours", says)
        }
        State::AllHeld => {
            let before = match view.waiting {
                0 => "You'd be first.".to_owned(),
                1 => "One person is ahead of you.".to_owned(),
                n => format!("{n} people are ahead of you."),
            };
            let says = format!("If someone drops out, the next in line gets it. {before}");
            ("line", "Wait in line", says)
        }
        State::Arming
        | State::Armed
        | State::Paused
        | State::SoldOut
        | State::Ended
        | State::Cancelled
        | State::Failed => return None,
    };
    let sold_out = |one: &Delivery| view.is_choice_sold_out(one);
    let first = view.delivery.iter().find(|one| !sold_out(one));
    let chosen = sent.typed("delivery");
    let chosen =
        view.delivery.iter().find(|one| !sold_out(one) && Some(&one.name) == chosen.as_ref());
    let checked = chosen.or(first);
    if first.is_none() && !view.delivery.is_empty() {
        return None;
    }
    let delivery = view.delivery.iter();
    Some(ClaimForm {
        delivery: delivery.map(|one| choice(one, sold_out(one), Some(one) == checked)).collect(),
        units: view.per_buyer.min(view.left).min(20),
        units_chosen: sent.typed("units").and_then(|n| n.trim().parse().ok()).unwrap_or(1),
        wrong: None,
        ask: view.ask.iter().map(|ask| question(*ask, sent)).collect(),
        options: extras::options(view, sent),
        upsells: extras::upsells(view, view.state == State::AllHeld, sent),
        codes: extras::codes(view, sent),
        sums: extras::sums(view),
        to,
        button,
        says,
    })
}

fn choice(delivery: &Delivery, sold_out: bool, checked: bool) -> Choice {
    let fee = match delivery.fee.minor {
        _ if sold_out => "sold out".to_owned(),
        0 => "free".to_owned(),
        _ => format!("+ {}", delivery.fee),
    };
    let (name, label) = (delivery.name.clone(), delivery.label.clone());
    Choice { name, label, fee, add: delivery.fee.minor, sold_out, checked }
}

/// The form field of a question.
pub(super) fn field_name(ask: Ask) -> &'static str {
    match ask {
        Ask::Name => "name",
        Ask::Email => "email",
        Ask::Phone => "phone",
        Ask::Address => "address",
    }
}

fn question(ask: Ask, sent: Sent<'_>) -> Question {
    let name = field_name(ask);
    let (label, kind, autocomplete, long) = match ask {
        Ask::Name => ("Your name", "text", "name", false),
        Ask::Email => ("E-mail address", "text", "email", false),
        Ask::Phone => ("Telephone, with country code", "tel", "tel", false),
        Ask::Address => ("Postal address", "text", "street-address", true),
    };
    let typed = sent.typed(name).unwrap_or_default();
    Question { name, label, kind, autocomplete, long, typed }
}
