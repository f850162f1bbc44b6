//! The devices and percentiles of ranges.
//!
//! The devices of several windows are not the sum of each one's, so they are
//! counted from the windows of the devices; histograms are merged. Minutes have
//! neither: the ledger has, as long as it keeps them. What can't be told from
//! that, or only from too many rows, is left out; what is told is exact: it is
//! checked to be made of just the readings that the statistics count.

use super::{Cell, Chosen, PIECES};
use crate::error::Error;
use crate::figures::Devices;
use crate::histogram::{BIN_MILLI, Histogram};
use crate::host::{Sql, Value};
use crate::ledger::integers;
use crate::limits;
use crate::reading::MilliCelsius;

/// The ledger's rows in the minutes at the edges of the steps. The ledger is in
/// the order of time, so it is read once, whatever regions are chosen.
const EDGES: &str = "pieces AS p CROSS JOIN ledger AS l \
     ON p.span = 1 AND l.minute >= p.first AND l.minute < p.after";

/// The windows of the devices in the whole hours and days of the steps.
const WHOLE: &str = "CROSS JOIN pieces AS p CROSS JOIN device_windows AS d \
     ON d.region = r.id AND d.span = p.span AND d.start >= p.first AND d.start < p.after";

/// Adds devices and percentiles to the figures, where they can be told.
/// `parameters` are those of `chosen` and of `PIECES`; `cells` are in the order
/// of region and step.
pub(super) fn add(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    parameters: &[Value],
    cells: &mut [Cell],
) -> Result<(), Error> {
    let mut several = false;
    for cell in &mut *cells {
        if let Some(figures) = &mut cell.figures {
            // The one window of a step knows its devices, unless it is a minute.
            if cell.windows != 1 {
                figures.devices = None;
            }
            several |= figures.devices.is_none();
        }
    }
    let is_affordable =
        several && rows_to_read(sql, chosen, parameters)? <= limits::DETAIL_ROWS_MAX;
    if is_affordable {
        devices(sql, chosen, parameters, cells)?;
    }
    percentiles(sql, chosen, parameters, is_affordable, cells)
}

/// The place among the cells of a region and step, which a row begins with, and
/// the row's other columns.
fn located<'a>(row: &'a [Value], cells: &[Cell]) -> Option<(usize, &'a [Value])> {
    let ([Value::Text(region), Value::Integer(step)], columns) = row.split_first_chunk::<2>()?
    else {
        return None;
    };
    let key = (region.as_str(), *step);
    let index = cells.binary_search_by(|cell| (cell.region.as_str(), cell.step).cmp(&key)).ok()?;
    Some((index, columns))
}

/// How many rows tell the devices; counted no further than to one too many.
fn rows_to_read(sql: &impl Sql, chosen: Chosen<'_>, parameters: &[Value]) -> Result<i64, Error> {
    let statement = format!(
        "{PIECES} SELECT count(*) FROM (SELECT 1 FROM {EDGES} UNION ALL \
                                        SELECT 1 FROM {} {WHOLE} LIMIT {})",
        chosen.query(),
        limits::DETAIL_ROWS_MAX + 1
    );
    let rows = sql.execute(&statement, parameters).map_err(Error::Regions)?;
    let count = rows.first().and_then(|row| integers(row));
    count.map(|[count]| count).ok_or(Error::Corrupt("ledger"))
}

/// Adds the devices where they have just the readings that are counted.
fn devices(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    parameters: &[Value],
    cells: &mut [Cell],
) -> Result<(), Error> {
    let chosen = chosen.query();
    let statement = format!(
        "{PIECES}, parts (name, step, device, readings, sum) AS ( \
             SELECT r.name, p.step, d.device, d.readings, d.sum FROM {chosen} {WHOLE} UNION ALL \
             SELECT r.name, p.step, l.device, 1, l.milli \
             FROM {EDGES} CROSS JOIN {chosen} ON r.id = l.region), \
         averages (name, step, readings, average) AS ( \
             SELECT name, step, sum(readings), sum(sum) * 1000 / sum(readings) \
             FROM parts GROUP BY name, step, device) \
         SELECT name, step, sum(readings), count(*), sum(average) \
         FROM averages GROUP BY name, step"
    );
    for row in sql.execute(&statement, parameters).map_err(Error::Regions)? {
        add_devices(&row, cells).ok_or(Error::Corrupt("device window"))?;
    }
    Ok(())
}

fn add_devices(row: &[Value], cells: &mut [Cell]) -> Option<()> {
    let (index, columns) = located(row, cells)?;
    let [readings, count, averages] = integers(columns)?;
    let figures = cells.get_mut(index)?.figures.as_mut()?;
    if figures.devices.is_none() && i64::try_from(figures.stats.readings()) == Ok(readings) {
        figures.devices = Some(Devices { count, averages });
    }
    Some(())
}

/// Adds the percentiles, with the minutes at the edges if that can be afforded.
fn percentiles(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    parameters: &[Value],
    with_edges: bool,
    cells: &mut [Cell],
) -> Result<(), Error> {
    let chosen = chosen.query();
    let mut histograms = vec![Histogram::default(); cells.len()];
    let whole = format!(
        "{PIECES} SELECT r.name, p.step, h.bins \
         FROM {chosen} CROSS JOIN pieces AS p CROSS JOIN histograms AS h \
              ON h.region = r.id AND h.span = p.span AND h.start >= p.first AND h.start < p.after"
    );
    for row in sql.execute(&whole, parameters).map_err(Error::Regions)? {
        let (index, columns) = located(&row, cells).ok_or(Error::Corrupt("histogram"))?;
        let stored = match columns {
            [Value::Blob(bins)] => Histogram::decode(bins),
            _ => None,
        };
        let stored = stored.ok_or(Error::Corrupt("histogram"))?;
        if let Some(histogram) = histograms.get_mut(index) {
            histogram.merge(&stored);
        }
    }
    if with_edges {
        // Above the lowest temperature there is, a quotient is cut where the
        // bins are: toward zero is downward.
        let zero = i64::from(MilliCelsius::MIN.get()).div_euclid(BIN_MILLI);
        let edges = format!(
            "{PIECES} SELECT r.name, p.step, (l.milli - {lowest}) / {BIN_MILLI} + {zero}, count(*) \
             FROM {EDGES} CROSS JOIN {chosen} ON r.id = l.region GROUP BY 1, 2, 3",
            lowest = zero * BIN_MILLI,
        );
        for row in sql.execute(&edges, parameters).map_err(Error::Regions)? {
            let (index, columns) = located(&row, cells).ok_or(Error::Corrupt("ledger row"))?;
            let [bin, count] = integers(columns).ok_or(Error::Corrupt("ledger row"))?;
            if let (Some(histogram), Ok(count)) = (histograms.get_mut(index), u64::try_from(count))
            {
                histogram.add_to_bin(bin, count);
            }
        }
    }
    for (cell, histogram) in cells.iter_mut().zip(&histograms) {
        if let Some(figures) = &mut cell.figures {
            figures.set_percentiles(histogram);
        }
    }
    Ok(())
}
