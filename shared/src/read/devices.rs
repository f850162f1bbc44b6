//! Queries about devices: the devices of a region, the regions of a device, and its
//! readings.

use crate::base::sort;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::dictionary;
use crate::ledger::sorted_run::Keys;
use crate::ledger::{self, Row, integers};

/// What is known of a device in a region.
#[derive(Clone)]
pub(crate) struct DeviceSummary {
    /// The name of the device or the region: of the one that was not asked for.
    pub(crate) name: String,
    pub(crate) window: DeviceWindow,
}

/// At most `most` devices of a region with names after `after`, sorted by name; `None`
/// for an unknown region.
pub(crate) fn in_region(
    sql: &impl Sql,
    region: &str,
    after: &str,
    most: usize,
) -> Result<Option<Vec<DeviceSummary>>, Error> {
    let Some(region) = dictionary::id_of(sql, "regions", region)? else { return Ok(None) };
    let region = i64::try_from(region).map_err(|_too_large| Error::Corrupt("region"))?;
    let page = "SELECT name, device FROM region_devices \
                WHERE region = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    let bindings = [
        Value::Integer(region),
        Value::Text(after.to_owned()),
        Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)),
    ];
    let rows = sql.execute(page, &bindings).map_err(Error::Regions)?;
    let named = |row: Vec<Value>| match <[Value; 2]>::try_from(row) {
        Ok([Value::Text(name), Value::Integer(id)]) => Some((name, u64::try_from(id).ok()?)),
        _ => None,
    };
    let page: Option<Vec<(String, u64)>> = rows.into_iter().map(named).collect();
    let page = page.ok_or(Error::Corrupt("device"))?;
    let windows = windows_of(sql, region, page.iter().map(|(_, device)| *device))?;
    let seen = |(name, device): (String, u64)| {
        let index = windows.binary_search_by_key(&device, DeviceWindow::device).ok()?;
        Some(DeviceSummary { name, window: *windows.get(index)? })
    };
    let seen = page.into_iter().map(seen).collect::<Option<_>>();
    seen.map(Some).ok_or(Error::Corrupt("device window"))
}

/// The windows of all time from the runs that have these devices of a region, sorted by
/// device.
fn windows_of(
    sql: &impl Sql,
    region: i64,
    devices: impl Iterator<Item = u64>,
) -> Result<Vec<DeviceWindow>, Error> {
    let mut wanted: Vec<Keys<3>> =
        devices.map(|id| Keys { group: [region, 0, 0], from: id, to: id }).collect();
    sort::sort_by_key(&mut wanted, |keys| u128::from(keys.from));
    let mut windows = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &wanted)? {
        windows.append(&mut DEVICE_WINDOWS.decode(&run)?);
    }
    Ok(windows)
}

/// What is known of a device in each of its regions, the region of its latest reading
/// first.
pub(crate) fn of_device(sql: &impl Sql, device: &str) -> Result<Vec<DeviceSummary>, Error> {
    let statement = "SELECT r.name, d.region, d.device \
                     FROM regions AS r CROSS JOIN region_devices AS d \
                          ON d.region = r.id AND d.name = ?1 ORDER BY r.name";
    let rows = sql.execute(statement, &[Value::Text(device.to_owned())]).map_err(Error::Regions)?;
    let mut seen = Vec::with_capacity(rows.len());
    for row in rows {
        let Some((Value::Text(name), ids)) = row.split_first() else {
            return Err(Error::Corrupt("region"));
        };
        let [region, device] = integers(ids).ok_or(Error::Corrupt("region"))?;
        let device = u64::try_from(device).map_err(|_negative| Error::Corrupt("device"))?;
        let windows = windows_of(sql, region, [device].into_iter())?;
        let window = windows.into_iter().find(|window| window.device() == device);
        let window = window.ok_or(Error::Corrupt("device window"))?;
        seen.push(DeviceSummary { name: name.clone(), window });
    }
    // They are sorted by name, and keep that order where the time is the same.
    sort::sort_by_key(&mut seen, |seen| {
        u128::from(UnixMillis::MAX.get().abs_diff(seen.window.seen().1.get()))
    });
    Ok(seen)
}

/// A reading that the ledger has.
pub(crate) struct KeptReading {
    pub(crate) at: UnixMillis,
    pub(crate) region: String,
    pub(crate) temperature: MilliCelsius,
}

/// Minutes whose runs are read at once, which bounds the memory.
const MINUTES_AT_ONCE: i64 = 24 * 60;

/// At most `limit` readings of a device; `None` for an unknown device. The ledger is
/// sorted by minute, then device: each minute is looked up, which is why the range is
/// bounded.
pub(crate) fn readings(
    sql: &impl Sql,
    device: &str,
    from: UnixMillis,
    to: UnixMillis,
    limit: usize,
) -> Result<Option<Vec<KeptReading>>, Error> {
    let Some(device) = dictionary::id_of(sql, "devices", device)? else { return Ok(None) };
    let mut found = Vec::new();
    let last = to.saturating_sub(1).minute();
    let mut minute = from.minute();
    while minute <= last && found.len() < limit {
        let end = minute.saturating_add(MINUTES_AT_ONCE).min(last + 1);
        let rows = ledger::rows_of_device(sql, device, minute, end)?;
        found.extend(rows.into_iter().filter_map(|row| Some((row.timestamp()?, row))));
        found.retain(|(at, _)| (from..to).contains(at));
        minute = end;
    }
    found.truncate(limit);
    let regions = dictionary::of(sql, "regions", found.iter().map(|(_, row)| row.region))?;
    let reading = |(at, row): (UnixMillis, Row)| {
        let region = regions.get(row.region)?.to_owned();
        Some(KeptReading { at, region, temperature: row.temperature()? })
    };
    let readings = found.into_iter().map(reading).collect::<Option<_>>();
    readings.map(Some).ok_or(Error::Corrupt("ledger row"))
}
