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

    /// From a minute (included) to another one (excluded).
    pub(crate) fn of_minutes(from_minute: i64, to_minute: i64) -> Option<Self> {
        (from_minute < to_minute).then_some(Self { from_minute, to_minute })
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
}
