//! Readings that still stand in a region or of a device after all steps of a merge or a
//! withdrawal: they came in between.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::device_restate::{DAY, HOUR, load};
use crate::ledger::run::RunRecord;
use crate::ledger::sql::integers;
use crate::ledger::{read, rows_between};

/// An hour from `from` on in which a reading of the region stands.
pub(super) fn of_region(sql: &impl Sql, region: u64, from: i64) -> Result<Option<i64>, Error> {
    /// If the ledger has none in so many, though the windows say so, there is none.
    const HOURS: i64 = 64;
    let statement = "SELECT start FROM windows \
                     WHERE span = 60 AND region = ?1 AND start + 60 > ?2 AND readings > 0 \
                     ORDER BY start LIMIT ?3";
    let bindings = [region.cast_signed(), from, HOURS].map(Value::Integer);
    for row in sql.execute(statement, &bindings).map_err(Error::Regions)? {
        let [hour] = integers(&row).ok_or(Error::Corrupt("window"))?;
        let rows = rows_between(sql, hour, hour + i64::from(HOUR))?;
        if rows.iter().any(|row| u64::from(row.region) == region) {
            return Ok(Some(hour));
        }
    }
    Ok(None)
}

/// An hour from `from` on in which a reading of the device stands.
pub(super) fn of_device(sql: &impl Sql, device: u64, from: i64) -> Result<Option<i64>, Error> {
    let (day, hour) = (i64::from(DAY), i64::from(HOUR));
    let last = read::edges(sql)?.map_or(-1, |[_, last]| last);
    let statement = "SELECT region FROM region_devices WHERE device = ?1";
    let regions = sql.execute(statement, &[Value::Integer(device.cast_signed())]);
    for row in regions.map_err(Error::Regions)? {
        let [region] = integers(&row).ok_or(Error::Corrupt("region"))?;
        let days = (from / day..=last / day).map(|n| n * day);
        let days = load(sql, region, DAY, device, days)?;
        let hours = days.iter().flat_map(|window| {
            let [_, _, start] = window.group();
            (start..start + day).step_by(60).filter(|start| start + hour > from)
        });
        for window in load(sql, region, HOUR, device, hours)? {
            let [_, _, start] = window.group();
            if !read::rows_of_device(sql, device, start, start + hour)?.is_empty() {
                return Ok(Some(start));
            }
        }
    }
    Ok(None)
}
