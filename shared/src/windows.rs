//! Writing the windows: what the ledger has counted enters the statistics,
//! devices and percentiles of its minute, hour, day, and all time.
//!
//! Architecture invariant: only what the ledger really inserted comes here, once,
//! inside the transaction that inserted it.

use crate::error::Error;
use crate::figures::device_average;
use crate::histogram::Histogram;
use crate::host::{Sql, Value};
use crate::ledger::{integers, placeholders};
use crate::limits;
use crate::reading::{MilliCelsius, UnixMillis};
use crate::stats::Stats;

/// The spans of the windows, in minutes; 0 is all time.
const SPANS: [i64; 4] = [0, 1, 60, 1_440];

/// The finest windows. Their devices and percentiles can be had from the ledger.
const MINUTE: i64 = 1;

/// A reading that was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) region: i64,
    pub(crate) device: i64,
    pub(crate) timestamp: UnixMillis,
    pub(crate) temperature: MilliCelsius,
    pub(crate) is_late: bool,
}

/// Span, region and start: the key of a window.
type Key = (i64, i64, i64);

fn key(span: i64, region: i64, minute: i64) -> Key {
    (span, region, if span == 0 { 0 } else { minute - minute % span })
}

/// What is added to a window.
struct Addition {
    key: Key,
    stats: Stats,
    late: i64,
    /// Devices that are new in it, and by how much the sum of its devices'
    /// averages changes.
    devices: (i64, i64),
    histogram: Histogram,
}

/// What is added to a window of one device.
struct DeviceAddition {
    key: (Key, i64),
    stats: Stats,
    /// The temperature of the newest.
    latest: MilliCelsius,
}

/// Adds the readings to their windows.
pub(crate) fn add(sql: &impl Sql, mut counted: Vec<Counted>) -> Result<(), Error> {
    // Both in the order of their keys.
    let (mut windows, mut devices) = (Vec::new(), Vec::new());
    for span in SPANS {
        let key = |one: &Counted| key(span, one.region, one.timestamp.minute());
        counted.sort_unstable_by_key(|one| (key(one), one.device, one.timestamp));
        for readings in counted.chunk_by(|a, b| key(a) == key(b)) {
            let (Some(first), Some(stats)) = (readings.first(), stats_of(readings)) else {
                continue;
            };
            let key = key(first);
            let late = readings.iter().map(|one| i64::from(one.is_late)).sum();
            let mut histogram = Histogram::default();
            if span != MINUTE {
                readings.iter().for_each(|one| histogram.add(one.temperature, 1));
                let own = readings.chunk_by(|a, b| a.device == b.device);
                devices.extend(own.filter_map(|readings| {
                    let newest = readings.last()?;
                    let key = (key, newest.device);
                    Some(DeviceAddition {
                        key,
                        stats: stats_of(readings)?,
                        latest: newest.temperature,
                    })
                }));
            }
            windows.push(Addition { key, stats, late, devices: (0, 0), histogram });
        }
    }
    add_devices(sql, &devices, &mut windows)?;
    add_statistics(sql, &windows)?;
    add_histograms(sql, &mut windows)
}

fn stats_of(readings: &[Counted]) -> Option<Stats> {
    let each = readings.iter().map(|one| Stats::of(one.temperature, one.timestamp));
    each.reduce(Stats::merge)
}

fn find(windows: &mut [Addition], key: Key) -> Option<&mut Addition> {
    let index = windows.binary_search_by_key(&key, |window| window.key).ok()?;
    windows.get_mut(index)
}

/// Adds to the windows of the devices, and tells the windows of their regions
/// what changed by that.
fn add_devices(
    sql: &impl Sql,
    devices: &[DeviceAddition],
    windows: &mut [Addition],
) -> Result<(), Error> {
    for chunk in devices.chunks(limits::ROWS_PER_STATEMENT) {
        let mut parameters = Vec::with_capacity(chunk.len() * limits::DEVICE_COLUMNS);
        for DeviceAddition { key: ((span, region, start), device), stats, latest } in chunk {
            let [n, sum, _, _, _, _, oldest, newest] =
                stats.to_columns().ok_or(Error::Corrupt("device window"))?;
            parameters.extend([*region, *span, *start, *device, n, sum].map(Value::Integer));
            let of_all_time = [oldest, newest, i64::from(latest.get())];
            parameters.extend(of_all_time.map(|column| match span {
                0 => Value::Integer(column),
                _ => Value::Null,
            }));
        }
        let statement = format!(
            "INSERT INTO device_windows \
                 (region, span, start, device, readings, sum, oldest, newest, latest) VALUES {} \
             ON CONFLICT DO UPDATE SET \
                 readings = readings + excluded.readings, sum = sum + excluded.sum, \
                 oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest), \
                 latest = iif(excluded.newest > newest, excluded.latest, latest) \
             RETURNING span, region, start, device, readings, sum",
            placeholders(chunk.len(), limits::DEVICE_COLUMNS)
        );
        for row in sql.execute(&statement, &parameters).map_err(Error::Regions)? {
            count_device(&row, devices, windows).ok_or(Error::Corrupt("device window"))?;
        }
    }
    Ok(())
}

/// `row` is a device's window as it has become: what it was before follows from
/// what was added.
fn count_device(row: &[Value], devices: &[DeviceAddition], windows: &mut [Addition]) -> Option<()> {
    let [span, region, start, device, readings, sum] = integers(row)?;
    let key = (span, region, start);
    let index = devices.binary_search_by_key(&(key, device), |added| added.key).ok()?;
    let [added_readings, added_sum, ..] = devices.get(index)?.stats.to_columns()?;
    let (readings_before, sum_before) = (readings - added_readings, sum - added_sum);
    let window = find(windows, key)?;
    window.devices.0 += i64::from(readings_before == 0);
    window.devices.1 += device_average(readings, sum) - device_average(readings_before, sum_before);
    Some(())
}

fn add_statistics(sql: &impl Sql, windows: &[Addition]) -> Result<(), Error> {
    for chunk in windows.chunks(limits::ROWS_PER_STATEMENT) {
        let mut parameters = Vec::with_capacity(chunk.len() * limits::WINDOW_COLUMNS);
        for Addition { key: (span, region, start), stats, late, devices, .. } in chunk {
            let statistics = stats.to_columns().ok_or(Error::Corrupt("window"))?;
            parameters.extend([*region, *span, *start].map(Value::Integer));
            parameters.extend(statistics.map(Value::Integer));
            parameters.push(Value::Integer(*late));
            parameters.extend([devices.0, devices.1].map(|column| match *span {
                MINUTE => Value::Null,
                _ => Value::Integer(column),
            }));
        }
        let statement = format!(
            "INSERT INTO windows (region, span, start, readings, sum, squares_high, squares_low, \
                                  min, max, oldest, newest, late, devices, averages) VALUES {} \
             ON CONFLICT DO UPDATE SET \
                 readings = readings + excluded.readings, sum = sum + excluded.sum, \
                 squares_high = squares_high + excluded.squares_high, \
                 squares_low = squares_low + excluded.squares_low, \
                 min = min(min, excluded.min), max = max(max, excluded.max), \
                 oldest = min(oldest, excluded.oldest), newest = max(newest, excluded.newest), \
                 late = late + excluded.late, devices = devices + excluded.devices, \
                 averages = averages + excluded.averages, revision = revision + 1",
            placeholders(chunk.len(), limits::WINDOW_COLUMNS)
        );
        sql.execute(&statement, &parameters).map_err(Error::Regions)?;
    }
    Ok(())
}

/// Merges with what is stored here and not in SQL: a histogram is one value.
fn add_histograms(sql: &impl Sql, windows: &mut [Addition]) -> Result<(), Error> {
    let has_one = |window: &&Addition| window.key.0 != MINUTE;
    let keys: Vec<Key> = windows.iter().filter(has_one).map(|window| window.key).collect();
    for chunk in keys.chunks(limits::ROWS_PER_STATEMENT) {
        let statement = format!(
            "SELECT h.span, h.region, h.start, h.bins \
             FROM (SELECT column1 AS span, column2 AS region, column3 AS start \
                   FROM (VALUES {})) AS k \
             CROSS JOIN histograms AS h USING (region, span, start)",
            placeholders(chunk.len(), 3)
        );
        let parameters = chunk.iter().flat_map(|&(span, region, start)| [span, region, start]);
        let parameters: Vec<Value> = parameters.map(Value::Integer).collect();
        for row in sql.execute(&statement, &parameters).map_err(Error::Regions)? {
            merge_stored(&row, windows).ok_or(Error::Corrupt("histogram"))?;
        }
    }
    let histograms: Vec<&Addition> = windows.iter().filter(has_one).collect();
    for chunk in histograms.chunks(limits::ROWS_PER_STATEMENT) {
        let mut parameters = Vec::with_capacity(chunk.len() * 4);
        for Addition { key: (span, region, start), histogram, .. } in chunk {
            parameters.extend([*region, *span, *start].map(Value::Integer));
            parameters.push(Value::Blob(histogram.encode()));
        }
        let statement = format!(
            "INSERT OR REPLACE INTO histograms (region, span, start, bins) VALUES {}",
            placeholders(chunk.len(), 4)
        );
        sql.execute(&statement, &parameters).map_err(Error::Regions)?;
    }
    Ok(())
}

fn merge_stored(row: &[Value], windows: &mut [Addition]) -> Option<()> {
    let (key, bins) = row.split_first_chunk::<3>()?;
    let [span, region, start] = integers(key)?;
    let [Value::Blob(bins)] = bins else { return None };
    find(windows, (span, region, start))?.histogram.merge(&Histogram::decode(bins)?);
    Some(())
}

/// What was sent again, or contradicts what stands: region and minute of the
/// reading that stands, and whether it is a conflict.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Vec<(i64, i64, bool)>);

impl Repeats {
    pub(crate) fn duplicate(&mut self, region: i64, minute: i64) {
        self.0.push((region, minute, false));
    }

    pub(crate) fn conflict(&mut self, region: i64, minute: i64) {
        self.0.push((region, minute, true));
    }

    /// Counts them in their windows, whose statistics they don't change.
    pub(crate) fn count(&self, sql: &impl Sql) -> Result<(), Error> {
        let mut rows: Vec<[i64; 5]> = Vec::new();
        for span in SPANS {
            let place = |&(region, minute, is_conflict): &(i64, i64, bool)| {
                (key(span, region, minute), is_conflict)
            };
            let mut places: Vec<(Key, bool)> = self.0.iter().map(place).collect();
            places.sort_unstable();
            for repeats in places.chunk_by(|(a, _), (b, _)| a == b) {
                let Some(&((span, region, start), _)) = repeats.first() else { continue };
                let conflicts = repeats.iter().map(|(_, is_conflict)| i64::from(*is_conflict));
                let (all, conflicts) = (repeats.len(), conflicts.sum::<i64>());
                let duplicates = i64::try_from(all).unwrap_or(i64::MAX) - conflicts;
                rows.push([region, span, start, duplicates, conflicts]);
            }
        }
        for chunk in rows.chunks(limits::ROWS_PER_STATEMENT) {
            let statement = format!(
                "UPDATE windows SET duplicates = duplicates + v.column4, \
                                    conflicts = conflicts + v.column5 \
                 FROM (VALUES {}) AS v \
                 WHERE region = v.column1 AND span = v.column2 AND start = v.column3",
                placeholders(chunk.len(), 5)
            );
            let parameters: Vec<Value> =
                chunk.iter().flatten().copied().map(Value::Integer).collect();
            sql.execute(&statement, &parameters).map_err(Error::Regions)?;
        }
        Ok(())
    }
}
