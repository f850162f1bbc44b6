//! The ledger's rows over a long range, so many at once as there is room for.

use crate::error::Error;
use crate::ledger::Row;
use crate::limits;

/// Reads rows chunk by chunk, and counts them.
pub(crate) struct Chunks<'a> {
    /// Returns the rows of the minutes from the first (included) to the second.
    rows: &'a dyn Fn(i64, i64) -> Result<Vec<Row>, Error>,
    /// How many minutes are read next.
    minutes: i64,
    /// How many rows may still be read.
    left: usize,
}

/// The most minutes that are read at once.
const MINUTES_MAX: i64 = 24 * 60;

impl<'a> Chunks<'a> {
    /// At most `limits::EXCURSION_READINGS_MAX` rows that this returns.
    pub(crate) fn of(rows: &'a dyn Fn(i64, i64) -> Result<Vec<Row>, Error>) -> Self {
        Self { rows, minutes: 1, left: limits::EXCURSION_READINGS_MAX }
    }

    /// Calls `take` for each row of the minutes from `from` (included) to `to` (excluded):
    /// those of one device in the order of their times.
    pub(crate) fn each(
        &mut self,
        from: i64,
        to: i64,
        take: &mut dyn FnMut(&Row) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const MANY: usize = limits::EXCURSION_READINGS_AT_ONCE;
        let mut minute = from;
        while minute < to {
            let end = minute.saturating_add(self.minutes).min(to);
            let rows = (self.rows)(minute, end)?;
            self.left = self.left.checked_sub(rows.len()).ok_or(Error::TooMuch {
                narrow: "narrow it by from and to, or give gap: then fewer readings are read",
            })?;
            rows.iter().try_for_each(&mut *take)?;
            if rows.len() > MANY {
                self.minutes = (self.minutes / 2).max(1);
            } else if rows.len() < MANY / 4 && end - minute == self.minutes {
                self.minutes = (self.minutes * 2).min(MINUTES_MAX);
            }
            minute = end;
        }
        Ok(())
    }
}
