//! Devices that seem to be set up wrong: temperatures in degrees Fahrenheit that are taken
//! for Celsius. It is a hint, and changes nothing: only a person knows.

use crate::base::sort::sort_by_key;
use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_window::{self, DeviceWindow};
use crate::ledger::{dictionary, integers};
use crate::limits;

/// A device whose mean is what that of its region is in degrees Fahrenheit.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct InFahrenheit {
    pub(crate) device: String,
    pub(crate) region: String,
    /// Its mean, as degrees Celsius.
    pub(crate) mean_c: f64,
    /// The median of the means of the other devices there, in degrees Celsius.
    pub(crate) others_c: f64,
}

/// Such devices, over all time; at most `limits::HINTS_MAX`. Regions with very many devices
/// are left out, and those with fewer than three: of two devices, either may be wrong.
pub(crate) fn in_fahrenheit(sql: &impl Sql) -> Result<Vec<InFahrenheit>, Error> {
    let statement = "SELECT region FROM region_devices GROUP BY region \
                     HAVING count(*) BETWEEN ?1 AND ?2 LIMIT ?3";
    let bindings = [limits::HINT_DEVICES_MIN, limits::HINT_DEVICES_MAX, limits::HINT_REGIONS_MAX]
        .map(Value::Integer);
    let mut found = Vec::new();
    for row in sql.execute(statement, &bindings).map_err(Error::Regions)? {
        let [region] = integers(&row).ok_or(Error::Corrupt("region"))?;
        let windows = match device_window::of_all_time(sql, region) {
            // What can't be read is reported elsewhere.
            Err(Error::DamagedRows(_)) => continue,
            windows => windows?,
        };
        for (window, others_c) in suspicious(&windows) {
            found.push((*window, others_c));
        }
        if found.len() >= limits::HINTS_MAX {
            break;
        }
    }
    named(sql, &found)
}

/// The windows whose mean is that of the others in Fahrenheit, with the median of theirs.
fn suspicious(windows: &[DeviceWindow]) -> Vec<(&DeviceWindow, f64)> {
    let known: Vec<&DeviceWindow> =
        windows.iter().filter(|window| window.readings() >= limits::HINT_READINGS_MIN).collect();
    let of = |window: &&DeviceWindow| {
        let others: Vec<f64> = known
            .iter()
            .filter(|other| other.device() != window.device())
            .map(|other| other.average_celsius())
            .collect();
        let others_c = median(others)?;
        let mean = window.average_celsius();
        let is_it = (mean - (others_c * 1.8 + 32.0)).abs() <= limits::HINT_TOLERANCE_C
            && (mean - others_c).abs() > 3.0 * limits::HINT_TOLERANCE_C;
        is_it.then_some(others_c)
    };
    known.iter().filter_map(|window| Some((*window, of(window)?))).collect()
}

/// The median of at least two values: of an even number, the lower of both in the middle.
fn median(mut values: Vec<f64>) -> Option<f64> {
    // The order of all bits but those of negative numbers, which is reversed.
    let order = |bits: u64| if bits >> 63 == 1 { !bits } else { bits | 1 << 63 };
    sort_by_key(&mut values, |value| order(value.to_bits()).into());
    let middle = values.len().checked_sub(1)? / 2;
    (values.len() > 1).then(|| values.get(middle).copied()).flatten()
}

fn named(sql: &impl Sql, found: &[(DeviceWindow, f64)]) -> Result<Vec<InFahrenheit>, Error> {
    let devices = dictionary::of(sql, "devices", found.iter().map(|(window, _)| window.device()))?;
    let ids = found.iter().map(|(window, _)| u64::from(window.region()));
    let regions = dictionary::of(sql, "regions", ids)?;
    let one = |(window, others_c): &(DeviceWindow, f64)| InFahrenheit {
        device: devices.get(window.device()).unwrap_or_default().to_owned(),
        region: regions.get(u64::from(window.region())).unwrap_or_default().to_owned(),
        mean_c: window.average_celsius(),
        others_c: *others_c,
    };
    Ok(found.iter().take(limits::HINTS_MAX).map(one).collect())
}
