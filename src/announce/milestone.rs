//! When a line about stock or time is worth saying where every line is a new one.

use crate::{
    clock::{Span, Timestamp},
    view::View,
};

/// Milestones behind us.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    stock: usize,
    time: usize,
}

impl Passed {
    /// Those that a sale has passed by `now`.
    pub(super) fn of(view: &View, now: Timestamp) -> Self {
        let stock = stock_marks(view.stock).filter(|mark| view.left <= *mark).count();
        let left = view.ends_at.map(|ends_at| ends_at.since(now));
        let time = left.map_or(0, |left| marks(view.length).filter(|mark| left <= *mark).count());
        Self { stock, time }
    }

    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self { stock: self.stock.max(other.stock), time: self.time.max(other.time) }
    }
}

/// When the next milestone of time is reached.
pub(super) fn next(view: &View, now: Timestamp) -> Option<Timestamp> {
    let ends_at = view.ends_at?;
    marks(view.length).map(|mark| ends_at - mark).filter(|at| *at > now).min()
}

/// Half, a quarter, the last five, three, one.
fn stock_marks(stock: u32) -> impl Iterator<Item = u32> {
    let mut marks = vec![stock / 2, stock / 4, 5, 3, 1];
    marks.retain(|mark| (1..stock).contains(mark));
    marks.sort_unstable();
    marks.dedup();
    marks.into_iter()
}

/// Half the time, two minutes, one minute.
fn marks(length: Span) -> impl Iterator<Item = Span> {
    let mut marks =
        vec![Span::from_millis(length.millis() / 2), Span::from_mins(2), Span::from_mins(1)];
    marks.retain(|mark| *mark < length);
    marks.sort_unstable();
    marks.dedup();
    marks.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_those_that_a_sale_can_reach() {
        assert_eq!(stock_marks(20).collect::<Vec<_>>(), [1, 3, 5, 10]);
        assert_eq!(stock_marks(3).collect::<Vec<_>>(), [1]);
        assert_eq!(stock_marks(1).count(), 0);
        assert_eq!(
            marks(Span::from_mins(10)).collect::<Vec<_>>(),
            [Span::from_mins(1), Span::from_mins(2), Span::from_mins(5)]
        );
        assert_eq!(marks(Span::from_secs(30)).collect::<Vec<_>>(), [Span::from_secs(15)]);
    }
}
