//! `rehearse`: who may have what played where. The playing is the stage's business.

use std::{ops::RangeInclusive, sync::Arc};

use super::{Chat, No};
use crate::{
    clock::Span,
    platform::Reply,
    room::{Message, Room},
    sale::template::{Overrides, Template},
};

/// Shoppers who may come: what one thread plays beside a live sale.
pub const CROWD: RangeInclusive<u32> = 1..=500;

/// How many times as fast the clock may run: at more, this machine would be rehearsed, not the sale.
pub const SPEED: RangeInclusive<u32> = 1..=30;

/// The speed unless the command says otherwise.
const SPEED_USUAL: u32 = 10;

/// Unless the command says otherwise, so many shoppers come for each unit, inside these bounds.
const SHOPPERS_PER_UNIT: u32 = 3;
const CROWD_USUAL: RangeInclusive<u32> = 10..=200;

/// Shorter than this, by the clock on the wall, there is nothing to watch.
const SHORTEST: Span = Span::from_secs(3);

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Play {
    /// The sale, inside its template's bounds.
    pub template: Template,
    /// How many shoppers come.
    pub crowd: u32,
    /// How many times as fast its clock runs.
    pub speed: u32,
    /// Where it speaks: rooms where only moderators read.
    pub rooms: Vec<Room>,
}

/// Where sales are rehearsed, one at a time and apart from everything live.
pub trait Stage: Send + Sync {
    /// The moderators' rooms, as configured.
    fn rooms(&self) -> &[Room];

    /// Begins; what is to be said from here on it says itself.
    ///
    /// # Errors
    /// Why not, and the mend.
    fn begin(&self, play: Play) -> Result<(), String>;

    /// Ends what is played; false if nothing is.
    fn end(&self) -> bool;
}

impl Chat {
    /// Gives the chat a stage; a second one is not taken.
    pub fn rehearses_on(&self, stage: Arc<dyn Stage>) {
        // Only ever called once.
        let _ = self.stage.set(stage);
    }

    fn stage(&self) -> Result<&Arc<dyn Stage>, No> {
        self.stage.get().ok_or_else(|| No::Say("There is no stage to rehearse on.".to_owned()))
    }

    pub(super) fn rehearse(
        &self,
        message: &Message,
        (name, overrides): (&str, &Overrides),
        crowd: Option<u32>,
        speed: Option<u32>,
    ) -> Result<Reply, No> {
        let stage = self.stage()?;
        let template = self.template(name, overrides)?;
        let usual = template.stock.saturating_mul(SHOPPERS_PER_UNIT);
        let crowd = crowd.unwrap_or(usual.clamp(*CROWD_USUAL.start(), *CROWD_USUAL.end()));
        let fastest = (template.duration.millis() / SHORTEST.millis()).max(1);
        let fastest = u32::try_from(fastest).unwrap_or(u32::MAX).min(*SPEED.end());
        let speed = speed.unwrap_or(SPEED_USUAL.min(fastest));
        within("crowd", crowd, &CROWD)?;
        within("speed", speed, &SPEED)?;
        if speed > fastest {
            return Err(No::Say(format!(
                "At speed={speed}, {} would be over in a blink. At most speed={fastest}, or longer.",
                template.duration.words()
            )));
        }
        let rooms = if self.mod_rooms.contains(&message.room) {
            vec![message.room.clone()]
        } else {
            stage.rooms().to_vec()
        };
        if rooms.is_empty() {
            return Err(No::Say(
                "A rehearsal speaks only where moderators alone read, and there is no such room: \
                 set shop.mod_rooms in config.toml, or type this into the terminal."
                    .to_owned(),
            ));
        }
        let shown: Vec<String> = rooms.iter().map(Room::to_string).collect();
        stage.begin(Play { template, crowd, speed, rooms }).map_err(No::Say)?;
        Ok(aside(message, &format!("It is rehearsed in {}.", shown.join(", "))))
    }

    pub(super) fn end_rehearsal(&self, message: &Message) -> Result<Reply, No> {
        if self.stage()?.end() {
            return Ok(aside(message, "The rehearsal ends."));
        }
        Err(No::Say(
            "No rehearsal runs. Start one, for example: !sale rehearse mug 10m crowd=200 speed=10"
                .to_owned(),
        ))
    }
}

/// An answer for the asker's eyes only, or none: the rehearsal itself speaks, where it may.
fn aside(message: &Message, says: &str) -> Reply {
    if message.aside { Reply::line(says) } else { Reply::default() }
}

fn within(key: &str, value: u32, bounds: &RangeInclusive<u32>) -> Result<(), No> {
    if bounds.contains(&value) {
        return Ok(());
    }
    Err(No::Say(format!("{key}= takes {} to {}, not {value}.", bounds.start(), bounds.end())))
}
