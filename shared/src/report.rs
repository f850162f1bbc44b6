//! Regions and ranges of time as statistics.
//!
//! A range, and each step of a series, is cut into whole hours and the minutes at
//! its two edges, so a year costs thousands of rows and not the readings.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::limits;
use crate::reading::UnixMillis;
use crate::stats::Stats;

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

    /// The first instant in the range.
    pub fn from(&self) -> UnixMillis {
        UnixMillis::from_minute(self.from_minute, 0).unwrap_or(UnixMillis::MIN)
    }

    /// The first instant after the range.
    pub fn to(&self) -> UnixMillis {
        UnixMillis::from_minute(self.to_minute, 0).unwrap_or(UnixMillis::MAX)
    }

    /// The range cut into steps of so many minutes, at least 1; the last one may
    /// be shorter.
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

    /// Parameters 3 to 5 of `PIECES`, for steps of so many minutes.
    fn parameters(&self, minutes: i64) -> [Value; 3] {
        [self.from_minute, self.to_minute, minutes].map(Value::Integer)
    }

    fn minutes(&self) -> i64 {
        self.to_minute - self.from_minute
    }
}

/// The windows that make up the steps of a range: `pieces` has for each step,
/// by its start, up to three runs of windows of one span. From minute ?3 to
/// minute ?4 in steps of ?5 minutes.
const PIECES: &str = "\
    WITH RECURSIVE \
    steps (step, ending) AS ( \
        SELECT ?3, min(?3 + ?5, ?4) UNION ALL \
        SELECT ending, min(ending + ?5, ?4) FROM steps WHERE ending < ?4), \
    hours (step, ending, first_hour, last_hour) AS ( \
        SELECT step, ending, (step + 59) / 60 * 60, ending / 60 * 60 FROM steps), \
    pieces (step, span, first, after) AS ( \
        SELECT step, 1, step, iif(first_hour < last_hour, first_hour, ending) FROM hours UNION ALL \
        SELECT step, 60, first_hour, last_hour FROM hours WHERE first_hour < last_hour UNION ALL \
        SELECT step, 1, last_hour, ending FROM hours WHERE first_hour < last_hour)";

/// The figures of the windows `w` merged: the columns of `Figures`.
const MERGED: &str = "\
    sum(w.readings), sum(w.sum), sum(w.squares_high), sum(w.squares_low), min(w.min), max(w.max), \
    min(w.oldest), max(w.newest), sum(w.revision)";

/// Which windows are those of a region `r` and a piece `p`.
const OF_PIECE: &str = "\
    w.region = r.id AND w.span = p.span AND w.start >= p.first AND w.start < p.after";

/// What is known of a region and a range that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// The statistics.
    pub stats: Stats,
    /// The sum of the revisions of the windows that they were merged from, at
    /// least 1. It grows whenever the statistics change, so the same range with
    /// the same revision has the same statistics.
    pub revision: i64,
}

impl Figures {
    /// The stored form: the statistics' columns, then the revision.
    pub(crate) fn to_columns(self) -> Option<[i64; 9]> {
        let [n, sum, high, low, min, max, oldest, newest] = self.stats.to_columns()?;
        Some([n, sum, high, low, min, max, oldest, newest, self.revision])
    }

    /// The figures in the columns; `None` if nobody can have written them.
    pub(crate) fn from_columns(columns: [i64; 9]) -> Option<Self> {
        let [n, sum, high, low, min, max, oldest, newest, revision] = columns;
        let stats = Stats::from_columns([n, sum, high, low, min, max, oldest, newest])?;
        Some(Self { stats, revision })
    }
}

/// A region's name and its figures; `None` where the range holds nothing.
pub type RegionFigures = (String, Option<Figures>);

/// One region; `None` if no counted or contradicting reading ever named it.
pub(crate) fn region(
    sql: &impl Sql,
    name: &str,
    range: Option<Range>,
) -> Result<Option<RegionFigures>, Error> {
    let one = "SELECT id, name FROM regions WHERE name = ?1 LIMIT ?2";
    Ok(select(sql, one, name, 1, range)?.into_iter().next())
}

/// The regions after `after` in the order of their names, at most `limit`.
pub(crate) fn regions(
    sql: &impl Sql,
    after: &str,
    limit: usize,
    range: Option<Range>,
) -> Result<Vec<RegionFigures>, Error> {
    let page = "SELECT id, name FROM regions WHERE name > ?1 ORDER BY name LIMIT ?2";
    select(sql, page, after, limit, range)
}

/// The statistics of the regions that `chosen` selects by parameters 1 and 2.
///
/// All time is a window of its own, so it costs one row a region. A range costs
/// its three pieces, each of which is one run of neighbouring rows.
fn select(
    sql: &impl Sql,
    chosen: &str,
    name: &str,
    limit: usize,
    range: Option<Range>,
) -> Result<Vec<RegionFigures>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut parameters = vec![Value::Text(name.to_owned()), Value::Integer(limit)];
    let rows = match range {
        None => sql.execute(
            &format!(
                "SELECT r.name, w.readings, w.sum, w.squares_high, w.squares_low, \
                        w.min, w.max, w.oldest, w.newest, w.revision \
                 FROM ({chosen}) AS r LEFT JOIN windows AS w \
                      ON w.region = r.id AND w.span = 0 AND w.start = 0 \
                 ORDER BY r.name"
            ),
            &parameters,
        ),
        Some(range) => {
            parameters.extend(range.parameters(range.minutes()));
            sql.execute(
                &format!(
                    "{PIECES} SELECT r.name, {MERGED} \
                     FROM ({chosen}) AS r CROSS JOIN pieces AS p \
                          LEFT JOIN windows AS w ON {OF_PIECE} \
                     GROUP BY r.name ORDER BY r.name"
                ),
                &parameters,
            )
        }
    };
    named_figures(rows.map_err(Error::Regions)?)
}

/// The figures of a region for each step of the range that holds something, by
/// the minutes at which the steps start; `None` for an unknown region.
pub(crate) fn series(
    sql: &impl Sql,
    name: &str,
    range: Range,
    step_minutes: i64,
) -> Result<Option<Vec<(i64, Figures)>>, Error> {
    let known = "SELECT id FROM regions WHERE name = ?1";
    let name = Value::Text(name.to_owned());
    let known = sql.execute(known, std::slice::from_ref(&name)).map_err(Error::Regions)?;
    if known.is_empty() {
        return Ok(None);
    }
    let most = i64::try_from(limits::WINDOWS_PER_PAGE_MAX).unwrap_or(i64::MAX);
    let mut parameters = vec![name, Value::Integer(most)];
    parameters.extend(range.parameters(step_minutes));
    let statement = format!(
        "{PIECES} SELECT p.step, {MERGED} \
         FROM (SELECT id FROM regions WHERE name = ?1) AS r CROSS JOIN pieces AS p \
              CROSS JOIN windows AS w ON {OF_PIECE} \
         GROUP BY p.step ORDER BY p.step LIMIT ?2"
    );
    let rows = sql.execute(&statement, &parameters).map_err(Error::Regions)?;
    let step = |row: Vec<Value>| {
        let (start, columns) = row.split_first()?;
        let [start] = integers(std::slice::from_ref(start))?;
        Some((start, Figures::from_columns(integers(columns)?)?))
    };
    let steps = rows.into_iter().map(step).collect::<Option<_>>();
    Ok(Some(steps.ok_or(Error::Corrupt("window"))?))
}

fn named_figures(rows: Vec<Vec<Value>>) -> Result<Vec<RegionFigures>, Error> {
    let named = |row: Vec<Value>| {
        let (name, columns) = match row.split_first()? {
            (Value::Text(name), columns) => (name.clone(), columns),
            _ => return None,
        };
        if columns.first() == Some(&Value::Null) {
            return Some((name, None));
        }
        Figures::from_columns(integers(columns)?).map(|figures| (name, Some(figures)))
    };
    rows.into_iter().map(named).collect::<Option<_>>().ok_or(Error::Corrupt("window"))
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
