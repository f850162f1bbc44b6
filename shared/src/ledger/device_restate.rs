//! Changing the windows of devices where something else stands of a counted reading.

use crate::base::sort;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::integers;
use crate::ledger::read::rows_of_device;
use crate::ledger::region_devices;
use crate::ledger::restate::Restated;
use crate::ledger::row::Row;
use crate::ledger::run::RunRecord;
use crate::ledger::sorted_run::Keys;
use crate::ledger::totals::correctable_from;

const ALL: u16 = 0;
pub(super) const HOUR: u16 = 60;
pub(super) const DAY: u16 = 1_440;

/// A device in a region, and an hour.
type Place = (i64, u64, i64);

/// Writes anew the windows of the devices of these readings: of an hour from the rows that
/// stand, of a day from its hours, of all time from the days.
pub(super) fn restate(sql: &impl Sql, changes: &[Restated]) -> Result<(), Error> {
    let mut hours: Vec<Place> = Vec::new();
    for change in changes {
        let hour = change.minute() - change.minute() % i64::from(HOUR);
        let regions = change.moves().map(|(region, ..)| i64::from(region));
        hours.extend(regions.map(|region| (region, change.row.device(), hour)));
    }
    sort_places(&mut hours);
    for (region, device, hour) in &hours {
        let rows = rows_of_device(sql, *device, *hour, hour + i64::from(HOUR))?;
        let window = of_rows(HOUR, rows.iter().filter(|row| i64::from(row.region) == *region));
        put(sql, [*region, i64::from(HOUR), *hour], *device, window)?;
    }
    let day = |(region, device, hour): &Place| (*region, *device, hour - hour % i64::from(DAY));
    let mut days: Vec<Place> = hours.iter().map(day).collect();
    sort_places(&mut days);
    for (region, device, day) in &days {
        let starts = (0..24).map(|hour| day + hour * i64::from(HOUR));
        let hours = load(sql, *region, HOUR, *device, starts)?;
        let window = hours.into_iter().map(|hour| hour.widened(DAY)).reduce(merged);
        put(sql, [*region, i64::from(DAY), *day], *device, window)?;
    }
    let mut whole: Vec<Place> =
        days.iter().map(|(region, device, _)| (*region, *device, 0)).collect();
    sort_places(&mut whole);
    for (region, device, _) in whole {
        restate_all_time(sql, region, device)?;
    }
    Ok(())
}

fn sort_places(places: &mut Vec<Place>) {
    // Regions have 32 bits, devices 48, and hours 32.
    sort::sort_by_key(places, |(region, device, hour)| {
        u128::from(region.cast_unsigned()) << 96
            | u128::from(*device) << 48
            | u128::from(hour.cast_unsigned())
    });
    places.dedup();
}

fn merged(mut a: DeviceWindow, b: DeviceWindow) -> DeviceWindow {
    a.merge(&b);
    a
}

fn of_rows<'a>(span: u16, rows: impl Iterator<Item = &'a Row>) -> Option<DeviceWindow> {
    rows.filter_map(|row| DeviceWindow::of(span, row)).reduce(merged)
}

/// The windows of a device with these starts, in their order, as far as it has any.
pub(super) fn load(
    sql: &impl Sql,
    region: i64,
    span: u16,
    device: u64,
    starts: impl Iterator<Item = i64>,
) -> Result<Vec<DeviceWindow>, Error> {
    let keys = |start| Keys { group: [region, i64::from(span), start], from: device, to: device };
    let wanted: Vec<Keys<3>> = starts.map(keys).collect();
    let mut windows = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &wanted)? {
        let all: Vec<DeviceWindow> = DEVICE_WINDOWS.decode(&run)?;
        windows.extend(all.into_iter().filter(|window| window.device() == device));
    }
    Ok(windows)
}

/// Stores a window, and changes the number of devices and the sum of their averages in the
/// window of the region.
fn put(
    sql: &impl Sql,
    group: [i64; 3],
    device: u64,
    window: Option<DeviceWindow>,
) -> Result<(), Error> {
    let [region, span, start] = group;
    let span_minutes = u16::try_from(span).map_err(|_too_long| Error::Corrupt("window"))?;
    let before = load(sql, region, span_minutes, device, [start].into_iter())?.pop();
    DEVICE_WINDOWS.put(sql, group, device, window.as_ref())?;
    let of = |window: Option<&DeviceWindow>| window.map_or((0, 0), |window| (1, window.average()));
    let ((count, average), (old_count, old_average)) = (of(window.as_ref()), of(before.as_ref()));
    let statement = "UPDATE windows SET devices = devices + ?4, averages = averages + ?5 \
                     WHERE region = ?1 AND span = ?2 AND start = ?3";
    let bindings = [region, span, start, count - old_count, average - old_average];
    sql.execute(statement, &bindings.map(Value::Integer)).map_err(Error::Regions)?;
    Ok(())
}

fn restate_all_time(sql: &impl Sql, region: i64, device: u64) -> Result<(), Error> {
    let statement = "SELECT DISTINCT start FROM device_windows \
                     WHERE region = ?1 AND span = 1440 ORDER BY start";
    let rows = sql.execute(statement, &[Value::Integer(region)]).map_err(Error::Regions)?;
    let starts: Option<Vec<i64>> =
        rows.iter().map(|row| integers(row).map(|[start]| start)).collect();
    let starts = starts.ok_or(Error::Corrupt("device window"))?;
    let days = load(sql, region, DAY, device, starts.into_iter())?;
    let group = [region, i64::from(ALL), 0];
    let before = load(sql, region, ALL, device, [0].into_iter())?.pop();
    let ends = days.first().zip(days.last());
    let seen = match ends {
        Some((first, last)) => {
            let first = reading_of_day(sql, first, device, true)?;
            Some((first, reading_of_day(sql, last, device, false)?))
        }
        None => None,
    };
    let whole = days.into_iter().map(|day| day.widened(ALL)).reduce(merged);
    let window = whole.map(|whole| whole.of_all_days(seen.unwrap_or_default(), before.as_ref()));
    put(sql, group, device, window)?;
    match (before.is_some(), window.is_some()) {
        (false, true) => {
            let id = u32::try_from(region).map_err(|_too_large| Error::Corrupt("region"))?;
            region_devices::add(sql, &[(id, device)])
        }
        (true, false) => {
            let remove = "DELETE FROM region_devices WHERE region = ?1 AND device = ?2";
            let bindings = [region, device.cast_signed()].map(Value::Integer);
            sql.execute(remove, &bindings).map(|_no_rows| ()).map_err(Error::Regions)
        }
        _ => Ok(()),
    }
}

/// The first or the last reading of a device and its region on a day, if the ledger still
/// has it.
fn reading_of_day(
    sql: &impl Sql,
    day: &DeviceWindow,
    device: u64,
    is_first: bool,
) -> Result<Option<Row>, Error> {
    let [region, _, start] = day.group();
    let starts = (0..24).map(|hour| start + hour * i64::from(HOUR));
    let hours = load(sql, region, HOUR, device, starts)?;
    let hour = if is_first { hours.first() } else { hours.last() };
    let Some([_, _, hour]) = hour.map(RunRecord::group) else { return Ok(None) };
    // The first row of an hour in which pruning stopped is not its first reading.
    if is_first && hour < correctable_from(sql)? {
        return Ok(None);
    }
    let rows = rows_of_device(sql, device, hour, hour + i64::from(HOUR))?;
    let mut own = rows.into_iter().filter(|row| i64::from(row.region) == region);
    Ok(if is_first { own.next() } else { own.next_back() })
}
