//! The statistics of regions over ranges of time.
//!
//! A range, or a step of a series, is cut into whole days and the hours and minutes at
//! its two edges. So a year costs hundreds of rows, however many readings it has.

use crate::domain::histogram::Histogram;
use crate::domain::range::Range;
use crate::domain::reading::UnixMillis;
use crate::domain::summary::Summary;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::ledger::windows::damaged_histogram;
use crate::limits;
use crate::read::details;
use crate::read::pieces::{self, Cell, Chosen, PIECES, cell};

/// A region's name and its figures; `None` if the range has no reading.
pub(crate) type RegionSummary = (String, Option<Summary>);

/// One region; `None` if no counted or contradicting reading ever named it.
pub(crate) fn region(
    sql: &impl Sql,
    name: &str,
    range: Option<Range>,
) -> Result<Option<RegionSummary>, Error> {
    Ok(figures(sql, Chosen::One(name), range)?.into_iter().next())
}

/// At most `limit` regions with names after `after`, sorted by name, for which `condition`
/// (SQL, with `name`) holds.
pub(crate) fn regions(
    sql: &impl Sql,
    condition: &str,
    (after, limit): (&str, usize),
    range: Option<Range>,
) -> Result<Vec<RegionSummary>, Error> {
    figures(sql, Chosen::After(after, limit, condition), range)
}

/// Corrects `newest` where it is after `latest`, and so from a clock that was ahead:
/// sets it to the newest reading in the range that is not.
pub(crate) fn settle_newest(
    sql: &impl Sql,
    figures: &mut [RegionSummary],
    range: Option<Range>,
    latest: UnixMillis,
) -> Result<(), Error> {
    let statement = "\
        SELECT min(m.newest, ?1) FROM windows AS m \
        WHERE m.span = 1 AND m.readings > 0 \
              AND m.region = (SELECT id FROM regions WHERE name = ?2) \
              AND m.start <= ?1 / 60000 AND m.start >= ?3 ORDER BY m.start DESC LIMIT 1";
    for (region, figures) in figures {
        let Some(figures) = figures.as_mut() else { continue };
        *figures = figures.as_of(latest);
        if figures.newest.is_none() {
            let from = Value::Integer(range.map_or(0, |range| range.edges()[0]));
            let bindings = [Value::Integer(latest.get()), Value::Text(region.clone()), from];
            let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
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
) -> Result<Vec<RegionSummary>, Error> {
    let cells = match range {
        None => all_time(sql, chosen)?,
        Some(range) => stepwise(sql, chosen, &[range])?,
    };
    Ok(cells.into_iter().map(|cell| (cell.region, cell.figures)).collect())
}

/// The figures of a region for each step, in their order; `None` for an unknown region.
/// A step begins where the one before it ends.
pub(crate) fn series(
    sql: &impl Sql,
    name: &str,
    steps: &[Range],
) -> Result<Option<Vec<Option<Summary>>>, Error> {
    let cells = stepwise(sql, Chosen::One(name), steps)?;
    let steps: Vec<_> = cells.into_iter().map(|cell| cell.figures).collect();
    Ok(Some(steps).filter(|steps| !steps.is_empty()))
}

/// The figures over all time: a window of its own, so one row per region.
fn all_time(sql: &impl Sql, chosen: Chosen<'_>) -> Result<Vec<Cell>, Error> {
    let statement = format!(
        "SELECT r.name, r.id, 0, 1, w.readings, w.sum, w.squares_high, w.squares_low, \
                w.min, w.max, w.oldest, w.newest, w.revision, w.late, w.assumed, w.duplicates, w.conflicts, \
                w.corrected, \
                coalesce(w.devices, -1), coalesce(w.averages, 0), h.bins \
         FROM {} LEFT JOIN windows AS w ON w.region = r.id AND w.span = 0 AND w.start = 0 \
              LEFT JOIN histograms AS h ON h.region = r.id AND h.span = 0 AND h.start = 0 \
         ORDER BY r.name",
        chosen.query()
    );
    let rows = sql.execute(&statement, &chosen.bindings()).map_err(Error::Regions)?;
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

/// The figures of each region and step, sorted by both.
fn stepwise(sql: &impl Sql, chosen: Chosen<'_>, steps: &[Range]) -> Result<Vec<Cell>, Error> {
    let mut bindings = chosen.bindings();
    bindings.push(pieces::edges(steps));
    let windows = windows_to_read(sql, chosen, &bindings)?;
    if windows > limits::WINDOWS_READ_MAX {
        let narrow = "narrow it by from and to, by a longer step, or by a smaller limit";
        return Err(Error::TooMuch { narrow });
    }
    let statement = format!(
        "{PIECES} SELECT r.name, r.id, p.step, count(w.start), sum(w.readings), sum(w.sum), \
                sum(w.squares_high), sum(w.squares_low), min(w.min), max(w.max), \
                min(w.oldest), max(w.newest), sum(w.revision), sum(w.late), sum(w.assumed), sum(w.duplicates), \
                sum(w.conflicts), sum(w.corrected), coalesce(max(w.devices), -1), coalesce(max(w.averages), 0) \
         FROM {} CROSS JOIN pieces AS p \
              LEFT JOIN windows AS w ON w.region = r.id AND w.span = p.span \
                        AND w.start >= p.first AND w.start < p.after \
         GROUP BY r.name, p.step ORDER BY r.name, p.step",
        chosen.query()
    );
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let cells: Option<Vec<Cell>> = rows.iter().map(|row| cell(row)).collect();
    let mut cells = cells.ok_or(Error::Corrupt("window"))?;
    details::add(sql, chosen, windows, &bindings, &mut cells)?;
    Ok(cells)
}

/// How many windows the steps are made of. Counting stops above
/// `limits::WINDOWS_READ_MAX`.
fn windows_to_read(sql: &impl Sql, chosen: Chosen<'_>, bindings: &[Value]) -> Result<i64, Error> {
    let statement = format!(
        "{PIECES} SELECT count(*) FROM ( \
             SELECT 1 FROM {} CROSS JOIN pieces AS p CROSS JOIN windows AS w \
                    ON w.region = r.id AND w.span = p.span \
                       AND w.start >= p.first AND w.start < p.after LIMIT {})",
        chosen.query(),
        limits::WINDOWS_READ_MAX + 1
    );
    let rows = sql.execute(&statement, bindings).map_err(Error::Regions)?;
    let count = rows.first().and_then(|row| integers(row));
    count.map(|[count]| count).ok_or(Error::Corrupt("window"))
}
