//! Regions and ranges of time as statistics.
//!
//! A range, and each step of a series, is cut into whole days, and the hours and
//! minutes at its two edges, so a year costs hundreds of rows and not the
//! readings.

mod details;

use crate::domain::figures::Figures;
use crate::domain::histogram::Histogram;
use crate::domain::range::Range;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::ledger::windows::damaged_histogram;
use crate::limits;

/// The windows that make up the steps of a range: `pieces` has for each step,
/// by its start, up to five runs of windows of one span: whole days, the hours
/// and the minutes at their edges. From minute ?3 to minute ?4 in steps of ?5
/// minutes.
const PIECES: &str = "\
    WITH RECURSIVE \
    steps (step, ending) AS ( \
        SELECT ?3, min(?3 + ?5, ?4) UNION ALL \
        SELECT ending, min(ending + ?5, ?4) FROM steps WHERE ending < ?4), \
    cuts (step, ending, hour, hours_end, day, days_end) AS ( \
        SELECT step, ending, (step + 59) / 60 * 60, ending / 60 * 60, \
               (step + 1439) / 1440 * 1440, ending / 1440 * 1440 FROM steps), \
    pieces (step, span, first, after) AS ( \
        SELECT step, 1, step, iif(hour < hours_end, hour, ending) FROM cuts UNION ALL \
        SELECT step, 1, hours_end, ending FROM cuts WHERE hour < hours_end UNION ALL \
        SELECT step, 60, hour, iif(day < days_end, day, hours_end) \
        FROM cuts WHERE hour < hours_end UNION ALL \
        SELECT step, 60, days_end, hours_end FROM cuts WHERE day < days_end UNION ALL \
        SELECT step, 1440, day, days_end FROM cuts WHERE day < days_end)";

/// A region's name and its figures; `None` where the range holds nothing.
pub type RegionFigures = (String, Option<Figures>);

/// The regions that a question is about, by parameters 1 and 2.
#[derive(Clone, Copy)]
enum Chosen<'a> {
    /// The one of this name.
    One(&'a str),
    /// So many after this name, in the order of their names.
    After(&'a str, usize),
}

impl Chosen<'_> {
    /// Whether an answer has other regions, which a damaged row of one must not keep
    /// from it: what that row would tell is left out.
    fn is_list(self) -> bool {
        matches!(self, Self::After(..))
    }

    fn query(self) -> &'static str {
        match self {
            Self::One(_) => "(SELECT id, name FROM regions WHERE name = ?1 LIMIT ?2) AS r",
            Self::After(..) => {
                "(SELECT id, name FROM regions WHERE name > ?1 ORDER BY name LIMIT ?2) AS r"
            }
        }
    }

    fn parameters(self) -> Vec<Value> {
        let (name, limit) = match self {
            Self::One(name) => (name, 1),
            Self::After(name, limit) => (name, i64::try_from(limit).unwrap_or(i64::MAX)),
        };
        vec![Value::Text(name.to_owned()), Value::Integer(limit)]
    }
}

/// One region; `None` if no counted or contradicting reading ever named it.
pub(crate) fn region(
    sql: &impl Sql,
    name: &str,
    range: Option<Range>,
) -> Result<Option<RegionFigures>, Error> {
    Ok(figures(sql, Chosen::One(name), range)?.into_iter().next())
}

/// The regions after `after` in the order of their names, at most `limit`.
pub(crate) fn regions(
    sql: &impl Sql,
    after: &str,
    limit: usize,
    range: Option<Range>,
) -> Result<Vec<RegionFigures>, Error> {
    figures(sql, Chosen::After(after, limit), range)
}

/// Takes the newest readings that are from after `latest` for what they are: of a clock
/// that was ahead. The newest before it, in the range, stands instead.
pub(crate) fn settle_newest(
    sql: &impl Sql,
    figures: &mut [RegionFigures],
    range: Option<Range>,
    latest: UnixMillis,
) -> Result<(), Error> {
    let statement = "\
        SELECT min(m.newest, ?1) FROM windows AS m \
        WHERE m.span = 1 AND m.region = (SELECT id FROM regions WHERE name = ?2) \
              AND m.start <= ?1 / 60000 AND m.start >= ?3 ORDER BY m.start DESC LIMIT 1";
    for (region, figures) in figures {
        let Some(figures) = figures.as_mut() else { continue };
        *figures = figures.as_of(latest);
        if figures.newest.is_none() {
            let from = Value::Integer(range.map_or(0, |range| range.edges()[0]));
            let parameters = [Value::Integer(latest.get()), Value::Text(region.clone()), from];
            let rows = sql.execute(statement, &parameters).map_err(Error::Regions)?;
            let newest = rows.first().and_then(|row| integers(row));
            figures.newest = newest.and_then(|[newest]| UnixMillis::new(newest));
        }
    }
    Ok(())
}

fn figures(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    range: Option<Range>,
) -> Result<Vec<RegionFigures>, Error> {
    let cells = match range {
        None => all_time(sql, chosen)?,
        Some(range) => stepwise(sql, chosen, range, range.minutes())?,
    };
    Ok(cells.into_iter().map(|cell| (cell.region, cell.figures)).collect())
}

/// The figures of a region for each step of the range, in their order; `None`
/// for an unknown region.
pub(crate) fn series(
    sql: &impl Sql,
    name: &str,
    range: Range,
    step_minutes: i64,
) -> Result<Option<Vec<Option<Figures>>>, Error> {
    let cells = stepwise(sql, Chosen::One(name), range, step_minutes)?;
    let steps: Vec<_> = cells.into_iter().map(|cell| cell.figures).collect();
    Ok(Some(steps).filter(|steps| !steps.is_empty()))
}

/// A region and a step.
struct Cell {
    region: String,
    region_id: i64,
    step: i64,
    /// How many windows the figures were merged from.
    windows: i64,
    figures: Option<Figures>,
}

/// The figures over all time, which is a window of its own: one row a region.
fn all_time(sql: &impl Sql, chosen: Chosen<'_>) -> Result<Vec<Cell>, Error> {
    let statement = format!(
        "SELECT r.name, r.id, 0, 1, w.readings, w.sum, w.squares_high, w.squares_low, \
                w.min, w.max, w.oldest, w.newest, w.revision, w.late, w.duplicates, w.conflicts, \
                coalesce(w.devices, -1), coalesce(w.averages, 0), h.bins \
         FROM {} LEFT JOIN windows AS w ON w.region = r.id AND w.span = 0 AND w.start = 0 \
              LEFT JOIN histograms AS h ON h.region = r.id AND h.span = 0 AND h.start = 0 \
         ORDER BY r.name",
        chosen.query()
    );
    let rows = sql.execute(&statement, &chosen.parameters()).map_err(Error::Regions)?;
    let mut cells = Vec::with_capacity(rows.len());
    for mut row in rows {
        let bins = row.pop();
        let mut cell = cell(&row).ok_or(Error::Corrupt("window"))?;
        if let (Some(figures), Some(Value::Blob(bins))) = (&mut cell.figures, bins) {
            match Histogram::decode(&bins) {
                Some(histogram) => figures.set_percentiles(&histogram),
                None if chosen.is_list() => {}
                None => {
                    let row = damaged_histogram(cell.region_id, 0, 0);
                    return Err(Error::DamagedRows(vec![row]));
                }
            }
        }
        cells.push(cell);
    }
    Ok(cells)
}

/// The figures of each region and step, in the order of both.
fn stepwise(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    range: Range,
    step_minutes: i64,
) -> Result<Vec<Cell>, Error> {
    let mut parameters = chosen.parameters();
    let [from_minute, to_minute] = range.edges();
    parameters.extend([from_minute, to_minute, step_minutes].map(Value::Integer));
    let windows = windows_to_read(sql, chosen, &parameters)?;
    if windows > limits::WINDOWS_READ_MAX {
        let narrow = "narrow it by from and to, by a longer step, or by a smaller limit";
        return Err(Error::TooMuch { narrow });
    }
    let statement = format!(
        "{PIECES} SELECT r.name, r.id, p.step, count(w.start), sum(w.readings), sum(w.sum), \
                sum(w.squares_high), sum(w.squares_low), min(w.min), max(w.max), \
                min(w.oldest), max(w.newest), sum(w.revision), sum(w.late), sum(w.duplicates), \
                sum(w.conflicts), coalesce(max(w.devices), -1), coalesce(max(w.averages), 0) \
         FROM {} CROSS JOIN pieces AS p \
              LEFT JOIN windows AS w ON w.region = r.id AND w.span = p.span \
                        AND w.start >= p.first AND w.start < p.after \
         GROUP BY r.name, p.step ORDER BY r.name, p.step",
        chosen.query()
    );
    let rows = sql.execute(&statement, &parameters).map_err(Error::Regions)?;
    let cells: Option<Vec<Cell>> = rows.iter().map(|row| cell(row)).collect();
    let mut cells = cells.ok_or(Error::Corrupt("window"))?;
    details::add(sql, chosen, windows, &parameters, &mut cells)?;
    Ok(cells)
}

/// How many windows the steps are made of; counted no further than to one too many.
fn windows_to_read(sql: &impl Sql, chosen: Chosen<'_>, parameters: &[Value]) -> Result<i64, Error> {
    let statement = format!(
        "{PIECES} SELECT count(*) FROM ( \
             SELECT 1 FROM {} CROSS JOIN pieces AS p CROSS JOIN windows AS w \
                    ON w.region = r.id AND w.span = p.span \
                       AND w.start >= p.first AND w.start < p.after LIMIT {})",
        chosen.query(),
        limits::WINDOWS_READ_MAX + 1
    );
    let rows = sql.execute(&statement, parameters).map_err(Error::Regions)?;
    let count = rows.first().and_then(|row| integers(row));
    count.map(|[count]| count).ok_or(Error::Corrupt("window"))
}

/// Region and its id, step, how many windows, and the columns of `Figures`.
fn cell(row: &[Value]) -> Option<Cell> {
    let (Value::Text(region), columns) = row.split_first()? else { return None };
    let (head, columns) = columns.split_first_chunk::<3>()?;
    let [region_id, step, windows] = integers(head)?;
    let figures = match columns.first()? {
        Value::Null => None,
        _ => Some(Figures::from_columns(integers(columns)?)?),
    };
    Some(Cell { region: region.clone(), region_id, step, windows, figures })
}
