//! Ranges of event time, in whole minutes.

use crate::domain::reading::UnixMillis;

/// A half-open range of event time in whole minutes, the resolution of the
/// finest windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    from_minute: i64,
    to_minute: i64,
}

impl Range {
    /// The smallest range of whole minutes that covers `from` (included) to
    /// `to` (excluded); `None` unless `from` is before `to`.
    pub fn covering(from: UnixMillis, to: UnixMillis) -> Option<Self> {
        let last_ms = UnixMillis::PER_MINUTE - 1;
        let to_minute = to.saturating_add(last_ms).minute();
        (from < to).then_some(Self { from_minute: from.minute(), to_minute })
    }

    /// The first minute, and the first after the range, since 1970-01-01T00:00:00Z.
    pub(crate) fn edges(&self) -> [i64; 2] {
        [self.from_minute, self.to_minute]
    }

    /// The first instant in the range.
    pub fn from(&self) -> UnixMillis {
        UnixMillis::from_minute(self.from_minute, 0).unwrap_or(UnixMillis::MIN)
    }

    /// The first instant after the range.
    pub fn to(&self) -> UnixMillis {
        UnixMillis::from_minute(self.to_minute, 0).unwrap_or(UnixMillis::MAX)
    }

    /// Cuts the range into steps of this many minutes, at least 1; the last may be
    /// shorter.
    pub fn steps(&self, minutes: i64) -> impl Iterator<Item = Self> + use<> {
        let Self { from_minute, to_minute } = *self;
        let starts = std::iter::successors(Some(from_minute), move |start| {
            start.checked_add(minutes).filter(|next| *next < to_minute)
        });
        starts.map(move |start| Self {
            from_minute: start,
            to_minute: start.saturating_add(minutes).min(to_minute),
        })
    }

    /// The smallest range of whole steps of the clock that covers it, each of this many
    /// minutes, at least 1.
    pub(crate) fn widened(&self, minutes: i64) -> Self {
        let (from, to) = (self.from_minute, self.to_minute);
        let last = UnixMillis::MAX.minute() + 1;
        Self {
            from_minute: from - from % minutes,
            to_minute: ((to + minutes - 1) / minutes * minutes).min(last),
        }
    }

    /// The number of minutes.
    pub(crate) fn minutes(&self) -> i64 {
        self.to_minute - self.from_minute
    }
}

/// The time span of a query.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    /// `None` is all time.
    pub(crate) range: Option<Range>,
    /// The start; `None` is the beginning of time.
    pub(crate) from: Option<UnixMillis>,
    /// The end; `None` is the end of time.
    pub(crate) to: Option<UnixMillis>,
}

impl Span {
    /// All time.
    pub(crate) const ALL_TIME: Self = Self { range: None, from: None, to: None };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from_minute: i64, to_minute: i64) -> Range {
        let at = |minute| UnixMillis::from_minute(minute, 0).unwrap();
        Range::covering(at(from_minute), at(to_minute)).unwrap()
    }

    #[test]
    fn a_range_covers_the_minutes_it_touches() {
        let at = |ms| UnixMillis::new(ms).unwrap();
        let covered = Range::covering(at(60_001), at(120_001)).unwrap();
        assert_eq!((covered.from(), covered.to()), (at(60_000), at(180_000)));
        let exact = Range::covering(at(60_000), at(120_000)).unwrap();
        assert_eq!((exact.from(), exact.to()), (at(60_000), at(120_000)));
        assert_eq!(Range::covering(at(5), at(5)), None);
        assert_eq!(Range::covering(at(6), at(5)), None);
    }

    #[test]
    fn a_range_is_cut_into_steps_of_which_the_last_may_be_shorter() {
        let steps: Vec<Range> = range(30, 330).steps(120).collect();
        assert_eq!(steps, [range(30, 150), range(150, 270), range(270, 330)]);
        assert_eq!(range(0, 60).steps(60).count(), 1);
        assert_eq!(range(0, 60).steps(i64::MAX).count(), 1);
    }
}
