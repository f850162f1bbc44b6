//! What was set for a device: how often it is expected to send.

use crate::error::Error;
use crate::host::{Sql, Value};
use crate::ledger::sql::integers;
use crate::limits;

/// The intervals that were set, in milliseconds, sorted by device; 0: it may be silent. At
/// most `limits::DEVICE_SETTINGS_MAX`.
pub(crate) fn intervals_ms(sql: &impl Sql) -> Result<Vec<(u64, i64)>, Error> {
    let statement = "SELECT device, interval_s FROM device_settings ORDER BY device LIMIT ?1";
    let bindings = [Value::Integer(limits::DEVICE_SETTINGS_MAX)];
    let rows = sql.execute(statement, &bindings).map_err(Error::Regions)?;
    let pair = |row: &Vec<Value>| {
        let [device, seconds] = integers(row)?;
        Some((u64::try_from(device).ok()?, seconds.saturating_mul(1_000)))
    };
    rows.iter().map(pair).collect::<Option<_>>().ok_or(Error::Corrupt("device settings"))
}

/// Sets how often the device is expected to send, in seconds; `None` leaves it to the
/// gaps between its readings. Returns whether it was set: not if
/// `limits::DEVICE_SETTINGS_MAX` others were.
///
/// Must run inside a transaction that holds the write lock.
pub(crate) fn set_interval(
    sql: &impl Sql,
    device: u64,
    seconds: Option<i64>,
) -> Result<bool, Error> {
    let device = Value::Integer(device.cast_signed());
    let Some(seconds) = seconds else {
        let remove = "DELETE FROM device_settings WHERE device = ?1";
        return sql.execute(remove, &[device]).map(|_no_rows| true).map_err(Error::Regions);
    };
    let insert = "INSERT OR REPLACE INTO device_settings (device, interval_s) \
                  SELECT ?1, ?2 WHERE EXISTS (SELECT 1 FROM device_settings WHERE device = ?1) \
                         OR (SELECT count(*) FROM device_settings) < ?3 \
                  RETURNING device";
    let bindings = [device, Value::Integer(seconds), Value::Integer(limits::DEVICE_SETTINGS_MAX)];
    let rows = sql.execute(insert, &bindings).map_err(Error::Regions)?;
    Ok(!rows.is_empty())
}
