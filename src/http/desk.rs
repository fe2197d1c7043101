//! The owner's desk: every sale with its holds, money and work, behind a login.
//!
//! It decides nothing of its own: what is typed here goes the way of every moderator's line, with
//! the same rules and answers.

mod login;
mod said;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};

pub use self::login::Logins;
use super::{
    Web,
    desk_page::{
        DeskPage, GivenUpRow, HoldRow, JournalRow, SalePage, SaleRow, TemplateRow, WorkRow,
    },
    live::missing,
    page::{render, summary, with_photos},
};
use crate::{
    clock::Timestamp,
    engine::given_up,
    id::{EffectId, SaleId},
    notice::text::plain,
    platform::{Health, Standing},
    report::{Columns, Report},
    room::{Message, PlatformName, Role, Room, User},
    sale::{Head, Sale, hold::Hold},
    store::{JournalLine, StoreError, Work},
};

/// Past sales shown.
const SALES_MAX: u32 = 200;

/// Lines of a journal shown, the newest ones.
const JOURNAL_MAX: usize = 300;

/// Everything below `/desk`.
pub(super) fn routes(web: &Arc<Web>) -> Router<Arc<Web>> {
    Router::new()
        .route("/desk", get(desk))
        .route("/desk/sales/{number}", get(sale))
        .route("/desk/sales/{number}/packing.csv", get(packing))
        .route("/desk/say", get(to_desk).post(say))
        .route("/desk/retry", get(to_desk).post(retry))
        .route("/desk/logout", get(to_desk).post(login::log_out))
        .layer(from_fn_with_state(web.clone(), login::only_the_owner))
        .route("/desk/login", get(login::form).post(login::log_in))
}

async fn desk(State(web): State<Arc<Web>>, Query(query): Query<Said>) -> Response {
    let answer = match &query.said {
        Some(id) => said::answer(&web, id).await,
        None => Vec::new(),
    };
    overview(&web, answer).await
}

/// Which answer the overview is to show.
#[derive(serde::Deserialize)]
struct Said {
    said: Option<String>,
}

/// Where only a form leads: whoever types the address, or reloads, sees the desk.
async fn to_desk() -> Redirect {
    Redirect::to("/desk")
}

/// Leads to the overview with an answer on it, so that a reload does nothing again.
async fn answered(web: &Web, answer: Vec<String>) -> Response {
    match said::keep(web, &answer).await {
        Some(id) => Redirect::to(&format!("/desk?said={id}")).into_response(),
        None => overview(web, answer).await,
    }
}

/// The overview, perhaps with the answer to what was just typed.
async fn overview(web: &Web, answer: Vec<String>) -> Response {
    let now = web.engine.now();
    let store = web.engine.store();
    let (lines, parked) = match (store.sales(SALES_MAX).await, given_up::groups(store).await) {
        (Ok(lines), Ok(parked)) => (lines, parked),
        (Err(error), _) | (_, Err(error)) => return away(&error),
    };
    let sales = lines
        .iter()
        .map(|line| {
            let view = web.engine.views().get(line.id).map(|view| web.engine.honest(view));
            let head = &line.head;
            SaleRow {
                number: line.number,
                title: plain(&head.template.title),
                says: match &view {
                    Some(view) => summary(view, now),
                    None => format!("{} of {} sold", head.tally.paid, head.shown_stock()),
                } + archived_since(head).as_deref().unwrap_or_default(),
                running: view.is_some_and(|view| !view.closed),
                started: format!("{} by {}", minute(head.started_at), plain(&head.started_by.name)),
            }
        })
        .collect();
    let parked = parked.into_iter().map(|group| GivenUpRow {
        number: group.number,
        what: plain(&group.what()),
        why: plain(&group.why),
        ids: group.ids.iter().map(ToString::to_string).collect(),
    });
    let page = DeskPage {
        shop: &web.shop_name,
        sandbox: web.only_pretends(),
        answer,
        sales,
        parked: parked.collect(),
        templates: templates(web),
        platforms: platforms(web, now),
    };
    let photos = page.templates.iter().filter_map(|template| template.image.as_deref());
    with_photos(render(StatusCode::OK, &page), photos)
}

/// What stands behind a sale whose details are gone.
fn archived_since(head: &Head) -> Option<String> {
    Some(format!(" · archived since {}", head.archived.as_ref()?.day()))
}

fn templates(web: &Web) -> Vec<TemplateRow> {
    let all = web.templates.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
    all.values()
        .map(|template| TemplateRow {
            name: template.name.clone(),
            title: plain(&template.title),
            description: plain(&template.description),
            image: template.image.clone(),
            says: format!(
                "{} × {} for {} · {}{}",
                template.stock,
                template.price,
                template.duration.words(),
                template.provider,
                if web.pretends(&template.provider) { ", no real money" } else { "" },
            ),
        })
        .collect()
}

fn platforms(web: &Web, now: Timestamp) -> Vec<String> {
    let standing = |Health { standing, since }: Health| {
        let word = match standing {
            Standing::Starting => "connecting".to_owned(),
            Standing::Up => "connected".to_owned(),
            Standing::Away(why) => format!("away: {}", plain(&why)),
            Standing::Broken(why) => format!("BROKEN: {}", plain(&why)),
        };
        format!("{word}, for {}", now.since(since).words())
    };
    web.platforms
        .iter()
        .filter_map(|one| Some(format!("{}: {}", one.name(), standing(one.health()?))))
        .collect()
}

async fn sale(State(web): State<Arc<Web>>, Path(number): Path<u32>) -> Response {
    let Some(id) = numbered(&web, number).await else { return missing(&web) };
    let store = web.engine.store();
    let (Ok(journal), Ok(work)) = (store.journal(id).await, store.work_of(id).await) else {
        return missing(&web);
    };
    let journal = Arc::new(journal);
    let read = journal.clone();
    let Ok(facts) = web.engine.look(id, move |sale| Facts::of(sale, &read)).await else {
        return missing(&web);
    };
    let now = web.engine.now();
    let page = SalePage {
        shop: &web.shop_name,
        sandbox: facts.sandbox,
        number,
        receipt: facts.receipt,
        archived: facts.archived,
        holds: facts.holds,
        work: work.into_iter().map(|work| work_row(work, now)).collect(),
        journal: journal.iter().rev().take(JOURNAL_MAX).map(journal_row).collect(),
    };
    render(StatusCode::OK, &page)
}

async fn numbered(web: &Web, number: u32) -> Option<SaleId> {
    web.engine.store().sale_numbered(number).await.ok().flatten()
}

/// What a sale's page at the desk shows.
struct Facts {
    sandbox: bool,
    receipt: Vec<String>,
    archived: Option<String>,
    holds: Vec<HoldRow>,
}

impl Facts {
    fn of(sale: &Sale, journal: &[JournalLine]) -> Self {
        let claimed = sale.holds().filter(|hold| hold.buyer.is_some());
        Self {
            sandbox: !sale.head.capabilities.real_money,
            receipt: Report::of(sale, journal).lines(),
            archived: sale.head.archived.as_ref().map(|archived| archived.day()),
            holds: claimed.map(|hold| hold_row(sale, hold)).collect(),
        }
    }
}

fn hold_row(sale: &Sale, hold: &Hold) -> HoldRow {
    let money: Vec<String> = sale
        .payments()
        .filter(|payment| payment.hold == Some(hold.id))
        .map(|payment| format!("{} {}", payment.fact.amount, payment.fate.word()))
        .collect();
    let open = hold.checkouts.iter().filter(|page| !page.closed).count();
    HoldRow {
        n: hold.id.n,
        buyer: hold.buyer_name.as_deref().map_or_else(|| "a browser".to_owned(), plain),
        units: hold.units,
        delivery: chosen(hold),
        state: hold.state.word(),
        claimed: minute(hold.claimed_at),
        pages: format!("{} made, {open} not closed", hold.checkouts.len()),
        money: money.join(", "),
    }
}

fn work_row(work: Work, now: Timestamp) -> WorkRow {
    let says = match (work.parked, work.why.as_str()) {
        (true, why) => format!("given up: {}", plain(why)),
        (false, "") if work.attempts == 0 => "queued".to_owned(),
        (false, why) => {
            let due = work.due_at.since(now).words();
            format!("tried {} times, again in {due} {}", work.attempts, plain(why))
        }
    };
    let what = work.effect.word().replace('_', " ");
    WorkRow { id: work.id.to_string(), what, says, parked: work.parked }
}

fn journal_row(line: &JournalLine) -> JournalRow {
    let event = match (&line.event, &line.quarantined) {
        (_, Some(why)) => format!("SET ASIDE: {}", plain(why)),
        (Some(event), None) => serde_json::to_value(event.as_ref())
            .ok()
            .and_then(|value| Some(value.get("event")?.as_str()?.replace('_', " ")))
            .unwrap_or_default(),
        (None, None) => String::new(),
    };
    let moves: Vec<String> = line
        .moves
        .iter()
        .map(|step| match &step.from {
            Some(from) => format!("hold {}: {from} → {}", step.n, step.to),
            None => format!("hold {}: {}", step.n, step.to),
        })
        .collect();
    JournalRow {
        revision: line.revision,
        at: line.at.rfc3339(),
        by: plain(&line.by),
        event,
        moves: moves.join(", "),
    }
}

async fn packing(
    State(web): State<Arc<Web>>,
    Path(number): Path<u32>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(id) = numbered(&web, number).await else { return missing(&web) };
    let Ok(journal) = web.engine.store().journal(id).await else { return missing(&web) };
    let look = web.engine.look(id, move |sale| Report::of(sale, &journal)).await;
    let Ok(report) = look else { return missing(&web) };
    let mut csv = Vec::new();
    let semicolon = query.get("columns").is_some_and(|columns| columns == "semicolon");
    let columns = if semicolon { Columns::Semicolon } else { Columns::Comma };
    if report.write_csv(&mut csv, columns).is_err() {
        return missing(&web);
    }
    let name = format!("attachment; filename=\"sale-{number}.csv\"");
    let headers =
        [("content-type", "text/csv; charset=utf-8".to_owned()), ("content-disposition", name)];
    (headers, csv).into_response()
}

/// A line typed at the desk, answered like any moderator's.
async fn say(State(web): State<Arc<Web>>, _: HeaderMap, body: Bytes) -> Response {
    let line = field(&body, "line");
    let text = if line.starts_with('!') { line } else { format!("!sale {line}") };
    let message = Message {
        id: hex::encode(web.engine.entropy().bytes()),
        room: Room::console(),
        user: User {
            platform: PlatformName::Console,
            id: "desk".to_owned(),
            name: "the owner's desk".to_owned(),
        },
        role: Role::Moderator,
        text,
        aside: true,
    };
    let answer = web.chat.hear(&message).await.map(|reply| reply.lines).unwrap_or_default();
    answered(&web, answer).await
}

/// Takes up again what was given up.
async fn retry(State(web): State<Arc<Web>>, body: Bytes) -> Response {
    let taken = match field(&body, "all").as_str() {
        "" => retried(&web, &body).await,
        _ => web.engine.retry_all(None).await,
    };
    match taken {
        Ok(0) => {
            let says = "That is not waiting for anybody (any more).".to_owned();
            answered(&web, vec![says]).await
        }
        Ok(_) => Redirect::to("/desk").into_response(),
        Err(error) => away(&error),
    }
}

/// Takes up the pieces that the form names; how many.
async fn retried(web: &Web, body: &[u8]) -> Result<usize, StoreError> {
    let mut taken = 0;
    for (_, id) in form_urlencoded::parse(body).filter(|(key, _)| key == "effect") {
        let id = EffectId::from(id.trim().to_owned());
        taken += usize::from(web.engine.retry_parked(id).await?);
    }
    Ok(taken)
}

fn field(body: &[u8], name: &str) -> String {
    let mut fields = form_urlencoded::parse(body);
    fields
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.trim().to_owned())
        .unwrap_or_default()
}

fn away(error: &dyn std::fmt::Display) -> Response {
    tracing::error!(%error, "the desk could not be shown");
    (StatusCode::SERVICE_UNAVAILABLE, "The store does not answer. Please try again.\n")
        .into_response()
}

/// Date, hours and minutes, UTC.
fn minute(at: Timestamp) -> String {
    at.rfc3339().get(..16).unwrap_or_default().replace('T', " ")
}

/// Delivery and everything else that was chosen.
fn chosen(hold: &Hold) -> String {
    let all = [hold.delivery.clone().unwrap_or_default(), hold.extras.words()];
    all.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(", ")
}
