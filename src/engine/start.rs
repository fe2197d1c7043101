//! A new sale: its number from the shop, its first commit.

use std::sync::Arc;

use super::{Engine, TRIES_MAX, TellError, fold};
use crate::{
    id::SaleId,
    notice::text::plain,
    room::{Room, User},
    sale::{
        self, Phase, Sale,
        event::{Event, Start},
        refusal::Refusal,
        template::Template,
    },
    store::{Committed, Seen},
    view::View,
};

/// A start as a person asked for it.
#[derive(Clone, Debug)]
pub struct StartOrder {
    /// What is sold, overrides applied.
    pub template: Template,
    /// Rooms that hear of it.
    pub rooms: Vec<Room>,
    /// Rooms that hear of money and trouble.
    pub mod_rooms: Vec<Room>,
    /// Who asked.
    pub by: User,
    /// Where.
    pub asked_in: Room,
    /// Wait, armed, until told to open.
    pub arm: bool,
    /// It may be the second one of its shelf.
    pub second: bool,
    /// The message that asked.
    pub seen: Option<Seen>,
}

impl Engine {
    /// Starts a sale: commits it and queues its first effect.
    ///
    /// # Errors
    /// A refusal names the bound; nothing was started then.
    pub async fn start(&self, order: &StartOrder) -> Result<Arc<View>, TellError> {
        let template = Arc::new(order.template.clone());
        let provider = self.provider(&template.provider).ok_or(TellError::Unknown)?;
        let capabilities = provider.capabilities();
        let _turn = self.inner.shop.lock().await;
        for _ in 0..TRIES_MAX {
            let at = self.now();
            let shop = self.store().shop().await?;
            let (shop, number) = shop.begin(&template, at).map_err(TellError::Refused)?;
            // Read after the shop's row: whoever started one meanwhile changed that row, and then
            // this commit is stale and looks again.
            if !order.second
                && let Some(refusal) = self.on_already(&template).await?
            {
                return Err(TellError::Refused(refusal));
            }
            let start = Start {
                id: SaleId::new(at, self.entropy().bytes()),
                number,
                template: template.clone(),
                capabilities: capabilities.clone(),
                rooms: order.rooms.clone(),
                mod_rooms: order.mod_rooms.clone(),
                by: order.by.clone(),
                asked_in: order.asked_in.clone(),
                arm: order.arm,
            };
            let (sale, decision) = sale::start(&start, at).map_err(TellError::Refused)?;
            let event = Event::Started(Box::new(start));
            let mut commit =
                fold::first_commit(self, &sale, &decision, event, &order.by.signature());
            commit.shop = Some(shop);
            commit.seen.extend(order.seen.clone());
            match self.store().commit(commit).await? {
                Committed::Applied => {
                    self.publish(&sale);
                    self.signal(true, sale.next_deadline());
                    let view = self.views().get(sale.head.id);
                    return view.ok_or(TellError::Unknown);
                }
                Committed::Stale => {}
                Committed::Duplicate(_) => return Err(TellError::Duplicate),
            }
        }
        Err(TellError::Busy)
    }

    /// Whether the same goods of the same template are being sold, or are about to be: there is one
    /// shelf of them, and each sale would offer all of it.
    async fn on_already(&self, template: &Template) -> Result<Option<Refusal>, TellError> {
        for id in self.store().live_sales().await? {
            let known = self.views().get(id);
            if known.is_some_and(|view| view.template != template.name) {
                continue;
            }
            let (name, title) = (template.name.clone(), as_shown(&template.title));
            let same = move |sale: &Sale| {
                let head = &sale.head;
                let over = matches!(head.phase, Phase::Closing { .. } | Phase::Closed { .. });
                let same = head.template.name == name && as_shown(&head.template.title) == title;
                (same && !over).then_some(head.number)
            };
            match self.look(id, same).await {
                Ok(Some(number)) => {
                    let title = template.title.clone();
                    return Ok(Some(Refusal::OnAlready { number, title }));
                }
                Ok(None) | Err(TellError::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

/// A title as buyers compare it: nobody sees a second space or minds a capital.
fn as_shown(title: &str) -> String {
    plain(title).to_lowercase()
}
