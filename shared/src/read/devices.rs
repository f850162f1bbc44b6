//! Queries about devices: all devices, those of a region, and the regions of a device.

use crate::access::scope::Readable;
use crate::base::sort;
use crate::domain::reading::UnixMillis;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::dictionary::{self, DEVICE_OF_NAME};
use crate::ledger::integers;
use crate::ledger::run::RunRecord;
use crate::ledger::sorted_run::Keys;

/// The condition that holds for every region.
pub(crate) const EVERYWHERE: &str = "1";

/// What is known of a device in a region, or in all regions together.
#[derive(Clone)]
pub(crate) struct DeviceSummary {
    /// The name of the device or the region: of the one that was not asked for.
    pub(crate) name: String,
    pub(crate) window: DeviceWindow,
}

/// A device, with the region of its newest reading.
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) region: String,
    /// Over all its regions.
    pub(crate) window: DeviceWindow,
}

/// The names and ids of a row: a name, another if there is one, and two integers.
fn named<const N: usize>(row: &[Value]) -> Option<([String; N], [i64; 2])> {
    let (names, ids) = row.split_first_chunk::<N>()?;
    let text = |value: &Value| match value {
        Value::Text(text) => Some(text.clone()),
        Value::Integer(_) | Value::Blob(_) | Value::Null => None,
    };
    let names: Option<Vec<String>> = names.iter().map(text).collect();
    Some((names?.try_into().ok()?, integers(ids)?))
}

/// The windows of all time of the devices in `rows` (names, region, device), in their
/// order.
fn with_windows<const N: usize>(
    sql: &impl Sql,
    rows: &[Vec<Value>],
) -> Result<Vec<([String; N], DeviceWindow)>, Error> {
    let keys = |row: &Vec<Value>| {
        let (names, [region, device]) = named(row)?;
        let device = u64::try_from(device).ok()?;
        Some((names, Keys { group: [region, 0, 0], from: device, to: device }))
    };
    let found = rows.iter().map(keys).collect::<Option<Vec<_>>>();
    let found = found.ok_or(Error::Corrupt("device"))?;
    let mut wanted: Vec<Keys<3>> = found.iter().map(|(_, keys)| *keys).collect();
    let place = |[region, ..]: [i64; 3], device: u64| {
        u128::from(region.cast_unsigned()) << 64 | u128::from(device)
    };
    sort::sort_by_key(&mut wanted, |keys| place(keys.group, keys.from));
    let mut windows: Vec<DeviceWindow> = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &wanted)? {
        windows.append(&mut DEVICE_WINDOWS.decode(&run)?);
    }
    let window = |(names, keys): ([String; N], Keys<3>)| {
        let key = place(keys.group, keys.from);
        let index = windows.binary_search_by_key(&key, |w| place(w.group(), w.device())).ok()?;
        Some((names, *windows.get(index)?))
    };
    let found = found.into_iter().map(window).collect::<Option<_>>();
    found.ok_or(Error::Corrupt("device window"))
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
    let page = "SELECT name, region, device FROM region_devices \
                WHERE region = ?1 AND name > ?2 ORDER BY name LIMIT ?3";
    let bindings = [
        Value::Integer(region.cast_signed()),
        Value::Text(after.to_owned()),
        Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)),
    ];
    let rows = sql.execute(page, &bindings).map_err(Error::Regions)?;
    let found = with_windows::<1>(sql, &rows)?.into_iter();
    Ok(Some(found.map(|([name], window)| DeviceSummary { name, window }).collect()))
}

/// What is known of a device in each of its regions, the region of its latest reading
/// first; and its name, which may be another by now.
///
/// Of regions for which `condition` (SQL, with `r.name`) holds.
pub(crate) fn of_device(
    sql: &impl Sql,
    condition: &str,
    device: &str,
) -> Result<(String, Vec<DeviceSummary>), Error> {
    let statement = format!(
        "SELECT d.name, r.name, rd.region, rd.device \
         FROM devices AS d CROSS JOIN region_devices AS rd ON rd.device = d.id \
              CROSS JOIN regions AS r ON r.id = rd.region \
         WHERE d.id = {DEVICE_OF_NAME} AND {condition} ORDER BY r.name"
    );
    let rows =
        sql.execute(&statement, &[Value::Text(device.to_owned())]).map_err(Error::Regions)?;
    let found = with_windows::<2>(sql, &rows)?;
    let own = found.first().map_or_else(|| device.to_owned(), |([own, _], _)| own.clone());
    let found = found.into_iter();
    let mut seen: Vec<_> =
        found.map(|([_, name], window)| DeviceSummary { name, window }).collect();
    // They are sorted by name, and keep that order where the time is the same.
    sort::sort_by_key(&mut seen, |seen| {
        u128::from(UnixMillis::MAX.get().abs_diff(seen.window.seen().1.get()))
    });
    Ok((own, seen))
}

/// Whether every region that the device has sent to may be read. A device that is not known
/// may be read by whoever may read everything.
pub(crate) fn is_readable(
    sql: &impl Sql,
    readable: &Readable,
    device: &str,
) -> Result<bool, Error> {
    if *readable == Readable::All {
        return Ok(true);
    }
    let (_, regions) = of_device(sql, EVERYWHERE, device)?;
    Ok(!regions.is_empty() && regions.iter().all(|summary| readable.has(&summary.name)))
}

/// At most `most` devices with names after `after`, sorted by name. With a `region`, by the
/// name that it has, those that ever sent to it. What they sent to regions for which
/// `condition` (SQL, with `r.name`) does not hold is left out, and so are devices that sent
/// nothing else.
pub(crate) fn all(
    sql: &impl Sql,
    condition: &str,
    region: Option<&str>,
    after: &str,
    most: usize,
) -> Result<Vec<Device>, Error> {
    let page = match region {
        None if condition == EVERYWHERE => {
            "SELECT id, name FROM devices WHERE ?3 IS NULL AND name > ?1".to_owned()
        }
        None => format!(
            "SELECT id, name FROM devices AS o WHERE ?3 IS NULL AND name > ?1 AND EXISTS ( \
                 SELECT 1 FROM region_devices AS rd CROSS JOIN regions AS r ON r.id = rd.region \
                 WHERE rd.device = o.id AND {condition})"
        ),
        Some(_) => "SELECT device AS id, name FROM region_devices \
                    WHERE region = (SELECT id FROM regions WHERE name = ?3) AND name > ?1"
            .to_owned(),
    };
    let statement = format!(
        "SELECT d.name, r.name, rd.region, rd.device \
         FROM ({page} ORDER BY name LIMIT ?2) AS d \
              CROSS JOIN region_devices AS rd ON rd.device = d.id \
              CROSS JOIN regions AS r ON r.id = rd.region \
         WHERE {condition} ORDER BY d.name, r.name"
    );
    let bindings = [
        Value::Text(after.to_owned()),
        Value::Integer(i64::try_from(most).unwrap_or(i64::MAX)),
        region.map_or(Value::Null, |region| Value::Text(region.to_owned())),
    ];
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let mut devices: Vec<Device> = Vec::new();
    for ([name, region], window) in with_windows::<2>(sql, &rows)? {
        match devices.last_mut().filter(|device| device.name == name) {
            Some(device) => {
                if window.seen().1 > device.window.seen().1 {
                    device.region = region;
                }
                device.window.merge(&window);
            }
            None => devices.push(Device { name, region, window }),
        }
    }
    Ok(devices)
}

/// All regions of a device together.
pub(crate) fn whole(regions: &[DeviceSummary]) -> Option<DeviceWindow> {
    let (first, others) = regions.split_first()?;
    let mut whole = first.window;
    others.iter().for_each(|summary| whole.merge(&summary.window));
    Some(whole)
}
