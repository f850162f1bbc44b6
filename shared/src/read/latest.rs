//! What is measured now: the newest reading of each device of a region, the warmest and
//! the coldest of them, and which devices are silent.
//!
//! A device belongs to the region of its newest reading. Where it was before, it is
//! neither measured nor silent.

use crate::base::sort;
use crate::domain::reading::{MilliCelsius, UnixMillis};
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{DEVICE_WINDOWS, DeviceWindow};
use crate::ledger::run::Run;
use crate::ledger::sorted_run::Keys;
use crate::ledger::{dictionary, integers};
use crate::limits;
use crate::read::silence::Expectations;

/// What the devices of a region measure now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Latest {
    /// How many devices are not silent.
    pub(crate) devices: i64,
    /// The sum of their newest temperatures.
    pub(crate) sum_millicelsius: i64,
    /// The warmest and the coldest of them; of equal ones, the one known first.
    pub(crate) warmest: Option<Measured>,
    pub(crate) coldest: Option<Measured>,
    /// How many devices are silent.
    pub(crate) silent_devices: i64,
    /// Those that have been silent longest, at most `limits::SILENT_NAMED_MAX`.
    pub(crate) silent: Vec<String>,
}

impl Latest {
    /// The coldest and the warmest temperature.
    pub(crate) fn extremes(&self) -> Option<[MilliCelsius; 2]> {
        let (coldest, warmest) = self.coldest.as_ref().zip(self.warmest.as_ref())?;
        Some([coldest.temperature, warmest.temperature])
    }
}

/// The newest reading of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) device: String,
    pub(crate) at: UnixMillis,
    pub(crate) temperature: MilliCelsius,
}

/// The devices of one region, each with what it sent over all time.
struct Inhabitants {
    region: String,
    measured: Vec<DeviceWindow>,
    /// Sorted: the one that has been silent longest comes first.
    silent: Vec<DeviceWindow>,
}

/// What is measured now in the regions with these names, sorted by name. Regions are missing
/// that have too many devices (`limits::LATEST_RUNS_MAX`), or a row that can't be read.
pub(crate) fn of_regions<'a>(
    sql: &impl Sql,
    names: impl Iterator<Item = &'a str>,
    expected: &Expectations,
) -> Result<Vec<(String, Latest)>, Error> {
    let all = inhabitants(sql, EVERYWHERE, &Value::Text(dictionary::list_of(names)), expected)?;
    let ids = all.iter().flat_map(|of| {
        let silent = of.silent.iter().take(limits::SILENT_NAMED_MAX);
        extremes(&of.measured).into_iter().flatten().chain(silent).map(DeviceWindow::device)
    });
    let devices = dictionary::of(sql, "devices", ids)?;
    let name = |window: &DeviceWindow| devices.get(window.device()).unwrap_or_default().to_owned();
    let mut found = Vec::with_capacity(all.len());
    for Inhabitants { region, measured, silent } in all {
        let newest = |window: &DeviceWindow| {
            let (_, at, temperature) = window.seen();
            Measured { device: name(window), at, temperature }
        };
        let [warmest, coldest] = extremes(&measured).map(|window| window.map(newest));
        let sum = measured.iter().map(|window| i64::from(window.seen().2.get())).sum();
        let latest = Latest {
            devices: count(&measured),
            sum_millicelsius: sum,
            warmest,
            coldest,
            silent_devices: count(&silent),
            silent: silent.iter().take(limits::SILENT_NAMED_MAX).map(name).collect(),
        };
        found.push((region, latest));
    }
    Ok(found)
}

/// A device and what it measures now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeviceNow {
    pub(crate) region: String,
    pub(crate) device: String,
    pub(crate) temperature: MilliCelsius,
    pub(crate) is_silent: bool,
}

/// What is measured now by the first `devices_max` devices, of the regions for which
/// `condition` (SQL, with `r.name`) holds, in the order of their names.
pub(crate) fn of_devices(
    sql: &impl Sql,
    condition: &str,
    devices_max: usize,
    expected: &Expectations,
) -> Result<Vec<DeviceNow>, Error> {
    let all = inhabitants(sql, condition, &Value::Null, expected)?;
    let both = |of: &Inhabitants| {
        let lists = [(&of.measured, false), (&of.silent, true)];
        lists.map(|(list, is_silent)| list.iter().map(move |w| (*w, is_silent)).collect::<Vec<_>>())
    };
    let windows: Vec<(&str, DeviceWindow, bool)> = all
        .iter()
        .flat_map(|of| {
            both(of).concat().into_iter().map(|(w, silent)| (of.region.as_str(), w, silent))
        })
        .take(devices_max)
        .collect();
    let names =
        dictionary::of(sql, "devices", windows.iter().map(|(_, window, _)| window.device()))?;
    let device = |(region, window, is_silent): (&str, DeviceWindow, bool)| {
        let device = names.get(window.device())?.to_owned();
        let temperature = window.seen().2;
        Some(DeviceNow { region: region.to_owned(), device, temperature, is_silent })
    };
    windows.into_iter().map(device).collect::<Option<_>>().ok_or(Error::Corrupt("device"))
}

/// How many devices are silent, in all regions that `of_regions` could answer for, and for
/// which `condition` (SQL, with `r.name`) holds.
pub(crate) fn silent_devices(
    sql: &impl Sql,
    condition: &str,
    expected: &Expectations,
) -> Result<i64, Error> {
    let all = inhabitants(sql, condition, &Value::Null, expected)?;
    Ok(all.iter().map(|of| count(&of.silent)).sum())
}

fn count<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap_or(i64::MAX)
}

/// The warmest and the coldest.
fn extremes(measured: &[DeviceWindow]) -> [Option<&DeviceWindow>; 2] {
    let temperature = |window: &&DeviceWindow| window.seen().2;
    // `max_by_key` returns the last of equal ones.
    [measured.iter().rev().max_by_key(temperature), measured.iter().min_by_key(temperature)]
}

/// The condition that holds for every region.
const EVERYWHERE: &str = "1";

/// The devices of the regions in `names`, a JSON array, or of all regions if it is NULL, for
/// which `condition` holds.
fn inhabitants(
    sql: &impl Sql,
    condition: &str,
    names: &Value,
    expected: &Expectations,
) -> Result<Vec<Inhabitants>, Error> {
    let statement = format!(
        "SELECT r.name, d.region, d.span, d.start, d.first, d.run \
        FROM regions AS r CROSS JOIN device_windows AS d \
             ON d.region = r.id AND d.span = 0 AND d.start = 0 \
        WHERE (?1 IS NULL OR r.name IN (SELECT value FROM json_each(?1))) AND {condition} \
        ORDER BY r.name, d.first LIMIT ?2"
    );
    let most = limits::LATEST_RUNS_MAX;
    let bindings = [names.clone(), Value::Integer(most)];
    let rows = sql.execute(&statement, &bindings).map_err(Error::Regions)?;
    let is_cut = i64::try_from(rows.len()) == Ok(most);
    let mut regions: Vec<(String, Vec<DeviceWindow>)> = Vec::new();
    let mut damaged: Vec<String> = Vec::new();
    for row in rows {
        let Some((Value::Text(name), columns)) = row.split_first() else {
            return Err(Error::Corrupt("device window"));
        };
        let run = Run::from_columns(columns).ok_or(Error::Corrupt("device window"))?;
        if regions.last().is_none_or(|(last, _)| last != name) {
            regions.push((name.clone(), Vec::new()));
        }
        match DEVICE_WINDOWS.decode::<DeviceWindow>(&run) {
            Err(Error::DamagedRows(_)) => damaged.push(name.clone()),
            windows => {
                if let Some((_, all)) = regions.last_mut() {
                    all.append(&mut windows?);
                }
            }
        }
    }
    if is_cut {
        // The rest of the last one was not read.
        regions.pop();
    }
    regions.retain(|(name, _)| !damaged.contains(name));
    let everywhere = of_several_regions(sql, &regions, expected)?;
    let inhabitants = |(region, windows): (String, Vec<DeviceWindow>)| {
        let at_home = |window: DeviceWindow| match find(&everywhere, window.device()) {
            Some(whole) => (whole.home == window.region()).then(|| window.learned(&whole.window)),
            None => Some(window),
        };
        let (mut silent, measured): (Vec<_>, Vec<_>) =
            windows.into_iter().filter_map(at_home).partition(|window| expected.is_silent(window));
        sort::sort_by_key(&mut silent, |window| window.seen().1.get().unsigned_abs().into());
        Inhabitants { region, measured, silent }
    };
    Ok(regions.into_iter().map(inhabitants).collect())
}

/// A device that has sent to several regions.
struct Moved {
    /// The region of its newest reading.
    home: u32,
    window: DeviceWindow,
}

/// The entry of a device in `moved`, which is sorted by device.
fn find(moved: &[Moved], device: u64) -> Option<&Moved> {
    let index = moved.binary_search_by_key(&device, |moved| moved.window.device()).ok()?;
    moved.get(index)
}

/// The devices that have sent to several regions, sorted by device. Asked for the silent
/// ones, and for all if they are few, at most `limits::DEVICES_LOOKED_UP_MAX`: where one was
/// until a moment ago, it still counts as measured for as long as it takes to be silent.
fn of_several_regions(
    sql: &impl Sql,
    regions: &[(String, Vec<DeviceWindow>)],
    expected: &Expectations,
) -> Result<Vec<Moved>, Error> {
    let all = || regions.iter().flat_map(|(_, windows)| windows);
    let silent = all().filter(|window| expected.is_silent(window));
    let asked = silent.chain(all()).map(DeviceWindow::device).take(limits::DEVICES_LOOKED_UP_MAX);
    let statement = "\
        WITH asked (device) AS (SELECT DISTINCT value FROM json_each(?1)) \
        SELECT r.region, r.device FROM asked CROSS JOIN region_devices AS r USING (device) \
        WHERE (SELECT count(*) FROM region_devices AS o WHERE o.device = r.device) > 1 \
        ORDER BY r.region, r.device";
    let bindings = [Value::Text(dictionary::list_of_ids(asked))];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let key = |row: &Vec<Value>| {
        let [region, device] = integers(row)?;
        let device = u64::try_from(device).ok()?;
        Some(Keys { group: [region, 0, 0], from: device, to: device })
    };
    let wanted: Option<Vec<Keys<3>>> = rows.iter().map(key).collect();
    let wanted = wanted.ok_or(Error::Corrupt("device"))?;
    let mut devices: Vec<u64> = wanted.iter().map(|keys| keys.from).collect();
    sort::sort_by_key(&mut devices, |device| u128::from(*device));
    let mut windows: Vec<DeviceWindow> = Vec::new();
    for run in DEVICE_WINDOWS.load(sql, &wanted)? {
        let Ok(mut all) = DEVICE_WINDOWS.decode::<DeviceWindow>(&run) else { continue };
        all.retain(|window| devices.binary_search(&window.device()).is_ok());
        windows.append(&mut all);
    }
    sort::sort_by_key(&mut windows, |window| u128::from(window.device()));
    let moved = |windows: &[DeviceWindow]| {
        let (first, others) = windows.split_first()?;
        let mut moved = Moved { home: first.region(), window: *first };
        for other in others {
            if other.seen().1 > moved.window.seen().1 {
                moved.home = other.region();
            }
            moved.window.merge(other);
        }
        Some(moved)
    };
    Ok(windows.chunk_by(|a, b| a.device() == b.device()).filter_map(moved).collect())
}
