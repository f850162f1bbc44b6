//! Writing the windows: adds counted readings to the statistics, devices and
//! percentiles of their minute, hour, day, and all time.
//!
//! Architecture invariant: only readings that entered the ledger are added, once, in
//! the transaction in which they entered.

use crate::base::sort;
use crate::domain::histogram::Histogram;
use crate::domain::stats::Stats;
use crate::error::{DamagedRow, Error};
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::region_devices;
use crate::ledger::run::RunRecord;
use crate::ledger::{Row, integers, placeholders, rows_per_statement};

/// The spans of the windows, in minutes; 0 is all time.
pub(super) const SPANS: [u16; 4] = [ALL, MINUTE, HOUR, DAY];

/// The statistics of a window without a reading: merging them changes nothing.
pub(super) const EMPTY: [i64; 8] = [0, 0, 0, 0, i64::MAX, i64::MIN, i64::MAX, -1];

const ALL: u16 = 0;

/// The finest windows. Their devices and percentiles are computed from the ledger.
const MINUTE: u16 = 1;
const HOUR: u16 = 60;
const DAY: u16 = 1_440;

/// Span, region and start: the key of a window.
pub(super) type Key = (i64, i64, i64);

pub(super) fn key(span: u16, region: i64, minute: i64) -> Key {
    let span = i64::from(span);
    (span, region, if span == 0 { 0 } else { minute - minute % span })
}

/// What is added to a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Addition {
    key: Key,
    stats: Stats,
    late: i64,
    assumed: i64,
    /// Only in windows that are coarser than a minute.
    pub(super) histogram: Histogram,
    /// How many devices are new in it, and the change in the sum of its devices'
    /// averages.
    devices: (i64, i64),
}

impl Addition {
    /// What one reading adds to the window of this span, except to its histogram.
    pub(super) fn of(span: u16, row: &Row) -> Option<Self> {
        Some(Self {
            key: key(span, i64::from(row.region), i64::from(row.minute)),
            stats: Stats::of(row.temperature()?, row.timestamp()?),
            late: i64::from(row.is_late),
            assumed: i64::from(row.is_time_assumed),
            histogram: Histogram::default(),
            devices: (0, 0),
        })
    }

    /// Adds another reading of the window, except to its histogram.
    fn count(&mut self, row: &Row) -> Option<()> {
        self.stats = self.stats.merge(Stats::of(row.temperature()?, row.timestamp()?));
        self.late += i64::from(row.is_late);
        self.assumed += i64::from(row.is_time_assumed);
        Some(())
    }

    fn merge(&mut self, other: &Self) {
        self.stats = self.stats.merge(other.stats);
        self.late += other.late;
        self.assumed += other.assumed;
        self.histogram.merge(&other.histogram);
    }
}

/// Region, hour and device as one key: 32, 27 and 47 bits.
fn by_hour_and_device(row: &Row) -> u128 {
    let hours = u128::from(row.minute / u32::from(HOUR));
    u128::from(row.region) << 74 | hours << 47 | u128::from(row.device())
}

/// What the readings add to windows and to devices' windows, each sorted by key. The readings come
/// in the order of the ledger, so those of a device stay in the order of their times.
fn additions(mut counted: Vec<Row>) -> Option<(Vec<Addition>, Vec<DeviceWindow>)> {
    let hour = |row: &Row| row.minute / u32::from(HOUR);
    sort::sort_by_key(&mut counted, by_hour_and_device);
    let (mut minutes, mut hours, mut devices) = (Vec::new(), Vec::new(), Vec::new());
    for rows in counted.chunk_by(|a, b| a.region == b.region) {
        let mut of_hours = Vec::new();
        for rows in rows.chunk_by(|a, b| hour(a) == hour(b)) {
            hours.push(hour_and_minutes(rows, &mut minutes)?);
            for rows in rows.chunk_by(|a, b| a.device() == b.device()) {
                let (first, rest) = rows.split_first()?;
                let mut device = DeviceWindow::of(HOUR, first)?;
                for row in rest {
                    device.merge(&DeviceWindow::of(HOUR, row)?);
                }
                of_hours.push(device);
            }
        }
        add_spans(of_hours, &mut devices);
    }
    let days = rolled_up(DAY, &hours);
    let mut windows = rolled_up(ALL, &days);
    windows.append(&mut minutes);
    windows.append(&mut hours);
    windows.extend(days);
    Some((windows, devices))
}

/// The window of the hour that the readings belong to. Those of its minutes follow in `minutes`.
fn hour_and_minutes(rows: &[Row], minutes: &mut Vec<Addition>) -> Option<Addition> {
    let mut own: [Option<Addition>; HOUR as usize] = [const { None }; HOUR as usize];
    for row in rows {
        match own.get_mut((row.minute % u32::from(HOUR)) as usize)? {
            Some(minute) => minute.count(row)?,
            minute => *minute = Some(Addition::of(MINUTE, row)?),
        }
    }
    let first = minutes.len();
    minutes.extend(own.into_iter().flatten());
    let mut whole = rolled_up(HOUR, minutes.get(first..)?).pop()?;
    whole.histogram = Histogram::of(rows.iter().filter_map(Row::temperature));
    Some(whole)
}

/// Adds the windows of a region's devices in all spans, from those of its hours, in the order of
/// the table. Most often there is one hour, and nothing is left to sort.
fn add_spans(mut hours: Vec<DeviceWindow>, devices: &mut Vec<DeviceWindow>) {
    let days = devices_rolled_up(DAY, &hours);
    devices.append(&mut devices_rolled_up(ALL, &days));
    devices.append(&mut hours);
    devices.extend(days);
}

/// Merges `parts` into windows of a coarser span. Both are sorted by region and time.
fn rolled_up(span: u16, parts: &[Addition]) -> Vec<Addition> {
    let key = |part: &Addition| key(span, part.key.1, part.key.2);
    let whole = |parts: &[Addition]| {
        let (first, rest) = parts.split_first()?;
        let mut whole = Addition { key: key(first), ..first.clone() };
        rest.iter().for_each(|part| whole.merge(part));
        Some(whole)
    };
    parts.chunk_by(|a, b| key(a) == key(b)).filter_map(whole).collect()
}

/// Merges `parts` into windows of a coarser span, sorted by key.
pub(super) fn devices_rolled_up(span: u16, parts: &[DeviceWindow]) -> Vec<DeviceWindow> {
    let mut whole: Vec<DeviceWindow> = parts.iter().map(|part| part.widened(span)).collect();
    sort::sort_by_key(&mut whole, DeviceWindow::place);
    whole.dedup_by(|next, kept| {
        let same = next.place() == kept.place();
        if same {
            kept.merge(next);
        }
        same
    });
    whole
}

/// Adds the readings to their windows.
#[inline(never)] // It has a name in profiles: xtask/src/instructions.rs.
pub(crate) fn add(sql: &impl Sql, counted: Vec<Row>) -> Result<(), Error> {
    let (mut windows, devices) = additions(counted).ok_or(Error::Corrupt("ledger row"))?;
    add_devices(sql, &devices, &mut windows)?;
    add_statistics(sql, &windows)?;
    add_histograms(sql, &mut windows)
}

fn place(windows: &[Addition], key: Key) -> Option<usize> {
    windows.binary_search_by_key(&key, |window| window.key).ok()
}

fn find(windows: &mut [Addition], key: Key) -> Option<&mut Addition> {
    let index = place(windows, key)?;
    windows.get_mut(index)
}

/// Adds to the windows of the devices, and enters the changes that follow into
/// `windows`, those of their regions.
pub(super) fn add_devices(
    sql: &impl Sql,
    devices: &[DeviceWindow],
    windows: &mut [Addition],
) -> Result<(), Error> {
    let mut all_found = true;
    let mut new_in_region = Vec::new();
    // The devices of a window come one after the other: it is looked up once for all of them.
    let mut of_last: Option<(Key, usize)> = None;
    DEVICE_WINDOWS.merge(sql, devices, |standing, added| {
        let [region, span, start] = added.group();
        let (is_new, change) = match standing {
            None => {
                new_in_region.extend(added.of_all_time());
                (true, added.average())
            }
            Some(standing) => {
                let before = standing.average();
                standing.merge(added);
                (false, standing.average() - before)
            }
        };
        let key = (span, region, start);
        let index = match of_last {
            Some((last, index)) if last == key => Some(index),
            _ => place(windows, key),
        };
        of_last = index.map(|index| (key, index));
        match index.and_then(|index| windows.get_mut(index)) {
            Some(window) => {
                window.devices.0 += i64::from(is_new);
                window.devices.1 += change;
            }
            None => all_found = false,
        }
        true
    })?;
    // Both were computed from the same readings, so none may be missing.
    if !all_found {
        return Err(Error::Corrupt("window"));
    }
    region_devices::add(sql, &new_in_region)
}

/// Columns of a window that are written.
const WINDOW_COLUMNS: usize = 15;

fn add_statistics(sql: &impl Sql, windows: &[Addition]) -> Result<(), Error> {
    for chunk in windows.chunks(rows_per_statement(sql, WINDOW_COLUMNS)) {
        let mut bindings = Vec::with_capacity(chunk.len() * WINDOW_COLUMNS);
        for Addition { key: (span, region, start), stats, late, assumed, devices, .. } in chunk {
            let statistics = stats.to_columns().ok_or(Error::Corrupt("window"))?;
            bindings.extend([*region, *span, *start].map(Value::Integer));
            bindings.extend(statistics.map(Value::Integer));
            bindings.extend([*late, *assumed].map(Value::Integer));
            let is_minute = *span == i64::from(MINUTE);
            let of_devices = |column| if is_minute { Value::Null } else { Value::Integer(column) };
            bindings.extend([devices.0, devices.1].map(of_devices));
        }
        let statement = format!(
            "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest, late, assumed, devices, averages) VALUES {} \
             ON CONFLICT DO UPDATE SET \
                 readings = readings + excluded.readings, sum = sum + excluded.sum, \
                 squares_high = squares_high + excluded.squares_high, \
                 squares_low = squares_low + excluded.squares_low, \
                 min = min(min, excluded.min), max = max(max, excluded.max), \
                 oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest), \
                 late = late + excluded.late, assumed = assumed + excluded.assumed, devices = devices + excluded.devices, \
                 averages = averages + excluded.averages, revision = revision + 1",
            placeholders(chunk.len(), WINDOW_COLUMNS)
        );
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

/// Merges with the stored histograms in code, not in SQL, as a histogram is one value.
pub(super) fn add_histograms(sql: &impl Sql, windows: &mut [Addition]) -> Result<(), Error> {
    let has_one = |window: &&Addition| window.key.0 != i64::from(MINUTE);
    let keys: Vec<Key> = windows.iter().filter(has_one).map(|window| window.key).collect();
    let mut damaged = Vec::new();
    for chunk in keys.chunks(rows_per_statement(sql, 3)) {
        let statement = format!(
            "SELECT h.span, h.region, h.start, h.bins \
             FROM (SELECT column1 AS span, column2 AS region, column3 AS start \
                   FROM (VALUES {})) AS k \
             CROSS JOIN histograms AS h USING (region, span, start)",
            placeholders(chunk.len(), 3)
        );
        let bindings = chunk.iter().flat_map(|&(span, region, start)| [span, region, start]);
        let bindings: Vec<Value> = bindings.map(Value::Integer).collect();
        for row in sql.execute(&statement, &bindings).map_err(Error::Regions)? {
            let (key, bins) = row.split_first_chunk::<3>().ok_or(Error::Corrupt("histogram"))?;
            let [span, region, start] = integers(key).ok_or(Error::Corrupt("histogram"))?;
            if merge_stored((span, region, start), bins, windows).is_none() {
                damaged.push(damaged_histogram(region, span, start));
            }
        }
    }
    if !damaged.is_empty() {
        return Err(Error::DamagedRows(damaged));
    }
    let histograms: Vec<&Addition> = windows.iter().filter(has_one).collect();
    for chunk in histograms.chunks(rows_per_statement(sql, 4)) {
        let mut bindings = Vec::with_capacity(chunk.len() * 4);
        for Addition { key: (span, region, start), histogram, .. } in chunk {
            bindings.extend([*region, *span, *start].map(Value::Integer));
            bindings.push(Value::Blob(histogram.encode()));
        }
        let statement = format!(
            "INSERT OR REPLACE INTO histograms (region, span, start, bins) VALUES {}",
            placeholders(chunk.len(), 4)
        );
        sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    }
    Ok(())
}

fn merge_stored(key: Key, bins: &[Value], windows: &mut [Addition]) -> Option<()> {
    let [Value::Blob(bins)] = bins else { return None };
    find(windows, key)?.histogram.merge(&Histogram::decode(bins)?);
    Some(())
}

/// Names the row of a histogram that can't be read.
pub(crate) fn damaged_histogram(region: i64, span: i64, start: i64) -> DamagedRow {
    let key = vec![("region", region), ("span", span), ("start", start)];
    DamagedRow { table: "histograms", key }
}

/// Whether a reading of this minute belongs to the window with this span and start.
pub(crate) fn is_in_window(minute: i64, span: i64, start: i64) -> bool {
    u16::try_from(span).is_ok_and(|span| key(span, 0, minute).2 == start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::reading::{DeviceId, MilliCelsius, Reading, Region, UnixMillis};
    use crate::ledger::row::DEVICE_BITS;

    fn row((region, minute, device, ms): (u32, i64, u64, i64)) -> Row {
        let reading = Reading::new(
            DeviceId::new("d").unwrap(),
            Region::new("r").unwrap(),
            MilliCelsius::MIN,
            UnixMillis::from_minute(minute, ms).unwrap(),
        );
        Row::of(0, &reading, device, u64::from(region)).unwrap()
    }

    proptest! {
        #[test]
        fn a_packed_key_orders_as_region_hour_and_device_do(
            a in parts(), b in parts(), same_hour in any::<bool>(),
        ) {
            let b = if same_hour { (a.0, a.1 / 60 * 60 + b.1 % 60, b.2, b.3) } else { b };
            let parts = |(region, minute, device, _): (u32, i64, u64, i64)| (region, minute / 60, device);
            let (left, right) = (by_hour_and_device(&row(a)), by_hour_and_device(&row(b)));
            prop_assert_eq!(left.cmp(&right), parts(a).cmp(&parts(b)));
        }
    }

    fn parts() -> impl Strategy<Value = (u32, i64, u64, i64)> {
        let last = UnixMillis::MAX.minute();
        (any::<u32>(), 0..=last, 0..1_u64 << DEVICE_BITS, 0..UnixMillis::PER_MINUTE)
    }
}
