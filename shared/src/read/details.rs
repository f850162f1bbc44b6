//! The devices and percentiles of a range.
//!
//! The number of devices in several windows is not the sum over the windows, so devices
//! are counted from their own windows; histograms are merged. Minutes have neither:
//! they are computed from the ledger, while it still has the readings, and from the windows
//! of quarter hours, which have those that it had. What can't be computed, or only from too
//! many records, is left out. What is given is exact: it is
//! checked to be made of as many readings as the statistics.

use crate::base::sort;
use crate::domain::histogram::Histogram;
use crate::domain::summary::{Devices, device_average};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::run::{Run, RunRecord};
use crate::ledger::sorted_run::RunTable;
use crate::ledger::standing::{self, Stored};
use crate::ledger::windows::damaged_histogram;
use crate::ledger::{LEDGER, Row, integers};
use crate::limits;
use crate::read::pieces::{Cell, Chosen, PIECES};

/// The ledger's runs in the minutes at the edges of the steps. The ledger is sorted by
/// time, so it is read once for all chosen regions.
const EDGES: &str = "pieces AS p CROSS JOIN ledger AS l \
     ON p.span = 1 AND l.minute >= p.first AND l.minute < p.after";

/// The runs of the devices' windows in the whole hours and days of the steps, and in the
/// quarter hours at their edges.
const WHOLE: &str = "CROSS JOIN pieces AS p CROSS JOIN device_windows AS d \
     ON d.region = r.id AND d.span = p.span AND d.start >= p.first AND d.start < p.after";

/// Adds devices and percentiles to the figures, where they can be computed. `windows`
/// is the number of windows that the cells are made of, `bindings` are those of
/// `chosen` and of `PIECES`, and `cells` are sorted by region and step.
///
/// A row that can't be read is an error. In a list of regions it is skipped instead, so
/// that the others can be answered. The figures that need it then lack readings, and
/// are left out.
pub(crate) fn add(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    windows: i64,
    bindings: &[Value],
    cells: &mut [Cell],
) -> Result<(), Error> {
    let mut several = false;
    for cell in &mut *cells {
        if let Some(figures) = &mut cell.figures {
            // A step that is one window takes its devices from that, unless it is a
            // minute.
            if cell.windows != 1 {
                figures.devices = None;
            }
            several |= figures.devices.is_none();
        }
    }
    let index = CellIndex::of(cells);
    let mut histograms = vec![Histogram::default(); cells.len()];
    if windows <= limits::WINDOWS_READ_AT_ONCE {
        add_histograms(sql, chosen, chosen, bindings, &index, &mut histograms)?;
    } else {
        for names in cells.chunk_by(|a, b| a.region_id == b.region_id) {
            let Some(Cell { region, .. }) = names.first() else { continue };
            let mut bindings = bindings.to_vec();
            let one = Chosen::One(region);
            bindings.splice(..2, one.bindings());
            add_histograms(sql, chosen, one, &bindings, &index, &mut histograms)?;
        }
    }
    if several && records_to_read(sql, chosen, bindings)? <= limits::DETAIL_RECORDS_MAX {
        let mut parts = whole_parts(sql, chosen, bindings, &index)?;
        edge_parts(sql, chosen, bindings, &index, &mut parts, &mut histograms)?;
        add_devices(parts, cells);
    }
    for (cell, histogram) in cells.iter_mut().zip(&histograms) {
        if let Some(figures) = &mut cell.figures {
            figures.set_percentiles(histogram);
        }
    }
    Ok(())
}

/// Finds the cell of a region and step.
struct CellIndex(Vec<(i64, i64, usize)>);

impl CellIndex {
    fn of(cells: &[Cell]) -> Self {
        let place = |(index, cell): (usize, &Cell)| (cell.region_id, cell.step, index);
        let mut places: Vec<_> = cells.iter().enumerate().map(place).collect();
        sort::sort_by_key(&mut places, |(region, step, _)| {
            u128::from(region.cast_unsigned()) << 64 | u128::from(step.cast_unsigned())
        });
        Self(places)
    }

    fn find(&self, region: i64, step: i64) -> Option<usize> {
        let found = self.0.binary_search_by_key(&(region, step), |(r, s, _)| (*r, *s)).ok()?;
        self.0.get(found).map(|(_, _, index)| *index)
    }
}

/// How many records have to be read to count the devices. Counting stops above
/// `limits::DETAIL_RECORDS_MAX`.
fn records_to_read(sql: &impl Sql, chosen: Chosen<'_>, bindings: &[Value]) -> Result<i64, Error> {
    // Each run has at least one record, so the limit on runs is enough.
    let statement = format!(
        "{PIECES} SELECT coalesce(sum(records), 0) FROM ( \
             SELECT l.records FROM {EDGES} UNION ALL SELECT d.records FROM {} {WHOLE} LIMIT {})",
        chosen.query(),
        limits::DETAIL_RECORDS_MAX + 1
    );
    let rows = sql.execute(&statement, bindings).map_err(Error::Regions)?;
    let count = rows.first().and_then(|row| integers(row));
    count.map(|[count]| count).ok_or(Error::Corrupt("ledger"))
}

/// Adds the stored histograms of quarter hours, hours and days to those of the cells, for `some`
/// of the chosen regions.
fn add_histograms(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    some: Chosen<'_>,
    bindings: &[Value],
    index: &CellIndex,
    histograms: &mut [Histogram],
) -> Result<(), Error> {
    let statement = format!(
        "{PIECES} SELECT r.id, p.step, h.span, h.start, h.bins \
         FROM {} CROSS JOIN pieces AS p CROSS JOIN histograms AS h \
              ON h.region = r.id AND h.span = p.span AND h.start >= p.first AND h.start < p.after",
        some.query()
    );
    for row in sql.execute(&statement, bindings).map_err(Error::Regions)? {
        let [head @ .., Value::Blob(bins)] = row.as_slice() else {
            return Err(Error::Corrupt("histogram"));
        };
        let [region, step, span, start] = integers(head).ok_or(Error::Corrupt("histogram"))?;
        let cell = index.find(region, step).ok_or(Error::Corrupt("histogram"))?;
        match (Histogram::decode(bins), histograms.get_mut(cell)) {
            (Some(stored), Some(histogram)) => histogram.merge(&stored),
            (None, _) if !chosen.is_list() => {
                let row = damaged_histogram(region, span, start);
                return Err(Error::DamagedRows(vec![row]));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The records of a run; none if it can't be read and may be skipped.
fn decoded<R: RunRecord<G>, const G: usize>(
    table: &RunTable<G>,
    run: Option<Run<G>>,
    chosen: Chosen<'_>,
) -> Result<Vec<R>, Error> {
    let run = run.ok_or(Error::Corrupt(table.name))?;
    match table.decode(&run) {
        Err(Error::DamagedRows(_)) if chosen.is_list() => Ok(Vec::new()),
        other => other,
    }
}

/// What a device adds to a part of a cell.
#[derive(Clone, Copy)]
struct DevicePart {
    cell: usize,
    device: u64,
    readings: i64,
    sum_millicelsius: i64,
}

fn whole_parts(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    bindings: &[Value],
    index: &CellIndex,
) -> Result<Vec<DevicePart>, Error> {
    let statement = format!(
        "{PIECES} SELECT p.step, d.region, d.span, d.start, d.first, d.run FROM {} {WHOLE}",
        chosen.query()
    );
    let mut parts = Vec::new();
    for row in sql.execute(&statement, bindings).map_err(Error::Regions)? {
        let place = || {
            let (Value::Integer(step), columns) = row.split_first()? else { return None };
            let [region] = integers(columns.get(..1)?)?;
            Some((index.find(region, *step)?, columns))
        };
        let (cell, columns) = place().ok_or(Error::Corrupt("device window"))?;
        let windows: Vec<DeviceWindow> =
            decoded(&DEVICE_WINDOWS, Run::from_columns(columns), chosen)?;
        parts.extend(windows.iter().map(|window| DevicePart {
            cell,
            device: window.device(),
            readings: window.readings(),
            sum_millicelsius: window.sum_millicelsius(),
        }));
    }
    Ok(parts)
}

fn edge_parts(
    sql: &impl Sql,
    chosen: Chosen<'_>,
    bindings: &[Value],
    index: &CellIndex,
    parts: &mut Vec<DevicePart>,
    histograms: &mut [Histogram],
) -> Result<(), Error> {
    // Mentions the chosen regions only to have the same bindings.
    let statement = format!(
        "{PIECES} SELECT p.step, l.minute, l.first, l.run FROM {EDGES} \
         WHERE EXISTS (SELECT 1 FROM {})",
        chosen.query()
    );
    let runs = sql.execute(&statement, bindings).map_err(Error::Regions)?;
    let corrections = corrections_of(sql, &runs)?;
    for row in runs {
        let Some((Value::Integer(step), columns)) = row.split_first() else {
            return Err(Error::Corrupt("ledger row"));
        };
        let step = *step;
        let rows: Vec<Row> = decoded(&LEDGER, Run::from_columns(columns), chosen)?;
        let rows = standing::standing(rows, &corrections);
        for row in rows {
            // A reading of another region has no cell.
            let Some(cell) = index.find(i64::from(row.region), step) else { continue };
            let (device, sum_millicelsius) = (row.device(), i64::from(row.millicelsius));
            parts.push(DevicePart { cell, device, readings: 1, sum_millicelsius });
            if let (Some(histogram), Some(temperature)) =
                (histograms.get_mut(cell), row.temperature())
            {
                histogram.add(temperature, 1);
            }
        }
    }
    Ok(())
}

/// The corrections of the minutes of these runs.
fn corrections_of(sql: &impl Sql, runs: &[Vec<Value>]) -> Result<Vec<Stored>, Error> {
    let minute = |row: &Vec<Value>| match row.get(1) {
        Some(Value::Integer(minute)) => Some(*minute),
        _ => None,
    };
    let minutes = || runs.iter().filter_map(minute);
    match (minutes().min(), minutes().max()) {
        (Some(first), Some(last)) => standing::between(sql, first, last + 1),
        _ => Ok(Vec::new()),
    }
}

/// Adds the devices where they have as many readings as the statistics.
fn add_devices(mut parts: Vec<DevicePart>, cells: &mut [Cell]) {
    sort::sort_by_key(&mut parts, |part| (part.cell as u128) << 64 | u128::from(part.device));
    for parts in parts.chunk_by(|a, b| a.cell == b.cell) {
        let (mut devices, mut all) = (Devices { count: 0, averages: 0 }, 0);
        for own in parts.chunk_by(|a, b| a.device == b.device) {
            let readings: i64 = own.iter().map(|part| part.readings).sum();
            let sum_millicelsius = own.iter().map(|part| part.sum_millicelsius).sum();
            devices.count += 1;
            devices.averages += device_average(readings, sum_millicelsius);
            all += readings;
        }
        let cell = parts.first().and_then(|part| cells.get_mut(part.cell));
        if let Some(figures) = cell.and_then(|cell| cell.figures.as_mut())
            && figures.devices.is_none()
            && i64::try_from(figures.stats.readings()) == Ok(all)
        {
            figures.devices = Some(devices);
        }
    }
}
