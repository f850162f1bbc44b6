//! Regions and ranges of time as statistics.
//!
//! A range is cut into whole hours and the minutes at its two edges, so a year
//! costs thousands of rows and not the readings.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
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

    /// The windows that make up the range: (span, first start, start after the
    /// last), in minutes.
    fn pieces(&self) -> [(i64, i64, i64); 3] {
        let first_hour =
            self.from_minute.div_euclid(60) * 60 + if self.from_minute % 60 == 0 { 0 } else { 60 };
        let last_hour = self.to_minute.div_euclid(60) * 60;
        if first_hour >= last_hour {
            return [(1, self.from_minute, self.to_minute), (60, 0, 0), (1, 0, 0)];
        }
        [
            (1, self.from_minute, first_hour),
            (60, first_hour, last_hour),
            (1, last_hour, self.to_minute),
        ]
    }
}

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
            let pieces = range.pieces();
            let numbers = pieces.iter().flat_map(|&(span, from, to)| [span, from, to]);
            parameters.extend(numbers.map(Value::Integer));
            sql.execute(
                &format!(
                    "SELECT r.name, sum(w.readings), sum(w.sum), sum(w.squares_high), \
                            sum(w.squares_low), min(w.min), max(w.max), min(w.oldest), \
                            max(w.newest), sum(w.revision) \
                     FROM ({chosen}) AS r CROSS JOIN ( \
                         SELECT ?3 AS span, ?4 AS first, ?5 AS after UNION ALL \
                         SELECT ?6, ?7, ?8 UNION ALL SELECT ?9, ?10, ?11) AS p \
                     LEFT JOIN windows AS w ON w.region = r.id AND w.span = p.span \
                          AND w.start >= p.first AND w.start < p.after \
                     GROUP BY r.name ORDER BY r.name"
                ),
                &parameters,
            )
        }
    };
    named_figures(rows.map_err(Error::Regions)?)
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
    fn hours_fill_the_middle_and_minutes_the_edges() {
        for (from, to) in [(0, 60), (1, 60), (0, 59), (59, 61), (61, 119), (30, 330), (60, 120)] {
            let mut minutes = Vec::new();
            for (span, first, after) in range(from, to).pieces() {
                let mut start = first;
                while start < after {
                    minutes.extend(start..start + span);
                    start += span;
                }
            }
            minutes.sort_unstable();
            assert_eq!(minutes, (from..to).collect::<Vec<_>>(), "{from} to {to}");
        }
        assert_eq!(range(30, 330).pieces(), [(1, 30, 60), (60, 60, 300), (1, 300, 330)]);
    }
}
